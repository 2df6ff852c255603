/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Histogram of durations, in constant memory. An octave has 128 buckets, so that a percentile is at
 * most 0.8 % too high.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

#define HISTOGRAM_BITS 7
#define HISTOGRAM_STEPS (1 << HISTOGRAM_BITS)
#define HISTOGRAM_SPAN \
	(HISTOGRAM_STEPS / 8) /* buckets that histogram_next() merges into one span */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS) * HISTOGRAM_STEPS)

struct histogram {
	uint64_t count;
	ns_t max;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* Ignores NEVER. A negative duration counts as 0. */
void histogram_add(struct histogram *h, ns_t duration);

/*
 * Returns a percentile: the duration that this share (0 to 1) of all durations does not exceed.
 * Returns NEVER for an empty histogram.
 */
ns_t histogram_percentile(const struct histogram *h, double share);

/* Number of durations in an eighth of an octave. Both bounds are inclusive, in ns. */
struct histogram_span {
	ns_t from;
	ns_t to;
	uint64_t count;
	unsigned int bucket; /* private: where histogram_next() continues */
};

/*
 * Advances to the next span that is not empty, in ascending order. The caller starts with a zeroed
 * span. Returns false at the end.
 */
bool histogram_next(const struct histogram *h, struct histogram_span *span);
