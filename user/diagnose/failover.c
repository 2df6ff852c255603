// SPDX-License-Identifier: GPL-2.0
/*
 * Connections that begin only after another attempt has failed: a SYN that was held back, the
 * second server of a chain, IPv4 after IPv6. The wait lies before the SYN, so it is no stall. It
 * shows as a constant time from the first SYN of one attempt to the SYN of another connection.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/failover.h"
#include "diagnose/name_operations.h"

/*
 * Minimum gap in a chain. After a shorter gap the connection may be the next object of the same
 * page.
 */
#define MIN_GAP_NS (ns_t) SECOND_NS

/*
 * Maximum time from an answer that ended an attempt to the connect that waited for it: a refusal
 * may be repeated first.
 */
#define REACTION_NS (ns_t) SECOND_NS

/*
 * The same for an attempt that was given up: the next connect follows at once. The time when the
 * next SYN was due is known as precisely as the timers of client and gateway, if these are loaded.
 */
#define LATENESS_NS (250 * (ns_t)MILLISECOND_NS)

/* Time until a second SYN is overdue. */
#define SECOND_SYN_NS (3 * (ns_t)SECOND_NS)

/* Linux and macOS send this many SYNs at equal intervals before these double. */
#define LINEAR_SYNS 5

/* Attempts of a host within this time count once. */
#define MOMENT_NS (ns_t) SECOND_NS

/* ---- how long a client waits for an attempt ---- */

static ns_t gap_before(const struct pending *o, unsigned int syn)
{
	return o->syn_times[syn] - o->syn_times[syn - 1];
}

/*
 * Returns the time at which the next SYN was due, or the attempt was resolved. A client whose next
 * SYN did not come had given up.
 */
static ns_t given_up(const struct pending *o)
{
	unsigned int last = o->syn_count - 1;

	if (o->resolved)
		return o->end;
	if (o->syn_count < 2)
		return o->start + SECOND_SYN_NS;
	if (o->syn_count >= 3 && o->syn_count <= LINEAR_SYNS &&
	    gap_before(o, last) * 2 < gap_before(o, last - 1) * 3)
		return o->syn_last + gap_before(o, last);
	return o->end;
}

/*
 * Returns true if the system's schedule has run out: the attempt failed by itself, and the program
 * may wait for longer. Windows sent SYNs at 0, 3 and 9 s.
 */
static bool is_exhausted(const struct pending *o)
{
	ns_t tolerance = SECOND_NS / 2;

	if (o->resolved || o->syn_count < 3)
		return false;
	return o->syn_count > LINEAR_SYNS + 2 ||
	       (o->syn_count == 3 && llabs(gap_before(o, 1) - 3 * (ns_t)SECOND_NS) < tolerance &&
		llabs(gap_before(o, 2) - 6 * (ns_t)SECOND_NS) < tolerance);
}

/* Return the minimum and the maximum time from the attempt to a connect that waited for it. */
static ns_t least_gap(const struct sequence *f, const struct pending *o)
{
	ns_t least = f->ipv6 ? MIN_IPV6_GAP_NS : MIN_GAP_NS;

	if (!o->resolved)
		return least;
	/* the client waits for the answer; a refusal that costs less than a stall is harmless */
	if (least < f->g->m->stall_ns)
		least = f->g->m->stall_ns;
	return least > o->end - o->start ? least : o->end - o->start;
}

static ns_t greatest_gap(const struct sequence *f, const struct pending *o)
{
	ns_t gap = given_up(o) - o->start + (o->resolved ? REACTION_NS : LATENESS_NS);

	if (f->late && is_exhausted(o))
		gap = MAX_GAP_NS;
	return gap < MAX_GAP_NS ? gap : MAX_GAP_NS;
}

/* ---- collecting successors ---- */

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

static bool is_family_change(const struct endpoint *from, const struct endpoint *to)
{
	return !is_ip4(&from->address) && is_ip4(&to->address) && from->port == to->port;
}

