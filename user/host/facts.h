/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Facts that packets do not show, gathered once at the end of a run: the routes of this host to the
 * peers that fail, the packets that it dropped, the registry of MAC addresses, and names of services.
 * Zeroed facts mean that nothing is known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "connection.h"
#include "host/drop_counters.h"
#include "host/mac_vendors.h"
#include "host/route.h"
#include "host/services.h"

/*
 * A query for the route of a packet from source to destination that comes in on ifindex, see
 * route.h.
 */
struct route_query {
	struct endpoint destination;
	struct address source;
	uint32_t ifindex;
};

struct known_route {
	struct endpoint destination;
	struct route route;
};

struct host_facts {
	struct known_route *routes; /* sorted by the bytes of the destination, for binary search */
	size_t route_count;
	const struct mac_vendors *vendors; /* NULL if there is no registry */
	const struct services *services; /* NULL if there is no file of them */
	struct host_drops drops;
};

/*
 * Looks up these routes, whose destinations must differ. A route that the kernel does not report is
 * ROUTE_UNKNOWN. Returns false when out of memory. The caller frees facts in any case.
 */
bool host_facts_ask_routes(struct host_facts *facts, const struct route_query *queries,
			   size_t count);
void host_facts_free(struct host_facts *facts);

/* Returns NULL if the route was not looked up. */
static inline const struct route *host_facts_route(const struct host_facts *facts,
						   const struct endpoint *destination)
{
	size_t first = 0, last = facts->route_count, middle;
	int order;

	while (first < last) {
		middle = first + (last - first) / 2;
		order = memcmp(&facts->routes[middle].destination, destination,
			       sizeof(*destination));
		if (!order)
			return &facts->routes[middle].route;
		if (order < 0)
			first = middle + 1;
		else
			last = middle;
	}
	return NULL;
}
