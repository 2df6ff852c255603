/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The route that this host takes to a peer, as the kernel reports it over rtnetlink. Needs no
 * privilege. Read only: no route, rule or neighbour entry is changed, and no packet is sent.
 * A struct route of zeros means "not known", as for a capture.
 */
#pragma once

#include <net/if.h>

#include "record.h"

enum route_state {
	ROUTE_UNKNOWN, /* nobody asked, or the kernel did not say */
	ROUTE_FOUND,
	ROUTE_NONE, /* no route, or a policy rule of type unreachable: ICMP network unreachable */
	ROUTE_BLACKHOLE, /* a route or policy rule of this type: dropped without a word */
	ROUTE_UNREACHABLE, /* answered with ICMP host unreachable */
	ROUTE_PROHIBIT, /* answered with ICMP administratively prohibited */
	ROUTE_LOCAL, /* an address of this host */
	/*
	 * Forwarding is off where the packet comes in. Either that is the fault, or this host stands
	 * beside the path (a mirror port, a bridge) and its routes say nothing of it.
	 */
	ROUTE_NOT_FORWARDED,
};

enum neighbour_state {
	NEIGHBOUR_UNKNOWN, /* not asked: not on a link of ours, or no entry */
	NEIGHBOUR_INCOMPLETE, /* asked, no answer yet */
	NEIGHBOUR_FAILED, /* nobody has that address */
	NEIGHBOUR_REACHABLE, /* also stale, delay, probe, permanent, noarp */
};

struct route {
	enum route_state state;
	struct address prefix; /* that the matching route is for */
	unsigned int prefix_length; /* 0: the default route; of 32 for IPv4, of 128 for IPv6 */
	/*
	 * 254 is main; another one was chosen by a policy rule. 0: it cannot be told which route it
	 * is, and prefix and prefix_length say nothing either.
	 */
	unsigned int table;
	bool via_next_hop; /* through a next hop, below; else directly connected */
	struct address
		next_hop; /* of multipath one; IPv4's default: of this source and destination */
	char device[IFNAMSIZ];
	unsigned int device_index;
	bool device_up; /* its operational state (RFC 2863): administratively up, and with carrier */
	bool device_exists;
	enum neighbour_state neighbour; /* of the next hop, or of the peer where directly connected */
	bool unsure; /* a policy rule looks at marks, ports or TOS, which were not asked with */
};

struct route_lookup;

/* Of the caller's network namespace. NULL and errno. route_lookup_close() takes NULL. */
struct route_lookup *route_lookup_open(void);
void route_lookup_close(struct route_lookup *g);

/*
 * The route that the kernel takes for a TCP packet from source, come in by interface ifindex, to
 * destination: the route that matches, not its next hop alone (RTM_GETROUTE with RTM_F_FIB_MATCH).
 * A source of this very host is asked for as what it sends itself. ifindex 0 (not known, as when the
 * SYN was seen leaving), or one by which the kernel would not take that source, is replaced by the
 * one that leads back to it.
 * 0; or -1 and errno when the kernel could not be asked, then route->state is ROUTE_UNKNOWN.
 */
int route_lookup(struct route_lookup *g, const struct address *destination,
		 const struct address *source, unsigned int ifindex, struct route *route);
