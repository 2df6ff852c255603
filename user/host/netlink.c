// SPDX-License-Identifier: GPL-2.0
#include "host/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* A dump that something changed meanwhile is asked for again, so many times. */
#define TRIES 5

void *netlink_begin(struct netlink_request *r, int type, bool dump, size_t header_size)
{
	struct nlmsghdr *h;

	memset(r, 0, sizeof(*r)); /* what pads an attribute is sent, too */
	h = mnl_nlmsg_put_header(r->bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	return mnl_nlmsg_put_extra_header(h, header_size);
}

static int ask_once(struct mnl_socket *s, const struct nlmsghdr *h, mnl_cb_t each, void *context)
{
	char answer[NETLINK_ANSWER] __attribute__((aligned(NLMSG_ALIGNTO)));
	ssize_t n;
	int more;

	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(s, answer, sizeof(answer));
		if (n < 0)
			return -errno;
		more = mnl_cb_run(answer, n, h->nlmsg_seq, mnl_socket_get_portid(s), each, context);
	} while (more > 0);
	return more < 0 ? -errno : 0;
}

int netlink_ask(struct netlink_request *r, int protocol, mnl_cb_t each, void *context)
{
	struct nlmsghdr *h = (struct nlmsghdr *)r->bytes;
	struct mnl_socket *s = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	int error = -EINTR, i;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		error = -errno;
	for (i = 0; i < TRIES && error == -EINTR; i++) {
		h->nlmsg_seq = i + 1;
		error = ask_once(s, h, each, context);
	}
	mnl_socket_close(s);
	return error;
}
