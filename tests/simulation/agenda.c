// SPDX-License-Identifier: GPL-2.0
#include "agenda.h"

#include "scenario.h"

static bool is_earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void agenda_add(struct agenda *agenda, ns_t at, enum event_kind kind, uint32_t a, uint32_t b)
{
	struct event new = { .at = at, .order = agenda->order++, .kind = kind, .a = a, .b = b };
	size_t i, up;

	GROW(agenda->at, agenda->count, agenda->room);
	for (i = agenda->count++; i; i = up) {
		up = (i - 1) / 2;
		if (!is_earlier(&new, &agenda->at[up]))
			break;
		agenda->at[i] = agenda->at[up];
	}
	agenda->at[i] = new;
}

bool agenda_next(struct agenda *agenda, struct event *next)
{
	struct event last;
	size_t i, down;

	if (!agenda->count)
		return false;
	*next = agenda->at[0];
	last = agenda->at[--agenda->count];
	for (i = 0;; i = down) {
		down = 2 * i + 1;
		if (down >= agenda->count)
			break;
		if (down + 1 < agenda->count &&
		    is_earlier(&agenda->at[down + 1], &agenda->at[down]))
			down++;
		if (!is_earlier(&agenda->at[down], &last))
			break;
		agenda->at[i] = agenda->at[down];
	}
	agenda->at[i] = last;
	return true;
}
