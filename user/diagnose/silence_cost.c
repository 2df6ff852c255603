// SPDX-License-Identifier: GPL-2.0
/*
 * The cost of silent resolvers: which connections came late because their client asked them first.
 * It is measured by the SYN, never taken from a schedule.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/silent_resolvers.h"

bool is_hurt(const struct host_part *h)
{
	return h->waits || (h->failed && (!h->answered || h->failed >= MIN_LOOKUPS));
}

static bool is_member(const struct silent_group *s, const struct dns_try *t)
{
	size_t i;

	for (i = 0; i < s->member_count; i++)
		if (t->server_port == s->members[i]->endpoint.port &&
		    !memcmp(&t->server, &s->members[i]->endpoint.address, sizeof(t->server)))
			return true;
	return false;
}

/* ---- what the members were asked ---- */

/* Returns true if the client is itself a resolver that others ask. */
static bool asks_for_others(const struct resolvers *r, const struct lookup *l)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (!memcmp(&r->at[i].endpoint.address, &l->client.address, sizeof(struct address)))
			return true;
	return false;
}

static void mark_lookups(struct context *g, const struct resolvers *r, struct silent_group *s,
			 const struct resolver *member)
{
	size_t i;

	for (i = 0; i < member->count; i++) {
		const struct asked *a = &member->asked[i];

		if (!a->is_marked)
			continue;
		s->tries += a->tries;
		if (!s->lookups || a->first < s->from)
			s->from = a->first;
		if (!s->lookups || a->last > s->until)
			s->until = a->last;
		if (!s->marked[a->n - g->lookups]) {
			s->marked[a->n - g->lookups] = true;
			s->lookups++;
			s->reverse += a->n->l->type == DNS_PTR;
			s->refused += a->result == ASKED_REFUSED;
			s->forwarded += a->n->l->from_gateway || asks_for_others(r, a->n->l);
		}
		if (a->result == ASKED_REFUSED) {
			s->icmp_type = a->icmp_type;
			s->icmp_code = a->icmp_code;
		}
	}
}

static void add_answers(struct silent_group *s, const struct resolver *member)
{
	size_t i;

	for (i = 0; i < member->count; i++) {
		ns_t t = member->asked[i].answered;

		if (t == NEVER)
			continue;
		if (t < s->from && (s->answered_before == NEVER || t > s->answered_before))
			s->answered_before = t;
		s->before += t < s->from;
		if (t > s->until && (s->answered_after == NEVER || t < s->answered_after))
			s->answered_after = t;
	}
}

/* ---- waits ---- */

/* The time in which a client waited for the members about one name. */
struct interval {
	ns_t from, until;
	bool asked_first;
	bool moved; /* another resolver was asked later */
	bool at_once; /* at the same time */
	struct address to;
	uint16_t port;
};

/* The first question to a member, and the first one to another resolver. */
static void add_lookup(const struct silent_group *s, const struct lookup *l, struct interval *v)
{
	ns_t asked = NEVER;
	size_t i;

	for (i = 0; i < lookup_tries(l); i++) {
		const struct dns_try *t = lookup_try(l, i);

		if (is_member(s, t)) {
			if (asked == NEVER)
				asked = t->time;
			continue;
		}
		if (asked == NEVER) {
			v->at_once |= t->time - l->first < MIN_RETRY_NS;
			continue;
		}
		if (t->time - asked < MIN_RETRY_NS) {
			v->at_once = true;
			break;
		}
		if (v->until == NEVER || t->time > v->until) {
			v->until = t->time;
			v->to = t->server;
			v->port = t->server_port;
		}
		v->moved = true;
		break;
	}
	if (v->from == NEVER || asked < v->from)
		v->from = asked;
	v->asked_first |= asked - l->first < MIN_RETRY_NS;
}

