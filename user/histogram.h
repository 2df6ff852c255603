/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How are durations spread? Fixed memory, 32 steps an octave: a percentile is at most 3 % too high.
 * Negative durations count as 0.
 */
#pragma once

#include <stdint.h>

#include "connection.h"

#define HISTOGRAM_STEPS 32
#define HISTOGRAM_BUCKETS ((64 - 5) * HISTOGRAM_STEPS)

struct histogram {
	uint64_t count;
	ns_t max;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* NEVER is not added. */
void histogram_add(struct histogram *h, ns_t duration);

/* The duration that share (0 to 1) of all do not exceed; NEVER when there is none. */
ns_t histogram_percentile(const struct histogram *h, double share);