bool counts_as_successor(const struct sequence *f, const struct begin *b)
{
	return !b->explained && (b->recent || f->counts_failed);
}

bool may_follow(const struct attempt *a, const struct begin *b, bool ipv6)
{
	const struct endpoint *to = &a->pending->to;

	if (b->attempt) /* the same peer once more, or the next address of the same family */
		return !ipv6 || (!is_ip4(&b->to->address) && b->to->port == to->port);
	return !same_endpoint(b->to, to) && is_family_change(to, b->to) == ipv6;
}

/* Returns true if IPv4 followed so fast that nobody noticed: the client does not wait for IPv6. */
static bool is_raced(const struct sequence *f, const struct attempt *a)
{
	const struct rhythm *r = rhythm_of(f, a->timeline);
	ns_t start = a->pending->start;
	size_t i;

	for (i = rhythm_find(r, start); i < r->count && r->at[i].t < start + MIN_IPV6_GAP_NS; i++)
		if (r->at[i].recent && is_family_change(&a->pending->to, r->at[i].to))
			return true;
	return false;
}

/* Adds the successors of an attempt. Returns false when out of memory. */
static bool collect_successors(struct sequence *f, struct attempt *a)
{
	const struct rhythm *r = rhythm_of(f, a->timeline);
	struct attempt *last = f->moment_count ? f->moments[f->moment_count - 1] : NULL;
	ns_t since = known_since(a, f->ipv6), start = a->pending->start;
	ns_t until = start + greatest_gap(f, a->pending);
	size_t i;

	a->moment = NULL;
	if (since == NEVER || start < since || (f->ipv6 && is_raced(f, a)))
		return true;
	if (last && last->timeline == a->timeline && start - last->pending->start < MOMENT_NS)
		a->moment = last;
	else
		a->moment = f->moments[f->moment_count++] = a;
	for (i = rhythm_find(r, start + least_gap(f, a->pending));
	     i < r->count && r->at[i].t <= until; i++) {
		struct successor s = { a, &r->at[i], r->at[i].t - start };

		if (counts_as_successor(f, s.begin) && may_follow(a, s.begin, f->ipv6) &&
		    !add_successor(f, &s))
			return false;
	}
	return true;
}

/* ---- measuring a span ---- */

static int by_t(const void *a, const void *b)
{
	const struct successor *x = a, *y = b;
	int order;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	order = memcmp(x->begin->to, y->begin->to, sizeof(*x->begin->to));
	return order ? order : x->begin->t < y->begin->t ? -1 : x->begin->t > y->begin->t;
}

/* Returns true if the wait of this attempt may end later than the run. */
static bool is_open(const struct sequence *f, const struct attempt *a, const struct span *s)
{
	const struct rhythm *r = rhythm_of(f, a->timeline);
	ns_t start = a->pending->start;
	size_t i;

	if (start + s->high > f->g->m->last)
		return true;
	for (i = rhythm_find(r, start + s->low); i < r->count && r->at[i].t <= start + s->high; i++)
		if (r->at[i].attempt && r->at[i].attempt->open)
			return true;
	return false;
}

/*
 * Counts the attempts with a successor in the span. Hosts with broken IPv6 are judged one by one:
 * those that do not wait for it are left out.
 */
static void count_attempts(struct sequence *f, struct span *s)
{
	size_t i, first, hits, tried;

	for (i = 0; i < f->moment_count; i++)
		f->moments[i]->hit = false;
	for (i = s->first; i < s->first + s->count; i++)
		f->at[i].after->moment->hit = true;
	s->attempts = s->tried = 0;
	for (first = 0; first < f->moment_count; first = i) {
		const struct timeline *t = f->moments[first]->timeline;

		hits = tried = 0;
		for (i = first; i < f->moment_count && f->moments[i]->timeline == t; i++) {
			struct attempt *a = f->moments[i];

			a->counts = a->hit || !is_open(f, a, s);
			hits += a->hit;
			tried += a->counts;
		}
		if (f->ipv6 && hits * 2 <= tried) {
			while (first < i)
				f->moments[first++]->counts = false;
			continue;
		}
		s->attempts += hits;
		s->tried += tried;
	}
}

