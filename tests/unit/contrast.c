// SPDX-License-Identifier: GPL-2.0
/*
 * The tests behind "in common" and "spread": p-values against exact arithmetic and against the
 * enumeration of all assignments, rates of error on seeded data without an effect, and bounds.
 *
 * The constants were computed in another language with exact fractions: by the sum over all tables
 * with the same margins, for strata by the convolution of their distributions.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "expect.h"
#include "diagnose/contrast_test.h"
#include "lib/generator.h"
#include "lib/statistics.h"
#include "lib/stratified_test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MANY 131072 /* hosts */

static bool is_near(double is, double wanted)
{
	return fabs(is - wanted) <= wanted * 1e-6;
}

static bool is_within(double is, double wanted, double share)
{
	return fabs(is - wanted) <= wanted * share;
}

static struct p_value test_table(const struct table_row *row, size_t rows)
{
	struct p_value v;

	if (!table_test(row, rows, &v))
		abort();
	return v;
}

/* ---- tables ---- */

#define TEST_TABLE(...)                                       \
	test_table((const struct table_row[]){ __VA_ARGS__ }, \
		   COUNT(((const struct table_row[]){ __VA_ARGS__ })))

static void check_exact_tables(void)
{
	struct p_value v = TEST_TABLE({ 3, 4 }, { 1, 4 });

	EXPECT(is_near(v.p, 17.0 / 35) && is_near(v.p_min, 1.0 / 35), "two rows");
	v = TEST_TABLE({ 3, 5 }, { 0, 4 }, { 1, 6 });
	EXPECT(is_near(v.p, 15.0 / 91) && is_near(v.p_min, 1.0 / 1365), "three rows");
	v = TEST_TABLE({ 2, 3 }, { 0, 5 }, { 4, 4 }, { 1, 7 });
	EXPECT(is_near(v.p, 59.0 / 16796) && is_near(v.p_min, 1.0 / 25194), "four rows");
	v = TEST_TABLE({ 1, 3 }, { 1, 3 }, { 2, 3 }, { 0, 3 }, { 0, 3 });
	EXPECT(is_near(v.p, 64.0 / 91) && is_near(v.p_min, 4.0 / 91), "ties of p_min");
	v = TEST_TABLE({ 9, 9 }, { 0, 10 }, { 0, 20 });
	EXPECT(is_near(v.p, 1.0 / 211915132) && v.p_min == v.p, "9 of 39 hosts");
	v = TEST_TABLE({ 14, 14 }, { 0, 17 });
	EXPECT(is_near(v.p, fisher_exact(14, 0, 0, 17)), "Fisher's test");
	v = TEST_TABLE({ 5, 14 }, { 1, 17 });
	EXPECT(is_near(v.p, fisher_exact(5, 9, 1, 16)) && v.adjusted == v.p, "Fisher's test");
	v = TEST_TABLE({ 9, 14 }, { 16, 17 });
	EXPECT(is_near(v.p, fisher_exact(5, 9, 1, 16)), "good ones are rarer than bad ones");
	v = TEST_TABLE({ 5000, 5010 }, { 10, 5010 });
	EXPECT(is_near(v.p, fisher_exact(5000, 10, 10, 5000)), "large numbers");
	v = TEST_TABLE({ 0, 4 }, { 0, 9 });
	EXPECT(v.p == 1 && v.p_min == 1, "no bad unit");
	v = TEST_TABLE({ 4, 4 }, { 9, 9 });
	EXPECT(v.p == 1 && v.p_min == 1, "no good unit");
	v = TEST_TABLE({ 4, 9 });
	EXPECT(v.p == 1 && v.p_min == 1, "one row");
	EXPECT(test_table(NULL, 0).p == 1, "no row");
}

static double ways(const struct table_row *row, const uint32_t *bad, size_t rows)
{
	double product = 1;
	size_t i;

	for (i = 0; i < rows; i++)
		product *= round(exp(log_choose(row[i].total, bad[i])));
	return product;
}

