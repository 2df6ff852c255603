// SPDX-License-Identifier: GPL-2.0
#include "host/facts.h"

#include <stdlib.h>

static int by_destination(const void *a, const void *b)
{
	const struct known_route *x = a, *y = b;

	return memcmp(&x->destination, &y->destination, sizeof(x->destination));
}

bool host_facts_ask_routes(struct host_facts *facts, const struct route_query *queries,
			   size_t count)
{
	struct route_lookup *lookup = route_lookup_open();
	size_t i;

	if (!lookup)
		return true;
	facts->routes = calloc(count + 1, sizeof(*facts->routes));
	for (i = 0; facts->routes && i < count; i++) {
		facts->routes[i].destination = queries[i].destination;
		/* on failure the state stays ROUTE_UNKNOWN */
		route_lookup(lookup, &queries[i].destination.address, &queries[i].source,
			     queries[i].ifindex, &facts->routes[i].route);
		facts->route_count++;
	}
	if (facts->routes)
		qsort(facts->routes, count, sizeof(*facts->routes), by_destination);
	route_lookup_close(lookup);
	return facts->routes;
}

void host_facts_free(struct host_facts *facts)
{
	free(facts->routes);
	*facts = (struct host_facts){ 0 };
}
