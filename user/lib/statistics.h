/* SPDX-License-Identifier: GPL-2.0 */
/* Could that be chance? Numbers behind the words "equal", "more often" and "none of the others". */
#pragma once

#include <stddef.h>

#include "connection.h"

/*
 * Fisher's exact test on a 2x2 table with these cells, two-sided: the probability, rows and columns
 * given, of a table at most as likely as this one. 1 where a row or a column is empty.
 */
double fisher_exact(size_t a, size_t b, size_t c, size_t d);

/* The probability of k or more successes in n tries of probability p each. */
double binomial_tail(size_t k, size_t n, double p);

/* Sorts at[]; the middle one. n > 0. */
ns_t median(ns_t *at, size_t n);

/* Median absolute deviation from centre. n > 0; at[] is sorted. */
ns_t deviation(const ns_t *at, size_t n, ns_t centre);

/* How far may two runs of one timer differ? The larger of 50 ms and 2 %. */
ns_t timer_slack(ns_t timer);

/* A stretch of sorted durations that one timer could have made. */
struct cluster {
	size_t first;
	size_t count;
	ns_t median;
	ns_t deviation;
	double chance; /* that durations without a timer lie so close together somewhere */
};

/*
 * The largest cluster of at[], which is sorted here. A timer is three or more; fewer are answered as
 * well. n > 0.
 */
struct cluster cluster_of(ns_t *at, size_t n);

/* "glibc's resolver" for 5 s: whose timer is known to be that long? NULL when none is near. */
const char *known_timer(ns_t timer);
