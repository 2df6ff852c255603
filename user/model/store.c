// SPDX-License-Identifier: GPL-2.0
#include "model/store.h"

#include <stdlib.h>
#include <string.h>

#include "lib/prefetch.h"

/*
 * Returns the element to evict: the least recently used of list [false], or of list [true] if that
 * is empty.
 */
#define EVICTION_CANDIDATE(lists) \
	(TAILQ_EMPTY(&(lists)[false]) ? TAILQ_FIRST(&(lists)[true]) : TAILQ_FIRST(&(lists)[false]))

#define MOVE_TO_END(lists, element, from, to)                     \
	do {                                                      \
		TAILQ_REMOVE(&(lists)[from], element, by_use);    \
		TAILQ_INSERT_TAIL(&(lists)[to], element, by_use); \
	} while (0)

/* ---- removal ---- */

static void remove_stall(struct model *m, struct stall *s)
{
	TAILQ_REMOVE(&s->client->kept_stalls, s, of_client);
	TAILQ_REMOVE(&m->stalls, s, by_age);
	s->client->stall_room--;
	m->stalls_kept--;
	free(s);
}

static void remove_pending(struct model *m, struct pending *o)
{
	size_t i;

	for (i = 0; o->client->refusals && i < CLIENT_REFUSALS; i++)
		if (o->client->refusals[i].kept == o)
			o->client->refusals[i].kept = NULL;
	TAILQ_REMOVE(&o->client->pendings, o, of_client);
	TAILQ_REMOVE(&m->pendings, o, by_age);
	o->client->pending_room--;
	o->client->forgot_pending = true;
	m->pending_kept--;
	free(o);
}

static void remove_pair(struct model *m, struct pair *t)
{
	LIST_REMOVE(t, of_client);
	LIST_REMOVE(t, of_peer);
	TAILQ_REMOVE(&m->pairs_by_use[t->failures > 0], t, by_use);
	HASH_DEL(m->pairs, t);
	free(t);
}

static void remove_client(struct model *m, struct client *c)
{
	while (!TAILQ_EMPTY(&c->kept_stalls))
		remove_stall(m, TAILQ_FIRST(&c->kept_stalls));
	while (!TAILQ_EMPTY(&c->pendings))
		remove_pending(m, TAILQ_FIRST(&c->pendings));
	while (!LIST_EMPTY(&c->pairs))
		remove_pair(m, LIST_FIRST(&c->pairs));
	m->recent_kept -= c->recent != NULL;
	free(c->refusals);
	free(c->recent);
	TAILQ_REMOVE(&m->clients_by_use[c->verified], c, by_use);
	HASH_DEL(m->clients, c);
	free(c);
}

static void remove_peer(struct model *m, struct peer *p)
{
	while (!LIST_EMPTY(&p->pairs))
		remove_pair(m, LIST_FIRST(&p->pairs));
	m->anomalies_kept -= p->anomalies != NULL;
	m->failing_now -= p->reported != 0;
	free(p->anomalies);
	TAILQ_REMOVE(&m->peers_by_use[p->verified], p, by_use);
	HASH_DEL(m->peers, p);
	free(p);
}

void store_remove_opening(struct model *m, struct opening *o)
{
	HASH_DEL(m->openings, o);
	free(o);
}

void store_free(struct model *m)
{
	while (m->clients)
		remove_client(m, m->clients);
	while (m->peers)
		remove_peer(m, m->peers);
	while (m->openings)
		store_remove_opening(m, m->openings);
	free(m->idle.at);
}

/* ---- clients ---- */

/*
 * Adds a client. A client that replaces an evicted client inherits its number, so that numbers stay
 * dense.
 */
static struct client *add_client(struct model *m, const struct client_key *key)
{
	struct client *client, *oldest;

	ADD_NEW(m->clients, key, *key, client);
	if (!client) {
		m->dropped_details++;
		return NULL;
	}
	client->number = HASH_COUNT(m->clients) - 1;
	if (HASH_COUNT(m->clients) > MAX_CLIENTS) {
		oldest = EVICTION_CANDIDATE(m->clients_by_use);
		client->number = oldest->number;
		remove_client(m, oldest);
		m->dropped_details++;
	}
	client->worst_wait = client->last_served = NEVER;
	TAILQ_INIT(&client->kept_stalls);
	TAILQ_INIT(&client->pendings);
	LIST_INIT(&client->pairs);
	TAILQ_INSERT_TAIL(&m->clients_by_use[false], client, by_use);
	return client;
}

