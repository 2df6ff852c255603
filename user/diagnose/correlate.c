// SPDX-License-Identifier: GPL-2.0
/*
 * Correlation: finds the pending operations of the same host that explain stalls. One coincidence
 * proves little. Several coincidences prove a lot, measured against how often the host tries that
 * peer anyway.
 *
 * Two null hypotheses are tested, each with its own probability. Attempts made all the time
 * coincide with any stall (chance of the starts). Attempts that accompany every page do not depend
 * on stalls that end when the user continues (chance of the ends).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/correlate.h"
#include "diagnose/name_operations.h"
#include "model/coincidence.h"

/*
 * Minimum ratio of the rates of attempts during stalls and at other times. Stalls do not wait for a
 * peer that is tried less often during them.
 */
#define MIN_LIFT 1

/* Minimum number of stalls during which an attempt follows another one after a constant time. */
#define MIN_FOLLOWERS 3

/* Minimum number of correlated observations for a finding. */
#define MIN_CORRELATED 2

/* Maximum number of peers reported. */
#define MAX_REPORTED 16

struct matches {
	struct match *at;
	size_t count;
	size_t room;
};

/* ---- matching stalls and operations ---- */

static int by_peer(const void *a, const void *b)
{
	const struct match *x = a, *y = b;
	int order = memcmp(&x->pending->to, &y->pending->to, sizeof(x->pending->to));

	if (order)
		return order;
	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	if (x->pending->start != y->pending->start)
		return x->pending->start < y->pending->start ? -1 : 1;
	if (stall_end(x->stall) != stall_end(y->stall))
		return stall_end(x->stall) < stall_end(y->stall) ? -1 : 1;
	return memcmp(&x->stall->from, &y->stall->from, sizeof(x->stall->from));
}

/*
 * Returns true if the operation can be what the stall waited for: it covers the stall, except its
 * lead and the client's reaction time, and it was not resolved before.
 */
static bool is_complete(struct match *m)
{
	const struct pending *o = m->pending, *last;
	const struct stall *s = m->stall;
	ns_t end = stall_end(s), from, until;

	last = m->timeline->pendings[m->chain[m->length - 1]];
	from = o->start > s->start ? o->start : s->start;
	until = last->end < end ? last->end : end;
	if (until - from < s->wait / 10 * 9 && until - from < s->wait - LEAD_NS - SAME_MOMENT_NS)
		return false;
	m->ended = ends_with(last->resolved ? last->end : NEVER, end, SAME_MOMENT_NS) ||
		   (!last->failed && ends_with(last->answered, end, SAME_MOMENT_NS));
	/* if the operation was resolved earlier, the stall did not wait for it */
	return m->ended || last->end > end;
}

/* Returns true if a stall that has ended may have begun with this attempt. */
static bool begins_with_stall(const struct timeline *t, ns_t when)
{
	size_t i;

	for (i = 0; i < t->stall_count; i++)
		if (when >= t->stalls[i].stall->start - LAG_NS &&
		    when <= t->stalls[i].stall->start + LEAD_NS)
			return true;
	return false;
}

/*
 * Returns true if attempt `next` may have begun because the last one of the match had been given
 * up, and not with another stall. *over is set if no later attempt can.
 */
static bool may_follow(const struct match *m, uint32_t next, bool *over)
{
	const struct pending *last = m->timeline->pendings[m->chain[m->length - 1]];
	const struct pending *o = m->timeline->pendings[next];
	ns_t begin = last->resolved ? last->end : last->syn_last;

	*over = o->start > last->end + SAME_MOMENT_NS || o->start >= stall_end(m->stall);
	return !*over && o->start > begin && !same_endpoint(&o->to, &m->stall->to) &&
	       !begins_with_stall(m->timeline, o->start);
}

/*
 * Fills in the match. Returns false if the stall cannot have waited for an operation that begins
 * with this attempt.
 */
static bool match_of(struct match *m, struct noted_stall *noted, uint32_t attempt)
{
	const struct pending *o = m->timeline->pendings[attempt];
	const struct stall *s = noted->stall;
	ns_t lead = LEAD_NS;

	if (s->round_trip != NEVER && 5 * s->round_trip > lead)
		lead = 5 * s->round_trip;
	if (o->lost_once || o->start > s->start + lead || o->end < s->start ||
	    same_endpoint(&o->to, &s->to))
		return false;
	m->noted = noted;
	m->stall = s;
	m->pending = o;
	m->chain[0] = attempt;
	m->length = 1;
	m->t = stall_end(s) - o->start;
	m->strong = o->start >= s->start - LAG_NS;
	m->correlated = false;
	m->complete = is_complete(m);
	return m->complete || (m->strong && o->failed);
}

static bool is_better(const struct match *x, const struct match *y)
{
	if (x->complete != y->complete)
		return x->complete;
	if (x->strong != y->strong)
		return x->strong;
	return llabs(x->pending->start - x->stall->start) <
	       llabs(y->pending->start - y->stall->start);
}

