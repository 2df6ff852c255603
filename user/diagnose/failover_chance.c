// SPDX-License-Identifier: GPL-2.0
/*
 * The probability that connects follow attempts after a constant time by chance. Two null
 * hypotheses are tested, as for stalls: the client's own rhythm of connects puts a connect there
 * (chance of the starts), and the delays agree by coincidence (chance of the ends).
 */
#include <math.h>
#include <stdlib.h>

#include "diagnose/failover.h"
#include "model/coincidence.h"

/* Clocks and schedulers are no more precise than this. */
#define LEAST_WIDTH_NS (2 * (ns_t)MILLISECOND_NS)

/* Connects without an attempt near them, so many of which show the client's own rhythm. */
#define MIN_UNACCOMPANIED 3

/* An attempt this soon after a connect may accompany it. */
#define ACCOMPANIES_NS (100 * (ns_t)MILLISECOND_NS)

/* Maximum probability of a rhythm that is no chance. */
#define MAX_CHANCE_OF_RHYTHM 2e-3

/* Limits of the two chances. */
#define MAX_CHANCE_OF_STARTS 1e-2
#define MAX_CHANCE_OF_ENDS 0.2

static ns_t width_of(const struct span *s)
{
	return s->high - s->low > LEAST_WIDTH_NS ? s->high - s->low : LEAST_WIDTH_NS;
}

/* Returns true if the begin can be part of the host's own rhythm. */
static bool is_beat(const struct sequence *f, const struct begin *b)
{
	return counts_as_successor(f, b) && (!f->ipv6 || is_ip4(&b->to->address) || b->attempt);
}

/* ---- the rhythm of a host ---- */

/*
 * Returns the share of the time since `since` from which a connect begins after a time within the
 * span.
 */
static double covered_share(const struct sequence *f, const struct timeline *t,
			    const struct span *s, ns_t since)
{
	const struct rhythm *r = rhythm_of(f, t);
	ns_t low = s->median - width_of(s) / 2, high = low + width_of(s);
	ns_t until = since, from, to, last = f->g->m->last - high;
	double covered = 0;
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (!is_beat(f, &r->at[i]))
			continue;
		from = r->at[i].t - high > until ? r->at[i].t - high : until;
		to = r->at[i].t - low < last ? r->at[i].t - low : last;
		if (to > from) {
			covered += to - from;
			until = to;
		}
	}
	/* a host that was seen for a shorter time shows no rhythm */
	return covered / (last - since > s->median ? last - since : s->median);
}

/* Returns true if an attempt of the candidate begins within this time. */
static bool has_attempt(const struct sequence *f, const struct rhythm *r, ns_t from, ns_t to)
{
	size_t i;

	for (i = rhythm_find(r, from); i < r->count && r->at[i].t <= to; i++)
		if (r->at[i].attempt &&
		    (f->ipv6 ? !is_ip4(&r->at[i].to->address) : same_endpoint(r->at[i].to, f->to)))
			return true;
	return false;
}

/* Returns by how much the intervals of a rhythm may differ from the span that it explains. */
static ns_t rhythm_slack(const struct span *s)
{
	return timer_slack(s->median) / 2;
}

/*
 * Counts the connects of a host without an attempt of the candidate near them, and those of them
 * that another connect follows within the span.
 */
static void count_unaccompanied(const struct sequence *f, const struct rhythm *r,
				const struct span *s, size_t *alone, size_t *followed)
{
	ns_t slack = rhythm_slack(s), t, before = NEVER;
	size_t i, j;

	for (i = 0; i < r->count; i++) {
		t = r->at[i].t;
		if (!r->at[i].recent || t + s->high + slack > f->g->m->last ||
		    (before != NEVER && t - before < ACCOMPANIES_NS))
			continue;
		before = t;
		if (has_attempt(f, r, t - SECOND_NS, t + s->high))
			continue;
		++*alone;
		for (j = rhythm_find(r, t + s->low - slack);
		     j < r->count && r->at[j].t <= t + s->high + slack; j++)
			if (is_beat(f, &r->at[j])) {
				++*followed;
				break;
			}
	}
}

/*
 * Returns true if these connects show a rhythm: more of them are followed by another one than by
 * chance, within the wider interval that they are counted in.
 */
static bool is_rhythm(const struct span *s, size_t alone, size_t followed)
{
	double wider = 1 + 2.0 * rhythm_slack(s) / width_of(s), share = s->share * wider;

	return alone >= MIN_UNACCOMPANIED && (double)followed / alone > s->share &&
	       binomial_tail(followed, alone, share < 1 ? share : 1) <= MAX_CHANCE_OF_RHYTHM;
}

/*
 * Returns the probability that so many of the attempts are followed by a connect in an interval of
 * this width, if a share of all moments is. It is multiplied by the number of such intervals, and
 * by the number of peers that a host tried (Bonferroni).
 */
