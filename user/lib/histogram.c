// SPDX-License-Identifier: GPL-2.0
#include "lib/histogram.h"

/*
 * Each duration below 128 ns (HISTOGRAM_STEPS) has its own bucket. For longer durations, the seven
 * bits (HISTOGRAM_BITS) after the highest bit select the bucket within the octave.
 */
static unsigned int bucket_of(uint64_t duration)
{
	unsigned int octave;

	if (duration < HISTOGRAM_STEPS)
		return duration;
	octave = 63 - __builtin_clzll(duration) - HISTOGRAM_BITS;
	return (octave + 1) * HISTOGRAM_STEPS + (duration >> octave) % HISTOGRAM_STEPS;
}

static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int octave;

	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	octave = bucket / HISTOGRAM_STEPS - 1;
	return ((uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS + 1) << octave) - 1;
}

void histogram_add(struct histogram *h, ns_t duration)
{
	if (duration == NEVER)
		return;
	if (duration < 0)
		duration = 0;
	if (duration > h->max)
		h->max = duration;
	h->buckets[bucket_of(duration)]++;
	h->count++;
}

ns_t histogram_percentile(const struct histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * h->count + 0.999999), seen = 0;
	unsigned int i;
	ns_t end;

	if (!h->count)
		return NEVER;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen >= wanted && seen)
			break;
	}
	end = bucket_end(i);
	return end < h->max ? end : h->max;
}

bool histogram_next(const struct histogram *h, struct histogram_span *span)
{
	unsigned int i;

	while (span->bucket < HISTOGRAM_BUCKETS) {
		span->count = 0;
		span->from = span->bucket ? bucket_end(span->bucket - 1) + 1 : 0;
		for (i = 0; i < HISTOGRAM_SPAN; i++)
			span->count += h->buckets[span->bucket++];
		span->to = bucket_end(span->bucket - 1);
		if (span->count)
			return true;
	}
	return false;
}
