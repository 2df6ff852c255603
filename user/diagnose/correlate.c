// SPDX-License-Identifier: GPL-2.0
/*
 * The lock: which pending operation of the same host explains a stall? One coincidence proves little;
 * several, measured against how often this host tries that peer anyway, prove a lot.
 *
 * Two things could make a coincidence of nothing, and each has its own number: attempts that are made
 * all the time fall together with any stall (chance of the starts); and attempts that accompany every
 * page say nothing of waits that end when the user goes on (chance of the ends).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/cause.h"
#include "lib/format.h"

/* A peer that is tried less often than this during stalls, compared with else, is tried for itself. */
#define MIN_LIFT 1

/* A timer that is not loaded runs as steadily as this. */
#define STEADY_NS (10 * (ns_t)MILLISECOND_NS)

/* What a released connection leads to, a page and what it asks for next, ends a little later. */
#define SHADOW_NS (500 * (ns_t)MILLISECOND_NS)

/* Fewer locked observations than these name nobody. */
#define MIN_CORRELATED 2

/* So many peers at most are named; what they explain is taken away before the next is looked for. */
#define MAX_REPORTED 16

/* A stall and an operation of the same host that was pending during it. */
struct match {
	struct stall *stall;
	const struct pending *pending;
	const struct host_view *view;
	ns_t t; /* from the operation's start to the stall's end */
	bool strong; /* it began with the stall, not before */
	bool ended; /* it was resolved just before the stall ended */
	bool correlated;
};

struct matches {
	struct match *at;
	size_t count;
	size_t room;
};

/* A peer, and what speaks for it. matches: its stretch of all, by host, operation and end. */
struct suspect {
	struct endpoint peer;
	struct match *matches;
	size_t count;

	size_t strong; /* observations that began with a stall */
	size_t correlated; /* of these, ended together with it, or by the same timer */
	size_t locked_stalls;
	size_t passed; /* connections that got through meanwhile */
	size_t other_host; /* stalls as long that began without an attempt at it */
	bool coupled; /* the ends keep time with its attempts, not with the stalls' own beginnings */
	double lift; /* how much more often its hosts try it during their stalls than else */
	size_t hosts;
	bool several_destinations;
	bool by_end; /* the waits end when it is resolved; else by a timer */
	bool failed; /* no answer ever came */
	ns_t timer;
	ns_t deviation;
	double chance_of_starts;
	double chance_of_ends;
};

static int by_peer(const void *a, const void *b)
{
	const struct match *x = a, *y = b;
	int order = memcmp(&x->pending->to, &y->pending->to, sizeof(x->pending->to));
	ns_t i = x->stall->start + x->stall->wait, j = y->stall->start + y->stall->wait;

	if (order)
		return order;
	if (x->view != y->view)
		return x->view < y->view ? -1 : 1;
	if (x->pending->start != y->pending->start)
		return x->pending->start < y->pending->start ? -1 : 1;
	if (i != j)
		return i < j ? -1 : 1;
	return memcmp(&x->stall->from, &y->stall->from, sizeof(x->stall->from));
}

/* Does this operation begin with the stall, or before it, and last as long? */
static bool match_of(struct match *m, struct stall *s, const struct pending *o)
{
	ns_t a = s->start, end = s->start + s->wait, from, until, lead = LEAD_NS;

	if (s->round_trip != NEVER && 5 * s->round_trip > lead)
		lead = 5 * s->round_trip;
	if (o->start > a + lead || o->end < a || same_endpoint(&o->to, &s->to))
		return false;
	from = o->start > a ? o->start : a;
	until = o->end < end ? o->end : end;
	/* it spans the wait, but for its lead and the time that it takes to go on behind it */
	if (until - from < s->wait / 10 * 9 && until - from < s->wait - LEAD_NS - SAME_MOMENT_NS)
		return false;
	m->stall = s;
	m->pending = o;
	m->t = end - o->start;
	m->strong = o->start >= a - LAG_NS;
	m->ended = o->resolved && o->end <= end && end - o->end <= SAME_MOMENT_NS;
	m->correlated = false;
	/* resolved, and still the wait went on: it was not that */
	return m->ended || o->end > end;
}

