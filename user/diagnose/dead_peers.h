/* SPDX-License-Identifier: GPL-2.0 */
/* Peers that fail with something in common. Private to the cause dead peers. */
#pragma once

#include "diagnose/finding.h"

struct failing {
	const struct peer *peer;
	struct timeline *only; /* of the only host that tried it in vain; NULL: there are several */
	bool grouped; /* reported together with others */
	bool proven; /* by more than single SYNs */
};

/* A list of failing peers with something in common. */
struct failing_list {
	struct failing *at;
	size_t count;
};

/* It answers nobody any more, whether it did before or not. */
bool is_silent(const struct peer *p);

/* Attempts that it certainly did not answer. */
uint64_t unanswered(const struct peer *p);

/* Returns NULL if several hosts tried the peer in vain. */
struct timeline *only_host(const struct context *g, const struct peer *p);

/*
 * Reports hosts that try very many failing peers which nobody else tries: a scan, or peer-to-peer
 * software. Removes those peers from the list.
 */
void report_scanners(struct context *g, struct failing_list *list, enum finding_kind kind);

/* Reports the prefix, or else the port, that this peer fails with, and marks the peers as grouped. */
void report_prefix(struct context *g, struct failing_list *list, const struct peer *p);
void report_port(struct context *g, struct failing_list *list, const struct peer *p);