static bool add_match(struct matches *matches, const struct match *m)
{
	struct match *grown;
	size_t room;

	if (matches->count == matches->room) {
		room = matches->room ? 2 * matches->room : 256;
		grown = realloc(matches->at, room * sizeof(*grown));
		if (!grown)
			return false;
		matches->at = grown;
		matches->room = room;
	}
	matches->at[matches->count++] = *m;
	return true;
}

/* Adds the best match of the stall with each peer. Returns false when out of memory. */
static bool match_stall(struct matches *matches, const struct timeline *t,
			struct noted_stall *noted)
{
	size_t j, first = matches->count;
	struct match m = { .timeline = t };
	uint32_t i;

	for (i = 0; i < t->pending_count; i++) {
		if (!match_of(&m, noted, i))
			continue;
		for (j = first; j < matches->count; j++)
			if (same_endpoint(&matches->at[j].pending->to, &m.pending->to))
				break;
		if (j == matches->count) {
			if (!add_match(matches, &m))
				return false;
		} else if (is_better(&m, &matches->at[j])) {
			matches->at[j] = m;
		}
	}
	return true;
}

static bool match_all(struct context *g, struct matches *matches)
{
	size_t i, j;

	memset(matches, 0, sizeof(*matches));
	for (i = 0; i < g->hosts->count; i++)
		for (j = 0; j < g->timelines[i].stall_count; j++)
			if (!match_stall(matches, &g->timelines[i], &g->timelines[i].stalls[j]))
				return false;
	if (matches->count)
		qsort(matches->at, matches->count, sizeof(*matches->at), by_peer);
	return true;
}

/* Groups the matches by peer. Returns NULL when out of memory; the caller frees. */
static struct suspect *suspects_of(const struct matches *matches, size_t *count)
{
	struct suspect *suspects;
	size_t i, n = 0;

	for (i = 0; i < matches->count; i++)
		n += !i ||
		     !same_endpoint(&matches->at[i].pending->to, &matches->at[i - 1].pending->to);
	suspects = calloc(n + 1, sizeof(*suspects));
	*count = 0;
	for (i = 0; suspects && i < matches->count; i++) {
		if (!i ||
		    !same_endpoint(&matches->at[i].pending->to, &matches->at[i - 1].pending->to)) {
			suspects[*count].peers[0] = matches->at[i].pending->to;
			suspects[*count].peer_count = 1;
			suspects[(*count)++].matches = &matches->at[i];
		}
		suspects[*count - 1].count++;
	}
	return suspects;
}

/* ---- chains of attempts ---- */

/* An attempt that may have followed the last attempt of a match. */
struct link {
	struct match *match;
	const struct endpoint *to;
	uint32_t attempt;
	ns_t t; /* from the start of the one to the start of the other */
};

struct links {
	struct link *at;
	ns_t *times; /* scratch memory, of the same length */
	size_t count;
	size_t room;
};

static int by_destination(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int order = memcmp(x->to, y->to, sizeof(*x->to));

	if (order)
		return order;
	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return x->match < y->match ? -1 : x->match > y->match;
}

static bool add_link(struct links *l, const struct link *link)
{
	size_t room = l->room ? 2 * l->room : 64;
	struct link *grown;
	ns_t *times;

	if (l->count == l->room) {
		grown = realloc(l->at, room * sizeof(*grown));
		if (!grown)
			return false;
		l->at = grown;
		times = realloc(l->times, room * sizeof(*times));
		if (!times)
			return false;
		l->times = times;
		l->room = room;
	}
	l->at[l->count++] = *link;
	return true;
}

/* Adds the first follower at each peer. Returns false when out of memory. */
static bool add_followers(struct links *l, struct match *m)
{
	uint32_t i, last = m->chain[m->length - 1];
	const struct timeline *t = m->timeline;
	size_t j, first = l->count;
	struct link link = { .match = m };
	bool over = false;

	for (i = last + 1; i < t->pending_count && !over; i++) {
		if (!may_follow(m, i, &over))
			continue;
		link.to = &t->pendings[i]->to;
		link.attempt = i;
		link.t = t->pendings[i]->start - t->pendings[last]->start;
		for (j = first; j < l->count; j++)
			if (same_endpoint(l->at[j].to, link.to))
				break;
		if (j == l->count && !add_link(l, &link))
			return false;
	}
	return true;
}

/*
 * Stores in *first the followers that come after the most constant time: most attempts at one peer.
 * Returns their number, 0 if there are too few.
 */
static size_t steadiest_followers(const struct links *l, size_t waiting, size_t *first)
{
	size_t i, j, best = 0;
	struct cluster c;

	for (i = 0; i < l->count; i = j) {
		for (j = i; j < l->count && same_endpoint(l->at[i].to, l->at[j].to); j++)
			l->times[j] = l->at[j].t;
		c = cluster_of(l->times + i, j - i);
		if (c.count < MIN_FOLLOWERS || c.count * 2 < waiting || c.deviation > STEADY_NS ||
		    c.count <= best)
			continue;
		best = c.count;
		*first = i + c.first;
	}
	return best;
}

