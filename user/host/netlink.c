// SPDX-License-Identifier: GPL-2.0
#include "host/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define RECEIVE_SIZE 32768 /* bytes; the kernel's limit for one datagram of a dump */
#define DUMP_TRIES 5

void *netlink_begin(struct netlink_request *r, int type, size_t header_size)
{
	struct nlmsghdr *h;

	memset(r, 0, sizeof(*r)); /* the padding of attributes is sent as well */
	h = mnl_nlmsg_put_header(r->bytes);
	h->nlmsg_type = type;
	return mnl_nlmsg_put_extra_header(h, header_size);
}

static struct mnl_socket *open_socket(int protocol, unsigned int groups, int flags)
{
	struct mnl_socket *s = mnl_socket_open2(protocol, SOCK_CLOEXEC | flags);
	int error;

	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		error = errno;
		mnl_socket_close(s);
		errno = error;
		return NULL;
	}
	return s;
}

struct mnl_socket *netlink_open(int protocol)
{
	struct mnl_socket *s = open_socket(protocol, 0, 0);
	int yes = 1;

	/*
	 * restricts a dump to objects that match the request's header; kernels before 4.20 ignore
	 * it
	 */
	if (s)
		mnl_socket_setsockopt(s, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	return s;
}

static ssize_t receive(struct mnl_socket *s, char *buffer)
{
	ssize_t n;

	do
		n = mnl_socket_recvfrom(s, buffer, RECEIVE_SIZE);
	while (n < 0 && errno == EINTR);
	return n;
}

static int exchange(struct mnl_socket *s, struct nlmsghdr *h, int flags, mnl_cb_t reply,
		    void *context)
{
	char buffer[RECEIVE_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	static unsigned int sequence;
	ssize_t n;

	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++sequence;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		n = receive(s, buffer);
		if (n > 0)
			n = mnl_cb_run(buffer, n, h->nlmsg_seq, mnl_socket_get_portid(s), reply,
				       context);
	} while (n > MNL_CB_STOP);
	return n < 0 ? -errno : 0;
}

int netlink_query(struct mnl_socket *s, struct netlink_request *r, mnl_cb_t reply, void *context)
{
	return exchange(s, &r->header, NLM_F_ACK, reply, context);
}

static int exchange_once(int protocol, struct netlink_request *r, int flags, mnl_cb_t reply,
			 void *context)
{
	struct mnl_socket *s = netlink_open(protocol);
	int error;

	if (!s)
		return -errno;
	error = exchange(s, &r->header, flags, reply, context);
	mnl_socket_close(s);
	return error;
}

int netlink_query_once(int protocol, struct netlink_request *r, mnl_cb_t reply, void *context)
{
	return exchange_once(protocol, r, NLM_F_ACK, reply, context);
}

int netlink_dump(int protocol, struct netlink_request *r, mnl_cb_t reply, void *context)
{
	int tries = DUMP_TRIES, error;

	/* mnl_cb_run() fails with EINTR on NLM_F_DUMP_INTR; closing the socket discards the rest */
	do
		error = exchange_once(protocol, r, NLM_F_DUMP, reply, context);
	while (error == -EINTR && --tries);
	return error;
}

struct mnl_socket *netlink_subscribe(int protocol, unsigned int groups)
{
	return open_socket(protocol, groups, SOCK_NONBLOCK);
}

unsigned int netlink_receive(struct mnl_socket *s, unsigned int *budget, mnl_cb_t notify,
			     void *context)
{
	char buffer[RECEIVE_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	unsigned int dropped = 0;
	ssize_t n;

	for (; *budget; --*budget) {
		n = receive(s, buffer);
		if (n > 0)
			mnl_cb_run(buffer, n, 0, 0, notify, context);
		else if (n < 0 && errno == ENOBUFS)
			dropped++;
		else
			break;
	}
	return dropped;
}
