// SPDX-License-Identifier: GPL-2.0
/* The names by which clients know addresses, and the lookups whose answers named them. */
#include <stdlib.h>

#include "model/names_internal.h"

void name_addresses_init(struct name_addresses *a)
{
	TAILQ_INIT(&a->by_use);
}

static void forget(struct name_addresses *a, struct named_address *e)
{
	TAILQ_REMOVE(&a->by_use, e, by_use);
	HASH_DEL(a->at, e);
	free(e);
}

void name_addresses_free(struct name_addresses *a)
{
	while (a->at)
		forget(a, a->at);
}

static struct named_address *find(const struct name_addresses *a, const struct knower *by,
				  const struct address *address)
{
	struct named_key who = { *by, *address };
	struct named_address *e;

	HASH_FIND(hh, a->at, &who, sizeof(who), e);
	return e;
}

const struct named_address *name_addresses_find(const struct name_addresses *a,
						const struct client_key *client,
						const struct address *address)
{
	struct knower by = {};

	if (client)
		by.client = *client;
	return find(a, &by, address);
}

static struct knower host_of(const struct client_key *client, const uint8_t mac[6])
{
	struct knower by = { .client.vlan = { client->vlan[0], client->vlan[1] }, .is_mac = true };

	memcpy(by.mac, mac, sizeof(by.mac));
	return by;
}

const struct named_address *name_addresses_find_host(const struct name_addresses *a,
						     const struct connection *c)
{
	struct client_key client = client_key_of(&c->client);
	struct knower by = host_of(&client, c->mac);
	const struct named_address *e = c->has_mac ? find(a, &by, &c->server.address) : NULL;

	/* an IPv4 host has one address, so that another one is another host behind a router */
	return e && !e->is_shared && !(is_ip4(&c->client.address) && e->asked_by[true].word[3])
		       ? e
		       : NULL;
}

/* Puts a number at the front of a list of different ones. */
#define PUT_FIRST(list, count, number)                                           \
	do {                                                                     \
		unsigned int at_;                                                \
                                                                                 \
		for (at_ = 0; at_ < (count)-1 && (list)[at_] != (number); at_++) \
			;                                                        \
		memmove((list) + 1, (list), at_ * sizeof(*(list)));              \
		(list)[0] = (number);                                            \
	} while (0)

/* Returns the entry, as the one used last; NULL when out of memory. */
static struct named_address *add(struct name_addresses *a, const struct knower *by,
				 const struct address *address, const struct kept *lookup)
{
	struct named_address *e = find(a, by, address);
	struct named_key who = { *by, *address };

	if (e) {
		TAILQ_REMOVE(&a->by_use, e, by_use);
	} else {
		ADD_NEW(a->at, who, who, e);
		if (!e)
			return NULL;
	}
	TAILQ_INSERT_TAIL(&a->by_use, e, by_use);
	PUT_FIRST(e->names, ADDRESS_NAMES, lookup->l.name);
	PUT_FIRST(e->lookups, ADDRESS_LOOKUPS, lookup->number);
	if (HASH_COUNT(a->at) > MAX_NAMED_ADDRESSES)
		forget(a, TAILQ_FIRST(&a->by_use));
	return e;
}

static void note_asker(struct named_address *e, const struct address *client)
{
	struct address *asked_by = &e->asked_by[is_ip4(client)];

	e->is_shared |= asked_by->word[3] && memcmp(asked_by, client, sizeof(*client));
	*asked_by = *client;
}

void name_addresses_add(struct name_addresses *a, const struct address *address,
			const struct kept *lookup)
{
	struct knower by = { .client = lookup->l.client };
	struct named_address *e;

	add(a, &by, address, lookup);
	if (lookup->has_mac) {
		by = host_of(&lookup->l.client, lookup->mac);
		e = add(a, &by, address, lookup);
		if (e)
			note_asker(e, &lookup->l.client.address);
	}
	if (lookup->l.name)
		add(a, &(struct knower){}, address, lookup);
}