/* Appends an attempt to the matches where one follows. Returns true if there were any. */
static bool extend_chains(struct context *g, struct suspect *s, struct links *l)
{
	size_t i, first = 0, waiting = 0, count;

	l->count = 0;
	for (i = 0; i < s->count; i++) {
		struct match *m = &s->matches[i];
		size_t links = l->count;

		/* a chain may go on although it might be complete */
		if ((m->complete && m->length == 1) || m->length == MAX_CHAIN)
			continue;
		if (!add_followers(l, m)) {
			g->out_of_memory = true;
			return false;
		}
		waiting += !m->complete || l->count > links;
	}
	if (!l->count)
		return false;
	qsort(l->at, l->count, sizeof(*l->at), by_destination);
	count = steadiest_followers(l, waiting, &first);
	for (i = first; i < first + count; i++) {
		struct match *m = l->at[i].match;

		m->chain[m->length++] = l->at[i].attempt;
		m->complete = is_complete(m);
	}
	return count;
}

/*
 * Several attempts, one after another, may fill a stall. They are one operation if the time
 * from one to the next is constant, and if this is what usually fills the stalls. Matches without
 * a complete operation are dropped.
 */
static void find_chains(struct context *g, struct suspect *s, struct links *l)
{
	size_t i, n = 0, incomplete = 0, chains = 0;
	unsigned int j;
	bool usual;

	for (i = 0; i < s->count; i++)
		incomplete += !s->matches[i].complete;
	while (incomplete && extend_chains(g, s, l))
		;
	for (i = 0; i < s->count; i++)
		chains += s->matches[i].complete && s->matches[i].length > 1;
	usual = chains * 2 > incomplete && chains * 2 > s->count - (incomplete - chains);
	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		if (!m->complete || (m->length > 1 && !usual))
			continue;
		for (j = 1; j < m->length; j++)
			m->timeline->follows[m->chain[j]] = true;
		s->matches[n++] = *m;
	}
	s->count = n;
}

bool is_at_suspect(const struct suspect *s, const struct pending *o)
{
	size_t i;

	for (i = 0; i < s->peer_count; i++)
		if (same_endpoint(&s->peers[i], &o->to))
			return true;
	return false;
}

bool has_tried(const struct context *g, const struct suspect *s, const struct timeline *t)
{
	const struct peer *peer;
	size_t i, j;

	for (i = 0; i < s->peer_count; i++) {
		if (has_asked(g, &s->peers[i], t))
			return true;
		peer = model_peer(g->m, &s->peers[i]);
		for (j = 0; peer && j < t->host->client_count; j++)
			if (model_pair(g->m, t->host->clients[j], peer))
				return true;
	}
	return false;
}

/* ---- attempts that are not decided ---- */

bool is_undecided(const struct context *g, const struct suspect *s, const struct timeline *t,
		  const struct pending *o)
{
	bool open = o->start > g->m->last - s->timer - timer_slack(s->timer);
	size_t i;

	for (i = 0; i < t->open_count && !open; i++)
		open = o->start >= t->open[i] - LAG_NS && o->start <= t->open[i] + LEAD_NS;
	return open && !begins_with_stall(t, o->start);
}

/* ---- chance of the starts ---- */

/*
 * Returns true if the match is an observation of its own. Stalls that one operation ends at the
 * same time are one observation, represented by the first match.
 */
static bool is_observation(const struct match *m, const struct match *before)
{
	return !before || before->pending != m->pending ||
	       stall_end(m->stall) - stall_end(before->stall) > SAME_MOMENT_NS;
}

static size_t count_attempts(const struct context *g, const struct suspect *s,
			     const struct timeline *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->pending_count; i++)
		n += is_at_suspect(s, t->pendings[i]) && !t->follows[i] &&
		     !t->pendings[i]->lost_once && !is_undecided(g, s, t, t->pendings[i]);
	return n;
}

/*
 * Counts the groups of stalls of the host of this match, its first one. Leaves out those that began
 * with an attempt at the suspect but are explained by another peer: they say nothing about it.
 */
static size_t count_groups(const struct suspect *s, size_t first)
{
	const struct timeline *t = s->matches[first].timeline;
	const struct match *before = NULL;
	size_t i, shared = 0;

	for (i = first; i < s->count && s->matches[i].timeline == t; i++) {
		const struct match *m = &s->matches[i];

		if (!m->strong || !m->noted->explained)
			continue;
		shared += is_observation(m, before);
		before = m;
	}
	return shared < t->groups ? t->groups - shared : 0;
}

static size_t count_peers(const struct timeline *t)
{
	size_t i, j, n = 0;

	for (i = 0; i < t->pending_count; i++) {
		for (j = 0; j < i; j++)
			if (same_endpoint(&t->pendings[i]->to, &t->pendings[j]->to))
				break;
		n += j == i;
	}
	return n;
}

/*
 * Returns the probability that so many groups of stalls start with an attempt at the peer, if the
 * hosts made their attempts at random times. It is multiplied by the number of peers that a host
 * tried (Bonferroni).
 */
