/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares the hosts of each finding, and of connects without a finding, with hosts that did the
 * same at the same time and were well. The unit is the host, since the connects of a host are not
 * independent.
 *
 * Each trait is tested once for each finding; Holm's procedure over all tests of the report keeps
 * the probability that any trait is named by chance below MAX_P. The tests of SYNs within hosts
 * (syn_faults.c) are another family, so each family may use half of MAX_P: p-values are doubled.
 *
 * Shared by the two files of the comparison: of hosts, and of connects within hosts.
 */
#pragma once

#include "diagnose/contrast_test.h"
#include "diagnose/finding.h"
#include "diagnose/traits.h"
#include "lib/stratified_test.h"

#define MAX_P 0.05 /* a trait is named, with low confidence */

/* Connects so long before the first bad one, or after the last, are of the same period. */
#define PERIOD_NS (30 * (ns_t)SECOND_NS)

#define FIRST_CONNECT_TRAIT TRAIT_SERVER
#define CONNECT_TRAITS (TRAIT_BACKEND - TRAIT_SERVER + 1)

/* Traits of connects that depend on other connects. */
struct connect_traits {
	/* by index of g->servers[]: the first one with its address and port, in any VLAN */
	uint32_t *server;
	uint32_t *prefix; /* by index of g->servers[]: the first server in the same prefix */
	bool *first_at_server; /* by index of g->connects[]: the first of its host at this server */
};

/* Returns false when out of memory. The caller frees in any case. */
bool traits_of_connects(struct connect_traits *known, const struct context *g);
void connect_traits_free(struct connect_traits *known);

/* Connects of hosts with some bad ones, by one value of a trait. */
struct connect_test {
	bool is_tested;
	bool splits; /* at least 80 % of those with the value are bad, at most 20 % of the others */
	uint32_t value;
	struct stratified_test test; /* its p is for the best of all values */
	uint32_t bad_with, bad, good_with, good;
};

/* Whether a host waits or fails in a comparison. */
enum unit { UNIT_ABSENT, UNIT_GOOD, UNIT_BAD };

/* The hosts that are compared for one finding, or for the connects that no finding explains. */
struct comparison_group {
	struct finding *f; /* NULL for the latter */
	struct comparison *result;
	const struct connect_traits *known;
	uint8_t *unit; /* enum unit, by index of the host */
	size_t bad, good;
	bool has_failed; /* a bad connect failed; else all were late */
	bool *servers; /* by index of g->servers[]: bad connects are of this server */
	bool *connects; /* by index of g->connects[]: it is bad */
	ns_t first, last; /* the bad connects and stalls */
	struct contrast tests[HOST_TRAITS];
	struct connect_test connect_tests[CONNECT_TRAITS];
};

/*
 * Compares the connects of the bad hosts with each other: have the bad ones a server, a port, the
 * size of the request or the backend in common? Fills in group->connect_tests.
 */
void compare_connects(struct context *g, struct comparison_group *group);

/* Formats the value of a connect's trait. */
char *format_connect_trait(char out[COMMON_VALUE], const struct context *g, enum trait trait,
			   uint32_t value);
