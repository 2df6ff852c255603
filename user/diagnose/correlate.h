/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the two files of the correlation: a peer that stalls may have waited for, and the
 * evidence for it.
 */
#pragma once

#include "diagnose/finding.h"

/* A stall and an operation of the same host that was pending during it. */
struct match {
	struct noted_stall *noted;
	const struct stall *stall; /* same as noted->stall */
	const struct pending *pending;
	const struct timeline *timeline; /* timeline of their host */
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
	/* strong observations that also ended with the operation, or by the same timer */
	size_t correlated;
	size_t correlated_stalls;
	size_t passed; /* connections that got through during the stalls */
	size_t outside; /* stalls of equal length that began without an attempt at the peer */
	/* the stalls end at a constant time after the attempts, not after their own starts */
	bool coupled;
	double lift; /* ratio of the rates of attempts during stalls and at other times */
	size_t hosts;
	bool several_destinations;
	bool by_end; /* the stalls end when the operation is resolved; otherwise by a timer */
	bool failed; /* no operation was ever answered */
	ns_t timer;
	ns_t deviation;
	double chance_of_starts;
	double chance_of_ends;
};

/*
 * Returns true if the hosts of the correlated stalls have only one destination, such as an explicit
 * proxy.
 */
bool is_proxied(const struct suspect *s);

/* Computes the confidence. Returns false if the evidence is too weak for a finding. */
bool correlation_confidence(const struct suspect *s, const struct cohort *c, bool proxied,
			    enum confidence *confidence);

/*
 * Creates the finding, and marks the stalls that it explains. also[] holds count suspects that are
 * consistent with the stalls as well.
 */
void report_correlation(struct context *g, const struct suspect *s, const struct suspect *also,
			size_t count);
