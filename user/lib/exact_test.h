/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of independence for tables with few or many units, and the adjustment of p-values for the
 * number of tests. All results are deterministic, and time and memory are bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct p_value {
	double p;
	/*
	 * A lower bound of the p-values that tables with the same margins can have. It is exact
	 * where p is exact. Never above p.
	 */
	double p_min;
	double adjusted; /* for the number of tests, by adjust_p_values(); p until then */
};

/* A row of a table with two columns: the units with one value. */
struct table_row {
	uint32_t bad;
	uint32_t total; /* bad and good units, > 0 */
};

/*
 * Tests whether the share of bad units depends on the row (Freeman and Halton's test): p is the
 * probability, with these margins, of a table at most as likely as this one. With two rows it
 * equals fisher_exact(). The table has at most 2^22 units.
 *
 * method				used
 * all tables, exact			up to 32 rows, while the work is at most EXACT_TABLES
 * random tables with these margins	up to FEW_UNITS bad (or good) units; up to MANY_UNITS if a
 *					row expects less than 5 of them
 * moments of chi-square		else
 *
 * Samples end at SAMPLE_HITS tables at most as likely (Besag and Clifford 1991: such a p-value is
 * valid), or at their maximum number: 100 000, less for many units, and at least 1000. The moments
 * are the exact mean and variance of chi-square with these margins; its tail is that of a gamma
 * distribution. Rows that expect less than one bad (or good) unit are merged before. In simulations
 * the rates of error were 0.9 to 1.2 times the nominal 0.01, and at most 1.5 times 0.001; with two
 * or three rows the p-value is too large by a fifth at 0.001.
 *
 * Returns false when out of memory. A table with less than two rows, or without bad or good units,
 * has p = p_min = 1.
 */
bool table_test(const struct table_row *row, size_t rows, struct p_value *result);

#define EXACT_TABLES 300000
#define FEW_UNITS 400
#define MANY_UNITS 2000
#define SAMPLE_HITS 200

/*
 * Sets the adjusted p-value of each of n tests: Holm's step-down procedure with Tarone's
 * improvement. At each step it multiplies p by the number of remaining tests that can attain this p
 * (p_min <= p): tests that cannot do so cannot add a wrong rejection. The probability of one or
 * more wrong rejections at `adjusted <= a` is at most a, whatever the dependence of the tests.
 *
 * The adjusted values are in the order of p, at least p, and at most 1. Returns false when out of
 * memory.
 */
bool adjust_p_values(struct p_value *const *test, size_t n);