double chance_of_starts(const struct span *s, size_t followed, size_t tried, double share)
{
	double p = binomial_tail(followed, tried, share < 1 ? share : 1);

	p *= (double)s->peers * MAX_GAP_NS / width_of(s);
	return p < 1 ? p : 1;
}

/*
 * Sets the probability that the rhythm of these hosts puts so many connects into the span.
 */
static void judge_starts(const struct sequence *f, struct span *s)
{
	size_t i, first, n, alone = 0, followed = 0, tried = 0;
	double expected = 0;

	s->peers = 1;
	for (first = 0; first < f->moment_count; first = i) {
		const struct timeline *t = f->moments[first]->timeline;

		for (n = 0, i = first; i < f->moment_count && f->moments[i]->timeline == t; i++)
			n += f->moments[i]->counts;
		if (!n)
			continue;
		expected += n * covered_share(f, t, s, known_since(f->moments[first], f->ipv6));
		tried += n;
		count_unaccompanied(f, rhythm_of(f, t), s, &alone, &followed);
		if (rhythm_of(f, t)->peers > s->peers)
			s->peers = rhythm_of(f, t)->peers;
	}
	s->share = tried ? expected / tried : 1;
	if (is_rhythm(s, alone, followed))
		s->share = (double)followed / alone;
	s->chance_of_starts = chance_of_starts(s, s->attempts, s->tried, s->share);
}

/*
 * Returns the probability that delays of so many of the attempts form such a cluster without a
 * timer. The logarithms of delays are then spread evenly, see cluster_of(). If several connects
 * follow an attempt, each of them may be in the cluster.
 */
double chance_of_ends(ns_t width, ns_t median, size_t followed, size_t tried, double connects)
{
	double q, p, choices;

	if (followed < 2 || tried < followed)
		return 1;
	if (width < LEAST_WIDTH_NS)
		width = LEAST_WIDTH_NS;
	if (connects < 1)
		connects = 1;
	q = width / (median * log(30)) * connects;
	choices = lgamma(tried) - lgamma(followed) - lgamma(tried - followed + 1.0);
	p = exp(log(tried * connects) + choices + (followed - 1) * log(q < 1 ? q : 1));
	return p < 1 ? p : 1;
}

/* ---- what else speaks against the span ---- */

/*
 * Returns true if the host's attempts at this peer are periodic, with a deviation like that of the
 * delays. Such attempts are at a constant distance from any other periodic connections.
 */
static bool is_periodic(const struct timeline *t, const struct endpoint *to, ns_t deviation)
{
	ns_t slack = 4 * deviation + 5 * (ns_t)MILLISECOND_NS;
	ns_t before = NEVER, intervals[64], middle;
	size_t i, n = 0, near = 0;

	for (i = 0; i < t->pending_count && n < 64; i++) {
		const struct pending *o = t->pendings[i];

		if (!same_endpoint(&o->to, to))
			continue;
		if (before != NEVER)
			intervals[n++] = o->start - before;
		before = o->start;
	}
	if (n < 2)
		return false;
	middle = median(intervals, n);
	if (slack > timer_slack(middle))
		slack = timer_slack(middle);
	for (i = 0; i < n; i++)
		near += llabs(intervals[i] - middle) <= slack;
	return near * 10 >= n * 7;
}

static int by_attempt(const void *a, const void *b)
{
	const struct successor *x = *(struct successor *const *)a;
	const struct successor *y = *(struct successor *const *)b;

	if (x->after != y->after)
		return x->after < y->after ? -1 : 1;
	return x->t < y->t ? -1 : x->t > y->t;
}

/* Returns the last established connect before the attempt, or NULL. */
static const struct begin *begin_before(const struct rhythm *r, const struct attempt *a)
{
	size_t i = rhythm_find(r, a->pending->start + LAG_NS);

	while (i--)
		if (r->at[i].recent && r->at[i].t <= a->pending->start + LAG_NS)
			return &r->at[i];
	return NULL;
}

/*
 * Compares the delay since the attempt with the delay since the connect before it. If the second is
 * more constant, the clients have a rhythm of their own that the attempts accompany.
 */
static void judge_coupling(const struct sequence *f, struct span *s)
{
	struct successor **order = calloc(s->count, sizeof(struct successor *));
	ns_t *delays = calloc(s->count, sizeof(*delays)), middle, deviation;
	const struct attempt *last = NULL;
	size_t i, n = 0, near = 0, moments = 0;

	for (i = 0; order && delays && i < s->count; i++)
		order[i] = &f->at[s->first + i];
	if (order && delays)
		qsort(order, s->count, sizeof(struct successor *), by_attempt);
	for (i = 0; order && delays && i < s->count; i++) {
		const struct attempt *a = order[i]->after;
		const struct begin *b;

		if (a->moment == last)
			continue;
		if (!last || last->timeline != a->timeline)
			s->periodic |= f->to && is_periodic(a->timeline, f->to, s->deviation);
		last = a->moment;
		moments++;
		b = begin_before(rhythm_of(f, a->timeline), a);
		if (!b || a->pending->start - b->t > s->median)
			continue;
		near += a->pending->start - b->t < ACCOMPANIES_NS;
		delays[n++] = order[i]->begin->t - b->t;
	}
	if (n >= 3 && n * 2 > moments) {
		middle = median(delays, n);
		deviation = median_absolute_deviation(delays, n, middle);
		/* attempts that accompany no connect, and are followed as well, are no rhythm */
		s->ambiguous =
			near * 4 > moments * 3 && deviation <= s->deviation + (ns_t)MILLISECOND_NS;
		s->unsteady =
			s->deviation > 3 * (ns_t)MILLISECOND_NS && deviation * 2 < s->deviation;
	}
	free(order);
	free(delays);
}

