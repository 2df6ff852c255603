// SPDX-License-Identifier: GPL-2.0
/*
 * Chains of failed attempts: the same dead server twice, or several dead addresses in turn. The
 * client waits for the chain as a whole, from its first SYN to the connect that follows its last
 * attempt.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/failover.h"

/* An attempt and the next one, as indexes of their candidates. */
struct edge {
	size_t from;
	size_t to;
	struct attempt *attempt;
};

/* Minimum number of times that one peer's attempts follow another's before they are one chain. */
#define MIN_EDGES 2

/* ---- the next attempt ---- */

static bool is_linked(const struct attempt *a)
{
	return a->candidate && a->candidate->linked && a->moment;
}

/* Returns true if the begin is in the span itself, not only near it. */
static bool is_within(const struct attempt *a, ns_t t, const struct span *s)
{
	return t >= a->pending->start + s->low && t <= a->pending->start + s->high;
}

/*
 * Finds the next attempt, or the connect that ended the wait. A connect that was opened and closed
 * unused does not end it if another attempt follows; nor does one that is less punctual than the
 * attempt.
 */
static void find_next(const struct sequence *f, struct attempt *a, bool ipv6)
{
	const struct rhythm *r = rhythm_of(f, a->timeline);
	const struct span *s = &a->candidate->span;
	ns_t slack = timer_slack(s->median) / 4, start = a->pending->start;
	struct begin *unused = NULL, *used = NULL;
	size_t i;

	a->undecided = a->open || start + s->high > f->g->m->last;
	for (i = rhythm_find(r, start + s->low - slack);
	     i < r->count && r->at[i].t <= start + s->high + slack; i++) {
		struct begin *b = &r->at[i];

		if (b->attempt && b->attempt->open)
			a->undecided = true;
		if (b->attempt == a || !may_follow(a, b, ipv6))
			continue;
		if (b->recent && b->recent->prompt)
			used = used && !is_within(a, b->t, s) ? used : b;
		else if (b->recent && !unused)
			unused = b;
		else if (b->attempt && !a->next && is_linked(b->attempt))
			a->next = b->attempt;
	}
	if (unused && a->next)
		unused = NULL;
	if (used && a->next && !is_within(a, used->t, s) &&
	    is_within(a, a->next->pending->start, s))
		used = NULL;
	if (used)
		a->next = NULL;
	if (!a->next)
		a->end = unused ? unused : used;
	a->undecided &= !a->next && !a->end;
}

/* ---- groups of candidates ---- */

static int by_edge(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return x->attempt < y->attempt ? -1 : x->attempt > y->attempt;
}

static size_t group_of(struct candidate *candidates, size_t i)
{
	while (candidates[i].group != i)
		i = candidates[i].group = candidates[candidates[i].group].group;
	return i;
}

static size_t collect_edges(struct edge *edges, const struct candidate *candidates,
			    struct attempt *attempts, size_t count)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (attempts[i].next)
			edges[n++] = (struct edge){ attempts[i].candidate - candidates,
						    attempts[i].next->candidate - candidates,
						    &attempts[i] };
	qsort(edges, n, sizeof(*edges), by_edge);
	return n;
}

/*
 * Joins the candidates of a chain, if attempts at the second one often follow those at the first
 * one. With addresses in rotation, each of them follows each other only at times. Otherwise the two
 * are independent, and a chain ends between them.
 */
static void join_candidates(struct candidate *candidates, struct edge *edges, size_t n)
{
	size_t first, i;

	for (first = 0; first < n; first = i) {
		const struct span *from = &candidates[edges[first].from].span;
		const struct span *to = &candidates[edges[first].to].span;
		bool join;

		for (i = first;
		     i < n && edges[i].from == edges[first].from && edges[i].to == edges[first].to;
		     i++)
			;
		join = i - first >= MIN_EDGES && (i - first) * 6 >= from->tried &&
		       (i - first) * 3 >= to->tried;
		if (join)
			candidates[group_of(candidates, edges[first].from)].group =
				group_of(candidates, edges[first].to);
		while (!join && first < i)
			edges[first++].attempt->next = NULL;
	}
}

/* ---- the chains of a group ---- */

