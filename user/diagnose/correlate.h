/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the two files of the correlation: a peer that stalls may have waited for, and the
 * evidence for it.
 */
#pragma once

#include "diagnose/finding.h"

#define MAX_CHAIN 16 /* attempts that follow each other during one stall */

/*
 * A stall and an operation of the same host that was pending during it: an attempt, or a chain of
 * attempts, each of which began when the one before had been given up.
 */
struct match {
	struct noted_stall *noted;
	const struct stall *stall; /* same as noted->stall */
	const struct pending *pending; /* the first attempt */
	const struct timeline *timeline; /* timeline of their host */
	uint32_t chain[MAX_CHAIN]; /* all attempts, as indices into timeline->pendings */
	unsigned int length; /* of the chain */
	bool complete; /* the chain lasts until the end of the stall */
	ns_t t; /* from the operation's start to the stall's end */
	bool strong; /* the operation began with the stall, not before it */
	bool ended; /* the operation was resolved just before the stall ended */
	bool answered; /* ended by a late answer, in time before the timer of other matches */
	bool correlated;
};

struct suspect {
	/*
	 * The suspect, and other addresses of the same service: the hosts try one or another of
	 * them, and each is as guilty.
	 */
	struct endpoint peers[1 + MAX_FINDING_ALSO];
	size_t peer_count;
	struct match *matches; /* sorted by host, operation and end of the stall */
	size_t count;
	uint64_t number; /* of the last weighing, unique */

	size_t strong; /* observations that began with a stall */
	/* strong observations that also ended with the operation, or by the same timer */
	size_t correlated;
	size_t correlated_stalls;
	size_t answered_stalls; /* of these, those that ended with an answer before the timer */
	size_t passed; /* connections that got through during the stalls */
	/* stalls of equal length, of hosts that tried it, that began without an attempt at it */
	size_t outside;
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

/* Maximum deviation of a timer on a machine that is not overloaded. */
#define STEADY_NS (10 * (ns_t)MILLISECOND_NS)

/* Returns true if the stall that ended at `end` ended at most `within` after this event. */
static inline bool ends_with(ns_t event, ns_t end, ns_t within)
{
	return event != NEVER && event <= end && end - event <= within;
}

/* Maximum time from a late answer to the first byte of the client that waited for it. */
#define REACTION_NS (50 * (ns_t)MILLISECOND_NS)

/*
 * Returns true if the peer answered a repeated SYN, and the stall ended at this time because of it:
 * with the SYN-ACK, or with the server's first payload on that connection.
 */
static inline bool ends_with_answer(const struct pending *o, ns_t end)
{
	return !o->failed && o->syn_count > 1 &&
	       (ends_with(o->answered, end, REACTION_NS) || ends_with(o->end, end, REACTION_NS));
}

/*
 * Returns true if the hosts of the correlated stalls have only one destination, such as an explicit
 * proxy.
 */
bool is_proxied(const struct suspect *s);

/* Returns true if the operation is an attempt at one of the suspect's addresses. */
bool is_at_suspect(const struct suspect *s, const struct pending *o);

/* Returns true if the host tried one of the suspect's addresses. */
bool has_tried(const struct context *g, const struct suspect *s, const struct timeline *t);

/*
 * Returns true if the attempt counts neither for nor against the suspect: it belongs to a wait that
 * still went on at the end of the run, or a stall that began with it had no time to end.
 */
bool is_undecided(const struct context *g, const struct suspect *s, const struct timeline *t,
		  const struct pending *o);

/*
 * Computes the confidence. Returns false if the evidence is too weak for a finding. proxied: the
 * hosts have only one destination; prompt: others used the destination without a delay.
 */
bool correlation_confidence(const struct suspect *s, const struct cohort *c, bool proxied,
			    bool prompt, struct certainty *certainty);

/*
 * Creates the finding, and marks the stalls that it explains. also[] holds count suspects that are
 * consistent with the stalls as well.
 */
void report_correlation(struct context *g, const struct suspect *s, const struct suspect *also,
			size_t count);