/* Traits are fixed by the first SYN: what follows may depend on what goes wrong. */
static void note_first_syn(struct client *client, const struct connection *c)
{
	client->first_syn = c->syn;
	client->syn_traits = c->syn_traits;
	client->way_out = c->forwarded_by ? c->forwarded_by : c->far.seen ? c->far.ifindex : 0;
}

struct client *store_asker(struct model *m, const struct dns_packet *p)
{
	struct client_key key = client_key_of(&p->client);
	struct client *client;

	HASH_FIND(hh, m->clients, &key, sizeof(key), client);
	if (!client) {
		client = add_client(m, &key);
		if (!client)
			return NULL;
		client->first_syn = NEVER;
	}
	MOVE_TO_END(m->clients_by_use, client, client->verified, client->verified);
	if (p->has_mac && !client->has_mac) {
		client->has_mac = true;
		memcpy(client->mac, p->mac, sizeof(p->mac));
	}
	return client;
}

struct client *store_client(struct model *m, const struct connection *c)
{
	struct client_key key = client_key_of(&c->client);
	bool verifies = c->outcome == OUTCOME_ESTABLISHED;
	struct client *client;

	HASH_FIND(hh, m->clients, &key, sizeof(key), client);
	if (!client) {
		client = add_client(m, &key);
		if (!client)
			return NULL;
		note_first_syn(client, c);
	}
	MOVE_TO_END(m->clients_by_use, client, client->verified, client->verified || verifies);
	client->verified |= verifies;
	if (client->first_syn == NEVER || c->syn < client->first_syn)
		note_first_syn(client, c);
	if (c->has_mac) {
		client->has_mac = true;
		memcpy(client->mac, c->mac, sizeof(c->mac));
	}
	return client;
}

/* ---- peers ---- */

struct peer *store_peer(struct model *m, const struct endpoint *server)
{
	struct peer *peer;

	HASH_FIND(hh, m->peers, server, sizeof(*server), peer);
	if (!peer) {
		if (HASH_COUNT(m->peers) >= MAX_PEERS) {
			remove_peer(m, EVICTION_CANDIDATE(m->peers_by_use));
			m->dropped_details++;
		}
		ADD_NEW(m->peers, server, *server, peer);
		if (!peer) {
			m->dropped_details++;
			return NULL;
		}
		peer->first_failure = peer->last_failure = NEVER;
		peer->first_answer = peer->last_answer = NEVER;
		peer->retracted = NEVER;
		LIST_INIT(&peer->pairs);
		TAILQ_INSERT_TAIL(&m->peers_by_use[false], peer, by_use);
	}
	MOVE_TO_END(m->peers_by_use, peer, peer->verified, peer->verified);
	return peer;
}

void store_peer_verified(struct model *m, struct peer *peer)
{
	MOVE_TO_END(m->peers_by_use, peer, peer->verified, true);
	peer->verified = true;
}

struct anomalies *store_anomalies(struct model *m, struct peer *p)
{
	if (!p->anomalies && m->anomalies_kept < MAX_ANOMALIES) {
		p->anomalies = calloc(1, sizeof(*p->anomalies));
		if (p->anomalies) {
			p->anomalies->worst_banner = NEVER;
			m->anomalies_kept++;
		}
	}
	m->dropped_details += !p->anomalies;
	return p->anomalies;
}

/* ---- pairs ---- */

struct pair *store_pair(struct model *m, struct client *client, struct peer *peer)
{
	struct pair_key who = { client, peer };
	uint32_t hash = pair_hash(client->hh.hashv, peer->hh.hashv);
	struct pair *pair;

	HASH_FIND_BYHASHVALUE(hh, m->pairs, &who, sizeof(who), hash, pair);
	if (!pair) {
		if (HASH_COUNT(m->pairs) >= MAX_PAIRS) {
			remove_pair(m, EVICTION_CANDIDATE(m->pairs_by_use));
			m->dropped_details++;
		}
		ADD_NEW_HASHED(m->pairs, who, who, hash, pair);
		if (!pair) {
			m->dropped_details++;
			return NULL;
		}
		LIST_INSERT_HEAD(&client->pairs, pair, of_client);
		LIST_INSERT_HEAD(&peer->pairs, pair, of_peer);
		TAILQ_INSERT_TAIL(&m->pairs_by_use[false], pair, by_use);
	}
	MOVE_TO_END(m->pairs_by_use, pair, pair->failures > 0, pair->failures > 0);
	return pair;
}

bool store_pair_failed(struct model *m, struct pair *pair)
{
	if (pair->failures++)
		return false;
	MOVE_TO_END(m->pairs_by_use, pair, false, true);
	return true;
}

/* ---- records to come ---- */

