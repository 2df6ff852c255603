// SPDX-License-Identifier: GPL-2.0
/*
 * Compares SYNs with a property and SYNs without it, sent to the same servers. The unit is the host:
 * SYNs of one host are not independent, and neither are SYNs that are lost at the same moment.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/syn_faults.h"
#include "lib/stratified_test.h"

/* Minimum number of lost SYNs with the property, and of SYNs without it for a comparison. */
#define LEAST_BAD 3
#define LEAST_GOOD 3

/* A property of one host only: minimum number of its SYNs, and of other hosts. */
#define LEAST_CONFOUNDED 5
#define LEAST_OTHERS 3

/* Adjusted p-values for low and for high confidence. */
#define SYN_CHANCE 0.05
#define SYN_CERTAIN 0.01

/* Least number of new hosts that lose their first SYNs at one time. */
#define LEAST_BURST 5

/* Least number of hosts, and of moments, for high confidence. */
#define LEAST_UNITS 3

/* Which SYNs a comparison is about. */
struct scope {
	const struct syn_question_info *info;
	bool *servers; /* by index of g->servers[]: some SYN with the property was lost there */
};

static size_t server_index(const struct context *g, const struct syn *s)
{
	return server_of(g, s->n) - g->servers;
}

/* Returns true if the SYN passed, or had the fate that the question is about. */
static bool is_counted(const struct syn *s, const struct syn_question_info *info)
{
	return s->fate == SYN_PASSED || s->fate == info->bad;
}

static bool is_bad(const struct syn *s, const struct syn_question_info *info)
{
	return s->fate == info->bad;
}

static void find_scope(const struct context *g, const struct syn_faults *x, struct scope *scope,
		       struct syn_comparison *c)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct syn *s = &x->syns[i];
		size_t server;

		if (!is_counted(s, scope->info) || scope->info->has(s) != HAS)
			continue;
		c->everywhere++;
		if (!is_bad(s, scope->info))
			continue;
		c->bad_everywhere++;
		server = server_index(g, s);
		c->servers += !scope->servers[server];
		scope->servers[server] = true;
	}
}

/* ---- hosts ---- */

/* Hosts that sent only SYNs with the property, and only SYNs without it. */
struct host_table {
	struct table_row row[2];
};

static void add_host(struct syn_comparison *c, struct host_table *table, const struct stratum *h)
{
	uint32_t without = h->total - h->with, bad_without = h->bad - h->bad_with;

	c->with += h->with;
	c->bad_with += h->bad_with;
	c->without += without;
	c->bad_without += bad_without;
	c->hosts_with += h->with > 0;
	c->hosts_without += without > 0;
	c->hosts_hit += h->bad_with > 0;
	if (h->with && without)
		return;
	table->row[!h->with].total++;
	table->row[!h->with].bad += h->bad * 2 > h->total;
}

static struct stratum stratum_of(const struct context *g, const struct syn_faults *x,
				 const struct scope *scope, const struct timeline *t)
{
	struct stratum h = {};
	size_t i;

	for (i = 0; i < t->connect_count; i++) {
		const struct syn *s = syn_of(g, x, t->connects[i]);
		enum has has = scope->info->has(s);

		if (!is_counted(s, scope->info) || has == HAS_UNKNOWN ||
		    !scope->servers[server_index(g, s)])
			continue;
		h.total++;
		h.with += has == HAS;
		h.bad += is_bad(s, scope->info);
		h.bad_with += has == HAS && is_bad(s, scope->info);
	}
	return h;
}

/* ---- moments ---- */

struct moment {
	ns_t at;
	size_t server;
	bool bad;
};

static int by_time(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->bad - y->bad;
}

static int by_server(const void *a, const void *b)
{
	const struct moment *x = a, *y = b;

	if (x->server != y->server)
		return x->server < y->server ? -1 : 1;
	return by_time(a, b);
}

static size_t count_runs(const struct moment *at, size_t n, bool each_server)
{
	size_t i, runs = 0;

	for (i = 0; i < n; i++)
		runs += at[i].bad &&
			(!i || !at[i - 1].bad || (each_server && at[i].server != at[i - 1].server));
	return runs;
}

/* Stores when SYNs were lost or passed. A SYN that is sent again and answered has passed. */
static size_t collect_moments(const struct context *g, const struct syn_faults *x,
			      const struct scope *scope, struct moment *at)
{
	size_t i, n = 0;

	for (i = 0; i < g->connect_count; i++) {
		const struct syn *s = &x->syns[i];
		const struct connection *c = s->n->c;
		size_t server = server_index(g, s);
		bool bad = is_bad(s, scope->info);

		if (!is_counted(s, scope->info) || !scope->servers[server])
			continue;
		if (!bad || scope->info->has(s) == HAS)
			at[n++] = (struct moment){ c->syn, server, bad };
		if (bad && c->synack != NEVER)
			at[n++] = (struct moment){ c->synack, server, false };
	}
	return n;
}

