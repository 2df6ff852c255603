/* SPDX-License-Identifier: GPL-2.0 */
/* Resolvers that answer nothing, and what that costs the hosts that ask them. */
#pragma once

#include "diagnose/resolvers.h"

#define MAX_SILENT (MAX_FINDING_ALSO + 1) /* resolvers of a finding */

enum silence {
	NOT_SILENT,
	SILENT_ALWAYS, /* it answered nothing in this run */
	SILENT_TO_HOSTS, /* it answers other hosts meanwhile */
	SILENT_FOR_A_TIME, /* it answered before or after */
};

/* The lookups of a host while the resolvers were silent. */
struct host_part {
	size_t questions; /* names that it asked meanwhile, of any resolver */
	size_t here_first; /* of these: it asked the silent resolvers first */
	size_t answered; /* of these: any resolver answered */
	size_t waits;
	size_t failed; /* episodes in which nobody answered */
	bool asks; /* it asked the silent resolvers */
};

/* Silent resolvers that the same lookups ask, and the cost. */
struct silent_group {
	struct resolver *members[MAX_SILENT];
	size_t member_count;
	enum silence silence;
	ns_t from, until; /* tries */
	ns_t answered_before, answered_after; /* last answer before, first one after; or NEVER */
	size_t before; /* lookups answered before */
	bool *marked; /* by index of g->lookups: it asked a member, and got no answer */

	size_t tries;
	size_t names; /* that were asked, whatever their types */
	size_t proven; /* lookups that show that an answer was missed */
	size_t lookups;
	size_t reverse; /* lookups of type PTR */
	size_t forwarded; /* lookups that a resolver makes for its clients */
	size_t refused; /* lookups that got only ICMP errors */
	uint8_t icmp_type, icmp_code; /* of the last one */
	/* names for which another resolver was asked later, at once, or first */
	size_t moved, at_once, elsewhere_first;
	const struct resolver *next; /* the one that was asked most often next; or NULL */
	struct cluster timer; /* of the times until then */
	size_t failed; /* episodes in which nobody answered */

	ns_t *waits; /* parts of the waits for names that the members fill, sorted */
	ns_t *totals; /* from the first question to the SYN, sorted */
	size_t wait_count;
	size_t chained; /* waits for several names in turn: the search list */
	size_t chain; /* number of names in the last such wait */

	struct host_part *hosts; /* by index of the host */
	size_t hosts_all; /* hosts that asked for names meanwhile */
	size_t hosts_waiting, hosts_without_names, hosts_with_failures;
};

/*
 * Finds the resolvers that are silent: fills in silences[] by the index of g->resolvers->at[], and
 * marks what they were asked. Returns false when out of memory.
 */
bool find_silent(struct context *g, enum silence *silences);

/*
 * Fills in the cost of the group's silence. Returns false when out of memory. The caller frees in
 * any case.
 */
bool measure_silence(struct context *g, struct silent_group *s);
void silent_group_free(struct silent_group *s);

/* Returns true if the host waited for the silent resolvers, or got no names. */
bool is_hurt(const struct host_part *h);
