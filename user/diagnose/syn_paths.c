// SPDX-License-Identifier: GPL-2.0
/*
 * Finds SYNs that are lost on one of several paths. Routers choose the path by addresses and ports
 * (ECMP, LACP), so all SYNs with one four-tuple, or of one pair of addresses, share its fate. With
 * random loss they do not.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/syn_faults.h"
#include "lib/statistics.h"

/* SYNs of a connect that were all lost, and connects of a pair, before they count as dead. */
#define DEAD_SYNS 3
#define DEAD_CONNECTS 3

/* Minimum number of dead four-tuples or pairs. */
#define LEAST_DEAD 3

#define MAX_DEAD_PAIRS 256

/* Connects of a host that begin this close together are one observation. */
#define TOGETHER_NS ((ns_t)SECOND_NS)

/* A connect that gives up early fails for the same reason if a SYN passes this shortly before or after. */
#define BESIDE_NS (10 * (ns_t)SECOND_NS)

/* The connects of one client to one server, in by_tuple[]. */
struct pair_range {
	struct syn **at;
	size_t count;
	size_t passed; /* SYNs */
	size_t lost; /* connects that were never answered */
	ns_t first, last; /* the first SYN of the first and of the last one */
};

static bool is_never_answered(const struct syn *s)
{
	return s->fate == SYN_LOST && s->n->c->synack == NEVER;
}

static bool same_pair(const struct connection *a, const struct connection *b)
{
	struct client_key x = client_key_of(&a->client), y = client_key_of(&b->client);

	return !memcmp(&x, &y, sizeof(x)) && same_endpoint(&a->server, &b->server);
}

static struct pair_range next_pair(const struct context *g, const struct syn_faults *x, size_t from)
{
	struct pair_range p = { .at = &x->by_tuple[from], .first = NEVER, .last = NEVER };
	size_t i;

	for (i = from;
	     i < g->connect_count && same_pair(x->by_tuple[from]->n->c, x->by_tuple[i]->n->c);
	     i++) {
		const struct syn *s = x->by_tuple[i];
		ns_t syn = s->n->c->syn;

		p.count++;
		p.passed += s->fate == SYN_PASSED;
		p.lost += is_never_answered(s);
		if (p.first == NEVER || syn < p.first)
			p.first = syn;
		if (p.last == NEVER || syn > p.last)
			p.last = syn;
	}
	return p;
}

/* ---- four-tuples ---- */

/*
 * Returns true if another port of the same client got through to the server, and the dead one lost
 * a SYN after that.
 */
static bool passes_meanwhile(const struct pair_range *pair, const struct connection *dead)
{
	size_t i;

	for (i = 0; i < pair->count; i++) {
		const struct connection *c = pair->at[i]->n->c;

		if (pair->at[i]->fate == SYN_PASSED && c->client.port != dead->client.port &&
		    c->syn > dead->syn && c->syn < dead->syn_last)
			return true;
	}
	return false;
}

static void mark_tuples_of(const struct pair_range *pair)
{
	size_t i;

	for (i = 0; pair->passed && i < pair->count; i++) {
		struct syn *s = pair->at[i];

		/* a four-tuple that was connected before is on a path that works */
		s->dead_tuple = is_never_answered(s) && s->n->c->syn_count >= DEAD_SYNS &&
				s->reused == NEVER && passes_meanwhile(pair, s->n->c);
	}
}

/* Connects of a pair. */
struct tuple_counts {
	size_t counted, lost, dead;
	size_t again; /* of the lost ones: answered later */
	size_t near; /* connects that are lost, or pass while others are lost */
	/* lost connects whose four-tuple is dead or answered later; those of a second are one */
	size_t decided, decided_dead;
};

static int by_syn_time(const void *a, const void *b)
{
	const struct connection *x = (*(struct syn *const *)a)->n->c,
				*y = (*(struct syn *const *)b)->n->c;

	return x->syn < y->syn ? -1 : x->syn > y->syn;
}

/* at: the connects of the pair, in time. */
static void count_connects(struct tuple_counts *t, struct syn *const *at, size_t count)
{
	ns_t until = NEVER;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct connection *c = at[i]->n->c;
		bool lost = at[i]->fate == SYN_LOST;

		if (!lost && at[i]->fate != SYN_PASSED)
			continue;
		if (lost && (until == NEVER || c->syn_last + TOGETHER_NS > until))
			until = c->syn_last + TOGETHER_NS;
		t->counted++;
		t->lost += lost;
		t->again += lost && c->synack != NEVER;
		t->dead += at[i]->dead_tuple;
		t->near += until != NEVER && c->syn < until;
	}
}