/* Fills in the chain that begins with this attempt. Returns true if a connect ends it. */
static bool follow(struct chain *c, struct attempt *head)
{
	struct attempt *a;

	*c = (struct chain){};
	for (a = head; a && c->count < MAX_PARTS; a = a->next) {
		c->parts[c->count++] = a;
		c->end = a->end;
	}
	if (a || !c->end || c->end->explained)
		return false;
	c->total = c->end->t - head->pending->start;
	return true;
}

static bool ends_undecided(const struct chain *c)
{
	return c->parts[c->count - 1]->undecided;
}

static bool is_same_moment(const struct attempt *a, const struct attempt *b)
{
	return a && a->timeline == b->timeline &&
	       b->pending->start - a->pending->start < (ns_t)SECOND_NS;
}

/* Adds the chains of one host, whose attempts are a range. */
static void add_chains(struct chains *all, struct candidate *candidates, size_t group,
		       struct attempt *attempts, size_t count)
{
	size_t i, before = all->count, tried = 0;
	const struct attempt *head = NULL;
	bool complete = false;

	for (i = 0; i < count; i++) {
		struct chain *c = &all->at[all->count];
		bool same;

		if (!is_linked(&attempts[i]) || attempts[i].follows ||
		    group_of(candidates, attempts[i].candidate - candidates) != group)
			continue;
		same = is_same_moment(head, &attempts[i]);
		if (same && complete)
			continue;
		if (!follow(c, &attempts[i])) {
			if (ends_undecided(c)) {
				all->undecided[c->count]++;
			} else if (!same) {
				tried++;
				head = &attempts[i];
				complete = false;
			}
			continue;
		}
		tried += !same;
		head = &attempts[i];
		complete = true;
		all->count++;
	}
	/* hosts that do not wait for IPv6 show nothing against those that do */
	if (all->ipv6 && (all->count - before) * 2 <= tried)
		all->count = before;
	else
		all->tried += tried;
}

static bool has_repeated_peer(const struct chain *c)
{
	size_t i, j;

	for (i = 0; i < c->count; i++)
		for (j = 0; j < i; j++)
			if (same_endpoint(&c->parts[i]->pending->to, &c->parts[j]->pending->to))
				return true;
	return false;
}

/*
 * Returns true if a peer that is tried again is tried equally often in nearly all chains. A peer
 * that is tried at regular intervals anyway is also tried until a connect follows by chance.
 */
static bool is_regular(const struct chains *c)
{
	size_t i, of_length[MAX_PARTS + 1] = {}, usual = 0, longer = 0;
	bool repeated = false;

	for (i = 0; i < c->count; i++) {
		repeated |= has_repeated_peer(&c->at[i]);
		of_length[c->at[i].count]++;
		if (of_length[c->at[i].count] > of_length[usual])
			usual = c->at[i].count;
	}
	for (i = usual + 1; i <= MAX_PARTS; i++)
		longer += c->undecided[i];
	return !repeated || of_length[usual] * 5 >= (c->tried + longer) * 4;
}

/* Returns the difference of the greatest and the least duration of a last part. */
static ns_t last_width(const struct chains *c)
{
	ns_t least = NEVER, greatest = 0, t;
	size_t i;

	for (i = 0; i < c->count; i++) {
		t = c->at[i].end->t - c->at[i].parts[c->at[i].count - 1]->pending->start;
		if (least == NEVER || t < least)
			least = t;
		if (t > greatest)
			greatest = t;
	}
	return greatest - least;
}

