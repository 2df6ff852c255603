/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Asks the kernel of this host, over rtnetlink, which way a forwarded packet to a peer takes. Needs
 * no privilege. Reads only: never a route, rule or neighbour entry is changed, and no packet is sent.
 */
#pragma once

#include "route.h"

struct gateway;

/* Of the caller's network namespace. NULL and errno. gateway_close() takes NULL. */
struct gateway *gateway_open(void);
void gateway_close(struct gateway *g);

/*
 * The route that the kernel takes for a TCP packet from source, come in by interface ifindex, to
 * destination: the route that matches, not its next hop alone (RTM_GETROUTE with RTM_F_FIB_MATCH).
 * A source of this very host is asked for as what it sends itself. ifindex 0 (not known, as when the
 * SYN was seen leaving), or one by which the kernel would not take that source, is replaced by the
 * one that leads back to it.
 * 0; or -1 and errno when the kernel could not be asked, then route->state is ROUTE_UNKNOWN.
 */
int gateway_route(struct gateway *g, const struct address *destination,
		  const struct address *source, unsigned int ifindex, struct route *route);
