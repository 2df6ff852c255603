// SPDX-License-Identifier: GPL-2.0
/*
 * Decides why SYNs are lost. Loss is what is left when nothing separates the lost SYNs from the
 * others.
 */
#include "diagnose/syn_faults.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/decide.h"

/* A four-tuple is used again if its last use began at most this long ago. */
#define REUSE_NS (300 * (ns_t)SECOND_NS)

/* Time after the first SYN of an address in which its SYNs are its first ones. */
#define EARLY_NS ((ns_t)SECOND_NS)

/* An address that is seen later than this was probably not active before the run. */
#define NEW_NS (10 * (ns_t)SECOND_NS)

/* Connects of an address without a handshake from which on it is no forged source. */
#define NOT_FORGED 3

/* ---- the table ---- */

static enum has is_first(const struct syn *s)
{
	return s->early ? HAS : HAS_NOT;
}

static enum has is_first_of_new(const struct syn *s)
{
	if (s->early && s->early_in_run)
		return HAS_UNKNOWN;
	return s->early ? HAS : HAS_NOT;
}

static enum has has_ecn(const struct syn *s)
{
	return s->n->c->syn_traits.ecn ? HAS : HAS_NOT;
}

static enum has has_fast_open(const struct syn *s)
{
	return s->n->c->syn_traits.fast_open ? HAS : HAS_NOT;
}

static enum has has_mptcp(const struct syn *s)
{
	return s->n->c->syn_traits.mptcp ? HAS : HAS_NOT;
}

static enum has has_timestamps(const struct syn *s)
{
	return s->n->c->syn_traits.has_timestamp ? HAS : HAS_NOT;
}

static enum has is_at_slow_server(const struct syn *s)
{
	return s->slow_server ? HAS : HAS_NOT;
}

static enum has is_challenged(const struct syn *s)
{
	return s->fate == SYN_CHALLENGED ? HAS : HAS_NOT;
}

static enum has is_reused(const struct syn *s)
{
	return s->reused != NEVER ? HAS : HAS_NOT;
}

static enum has is_dead_tuple(const struct syn *s)
{
	return s->dead_tuple || s->beside_dead ? HAS : HAS_NOT;
}

static enum has is_dead_pair(const struct syn *s)
{
	return s->dead_pair ? HAS : HAS_NOT;
}

/*
 * The table of decisions about a lost SYN. The questions are asked in this order, and the first
 * that applies decides. slow-connect is left to cause_openings(). A SYN to which no question applies
 * is left to this gateway's counters, to loss and to the dead peers, in this order.
 */
const struct syn_question_info syn_questions[SYN_QUESTIONS] = {
	/* clang-format off */
	[ASK_FIRST_OF_HOST] = { KIND_FIRST_SYN_LOST, SYN_LOST, is_first, "first SYNs", NULL },
	[ASK_FIRST_OF_NEW_HOST] = { KIND_FIRST_SYN_LOST, SYN_LOST, is_first_of_new, "first SYNs",
		NULL },
	[ASK_ECN] = { KIND_SYN_FILTERED, SYN_LOST, has_ecn, "that ask for ECN",
		"RFC 3168 6.1.1.1 lets a host omit it when it sends a SYN again" },
	[ASK_FAST_OPEN] = { KIND_SYN_FILTERED, SYN_LOST, has_fast_open, "with TCP Fast Open",
		"RFC 7413 recommends to omit it when a SYN is sent again" },
	[ASK_MPTCP] = { KIND_SYN_FILTERED, SYN_LOST, has_mptcp, "with MPTCP", NULL },
	[ASK_TIMESTAMPS] = { KIND_SYN_FILTERED, SYN_LOST, has_timestamps, "with time stamps", NULL },
	[ASK_ECN_REFUSED] = { KIND_SYN_FILTERED, SYN_REFUSED, has_ecn, "that ask for ECN", NULL },
	[ASK_FAST_OPEN_REFUSED] = { KIND_SYN_FILTERED, SYN_REFUSED, has_fast_open,
		"with TCP Fast Open", NULL },
	[ASK_MPTCP_REFUSED] = { KIND_SYN_FILTERED, SYN_REFUSED, has_mptcp, "with MPTCP", NULL },
	[ASK_TIMESTAMPS_REFUSED] = { KIND_SYN_FILTERED, SYN_REFUSED, has_timestamps,
		"with time stamps", NULL },
	[ASK_ONE_SERVER] = { KIND_SLOW_CONNECT, SYN_LOST, is_at_slow_server, NULL, NULL },
	[ASK_CHALLENGED] = { KIND_PORT_REUSE, SYN_CHALLENGED, is_challenged, NULL, NULL },
	[ASK_REUSED_PORT] = { KIND_PORT_REUSE, SYN_LOST, is_reused, "on ports used shortly before",
		NULL },
	[ASK_FOUR_TUPLE] = { KIND_SOME_PATHS_FAIL, SYN_LOST, is_dead_tuple, NULL, NULL },
	[ASK_PAIR] = { KIND_SOME_PATHS_FAIL, SYN_LOST, is_dead_pair, NULL, NULL },
	/* clang-format on */
};

static enum syn_question decide_lost_syn(const struct syn_faults *x, const struct syn *s)
{
	int question;

	for (question = 0; question < SYN_QUESTIONS; question++)
		if (x->comparisons[question].stands && s->fate == syn_questions[question].bad &&
		    syn_questions[question].has(s) == HAS)
			return (enum syn_question)question;
	return SYN_QUESTIONS;
}

