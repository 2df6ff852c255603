/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model's tables: lookup, insertion and eviction. Private to the model. Functions that insert
 * return NULL when out of memory, and count the loss in model.dropped_details.
 */
#pragma once

#include "model/model.h"

/* Frees all elements of all tables. */
void store_free(struct model *m);

struct client *store_client(struct model *m, const struct connection *c);

/* Returns the client that asks. Its first SYN is NEVER until it connects. */
struct client *store_asker(struct model *m, const struct dns_packet *p);

struct peer *store_peer(struct model *m, const struct endpoint *server);

/* A pair's hash depends on those of its client and peer, so that it is known without finding them. */
static inline uint32_t pair_hash(uint32_t client, uint32_t peer)
{
	const uint32_t both[] = { client, peer };

	return keyed_hash(both, sizeof(both));
}

struct pair *store_pair(struct model *m, struct client *client, struct peer *peer);

/* See model_soon(). */
void store_soon(const struct model *m, const struct connection *c, enum soon soon);

/* Returns the peer's anomalies. Allocates them on the first call. */
struct anomalies *store_anomalies(struct model *m, struct peer *p);

/*
 * Counts a failure of the pair; pairs without a failure are evicted first. Returns true if it is
 * the pair's first failure.
 */
bool store_pair_failed(struct model *m, struct pair *pair);
void store_peer_verified(struct model *m, struct peer *peer);

/* Store a copy. A stall without a client is counted as dropped. */
void store_stall(struct model *m, const struct stall *stall);
/* Returns the stored copy, or NULL if there is no memory. */
struct pending *store_pending(struct model *m, struct client *client,
			      const struct pending *pending);

/* Returns the next element of the client's ring of recent connections; NULL if it has no ring. */
struct recent *store_recent(struct model *m, struct client *client);

/* An opening connection whose wait was reported, or may be. */
struct opening {
	struct {
		struct endpoint client;
		struct endpoint server;
		ns_t syn;
	} which;
	uint64_t sweep; /* the last sweep that showed the connection */
	bool reported_waiting;
	bool has_lost; /* a sibling was served, see model/siblings.h */
	ns_t syn_last; /* with has_lost: the client's last SYN at that time */
	UT_hash_handle hh;
};

/*
 * Looks up an opening connection. Returns NULL if it is not stored and either add is false or there
 * is no room.
 */
struct opening *store_opening(struct model *m, const struct connection *c, bool add);
void store_remove_opening(struct model *m, struct opening *o);