/* Returns p by brute force: each choice of the bad ones among all units is equally likely. */
static double assign_all(const struct table_row *row, size_t rows)
{
	uint32_t seen[8], bad = 0, n = 0, set, all = 0, hits = 0;
	size_t i;

	for (i = 0; i < rows; i++) {
		seen[i] = row[i].bad;
		bad += row[i].bad;
		n += row[i].total;
	}
	for (set = 0; set < 1U << n; set++) {
		uint32_t count[8], rest = set;

		if ((uint32_t)__builtin_popcount(set) != bad)
			continue;
		for (i = 0; i < rows; rest >>= row[i].total, i++)
			count[i] = __builtin_popcount(rest & ((1U << row[i].total) - 1));
		all++;
		hits += ways(row, count, rows) <= ways(row, seen, rows);
	}
	return (double)hits / all;
}

static void check_brute_force(void)
{
	static const struct table_row table[][4] = {
		{ { 3, 3 }, { 1, 4 }, { 0, 2 }, { 1, 3 } },
		{ { 0, 5 }, { 2, 2 }, { 2, 4 }, { 0, 1 } },
		{ { 4, 4 }, { 3, 4 }, { 1, 2 }, { 0, 4 } },
		{ { 1, 1 }, { 1, 6 }, { 1, 1 }, { 1, 5 } },
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		EXPECT(is_near(test_table(table[i], 4).p, assign_all(table[i], 4)),
		       "a p-value differs from that of all assignments");
}

/* More than 32 rows are sampled: 40 rows of 3 units, with 12 bad ones. */
static void check_sampled_table(void)
{
	static const struct {
		uint32_t bad[9];
		double p;
	} known[] = {
		{ { 2, 2, 2, 1, 1, 1, 1, 1, 1 }, 262788817.0 / 3392976307 },
		{ { 2, 2, 2, 2, 1, 1, 1, 1 }, 63596857.0 / 3392976307 },
		{ { 3, 2, 2, 1, 1, 1, 1, 1 }, 105019.0 / 33428338 },
		{ { 3, 3, 1, 1, 1, 1, 1, 1 }, 368663.0 / 969421802 },
	};
	struct table_row row[40] = {};
	struct p_value v;
	size_t i, j;

	for (i = 0; i < COUNT(known); i++) {
		for (j = 0; j < COUNT(row); j++)
			row[j] = (struct table_row){ j < 9 ? known[i].bad[j] : 0, 3 };
		v = test_table(row, COUNT(row));
		EXPECT(is_within(v.p, known[i].p, 0.25), "a sampled p-value is far off");
		EXPECT(v.p == test_table(row, COUNT(row)).p, "two runs differ");
		EXPECT(v.p_min <= 1e-4 && v.p_min > 0, "p_min of a sampled table");
	}
}

/* Large tables: the approximation, and the number of units that are drawn. */
static void check_large_tables(void)
{
	struct table_row row[512];
	struct p_value v;
	size_t i;

	v = TEST_TABLE({ 1080, 10000 }, { 1000, 10000 }, { 920, 10000 });
	EXPECT(v.p >= 8.166972e-4 && v.p < 1.25 * 8.166972e-4, "the approximation at 1e-3");
	v = TEST_TABLE({ 1110, 10000 }, { 1000, 10000 }, { 890, 10000 });
	EXPECT(v.p >= 1.422281e-6 && v.p < 4 * 1.422281e-6, "the approximation at 1e-6");
	for (i = 0; i < COUNT(row); i++)
		row[i] = (struct table_row){ i ? 0 : 256, MANY / COUNT(row) };
	v = test_table(row, COUNT(row));
	EXPECT(v.p < 2e-4 && 256 / v.p < 2.1e6, "256 units a sample, 2 million in all");
	for (i = 0; i < COUNT(row); i++)
		row[i].bad = i < 6 ? 256 : 0;
	v = test_table(row, COUNT(row));
	EXPECT(v.p < 1e-3 && 6 * 256 / v.p < 2.1e6, "1536 units a sample, 2 million in all");
	for (i = 0; i < COUNT(row); i++)
		row[i].bad = i < 100 ? 256 : 0;
	row[COUNT(row) - 1].total = 2; /* a small row changes nothing */
	EXPECT(test_table(row, COUNT(row)).p < 1e-9, "no sample, but the approximation");
}

/*
 * 2500 rows of 4 units. The constant was computed from the joint probabilities of all counts in two
 * rows, which give the exact variance.
 */
static void check_variance(void)
{
	static struct table_row row[2500];
	size_t i;

	for (i = 0; i < COUNT(row); i++)
		row[i] = (struct table_row){ 2, 4 };
	for (i = 0; i < 340; i++)
		row[i].bad = i % 2 * 4;
	for (; i < 340 + 1280; i++)
		row[i].bad = 1 + i % 2 * 2;
	EXPECT(is_near(test_table(row, COUNT(row)).p, 0.011760229281),
	       "the variance of chi-square");
}

/* ---- the number of tests ---- */

static void adjust(struct p_value *v, size_t n)
{
	struct p_value *each[16];
	size_t i;

	for (i = 0; i < n; i++)
		each[i] = &v[i];
	if (!adjust_p_values(each, n))
		abort();
}

static void check_adjustment(void)
{
	struct p_value holm[] = { { .p = 0.03 }, { .p = 0.01 }, { .p = 0.04 }, { .p = 0.005 } };
	/* 0.02 can be attained by two tests, 0.03 by the remaining one, 0.2 by itself */
	struct p_value tarone[] = { { .p = 0.02, .p_min = 0.001 },
				    { .p = 0.03, .p_min = 0.002 },
				    { .p = 0.2, .p_min = 0.1 },
				    { .p = 1, .p_min = 1 } };
	struct p_value capped[] = { { .p = 0.6 }, { .p = 0.7 }, { .p = 0.4 } };
	struct p_value single = { .p = 0.01, .p_min = 0.01 };

	adjust(holm, 4);
	EXPECT(is_near(holm[3].adjusted, 0.02) && is_near(holm[1].adjusted, 0.03), "Holm");
	EXPECT(is_near(holm[0].adjusted, 0.06) && is_near(holm[2].adjusted, 0.06),
	       "the order of p");
	adjust(tarone, 4);
	EXPECT(is_near(tarone[0].adjusted, 0.04), "tests that cannot attain 0.02 count");
	EXPECT(is_near(tarone[1].adjusted, 0.04), "a test is rejected before one with a smaller p");
	EXPECT(is_near(tarone[2].adjusted, 0.2) && tarone[3].adjusted == 1, "the last tests");
	adjust(capped, 3);
	EXPECT(capped[0].adjusted == 1 && capped[1].adjusted == 1 && capped[2].adjusted == 1,
	       "a probability above 1");
	adjust(&single, 1);
	EXPECT(single.adjusted == 0.01, "a single test is adjusted");
	adjust(NULL, 0);
}

/* ---- strata ---- */

static struct stratified_test test_strata(const struct stratum *s, size_t n)
{
	struct stratified_test t;

	if (!stratified_test(s, n, &t))
		abort();
	return t;
}

static void check_exact_strata(void)
{
	static const struct stratum two[] = { { 2, 3, 2, 6 }, { 1, 2, 2, 5 } };
	static const struct stratum three[] = { { 3, 4, 4, 9 }, { 2, 2, 3, 7 }, { 0, 1, 2, 3 } };
	static const struct stratum mute[] = { { 5, 5, 5, 9 }, { 4, 9, 4, 9 }, { 0, 0, 4, 9 },
					       { 3, 3, 9, 9 }, { 0, 4, 0, 9 }, { 0, 0, 0, 0 } };
	struct stratum with_mute[] = { mute[1], three[0], mute[2], three[1],
				       mute[3], three[2], mute[4], mute[5] };
	static const struct stratum alike[] = { { 5, 5, 5, 10 }, { 5, 5, 5, 10 } };
	static const struct stratum most_bad = { 4, 5, 5, 6 };
	struct stratified_test t = test_strata(two, 2);

	EXPECT(is_near(t.within, 13.0 / 50) && is_near(t.result.p_min, 1.0 / 50), "two hosts");
	EXPECT(t.result.p == t.within && t.informative == 2 && t.agreeing == 2 && t.more,
	       "few hosts have the p-value within hosts");
	t = test_strata(three, 3);
	EXPECT(is_near(t.within, 163.0 / 882) && is_near(t.result.p_min, 1.0 / 1323),
	       "three hosts");
	EXPECT(t.informative == 3 && t.agreeing == 2, "a host with the other sign");
	t = test_strata(with_mute, COUNT(with_mute));
	EXPECT(is_near(t.within, 163.0 / 882) && t.informative == 3, "hosts that show nothing");
	t = test_strata(alike, 2);
	EXPECT(is_near(t.within, 1.0 / 31752) && is_near(t.between, 0.5), "two hosts that agree");
	t = test_strata(alike, 1);
	EXPECT(is_near(t.within, fisher_exact(5, 0, 0, 5)), "one host is a 2x2 table");
	EXPECT(t.between == 1, "one host decides alone");
	t = test_strata(&most_bad, 1);
	EXPECT(is_near(t.within, fisher_exact(4, 1, 1, 0)) && is_near(t.result.p_min, 1.0 / 6) &&
		       !t.more && t.agreeing == 1,
	       "more bad observations than observations without the trait");
	t = test_strata(&mute[1], 5);
	EXPECT(t.result.p == 1 && t.result.p_min == 1 && !t.informative, "no host shows anything");
	EXPECT(test_strata(NULL, 0).result.p == 1, "no host");
}

/* All permutations of the bad observations of two hosts, by brute force. */
static void check_permuted_strata(void)
{
	static const struct stratum s[] = { { 3, 4, 4, 8 }, { 2, 3, 3, 8 } };
	uint32_t count[8] = { 0 }, set, all = 0, hits = 0, i;

	for (set = 0; set < 1 << 16; set++)
		if (__builtin_popcount(set & 0xff) == 4 && __builtin_popcount(set >> 8) == 3) {
			count[__builtin_popcount(set & 0xf) + __builtin_popcount(set & 0x700)]++;
			all++;
		}
	for (i = 0; i < COUNT(count); i++)
		hits += count[i] <= count[5] ? count[i] : 0;
	EXPECT(is_near(test_strata(s, 2).within, (double)hits / all),
	       "a p-value differs from that of all permutations");
}

/* From 10 hosts on, they must agree, whatever a single one of them shows. */
static void check_hosts_agree(void)
{
	struct stratum s[400];
	struct stratified_test t;
	size_t i;

	for (i = 0; i < 10; i++)
		s[i] = (struct stratum){ i < 5, 1, 1, 10 };
	t = test_strata(s, 10);
	EXPECT(is_near(t.within, 8174687.0 / 5e9) && t.result.p == t.between, "the larger p-value");
	/* 5 x 0.9 - 5 x 0.1 = 4: the signs of the large ones must agree, those of the others may not */
	EXPECT(is_near(t.between, 2.0 / 32), "random signs");
	EXPECT(is_near(t.result.p_min, 1.0 / 512), "p_min of 10 hosts");
	for (i = 0; i < 20; i++)
		s[i] = i ? (struct stratum){ i % 2, 1, 1, 2 } : (struct stratum){ 50, 50, 50, 100 };
	t = test_strata(s, 20);
	EXPECT(t.within < 1e-9 && t.result.p > 0.4, "one host of 20 decides alone");
	for (i = 0; i < 400; i++)
		s[i] = (struct stratum){ 1, 1, 1, 2 };
	t = test_strata(s, 14);
	EXPECT(is_near(t.result.p, ldexp(1, -13)) && t.agreeing == 14, "14 hosts that agree");
	t = test_strata(s, 100);
	EXPECT(is_near(t.within, ldexp(1, -99)) && is_near(t.result.p, 1.0 / 20001),
	       "random signs");
	t = test_strata(s, 400);
	EXPECT(t.between < 1e-80, "the normal approximation");
	for (i = 0; i < 400; i++)
		s[i] = (struct stratum){ i % 100 < 60, 1, 1, 2 };
	t = test_strata(s, 100);
	/* both tests are the binomial test: 60 of 100 */
	EXPECT(is_near(t.within, 0.05688793364) && is_within(t.between, t.within, 0.25),
	       "60 of 100 random signs");
	t = test_strata(s, 300);
	EXPECT(is_within(t.between, erfc(60 / sqrt(300) / sqrt(2)), 1e-4), "180 of 300 signs");
	EXPECT(t.result.p == t.within && t.agreeing == 180, "the larger p-value");
	for (i = 0; i < 400; i++)
		s[i] = (struct stratum){ i % 2, 1, 1, 2 };
	EXPECT(test_strata(s, 400).result.p == 1, "400 hosts without a difference");
}

static void check_many_strata(void)
{
	struct stratum *s = calloc(MANY, sizeof(*s));
	struct stratified_test t;
	size_t i;

	if (!s)
		abort();
	/* 45 of 10 000 hosts more have the bad observation with the trait: z = (45 - 0.5) / 50 */
	for (i = 0; i < 10000; i++)
		s[i] = (struct stratum){ i < 5045, 1, 1, 2 };
	t = test_strata(s, 10000);
	EXPECT(is_near(t.within, erfc(44.5 / 50 / sqrt(2))), "the normal approximation");
	for (i = 0; i < MANY; i++)
		s[i] = (struct stratum){ i % 8 != 0, 1, 1, 2 };
	t = test_strata(s, MANY);
	EXPECT(t.result.p < 1e-9 && t.informative == MANY && t.agreeing == MANY / 8 * 7,
	       "131 072 hosts");
	for (i = 0; i < MANY; i++)
		s[i].bad_with = i & 1;
	EXPECT(test_strata(s, MANY).result.p == 1, "131 072 hosts without a difference");
	free(s);
}

/* ---- traits ---- */

static struct contrast test_trait(const uint32_t *value, const bool *bad, size_t n)
{
	struct contrast c;

	if (!contrast_test(value, bad, n, &c))
		abort();
	return c;
}

/* A trait in short: { value, bad hosts, good hosts }. */
struct group {
	uint32_t value, bad, good;
};

static struct contrast test_groups(const struct group *g, size_t groups)
{
	static uint32_t value[1000];
	static bool bad[1000];
	size_t i, n = 0;
	uint32_t k;

	for (i = 0; i < groups; i++)
		for (k = 0; k < g[i].bad + g[i].good; k++, n++) {
			value[n] = g[i].value;
			bad[n] = k < g[i].bad;
		}
	return test_trait(value, bad, n);
}

#define TEST_GROUPS(...)                                   \
	test_groups((const struct group[]){ __VA_ARGS__ }, \
		    COUNT(((const struct group[]){ __VA_ARGS__ })))

static void check_split(void)
{
	struct contrast c = TEST_GROUPS({ 0xfffffffe, 9, 0 }, { 10, 0, 10 }, { 0, 0, 20 });

	EXPECT(c.outcome == TRAIT_SPLITS && c.n_values == 1 && c.values[0] == 0xfffffffe,
	       "VLAN 20");
	EXPECT(is_near(c.test.p, 1.0 / 211915132), "the p-value of a split");
	EXPECT(c.bad_with == 9 && !c.good_with && !c.bad_without && c.good_without == 30, "counts");
	EXPECT(contrast_has(&c, 0xfffffffe) && !contrast_has(&c, 10), "the values of a split");
	c = TEST_GROUPS({ 7, 4, 1 }, { 3, 5, 0 }, { 5, 1, 4 });
	EXPECT(c.outcome == TRAIT_SPLITS && c.n_values == 2 && c.values[0] == 3 && c.values[1] == 7,
	       "two values, 80 % and 20 %");
	EXPECT(c.bad_with == 9 && c.good_with == 1 && c.bad_without == 1 && c.good_without == 4,
	       "counts of two values");
	/* the p-value is that of the table with three rows */
	EXPECT(is_near(c.test.p, TEST_TABLE({ 5, 5 }, { 1, 5 }, { 4, 5 }).p), "not of the split");
	c = TEST_GROUPS({ 1, 7, 2 }, { 2, 0, 9 });
	EXPECT(c.outcome == TRAIT_UNCLEAR && !c.n_values && !c.bad_with, "less than 80 % are bad");
	c = TEST_GROUPS({ 1, 9, 0 }, { 2, 2, 7 });
	EXPECT(c.outcome == TRAIT_UNCLEAR && c.test.p < 0.01, "others are bad as well");
	c = TEST_GROUPS({ 1, 9, 1 }, { 2, 8, 2 });
	EXPECT(c.outcome != TRAIT_SPLITS, "a split without others");
}

/* Values of one host each neither hide an effect nor show one. */
static void check_single_values(void)
{
	struct group g[31] = { { 1000, 9, 0 } };
	struct contrast c;
	uint32_t i;

	for (i = 1; i <= 30; i++)
		g[i] = (struct group){ i, 0, 1 };
	c = test_groups(g, 31);
	EXPECT(c.outcome == TRAIT_SPLITS && is_near(c.test.p, 1.0 / 211915132) && c.distinct == 31,
	       "30 hosts with a vendor each hide the 9 of one vendor");
	for (i = 1; i <= 9; i++)
		g[i].bad = 1, g[i].good = 0;
	g[0] = (struct group){ 1000, 0, 9 };
	c = test_groups(g, 31);
	EXPECT(c.outcome != TRAIT_SPLITS, "each bad host has a value of its own");
	c = TEST_GROUPS({ 1, 0, 9 }, { 2, 0, 9 }, { 3, 1, 0 }, { 4, 1, 0 }, { 5, 1, 0 },
			{ 6, 1, 0 });
	EXPECT(c.outcome == TRAIT_UNCLEAR && c.test.p < 0.01, "values of one host each are named");
	c = test_groups(g + 1, 30);
	EXPECT(c.outcome == TRAIT_ALL_DIFFER && c.test.p == 1 && c.test.p_min == 1,
	       "all hosts differ");
}

static void check_spread(void)
{
	struct contrast c = TEST_GROUPS({ 1, 3, 7 }, { 2, 2, 8 }, { 3, 4, 6 });

	EXPECT(c.outcome == TRAIT_SPREAD, "bad and good hosts in each VLAN");
	c = TEST_GROUPS({ 1, 3, 7 }, { 2, 0, 10 }, { 3, 4, 6 });
	EXPECT(c.outcome == TRAIT_UNCLEAR, "a third of the hosts has a value without a bad one");
	c = TEST_GROUPS({ 1, 1, 20 }, { 2, 0, 10 });
	EXPECT(c.outcome == TRAIT_UNCLEAR, "a large p-value is no evidence");
	c = TEST_GROUPS({ 1, 5, 20 }, { 2, 0, 3 });
	EXPECT(c.outcome == TRAIT_UNCLEAR, "one value of most hosts is not spread");
	c = TEST_GROUPS({ 1, 5, 3 }, { 2, 5, 3 }, { 3, 6, 0 });
	EXPECT(c.outcome == TRAIT_UNCLEAR && c.test.p > 0.05,
	       "a quarter has a value without good ones");
	c = TEST_GROUPS({ 1, 7, 3 }, { 2, 1, 20 });
	EXPECT(c.outcome == TRAIT_UNCLEAR && c.test.p < 0.05, "shares that differ significantly");
	c = TEST_GROUPS({ 1, 4, 1 }, { 2, 1, 4 });
	EXPECT(c.outcome == TRAIT_SPLITS && c.test.p > 0.05, "80 % against 20 % is not spread");
	c = TEST_GROUPS({ 1, 7, 30 }, { 2, 7, 30 }, { 3, 2, 0 });
	EXPECT(c.outcome == TRAIT_SPREAD && !c.n_values, "a small value, bad by chance");
	c = TEST_GROUPS({ 1, 3, 22 }, { 2, 3, 22 }, { 3, 1, 0 });
	EXPECT(c.outcome == TRAIT_SPREAD, "one host more");
}

static void check_unknown(void)
{
	struct contrast c = TEST_GROUPS({ 1, 3, 7 });

	EXPECT(c.outcome == TRAIT_SAME && c.test.p == 1 && c.test.p_min == 1, "all alike");
	c = TEST_GROUPS({ 1, 3, 7 }, { TRAIT_UNKNOWN, 1, 2 });
	EXPECT(c.outcome == TRAIT_SAME && c.units == 10, "unknown is no value");
	c = TEST_GROUPS({ 1, 9, 0 }, { 2, 0, 9 }, { TRAIT_UNKNOWN, 9, 9 });
	EXPECT(c.outcome == TRAIT_SPLITS && c.units == 18, "half of the values are known");
	c = TEST_GROUPS({ 1, 9, 0 }, { 2, 0, 9 }, { TRAIT_UNKNOWN, 10, 0 });
	EXPECT(c.outcome == TRAIT_NOT_SEEN && c.test.p == 1, "most bad hosts are unknown");
	c = TEST_GROUPS({ 1, 9, 0 }, { 2, 0, 9 }, { TRAIT_UNKNOWN, 0, 10 });
	EXPECT(c.outcome == TRAIT_NOT_SEEN, "most good hosts are unknown");
	c = TEST_GROUPS({ 1, 3, 0 }, { 2, 4, 0 });
	EXPECT(c.outcome == TRAIT_NOT_SEEN, "nothing to compare with");
	c = TEST_GROUPS({ TRAIT_UNKNOWN, 3, 5 });
	EXPECT(c.outcome == TRAIT_NOT_SEEN && !c.units, "nothing known");
	EXPECT(test_trait(NULL, NULL, 0).outcome == TRAIT_NOT_SEEN, "no host");
}

static void check_many_units(void)
{
	uint32_t *value = calloc(MANY, sizeof(*value));
	bool *bad = calloc(MANY, sizeof(*bad));
	struct contrast c;
	size_t i;

	if (!value || !bad)
		abort();
	/* in a scattered order, with values that need all 32 bits */
	for (i = 0; i < MANY; i++) {
		uint32_t prefix = i * 40503 % MANY / 256;

		value[i] = 0xfffffe00 - prefix * 0x700000;
		bad[i] = prefix == 77;
	}
	c = test_trait(value, bad, MANY);
	EXPECT(c.outcome == TRAIT_SPLITS && c.n_values == 1 && c.bad_with == 256 &&
		       c.values[0] == (uint32_t)(0xfffffe00 - 77 * 0x700000) && c.distinct == 512,
	       "one /24 of 512");
	for (i = 0; i < MANY; i++)
		bad[i] = value[i] < 0x80000000;
	c = test_trait(value, bad, MANY);
	EXPECT(c.outcome == TRAIT_UNCLEAR && c.test.p < 1e-9, "too many values for a sentence");
	free(value);
	free(bad);
}

/* ---- rates of error ---- */

#define RUNS 1000

/* 5 %, and 3 standard errors of RUNS runs. */
static bool is_rate(unsigned int rejected)
{
	return rejected <= RUNS * 0.05 + 3 * sqrt(RUNS * 0.05 * 0.95);
}

/*
 * 39 hosts, 9 of them bad, 12 traits without an effect that are copies of one another in part, as
 * VLAN and subnet are. In a report, one trait or more may be named in 5 of 100.
 */
static void check_rate_of_traits(void)
{
	struct generator g = { .state = 22 };
	unsigned int run, named = 0, single = 0;

	for (run = 0; run < RUNS; run++) {
		struct contrast c[12];
		struct p_value *test[12];
		uint32_t value[39];
		bool bad[39], any = false;
		size_t i, k;

		for (i = 0; i < 39; i++)
			bad[i] = i < 9;
		for (k = 0; k < 12; k++) {
			for (i = 0; i < 39; i++)
				if (k % 3 == 0 || generate_below(&g, 4) == 0)
					value[i] =
						generate_below(&g, 2 + k) * generate_below(&g, 3);
			c[k] = test_trait(value, bad, 39);
			test[k] = &c[k].test;
		}
		single += c[5].test.p <= 0.05;
		if (!adjust_p_values(test, 12))
			abort();
		for (k = 0; k < 12; k++)
			any |= c[k].test.adjusted <= 0.05;
		named += any;
	}
	EXPECT(is_rate(single), "a single test rejects too often");
	EXPECT(is_rate(named), "a family of tests rejects too often");
	EXPECT(named > 0, "no test rejects at all");
	printf("      without an effect: one trait %.1f %%, any of 12 traits %.1f %%\n",
	       100.0 * single / RUNS, 100.0 * named / RUNS);
}

/* Adds observations of a host: with the trait or not, bad or not, without an effect. */
static void observe(struct stratum *s, struct generator *g, uint32_t n, size_t with, size_t bad)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		bool w = generate_below(g, 100) < with, b = generate_below(g, 100) < bad;

		s->total++;
		s->with += w;
		s->bad += b;
		s->bad_with += w && b;
	}
}