static double chance_of_starts(const struct context *g, const struct suspect *s)
{
	const struct timeline *t = NULL;
	size_t i, groups = 0, peers = 1, open, n;
	double expected = 0, covered, p;

	for (i = 0; i < s->count; i++) {
		if (s->matches[i].timeline == t)
			continue;
		t = s->matches[i].timeline;
		covered = count_attempts(g, s, t) * (double)(LEAD_NS + LAG_NS) /
			  (t->watched > LEAD_NS ? t->watched : LEAD_NS);
		open = count_groups(s, i);
		groups += open;
		expected += open * (covered < 1 ? covered : 1);
		n = count_peers(t);
		if (n > peers)
			peers = n;
	}
	if (s->strong > groups)
		groups = s->strong;
	p = groups ? binomial_tail(s->strong, groups, expected / groups) * peers : 1;
	return p < 1 ? p : 1;
}

/* ---- attempts and stalls that do not coincide ---- */

/* Returns the time during which the host had at least one stall. */
static double stalled_time(const struct timeline *t)
{
	ns_t until = t->from, from, end;
	double stalled = 0;
	size_t i;

	for (i = 0; i < t->stall_count; i++) {
		end = stall_end(t->stalls[i].stall);
		from = t->stalls[i].stall->start;
		if (from < until)
			from = until;
		if (end > from) {
			stalled += end - from;
			until = end;
		}
	}
	return stalled;
}

static bool is_during_stall(const struct timeline *t, ns_t when)
{
	size_t i;

	for (i = 0; i < t->stall_count; i++)
		if (when >= t->stalls[i].stall->start - LAG_NS &&
		    when <= stall_end(t->stalls[i].stall))
			return true;
	return false;
}

/*
 * Returns how much more often these hosts try the peer during their stalls than at other times. The
 * ratio is 1 for a peer that is tried at a constant rate.
 */
static double lift_of(const struct context *g, const struct suspect *s)
{
	double inside = 0, outside = 0, stalled = 0, watched = 0;
	const struct timeline *t = NULL;
	size_t i, j;

	for (i = 0; i < s->count; i++) {
		if (s->matches[i].timeline == t || !s->matches[i].correlated)
			continue;
		t = s->matches[i].timeline;
		watched += t->watched;
		stalled += stalled_time(t);
		for (j = 0; j < t->pending_count; j++) {
			const struct pending *o = t->pendings[j];

			if (!is_at_suspect(s, o) || t->follows[j] || o->lost_once)
				continue;
			if (is_during_stall(t, o->start))
				inside++;
			else if (!is_undecided(g, s, t, o))
				outside++;
		}
	}
	if (!outside || stalled <= 0 || watched <= stalled)
		return HUGE_VAL;
	return inside / stalled / (outside / (watched - stalled));
}

/*
 * Counts the stalls of equal length that began without an attempt at the peer, of hosts that tried
 * it at other times: they show that the timer is not this peer's. Hosts that never try it say
 * nothing about it.
 */
static size_t count_outside(const struct context *g, const struct suspect *s)
{
	ns_t slack = timer_slack(s->timer);
	size_t i, j, n = 0, equal;

	for (i = 0; i < s->count; i++)
		s->matches[i].noted->matched = s->number;
	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		equal = 0;
		for (j = 0; j < t->stall_count; j++)
			equal += llabs(t->stalls[j].stall->wait - s->timer) <= slack &&
				 t->stalls[j].matched != s->number && !t->stalls[j].explained;
		if (equal && has_tried(g, s, t))
			n += equal;
	}
	return n;
}

/*
 * Returns true if the time from the attempt to the end of the stall is about as constant as the
 * stall's length. waits[] is scratch memory for all matches.
 */
static bool is_coupled(const struct suspect *s, ns_t *waits)
{
	const struct match *before = NULL;
	size_t i, n = 0;
	ns_t middle;

	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		if (m->correlated && m->strong && is_observation(m, before))
			waits[n++] = m->stall->wait;
		if (m->correlated && m->strong)
			before = m;
	}
	if (n < 3)
		return true;
	middle = median(waits, n);
	return s->deviation <=
	       3 * median_absolute_deviation(waits, n, middle) + 3 * (ns_t)MILLISECOND_NS;
}

/*
 * Limits of the two chances. A finding of low confidence needs both; medium also limits their
 * product, high each of them.
 */
#define MAX_CHANCE_OF_STARTS 0.05
#define MAX_CHANCE_OF_ENDS 0.2
#define MEDIUM_CHANCE 1e-3
#define HIGH_CHANCE_OF_STARTS 1e-3
#define HIGH_CHANCE_OF_RESOLVED_ENDS 1e-3 /* the stalls end when the attempts are resolved */
#define HIGH_CHANCE_OF_TIMED_ENDS 1e-6 /* the stalls end a fixed time after the attempts */
#define COMPARISON_CHANCE 0.05 /* of Fisher's exact test, for an unsteady or shared timer */

/* ---- weighing a suspect ---- */

