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

/* Marks the dead four-tuples of a pair. Returns their number, as independent observations. */
static size_t mark_tuples_of(const struct pair_range *pair)
{
	ns_t last = NEVER;
	size_t i, n = 0;

	for (i = 0; pair->passed && i < pair->count; i++) {
		struct syn *s = pair->at[i];
		const struct connection *c = s->n->c;

		/* a four-tuple that was connected before is on a path that works */
		if (!is_never_answered(s) || c->syn_count < DEAD_SYNS || s->reused != NEVER ||
		    !passes_meanwhile(pair, c))
			continue;
		s->dead_tuple = true;
		n += last == NEVER || llabs(c->syn - last) > TOGETHER_NS;
		last = c->syn;
	}
	return n;
}

/*
 * Counts lost SYNs at the servers with dead four-tuples. If SYNs were lost at random with their rate
 * r, a connect whose first SYN was lost would lose two more with a probability of r².
 */
void mark_dead_tuples(struct context *g, struct syn_faults *x)
{
	struct syn_comparison *c = &x->comparisons[ASK_FOUR_TUPLE];
	size_t i, j, dead = 0, counted = 0, lost = 0;
	struct pair_range pair;
	double rate;

	for (i = 0; i < g->connect_count; i += pair.count) {
		size_t n;

		pair = next_pair(g, x, i);
		n = mark_tuples_of(&pair);
		if (!n)
			continue;
		dead += n;
		c->hosts_hit++;
		c->bad_with += n;
		for (j = 0; j < pair.count; j++) {
			counted += pair.at[j]->fate == SYN_PASSED || pair.at[j]->fate == SYN_LOST;
			lost += pair.at[j]->fate == SYN_LOST;
		}
	}
	c->with = lost;
	c->without = counted;
	c->episodes = dead;
	rate = counted ? (double)lost / (double)counted : 1;
	c->p.p = c->p.p_min = c->p.adjusted = 1;
	if (dead >= LEAST_DEAD)
		c->p.p = c->p.p_min = c->p.adjusted = binomial_tail(dead, lost, rate * rate);
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