static void measure_span(struct sequence *f, struct span *s)
{
	size_t i;

	s->low = f->at[s->first].t;
	s->high = f->at[s->first + s->count - 1].t;
	s->median = f->at[s->first + s->count / 2].t;
	for (i = 0; i < s->count; i++)
		f->times[i] = f->at[s->first + i].t;
	s->deviation = median_absolute_deviation(f->times, s->count, s->median);
	s->counts_failed = f->counts_failed;
	s->late = f->late;
	count_attempts(f, s);
	judge_span(f, s);
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

/* Returns true if a is less likely by chance than b, or as unlikely and steadier. */
static bool is_better(const struct span *a, const struct span *b, bool ipv6)
{
	double x = a->chance_of_starts * a->chance_of_ends;
	double y = b->chance_of_starts * b->chance_of_ends;

	if (is_span_sufficient(a, ipv6) != is_span_sufficient(b, ipv6))
		return is_span_sufficient(a, ipv6);
	return x != y ? x < y : a->deviation < b->deviation;
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
	best = densest_span(f, 100 * (ns_t)MILLISECOND_NS, f->ipv6 ? 0.2 : 0.04);
	for (i = 0; !f->ipv6 && i < sizeof(widths) / sizeof(widths[0]); i++) {
		s = densest_span(f, widths[i], 0);
		if (s.attempts * 2 > s.tried && is_better(&s, &best, f->ipv6))
			best = s;
	}
	return best;
}

/* Fills in the span of a candidate. Returns true if most attempts have a successor in it. */
static bool find_span(struct context *g, struct sequence *f, struct candidate *c)
{
	size_t i, on = 0;

	f->count = f->moment_count = 0;
	f->ipv6 = !c->peer;
	f->to = c->peer ? &c->peer->server : NULL;
	for (i = 0; i < c->count; i++)
		if (!collect_successors(f, c->at[i]))
			g->out_of_memory = true;
	if (!f->count || f->moment_count < MIN_CHAINS)
		return false;
	c->span = steadiest_span(f);
	for (i = c->span.first; i < c->span.first + c->span.count; i++) {
		const struct pending *o = f->at[i].after->pending;

		on += o->syn_last > o->start + f->at[i].t + 100 * (ns_t)MILLISECOND_NS;
	}
	c->span.continues = on * 2 > c->span.count;
	return is_span_sufficient(&c->span, f->ipv6);
}

/*
 * Looks first for a connect that ended the wait, then also for a next attempt. Only then is a
 * program considered that waits for longer than its system does.
 */
static void examine(struct context *g, struct sequence *f, struct candidate *c)
{
	size_t i;

	c->linked = false;
	if (c->count < MIN_CHAINS || (c->peer && is_named(g, &c->peer->server)))
		return;
	for (i = 0; i < 4 && !c->linked; i++) {
		f->counts_failed = i & 1;
		f->late = i & 2;
		c->linked = find_span(g, f, c);
	}
	for (i = 0; i < c->count; i++)
		c->at[i]->candidate = c;
}

/* ---- all attempts that failed ---- */

static int by_host(const void *a, const void *b)
{
	const struct attempt *x = a, *y = b;

	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	if (x->pending->start != y->pending->start)
		return x->pending->start < y->pending->start ? -1 : 1;
	return memcmp(&x->pending->to, &y->pending->to, sizeof(x->pending->to));
}

static int by_destination(const void *a, const void *b)
{
	const struct attempt *x = *(struct attempt *const *)a, *y = *(struct attempt *const *)b;
	int order = memcmp(&x->pending->to, &y->pending->to, sizeof(x->pending->to));

	if (order)
		return order;
	return x < y ? -1 : x > y;
}

static size_t collect_failed(const struct context *g, struct attempt *failed)
{
	size_t n = 0, i, j;

	for (i = 0; i < g->hosts->count; i++)
		for (j = 0; j < g->timelines[i].pending_count; j++) {
			const struct pending *o = g->timelines[i].pendings[j];
			const struct name_operation *name = name_operation_of(g, o);

			/* what used the answer waited for it in its own name stage */
			if (o->failed && (!name || name->syn == NEVER))
				failed[n++] = (struct attempt){
					.pending = o,
					.timeline = &g->timelines[i],
					.open = !o->resolved && given_up(o) > g->m->last,
				};
		}
	qsort(failed, n, sizeof(*failed), by_host);
	return n;
}

static size_t group_by_destination(const struct context *g, struct attempt **order, size_t n,
				   struct candidate *candidates)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++) {
		const struct endpoint *to = &order[i]->pending->to;

		if (!i || !same_endpoint(to, &order[i - 1]->pending->to)) {
			candidates[count].at = &order[i];
			candidates[count].peer = peer_of(g, to);
			candidates[count].count = 0;
			count++;
		}
		candidates[count - 1].count++;
	}
	return count;
}