/*
 * Returns true if the stall, which otherwise ends by a timer, ended at once when the peer answered
 * before: it is back.
 */
static bool is_answered_in_time(const struct match *m, ns_t timer)
{
	return m->strong && m->ended && m->t < timer &&
	       ends_with_answer(m->pending, stall_end(m->stall));
}

/* Marks the matches that are consistent with s->timer or s->by_end, and counts them. */
static void count_correlated(struct suspect *s)
{
	ns_t slack = 2 * timer_slack(s->timer);
	const struct endpoint *destination = NULL;
	const struct timeline *t = NULL;
	const struct match *before = NULL;
	size_t i;

	s->correlated = s->correlated_stalls = s->answered_stalls = s->passed = s->hosts = 0;
	s->several_destinations = false;
	s->failed = true;
	for (i = 0; i < s->count; i++) {
		struct match *m = &s->matches[i];

		m->correlated = m->answered = false;
		if (m->noted->explained)
			continue;
		m->answered = !s->by_end && is_answered_in_time(m, s->timer);
		m->correlated =
			s->by_end ? m->ended && m->strong
				  : m->answered || (!m->ended && llabs(m->t - s->timer) <= slack);
		if (m->correlated) {
			s->answered_stalls += m->answered;
			s->correlated += m->strong && is_observation(m, before);
			s->correlated_stalls++;
			s->passed += m->stall->passed;
			s->failed &= m->pending->failed || m->answered;
			s->hosts += t != m->timeline;
			t = m->timeline;
			if (destination && !same_endpoint(destination, &m->stall->to))
				s->several_destinations = true;
			destination = &m->stall->to;
		}
		if (m->strong)
			before = m;
	}
}

/*
 * Sets s->timer to the median time to the ends, or to the largest cluster of times without an end.
 */
static void find_timer(struct suspect *s, ns_t *times, size_t timed, ns_t *ends, size_t ended,
		       size_t answered)
{
	struct cluster c = {};

	if (timed)
		c = cluster_of(times, timed);
	s->by_end = ended >= c.count;
	/* a dead peer that is back: it is the SYN that is answered late */
	if (c.count >= HIGH_COINCIDENCES && c.chance <= HIGH_CHANCE_OF_TIMED_ENDS &&
	    answered * 2 > ended)
		s->by_end = false;
	if (s->by_end) {
		s->timer = median(ends, ended);
		s->deviation = median_absolute_deviation(ends, ended, s->timer);
		s->chance_of_ends = binomial_tail(
			ended, s->strong, (double)SAME_MOMENT_NS / (s->timer + SAME_MOMENT_NS));
	} else {
		s->timer = c.median;
		s->deviation = c.deviation;
		s->chance_of_ends = c.chance;
	}
}

/*
 * Computes the evidence from the stalls that are not explained yet. times[] and ends[] are scratch
 * memory for all matches.
 */
static void weigh_observations(struct context *g, struct suspect *s, ns_t *times, ns_t *ends)
{
	const struct match *before = NULL;
	size_t i, timed = 0, ended = 0, answered = 0;

	s->strong = s->correlated = 0;
	s->number = ++g->weighings;
	for (i = 0; i < s->count; i++) {
		struct match *m = &s->matches[i];

		if (m->noted->explained || !m->strong)
			continue;
		if (is_observation(m, before)) {
			s->strong++;
			answered += is_answered_in_time(m, INT64_MAX);
			if (m->ended)
				ends[ended++] = m->t;
			else
				times[timed++] = m->t;
		}
		before = m;
	}
	if (!s->strong)
		return;
	find_timer(s, times, timed, ends, ended, answered);
	s->chance_of_starts = chance_of_starts(g, s);
	count_correlated(s);
	s->lift = lift_of(g, s);
	s->outside = s->by_end ? 0 : count_outside(g, s);
	s->coupled = s->by_end || is_coupled(s, times);
}

static void weigh_suspect(struct context *g, struct suspect *s)
{
	ns_t *times = malloc((s->count + 1) * sizeof(*times));
	ns_t *ends = malloc((s->count + 1) * sizeof(*ends));

	if (times && ends) {
		weigh_observations(g, s, times, ends);
	} else {
		s->strong = s->correlated = 0;
		g->out_of_memory = true;
	}
	free(times);
	free(ends);
}

bool is_proxied(const struct suspect *s)
{
	const struct client *c;
	const struct pair *t;
	size_t i, j, of_proxy;

	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		if (!m->correlated)
			continue;
		for (j = 0; j < m->timeline->host->client_count; j++) {
			c = m->timeline->host->clients[j];
			of_proxy = 0;
			LIST_FOREACH(t, &c->pairs, of_client)
				if (same_endpoint(&t->who.peer->server, &m->stall->to))
					of_proxy = t->attempts;
			if (c == m->stall->client && of_proxy * 10 < c->established * 9)
				return false;
		}
	}
	return true;
}

