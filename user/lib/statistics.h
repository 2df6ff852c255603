/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Statistical tests and robust measures of durations, which decide whether an observation can be
 * chance.
 */
#pragma once

#include <stddef.h>

#include "connection.h"

/* Returns the logarithm of the binomial coefficient n over k. k <= n. */
double log_choose(size_t n, size_t k);

/*
 * Returns the p-value of Fisher's exact test, two-sided, on the 2x2 table with the rows (a, b) and
 * (c, d). It is the probability, with these row and column sums, of a table at most as likely as
 * this one. Returns 1 if a row or column is empty.
 */
double fisher_exact(size_t a, size_t b, size_t c, size_t d);

/*
 * Returns the probability of k or more successes in n trials that each succeed with probability p.
 */
double binomial_tail(size_t k, size_t n, double p);

/* Compares two ns_t for qsort(), in ascending order. */
int compare_ns(const void *a, const void *b);

/* Sorts at[] and returns its upper median. n > 0. */
ns_t median(ns_t *at, size_t n);

/* Returns the median of the absolute deviations from centre. at[] is sorted, n > 0. */
ns_t median_absolute_deviation(const ns_t *at, size_t n, ns_t centre);

/* Returns the tolerance between two runs of one timer: 50 ms or 2 %, whichever is larger. */
ns_t timer_slack(ns_t timer);

/* A run of sorted durations that are so close together that one timer may have caused them. */
struct cluster {
	size_t first;
	size_t count;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	double chance; /* probability that durations without a timer form such a cluster */
};

/*
 * Sorts at[] and returns its largest cluster. It may consist of one or two durations, which prove
 * no timer. n > 0.
 */
struct cluster cluster_of(ns_t *at, size_t n);

/*
 * Returns the software known to have a timer of this length, such as "glibc's resolver" for 5 s, or
 * NULL.
 */
const char *known_timer(ns_t timer);
