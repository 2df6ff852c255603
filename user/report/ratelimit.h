/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rate limit for lines of one kind. Lines beyond the limit (a scan, a hundred stalls a second) are
 * suppressed, and every RATELIMIT_SUMMARY_NS one line summarises them.
 */
#pragma once

#include "connection.h"

#define RATELIMIT_BURST 20 /* lines printed one by one within RATELIMIT_WINDOW_NS */
#define RATELIMIT_WINDOW_NS SECOND_NS
#define RATELIMIT_SUMMARY_NS (5 * (ns_t)SECOND_NS)

#define MAX_DISTINCT 1024 /* distinct keys are counted exactly up to this number */

/* A set of hashes with linear probing; it is never more than half full. */
struct distinct {
	uint64_t hashes[2 * MAX_DISTINCT]; /* 0: empty */
	unsigned int count; /* MAX_DISTINCT: that many or more */
};

/* All zero at the start of the run. The members from suppressed on describe the suppressed lines. */
struct ratelimit {
	bool suppressing;
	ns_t since; /* start of this window, or of this time of suppression */
	unsigned int printed; /* lines in this window */
	uint64_t suppressed; /* lines since the last summary */
	ns_t last; /* time of the latest event */
	ns_t shortest, longest; /* duration; NEVER for events without one */
	struct endpoint client, server; /* of the first one */
	struct distinct clients; /* by address */
	struct distinct servers; /* by address and port */
};

/*
 * Decides about a line before it is printed. Returns true if the line is suppressed, and counts it then.
 * now is the time of the last sweep, when that of the event; duration may be NEVER.
 */
bool ratelimit_suppresses(struct ratelimit *limit, ns_t now, ns_t when,
			  const struct endpoint *client, const struct endpoint *server,
			  ns_t duration);

/* Returns true when a summary is due; the caller prints it and calls ratelimit_restart(). */
bool ratelimit_summary_due(const struct ratelimit *limit, ns_t now);

/* Starts over; goes on suppressing if more than RATELIMIT_BURST lines were suppressed since. */
void ratelimit_restart(struct ratelimit *limit, ns_t now);
