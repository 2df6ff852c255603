/* SPDX-License-Identifier: GPL-2.0 */
/* Keeps the latest durations of a kind: enough for a median, in constant memory. */
#pragma once

#include <stdint.h>

#include "connection.h"

#define SAMPLES 8

struct samples {
	ns_t at[SAMPLES]; /* ring buffer, in ns */
	uint32_t count; /* number of durations added, including those overwritten */
};

/* Overwrites the oldest duration when the ring is full. Ignores NEVER. */
void samples_add(struct samples *s, ns_t duration);

/* Returns the median of the durations kept; NEVER if there is none. */
ns_t samples_median(const struct samples *s);