static int by_host_and_time(const void *a, const void *b)
{
	const struct successor *x = *(struct successor *const *)a;
	const struct successor *y = *(struct successor *const *)b;

	if (x->after->timeline != y->after->timeline)
		return x->after->timeline < y->after->timeline ? -1 : 1;
	return x->begin->t < y->begin->t ? -1 : x->begin->t > y->begin->t;
}

/*
 * Replaces the intervals between the successors of each host by their differences from the median
 * of that host. Returns their number.
 */
static size_t interval_errors(const struct span *s, struct successor **order, ns_t *errors)
{
	size_t first, i, j, k, n = 0, own;
	ns_t middle, interval;

	for (first = 0; first < s->count; first = i) {
		own = n;
		for (i = first + 1;
		     i < s->count && order[i]->after->timeline == order[first]->after->timeline;
		     i++) {
			interval = order[i]->begin->t - order[i - 1]->begin->t;
			if (interval >= ACCOMPANIES_NS)
				errors[n++] = interval;
		}
		if (n == own)
			continue;
		/* the median itself has no error: leave it out */
		middle = median(&errors[own], n - own);
		for (j = own, k = own; j < n; j++)
			if (errors[j] != middle)
				errors[k++] = llabs(errors[j] - middle);
		n = k;
	}
	return n;
}

/*
 * Compares the delays with the intervals between the successors of a host. A connect that waits for
 * an attempt inherits the irregularity of its start. If the intervals are nearly as constant as the
 * delays, then a clock explains the connects as well.
 */
static void judge_rhythm(const struct sequence *f, struct span *s)
{
	struct successor **order = calloc(s->count, sizeof(struct successor *));
	ns_t *errors = calloc(s->count, sizeof(*errors));
	size_t i, n;

	for (i = 0; order && errors && i < s->count; i++)
		order[i] = &f->at[s->first + i];
	if (order && errors) {
		qsort(order, s->count, sizeof(struct successor *), by_host_and_time);
		n = interval_errors(s, order, errors);
		s->own_rhythm =
			n >= 3 && median(errors, n) <= 3 * s->deviation + 2 * (ns_t)MILLISECOND_NS;
	}
	free(order);
	free(errors);
}

/*
 * Returns true if the delays near the span vary more than a timer: then the span is only the
 * densest part of them. Of each attempt the nearest delay counts.
 */
static bool is_part_of_spread(const struct sequence *f, const struct span *s)
{
	ns_t reach = 2 * timer_slack(s->median), t, least;
	size_t i, j, n = 0;

	for (i = 0; i < f->moment_count; i++) {
		const struct rhythm *r = rhythm_of(f, f->moments[i]->timeline);
		ns_t start = f->moments[i]->pending->start + s->median;

		least = NEVER;
		for (j = rhythm_find(r, start - reach); j < r->count && r->at[j].t <= start + reach;
		     j++) {
			if (!is_beat(f, &r->at[j]))
				continue;
			t = llabs(r->at[j].t - start);
			if (least == NEVER || t < least)
				least = t;
		}
		if (least != NEVER && n < f->count)
			f->times[n++] = least;
	}
	return n && median(f->times, n) > timer_slack(s->median) / 4;
}

void judge_span(struct sequence *f, struct span *s)
{
	judge_starts(f, s);
	s->chance_of_ends = chance_of_ends(s->high - s->low, s->median, s->attempts, s->tried,
					   (double)f->count / f->moment_count);
	judge_coupling(f, s);
	judge_rhythm(f, s);
	s->unsteady |= !f->ipv6 && is_part_of_spread(f, s);
}

bool is_span_sufficient(const struct span *s, bool ipv6)
{
	if (s->attempts * 2 <= s->tried || s->attempts < MIN_CHAINS)
		return false;
	if (!ipv6 && (s->deviation > timer_slack(s->median) / 4 || s->unsteady))
		return false;
	/* indirect evidence must not fit another explanation */
	if ((s->counts_failed && s->ambiguous) || (s->late && (s->ambiguous || s->periodic)))
		return false;
	return s->chance_of_starts <= MAX_CHANCE_OF_STARTS &&
	       s->chance_of_ends <= MAX_CHANCE_OF_ENDS;
}
