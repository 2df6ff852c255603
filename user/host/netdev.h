/* SPDX-License-Identifier: GPL-2.0 */
/* What is this interface, what passed it so far, and what becomes of it? */
#pragma once

#include <net/if.h>

#include "session.h"

/* What the kernel says of a link, when asked (rtnetlink(7), RTM_GETLINK) or by itself. */
struct netdev_state {
	int index;
	char name[IFNAMSIZ];
	unsigned short type; /* ARPHRD_... */
	bool up; /* set up, and with a carrier */
	bool gone; /* this is the last that is heard of it here ... */
	bool moved; /* ... because it is in another network namespace now */
	uint64_t packets[DIRECTIONS];
	uint64_t bytes; /* received and sent */
	uint32_t xdp; /* the id of the XDP program in front of it, or 0 */
	int master; /* the index of the device that it is a part of, or 0 ... */
	char master_kind[IFNAMSIZ]; /* ... and of what kind: "bond", "bridge", "team", "vrf" */
};

struct netdev {
	char name[IFNAMSIZ];
	int index;
	bool raw_ip; /* no Ethernet header */
	bool tunnel_headers; /* what comes in still has its tunnel's headers in front: kernels before 5.14 */
	const char *link; /* "ethernet" or "ip" */
};

/* By index, or by name when that is 0. 0 or a negative errno. */
int netdev_query(struct netdev_state *l, int index, const char *name);

/* 0; or -1, said on standard error: its link layer is not understood. */
int netdev_from_link(struct netdev *i, const struct netdev_state *l);

/* The same for a name; -1, said, also when there is none of that name. */
int netdev_find(struct netdev *i, const char *name);

#define MAX_OTHERS 48

/*
 * The names of the interfaces, other than these, that packets of others may leave by: up, not the
 * loopback, with an address that reaches beyond the link. Answers how many.
 */
unsigned int netdev_others(char names[MAX_OTHERS][IFNAMSIZ], const struct session *session);

/* Are there IPsec policies for what leaves (ip-xfrm(8))? False as well where nobody may ask. */
bool ipsec_is_used(void);

/* A socket that becomes readable when a link changes; -1 and errno. The caller closes it. */
int netdev_events_open(void);

/* Reads such a socket empty. False: some events were lost, ask. */
bool netdev_events_read(int events, void (*tell)(void *context, const struct netdev_state *l),
			void *context);

/*
 * From here on this process is in that network namespace: one of `ip netns`, or that of a process.
 * 0; or -1, said on standard error.
 */
int netns_enter(const char *name_or_pid);

/* Interfaces with private addresses, but for this one: "eth0 (10.1.4.1) or wg0 (10.9.0.1)". */
void netdev_private_addresses(char *text, size_t room, const char *but);

/* Adds this host's addresses to run->netdev_own_addresses. */
void netdev_own_addresses(struct session *session);
