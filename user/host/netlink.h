/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Netlink client: requests with one reply, dumps, and subscriptions to notifications, see
 * netlink(7). Functions return a negative errno on failure, from the kernel or from the socket.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <stdbool.h>

/* A request with room for attributes, which the caller adds by mnl_attr_put(). */
struct netlink_request {
	union {
		struct nlmsghdr header;
		char bytes[512] __attribute__((aligned(NLMSG_ALIGNTO)));
	};
};

/*
 * Initialises *r. Returns the family's header, which follows the netlink header and has header_size
 * zero bytes.
 */
void *netlink_begin(struct netlink_request *r, int type, size_t header_size);

/*
 * Opens a socket for requests; protocol is NETLINK_ROUTE or another family. Returns NULL, with
 * errno, on failure.
 */
struct mnl_socket *netlink_open(int protocol);

/* Sends r and passes each message of the reply to reply(). */
int netlink_query(struct mnl_socket *s, struct netlink_request *r, mnl_cb_t reply, void *context);

/* Like netlink_query(), over a socket of its own. */
int netlink_query_once(int protocol, struct netlink_request *r, mnl_cb_t reply, void *context);

/*
 * Requests a dump, over a socket of its own. A dump that a signal or a concurrent change interrupts
 * is repeated, so reply() may see an object more than once.
 */
int netlink_dump(int protocol, struct netlink_request *r, mnl_cb_t reply, void *context);

/*
 * Opens a non-blocking socket that receives notifications of the groups. Returns NULL, with errno,
 * on failure.
 */
struct mnl_socket *netlink_subscribe(int protocol, unsigned int groups);

/*
 * Passes pending notifications to notify(), without blocking. Reads at most *budget times, and
 * decrements *budget for each read. Returns how often the kernel reported that it dropped
 * notifications (ENOBUFS).
 */
unsigned int netlink_receive(struct mnl_socket *s, unsigned int *budget, mnl_cb_t notify,
			     void *context);
