/* SPDX-License-Identifier: GPL-2.0 */
/* Looks up the findings of a diagnosis, for unit tests. */
#pragma once

#include <string.h>

#include "diagnose/diagnose.h"

/* Returns the first finding of this kind, or NULL. */
static inline const struct finding *find_kind(const struct diagnosis *d, enum finding_kind kind)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->at[i].kind == kind)
			return &d->at[i];
	return NULL;
}

/*
 * Returns true if a line of the finding with this label has these words; without a label, if any
 * line or the headline has them.
 */
static inline bool says(const struct finding *f, const char *label, const char *words)
{
	size_t i;

	for (i = 0; i < f->line_count; i++)
		if ((!label || !strcmp(f->lines[i].label, label)) &&
		    strstr(f->lines[i].text, words))
			return true;
	return !label && strstr(f->text, words);
}

/* f may be NULL: there is no such finding */
static inline bool mentions(const struct finding *f, const char *words)
{
	return f && says(f, NULL, words);
}

static inline bool has_line(const struct finding *f, const char *label)
{
	size_t i;

	for (i = 0; i < f->line_count; i++)
		if (!strcmp(f->lines[i].label, label))
			return true;
	return false;
}
