/* SPDX-License-Identifier: GPL-2.0 */
/* A peer that stalls may have waited for, and the evidence for it. Private to the correlation. */
#pragma once

#include "diagnose/finding.h"

/* A stall and an operation of the same host that was pending during it. */
struct match {
	struct noted_stall *noted;
	const struct stall *stall; /* of noted */
	const struct pending *pending;
	const struct timeline *timeline; /* of their host */
	ns_t t; /* from the operation's start to the stall's end */
	bool strong; /* the operation began with the stall, not before it */
	bool ended; /* the operation was resolved just before the stall ended */
	bool correlated;
};

struct suspect {
	struct endpoint peer;
	struct match *matches; /* sorted by host, operation and end of the stall */
	size_t count;

	size_t strong; /* observations that began with a stall */
	size_t correlated; /* of these, the ones that ended with it, or by the same timer */
	size_t correlated_stalls;
	size_t passed; /* connections that got through meanwhile */
	size_t outside; /* stalls as long that began without an attempt at the peer */
	bool coupled; /* the stalls end in time with the attempts, not with their own beginnings */
	double lift; /* ratio of the rates of attempts during stalls and at other times */
	size_t hosts;
	bool several_destinations;
	bool by_end; /* the stalls end when the operation is resolved; else by a timer */
	bool failed; /* no answer ever came */
	ns_t timer;
	ns_t deviation;
	double chance_of_starts;
	double chance_of_ends;
};

/*
 * True if the correlated stalls are of hosts that have one destination only, as an explicit proxy.
 */
bool is_proxied(const struct suspect *s);

/* Returns false if the evidence is too weak for a finding. */
bool correlation_confidence(const struct suspect *s, const struct cohort *c, bool proxied,
			    enum confidence *confidence);

/*
 * Makes the finding, and marks the stalls that it explains. also: count suspects that fit as well.
 */
void report_correlation(struct context *g, const struct suspect *s, const struct suspect *also,
			size_t count);
