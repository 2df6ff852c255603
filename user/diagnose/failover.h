/* SPDX-License-Identifier: GPL-2.0 */
/* Chains of failed attempts and the connections that follow them. Private to the failover cause. */
#pragma once

#include "diagnose/finding.h"
#include "lib/hash.h"

/* An attempt that failed, with the timeline of its host. */
struct attempt {
	const struct pending *pending;
	const struct timeline *timeline;
};

/* A connection that began after a failed attempt of the same host. */
struct successor {
	struct attempt after;
	const struct recent *recent;
	ns_t t; /* from SYN to SYN */
};

/* A connection that a finding explains: it cannot be another attempt's successor. */
struct explained_recent {
	const struct recent *recent;
	UT_hash_handle hh;
};

/* The successors of the attempts at one peer, or of all IPv6 attempts. */
struct sequence {
	struct successor *at;
	ns_t *times; /* scratch memory, of the same length */
	size_t count;
	size_t room; /* of both */
	size_t attempts; /* that could have a successor; those of one moment count once */
	size_t pendings; /* that could have a successor, all of them */
	struct attempt last; /* of these */
	double rate; /* connections a second that could follow by chance */
	const struct peer *peer; /* NULL: all of IPv6 */
	struct explained_recent *explained; /* by all findings so far */
};

/* Successors at nearly the same distance from their attempts, sorted by it. */
struct span {
	size_t first; /* in sequence.at */
	size_t count;
	size_t attempts;
	size_t hosts;
	size_t destinations;
	ns_t median;
	ns_t deviation;
	double chance;
	bool periodic; /* the attempts of a host come at regular intervals */
	const struct endpoint *destination; /* the most frequent one */
	size_t to_destination; /* successors with that destination */
};

bool is_successor_explained(const struct sequence *f, const struct recent *recent);

/* Makes the finding, and marks the successors that it explains. */
void report_chain(struct context *g, struct sequence *f, const struct span *s);
