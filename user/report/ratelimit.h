/* SPDX-License-Identifier: GPL-2.0 */
/*
 * More lines of a kind than anybody can read (a scan, a hundred stalls a second) become one line
 * every RATELIMIT_SUMMARY_NS: how many there were, of whom, at whom. One struct ratelimit for each kind.
 */
#pragma once

#include "connection.h"

#define RATELIMIT_BURST \
	20 /* lines of a kind within RATELIMIT_WINDOW_NS are still printed one by one */
#define RATELIMIT_WINDOW_NS SECOND_NS
#define RATELIMIT_SUMMARY_NS (5 * (ns_t)SECOND_NS)

/* How many different ones, exactly as long as they are few. */
#define MAX_DISTINCT 1024

struct distinct {
	uint64_t hashes[2 * MAX_DISTINCT];
	unsigned int count; /* MAX_DISTINCT: so many or more */
};

struct ratelimit {
	bool suppressing;
	ns_t since; /* this window's or this fold's begin */
	unsigned int printed; /* in this window */
	uint64_t count; /* folded */
	ns_t last; /* when the latest of them happened */
	ns_t shortest, longest; /* of their durations; NEVER where there is none */
	struct endpoint client, server; /* of one of them */
	struct distinct clients, servers; /* by address; by address and port */
};

/* Shall this one be folded, rather than printed? now is the run's clock; duration NEVER: has none. */
bool ratelimit_suppresses(struct ratelimit *f, ns_t now, ns_t when, const struct endpoint *client,
			  const struct endpoint *server, ns_t duration);

/* Is it time for the line that stands for all that was folded? Then ratelimit_restart() goes on. */
bool ratelimit_summary_due(const struct ratelimit *f, ns_t now);

/* After the line was printed, or when ratelimit_summary_due() has nothing to print. */
void ratelimit_restart(struct ratelimit *f, ns_t now);