static bool is_better(const struct match *x, const struct match *y)
{
	if (x->strong != y->strong)
		return x->strong;
	return llabs(x->pending->start - x->stall->start) <
	       llabs(y->pending->start - y->stall->start);
}

static bool matches_add(struct matches *matches, const struct match *m)
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

/* Each stall with each peer that its host was waiting for, once. */
static bool matches_of(struct diagnosing *g, struct matches *matches)
{
	size_t i, j, k, l, first;
	struct match m;

	memset(matches, 0, sizeof(*matches));
	for (i = 0; i < g->hosts.count; i++) {
		const struct host_view *v = &g->views[i];

		m.view = v;
		for (j = 0; j < v->stall_count; j++) {
			first = matches->count;
			for (k = 0; k < v->pending_count; k++) {
				if (!match_of(&m, v->stalls[j], v->pendings[k]))
					continue;
				for (l = first; l < matches->count; l++)
					if (same_endpoint(&matches->at[l].pending->to,
							  &m.pending->to))
						break;
				if (l == matches->count) {
					if (!matches_add(matches, &m))
						return false;
				} else if (is_better(&m, &matches->at[l])) {
					matches->at[l] = m;
				}
			}
		}
	}
	if (matches->count)
		qsort(matches->at, matches->count, sizeof(*matches->at), by_peer);
	return true;
}

/* Stalls that one operation releases together are one observation: its first match stands for it. */
static bool is_observed(const struct match *m, const struct match *before)
{
	return !before || before->pending != m->pending ||
	       m->stall->start + m->stall->wait - before->stall->start - before->stall->wait >
		       SAME_MOMENT_NS;
}

/* How many attempts does this host make at that peer, and how many peers does it try? */
static size_t count_pending_ops(const struct host_view *v, const struct endpoint *peer)
{
	size_t i, n = 0;

	for (i = 0; i < v->pending_count; i++)
		n += same_endpoint(&v->pendings[i]->to, peer);
	return n;
}

static size_t count_peers(const struct host_view *v)
{
	size_t i, j, n = 0;

	for (i = 0; i < v->pending_count; i++) {
		for (j = 0; j < i; j++)
			if (same_endpoint(&v->pendings[i]->to, &v->pendings[j]->to))
				break;
		n += j == i;
	}
	return n;
}

/*
 * The chance that so many stalls begin with an attempt at the peer, of all that its hosts had, if the
 * attempts were made at any time; times the peers that one of these hosts tried.
 */
static double chance_of_starts(const struct suspect *s)
{
	const struct host_view *v = NULL;
	size_t i, groups = 0, peers = 1, n;
	double expected = 0, covered, p;

	for (i = 0; i < s->count; i++) {
		if (s->matches[i].view == v)
			continue;
		v = s->matches[i].view;
		covered = count_pending_ops(v, &s->peer) * (double)(LEAD_NS + LAG_NS) /
			  (v->watched > LEAD_NS ? v->watched : LEAD_NS);
		groups += v->groups;
		expected += v->groups * (covered < 1 ? covered : 1);
		n = count_peers(v);
		if (n > peers)
			peers = n;
	}
	if (s->strong > groups)
		groups = s->strong;
	p = groups ? binomial_tail(s->strong, groups, expected / groups) * peers : 1;
	return p < 1 ? p : 1;
}

/*
 * How much more often than else do these hosts try the peer while they are stalled? Whoever tries it
 * all the time tries it during stalls as well.
 */
static double lift_of(const struct suspect *s)
{
	double inside = 0, outside = 0, stalled = 0, watched = 0;
	const struct host_view *v = NULL;
	const struct pending *o;
	size_t i, j, k;
	ns_t until, a, end;

	for (i = 0; i < s->count; i++) {
		if (s->matches[i].view == v || !s->matches[i].correlated)
			continue;
		v = s->matches[i].view;
		watched += v->watched;
		until = v->from;
		for (j = 0; j < v->stall_count; j++) {
			end = v->stalls[j]->start + v->stalls[j]->wait;
			a = v->stalls[j]->start > until ? v->stalls[j]->start : until;
			if (end > a) {
				stalled += end - a;
				until = end;
			}
		}
		for (j = 0; j < v->pending_count; j++) {
			o = v->pendings[j];
			if (!same_endpoint(&o->to, &s->peer))
				continue;
			for (k = 0; k < v->stall_count; k++)
				if (o->start >= v->stalls[k]->start - LAG_NS &&
				    o->start <= v->stalls[k]->start + v->stalls[k]->wait)
					break;
			*(k < v->stall_count ? &inside : &outside) += 1;
		}
	}
	if (!outside || stalled <= 0 || watched <= stalled)
		return HUGE_VAL;
	return inside / stalled / (outside / (watched - stalled));
}