/* Reports all hosts that wait for IPv6, those with the same delay together. */
static void examine_ipv6(struct context *g, struct sequence *f, struct attempt *failed, size_t n,
			 struct attempt **order)
{
	struct candidate c = { .at = order };
	size_t i, before;

	for (i = 0; i < n; i++)
		if (!is_ip4(&failed[i].pending->to.address) &&
		    !name_operation_of(g, failed[i].pending))
			order[c.count++] = &failed[i];
	do {
		before = g->d->count;
		examine(g, f, &c);
		if (c.linked)
			report_chains(g, f, &c, 1, failed, n);
	} while (g->d->count > before);
	for (i = 0; i < n; i++)
		failed[i].candidate = NULL;
}

static void examine_all(struct context *g, struct sequence *f, struct attempt *failed, size_t n,
			struct attempt **order, struct candidate *candidates)
{
	size_t i, count;

	examine_ipv6(g, f, failed, n, order);
	for (i = 0; i < n; i++)
		order[i] = &failed[i];
	qsort(order, n, sizeof(struct attempt *), by_destination);
	count = group_by_destination(g, order, n, candidates);
	for (i = 0; i < count; i++)
		if (candidates[i].peer)
			examine(g, f, &candidates[i]);
	report_chains(g, f, candidates, count, failed, n);
}

static size_t count_begins(const struct context *g)
{
	size_t i, j, n = g->m->pending_kept + g->operations->count;

	for (i = 0; i < g->hosts->count; i++)
		for (j = 0; j < g->hosts->at[i].client_count; j++)
			n += g->hosts->at[i].clients[j]->recent ? RECENT : 0;
	return n;
}

void cause_failover(struct context *g)
{
	size_t room = g->m->pending_kept + g->operations->count + 1, n;
	struct attempt *failed = calloc(room, sizeof(*failed));
	struct attempt **order = calloc(room, sizeof(*order));
	struct candidate *candidates = calloc(room, sizeof(*candidates));
	struct begin *begins = calloc(count_begins(g) + 1, sizeof(*begins));
	struct rhythm *rhythms = calloc(g->hosts->all + 1, sizeof(*rhythms));
	struct sequence f = { .g = g, .rhythms = rhythms };

	f.moments = calloc(room, sizeof(*f.moments));
	if (failed && order && candidates && begins && rhythms && f.moments) {
		n = collect_failed(g, failed);
		fill_rhythms(g, rhythms, begins, failed, n);
		if (n)
			examine_all(g, &f, failed, n, order, candidates);
	} else {
		g->out_of_memory = true;
	}
	free(f.at);
	free(f.times);
	free(f.moments);
	free(rhythms);
	free(begins);
	free(candidates);
	free(order);
	free(failed);
}