/* True if hosts tried the peer without a stall, or stalls as long began without an attempt. */
static bool is_contradicted(const struct suspect *s, const struct cohort *c)
{
	return c->tried > 2 * c->tried_stalled || s->lift < MIN_LIFT ||
	       s->outside * 4 > s->correlated_stalls || !s->coupled;
}

static bool has_comparison(const struct cohort *c)
{
	return c->tried + c->others - c->tried_stalled - c->others_stalled >= 2;
}

/*
 * Unless a comparison with hosts that did not stall speaks against the peer, the timer must be
 * steady and belong to this peer alone.
 */
static bool is_doubtful(const struct suspect *s, const struct cohort *c)
{
	if (s->by_end || (s->outside * 20 <= s->correlated_stalls && s->deviation <= STEADY_NS))
		return false;
	return !has_comparison(c) ||
	       fisher_exact(c->tried_stalled, c->tried - c->tried_stalled, c->others_stalled,
			    c->others - c->others_stalled) > COMPARISON_CHANCE;
}

static bool is_unlikely_by_chance(const struct suspect *s)
{
	return s->chance_of_starts <= HIGH_CHANCE_OF_STARTS &&
	       s->chance_of_ends <=
		       (s->by_end ? HIGH_CHANCE_OF_RESOLVED_ENDS : HIGH_CHANCE_OF_TIMED_ENDS);
}

/* Says which of the conditions of is_contradicted() holds. */
static const char *reason_against(const struct suspect *s, const struct cohort *c)
{
	if (c->tried > 2 * c->tried_stalled)
		return "most hosts that tried it did not wait";
	if (s->outside * 4 > s->correlated_stalls)
		return "waits as long began without an attempt at it";
	return "waits and attempts coincide hardly more often than by chance";
}

/* Says which of the conditions of high confidence is missing. spread: see its caller. */
static const char *reason_not_high(const struct suspect *s, const struct cohort *c, bool spread)
{
	if (s->correlated < HIGH_COINCIDENCES)
		return s->correlated == 1
			       ? "one coincidence only: a longer run or capture may show three"
			       : "two coincidences only: a longer run or capture may show three";
	if (s->correlated * 2 <= s->strong)
		return "most attempts at it coincide with no wait";
	if (!spread)
		return "all waits are at one server: an application with its own timer looks alike";
	if (is_doubtful(s, c))
		return has_comparison(c) ? "hosts that did not try it wait as well"
					 : "no hosts to compare with, and the timer is not steady";
	return "the coincidences may be chance";
}

/*
 * Stores the confidence in *certainty. Returns false if the peer must not be reported at all.
 * High confidence takes observations at more than one destination, or through a proxy: one
 * application with a timer of its own looks the same at many hosts, to one server.
 */
bool correlation_confidence(const struct suspect *s, const struct cohort *c, bool proxied,
			    bool prompt, struct certainty *certainty)
{
	bool spread = s->several_destinations || proxied;
	bool many_hosts = s->hosts > 1 && s->passed <= 2 * s->correlated_stalls;

	if (s->correlated < MIN_CORRELATED || s->chance_of_starts > MAX_CHANCE_OF_STARTS ||
	    s->chance_of_ends > MAX_CHANCE_OF_ENDS)
		return false;
	if (is_contradicted(s, c))
		*certainty = doubtful(CONFIDENCE_LOW, reason_against(s, c));
	else if (s->correlated >= HIGH_COINCIDENCES && s->correlated * 2 > s->strong &&
		 (spread || prompt) && is_unlikely_by_chance(s) && !is_doubtful(s, c))
		*certainty = certain();
	else if (!(is_doubtful(s, c) && has_comparison(c)) &&
		 s->chance_of_starts * s->chance_of_ends <= MEDIUM_CHANCE &&
		 s->correlated * 3 > s->strong && (spread || many_hosts))
		*certainty = doubtful(CONFIDENCE_MEDIUM, reason_not_high(s, c, spread || prompt));
	else
		*certainty = doubtful(CONFIDENCE_LOW, reason_not_high(s, c, spread || many_hosts));
	return true;
}

/* ---- several addresses of one service ---- */

/* Maximum number of suspects with one port that are compared: more are a scan. */
#define MAX_SAME_PORT 32

/* With more suspects than that, addresses of one service are not looked for: it takes too long. */
#define MAX_COMPARED 4096

/* Returns true if the match ended by the same timer as those of suspect s. */
static bool has_timer_of(const struct match *m, const struct suspect *s)
{
	ns_t slack = 3 * s->deviation > STEADY_NS ? 3 * s->deviation : STEADY_NS;

	return m->strong && !m->ended && m->pending->failed && !m->noted->explained &&
	       llabs(m->t - s->timer) <= slack;
}

/* Returns true if a host that waited for the other suspect tried this one as well. */
static bool have_common_host(const struct context *g, const struct suspect *s,
			     const struct suspect *other)
{
	const struct timeline *t = NULL;
	size_t i;

	for (i = 0; i < other->count; i++) {
		if (other->matches[i].timeline == t || !has_timer_of(&other->matches[i], s))
			continue;
		t = other->matches[i].timeline;
		if (has_tried(g, s, t))
			return true;
	}
	return false;
}

