/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rate limit for lines of one kind. Lines beyond the limit (a scan, a hundred stalls a second) are
 * suppressed, and a summary line is printed every RATELIMIT_SUMMARY_NS.
 */
#pragma once

#include "connection.h"

#define RATELIMIT_BURST 20 /* lines printed in full within RATELIMIT_WINDOW_NS */
#define RATELIMIT_WINDOW_NS SECOND_NS
#define RATELIMIT_SUMMARY_NS (5 * (ns_t)SECOND_NS)

#define MAX_DISTINCT 1024 /* distinct keys are counted exactly up to this number */

/* A set of hashes with linear probing; it is never more than half full. */
struct distinct {
	uint64_t hashes[2 * MAX_DISTINCT]; /* 0: empty */
	unsigned int count; /* MAX_DISTINCT stands for this many or more */
};

/*
 * State of one limit; zeroed at the start of the run. The members from suppressed on describe the
 * suppressed lines.
 */
struct ratelimit {
	bool suppressing;
	ns_t since; /* start of the current window, or of the current suppression */
	unsigned int printed; /* lines printed in this window */
	uint64_t suppressed; /* lines since the last summary */
	ns_t last; /* time of the latest event */
	ns_t shortest, longest; /* shortest and longest duration; NEVER if the events have none */
	struct endpoint client, server; /* client and server of the first suppressed line */
	struct distinct clients; /* by address */
	struct distinct servers; /* by address and port */
};

/*
 * Returns true if a line is to be suppressed, and counts it then. Call it before printing the line.
 * now is the time of the last sweep, when is the time of the event; duration may be NEVER.
 */
bool ratelimit_suppresses(struct ratelimit *limit, ns_t now, ns_t when,
			  const struct endpoint *client, const struct endpoint *server,
			  ns_t duration);

/* Returns true when a summary is due; the caller prints it and calls ratelimit_restart(). */
bool ratelimit_summary_due(const struct ratelimit *limit, ns_t now);

/*
 * Starts a new window. It continues to suppress if more than RATELIMIT_BURST lines were suppressed
 * since the last summary.
 */
void ratelimit_restart(struct ratelimit *limit, ns_t now);
