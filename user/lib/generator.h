/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A deterministic generator of pseudo-random numbers (splitmix64), for tests by permutation: the
 * same input gives the same p-value in every run. It is no source of secrets.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct generator {
	uint64_t state; /* the seed; any value will do */
};

static inline uint64_t generate(struct generator *g)
{
	uint64_t x = g->state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Returns a number from 0 to n - 1. The bias is at most n / 2^53. n > 0. */
static inline size_t generate_below(struct generator *g, size_t n)
{
	return (size_t)((generate(g) >> 11) * 0x1p-53 * n);
}