/* Returns true if the suspect has a match with the stall, whose place has been stored. */
static bool has_stall(const struct suspect *s, const struct noted_stall *noted)
{
	return noted->place < s->count && s->matches[noted->place].noted == noted;
}

/*
 * Returns true if the other suspect is an address of the same service: the same hosts try it at the
 * same port, most of their stalls end by the same timer, and they tried the one or the other. Peers
 * that are tried at the same moments are no such addresses.
 */
static bool is_same_service(const struct context *g, const struct suspect *s,
			    const struct suspect *other)
{
	size_t i, own, shared = 0, n = 0, strong = 0;

	if (other->peers[0].port != s->peers[0].port)
		return false;
	for (i = 0; i < other->count; i++) {
		const struct match *m = &other->matches[i];

		if (!m->strong || m->noted->explained)
			continue;
		strong++;
		shared += has_stall(s, m->noted);
		n += has_timer_of(m, s) && !has_stall(s, m->noted);
	}
	for (i = 0, own = 0; i < s->count; i++)
		own += has_timer_of(&s->matches[i], s);
	return n && n * 2 > strong && shared * 4 <= n && shared * 4 <= own &&
	       have_common_host(g, s, other);
}

static int by_timeline(const void *a, const void *b)
{
	const struct match *x = a, *y = b;

	if (x->timeline != y->timeline)
		return x->timeline < y->timeline ? -1 : 1;
	if (x->pending->start != y->pending->start)
		return x->pending->start < y->pending->start ? -1 : 1;
	return by_peer(a, b);
}

/* Adds the matches of a suspect; each stall once, and one with this timer if there is one. */
static void add_matches(struct suspect *merged, const struct suspect *s,
			const struct suspect *timer)
{
	size_t i, place;

	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		place = m->noted->place;
		if (has_stall(merged, m->noted)) {
			if (!has_timer_of(&merged->matches[place], timer))
				merged->matches[place] = *m;
			continue;
		}
		m->noted->place = merged->count;
		merged->matches[merged->count++] = *m;
	}
}

/*
 * If a service has several addresses that fail, a host waits for one at one time and for another at
 * another time. Makes one suspect of them. Returns false if there is one address only; the caller
 * frees merged->matches otherwise.
 */
static bool merge_addresses(struct context *g, const struct suspect *s,
			    const struct suspect *suspects, size_t count, struct suspect *merged)
{
	const struct suspect *addresses[1 + MAX_FINDING_ALSO] = { s };
	size_t i, n = 1, same_port = 0, matches = s->count;

	if (s->by_end || !s->failed || !s->correlated)
		return false;
	for (i = 0; i < count && same_port <= MAX_SAME_PORT; i++)
		same_port += suspects[i].peers[0].port == s->peers[0].port;
	if (same_port < 2 || same_port > MAX_SAME_PORT)
		return false;
	for (i = 0; i < s->count; i++)
		s->matches[i].noted->place = i;
	for (i = 0; i < count && n < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (&suspects[i] != s && is_same_service(g, s, &suspects[i])) {
			matches += suspects[i].count;
			addresses[n++] = &suspects[i];
		}
	if (n < 2)
		return false;
	*merged = (struct suspect){ .matches = calloc(matches, sizeof(*merged->matches)) };
	if (!merged->matches) {
		g->out_of_memory = true;
		return false;
	}
	for (i = 0; i < n; i++) {
		merged->peers[merged->peer_count++] = addresses[i]->peers[0];
		add_matches(merged, addresses[i], s);
	}
	qsort(merged->matches, merged->count, sizeof(*merged->matches), by_timeline);
	return true;
}

/* ---- selection ---- */

/* Orders suspects by observations, then by a more constant timer, then by a smaller chance. */
static bool is_stronger(const struct suspect *a, const struct suspect *b)
{
	if (a->correlated != b->correlated)
		return a->correlated > b->correlated;
	if (a->deviation != b->deviation)
		return a->deviation < b->deviation;
	if (a->chance_of_starts != b->chance_of_starts)
		return a->chance_of_starts < b->chance_of_starts;
	return memcmp(&a->peers[0], &b->peers[0], sizeof(a->peers[0])) < 0;
}

/* Counts the correlated stalls that two suspects have in common. Both have been weighed. */
static size_t count_shared(const struct suspect *s, const struct suspect *other)
{
	size_t i, j, n = 0;

	for (i = 0; i < s->count; i++)
		for (j = 0; j < other->count && s->matches[i].correlated; j++)
			if (other->matches[j].stall == s->matches[i].stall &&
			    other->matches[j].correlated) {
				n++;
				break;
			}
	return n;
}

static bool shares_address(const struct suspect *s, const struct suspect *other)
{
	size_t i, j;

	for (i = 0; i < s->peer_count; i++)
		for (j = 0; j < other->peer_count; j++)
			if (same_endpoint(&s->peers[i], &other->peers[j]))
				return true;
	return false;
}

static bool is_sufficient(const struct suspect *s)
{
	struct certainty certainty;
	struct cohort none = {};

	return correlation_confidence(s, &none, false, false, &certainty);
}

/*
 * Weighs all suspects by the stalls that are not explained yet. Returns the strongest one, or NULL.
 * It may be *merged, of several addresses, whose matches the caller frees in any case.
 */
static struct suspect *strongest_suspect(struct context *g, struct suspect *suspects, size_t count,
					 struct suspect *merged)
{
	struct suspect *best = NULL, m;
	size_t i;

	merged->matches = NULL;
	for (i = 0; i < count; i++) {
		weigh_suspect(g, &suspects[i]);
		if (is_sufficient(&suspects[i]) && (!best || is_stronger(&suspects[i], best)))
			best = &suspects[i];
	}
	for (i = 0; i < count && count <= MAX_COMPARED; i++) {
		if (!merge_addresses(g, &suspects[i], suspects, count, &m))
			continue;
		weigh_suspect(g, &m);
		if (!is_sufficient(&m) || (best && !is_stronger(&m, best))) {
			free(m.matches);
			continue;
		}
		free(merged->matches);
		*merged = m;
		best = merged;
	}
	return best;
}

/* ---- suspects of the same stalls ---- */

/* Hosts that tried one suspect and not the other one. */
struct discord {
	size_t wait; /* they wait for it */
	size_t free; /* they tried it in vain and did not wait for it */
};

static bool waits_for(const struct suspect *s, const struct timeline *t)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->matches[i].timeline == t && s->matches[i].correlated)
			return true;
	return false;
}

