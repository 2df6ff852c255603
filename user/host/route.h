/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Looks up the route from this host to a peer in the kernel's FIB, over rtnetlink. It needs no
 * privilege, changes no route, rule or neighbour entry, and sends no packet. A zeroed struct route
 * means "not known", as for a capture.
 */
#pragma once

#include <net/if.h>

#include "record.h"

enum route_state {
	ROUTE_UNKNOWN, /* not looked up, or the query failed */
	ROUTE_FOUND,
	ROUTE_NONE, /* no route, or a policy rule of type unreachable: ICMP network unreachable */
	ROUTE_BLACKHOLE, /* a route or policy rule of type blackhole: silently dropped */
	ROUTE_UNREACHABLE, /* the kernel replies ICMP host unreachable */
	ROUTE_PROHIBIT, /* the kernel replies ICMP administratively prohibited */
	ROUTE_LOCAL, /* an address of this host */
	/*
	 * Forwarding is off on the ingress interface. Either this is the fault, or this host is not
	 * on the path (a mirror port, a bridge) and its routes do not matter.
	 */
	ROUTE_NOT_FORWARDED,
};

enum neighbour_state {
	NEIGHBOUR_UNKNOWN, /* not looked up: not on a link of this host, or no entry */
	NEIGHBOUR_INCOMPLETE, /* resolution is in progress */
	NEIGHBOUR_FAILED, /* no host replied */
	NEIGHBOUR_REACHABLE, /* or stale, delay, probe, permanent, noarp */
};

struct route {
	enum route_state state;
	struct address prefix; /* prefix of the matching route */
	unsigned int prefix_length; /* 0: the default route; at most 32 for IPv4, 128 for IPv6 */
	/*
	 * Routing table: 254 is main; a policy rule selects any other table. 0: the route could not
	 * be identified, and prefix and prefix_length are not valid.
	 */
	unsigned int table;
	bool via_next_hop; /* false: the destination is directly connected */
	/* with a multipath route, the next hop for this source and destination */
	struct address next_hop;
	char device[IFNAMSIZ];
	unsigned int device_index;
	bool device_up; /* operational state (RFC 2863): administratively up, and with carrier */
	bool device_exists;
	enum neighbour_state neighbour; /* state of the next hop, or of a directly connected peer */
	/* a policy rule depends on marks, ports or TOS, which the lookup does not know */
	bool unsure;
};

struct route_lookup;

/* Opens a lookup in the caller's network namespace. Returns NULL, with errno, on failure. */
struct route_lookup *route_lookup_open(void);

/* Frees g, which may be NULL. */
void route_lookup_close(struct route_lookup *g);

/*
 * Finds the route of a TCP packet from source to destination that was received on interface
 * ifindex. It is the matching route, not only its next hop (RTM_GETROUTE with RTM_F_FIB_MATCH).
 *
 * If source is an address of this host, the packet is treated as sent by this host. The interface
 * of the route back to the source is used in two cases: ifindex is 0 (the SYN was seen leaving), or
 * the kernel rejects the source on ifindex.
 *
 * Returns 0, or -1 with errno if the kernel could not be queried; route->state is then
 * ROUTE_UNKNOWN.
 */
int route_lookup(struct route_lookup *g, const struct address *destination,
		 const struct address *source, unsigned int ifindex, struct route *route);
