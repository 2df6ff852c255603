/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the two files of the cause dead peers: peers that fail for a common reason. */
#pragma once

#include "diagnose/finding.h"

struct failing {
	const struct peer *peer;
	/* timeline of the only host that tried the peer in vain; NULL if there are several hosts */
	struct timeline *only;
	bool grouped; /* reported in a finding about several peers */
	bool proven; /* the failure is proven by more than single SYNs */
};

/* A list of failing peers. */
struct failing_list {
	struct failing *at;
	size_t count;
};

/* Returns true if the peer answers no client any longer, whether it did before or not. */
bool is_silent(const struct peer *p);

/* Returns the number of attempts that the peer certainly did not answer. */
uint64_t unanswered(const struct peer *p);

/*
 * Returns the timeline of the only host that tried the peer in vain, or NULL if there are several.
 */
struct timeline *only_host(const struct context *g, const struct peer *p);

/*
 * Reports hosts that try very many failing peers which no other host tries: a scan, or peer-to-peer
 * software. Removes these peers from the list.
 */
void report_scanners(struct context *g, struct failing_list *list, enum finding_kind kind);

/*
 * Report the prefix, or else the port, that fails together with this peer, and mark its peers as
 * grouped.
 */
void report_prefix(struct context *g, struct failing_list *list, const struct peer *p);
void report_port(struct context *g, struct failing_list *list, const struct peer *p);