static bool has_failed_at(const struct context *g, const struct suspect *s,
			  const struct timeline *t)
{
	size_t i;

	for (i = 0; i < t->pending_count; i++)
		if (is_at_suspect(s, t->pendings[i]) && !is_undecided(g, s, t, t->pendings[i]))
			return true;
	return false;
}

static struct discord discord_of(const struct context *g, const struct suspect *s,
				 const struct suspect *other)
{
	struct discord c = {};
	size_t i;

	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		if (!has_failed_at(g, s, t) || has_tried(g, other, t))
			continue;
		if (waits_for(s, t))
			c.wait++;
		else if (host_is_comparable(t->host))
			c.free++;
	}
	return c;
}

/* Returns true if the other suspect is consistent with most stalls of this one. */
static bool has_same_stalls(const struct suspect *s, const struct suspect *other)
{
	return other->count && !shares_address(s, other) && is_sufficient(other) &&
	       count_shared(s, other) * 10 >= s->correlated_stalls * 6;
}

/*
 * Hosts that have only one of several suspects with the same stalls tell which it is: they wait, or
 * they do not. Returns the suspect that they accuse, which is the strongest one if there are none.
 */
static struct suspect *tell_apart(const struct context *g, struct suspect *suspects, size_t count,
				  struct suspect *best)
{
	struct discord is, other;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!has_same_stalls(best, &suspects[i]))
			continue;
		is = discord_of(g, best, &suspects[i]);
		other = discord_of(g, &suspects[i], best);
		if (!is.wait && is.free && other.wait && !other.free)
			return &suspects[i];
	}
	return best;
}

/*
 * Stores the suspects that share most stalls with the strongest suspect, unless hosts that have
 * only one of them tell them apart. Returns their number.
 */
static size_t find_also(const struct context *g, const struct suspect *suspects, size_t count,
			const struct suspect *best, struct suspect also[MAX_FINDING_ALSO])
{
	struct discord is, other;
	size_t i, n = 0;

	for (i = 0; i < count && n < MAX_FINDING_ALSO; i++) {
		if (!has_same_stalls(best, &suspects[i]))
			continue;
		is = discord_of(g, best, &suspects[i]);
		other = discord_of(g, &suspects[i], best);
		if (!is.wait && !(other.free && !is.free))
			also[n++] = suspects[i];
	}
	return n;
}

/*
 * Reports the strongest suspect, which explains its stalls. Then weighs the others again by the
 * remaining stalls.
 */
void cause_correlation(struct context *g)
{
	struct suspect also[MAX_FINDING_ALSO], *suspects = NULL, *best, merged;
	struct matches matches;
	struct links links = {};
	size_t count = 0, reported, i, n;

	if (match_all(g, &matches))
		suspects = suspects_of(&matches, &count);
	g->out_of_memory |= !suspects;
	for (i = 0; i < count; i++)
		find_chains(g, &suspects[i], &links);
	for (reported = 0; suspects && reported < MAX_REPORTED; reported++) {
		best = strongest_suspect(g, suspects, count, &merged);
		if (!best)
			break;
		best = tell_apart(g, suspects, count, best);
		n = find_also(g, suspects, count, best, also);
		report_correlation(g, best, also, n);
		for (i = 0; i < count; i++)
			if (shares_address(best, &suspects[i]))
				suspects[i].count = 0; /* each is reported at most once */
		free(merged.matches);
	}
	free(links.at);
	free(links.times);
	free(suspects);
	free(matches.at);
}
