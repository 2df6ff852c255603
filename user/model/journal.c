// SPDX-License-Identifier: GPL-2.0
#include "model/journal.h"

#include <stdlib.h>

#include "lib/prefetch.h"

static const size_t max_entries[JOURNAL_CLASSES] = {
	[JOURNAL_SERVED] = MAX_SERVED,
	[JOURNAL_FAILED] = MAX_NOT_SERVED,
	[JOURNAL_UNVERIFIED] = MAX_NOT_SERVED,
};

/* Returns the element for the next entry: a new one, or else the oldest. NULL without any memory. */
static struct journal_entry *next_entry(struct journal_ring *ring, size_t max)
{
	size_t room = ring->room ? 2 * ring->room : 64;
	struct journal_entry *grown;

	if (ring->count == ring->room && room <= max) {
		grown = realloc(ring->at, room * sizeof(*grown));
		if (grown) {
			ring->at = grown;
			ring->room = room;
		}
	}
	if (ring->count < ring->room && !ring->dropped)
		return &ring->at[ring->count++];
	ring->dropped++;
	if (!ring->count)
		return NULL;
	if (ring->next >= ring->count)
		ring->next = 0;
	return &ring->at[ring->next++];
}

bool journal_add(struct journal *j, enum journal_class class, const struct connection *c,
		 struct ledger_entry entry)
{
	uint64_t dropped = j->rings[class].dropped;
	struct journal_entry *e = next_entry(&j->rings[class], max_entries[class]);

	if (!e)
		return false;
	e->c = *c;
	e->entry = entry;
	prefetch(e + 1, sizeof(*e)); /* most likely the next one */
	return j->rings[class].dropped == dropped;
}

void journal_free(struct journal *j)
{
	int i;

	for (i = 0; i < JOURNAL_CLASSES; i++)
		free(j->rings[i].at);
}

size_t journal_count(const struct journal *j)
{
	size_t n = 0;
	int i;

	for (i = 0; i < JOURNAL_CLASSES; i++)
		n += j->rings[i].count;
	return n;
}
