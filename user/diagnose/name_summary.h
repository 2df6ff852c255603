/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lookups of a run in numbers: how many were answered, how long they took, and for which hosts
 * and connects no name was seen. The reports and the result of the run read it.
 */
#pragma once

#include "connection.h"
#include "lib/histogram.h"
#include "model/names.h"

struct context;
struct finding;

#define MAX_RESOLVER_ROWS 16

/* The results of the questions to a resolver by UDP; a lookup counts once. */
struct resolver_row {
	struct endpoint endpoint;
	bool is_own; /* an address of this gateway */
	uint64_t lookups;
	uint64_t answered; /* in any way */
	uint64_t unanswered;
	uint64_t unreachable; /* only ICMP errors came back */
	ns_t median; /* of the times to the answer; NEVER without one */
	size_t hosts; /* that asked it */
};

/* Lookups of this host itself, such as those of its resolver for its clients, are not in these. */
struct name_summary {
	struct dns_totals totals;
	uint64_t lookups;
	uint64_t results[LOOKUP_RESULTS];
	/* of LOOKUP_SILENT: the view had a gap meanwhile, so that they prove nothing */
	uint64_t silent_in_gap;
	uint64_t of_gateway; /* lookups of this host itself */
	/*
	 * names of which no question of the episode was answered by anybody, and which no finding
	 * explains: the client went without
	 */
	uint64_t unanswered_names;
	uint64_t endless; /* questions for an address that are silent for certain */
	struct histogram durations; /* from the first question to the answer */
	struct histogram waits; /* from the first question of the episode to the SYN */
	struct resolver_row
		resolvers[MAX_RESOLVER_ROWS]; /* the one that was asked most often first */
	size_t resolver_rows;
	size_t resolver_count; /* all */
	size_t hosts; /* hosts with a connect */
	size_t hosts_unseen; /* those of which no question was seen */
	uint64_t connects;
	uint64_t connects_unnamed; /* to addresses that no answer named */
};

/* Counts the lookups. */
void name_summary_fill(struct context *g);

/* Counts the names that nobody explains. Call it when all findings are made. */
void name_summary_finish(struct context *g);

/* Returns true if DNS was seen. */
static inline bool names_were_seen(const struct name_summary *s)
{
	return s->totals.questions + s->totals.answers > 0;
}

/*
 * Returns true if lookups were prompt: 90 % of them within 200 ms and 99 % within a stall's length;
 * an address that was never answered counts as endless.
 */
bool names_are_prompt(const struct name_summary *s, ns_t stall_ns);

#define NAMES_UNSEEN_TEXT 160

/*
 * Writes of whom no names were seen, as the end of a sentence: "no names (DNS) were seen", or "names
 * (DNS) were not seen for 4 of 6 hosts". Returns "" if there is nothing to say.
 */
const char *names_unseen(char out[NAMES_UNSEEN_TEXT], const struct name_summary *s);
