/* SPDX-License-Identifier: GPL-2.0 */
/* Which lanes hold openings? None may, once all flows have settled. */
#pragma once

#include "line.h"

static inline unsigned int lanes_held(const struct traces *t)
{
	unsigned int held = 0;
	size_t i, j;

	for (i = 0; i < sizeof(t->lanes) / sizeof(*t->lanes); i++)
		held += !!t->lanes[i];
	for (i = 0; i < LINES; i++)
		for (j = 0; j < sizeof(t->lines[i].lanes) / sizeof(*t->lines[i].lanes); j++)
			held += !!t->lines[i].lanes[j];
	return held;
}
