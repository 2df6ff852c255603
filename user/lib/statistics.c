// SPDX-License-Identifier: GPL-2.0
#include "lib/statistics.h"

#include <math.h>
#include <stdlib.h>

double log_choose(size_t n, size_t k)
{
	return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0);
}

double fisher_exact(size_t a, size_t b, size_t c, size_t d)
{
	size_t row = a + b, column = a + c, n = a + b + c + d, least, most, x;
	double all = log_choose(n, column), seen, p, sum = 0;

	least = column > n - row ? column - (n - row) : 0;
	most = row < column ? row : column;
	seen = log_choose(row, a) + log_choose(n - row, column - a) - all;
	for (x = least; x <= most; x++) {
		p = log_choose(row, x) + log_choose(n - row, column - x) - all;
		if (p <= seen + 1e-7) /* the tolerance is for rounding errors */
			sum += exp(p);
	}
	return sum < 1 ? sum : 1;
}

double binomial_tail(size_t k, size_t n, double p)
{
	double sum = 0;
	size_t i;

	if (!k || p >= 1)
		return 1;
	if (k > n || p <= 0)
		return 0;
	for (i = k; i <= n; i++)
		sum += exp(log_choose(n, i) + i * log(p) + (n - i) * log1p(-p));
	return sum < 1 ? sum : 1;
}

int compare_ns(const void *a, const void *b)
{
	ns_t x = *(const ns_t *)a, y = *(const ns_t *)b;

	return x < y ? -1 : x > y;
}

ns_t median(ns_t *at, size_t n)
{
	qsort(at, n, sizeof(*at), compare_ns);
	return at[n / 2];
}

ns_t median_absolute_deviation(const ns_t *at, size_t n, ns_t centre)
{
	size_t below = 0, above, nearer = n / 2;

	while (below < n && at[below] < centre)
		below++;
	/* walk outwards from the centre, always to the nearer neighbour, until past half of them */
	for (above = below;; nearer--) {
		bool down = above == n || (below && centre - at[below - 1] < at[above] - centre);

		if (!nearer)
			return down ? centre - at[below - 1] : at[above] - centre;
		if (down)
			below--;
		else
			above++;
	}
}

ns_t timer_slack(ns_t timer)
{
	ns_t least = 50 * (ns_t)MILLISECOND_NS;

	return timer / 50 > least ? timer / 50 : least;
}

/*
 * Returns the probability that durations without a timer form such a cluster.
 *
 * The null hypothesis: the logarithms of the durations are spread evenly over a factor of 30,
 * roughly as the waits of people and servers are. q is the share of durations that an interval of
 * this width then holds. Widths below 2 ms count as 2 ms: clocks and schedulers are no more
 * precise.
 */
static double chance_of_cluster(size_t n, size_t count, ns_t width, ns_t median)
{
	const ns_t least = 2 * (ns_t)MILLISECOND_NS;
	double q, p;

	if (count < 2)
		return 1;
	q = (width > least ? width : least) / (median * log(30));
	p = exp(log(n) + log_choose(n - 1, count - 1) + (count - 1) * log(q));
	return p < 1 ? p : 1;
}

struct cluster cluster_of(ns_t *at, size_t n)
{
	struct cluster best = { .count = 0 };
	size_t first = 0, last;

	qsort(at, n, sizeof(*at), compare_ns);
	for (last = 0; last < n; last++) {
		while (at[last] - at[first] > 2 * timer_slack(at[last]))
			first++;
		if (last - first + 1 > best.count) {
			best.first = first;
			best.count = last - first + 1;
		}
	}
	best.median = at[best.first + best.count / 2];
	best.deviation = median_absolute_deviation(at + best.first, best.count, best.median);
	best.chance = chance_of_cluster(
		n, best.count, at[best.first + best.count - 1] - at[best.first], best.median);
	return best;
}

const char *known_timer(ns_t timer)
{
	static const struct {
		double seconds;
		const char *software;
	} known[] = {
		{ 2.5, "musl's resolver" },
		{ 5, "glibc's resolver, sendmail's ident, some antivirus" },
		{ 7, "three SYNs, 1+2+4 s" },
		{ 9, "old Windows' SYNs, 3+6 s" },
		{ 15, "Windows fetching a revocation list" },
		{ 21, "Windows' connect(), 3+6+12 s" },
		{ 30, "ident (RFC 1413), many clients" },
		{ 63, "six SYNs, 1+2+...+32 s" },
		{ 75, "BSD's connect()" },
		{ 127, "Linux' connect(), six SYNs sent again" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (llabs(timer - (ns_t)(known[i].seconds * 1e9)) <= timer_slack(timer) / 2)
			return known[i].software;
	return NULL;
}