/* ---- what became of the SYNs ---- */

/*
 * Forged SYNs must not count as hosts: a client counts if it completed a handshake, sent a SYN
 * again, or came several times.
 */
static bool is_real_client(const struct noted_connect *n)
{
	return n->host && (n->host->host->established || n->c->syn_count > 1 ||
			   n->host->connect_count >= NOT_FORGED);
}

/*
 * alive: the server answers some SYNs. queue_full: it ignores SYNs while it repeats SYN-ACKs, as it
 * does if its accept queue is full.
 */
static enum syn_fate fate_of(const struct noted_connect *n, bool alive, bool queue_full)
{
	const struct connection *c = n->c;

	if (c->from_outside || c->during_attach || c->no_synack || c->elsewhere || c->ignored_rst ||
	    c->ignored_synack || n->explained || !is_real_client(n))
		return SYN_NOT_COUNTED;
	if (c->challenged)
		return SYN_CHALLENGED;
	if (c->synack != NEVER) {
		if (!connection_answered_late(c))
			return SYN_PASSED;
		return queue_full ? SYN_NOT_COUNTED : SYN_LOST;
	}
	if (!is_failed(n) || c->from_gateway || c->not_forwarded || !alive)
		return SYN_NOT_COUNTED;
	if (c->outcome == OUTCOME_REFUSED)
		return SYN_REFUSED;
	if (c->outcome != OUTCOME_UNANSWERED || queue_full ||
	    connection_syn_copies(c) >= LOOP_COPIES || is_sent_back(c))
		return SYN_NOT_COUNTED;
	return SYN_LOST;
}

static void note_server(struct context *g, struct syn_faults *x, const struct server *server)
{
	struct server_facts facts = facts_of_server(g, server);
	bool slow = facts.answered_late >= 3 && facts.answered_late * 5 >= facts.answered * 4;
	size_t i;

	for (i = 0; i < server->count; i++) {
		const struct noted_connect *n = &server->connects[i];
		struct client_key key = client_key_of(&n->c->client);
		const struct client *client = model_client(g->m, &key);
		struct syn *s = syn_of(g, x, n);

		s->n = n;
		s->fate = fate_of(n, facts.answered > 0, facts.ignores_syns);
		s->slow_server = slow;
		s->early = client && n->c->syn - client->first_syn < EARLY_NS;
		s->early_in_run = client && client->first_syn < NEW_NS;
		s->reused = NEVER;
	}
}

static int by_tuple(const void *a, const void *b)
{
	const struct connection *x = (*(struct syn *const *)a)->n->c,
				*y = (*(struct syn *const *)b)->n->c;
	int order = memcmp(&x->server, &y->server, sizeof(x->server));

	if (!order)
		order = memcmp(&x->client, &y->client, sizeof(x->client));
	if (order)
		return order;
	return x->syn < y->syn ? -1 : x->syn > y->syn;
}

/* Notes which four-tuples were used before. */
static void note_reuse(struct context *g, struct syn_faults *x)
{
	const struct connection *used = NULL;
	size_t i;

	for (i = 0; i < g->connect_count; i++)
		x->by_tuple[i] = &x->syns[i];
	qsort(x->by_tuple, g->connect_count, sizeof(struct syn *), by_tuple);
	for (i = 0; i < g->connect_count; i++) {
		const struct connection *c = x->by_tuple[i]->n->c;

		if (used && (!same_endpoint(&used->client, &c->client) ||
			     !same_endpoint(&used->server, &c->server)))
			used = NULL;
		if (used && c->syn - used->syn <= REUSE_NS)
			x->by_tuple[i]->reused = c->syn - used->syn;
		if (c->synack != NEVER && !c->challenged)
			used = c;
	}
}

/* ---- the cause ---- */

static void compare_all(struct context *g, struct syn_faults *x)
{
	int question;

	for (question = 0; question < SYN_QUESTIONS; question++)
		if (syn_questions[question].with)
			compare_syns(g, x, (enum syn_question)question);
	mark_dead_tuples(g, x);
	mark_dead_pairs(g, x);
	settle_comparisons(g, x);
	x->comparisons[ASK_ONE_SERVER].stands = true;
	x->comparisons[ASK_CHALLENGED].stands = true;
}

static void report_question(struct context *g, const struct syn_faults *x,
			    enum syn_question question)
{
	struct connect_set set = {};
	size_t i;

	for (i = 0; i < g->connect_count; i++)
		if (!g->connects[i].explained && decide_lost_syn(x, &x->syns[i]) == question)
			connect_set_add(g, &set, &g->connects[i]);
	if (set.count)
		report_lost_syns(g, x, question, &set);
	connect_set_free(&set);
}

void cause_lost_syns(struct context *g)
{
	struct syn_faults x = { calloc(g->connect_count + 1, sizeof(*x.syns)),
				calloc(g->connect_count + 1, sizeof(struct syn *)),
				{ { 0 } },
				0 };
	int question;
	size_t i;

	if (!x.syns || !x.by_tuple) {
		g->out_of_memory = true;
	} else {
		for (i = 0; i < g->server_count; i++)
			note_server(g, &x, &g->servers[i]);
		note_reuse(g, &x);
		compare_all(g, &x);
		for (question = 0; question < SYN_QUESTIONS; question++)
			if (question != ASK_ONE_SERVER && x.comparisons[question].stands)
				report_question(g, &x, (enum syn_question)question);
	}
	free(x.by_tuple);
	free(x.syns);
}
