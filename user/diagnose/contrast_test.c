// SPDX-License-Identifier: GPL-2.0
#include "diagnose/contrast_test.h"

#include <stdlib.h>

/* The rows of the table, in the order of the values. */
struct tally {
	struct table_row *row;
	uint32_t *value; /* of each named row */
	size_t rows; /* including the last one, if the values with one unit are merged there */
	size_t named; /* rows of one value */
	uint32_t bad, good;
};

/*
 * Sorts keys of 33 bits by three counting passes: 131 072 units take some 2 ms, with qsort() 20.
 * The result is in `to`; `from` is overwritten.
 */
static void sort_keys(uint64_t *from, uint64_t *to, size_t n)
{
	unsigned int shift;

	for (shift = 0; shift < 33; shift += 11) {
		size_t start[2049] = { 0 }, i;
		uint64_t *swap = from;

		for (i = 0; i < n; i++)
			start[(from[i] >> shift & 2047) + 1]++;
		for (i = 1; i < 2048; i++)
			start[i] += start[i - 1];
		for (i = 0; i < n; i++)
			to[start[from[i] >> shift & 2047]++] = from[i];
		from = to;
		to = swap;
	}
}

/* Stores value * 2 + bad of the units with a known value. Returns their number. */
static size_t known_units(const uint32_t *value, const bool *bad, size_t n, uint64_t *key)
{
	size_t i, known = 0;

	for (i = 0; i < n; i++)
		if (value[i] != TRAIT_UNKNOWN)
			key[known++] = (uint64_t)value[i] << 1 | bad[i];
	return known;
}

/* Adds a row for each value with several units, then one for all others. */
static void tally_units(struct tally *t, const uint64_t *key, size_t n, struct contrast *c)
{
	struct table_row single = { .total = 0 };
	size_t i = 0;

	while (i < n) {
		uint32_t value = key[i] >> 1;
		struct table_row row = { .total = 0 };

		for (; i < n && key[i] >> 1 == value; i++) {
			row.total++;
			row.bad += key[i] & 1;
		}
		c->distinct++;
		t->bad += row.bad;
		t->good += row.total - row.bad;
		if (row.total > 1) {
			t->value[t->rows] = value;
			t->row[t->rows++] = row;
		} else {
			single.total++;
			single.bad += row.bad;
		}
	}
	t->named = t->rows;
	if (single.total)
		t->row[t->rows++] = single;
}

static bool is_bad(const struct table_row *r)
{
	return (uint64_t)r->bad * 5 >= (uint64_t)r->total * 4;
}

static bool find_split(const struct tally *t, struct contrast *c)
{
	size_t i;

	for (i = 0; i < t->named; i++) {
		if (!is_bad(&t->row[i]))
			continue;
		if (c->n_values == MAX_SPLIT_VALUES)
			return false;
		c->values[c->n_values++] = t->value[i];
		c->bad_with += t->row[i].bad;
		c->good_with += t->row[i].total - t->row[i].bad;
	}
	c->bad_without = t->bad - c->bad_with;
	c->good_without = t->good - c->good_with;
	return c->n_values && c->good_without &&
	       (uint64_t)c->bad_without * 4 <= (uint64_t)c->good_without;
}

static bool is_spread(const struct tally *t, const struct contrast *c)
{
	uint64_t mixed = 0;
	size_t i, values = 0;

	for (i = 0; i < t->named; i++) {
		if (t->row[i].bad && t->row[i].bad < t->row[i].total) {
			mixed += t->row[i].total;
			values++;
		}
	}
	return values >= 2 && mixed * 5 >= (uint64_t)c->units * 4 && c->test.p > 0.05;
}

static enum trait_outcome outcome_of(const struct tally *t, struct contrast *c)
{
	bool splits = find_split(t, c);

	if (is_spread(t, c) && !(splits && c->bad_with >= c->bad_without))
		return TRAIT_SPREAD;
	return splits ? TRAIT_SPLITS : TRAIT_UNCLEAR;
}

/* Without values of enough units, nothing can be said. */
static bool is_seen(const struct tally *t, const bool *bad, size_t n)
{
	size_t i, all_bad = 0;

	for (i = 0; i < n; i++)
		all_bad += bad[i];
	return t->bad && t->good && 2 * (size_t)t->bad >= all_bad &&
	       2 * (size_t)t->good >= n - all_bad;
}

static bool compare_values(const struct tally *t, const bool *bad, size_t n, struct contrast *c)
{
	bool complete = true;

	if (!is_seen(t, bad, n)) {
		c->outcome = TRAIT_NOT_SEEN;
	} else if (c->distinct == 1) {
		c->outcome = TRAIT_SAME;
	} else if (!t->named) {
		c->outcome = TRAIT_ALL_DIFFER;
	} else {
		complete = table_test(t->row, t->rows, &c->test);
		c->outcome = outcome_of(t, c);
	}
	if (c->outcome != TRAIT_SPLITS) {
		c->n_values = 0;
		c->bad_with = c->good_with = c->bad_without = c->good_without = 0;
	}
	return complete;
}

bool contrast_test(const uint32_t *value, const bool *bad, size_t n, struct contrast *c)
{
	uint64_t *key = calloc(n + 1, sizeof(*key)), *sorted = calloc(n + 1, sizeof(*sorted));
	/* each row but the last has two units or more */
	struct tally t = { .row = calloc(n / 2 + 1, sizeof(*t.row)),
			   .value = calloc(n / 2 + 1, sizeof(*t.value)) };
	bool complete = key && sorted && t.row && t.value;

	*c = (struct contrast){ .test = { 1, 1, 1 } };
	if (complete) {
		c->units = known_units(value, bad, n, key);
		sort_keys(key, sorted, c->units);
		tally_units(&t, sorted, c->units, c);
		complete = compare_values(&t, bad, n, c);
	}
	free(key);
	free(sorted);
	free(t.row);
	free(t.value);
	return complete;
}

bool contrast_has(const struct contrast *c, uint32_t value)
{
	size_t i;

	for (i = 0; i < c->n_values; i++)
		if (c->values[i] == value)
			return true;
	return false;
}
