// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that begin only after another attempt has failed: a SYN that was held back, the
 * second server of a chain, IPv4 after IPv6. The wait lies before the SYN, so it is no stall. It
 * shows as a constant time from the first SYN of one attempt to the SYN of another connection.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/failover.h"

/*
 * Minimum delay of IPv4 after IPv6. Users do not notice shorter delays (RFC 8305 5 recommends 250
 * ms between two attempts).
 */
#define MIN_IPV6_GAP_NS (300 * (ns_t)MILLISECOND_NS)

/*
 * Minimum gap in a chain. After a shorter gap the connection may be the next object of the same
 * page.
 */
#define MIN_GAP_NS (ns_t) SECOND_NS

/* Maximum gap in a chain: connect() on Linux gives up after 127 s. */
#define MAX_GAP_NS (130 * (ns_t)SECOND_NS)

#define CHANCE_MAX 1e-2 /* maximum probability that a reported chain is due to chance */

/* ---- collecting successors ---- */

bool is_successor_explained(const struct sequence *f, const struct recent *recent)
{
	struct explained_recent *e;

	HASH_FIND(hh, f->explained, &recent, sizeof(recent), e);
	return e;
}

static bool add_successor(struct sequence *f, const struct successor *successor)
{
	struct successor *grown;
	ns_t *times;
	size_t room;

	if (f->count == f->room) {
		room = f->room ? 2 * f->room : 64;
		grown = realloc(f->at, room * sizeof(*grown));
		if (!grown)
			return false;
		f->at = grown;
		times = realloc(f->times, room * sizeof(*times));
		if (!times)
			return false;
		f->times = times;
		f->room = room;
	}
	f->at[f->count++] = *successor;
	return true;
}

static bool is_family_change(const struct pending *o, const struct recent *b)
{
	return !is_ip4(&o->to.address) && is_ip4(&b->to.address) && o->to.port == b->to.port;
}

/* Returns the time since which all connections of the client are known. */
static ns_t known_since(const struct client *c)
{
	ns_t oldest = NEVER;
	unsigned int i;

	if (c->recent_count <= RECENT)
		return c->first_syn;
	for (i = 0; i < RECENT; i++)
		if (oldest == NEVER || c->recent[i].syn < oldest)
			oldest = c->recent[i].syn;
	return oldest;
}

/* Returns true for attempts of one host that start together, which count once. */
static bool is_same_moment(const struct attempt *a, const struct attempt *b)
{
	return a->timeline == b->timeline &&
	       llabs(a->pending->start - b->pending->start) < (ns_t)SECOND_NS;
}

static bool is_successor(const struct sequence *f, const struct successor *s, bool ipv6)
{
	const struct pending *o = s->after.pending;
	/* no client waits for an attempt that has already failed */
	ns_t pending = o->end - o->start + (ns_t)SECOND_NS;

	return s->t >= (ipv6 ? MIN_IPV6_GAP_NS : MIN_GAP_NS) &&
	       s->t <= (ipv6 ? MAX_GAP_NS : pending) && !same_endpoint(&s->recent->to, &o->to) &&
	       is_family_change(o, s->recent) == ipv6 && !is_successor_explained(f, s->recent);
}

/* Adds the successors of an attempt. Returns false when out of memory. */
static bool collect_successors(struct sequence *f, const struct attempt *attempt, bool ipv6)
{
	const struct host *h = attempt->timeline->host;
	bool could_have_one = false;
	size_t i, j, n;

	for (i = 0; i < h->client_count; i++) {
		const struct client *c = h->clients[i];

		if (!c->recent || attempt->pending->start < known_since(c))
			continue;
		could_have_one = true;
		n = c->recent_count < RECENT ? c->recent_count : RECENT;
		for (j = 0; j < n; j++) {
			struct successor s = {
				.after = *attempt,
				.recent = &c->recent[j],
				.t = c->recent[j].syn - attempt->pending->start,
			};

			if (is_successor(f, &s, ipv6) && !add_successor(f, &s))
				return false;
		}
	}
	f->pendings += could_have_one;
	if (could_have_one && !(f->last.pending && is_same_moment(&f->last, attempt))) {
		f->attempts++;
		f->last = *attempt;
	}
	return true;
}

/* ---- measuring a span ---- */

static int by_t(const void *a, const void *b)
{
	const struct successor *x = a, *y = b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return memcmp(&x->recent->to, &y->recent->to, sizeof(x->recent->to));
}

/*
 * Returns true if the host's attempts at `to` are periodic. Such attempts are at a constant
 * distance from any other periodic connections.
 */
