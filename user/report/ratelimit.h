/* SPDX-License-Identifier: GPL-2.0 */
/*
 * More lines of a kind than anybody can read (a scan, a hundred stalls a second) become one line
 * every FOLD_NS: how many there were, of whom, at whom. One struct fold for each kind.
 */
#pragma once

#include "connection.h"

#define FOLD_BURST 20 /* lines of a kind within FOLD_WINDOW_NS are still printed one by one */
#define FOLD_WINDOW_NS SECOND_NS
#define FOLD_NS (5 * (ns_t)SECOND_NS)

/* How many different ones, exactly as long as they are few. */
#define MOST_DISTINCT 1024

struct distinct {
	uint64_t hashes[2 * MOST_DISTINCT];
	unsigned int count; /* MOST_DISTINCT: so many or more */
};

struct fold {
	bool folding;
	ns_t since; /* this window's or this fold's begin */
	unsigned int printed; /* in this window */
	uint64_t count; /* folded */
	ns_t last; /* when the latest of them happened */
	ns_t shortest, longest; /* of their durations; NEVER where there is none */
	struct endpoint client, server; /* of one of them */
	struct distinct clients, servers; /* by address; by address and port */
};

/* Shall this one be folded, rather than printed? now is the run's clock; duration NEVER: has none. */
bool fold_takes(struct fold *f, ns_t now, ns_t when, const struct endpoint *client,
		const struct endpoint *server, ns_t duration);

/* Is it time for the line that stands for all that was folded? Then fold_next() goes on. */
bool fold_is_due(const struct fold *f, ns_t now);

/* After the line was printed, or when fold_is_due() has nothing to print. */
void fold_next(struct fold *f, ns_t now);