/* Loads what moving an element in its list of use writes to. */
#define PREFETCH_NEIGHBOURS(element)                                                      \
	do {                                                                              \
		__builtin_prefetch((element)->by_use.tqe_prev);                           \
		if ((element)->by_use.tqe_next)                                           \
			__builtin_prefetch(&(element)->by_use.tqe_next->by_use.tqe_prev); \
	} while (0)

void store_soon(const struct model *m, const struct connection *c, enum soon soon)
{
	struct client_key key = client_key_of(&c->client);
	uint32_t client_hash = keyed_hash(&key, sizeof(key));
	uint32_t peer_hash = keyed_hash(&c->server, sizeof(c->server));
	uint32_t hash = pair_hash(client_hash, peer_hash);
	const struct client *client;
	const struct peer *peer;
	const struct pair *pair;

	if (soon == SOON_THIRD) {
		HASH_PREFETCH(m->clients, client_hash);
		HASH_PREFETCH(m->peers, peer_hash);
		HASH_PREFETCH(m->pairs, hash);
		return;
	}
	HASH_FIRST(m->clients, client_hash, client);
	HASH_FIRST(m->peers, peer_hash, peer);
	HASH_FIRST(m->pairs, hash, pair);
	if (soon == SOON_SECOND) {
		prefetch(client, sizeof(*client));
		prefetch(peer, sizeof(*peer));
		prefetch(pair, sizeof(*pair));
		return;
	}
	if (client)
		PREFETCH_NEIGHBOURS(client);
	if (client && client->recent)
		prefetch(&client->recent[client->recent_count % RECENT], sizeof(*client->recent));
	if (peer)
		PREFETCH_NEIGHBOURS(peer);
	if (pair)
		PREFETCH_NEIGHBOURS(pair);
}

/* ---- details of clients ---- */

void store_stall(struct model *m, const struct stall *stall)
{
	struct client *client = stall->client;
	struct stall *kept;

	if (client && client->stall_room >= MAX_CLIENT_STALLS) {
		remove_stall(m, TAILQ_FIRST(&client->kept_stalls));
		m->dropped_details++;
	}
	if (client && m->stalls_kept >= MAX_STALLS) {
		remove_stall(m, TAILQ_FIRST(&m->stalls));
		m->dropped_details++;
	}
	kept = client ? malloc(sizeof(*kept)) : NULL;
	if (!kept) {
		m->dropped_details++;
		return;
	}
	*kept = *stall;
	TAILQ_INSERT_TAIL(&client->kept_stalls, kept, of_client);
	TAILQ_INSERT_TAIL(&m->stalls, kept, by_age);
	client->stall_room++;
	m->stalls_kept++;
}

struct pending *store_pending(struct model *m, struct client *client, const struct pending *pending)
{
	struct pending *kept;

	if (client->pending_room >= MAX_CLIENT_PENDING) {
		remove_pending(m, TAILQ_FIRST(&client->pendings));
		m->dropped_details++;
	}
	if (m->pending_kept >= MAX_PENDING_OPS) {
		remove_pending(m, TAILQ_FIRST(&m->pendings));
		m->dropped_details++;
	}
	kept = malloc(sizeof(*kept));
	if (!kept) {
		m->dropped_details++;
		return NULL;
	}
	*kept = *pending;
	kept->client = client;
	TAILQ_INSERT_TAIL(&client->pendings, kept, of_client);
	TAILQ_INSERT_TAIL(&m->pendings, kept, by_age);
	client->pending_room++;
	m->pending_kept++;
	return kept;
}

struct recent *store_recent(struct model *m, struct client *client)
{
	if (!client->recent && m->recent_kept < MAX_RECENT_CLIENTS) {
		client->recent = calloc(RECENT, sizeof(*client->recent));
		m->recent_kept += client->recent != NULL;
	}
	if (!client->recent)
		return NULL;
	return &client->recent[client->recent_count++ % RECENT];
}

/* ---- openings ---- */

struct opening *store_opening(struct model *m, const struct connection *c, bool add)
{
	struct opening wanted, *o;

	/* clears the padding, since the key is compared by its bytes */
	memset(&wanted, 0, sizeof(wanted));
	wanted.which.client = c->client;
	wanted.which.server = c->server;
	wanted.which.syn = c->syn;
	HASH_FIND(hh, m->openings, &wanted.which, sizeof(wanted.which), o);
	if (o || !add)
		return o;
	if (HASH_COUNT(m->openings) < MAX_OPENINGS)
		ADD_NEW(m->openings, which, wanted.which, o);
	m->dropped_details += !o;
	return o;
}
