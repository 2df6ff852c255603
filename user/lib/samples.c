// SPDX-License-Identifier: GPL-2.0
#include "lib/samples.h"

#include <string.h>

#include "lib/statistics.h"

void samples_add(struct samples *s, ns_t duration)
{
	if (duration != NEVER)
		s->at[s->count++ % SAMPLES] = duration;
}

ns_t samples_median(const struct samples *s)
{
	size_t n = s->count < SAMPLES ? s->count : SAMPLES;
	ns_t sorted[SAMPLES];

	if (!n)
		return NEVER;
	memcpy(sorted, s->at, n * sizeof(*sorted));
	return median(sorted, n);
}
