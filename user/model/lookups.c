// SPDX-License-Identifier: GPL-2.0
/*
 * The kept lookups: a ring with hash indexes. The hash has a secret, so chains stay short whatever
 * clients choose.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "lib/hash_bytes.h"
#include "model/names_internal.h"

bool lookups_init(struct lookups *k)
{
	TAILQ_INIT(&k->followed);
	k->oldest = k->next = 1;
	return getrandom(&k->secret, sizeof(k->secret), 0) == sizeof(k->secret);
}

void lookups_free(struct lookups *k)
{
	size_t i;

	for (i = 0; i < LOOKUP_CHUNKS; i++)
		free(k->chunks[i]);
}

static struct kept *in_slot(const struct lookups *k, size_t slot)
{
	return &k->chunks[slot / LOOKUP_CHUNK][slot % LOOKUP_CHUNK];
}

static size_t slot_of(uint64_t number)
{
	return number % MAX_LOOKUPS;
}

struct kept *lookups_at(const struct lookups *k, uint64_t number)
{
	return number && number >= k->oldest && number < k->next ? in_slot(k, slot_of(number))
								 : NULL;
}

/* ---- indexes ---- */

/* Like hash_bytes(), but by words, and with the secret: this is most of the work for a packet. */
static uint32_t hash_of(const struct lookups *k, const struct index_key *key)
{
	uint64_t words[sizeof(*key) / sizeof(uint64_t)], hash = k->secret;
	size_t i;

	memcpy(words, key, sizeof(words));
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash;
}

static struct kept *find(const struct lookups *k, enum lookup_index index,
			 const struct index_key *key, uint32_t hash)
{
	uint32_t at = k->buckets[index][hash % MAX_LOOKUPS];
	const struct index_link *link;
	struct kept *lookup;

	for (; at; at = link->next) {
		link = &k->links[index][at - 1];
		if (link->hash != hash)
			continue;
		lookup = in_slot(k, at - 1);
		if (!memcmp(&lookup->key[index], key, sizeof(*key)))
			return lookup;
	}
	return NULL;
}

struct kept *lookups_find(const struct lookups *k, enum lookup_index index,
			  const struct index_key *key)
{
	return find(k, index, key, hash_of(k, key));
}

static void remove_from(struct lookups *k, enum lookup_index index, struct kept *lookup)
{
	size_t slot = slot_of(lookup->number);
	struct index_link *links = k->links[index];
	uint32_t *at = &k->buckets[index][links[slot].hash % MAX_LOOKUPS];

	if (!lookup->indexed[index])
		return;
	while (*at && *at != slot + 1)
		at = &links[*at - 1].next;
	*at = links[slot].next;
	lookup->indexed[index] = false;
}

void lookups_set(struct lookups *k, enum lookup_index index, struct kept *lookup,
		 const struct index_key *key)
{
	uint32_t hash = hash_of(k, key), slot = slot_of(lookup->number);
	struct kept *old = find(k, index, key, hash);
	uint32_t *bucket = &k->buckets[index][hash % MAX_LOOKUPS];

	if (old == lookup)
		return;
	if (old)
		remove_from(k, index, old);
	remove_from(k, index, lookup);
	lookup->key[index] = *key;
	lookup->indexed[index] = true;
	k->links[index][slot] = (struct index_link){ .next = *bucket, .hash = hash };
	*bucket = slot + 1;
}

/* ---- the ring ---- */

static void forget(struct lookups *k, struct kept *lookup)
{
	enum lookup_index i;

	for (i = 0; i < LOOKUP_INDEXES; i++)
		remove_from(k, i, lookup);
	if (lookup->is_followed)
		TAILQ_REMOVE(&k->followed, lookup, by_try);
}

struct kept *lookups_add(struct lookups *k, bool *forgot)
{
	struct kept **chunk = &k->chunks[slot_of(k->next) / LOOKUP_CHUNK];
	struct kept *lookup;

	*forgot = false;
	if (!*chunk)
		*chunk = calloc(LOOKUP_CHUNK, sizeof(**chunk));
	if (!*chunk)
		return NULL;
	lookup = in_slot(k, slot_of(k->next));
	if (k->next - k->oldest == MAX_LOOKUPS) {
		*forgot = true;
		forget(k, lookup);
		k->oldest++;
	}
	memset(lookup, 0, sizeof(*lookup));
	lookup->number = k->next++;
	return lookup;
}

/* ---- keys ---- */

static struct index_key client_part(const struct client_key *client)
{
	return (struct index_key){ .address = client->address,
				   .vlan = { client->vlan[0], client->vlan[1] } };
}

struct index_key question_key(const struct client_key *client, uint32_t name, uint16_t type,
			      uint32_t cut)
{
	struct index_key key = client_part(client);

	key.part[0] = name;
	key.part[1] = type;
	key.part[2] = cut;
	return key;
}

struct index_key name_key(const struct client_key *client, uint32_t name)
{
	struct index_key key = client_part(client);

	key.part[0] = name;
	return key;
}

struct index_key packet_key(const struct endpoint *server, uint16_t id, uint32_t name,
			    uint16_t type)
{
	return (struct index_key){ .address = server->address,
				   .part = { name, (uint32_t)type << 16 | id, server->port } };
}

struct index_key ports_key(const struct endpoint *client, const struct endpoint *server)
{
	struct client_key c = client_key_of(client);
	struct index_key key = client_part(&c);
	uint64_t address = hash_bytes(&server->address, sizeof(server->address));

	key.part[0] = (uint32_t)server->port << 16 | client->port;
	memcpy(&key.part[1], &address, sizeof(address));
	return key;
}

struct index_key label_key(const struct client_key *client, const struct dns_name *name)
{
	struct index_key key = client_part(client);
	uint64_t label = name->length ? hash_bytes(name->wire, name->wire[0] + 1) : 0;

	memcpy(key.part, &label, sizeof(label));
	return key;
}
