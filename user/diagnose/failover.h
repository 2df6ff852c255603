/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the failover cause: failed attempts, the connects that follow them after a
 * constant time, and the chains that they form.
 */
#pragma once

#include "diagnose/finding.h"

/*
 * Minimum delay of IPv4 after IPv6. Users do not notice shorter delays (RFC 8305 5 recommends 250
 * ms between two attempts).
 */
#define MIN_IPV6_GAP_NS (300 * (ns_t)MILLISECOND_NS)

/* Maximum gap in a chain: connect() on Linux gives up after 127 s. */
#define MAX_GAP_NS (130 * (ns_t)SECOND_NS)

#define MIN_CHAINS 3 /* two agree by chance */
#define MAX_PARTS 8 /* maximum number of attempts in a chain */

struct candidate;

/* A connect that failed. */
struct attempt {
	const struct pending *pending;
	const struct timeline *timeline;
	struct candidate *candidate; /* the attempts that it belongs to */
	/* the next attempt of the chain, or the connect that ends it; both NULL if nothing follows */
	struct attempt *next;
	struct begin *end;
	struct attempt *moment; /* attempts at the same time count once, by the first one */
	bool follows; /* it is the next of another attempt */
	bool open; /* the run ended before its next SYN was due */
	bool undecided; /* the run ended before a connect could follow */
	bool hit; /* a connect follows within the span that is measured */
	bool counts; /* a connect follows, or could follow before the run ended */
};

/* The beginning of a connect of a host: established, or failed. */
struct begin {
	ns_t t;
	const struct endpoint *to;
	const struct recent *recent; /* NULL if it failed */
	struct attempt *attempt; /* NULL if it was established */
	bool explained; /* a finding explains it: it follows no other attempt */
};

/* The begins of a host, sorted by time. */
struct rhythm {
	struct begin *at;
	size_t count;
	size_t peers; /* peers that the host tried in vain */
};

/* A connect that began after an attempt of the same host. */
struct successor {
	struct attempt *after;
	struct begin *begin;
	ns_t t; /* time from SYN to SYN */
};

/* Successors at nearly the same time after their attempts. */
struct span {
	size_t first; /* index in sequence.at, which is sorted by that time */
	size_t count;
	ns_t low;
	ns_t high;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	size_t attempts; /* attempts with such a successor; those at the same time count once */
	size_t tried; /* attempts that such a successor could follow before the run ended */
	/* probabilities that the host's own rhythm puts a connect there, and that the delays agree */
	double chance_of_starts;
	double chance_of_ends;
	double share; /* share of moments that the rhythm puts a connect after */
	size_t peers; /* peers that a host tried, at most */
	bool counts_failed; /* the successors may be failed attempts */
	bool periodic; /* the attempts of a host come at regular intervals */
	bool own_rhythm; /* the successors of a host come at intervals as constant as the delay */
	bool ambiguous; /* the delay since the connect before the attempt is as constant */
	bool unsteady; /* it is more constant, or the delays are too different for a timer */
	bool late; /* the attempts had ended before */
	bool continues; /* most attempts go on after it */
};

/* The attempts at one peer, or all IPv6 attempts. */
struct candidate {
	struct attempt **at; /* sorted by host and time */
	size_t count;
	const struct peer *peer; /* NULL for all IPv6 attempts */
	struct span span;
	bool linked; /* the span is no chance */
	size_t group; /* index of a candidate of the same chains */
};

/* All successors of a candidate; the memory is used for one after another. */
struct sequence {
	const struct context *g;
	const struct rhythm *rhythms; /* one for each timeline of g */
	struct successor *at;
	ns_t *times; /* scratch memory */
	size_t count;
	size_t room; /* capacity of both */
	struct attempt **moments; /* attempts that can have a successor, one for each moment */
	size_t moment_count;
	const struct endpoint *to; /* the peer of the attempts; NULL for all IPv6 attempts */
	bool ipv6;
	bool counts_failed; /* failed attempts count as successors */
	bool late; /* connects count that follow long after the end of an attempt */
};

/* Consecutive attempts of a host, and the connect that ended the wait. */
struct chain {
	struct attempt *parts[MAX_PARTS];
	size_t count;
	struct begin *end;
	ns_t total; /* from the first SYN of the first part to the SYN of the connect */
};

/* The chains of a group of candidates. */
struct chains {
	struct chain *at; /* the complete ones, sorted by host and time; those of one moment once */
	size_t count;
	size_t tried; /* all that could be complete before the run ended */
	size_t undecided[MAX_PARTS + 1]; /* the others, by their number of parts */
	bool ipv6;
	struct span span; /* of one part: the worst of all candidates */
};

static inline const struct rhythm *rhythm_of(const struct sequence *f, const struct timeline *t)
{
	return &f->rhythms[t - f->g->timelines];
}

/*
 * Fills in the rhythms of the hosts of these attempts, which are sorted by host. They share the
 * array of begins, which has room for all of them.
 */
void fill_rhythms(const struct context *g, struct rhythm *rhythms, struct begin *begins,
		  struct attempt *failed, size_t n);

/* Returns the index of the first begin at this time or later. */
size_t rhythm_find(const struct rhythm *r, ns_t t);

/* Returns the time since which all connects are known that may follow the attempt; or NEVER. */
ns_t known_since(const struct attempt *a, bool ipv6);

/* Returns true if the begin counts for the sequence at all. */
bool counts_as_successor(const struct sequence *f, const struct begin *b);

/* Returns true if the client of the attempt may have tried this server, or address, next. */
bool may_follow(const struct attempt *a, const struct begin *b, bool ipv6);

/* Fills in both chances, and what else speaks against the span. */
void judge_span(struct sequence *f, struct span *s);

double chance_of_starts(const struct span *s, size_t followed, size_t tried, double share);
double chance_of_ends(ns_t width, ns_t median, size_t followed, size_t tried, double connects);

/* Returns true if both chances, and the spread, allow a finding. */
bool is_span_sufficient(const struct span *s, bool ipv6);

/* Links the attempts of all candidates, and reports each group of chains. */
void report_chains(struct context *g, const struct sequence *f, struct candidate *candidates,
		   size_t count, struct attempt *attempts, size_t attempt_count);

/* Creates the finding, and marks the connects that it explains. */
void report_chain(struct context *g, const struct chains *c);
