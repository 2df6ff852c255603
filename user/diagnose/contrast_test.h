/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares bad units with good ones in one trait: have the bad ones a value in common, or does the
 * trait make no difference? A unit is a host. It knows nothing of the model or of findings.
 *
 * Traits that vary within hosts are for lib/stratified_test.h. The caller adjusts the p-values of
 * all traits of a report together, with adjust_p_values().
 */
#pragma once

#include "lib/exact_test.h"

#define TRAIT_UNKNOWN UINT32_MAX /* the unit's value is not known; it takes no part in the test */
#define MAX_SPLIT_VALUES 16 /* a longer list of values names nothing */

enum trait_outcome {
	/*
	 * Values are unknown for more than half of the bad units or of the good ones, or there are no
	 * bad or no good units. p = 1.
	 */
	TRAIT_NOT_SEEN,
	TRAIT_SAME, /* all units have one value. p = 1 */
	TRAIT_ALL_DIFFER, /* no two units have the same value. p = 1 */
	/*
	 * At least 80 % of the units with any of values[] are bad, for each value, and at most 20 % of
	 * all others. It may be chance: see test.adjusted.
	 */
	TRAIT_SPLITS,
	/*
	 * Values that bad and good units share hold at least 80 % of the units, two values or more.
	 * The shares of bad units do not differ significantly (p > 0.05), and no split holds half of
	 * the bad units.
	 */
	TRAIT_SPREAD,
	TRAIT_UNCLEAR, /* none of these */
};

struct contrast {
	enum trait_outcome outcome;
	/* of all values (table_test()), not of the split, which was chosen to look significant */
	struct p_value test;
	uint32_t units; /* with a known value */
	uint32_t distinct; /* values */
	uint32_t values[MAX_SPLIT_VALUES]; /* if TRAIT_SPLITS: ascending */
	uint32_t n_values;
	/* if TRAIT_SPLITS: units with one of values[], and all others */
	uint32_t bad_with, good_with, bad_without, good_without;
};

/*
 * Compares n units, at most 2^22, by the trait `value`. Values with one unit are merged to one row
 * of the table before the test: by themselves they show nothing, and many of them hide an effect.
 * They are never in values[]. The order of the units does not matter. Returns false when out of
 * memory.
 */
bool contrast_test(const uint32_t *value, const bool *bad, size_t n, struct contrast *c);

/* Is the value one of values[]? */
bool contrast_has(const struct contrast *c, uint32_t value);
