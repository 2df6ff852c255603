/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests a trait that varies within hosts: are observations of one host with the trait bad more
 * often than its observations without it? Each host is a stratum, so differences between hosts
 * decide nothing. The result is deterministic, and time and memory are bounded.
 */
#pragma once

#include "lib/exact_test.h"

/* The observations of one host. */
struct stratum {
	uint32_t bad_with; /* bad observations with the trait */
	uint32_t with; /* observations with the trait */
	uint32_t bad; /* bad observations */
	uint32_t total;
};

/*
 * A stratum is informative if its observations differ in the trait and in being bad.
 *
 * `within` is the p-value of the Cochran-Mantel-Haenszel test, two-sided: the number of bad
 * observations with the trait is compared with its distribution given the margins of each stratum.
 * It is exact (convolution of the hypergeometric distributions) while the number of possible values
 * is at most EXACT_SPAN, else the normal approximation with continuity correction.
 *
 * `within` takes the observations of a host as independent. They are not: one outage hits all
 * connects of a host, and one host with many observations would decide alone. So `between` takes
 * the host as the unit: d is the number of bad observations of a host with the trait, less its
 * expected number. `between` is the probability that random signs of all d give a sum at least as
 * far from 0. It takes all signs up to SIGNS hosts, random signs up to SAMPLED_STRATA, else the
 * normal approximation. It counts no signs alone: where the trait is rare, most hosts have a small
 * negative d and a few a large positive one, without any effect. Since d need not be symmetric,
 * `between` serves only to raise p.
 *
 * k hosts that agree have `between` = 2^(1 - k) at best. With MIN_STRATA informative strata or more,
 * p is the larger of both. With fewer, `between` could not pass the adjustment for some ten tests,
 * so p is `within`: then the caller limits its confidence, by `informative`, `agreeing` and
 * `between` (0.5 or more if one host decides alone).
 */
struct stratified_test {
	struct p_value result;
	double within;
	double between;
	uint32_t informative; /* strata */
	uint32_t agreeing; /* informative strata whose difference has the sign of the sum */
	bool more; /* observations with the trait are bad more often than expected */
};

#define MIN_STRATA 10 /* 2^-9 passes Holm's procedure for 25 tests at 0.05 */
#define EXACT_SPAN 4096
#define SIGNS 16
#define SAMPLED_STRATA 256

/*
 * Returns false when out of memory. Without an informative stratum all p-values are 1. The strata
 * have at most 2^32 observations together.
 */
bool stratified_test(const struct stratum *s, size_t n, struct stratified_test *t);
