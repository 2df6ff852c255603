// SPDX-License-Identifier: GPL-2.0
#include "model/siblings.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/prefetch.h"

#define MAX_ENTRIES (1 << 15) /* about 8 MiB */
#define LATEST 8 /* served connects remembered for each client and port */

/*
 * Time by which the winner's first SYN may precede or follow the loser's. A client that tries the
 * next address only after a second has waited, which is a fail-over (RFC 8305 8 recommends 0.25 s).
 */
#define EARLIER_NS (2500 * (ns_t)MILLISECOND_NS)
#define LATER_NS SECOND_NS

/* Maximum time after the winner's answer at which a loser's last SYN may have been on its way. */
#define STOP_NS (500 * (ns_t)MILLISECOND_NS)

struct served {
	ns_t syn;
	ns_t answered;
};

/* With has_mac, name is a MAC address, else an IP address. */
struct sibling_key {
	struct address name;
	uint16_t port;
	bool has_mac;
	uint8_t zero;
};

struct siblings_of {
	struct sibling_key key;
	struct served latest[LATEST];
	uint32_t count;
	/* with has_mac: the last two addresses of IPv4; more than two are behind a router */
	struct address ip4[2];
	bool is_router;
	UT_hash_handle hh;
};

struct siblings {
	struct siblings_of *entries; /* the oldest first, as uthash keeps the order of insertion */
};

struct siblings *siblings_new(void)
{
	return calloc(1, sizeof(struct siblings));
}

static void remove_entry(struct siblings *s, struct siblings_of *e)
{
	HASH_DEL(s->entries, e);
	free(e);
}

void siblings_free(struct siblings *s)
{
	if (!s)
		return;
	while (s->entries)
		remove_entry(s, s->entries);
	free(s);
}

static void key_of(struct sibling_key *key, const struct connection *c, bool by_mac)
{
	memset(key, 0, sizeof(*key));
	key->port = c->server.port;
	key->has_mac = by_mac;
	if (by_mac)
		memcpy(&key->name, c->mac, sizeof(c->mac));
	else
		key->name = c->client.address;
}

void siblings_soon(const struct siblings *s, const struct connection *c, enum soon soon)
{
	const struct siblings_of *e;
	struct sibling_key key;
	uint32_t hash;
	int by_mac;

	for (by_mac = 0; by_mac < (c->has_mac ? 2 : 1) && soon != SOON_NEXT; by_mac++) {
		key_of(&key, c, by_mac);
		hash = keyed_hash(&key, sizeof(key));
		if (soon == SOON_THIRD) {
			HASH_PREFETCH(s->entries, hash);
			continue;
		}
		HASH_FIRST(s->entries, hash, e);
		prefetch(e, sizeof(*e));
	}
}

static struct siblings_of *find(struct siblings *s, const struct connection *c, bool by_mac)
{
	struct sibling_key key;
	struct siblings_of *e;

	key_of(&key, c, by_mac);
	HASH_FIND(hh, s->entries, &key, sizeof(key), e);
	return e;
}

/* Returns the entry, or NULL when out of memory. */
static struct siblings_of *find_or_add(struct siblings *s, const struct connection *c, bool by_mac)
{
	struct siblings_of *e = find(s, c, by_mac);
	struct sibling_key key;

	if (e)
		return e;
	if (HASH_COUNT(s->entries) >= MAX_ENTRIES)
		remove_entry(s, s->entries);
	key_of(&key, c, by_mac);
	ADD_NEW(s->entries, key, key, e);
	return e;
}

static void note_address(struct siblings_of *e, const struct address *a)
{
	static const struct address none;
	int i;

	for (i = 0; i < 2; i++) {
		if (!memcmp(&e->ip4[i], a, sizeof(*a)))
			return;
		if (!memcmp(&e->ip4[i], &none, sizeof(none))) {
			e->ip4[i] = *a;
			return;
		}
	}
	e->is_router = true;
}

static void add(struct siblings *s, const struct connection *c, bool by_mac)
{
	struct siblings_of *e = find_or_add(s, c, by_mac);

	if (!e)
		return;
	e->latest[e->count++ % LATEST] = (struct served){ c->syn, c->server_first };
	if (by_mac && is_ip4(&c->client.address))
		note_address(e, &c->client.address);
}

void siblings_add_served(struct siblings *s, const struct connection *c)
{
	add(s, c, false);
	if (c->has_mac)
		add(s, c, true);
}

static bool has_winner(const struct siblings_of *e, const struct connection *c)
{
	unsigned int i, n;

	if (!e || e->is_router)
		return false;
	n = e->count < LATEST ? e->count : LATEST;
	for (i = 0; i < n; i++) {
		ns_t apart = e->latest[i].syn - c->syn;

		if (apart >= -EARLIER_NS && apart < (ns_t)LATER_NS &&
		    c->syn_last <= e->latest[i].answered + STOP_NS)
			return true;
	}
	return false;
}

bool siblings_have_won(struct siblings *s, const struct connection *c)
{
	return has_winner(find(s, c, false), c) || (c->has_mac && has_winner(find(s, c, true), c));
}
