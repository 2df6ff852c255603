// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers of names. A number is a slot plus a multiple of the number of slots, which grows each time
 * the slot gets another name: a number that was given never means another name.
 */
#include <stdlib.h>

#include "model/names_internal.h"

bool name_table_init(struct name_table *t)
{
	TAILQ_INIT(&t->by_use);
	t->slots = calloc(MAX_NAMES, sizeof(struct name_entry *));
	return t->slots;
}

void name_table_free(struct name_table *t)
{
	struct name_entry *e;

	while ((e = t->names)) {
		HASH_DEL(t->names, e);
		free(e);
	}
	free(t->slots);
}

static struct name_entry *find(const struct name_table *t, const struct dns_name *name)
{
	struct name_entry *e;

	HASH_FIND(hh, t->names, name->wire, name->length, e);
	return e;
}

uint32_t name_table_find(const struct name_table *t, const struct dns_name *name)
{
	struct name_entry *e = find(t, name);

	return e ? e->number : 0;
}

/* Returns a number for a new name, from the name that was not used for the longest time. */
static uint32_t free_number(struct name_table *t)
{
	struct name_entry *oldest = TAILQ_FIRST(&t->by_use);
	uint32_t number = t->unused;

	t->unused = 0;
	if (number)
		return number;
	if (t->given < MAX_NAMES)
		return ++t->given;
	number = oldest->number;
	TAILQ_REMOVE(&t->by_use, oldest, by_use);
	HASH_DEL(t->names, oldest);
	t->slots[(number - 1) % MAX_NAMES] = NULL;
	free(oldest);
	return number > UINT32_MAX - MAX_NAMES ? (number - 1) % MAX_NAMES + 1 : number + MAX_NAMES;
}

uint32_t name_table_add(struct name_table *t, const struct dns_name *name)
{
	struct name_entry *e = find(t, name);

	if (e) {
		TAILQ_REMOVE(&t->by_use, e, by_use);
		TAILQ_INSERT_TAIL(&t->by_use, e, by_use);
		return e->number;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return 0;
	e->name = *name;
	e->number = free_number(t);
	HASH_ADD_KEYPTR(hh, t->names, e->name.wire, e->name.length, e);
	if (!e->hh.tbl) {
		t->unused = e->number;
		free(e);
		return 0;
	}
	TAILQ_INSERT_TAIL(&t->by_use, e, by_use);
	t->slots[(e->number - 1) % MAX_NAMES] = e;
	return e->number;
}

const struct dns_name *name_table_name(const struct name_table *t, uint32_t number)
{
	static const struct dns_name none;
	const struct name_entry *e = number ? t->slots[(number - 1) % MAX_NAMES] : NULL;

	return e && e->number == number ? &e->name : &none;
}
