// SPDX-License-Identifier: GPL-2.0
/*
 * test-route DESTINATION SOURCE|- INTERFACE|-: prints the result of route_lookup() on one line.
 * test_route.py compares it with the kernel's own tools.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/format.h"
#include "host/route.h"

static const char *const states[] = {
	[ROUTE_UNKNOWN] = "unknown",
	[ROUTE_FOUND] = "found",
	[ROUTE_NONE] = "none",
	[ROUTE_BLACKHOLE] = "blackhole",
	[ROUTE_UNREACHABLE] = "unreachable",
	[ROUTE_PROHIBIT] = "prohibit",
	[ROUTE_LOCAL] = "local",
	[ROUTE_NOT_FORWARDED] = "not-forwarded",
};

static const char *const neighbours[] = {
	[NEIGHBOUR_UNKNOWN] = "unknown",
	[NEIGHBOUR_INCOMPLETE] = "incomplete",
	[NEIGHBOUR_FAILED] = "failed",
	[NEIGHBOUR_REACHABLE] = "reachable",
};

static bool read_address(struct address *a, const char *text)
{
	*a = (struct address){ .word = { 0, 0, IP4_PREFIX } };
	return inet_pton(AF_INET, text, &a->word[3]) == 1 ||
	       inet_pton(AF_INET6, text, a->word) == 1;
}

int main(int argc, char **argv)
{
	struct address destination, source = {};
	char prefix[FORMAT_ADDRESS], hop[FORMAT_ADDRESS];
	bool has_source = argc == 4 && strcmp(argv[2], "-");
	struct route_lookup *g;
	struct route r;
	int status;

	if (argc != 4 || !read_address(&destination, argv[1]) ||
	    (has_source && !read_address(&source, argv[2]))) {
		fprintf(stderr, "usage: test-route DESTINATION SOURCE|- INTERFACE|-\n");
		return 2;
	}
	g = route_lookup_open();
	if (!g) {
		perror("gateway_open");
		return 1;
	}
	/* A second lookup with the same handle must give the same result. */
	route_lookup(g, &destination, has_source ? &source : NULL, if_nametoindex(argv[3]), &r);
	status = route_lookup(g, &destination, has_source ? &source : NULL, if_nametoindex(argv[3]),
			      &r);
	printf("%s", states[r.state]);
	if (status)
		printf(" error %s", strerror(errno));
	if (r.table)
		printf(" %s/%u table %u", format_address(prefix, &r.prefix), r.prefix_length,
		       r.table);
	if (r.via_next_hop)
		printf(" via %s", format_address(hop, &r.next_hop));
	if (r.device_exists)
		printf(" dev %s %s neighbour %s", r.device, r.device_up ? "up" : "down",
		       neighbours[r.neighbour]);
	printf("%s\n", r.unsure ? " unsure" : "");
	route_lookup_close(g);
	return status != 0;
}
