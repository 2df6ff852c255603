/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the two files of the failover cause: failed attempts and the connections that follow
 * them.
 */
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
	ns_t t; /* time from SYN to SYN */
};

/* A connection that a finding explains: it cannot be another attempt's successor. */
struct explained_recent {
	const struct recent *recent;
	UT_hash_handle hh;
};

/* The successors of all attempts at one peer, or of all IPv6 attempts. */
struct sequence {
	struct successor *at;
	ns_t *times; /* scratch memory, of the same length */
	size_t count;
	size_t room; /* capacity of both */
	/* attempts that can have a successor; attempts at the same time count once */
	size_t attempts;
	size_t pendings; /* all pending operations that can have a successor */
	struct attempt last; /* the last attempt that was counted */
	double rate; /* connections a second that may follow by chance */
	const struct peer *peer; /* NULL for all IPv6 attempts */
	/* hash of the connections explained by all findings so far */
	struct explained_recent *explained;
};

/* Successors at nearly the same time after their attempts, sorted by that time. */
struct span {
	size_t first; /* index in sequence.at */
	size_t count;
	size_t attempts;
	size_t hosts;
	size_t destinations;
	ns_t median;
	ns_t deviation;
	double chance;
	bool periodic; /* the attempts of a host come at regular intervals */
	const struct endpoint *destination; /* the most frequent destination */
	size_t to_destination; /* successors with that destination */
};

bool is_successor_explained(const struct sequence *f, const struct recent *recent);

/* Creates the finding, and marks the successors that it explains. */
void report_chain(struct context *g, struct sequence *f, const struct span *s);
