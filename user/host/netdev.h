/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Network interfaces of this host: their state and counters, notifications of changes, and their
 * addresses.
 */
#pragma once

#include <net/if.h>

#include "session.h"

struct mnl_socket;

/* The state of a link as the kernel reports it, see rtnetlink(7), RTM_NEWLINK and RTM_DELLINK. */
struct netdev_state {
	int index;
	char name[IFNAMSIZ];
	unsigned short type; /* ARPHRD_... */
	bool up; /* administratively up, and with a carrier */
	bool gone; /* removed from this network namespace */
	bool moved; /* gone, because it was moved to another network namespace */
	uint64_t packets[DIRECTIONS];
	uint64_t bytes; /* bytes received and sent */
	uint32_t mtu; /* bytes */
	uint32_t xdp; /* id of the interface's XDP program, or 0 */
	int master; /* index of the device that this one is a member of, or 0 */
	char master_kind[IFNAMSIZ]; /* kind of the master: "bond", "bridge", "team", "vrf" */
};

struct netdev {
	char name[IFNAMSIZ];
	int index;
	bool raw_ip; /* no Ethernet header */
	/* received packets still have the tunnel's headers, as before kernel 5.14 */
	bool tunnel_headers;
	const char *link; /* "ethernet" or "ip" */
};

/*
 * Queries the state of an interface by index, or by name if index is 0. Returns 0 or a negative
 * errno.
 */
int netdev_query(struct netdev_state *l, int index, const char *name);

/*
 * Fills in *i from a link's state. Returns 0, or -1 after an error message if the link type is not
 * supported.
 */
int netdev_from_link(struct netdev *i, const struct netdev_state *l);

/* Like netdev_from_link(), by name. Returns -1 also if there is no interface of that name. */
int netdev_find(struct netdev *i, const char *name);

/* Prints that there is no interface of this name, and lists those that exist. */
void netdev_print_not_found(const char *name);

#define MAX_OTHERS 48

/*
 * Stores the names of the interfaces on which forwarded packets may leave, except those of the
 * session. Such an interface is up, is not the loopback, and has an address beyond link-local
 * scope. Returns their number.
 */
unsigned int netdev_others(char names[MAX_OTHERS][IFNAMSIZ], const struct session *session);

/*
 * Opens a socket that becomes readable when a link changes. Returns NULL, with errno, on failure.
 * The caller closes it by mnl_socket_close().
 */
struct mnl_socket *netdev_events_open(void);

/*
 * Passes all pending changes to notify(). Returns false if the kernel dropped some; the caller then
 * has to query the state.
 */
bool netdev_events_read(struct mnl_socket *events,
			void (*notify)(void *context, const struct netdev_state *l), void *context);

/*
 * Lists the interfaces with private addresses, except `but`, as in "eth0 (10.1.4.1) or wg0
 * (10.9.0.1)".
 */
void netdev_private_addresses(char *text, size_t room, const char *but);

/* Adds this host's addresses to session->own_addresses. */
void netdev_own_addresses(struct session *session);