static bool is_periodic(const struct timeline *t, const struct endpoint *to)
{
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
	for (i = 0; i < n; i++)
		near += llabs(intervals[i] - middle) <= timer_slack(middle);
	return near * 10 >= n * 7;
}

/* Counts the distinct attempts, hosts and destinations of a span. */
static void count_distinct(const struct sequence *f, struct span *s)
{
	size_t i, j;

	s->attempts = s->hosts = s->destinations = 0;
	s->periodic = false;
	for (i = s->first; i < s->first + s->count; i++) {
		const struct successor *x = &f->at[i];
		bool attempt = true, host = true, destination = true;

		for (j = s->first; j < i; j++) {
			attempt &= !is_same_moment(&f->at[j].after, &x->after);
			host &= f->at[j].after.timeline != x->after.timeline;
			destination &= !same_endpoint(&f->at[j].recent->to, &x->recent->to);
		}
		s->attempts += attempt;
		s->hosts += host;
		s->destinations += destination;
		if (host && is_periodic(x->after.timeline, &x->after.pending->to))
			s->periodic = true;
	}
}

static void find_destination(const struct sequence *f, struct span *s)
{
	size_t i, j, n;

	s->to_destination = 0;
	for (i = s->first; i < s->first + s->count; i++) {
		n = 0;
		for (j = s->first; j < s->first + s->count; j++)
			n += same_endpoint(&f->at[j].recent->to, &f->at[i].recent->to);
		if (n > s->to_destination) {
			s->to_destination = n;
			s->destination = &f->at[i].recent->to;
		}
	}
}

/*
 * Returns the probability of so many successors in an interval of this width, if connections began
 * at random. It is multiplied by the number of such intervals. If the rate near the span is higher
 * than the overall rate, it is used instead.
 */
static double chance_of_span(const struct sequence *f, const struct span *s)
{
	double width, hit, rate = f->rate, local = 0, chance;
	size_t i;

	width = (f->at[s->first + s->count - 1].t - f->at[s->first].t) / 1e9;
	if (width < 2e-3)
		width = 2e-3;
	for (i = 0; i < f->count; i++)
		local += f->at[i].t > s->median / 3 * 2 && f->at[i].t < s->median / 2 * 3;
	local = (local - s->count) / (s->median / 1e9 * 5 / 6 * f->pendings);
	if (local > rate)
		rate = local;
	hit = 1 - exp(-rate * width * f->pendings / f->attempts);
	chance = binomial_tail(s->attempts, f->attempts, hit) * (MAX_GAP_NS / 1e9) / width;
	return chance > 1 ? 1 : chance;
}

static void measure_span(struct sequence *f, struct span *s)
{
	size_t i;

	count_distinct(f, s);
	find_destination(f, s);
	s->median = f->at[s->first + s->count / 2].t;
	for (i = 0; i < s->count; i++)
		f->times[i] = f->at[s->first + i].t;
	s->deviation = median_absolute_deviation(f->times, s->count, s->median);
	s->chance = chance_of_span(f, s);
}

/*
 * Returns the span with the most successors. Its width is `width`, or `share` of its distance if
 * that is more.
 */
static struct span densest_span(struct sequence *f, ns_t width, double share)
{
	struct span best = {};
	size_t first = 0, last;

	for (last = 0; last < f->count; last++) {
		while (f->at[last].t - f->at[first].t > width + (ns_t)(f->at[last].t * share))
			first++;
		if (last - first + 1 > best.count) {
			best.first = first;
			best.count = last - first + 1;
		}
	}
	if (best.count)
		measure_span(f, &best);
	return best;
}

/*
 * Returns the span that is least likely by chance. Several widths are tried, since the timers of
 * helpers vary. The delay of IPv4 varies more, so one wide span is enough.
 */
static struct span steadiest_span(struct sequence *f)
{
	static const ns_t widths[] = { 4 * (ns_t)MILLISECOND_NS, 25 * (ns_t)MILLISECOND_NS,
				       100 * (ns_t)MILLISECOND_NS };
	struct span best, s;
	size_t i;

	qsort(f->at, f->count, sizeof(*f->at), by_t);
	best = densest_span(f, 100 * (ns_t)MILLISECOND_NS, f->peer ? 0.04 : 0.2);
	for (i = 0; f->peer && i < sizeof(widths) / sizeof(widths[0]); i++) {
		s = densest_span(f, widths[i], 0);
		if (s.attempts * 2 > f->attempts && s.chance < best.chance)
			best = s;
	}
	return best;
}

