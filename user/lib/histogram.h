/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How are durations spread? Fixed memory, 128 steps an octave: a percentile is at most 0.8 % too high.
 * Negative durations count as 0.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

#define HISTOGRAM_BITS 7
#define HISTOGRAM_STEPS (1 << HISTOGRAM_BITS)
#define HISTOGRAM_SPAN (HISTOGRAM_STEPS / 8) /* buckets that are told as one */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS) * HISTOGRAM_STEPS)

struct histogram {
	uint64_t count;
	ns_t max;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* NEVER is not added. */
void histogram_add(struct histogram *h, ns_t duration);

/* The duration that share (0 to 1) of all do not exceed; NEVER when there is none. */
ns_t histogram_percentile(const struct histogram *h, double share);

/* An eighth of an octave: durations between two bounds, both inclusive, and how many there are. */
struct histogram_span {
	ns_t from;
	ns_t to;
	uint64_t count;
	unsigned int bucket; /* the histogram's own */
};

/* The next span that holds any, the shortest first, from a zeroed one on; false: there is no more. */
bool histogram_next(const struct histogram *h, struct histogram_span *span);
