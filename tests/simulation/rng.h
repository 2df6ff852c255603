/* SPDX-License-Identifier: GPL-2.0 */
/* Random numbers that a seed determines on every machine: SplitMix64 (Steele, Lea, Flood 2014). */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct draw {
	uint64_t state;
};

struct range {
	double low;
	double high;
};

static inline uint64_t draw_bits(struct draw *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* From 0 to less than 1. */
static inline double draw_unit(struct draw *d)
{
	return (double)(draw_bits(d) >> 11) * 0x1p-53;
}

static inline bool draw_chance(struct draw *d, double chance)
{
	return draw_unit(d) < chance;
}

/* From 0 to n - 1. */
static inline uint64_t draw_below(struct draw *d, uint64_t n)
{
	return (uint64_t)(draw_unit(d) * (double)n);
}

static inline double draw_uniform(struct draw *d, struct range r)
{
	return r.low + draw_unit(d) * (r.high - r.low);
}

/* Each octave has the same probability: sizes, rates and periods have no typical value. */
static inline double draw_octave(struct draw *d, struct range r)
{
	return r.low * exp(draw_unit(d) * log(r.high / r.low));
}

static inline double draw_exponential(struct draw *d, double mean)
{
	return -mean * log(1 - draw_unit(d));
}

static inline double draw_lognormal(struct draw *d, double median, double sigma)
{
	double radius = sqrt(-2 * log(1 - draw_unit(d)));

	return median * exp(sigma * radius * cos(2 * M_PI * draw_unit(d)));
}