/*
 * Counts the runs of bad SYNs, in time, between which a SYN got through. A single outage of the way
 * to all servers is one run, however many hosts it hits, and so is an outage of one server.
 */
static size_t count_episodes(struct context *g, const struct syn_faults *x,
			     const struct scope *scope)
{
	struct moment *at = calloc(2 * g->connect_count + 1, sizeof(*at));
	size_t n, together, each;

	if (!at) {
		g->out_of_memory = true;
		return 0;
	}
	n = collect_moments(g, x, scope, at);
	qsort(at, n, sizeof(*at), by_time);
	together = count_runs(at, n, false);
	qsort(at, n, sizeof(*at), by_server);
	each = count_runs(at, n, true);
	free(at);
	return together < each ? together : each;
}

/* ---- the comparison ---- */

static void test(struct context *g, struct syn_comparison *c, const struct host_table *table,
		 const struct stratum *strata, size_t count)
{
	struct stratified_test within;
	bool done = stratified_test(strata, count, &within);

	c->p = (struct p_value){ 1, 1, 1 };
	if (done && within.informative && within.more) {
		c->within = within.informative;
		c->p = within.result;
	} else if (table->row[0].total && table->row[1].total) {
		done = done && table_test(table->row, 2, &c->p);
	}
	if (!done)
		g->out_of_memory = true;
}

/*
 * All first SYNs have the property, and the ones sent again do not: each host and moment is one
 * observation of "lost with it, passed without it". If SYNs were lost at random, with any
 * probability r, the probability of that is r (1 - r) at each, hence at most 1/4.
 */
static void test_alone(struct syn_comparison *c, const struct syn_question_info *info)
{
	size_t units = c->hosts_hit < c->episodes ? c->hosts_hit : c->episodes;
	double p = pow(0.25, (double)units);

	c->alone = true;
	c->p = (struct p_value){ 1, 1, 1 };
	if (info->omitted_again && c->servers >= 2 && c->again * 5 >= c->bad_with * 4 &&
	    c->bad_everywhere * 5 >= c->everywhere * 4)
		c->p = (struct p_value){ p, p, p };
}

/* Counts the connects that were answered after all, and the SYNs that were sent again. */
static void count_again(const struct context *g, const struct syn_faults *x,
			const struct syn_question_info *info, struct syn_comparison *c)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct connection *n = x->syns[i].n->c;

		if (!is_bad(&x->syns[i], info) || info->has(&x->syns[i]) != HAS)
			continue;
		c->again += n->synack != NEVER;
		c->sent_again += n->syn_count - 1;
	}
}

void compare_syns(struct context *g, struct syn_faults *x, enum syn_question question)
{
	struct scope scope = { .info = &syn_questions[question],
			       .servers = calloc(g->server_count + 1, sizeof(bool)) };
	struct stratum *strata = calloc(g->hosts->count + 1, sizeof(*strata));
	struct syn_comparison *c = &x->comparisons[question];
	struct host_table table = {};
	size_t i, n = 0;

	if (!scope.servers || !strata) {
		g->out_of_memory = true;
	} else {
		find_scope(g, x, &scope, c);
		for (i = 0; c->bad_everywhere >= LEAST_BAD && i < g->hosts->count; i++) {
			strata[n] = stratum_of(g, x, &scope, &g->timelines[i]);
			if (!strata[n].total)
				continue;
			add_host(c, &table, &strata[n]);
			n++;
		}
		if (n) {
			count_again(g, x, scope.info, c);
			c->episodes = count_episodes(g, x, &scope);
			if (c->without >= LEAST_GOOD)
				test(g, c, &table, strata, n);
			else
				test_alone(c, scope.info);
		}
	}
	free(strata);
	free(scope.servers);
}

/* ---- which comparisons stand ---- */

/* Returns true if nearly all SYNs with the property are bad, and hardly any without. */
static bool is_split(const struct syn_comparison *c)
{
	return c->bad_with >= LEAST_BAD && c->bad_with * 5 >= c->with * 4 &&
	       c->bad_without * 5 <= c->without && (c->without >= LEAST_GOOD || c->alone);
}

/* Returns true if SYNs passed in between often enough that no outage explains the bad ones. */
static bool is_spread_in_time(const struct syn_comparison *c)
{
	return c->episodes >= LEAST_UNITS && c->episodes * 4 >= c->hosts_hit;
}

/* Returns true if there are hardly any exceptions on either side. */
static bool is_clean_split(const struct syn_comparison *c)
{
	return c->bad_with * 20 >= c->with * 19 && c->bad_without * 20 <= c->without;
}

/*
 * All SYNs of a host fail, and none of the others: certainly no chance, but the host itself may be
 * the reason.
 */