/* Returns the rate of connections of the hosts in the sequence, in connections a second. */
static double rate_of(const struct sequence *f)
{
	const struct timeline *t = NULL;
	double connections = 0, seconds = 0;
	size_t i, j;

	for (i = 0; i < f->count; i++) {
		if (f->at[i].after.timeline == t)
			continue;
		t = f->at[i].after.timeline;
		for (j = 0; j < t->host->client_count; j++) {
			const struct client *c = t->host->clients[j];

			connections += c->recent_count < RECENT ? c->recent_count : RECENT;
		}
		seconds += t->watched / 1e9;
	}
	return seconds > 0 ? connections / seconds : 1;
}

/* Fills in the span. Returns true if most attempts have a successor in it. */
static bool find_chain(struct sequence *f, struct span *s)
{
	if (!f->count)
		return false;
	f->rate = rate_of(f);
	*s = steadiest_span(f);
	return s->attempts >= 2 && s->attempts * 2 > f->attempts && s->chance <= CHANCE_MAX;
}

/* ---- all attempts that failed ---- */

static int by_destination(const void *a, const void *b)
{
	const struct attempt *x = a, *y = b;
	int order = memcmp(&x->pending->to, &y->pending->to, sizeof(x->pending->to));

	if (order)
		return order;
	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	return x->pending->start < y->pending->start ? -1 : x->pending->start > y->pending->start;
}

/*
 * The attempts at one peer, a range of all attempts, and the probability that their chain is due to
 * chance.
 */
struct candidate {
	size_t first;
	size_t count;
	double chance; /* 1 if there is no chain */
};

static int by_chance(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->chance != y->chance)
		return x->chance < y->chance ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Fills in the span. Returns true if these attempts form a chain with their successors. */
static bool examine_attempts(struct context *g, struct sequence *f, const struct attempt *failed,
			     size_t count, bool ipv6, struct span *s)
{
	size_t i;

	f->count = f->attempts = f->pendings = 0;
	f->last.pending = NULL;
	f->peer = ipv6 ? NULL : model_peer(g->m, &failed[0].pending->to);
	if (!ipv6 && (!f->peer || is_named(g, &failed[0].pending->to)))
		return false;
	for (i = 0; i < count; i++)
		if (!(ipv6 && is_ip4(&failed[i].pending->to.address)) &&
		    !collect_successors(f, &failed[i], ipv6))
			g->out_of_memory = true;
	return find_chain(f, s);
}

static size_t collect_failed(const struct context *g, struct attempt *failed)
{
	const struct pending *o;
	size_t n = 0;

	TAILQ_FOREACH(o, &g->m->pendings, by_age)
		if (o->failed)
			failed[n++] = (struct attempt){ o, timeline_of(g, o->client) };
	qsort(failed, n, sizeof(*failed), by_destination);
	return n;
}

static size_t group_by_destination(const struct attempt *failed, size_t n,
				   struct candidate *candidates)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++) {
		if (!i || !same_endpoint(&failed[i].pending->to, &failed[i - 1].pending->to))
			candidates[count++].first = i;
		candidates[count - 1].count++;
	}
	return count;
}

/*
 * Reports the chain that is least likely by chance first, and marks its successors as explained.
 * Other attempts made at the same times have the same successors by chance.
 */
static void report_chains(struct context *g, struct sequence *f, const struct attempt *failed,
			  size_t n, struct candidate *candidates)
{
	size_t i, count = group_by_destination(failed, n, candidates);
	struct candidate *c;
	struct span s;

	for (c = candidates; c < candidates + count; c++)
		c->chance = examine_attempts(g, f, failed + c->first, c->count, false, &s)
				    ? s.chance
				    : 1;
	qsort(candidates, count, sizeof(*candidates), by_chance);
	if (examine_attempts(g, f, failed, n, true, &s))
		report_chain(g, f, &s);
	for (i = 0; i < count && candidates[i].chance < 1; i++)
		if (examine_attempts(g, f, failed + candidates[i].first, candidates[i].count, false,
				     &s))
			report_chain(g, f, &s);
}

void cause_failover(struct context *g)
{
	struct attempt *failed = calloc(g->m->pending_kept + 1, sizeof(*failed));
	struct candidate *candidates = calloc(g->m->pending_kept + 1, sizeof(*candidates));
	struct explained_recent *e, *next;
	struct sequence f = {};

	if (failed && candidates)
		report_chains(g, &f, failed, collect_failed(g, failed), candidates);
	else
		g->out_of_memory = true;
	HASH_ITER(hh, f.explained, e, next) {
		HASH_DEL(f.explained, e);
		free(e);
	}
	free(f.at);
	free(f.times);
	free(candidates);
	free(failed);
}