/*
 * Stalls as long, of hosts that this peer could have held, that began without any attempt at it: then
 * the timer is somebody else's.
 */
static size_t count_outside_stalls(const struct diagnosing *g, const struct suspect *s)
{
	ns_t slack = timer_slack(s->timer), off;
	size_t i, j, n = 0;

	for (i = 0; i < s->count; i++)
		s->matches[i].stall->held = s;
	for (i = 0; i < g->hosts.count; i++)
		for (j = 0; j < g->views[i].stall_count; j++) {
			const struct stall *stall = g->views[i].stalls[j];

			off = llabs(stall->wait - s->timer);
			n += off <= slack && stall->held != s && !stall->explained;
		}
	return n;
}

/*
 * Which is steadier, the time from the attempt to the end, or the stall itself? waits[] has room for all
 * matches.
 */
static bool is_coupled(const struct suspect *s, ns_t *waits)
{
	const struct match *before = NULL;
	size_t i, n = 0;
	ns_t middle;

	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		/* of those that went on together the first one waited for all of it */
		if (m->correlated && m->strong && is_observed(m, before))
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

static void count_correlated(struct suspect *s, ns_t least, ns_t most)
{
	const struct endpoint *destination = NULL;
	const struct host_view *v = NULL;
	const struct match *before = NULL;
	size_t i;

	s->correlated = s->locked_stalls = s->passed = s->hosts = 0;
	s->several_destinations = false;
	s->failed = true;
	for (i = 0; i < s->count; i++) {
		struct match *m = &s->matches[i];

		m->correlated = false;
		if (m->stall->explained)
			continue;
		m->correlated = s->by_end ? m->ended && m->strong
					  : !m->ended && m->t >= least && m->t <= most;
		if (m->correlated) {
			s->correlated += m->strong && is_observed(m, before);
			s->locked_stalls++;
			s->passed += m->stall->passed;
			s->failed &= m->pending->failed;
			s->hosts += v != m->view;
			v = m->view;
			if (destination && !same_endpoint(destination, &m->stall->to))
				s->several_destinations = true;
			destination = &m->stall->to;
		}
		if (m->strong)
			before = m;
	}
}

/* What speaks for this suspect, looking at stalls that nothing has explained yet? */
static bool weigh_suspect(const struct diagnosing *g, struct suspect *s)
{
	ns_t *times = malloc(s->count * sizeof(*times)), *ends = malloc(s->count * sizeof(*ends));
	const struct match *before = NULL;
	size_t i, timed = 0, ended = 0;
	struct cluster c = {};

	s->strong = s->correlated = 0;
	if (!times || !ends) {
		free(times);
		free(ends);
		return false;
	}
	for (i = 0; i < s->count; i++) {
		struct match *m = &s->matches[i];

		if (m->stall->explained || !m->strong)
			continue;
		if (is_observed(m, before)) {
			s->strong++;
			if (m->ended)
				ends[ended++] = m->t;
			else
				times[timed++] = m->t;
		}
		before = m;
	}
	if (s->strong) {
		if (timed)
			c = cluster_of(times, timed);
		s->by_end = ended >= c.count;
		if (s->by_end) {
			s->timer = median(ends, ended);
			s->deviation = median_absolute_deviation(ends, ended, s->timer);
			s->chance_of_ends =
				binomial_tail(ended, s->strong,
					      (double)SAME_MOMENT_NS / (s->timer + SAME_MOMENT_NS));
		} else {
			s->timer = c.median;
			s->deviation = c.deviation;
			s->chance_of_ends = c.chance;
		}
		s->chance_of_starts = chance_of_starts(s);
		count_correlated(s, s->timer - 2 * timer_slack(s->timer),
				 s->timer + 2 * timer_slack(s->timer));
		s->lift = lift_of(s);
		s->other_host = s->by_end ? 0 : count_outside_stalls(g, s);
		s->coupled = s->by_end || is_coupled(s, times);
	}
	free(times);
	free(ends);
	return true;
}

/* The more observations the better; then the tighter ones, then the less chance. */
static bool is_stronger(const struct suspect *a, const struct suspect *b)
{
	if (a->correlated != b->correlated)
		return a->correlated > b->correlated;
	if (a->deviation != b->deviation)
		return a->deviation < b->deviation;
	if (a->chance_of_starts != b->chance_of_starts)
		return a->chance_of_starts < b->chance_of_starts;
	return memcmp(&a->peer, &b->peer, sizeof(a->peer)) < 0;
}

/* Do these hosts speak to one server only, an explicit proxy? Its address is then the destination. */
static bool is_proxied(const struct suspect *s)
{
	const struct client *c;
	const struct pair *t;
	size_t i, j, of_proxy;

	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		if (!m->correlated)
			continue;
		for (j = 0; j < m->view->host->client_count; j++) {
			c = m->view->host->clients[j];
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

/*
 * High: at least three locked observations that no chance explains, at more than one destination or
 * host, of which the hosts that tried the peer do not contradict it.
 */
static bool confidence_of(const struct suspect *s, const struct cohort *c, bool proxied,
			  enum confidence *confidence)
{
	/* one application with a timer of its own looks like this at many hosts, to one server */
	bool spread = s->several_destinations || proxied;
	size_t unaffected = c->tried + c->others - c->tried_stalled - c->others_stalled;
	bool contradicted = c->tried > 2 * c->tried_stalled || s->lift < MIN_LIFT ||
			    s->other_host * 4 > s->locked_stalls || !s->coupled;
	/* nobody to compare with: then the timer must be steady, and be this peer's alone */
	bool alone = unaffected < 2 && !s->by_end &&
		     (s->other_host * 20 > s->locked_stalls || s->deviation > STEADY_NS);

	if (s->correlated < MIN_CORRELATED || s->chance_of_starts > 0.05 || s->chance_of_ends > 0.2)
		return false;
	if (s->correlated >= 3 && s->correlated * 2 > s->strong && s->chance_of_starts <= 1e-3 &&
	    s->chance_of_ends <= (s->by_end ? 1e-3 : 1e-6) && spread && !contradicted && !alone)
		*confidence = CONFIDENCE_HIGH;
	else if (s->chance_of_starts * s->chance_of_ends <= 1e-3 && s->correlated * 3 > s->strong &&
		 (spread || (s->hosts > 1 && s->passed <= 2 * s->locked_stalls)) && !contradicted)
		*confidence = CONFIDENCE_MEDIUM;
	else
		*confidence = CONFIDENCE_LOW;
	return true;
}

static ns_t median_wait(struct diagnosing *g, const struct finding *f, bool stalled)
{
	ns_t *waits = malloc((g->hosts.count + 1) * SAMPLES * sizeof(*waits)), answer;
	size_t i, j, k, n = 0;

	if (!waits) {
		g->out_of_memory = true;
		return NEVER;
	}
	for (i = 0; i < g->hosts.count; i++) {
		const struct host *h = &g->hosts.at[i];

		if ((g->views[i].stall_count > 0) != stalled || !host_is_comparable(h) ||
		    (stalled && h->counted != f))
			continue;
		for (j = 0; j < h->client_count; j++) {
			const struct samples *s = &h->clients[j]->waits;

			for (k = 0; k < s->count && k < SAMPLES && n < g->hosts.count * SAMPLES;
			     k++)
				waits[n++] = s->at[k];
		}
	}
	answer = n ? median(waits, n) : NEVER;
	free(waits);
	return answer;
}

static void add_cohort(struct diagnosing *g, struct finding *f)
{
	char text[FORMAT_DURATION];
	const struct cohort *c = &f->cohort;
	size_t tried = c->tried - c->tried_stalled;

	finding_line(f, "affected", "%zu host%s that tried it, first request after %s (median)",
		     f->affected.count, plural(f->affected.count),
		     format_duration(text, median_wait(g, f, true)));
	if (f->unaffected.count < 2) {
		finding_line(f, "unaffected", "no comparison group%s",
			     g->view->narrowed_clients ? ": --client leaves the others out"
						       : ": fewer than two hosts without a stall");
		return;
	}
	format_duration(text, median_wait(g, f, false));
	if (!tried)
		finding_line(f, "unaffected", "%zu hosts: none tried it, first request after %s",
			     f->unaffected.count, text);
	else
		finding_line(f, "unaffected",
			     "%zu hosts, %zu of them tried it, first request after %s",
			     f->unaffected.count, tried, text);
	finding_line(f, "", "Fisher's exact test p = %.0e, two-sided%s", f->p_value,
		     g->view->narrowed_clients ? "; only of the hosts that --client lets in" : "");
}

static void add_counter_evidence(struct diagnosing *g, struct finding *f, const struct suspect *s)
{
	size_t others = g->stall_count - s->locked_stalls;
	const struct cohort *c = &f->cohort;

	if (others)
		finding_line(f, "against", "%zu other stall%s not explained by it", others,
			     others == 1 ? " is" : "s are");
	if (c->tried > c->tried_stalled)
		finding_line(f, others ? "" : "against", "%zu host%s tried it and did not wait",
			     c->tried - c->tried_stalled, plural(c->tried - c->tried_stalled));
	if (s->other_host)
		finding_line(f, "", "%zu of them are as long, and began without an attempt at it",
			     s->other_host);
	if (s->passed)
		finding_line(f, others || c->tried > c->tried_stalled ? "" : "against",
			     "%zu connection%s of these hosts got through during the waits",
			     s->passed, plural(s->passed));
}

static void example_of_match(struct finding *f, const struct suspect *s)
{
	const struct match *best = NULL, *m;
	size_t i;

	for (i = 0; i < s->count; i++) {
		m = &s->matches[i];
		if (m->correlated && m->strong &&
		    (!best || llabs(m->t - s->timer) < llabs(best->t - s->timer)))
			best = m;
	}
	if (!best)
		return;
	f->has_example = true;
	f->example = (struct example){
		.client = best->stall->from,
		.nat_endpoint = best->stall->nat_endpoint,
		.server = best->stall->to,
		.syn = best->stall->syn,
		.synack = best->stall->synack,
		.ack = best->stall->start,
		.first = best->stall->start + best->stall->wait,
		.waited_for = best->pending->to,
		.resolved = best->pending->resolved ? best->pending->end : NEVER,
		.syn_count =
			best->pending->syn_count < SYN_TIMES ? best->pending->syn_count : SYN_TIMES,
	};
	memcpy(f->example.syn_times, best->pending->syn_times, sizeof(f->example.syn_times));
}

/* In words, how the peer fails them. */
static const char *wait_pattern(const struct suspect *s, const struct peer *p)
{
	if (!s->failed)
		return "answers late";
	if (p->failures[FAILURE_UNREACHABLE] && s->by_end)
		return "is unreachable";
	if (p->failures[FAILURE_REFUSED] && s->by_end)
		return "refuses late";
	if (p->forwarding == FORWARDING_DROPPED || p->forwarding == FORWARDING_ANSWERS_DROPPED)
		return "is cut off by this gateway itself";
	return p->answered && !p->failures[FAILURE_SILENT] ? "accepts and then is silent"
							   : "does not answer";
}

static void report_correlation(struct diagnosing *g, struct suspect *s, const struct suspect *also,
			       size_t count)
{
	char peer[FORMAT_ENDPOINT], timer[FORMAT_DURATION], spread[FORMAT_DURATION],
		offset[FORMAT_DURATION], text[FORMAT_ENDPOINT];
	struct peer *p = diagnosing_peer(g, &s->peer);
	const struct host_view *v = NULL;
	enum confidence confidence = CONFIDENCE_LOW;
	bool proxied = is_proxied(s);
	struct finding *f;
	const char *pending = "";
	ns_t furthest = 0, shadow = s->timer / 4 > SHADOW_NS ? s->timer / 4 : SHADOW_NS;
	size_t i;

	f = p ? finding_new(g, s->failed ? KIND_WAITS_FOR_PEER : KIND_SLOW_HELPER, confidence)
	      : NULL;
	if (!f)
		return;
	finding_set_peer(f, &s->peer);
	finding_compare(g, f, p);
	confidence_of(s, &f->cohort, proxied, &f->confidence);
	f->stalls = g->stall_count;
	f->correlated = s->locked_stalls;
	f->timer = s->timer;
	f->deviation = s->deviation;
	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		if (m->t >= s->timer && m->t <= s->timer + shadow)
			m->stall->explained = f;
		if (!m->correlated)
			continue;
		m->stall->explained = f;
		f->hosts_hurt += m->view != v;
		v = m->view;
		if (!m->strong)
			pending = ", or while it was pending,";
		else if (llabs(m->pending->start - m->stall->start) > furthest)
			furthest = llabs(m->pending->start - m->stall->start);
	}

	format_endpoint(peer, &s->peer);
	finding_text(f, "%s %s, and %zu of %zu hosts wait%s for it", peer, wait_pattern(s, p),
		     f->hosts_hurt, g->hosts.count, f->hosts_hurt == 1 ? "s" : "");
	format_duration(timer, s->timer);
	format_duration(spread, s->deviation);
	format_duration(offset, furthest);
	if (s->by_end)
		finding_line(
			f, "",
			"%zu of %zu stalls began within %s of a SYN to it%s and ended when %s, "
			"after %s ± %s",
			s->locked_stalls, g->stall_count, offset, pending,
			s->failed ? "that attempt failed" : "it answered", timer, spread);
	else
		finding_line(f, "",
			     "%zu of %zu stalls began within %s of a SYN to it%s and ended %s ± %s "
			     "after it%s%s%s%s",
			     s->locked_stalls, g->stall_count, offset, pending, timer, spread,
			     s->correlated >= 3 ? ": a fixed timer, not load" : "",
			     known_timer(s->timer) ? " (as " : "",
			     known_timer(s->timer) ? known_timer(s->timer) : "",
			     known_timer(s->timer) ? ")" : "");
	for (i = 0; i < count && f->also_count < MAX_FINDING_ALSO; i++) {
		f->also[f->also_count++] = also[i].peer;
		finding_line(f, i ? "" : "or",
			     "%s, tried in the same moments: the wire cannot tell them apart",
			     format_endpoint(text, &also[i].peer));
	}
	add_cohort(g, f);
	if (proxied && !s->several_destinations)
		finding_line(f, "proxy",
			     "these hosts speak to one server only: the stalls are on it");
	finding_add_route(g, f, p);
	add_counter_evidence(g, f, s);
	if (f->confidence < CONFIDENCE_HIGH)
		finding_line(f, "sure?", "%zu coincidence%s; by chance: starts %.0e, ends %.0e",
			     s->correlated, plural(s->correlated), s->chance_of_starts,
			     s->chance_of_ends);
	example_of_match(f, s);
}

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
			suspects[*count].peer = matches->at[i].pending->to;
			suspects[(*count)++].matches = &matches->at[i];
		}
		suspects[*count - 1].count++;
	}
	return suspects;
}

