/* SPDX-License-Identifier: GPL-2.0 */
/* The upper bound of an error rate, from a number of trials (Clopper and Pearson 1934). */
#pragma once

#include <math.h>
#include <stdint.h>

/* Returns the error rate at which so few errors have a probability of only 5 %. */
static inline double error_bound(uint64_t wrong, uint64_t n)
{
	double low = 0, high = 1, rate, sum;
	uint64_t k;
	int i;

	if (wrong >= n)
		return 1;
	for (i = 0; i < 60; i++) {
		rate = (low + high) / 2;
		sum = 0;
		for (k = 0; k <= wrong; k++)
			sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) -
				   lgamma((double)(n - k) + 1) + (double)k * log(rate) +
				   (double)(n - k) * log1p(-rate));
		*(sum > 0.05 ? &low : &high) = rate;
	}
	return high;
}
