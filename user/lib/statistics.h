/* SPDX-License-Identifier: GPL-2.0 */
/* Statistical tests and robust measures of durations: could an observation be chance? */
#pragma once

#include <stddef.h>

#include "connection.h"

/*
 * Fisher's exact test on the 2x2 table with the rows (a, b) and (c, d), two-sided: the probability,
 * row and column sums given, of a table at most as likely as this one. 1 if a row or column is
 * empty.
 */
double fisher_exact(size_t a, size_t b, size_t c, size_t d);

/* The probability of k or more successes in n trials that succeed with probability p each. */
double binomial_tail(size_t k, size_t n, double p);

/* For qsort() of ns_t in ascending order. */
int compare_ns(const void *a, const void *b);

/* Sorts at[] and returns its upper median. n > 0. */
ns_t median(ns_t *at, size_t n);

/* The median of the absolute deviations from centre. at[] is sorted, n > 0. */
ns_t median_absolute_deviation(const ns_t *at, size_t n, ns_t centre);

/* The tolerance between two runs of one timer: 50 ms or 2 %, whichever is larger. */
ns_t timer_slack(ns_t timer);

/* A run of sorted durations so close together that one timer could have made them. */
struct cluster {
	size_t first;
	size_t count;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	double chance; /* that durations without a timer lie so close together somewhere */
};

/*
 * Sorts at[] and returns its largest cluster. Clusters of one or two durations are returned as
 * well, although they prove no timer. n > 0.
 */
struct cluster cluster_of(ns_t *at, size_t n);

/* Returns what is known to have a timer of this length, as "glibc's resolver" for 5 s; or NULL. */
const char *known_timer(ns_t timer);