/* Of the other suspect's locked stalls, how many are this one's as well? Both have been weighed. */
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

static bool is_peer_reported(const struct suspect *s)
{
	enum confidence confidence;
	struct cohort none = {};

	return confidence_of(s, &none, false, &confidence);
}

void cause_correlated(struct diagnosing *g)
{
	struct suspect also[MAX_FINDING_ALSO], *suspects, *best;
	struct matches matches;
	size_t count, i, n, named;

	if (!matches_of(g, &matches)) {
		g->out_of_memory = true;
		free(matches.at);
		return;
	}
	suspects = suspects_of(&matches, &count);
	g->out_of_memory |= !suspects;
	for (named = 0; suspects && named < MAX_REPORTED; named++) {
		best = NULL;
		for (i = 0; i < count; i++) {
			if (!weigh_suspect(g, &suspects[i]))
				g->out_of_memory = true;
			if (is_peer_reported(&suspects[i]) &&
			    (!best || is_stronger(&suspects[i], best)))
				best = &suspects[i];
		}
		if (!best)
			break;
		for (i = n = 0; i < count && n < MAX_FINDING_ALSO; i++)
			if (&suspects[i] != best && is_peer_reported(&suspects[i]) &&
			    count_shared(best, &suspects[i]) * 10 >= best->locked_stalls * 6)
				also[n++] = suspects[i];
		report_correlation(g, best, also, n);
		best->count = 0; /* named, whatever else it explains */
	}
	free(suspects);
	free(matches.at);
}
