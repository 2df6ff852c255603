// SPDX-License-Identifier: GPL-2.0
#include "lib/exact_test.h"

#include <math.h>
#include <stdlib.h>

#include "lib/generator.h"
#include "lib/statistics.h"

#define EXACT_ROWS 32 /* with more rows there are too many tables */
#define MAX_SAMPLES 100000 /* resolves 1e-5 */
#define SAMPLE_WORK 2000000 /* units drawn: 1000 samples of MANY_UNITS */
#define TIE \
	1e-7 /* logarithms of equal probabilities differ by rounding errors, as in fisher_exact() */

/* A table in terms of the rarer kind of unit, bad or good: the test is symmetric. */
struct table {
	size_t rows;
	uint32_t n; /* units */
	uint32_t rare; /* units of the rarer kind */
	bool good_are_rare;
	const struct table_row *row;
	/*
	 * For each row, the logarithms of the binomial coefficients C(total, 0), C(total, 1), ... up
	 * to the largest possible number of rare units. The logarithm of a table's probability is
	 * their sum, plus a constant.
	 */
	const double **log_ways;
	double *storage;
	double seen; /* this sum for the table that was observed */
};

static uint32_t rare_units(const struct table *t, size_t i)
{
	return t->good_are_rare ? t->row[i].total - t->row[i].bad : t->row[i].bad;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void table_free(struct table *t)
{
	free(t->log_ways);
	free(t->storage);
}

static bool table_alloc(struct table *t)
{
	double *ways;
	size_t i, cells = 0;
	uint32_t x;

	for (i = 0; i < t->rows; i++)
		cells += smaller(t->row[i].total, t->rare) + 1;
	t->storage = ways = malloc(cells * sizeof(*ways));
	t->log_ways = malloc(t->rows * sizeof(*t->log_ways));
	if (!t->storage || !t->log_ways)
		return false;
	for (i = 0; i < t->rows; i++) {
		t->log_ways[i] = ways;
		*ways++ = 0;
		for (x = 0; x < smaller(t->row[i].total, t->rare); x++, ways++)
			*ways = ways[-1] + log((double)(t->row[i].total - x) / (x + 1));
		t->seen += t->log_ways[i][rare_units(t, i)];
	}
	return true;
}

/* ---- all tables with the same margins ---- */

/* The rare units that a row can have, after those of the rows above it were chosen. */
struct level {
	uint32_t below; /* units in the rows below */
	uint32_t remaining; /* rare units of this row and those below */
	uint32_t next, most;
	double log_ways; /* of the rows above */
};

struct enumeration {
	const struct table *table;
	struct level level[EXACT_ROWS];
	double log_all; /* logarithm of the number of ways to choose the rare units */
	double p;
	double least; /* logarithm of the smallest probability of a table */
	double p_min;
};

static void count_table(struct enumeration *e, double log_ways)
{
	double probability = exp(log_ways - e->log_all);

	if (log_ways <= e->table->seen + TIE)
		e->p += probability;
	if (log_ways < e->least - TIE) {
		e->least = log_ways;
		e->p_min = 0;
	}
	if (log_ways <= e->least + TIE)
		e->p_min += probability;
}

static void enter_level(struct enumeration *e, size_t i, uint32_t remaining, double log_ways)
{
	struct level *l = &e->level[i];

	l->remaining = remaining;
	l->next = remaining > l->below ? remaining - l->below : 0;
	l->most = smaller(e->table->row[i].total, remaining);
	l->log_ways = log_ways;
}

/* Counts all tables. The last row has no choice. Returns false if there are too many. */
static bool enumerate(struct enumeration *e)
{
	const struct table *t = e->table;
	size_t i = 0, last = t->rows - 1, work;

	enter_level(e, 0, t->rare, 0);
	for (work = 0; work < EXACT_TABLES; work++) {
		struct level *l = &e->level[i];
		uint32_t x = l->next++, remaining = l->remaining - x;

		if (x > l->most) {
			if (!i--)
				return true;
		} else if (i + 1 == last) {
			count_table(e,
				    l->log_ways + t->log_ways[i][x] + t->log_ways[last][remaining]);
		} else {
			enter_level(e, i + 1, remaining, l->log_ways + t->log_ways[i][x]);
			i++;
		}
	}
	return false;
}

static bool test_exactly(const struct table *t, struct p_value *result)
{
	struct enumeration e = { .table = t,
				 .log_all = log_choose(t->n, t->rare),
				 .least = INFINITY };
	size_t i;

	if (t->rows > EXACT_ROWS)
		return false;
	for (i = t->rows - 1; i > 0; i--)
		e.level[i - 1].below = e.level[i].below + t->row[i].total;
	if (!enumerate(&e))
		return false;
	result->p = e.p;
	result->p_min = e.p_min;
	return true;
}

/* ---- random tables ---- */

/* Draws the rare units from all units. Returns the logarithm of the table's probability. */
static double draw_table(const struct table *t, struct generator *g, uint32_t *row_of,
			 uint32_t *drawn)
{
	double log_ways = 0;
	uint32_t i;

	for (i = 0; i < t->rare; i++) {
		size_t j = i + generate_below(g, t->n - i);
		uint32_t row = row_of[j], x = drawn[row]++;

		row_of[j] = row_of[i];
		row_of[i] = row;
		log_ways += t->log_ways[row][x + 1] - t->log_ways[row][x];
	}
	for (i = 0; i < t->rare; i++)
		drawn[row_of[i]] = 0;
	return log_ways;
}

static bool test_samples(const struct table *t, struct p_value *result)
{
	struct generator g = { .state = t->n };
	uint32_t *row_of = calloc(t->n, sizeof(*row_of)), *drawn = calloc(t->rows, sizeof(*drawn));
	size_t most = SAMPLE_WORK / t->rare, samples = 0, hits = 0, i, unit = 0;

	if (!row_of || !drawn) {
		free(row_of);
		free(drawn);
		return false;
	}
	most = most < MAX_SAMPLES ? most : MAX_SAMPLES;
	for (i = 0; i < t->rows; i++) {
		uint32_t x;

		for (x = 0; x < t->row[i].total; x++)
			row_of[unit++] = i;
	}
	while (samples < most && hits < SAMPLE_HITS) {
		samples++;
		hits += draw_table(t, &g, row_of, drawn) <= t->seen + TIE;
	}
	free(row_of);
	free(drawn);
	/* the observed table is one of the samples, unless they ended early */
	result->p = hits < SAMPLE_HITS ? (hits + 1.0) / (samples + 1.0) : (double)hits / samples;
	result->p_min = fmax(1.0 / (most + 1.0), exp(-log_choose(t->n, t->rare)));
	return true;
}

/* ---- moments of chi-square ---- */

/* Sums over the rows, after the merge of small rows. */
struct sums {
	long double rows;
	long double inverse; /* 1 / total */
	long double square; /* total^2 */
	long double seen; /* x^2 / total, where x is the number of rare units */
};

static void sums_add(struct sums *s, long double x, long double total)
{
	if (total == 0)
		return;
	s->rows++;
	s->inverse += 1 / total;
	s->square += total * total;
	s->seen += x * x / total;
}

static struct sums sums_of(const struct table *t)
{
	struct sums s = { .rows = 0 };
	long double x = 0, total = 0;
	size_t i;

	for (i = 0; i < t->rows; i++) {
		if ((uint64_t)t->row[i].total * t->rare >= t->n) {
			sums_add(&s, rare_units(t, i), t->row[i].total);
		} else {
			x += rare_units(t, i);
			total += t->row[i].total;
		}
	}
	sums_add(&s, x, total);
	return s;
}

/*
 * S is the sum of x^2 / total over the rows; chi-square is S - rare^2 / n, but for its scale. With
 * (x)_a = x (x - 1) ... (x - a + 1) and f_a = (rare)_a / (n)_a, the moments of S follow from those
 * of the multivariate hypergeometric distribution: E[(x)_a (y)_b] = (total_x)_a (total_y)_b f_(a+b).
 */
static long double variance_of(const struct sums *s, const long double *f, long double n)
{
	long double r = s->rows, m = n - r, mean = m * f[2] + r * f[1];
	/* x^4 = (x)_4 + 6 (x)_3 + 7 (x)_2 + x */
	long double same_row = f[4] * (s->square - 6 * n + 11 * r - 6 * s->inverse) +
			       6 * f[3] * (n - 3 * r + 2 * s->inverse) +
			       7 * f[2] * (r - s->inverse) + f[1] * s->inverse;
	/* x^2 y^2 = ((x)_2 + x) ((y)_2 + y) */
	long double two_rows = f[4] * (m * m - (s->square - 2 * n + r)) + 2 * f[3] * m * (r - 1) +
			       f[2] * r * (r - 1);

	return same_row + two_rows - mean * mean;
}

static double test_moments(const struct table *t)
{
	struct sums s = sums_of(t);
	long double f[5] = { 1 }, n = t->n, expected = (long double)t->rare * t->rare / n, mean;
	double step, z;
	int a;

	if (s.rows < 2)
		return 1;
	for (a = 0; a < 4; a++)
		f[a + 1] = f[a] * (t->rare - a) / (n - a);
	mean = (n - s.rows) * f[2] + s.rows * f[1] - expected;
	/* Wilson and Hilferty: the cube root of a gamma variable is nearly normal */
	step = variance_of(&s, f, n) / (9 * mean * mean);
	z = (cbrt((s.seen - expected) / mean) - (1 - step)) / sqrt(step);
	return erfc(z / sqrt(2)) / 2;
}

/* Does a row expect so few rare units that chi-square is not smooth? */
static bool is_sparse(const struct table *t)
{
	size_t i;

	for (i = 0; i < t->rows; i++)
		if ((uint64_t)t->row[i].total * t->rare < 5 * (uint64_t)t->n)
			return true;
	return false;
}

/* Returns false when out of memory. */
static bool test_by_size(const struct table *t, struct p_value *result)
{
	if (test_exactly(t, result))
		return true;
	if (t->rare <= FEW_UNITS || (t->rare <= MANY_UNITS && is_sparse(t)))
		return test_samples(t, result);
	*result = (struct p_value){ .p = test_moments(t) };
	return true;
}

bool table_test(const struct table_row *row, size_t rows, struct p_value *result)
{
	struct table t = { .row = row, .rows = rows };
	bool complete = true;
	uint32_t bad = 0;
	size_t i;

	result->p = result->p_min = 1;
	for (i = 0; i < rows; i++) {
		t.n += row[i].total;
		bad += row[i].bad;
	}
	t.good_are_rare = bad > t.n - bad;
	t.rare = t.good_are_rare ? t.n - bad : bad;
	if (rows >= 2 && t.rare) {
		complete = table_alloc(&t) && test_by_size(&t, result);
		table_free(&t);
	}
	result->p = fmin(result->p, 1);
	result->p_min = fmin(result->p_min, result->p);
	result->adjusted = result->p;
	return complete;
}

/* ---- the number of tests ---- */

static int compare_p(const void *a, const void *b)
{
	double x = (*(struct p_value *const *)a)->p, y = (*(struct p_value *const *)b)->p;

	return x < y ? -1 : x > y;
}

bool adjust_p_values(struct p_value *const *test, size_t n)
{
	struct p_value **sorted = malloc((n + 1) * sizeof(*sorted));
	double least = 0; /* a test is not rejected before those with a smaller p */
	size_t i, j, able;

	if (!sorted)
		return false;
	for (i = 0; i < n; i++)
		sorted[i] = test[i];
	qsort(sorted, n, sizeof(*sorted), compare_p);
	for (i = 0; i < n; i++) {
		for (able = 0, j = i; j < n; j++)
			able += sorted[j]->p_min <= sorted[i]->p * (1 + TIE);
		least = fmax(least, fmin(able * sorted[i]->p, 1));
		sorted[i]->adjusted = least;
	}
	free(sorted);
	return true;
}
