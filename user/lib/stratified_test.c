// SPDX-License-Identifier: GPL-2.0
#include "lib/stratified_test.h"

#include <math.h>
#include <stdlib.h>

#include "lib/generator.h"
#include "lib/statistics.h"

#define MAX_SAMPLES 20000 /* resolves 5e-5 */
#define TIE 1e-7 /* relative difference of equal values, by rounding errors */

static bool is_informative(const struct stratum *s)
{
	return s->with && s->with < s->total && s->bad && s->bad < s->total;
}

/* The least possible number of bad observations with the trait, given the margins. */
static uint32_t least_of(const struct stratum *s)
{
	uint32_t without = s->total - s->with;

	return s->bad > without ? s->bad - without : 0;
}

/* The number of possible values, less one. */
static uint32_t span_of(const struct stratum *s)
{
	return (s->with < s->bad ? s->with : s->bad) - least_of(s);
}

static double difference_of(const struct stratum *s)
{
	return s->bad_with - (double)s->with * s->bad / s->total;
}

static double variance_of(const struct stratum *s)
{
	double n = s->total;

	return s->with * (n - s->with) / n * s->bad * (n - s->bad) / n / (n - 1);
}

/* ---- within strata ---- */

/* Stores the hypergeometric distribution: the probability of each possible value. */
static void hypergeometric(const struct stratum *s, double *probability)
{
	uint32_t least = least_of(s), span = span_of(s), i;

	for (i = 0; i <= span; i++)
		probability[i] = exp(log_choose(s->with, least + i) +
				     log_choose(s->total - s->with, s->bad - least - i) -
				     log_choose(s->total, s->bad));
}

/* Replaces the distribution of a sum, with the values 0 to span, by that of the sum plus another. */
static void convolve(double *sum, size_t span, const double *other, size_t other_span)
{
	size_t to, x;

	for (to = span + other_span + 1; to-- > 0;) {
		double p = 0;

		for (x = to > span ? to - span : 0; x <= other_span && x <= to; x++)
			p += sum[to - x] * other[x];
		sum[to] = p;
	}
}

static void exact_p_value(const double *probability, size_t span, size_t seen, struct p_value *r)
{
	double least = INFINITY, p = 0, p_min = 0;
	size_t i;

	for (i = 0; i <= span; i++)
		least = fmin(least, probability[i]);
	for (i = 0; i <= span; i++) {
		if (probability[i] <= probability[seen] * (1 + TIE))
			p += probability[i];
		if (probability[i] <= least * (1 + TIE))
			p_min += probability[i];
	}
	r->p = p;
	r->p_min = p_min;
}

static bool test_exactly(const struct stratum *s, size_t n, size_t span, struct p_value *result)
{
	double *sum = calloc(span + 1, sizeof(*sum)), *one = calloc(span + 1, sizeof(*one));
	bool complete = sum && one;
	size_t i, so_far = 0, seen = 0;

	if (complete) {
		sum[0] = 1;
		for (i = 0; i < n; i++) {
			if (!is_informative(&s[i]))
				continue;
			hypergeometric(&s[i], one);
			convolve(sum, so_far, one, span_of(&s[i]));
			so_far += span_of(&s[i]);
			seen += s[i].bad_with - least_of(&s[i]);
		}
		exact_p_value(sum, span, seen, result);
	}
	free(sum);
	free(one);
	return complete;
}

/* ---- between strata ---- */

/* All signs but the first one: the other half of the sums differs in sign only. */
static double all_signs(const double *d, size_t n, double seen)
{
	size_t all = (size_t)1 << (n - 1), hits = 0, signs, i;

	for (signs = 0; signs < all; signs++) {
		double sum = d[0];

		for (i = 1; i < n; i++)
			sum += signs >> (i - 1) & 1 ? d[i] : -d[i];
		hits += fabs(sum) >= seen;
	}
	return (double)hits / all;
}

/* Ends early as table_test() does. */
static double random_signs(const double *d, size_t n, double seen)
{
	struct generator g = { .state = n };
	size_t samples, hits = 0, i;

	for (samples = 0; samples < MAX_SAMPLES && hits < SAMPLE_HITS; samples++) {
		uint64_t signs = 0;
		double sum = 0;

		for (i = 0; i < n; i++, signs >>= 1) {
			if (i % 64 == 0)
				signs = generate(&g);
			sum += signs & 1 ? d[i] : -d[i];
		}
		hits += fabs(sum) >= seen;
	}
	return hits < SAMPLE_HITS ? (hits + 1.0) / (samples + 1.0) : (double)hits / samples;
}

static double test_signs(const double *d, size_t n)
{
	double sum = 0, squares = 0, seen;
	size_t i;

	for (i = 0; i < n; i++) {
		sum += d[i];
		squares += d[i] * d[i];
	}
	seen = fabs(sum) - TIE * sqrt(squares);
	if (!n || seen <= 0)
		return 1;
	if (n <= SIGNS)
		return all_signs(d, n, seen);
	if (n <= SAMPLED_STRATA)
		return random_signs(d, n, seen);
	return erfc(seen / sqrt(2 * squares));
}

/* ---- both ---- */

struct total {
	size_t span;
	double difference, variance;
};

static struct total total_of(const struct stratum *s, size_t n, struct stratified_test *t)
{
	struct total all = { .span = 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		if (!is_informative(&s[i]))
			continue;
		t->informative++;
		all.span += span_of(&s[i]);
		all.difference += difference_of(&s[i]);
		all.variance += variance_of(&s[i]);
	}
	t->more = all.difference > 0;
	return all;
}

static bool test_between(const struct stratum *s, size_t n, struct stratified_test *t)
{
	double *d = malloc((t->informative + 1) * sizeof(*d));
	size_t i, count = 0;

	if (!d)
		return false;
	for (i = 0; i < n; i++) {
		if (!is_informative(&s[i]))
			continue;
		d[count] = difference_of(&s[i]);
		t->agreeing += t->more ? d[count] > 0 : d[count] < 0;
		count++;
	}
	t->between = test_signs(d, count);
	free(d);
	return true;
}

/* With more strata than an exponent can express, the least p-value is 0. */
static void take_larger(struct stratified_test *t)
{
	t->result.p = fmax(t->within, t->between);
	t->result.p_min = fmax(t->result.p_min, ldexp(1, 1 - (int)fmin(t->informative, 2000)));
}

bool stratified_test(const struct stratum *s, size_t n, struct stratified_test *t)
{
	struct total all;
	struct p_value *r = &t->result;

	*t = (struct stratified_test){ .within = 1, .between = 1, .result = { 1, 1, 1 } };
	all = total_of(s, n, t);
	if (!t->informative)
		return true;
	if (all.span <= EXACT_SPAN) {
		if (!test_exactly(s, n, all.span, r))
			return false;
	} else {
		r->p = erfc(fmax(fabs(all.difference) - 0.5, 0) / sqrt(2 * all.variance));
		r->p_min = 0;
	}
	t->within = r->p = fmin(r->p, 1);
	if (!test_between(s, n, t))
		return false;
	if (t->informative >= MIN_STRATA)
		take_larger(t);
	r->p_min = fmin(r->p_min, r->p);
	r->adjusted = r->p;
	return true;
}
