/* SPDX-License-Identifier: GPL-2.0 */
/* Finds cells of the filter that are not zero: none may remain after all flows have settled. */
#pragma once

#include "flow_filter.h"

static inline unsigned int lanes_held(const struct flow_filter *t)
{
	unsigned int held = 0;
	size_t i;

	for (i = 0; i < sizeof(t->words) / sizeof(*t->words); i++)
		held += !!t->words[i];
	return held;
}