/* Combines the spans of all candidates in the chains to the worst one. */
static void combine_spans(struct chains *c)
{
	struct span *worst = &c->span;
	size_t i, j, parts = 0, tried = c->tried;
	double starts, ends, share = 0;

	*worst = c->at[0].parts[0]->candidate->span;
	for (i = 0; i < c->count; i++) {
		parts += c->at[i].count;
		for (j = 0; j < c->at[i].count; j++) {
			const struct span *s = &c->at[i].parts[j]->candidate->span;

#define WORSE(field) worst->field = s->field > worst->field ? s->field : worst->field
			WORSE(median);
			WORSE(deviation);
			WORSE(chance_of_starts);
			WORSE(chance_of_ends);
			WORSE(periodic);
			WORSE(own_rhythm);
			WORSE(ambiguous);
			WORSE(late);
			WORSE(continues);
			WORSE(counts_failed);
			WORSE(peers);
#undef WORSE
			share = s->share > share ? s->share : share;
		}
	}
	if (!worst->counts_failed)
		return;
	/*
	 * The chain must also end with a connect, which may follow any of its parts by chance.
	 * Those that go on with an attempt when the run ends have not done so.
	 */
	for (i = 1; i <= MAX_PARTS; i++)
		tried += c->undecided[i];
	ends = chance_of_ends(last_width(c), worst->median, c->count, tried, 1);
	if (ends > worst->chance_of_ends)
		worst->chance_of_ends = ends;
	share *= (double)parts / c->count;
	starts = chance_of_starts(worst, c->count, tried, share);
	if (starts > worst->chance_of_starts)
		worst->chance_of_starts = starts;
}

/* Fills in the chains of a group. Returns true if they are worth a finding. */
static bool fill_chains(struct chains *c, struct candidate *candidates, size_t group,
			struct attempt *attempts, size_t count)
{
	size_t first, i;

	c->count = c->tried = 0;
	memset(c->undecided, 0, sizeof(c->undecided));
	c->ipv6 = !candidates[group].peer;
	for (first = 0; first < count; first = i) {
		for (i = first; i < count && attempts[i].timeline == attempts[first].timeline; i++)
			;
		add_chains(c, candidates, group, &attempts[first], i - first);
	}
	if (c->count * 2 <= c->tried || c->count < MIN_CHAINS || !is_regular(c))
		return false;
	combine_spans(c);
	return is_span_sufficient(&c->span, c->ipv6);
}

/* ---- all groups ---- */

/* A group, with the probability that its chains are due to chance. */
struct ranked {
	size_t group;
	double chance;
};

static int by_chance(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->chance != y->chance)
		return x->chance < y->chance ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

static void find_groups(const struct sequence *f, struct candidate *candidates, size_t count,
			struct attempt *attempts, size_t attempt_count, struct edge *edges)
{
	size_t i;

	for (i = 0; i < count; i++)
		candidates[i].group = i;
	for (i = 0; i < attempt_count; i++) {
		attempts[i].next = NULL;
		attempts[i].end = NULL;
		attempts[i].follows = false;
	}
	for (i = 0; i < attempt_count; i++)
		if (is_linked(&attempts[i]))
			find_next(f, &attempts[i], !attempts[i].candidate->peer);
	join_candidates(candidates, edges,
			collect_edges(edges, candidates, attempts, attempt_count));
	for (i = 0; i < attempt_count; i++)
		if (attempts[i].next)
			attempts[i].next->follows = true;
}

/*
 * Reports the chains that are least likely by chance first. Other attempts made at the same times
 * are followed by the same connects, which are explained then.
 */
static void report_groups(struct context *g, struct chains *c, struct candidate *candidates,
			  size_t count, struct attempt *attempts, size_t attempt_count,
			  struct ranked *ranked)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (candidates[i].linked && group_of(candidates, i) == i &&
		    fill_chains(c, candidates, i, attempts, attempt_count))
			ranked[n++] = (struct ranked){ i, c->span.chance_of_starts *
								  c->span.chance_of_ends };
	qsort(ranked, n, sizeof(*ranked), by_chance);
	for (i = 0; i < n; i++)
		if (fill_chains(c, candidates, ranked[i].group, attempts, attempt_count))
			report_chain(g, c);
}

void report_chains(struct context *g, const struct sequence *f, struct candidate *candidates,
		   size_t count, struct attempt *attempts, size_t attempt_count)
{
	struct chains c = { .at = calloc(attempt_count + 1, sizeof(*c.at)) };
	struct edge *edges = calloc(attempt_count + 1, sizeof(*edges));
	struct ranked *ranked = calloc(count + 1, sizeof(*ranked));

	if (c.at && edges && ranked) {
		find_groups(f, candidates, count, attempts, attempt_count, edges);
		report_groups(g, &c, candidates, count, attempts, attempt_count, ranked);
	} else {
		g->out_of_memory = true;
	}
	free(c.at);
	free(edges);
	free(ranked);
}
