/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this host knows beside the packets, gathered once at the end of a run: the routes to the
 * peers that fail. Zeroed facts mean that nothing is known, as for a capture.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "connection.h"
#include "host/route.h"

/*
 * Asks for the route of a packet from source to destination that comes in by ifindex, see route.h.
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
	struct known_route *routes; /* in ascending order of the destinations' bytes */
	size_t route_count;
};

/*
 * Asks the kernel for these routes, whose destinations must differ. Without an answer from the
 * kernel there is no route. Returns false when out of memory. The caller frees in any case.
 */
bool host_facts_ask_routes(struct host_facts *facts, const struct route_query *queries,
			   size_t count);
void host_facts_free(struct host_facts *facts);

/* Returns NULL when the route was not asked for. */
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
