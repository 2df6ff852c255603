/* SPDX-License-Identifier: GPL-2.0 */
/* A question to the kernel's rtnetlink, and its answers. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdbool.h>

#define NETLINK_ANSWER 32768 /* the kernel never sends more at once */

/* Room for a request and its attributes. */
struct netlink_request {
	char bytes[256] __attribute__((aligned(NLMSG_ALIGNTO)));
};

/*
 * Begins a request: a dump (many answers) or a question for one thing. The caller fills in the
 * header of header_size that it answers, and adds attributes.
 */
void *netlink_begin(struct netlink_request *r, int type, bool dump, size_t header_size);

/* Sends it (NETLINK_ROUTE, ...) and tells of each answer. 0 or a negative errno: the kernel's, or that of the way there. */
int netlink_ask(struct netlink_request *r, int protocol, mnl_cb_t each, void *context);