static bool is_confounded(const struct syn_comparison *c, const struct syn_question_info *info)
{
	return info->kind == KIND_SYN_FILTERED && !c->within && !c->alone &&
	       c->bad_with >= LEAST_CONFOUNDED && c->bad_with == c->with && !c->bad_without &&
	       c->hosts_without >= LEAST_OTHERS && is_spread_in_time(c) &&
	       (info->bad == SYN_REFUSED || c->again * 5 >= c->bad_with * 4);
}

/*
 * Hosts appear together and all lose their first SYN, while hardly any other SYN is lost: either what
 * new hosts need comes late, or there was an outage when they appeared.
 */
static bool is_burst(const struct syn_comparison *c, const struct syn_question_info *info)
{
	return info->kind == KIND_FIRST_SYN_LOST && c->p.adjusted <= SYN_CERTAIN && c->within &&
	       c->hosts_hit >= LEAST_BURST && c->hosts_hit == c->hosts_with && is_clean_split(c);
}

static struct certainty certainty_of_split(const struct syn_comparison *c)
{
	bool is_medium = (c->hosts_hit >= 2 || c->within) && c->bad_without * 10 <= c->without;

	if (c->hosts_hit < LEAST_UNITS && c->within < LEAST_UNITS)
		return doubtful(is_medium ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW, "few hosts only");
	if (c->p.adjusted > SYN_CERTAIN)
		return doubtful(is_medium ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW,
				"few SYNs only: the difference may be chance");
	if (!is_clean_split(c))
		return doubtful(is_medium ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW,
				"some SYNs do not fit the pattern");
	return certain();
}

static void settle(struct syn_comparison *c, const struct syn_question_info *info)
{
	c->stands = false;
	if (!is_split(c))
		return;
	if (c->p.adjusted <= SYN_CHANCE && is_spread_in_time(c)) {
		c->stands = true;
		c->certainty = certainty_of_split(c);
	} else if (is_confounded(c, info)) {
		c->stands = true;
		c->confounded = true;
		c->certainty =
			doubtful(CONFIDENCE_LOW, "hosts with and without it may differ in more");
	} else if (is_burst(c, info)) {
		c->stands = true;
		c->burst = true;
		c->certainty = doubtful(CONFIDENCE_LOW, "all at one time: an outage looks alike");
	}
}

/* Four-tuples or pairs: their number is in c->episodes, see syn_paths.c. */
static void settle_paths(struct syn_comparison *c)
{
	c->stands = c->episodes >= LEAST_UNITS && c->p.adjusted <= SYN_CERTAIN;
	c->certainty = c->hosts_hit < LEAST_UNITS ? doubtful(CONFIDENCE_MEDIUM, "few hosts only")
		       : c->episodes < 2 * LEAST_UNITS
			       ? doubtful(CONFIDENCE_MEDIUM, "few ports or pairs only")
			       : certain();
}

/* Returns true if a lost first SYN of a host lacks the property. */
static bool is_first_lost_without(const struct context *g, const struct syn_faults *x,
				  enum syn_question question)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++)
		if (x->syns[i].fate == SYN_LOST && x->syns[i].early &&
		    syn_questions[question].has(&x->syns[i]) != HAS)
			return true;
	return false;
}

/* A host may ask for a trait with its first SYN only: then the trait decides. */
static void prefer_traits(const struct context *g, struct syn_faults *x)
{
	bool first = x->comparisons[ASK_FIRST_OF_HOST].stands ||
		     x->comparisons[ASK_FIRST_OF_NEW_HOST].stands;
	int question;

	for (question = ASK_ECN; first && question <= ASK_TIMESTAMPS; question++) {
		struct syn_comparison *c = &x->comparisons[question];

		if (!c->stands || is_first_lost_without(g, x, (enum syn_question)question))
			continue;
		c->also_first = true;
		x->comparisons[ASK_FIRST_OF_HOST].stands = false;
		x->comparisons[ASK_FIRST_OF_NEW_HOST].stands = false;
	}
	if (x->comparisons[ASK_FIRST_OF_HOST].stands)
		x->comparisons[ASK_FIRST_OF_NEW_HOST].stands = false;
}

void settle_comparisons(struct context *g, struct syn_faults *x)
{
	struct p_value *tests[SYN_QUESTIONS];
	int question;
	size_t n = 0;

	for (question = 0; question < SYN_QUESTIONS; question++) {
		struct syn_comparison *c = &x->comparisons[question];

		/* a comparison without any bad SYN tests nothing */
		if (!c->bad_with)
			continue;
		tests[n++] = &c->p;
		x->tests += c->p.p_min <= SYN_CHANCE;
	}
	if (!adjust_p_values(tests, n)) {
		g->out_of_memory = true;
		return;
	}
	for (question = 0; question < SYN_QUESTIONS; question++)
		if (syn_questions[question].with)
			settle(&x->comparisons[question], &syn_questions[question]);
	settle_paths(&x->comparisons[ASK_FOUR_TUPLE]);
	settle_paths(&x->comparisons[ASK_PAIR]);
	prefer_traits(g, x);
}
