/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Determines how this gateway handles the SYNs to a peer that fails: their route, and whether they
 * leave.
 */
#pragma once

#include "diagnose/finding.h"

enum forwarding {
	FORWARDING_NOT_CHECKED,
	FORWARDING_OK,
	FORWARDING_DROPPED,
	FORWARDING_ANSWERS_DROPPED,
};

enum forwarding forwarding_of(const struct context *g, const struct peer *p);
bool is_dropped_here(const struct context *g, const struct peer *p);

/* Returns NULL if the route is not known. */
const struct route *route_to(const struct context *g, const struct peer *p);

/*
 * Returns true if a private address leaves by the default route, and nothing shows that private
 * addresses are reachable that way: its specific route is likely to be missing.
 */
bool is_route_missing(const struct context *g, const struct endpoint *server,
		      const struct route *r);

/* Returns NULL if no interface with this index is watched. */
const struct session_iface *watched_iface(const struct session *s, uint32_t ifindex);

/* Adds lines of evidence on the route and on forwarding, if they are known. */
void finding_add_route(const struct context *g, struct finding *f, const struct peer *p);

/* The same for a resolver that is asked by UDP: whether its packets left this gateway is not known. */
void finding_add_resolver_route(const struct context *g, struct finding *f,
				const struct endpoint *resolver);

/* Adds what to do about a route of this gateway that leads nowhere: none, blackhole, prohibit, ... */
void finding_add_route_action(struct finding *f, const struct route *r);