/* Returns what one name of the episode waited, and advances *i beyond its lookups. */
static bool next_interval(const struct context *g, const struct silent_group *s,
			  const struct episode *e, size_t *i, struct interval *v)
{
	const struct noted_lookup *first = e->at[*i];
	bool any = false;

	*v = (struct interval){ .from = NEVER, .until = NEVER };
	for (; *i < e->count && is_same_question(first, e->at[*i]); ++*i)
		if (s->marked[e->at[*i] - g->lookups]) {
			add_lookup(s, e->at[*i]->l, v);
			any = true;
		}
	return any;
}

static int by_from(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* Returns the time that the intervals cover. Sorts them. */
static ns_t cover(struct interval *at, size_t n)
{
	ns_t sum = 0, end = NEVER;
	size_t i;

	qsort(at, n, sizeof(*at), by_from);
	for (i = 0; i < n; i++) {
		ns_t from = end == NEVER || at[i].from > end ? at[i].from : end;

		if (at[i].until <= from)
			continue;
		sum += at[i].until - from;
		end = at[i].until;
	}
	return sum;
}

/* Counts where clients went after a name, to find the resolver that is asked next. */
struct moves {
	const struct resolvers *r;
	size_t *next; /* by index of r->at[] */
	ns_t *times;
	struct interval *intervals; /* of an episode */
};

static void add_name(struct silent_group *s, const struct moves *moves, const struct interval *v)
{
	struct resolver *next;

	s->names++;
	s->at_once += v->at_once;
	s->elsewhere_first += !v->asked_first;
	if (!v->moved || v->at_once)
		return;
	moves->times[s->moved++] = v->until - v->from;
	next = find_resolver(moves->r, &v->to, v->port);
	if (next)
		moves->next[next - moves->r->at]++;
}

static bool nobody_answered(const struct episode *e)
{
	size_t i;

	for (i = 0; i < e->count; i++) {
		const struct lookup *l = e->at[i]->l;

		if (l->in_gap || (l->result != LOOKUP_SILENT && l->result != LOOKUP_UNREACHABLE))
			return false;
	}
	return true;
}

/*
 * Two programs of a host may ask two resolvers for one name, one after the other. Only a timer shows
 * that one of them went on from the one to the other.
 */
static bool is_timed(const struct silent_group *s, const struct interval *v)
{
	ns_t time = v->until - v->from;

	return (s->timer.count >= MIN_LOOKUPS &&
		llabs(time - s->timer.median) <= timer_slack(s->timer.median)) ||
	       resolver_timer(time);
}

static void add_wait(struct silent_group *s, struct host_part *host, const struct episode *e,
		     struct interval *at, size_t n)
{
	ns_t waited, syn = syn_of_episode(e), end = NEVER;
	size_t i;

	waited = cover(at, n);
	for (i = 0; i < n; i++)
		end = at[i].until > end ? at[i].until : end;
	if (syn == NEVER || waited < MIN_RESOLVER_WAIT_NS || syn < end)
		return;
	s->waits[s->wait_count] = waited;
	s->totals[s->wait_count++] = syn - e->at[0]->l->episode_first;
	host->waits++;
	if (n > 1 && waited > end - at[n - 1].from + MIN_RESOLVER_WAIT_NS) {
		s->chained++;
		s->chain = n;
	}
}

/* Counts the names of the episode for which the members were asked. */
static void count_names(const struct context *g, struct silent_group *s, const struct moves *moves,
			const struct episode *e)
{
	struct host_part *host = &s->hosts[host_index(g, e->at[0])];
	bool is_marked = false;
	struct interval v;
	size_t i;

	for (i = 0; i < e->count;) {
		if (!next_interval(g, s, e, &i, &v))
			continue;
		is_marked = true;
		add_name(s, moves, &v);
		host->here_first += v.asked_first && !v.at_once;
	}
	if (!is_marked)
		return;
	host->asks = true;
	if (nobody_answered(e)) {
		s->failed++;
		host->failed++;
	}
}

/* Adds the wait for an episode. The timer is known. */
static void measure_wait(const struct context *g, struct silent_group *s, const struct moves *moves,
			 const struct episode *e)
{
	struct interval v;
	size_t i, n = 0;

	for (i = 0; i < e->count;)
		if (next_interval(g, s, e, &i, &v) && v.moved && !v.at_once && is_timed(s, &v))
			moves->intervals[n++] = v;
	if (n)
		add_wait(s, &s->hosts[host_index(g, e->at[0])], e, moves->intervals, n);
}

/* Counts the names of a host meanwhile, and those that were answered. */
static void count_questions(const struct context *g, struct silent_group *s,
			    const struct episode *e)
{
	struct host_part *host = &s->hosts[host_index(g, e->at[0])];
	size_t i;

	for (i = 0; i < e->count; i++) {
		const struct noted_lookup *n = e->at[i];

		/* what this gateway asks, it asks for its clients */
		if (n->l->first < s->from || n->l->first > s->until || n->l->from_gateway)
			continue;
		host->questions += !i || !is_same_question(n, e->at[i - 1]);
		host->answered += lookup_is_answered(n->l);
	}
}

static void count_hosts(const struct context *g, struct silent_group *s)
{
	size_t i;

	for (i = 0; i < g->hosts->all; i++) {
		const struct host_part *h = &s->hosts[i];

		s->hosts_all += h->questions || h->asks;
		if (h->waits)
			s->hosts_waiting++;
		else if (h->failed && !h->answered)
			s->hosts_without_names++;
		else if (h->failed >= MIN_LOOKUPS)
			s->hosts_with_failures++;
	}
}

static void find_next(struct silent_group *s, const struct moves *moves)
{
	size_t i, most = 0;

	for (i = 0; i < moves->r->count; i++)
		if (moves->next[i] > most) {
			most = moves->next[i];
			s->next = &moves->r->at[i];
		}
	if (s->moved)
		s->timer = cluster_of(moves->times, s->moved);
}

static void measure_episodes(struct context *g, struct silent_group *s, const struct moves *moves)
{
	struct episode e;
	size_t i = 0;

	while (e = next_episode(moves->r, &i), e.count) {
		count_questions(g, s, &e);
		count_names(g, s, moves, &e);
	}
	find_next(s, moves);
	i = 0;
	while (e = next_episode(moves->r, &i), e.count)
		measure_wait(g, s, moves, &e);
	count_hosts(g, s);
	if (s->wait_count) {
		qsort(s->waits, s->wait_count, sizeof(*s->waits), compare_ns);
		qsort(s->totals, s->wait_count, sizeof(*s->totals), compare_ns);
	}
}

bool measure_silence(struct context *g, struct silent_group *s)
{
	const struct resolvers *r = g->resolvers;
	struct moves moves = {
		.r = r,
		.next = calloc(r->count + 1, sizeof(*moves.next)),
		.times = calloc(g->lookup_count + 1, sizeof(*moves.times)),
		.intervals = calloc(g->lookup_count + 1, sizeof(*moves.intervals)),
	};
	size_t i;

	s->marked = calloc(g->lookup_count + 1, sizeof(*s->marked));
	s->waits = calloc(g->lookup_count + 1, sizeof(*s->waits));
	s->totals = calloc(g->lookup_count + 1, sizeof(*s->totals));
	s->hosts = calloc(g->hosts->all + 1, sizeof(*s->hosts));
	s->answered_before = s->answered_after = NEVER;
	if (moves.next && moves.times && moves.intervals && s->marked && s->waits && s->totals &&
	    s->hosts) {
		for (i = 0; i < s->member_count; i++)
			mark_lookups(g, r, s, s->members[i]);
		for (i = 0; i < s->member_count; i++)
			add_answers(s, s->members[i]);
		measure_episodes(g, s, &moves);
	} else {
		g->out_of_memory = true;
	}
	free(moves.next);
	free(moves.times);
	free(moves.intervals);
	return !g->out_of_memory;
}

void silent_group_free(struct silent_group *s)
{
	free(s->marked);
	free(s->waits);
	free(s->totals);
	free(s->hosts);
}