/*
 * Counts lost connects. Those that begin together are one observation, and it is a dead four-tuple
 * only if all of them are.
 */
static void count_decided(struct tuple_counts *t, struct syn *const *at, size_t count)
{
	bool all_dead = false;
	ns_t begin = NEVER;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct connection *c = at[i]->n->c;

		/* what gives up early, or is lost while nothing passes, decides nothing */
		if (at[i]->fate != SYN_LOST || (!at[i]->dead_tuple && c->synack == NEVER))
			continue;
		if (begin == NEVER || c->syn - begin > TOGETHER_NS) {
			begin = c->syn;
			all_dead = true;
			t->decided++;
			t->decided_dead++;
		}
		t->decided_dead -= all_dead && !at[i]->dead_tuple;
		all_dead = all_dead && at[i]->dead_tuple;
	}
}

/*
 * Marks the other connects that were never answered, on other ports, between those that passed. That
 * they are on the dead path as well is likely: most of them ended before another SYN passed.
 */
static void mark_beside(struct syn *const *at, size_t count)
{
	const struct connection *passed = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		if (at[i]->fate == SYN_PASSED)
			passed = at[i]->n->c;
		else if (passed && is_never_answered(at[i]) && at[i]->reused == NEVER)
			at[i]->beside_dead = at[i]->n->c->syn - passed->syn <= BESIDE_NS;
	}
	for (passed = NULL; i--;) {
		if (at[i]->fate == SYN_PASSED)
			passed = at[i]->n->c;
		else if (passed && is_never_answered(at[i]) && at[i]->reused == NEVER)
			at[i]->beside_dead |= passed->syn - at[i]->n->c->syn_last <= BESIDE_NS;
	}
}

/* at: room for the connects of the pair. */
static struct tuple_counts count_pair(struct syn **at, const struct pair_range *pair)
{
	struct tuple_counts t = {};

	memcpy(at, pair->at, pair->count * sizeof(*at));
	qsort(at, pair->count, sizeof(*at), by_syn_time);
	count_connects(&t, at, pair->count);
	count_decided(&t, at, pair->count);
	if (t.dead)
		mark_beside(at, pair->count);
	return t;
}

/* The pairs with dead four-tuples are reported; all others are tested as well. */
static void add_pair(struct syn_comparison *c, const struct tuple_counts *t)
{
	c->episodes += t->decided_dead;
	if (!t->dead)
		return;
	c->hosts_hit++;
	c->without += t->counted;
	c->with += t->lost;
	c->bad_with += t->dead;
	c->again += t->again;
}

/*
 * If SYNs of a pair were lost at random with the rate r, a connect whose first SYN was lost would
 * lose two more with a probability of r². The rate is the one while SYNs were lost: that loss begins
 * or ends during the run must not look like a path.
 *
 * c->without counts the connects of pairs with dead four-tuples, c->with those whose first SYN was
 * lost.
 */
void mark_dead_tuples(struct context *g, struct syn_faults *x)
{
	struct syn **at = calloc(g->connect_count + 1, sizeof(struct syn *));
	struct syn_comparison *c = &x->comparisons[ASK_FOUR_TUPLE];
	double expected = 0;
	struct pair_range pair;
	size_t i, decided = 0;

	c->p = (struct p_value){ 1, 1, 1 };
	if (!at) {
		g->out_of_memory = true;
		return;
	}
	for (i = 0; i < g->connect_count; i += pair.count) {
		struct tuple_counts t;

		pair = next_pair(g, x, i);
		if (pair.at[0]->slow_server)
			continue;
		mark_tuples_of(&pair);
		t = count_pair(at, &pair);
		add_pair(c, &t);
		decided += t.decided;
		if (t.decided)
			expected += (double)t.decided * pow((double)t.lost / (double)t.near, 2);
	}
	free(at);
	if (c->episodes >= LEAST_DEAD)
		c->p.p = c->p.p_min = c->p.adjusted =
			binomial_tail(c->episodes, decided, expected / (double)decided);
}

/* ---- pairs of client and server ---- */

