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

const struct named_address *name_addresses_find(const struct name_addresses *a,
						const struct client_key *client,
						const struct address *address)
{
	struct named_address wanted = { .who.address = *address }, *e;

	if (client)
		wanted.who.client = *client;
	HASH_FIND(hh, a->at, &wanted.who, sizeof(wanted.who), e);
	return e;
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

static void add(struct name_addresses *a, const struct client_key *client,
		const struct address *address, const struct kept *lookup)
{
	struct named_address *e = (void *)name_addresses_find(a, client, address), wanted;

	if (e) {
		TAILQ_REMOVE(&a->by_use, e, by_use);
	} else {
		memset(&wanted, 0, sizeof(wanted));
		wanted.who.address = *address;
		if (client)
			wanted.who.client = *client;
		ADD_NEW(a->at, who, wanted.who, e);
		if (!e)
			return;
	}
	TAILQ_INSERT_TAIL(&a->by_use, e, by_use);
	PUT_FIRST(e->names, ADDRESS_NAMES, lookup->l.name);
	if (client)
		PUT_FIRST(e->lookups, ADDRESS_LOOKUPS, lookup->number);
	if (HASH_COUNT(a->at) > MAX_NAMED_ADDRESSES)
		forget(a, TAILQ_FIRST(&a->by_use));
}

void name_addresses_add(struct name_addresses *a, const struct address *address,
			const struct kept *lookup)
{
	add(a, &lookup->l.client, address, lookup);
	if (lookup->l.name)
		add(a, NULL, address, lookup);
}