/* Hosts differ in activity, in the share of the trait and in the share of bad observations. */
static void check_rate_of_strata(void)
{
	struct generator g = { .state = 23 };
	unsigned int run, within = 0, p = 0, few = 0;

	for (run = 0; run < RUNS; run++) {
		struct stratum s[15] = {};
		struct stratified_test t;
		size_t i;

		for (i = 0; i < 15; i++) {
			uint32_t n = 1 + generate_below(&g, i < 3 ? 100 : 12);

			observe(&s[i], &g, n, 5 + generate_below(&g, 90),
				5 + generate_below(&g, 90));
		}
		few += test_strata(s, 5).result.p <= 0.05;
		t = test_strata(s, 15);
		within += t.within <= 0.05;
		p += t.result.p <= 0.05;
	}
	EXPECT(is_rate(within) && is_rate(p) && is_rate(few), "hosts of different size");
	EXPECT(within > 0, "no test rejects at all");
	printf("      hosts of different size: %.1f %%, with the guard %.1f %%, 5 hosts %.1f %%\n",
	       100.0 * within / RUNS, 100.0 * p / RUNS, 100.0 * few / RUNS);
}

/* Each host has one outage, and opens connects with the trait at other times than without it. */
static void check_rate_with_dependence(void)
{
	struct generator g = { .state = 24 };
	unsigned int run, within = 0, p = 0;

	for (run = 0; run < RUNS; run++) {
		struct stratum s[12] = {};
		struct stratified_test t;
		size_t i;

		for (i = 0; i < 12; i++) {
			bool hits_with = generate_below(&g, 2);

			observe(&s[i], &g, 20, 100, hits_with ? 60 : 5);
			observe(&s[i], &g, 20, 0, hits_with ? 5 : 60);
		}
		t = test_strata(s, 12);
		within += t.within <= 0.05;
		p += t.result.p <= 0.05;
	}
	EXPECT(within > RUNS / 4, "the outages are no challenge");
	EXPECT(is_rate(p), "outages of single hosts look like an effect of the trait");
	printf("      outages of hosts: %.1f %%, with the guard %.1f %%\n", 100.0 * within / RUNS,
	       100.0 * p / RUNS);
}

int main(void)
{
	check_exact_tables();
	check_brute_force();
	check_sampled_table();
	check_large_tables();
	check_variance();
	check_adjustment();
	check_exact_strata();
	check_permuted_strata();
	check_hosts_agree();
	check_many_strata();
	check_split();
	check_single_values();
	check_spread();
	check_unknown();
	check_many_units();
	check_rate_of_traits();
	check_rate_of_strata();
	check_rate_with_dependence();
	printf("contrast: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