/* Returns true if this pair never works, and was tried several times. */
static bool is_dead_range(const struct pair_range *p)
{
	return p->lost >= DEAD_CONNECTS && p->lost == p->count && p->last - p->first > TOGETHER_NS;
}

/* Returns true if this SYN passed while the dead pair was tried. */
static bool passes_during(const struct syn *s, const struct pair_range *dead)
{
	return s->fate == SYN_PASSED && s->n->c->syn > dead->first && s->n->c->syn < dead->last;
}

/* Returns true if the server answered other clients while this one was not answered. */
static bool answers_others(const struct context *g, const struct syn_faults *x,
			   const struct pair_range *dead)
{
	const struct server *server = server_of(g, dead->at[0]->n);
	size_t i;

	for (i = 0; i < server->count; i++)
		if (passes_during(syn_of(g, x, &server->connects[i]), dead))
			return true;
	return false;
}

/* Returns true if the client reached one of these servers meanwhile; NULL means any server. */
static bool reaches_others(const struct context *g, const struct syn_faults *x,
			   const struct pair_range *dead, const bool *servers)
{
	const struct timeline *host = dead->at[0]->n->host;
	size_t i;

	for (i = 0; i < host->connect_count; i++) {
		const struct noted_connect *n = host->connects[i];

		if ((!servers || servers[server_of(g, n) - g->servers]) &&
		    passes_during(syn_of(g, x, n), dead))
			return true;
	}
	return false;
}

/* Removes the pairs that a dead server or a client that is cut off explains. */
static size_t keep_partial(const struct context *g, const struct syn_faults *x,
			   struct pair_range *dead, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		if (answers_others(g, x, &dead[i]) && reaches_others(g, x, &dead[i], NULL))
			dead[kept++] = dead[i];
	return kept;
}

static void mark_pair(struct syn_comparison *c, const struct pair_range *dead)
{
	size_t i;

	for (i = 0; i < dead->count; i++)
		dead->at[i]->dead_pair = true;
	c->bad_with += dead->count;
	c->episodes++;
}

/*
 * Marks the pairs whose client reaches meanwhile a server that another client never reaches. A
 * server that is closed to some clients does not explain that.
 */
static void mark_crossed(const struct context *g, struct syn_faults *x, struct pair_range *dead,
			 size_t count, bool *is_dead_server)
{
	struct syn_comparison *c = &x->comparisons[ASK_PAIR];
	size_t i;

	count = keep_partial(g, x, dead, count);
	for (i = 0; i < count; i++) {
		size_t server = server_of(g, dead[i].at[0]->n) - g->servers;

		c->servers += !is_dead_server[server];
		is_dead_server[server] = true;
	}
	for (i = 0; c->servers >= LEAST_DEAD && i < count; i++)
		if (reaches_others(g, x, &dead[i], is_dead_server))
			mark_pair(c, &dead[i]);
}

/*
 * c->with counts all pairs, c->without those that work now and then. If connects failed at random
 * with their rate r, a pair would be dead with a probability of r³ at most.
 */
void mark_dead_pairs(struct context *g, struct syn_faults *x)
{
	struct syn_comparison *c = &x->comparisons[ASK_PAIR];
	struct pair_range dead[MAX_DEAD_PAIRS], pair;
	bool *is_dead_server = calloc(g->server_count + 1, sizeof(*is_dead_server));
	size_t i, n = 0, counted = 0, lost = 0;
	double rate;

	for (i = 0; i < g->connect_count; i += pair.count) {
		pair = next_pair(g, x, i);
		if (pair.passed + pair.lost < DEAD_CONNECTS)
			continue;
		c->with++;
		c->without += pair.passed && pair.lost;
		counted += pair.passed + pair.lost;
		lost += pair.lost;
		if (is_dead_range(&pair) && n < MAX_DEAD_PAIRS)
			dead[n++] = pair;
	}
	if (!is_dead_server)
		g->out_of_memory = true;
	else
		mark_crossed(g, x, dead, n, is_dead_server);
	free(is_dead_server);
	rate = counted ? (double)lost / (double)counted : 1;
	c->p = (struct p_value){ 1, 1, 1 };
	if (c->episodes >= LEAST_DEAD && c->without * 5 <= c->episodes)
		c->p.p = c->p.p_min = c->p.adjusted =
			binomial_tail(c->episodes, c->with, pow(rate, DEAD_CONNECTS));
}
