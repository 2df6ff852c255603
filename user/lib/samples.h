/* SPDX-License-Identifier: GPL-2.0 */
/* The latest few durations of a kind: enough for a median, in fixed memory. */
#pragma once

#include <stdint.h>

#include "connection.h"

#define SAMPLES 8

struct samples {
	ns_t at[SAMPLES]; /* a ring */
	uint32_t count; /* of all durations that were added, kept or not */
};

/* Overwrites the oldest duration when the ring is full. Ignores NEVER. */
void samples_add(struct samples *s, ns_t duration);

/* The median of the durations that are kept; NEVER when there is none. */
ns_t samples_median(const struct samples *s);
