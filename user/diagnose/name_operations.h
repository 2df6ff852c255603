/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lookups as pending operations: a stall, or a connect, may have waited for a name that has nothing
 * to do with its own server. A peer of such an operation is a resolver, or a zone at a resolver.
 */
#pragma once

#include "diagnose/zones.h"

/* The lookups of an episode at one peer. */
struct name_operation {
	struct pending pending;
	struct timeline *host;
	uint64_t episode;
	/* the SYN that used the answer, which so waited for it in its own name stage; or NEVER */
	ns_t syn;
};

/* A host that asked a peer while it did not answer. */
struct asker {
	const struct peer *peer;
	const struct timeline *host;
};

struct name_operations {
	struct name_operation *at; /* sorted by their start */
	size_t count;
	struct peer *peers; /* their peers, sorted by endpoint; not all members are filled in */
	size_t peer_count;
	struct asker *askers; /* sorted; a host may be there several times */
	size_t asker_count;
};

/*
 * Adds lookups that got no answer, failed after a time or were answered late to the timelines of
 * their hosts. Returns false when out of memory.
 */
bool name_operations_add(struct context *g);
void name_operations_free(struct context *g);

/* Returns the name operation with this pending operation, or NULL if it is an attempt. */
const struct name_operation *name_operation_of(const struct context *g, const struct pending *o);

/* Returns true if a name operation has this peer. */
bool is_name_peer(const struct context *g, const struct endpoint *e);

/* Like model_peer(), also for the peers of name operations. */
const struct peer *peer_of(const struct context *g, const struct endpoint *e);

/* Returns true if the host asked the resolver for names of this zone while it did not answer. */
bool has_asked(const struct context *g, const struct endpoint *e, const struct timeline *t);

/*
 * Returns true if the connect of the host that began then waited for the name of its server, so that
 * no other attempt held it back.
 */
bool waited_for_own_name(const struct timeline *t, ns_t syn, const struct endpoint *server);
