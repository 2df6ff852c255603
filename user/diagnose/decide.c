// SPDX-License-Identifier: GPL-2.0
#include "diagnose/decide.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/reporters.h"

/* ---- what a server's connects show together ---- */

bool is_larger_than_segment(const struct connection *c)
{
	/* the MSS option of the other side's SYN limits a segment (RFC 9293 3.7.1) */
	return c->client_payload.mss && c->client_flight > c->client_payload.mss;
}

/* Returns true if a SYN came after a SYN-ACK that repeats, and was ignored like it. */
static bool is_syn_ignored(const struct connection *c)
{
	return c->outcome == OUTCOME_UNANSWERED && !c->ignored_rst && !c->ignored_synack &&
	       c->syn_count > 1;
}

static void add_connect(struct server_facts *f, const struct noted_connect *n)
{
	const struct connection *c = n->c;
	bool large = is_larger_than_segment(c);

	f->served += was_served(n);
	f->failed += is_failed(n);
	if (c->server_round_trip != NEVER &&
	    (f->round_trip == NEVER || c->server_round_trip < f->round_trip))
		f->round_trip = c->server_round_trip;
	f->answered += c->synack != NEVER;
	f->answered_late += connection_answered_late(c);
	f->silent += is_failed(n) && c->outcome == OUTCOME_UNANSWERED;
	f->refused += c->outcome == OUTCOME_REFUSED;
	f->synack_repeats += c->synack_after_ack > 0;
	f->window_0 += c->synack != NEVER && !c->synack_window;
	if (c->client_first == NEVER)
		return;
	f->large_served += large && was_served(n);
	f->large_failed += large && is_failed(n);
	f->small_served += !large && was_served(n);
	f->small_failed += !large && is_failed(n);
}

/*
 * Returns true if a SYN was ignored while SYN-ACKs of other connects repeated: a full accept queue
 * ignores both the ACK and new SYNs (Linux: tcp_conn_request(), tcp_v4_syn_recv_sock()).
 */
static bool are_syns_ignored(const struct server *s)
{
	ns_t first = NEVER, last = NEVER;
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct connection *c = s->connects[i].c;

		if (!c->synack_after_ack)
			continue;
		if (first == NEVER)
			first = c->syn;
		if (last == NEVER || c->settled > last)
			last = c->settled;
	}
	for (i = 0; first != NEVER && i < s->count; i++) {
		const struct connection *c = s->connects[i].c;

		if ((is_syn_ignored(c) || connection_answered_late(c)) && c->syn_last >= first &&
		    c->syn <= last)
			return true;
	}
	return false;
}

struct server_facts facts_of_server(const struct context *g, const struct server *s)
{
	struct server_facts f = { .round_trip = NEVER };
	size_t i;

	for (i = 0; i < s->count; i++)
		add_connect(&f, &s->connects[i]);
	f.ignores_syns = are_syns_ignored(s);
	f.speaks_first = s->peer && peer_speaks_first(s->peer, g->greetings);
	return f;
}

/* ---- the table ---- */

/*
 * Returns true if a device completed the handshake in place of the server: this gateway, or a SYN
 * proxy, whose SYN-ACKs have a window of 0 or precede the SYN that the server gets. A SYN proxy
 * lets requests through once the server has answered, so an acknowledged request clears it.
 */
static bool is_proxied(const struct noted_connect *n, const struct server_facts *facts)
{
	const struct connection *c = n->c;

	if (c->synack_from_gateway)
		return !c->client_payload.acked || c->far.synack == NEVER || !c->far.seen;
	if (c->client_payload.acked)
		return false;
	return (c->far.seen && c->synack != NEVER && c->far.syn > c->synack) ||
	       (facts->window_0 && facts->window_0 == facts->answered);
}

/*
 * Requests that were not acknowledged. In each case the handshake seemed complete:
 *
 *   SYN-ACK has a window of 0         a SYN proxy whose server does not answer it
 *   SYN-ACKs repeat, SYNs are ignored a full accept queue
 *   SYN-ACKs repeat, no SYN is        packets after the SYN are lost on the way
 *   large requests only               they are too large for the path
 *   none of these                     the request is lost on the way
 */
static enum finding_kind decide_not_acked(const struct noted_connect *n,
					  const struct server_facts *facts)
{
	if (is_proxied(n, facts))
		return KIND_SYN_PROXY;
	if (n->c->synack_after_ack)
		return facts->ignores_syns ? KIND_ACCEPT_QUEUE : KIND_REQUEST_LOST;
	if (is_larger_than_segment(n->c) && facts->small_served && !facts->small_failed)
		return KIND_LARGE_HELLO;
	return KIND_REQUEST_LOST;
}

/*
 * Requests that were acknowledged, or that ended by an RST or FIN. If only requests larger than a
 * segment fail so, their size is the reason.
 */
static enum finding_kind decide_answer(const struct noted_connect *n,
				       const struct server_facts *facts)
{
	bool only_large = is_larger_than_segment(n->c) && facts->small_served &&
			  !facts->small_failed && facts->large_failed > facts->large_served;

	switch (n->entry.manner) {
	case MANNER_NOT_ACKED:
		return decide_not_acked(n, facts);
	case MANNER_TOO_LARGE:
		return KIND_MTU_BLACK_HOLE;
	case MANNER_ALERT:
		return KIND_REFUSED_IN_ANSWER;
	case MANNER_SERVER_RESET:
	case MANNER_SERVER_CLOSED:
		return only_large ? KIND_LARGE_HELLO : KIND_RESET_AFTER_REQUEST;
	case MANNER_NEVER:
		if (is_proxied(n, facts))
			return KIND_SYN_PROXY;
		return only_large ? KIND_LARGE_HELLO : KIND_NO_ANSWER;
	default:
		return KINDS;
	}
}

static enum finding_kind decide_connect(const struct noted_connect *n,
					const struct server_facts *facts)
{
	switch (n->entry.manner) {
	case MANNER_ELSEWHERE:
		return KIND_ANSWERED_ELSEWHERE;
	case MANNER_TIME_EXCEEDED:
		return KIND_ROUTING_LOOP;
	case MANNER_SILENT:
	case MANNER_ONE_SYN:
		/* each SYN came back several times, though it was sent once */
		if (n->c->syn_copies >= LOOP_COPIES * n->c->syn_count)
			return KIND_ROUTING_LOOP;
		/* while others are accepted and not served: the same queue */
		if (facts->ignores_syns && facts->synack_repeats)
			return KIND_ACCEPT_QUEUE;
		return KINDS;
	case MANNER_SLOW:
		return facts->answered_late * 5 >= facts->answered * 4 &&
				       connection_answered_late(n->c)
			       ? KIND_SLOW_CONNECT
			       : KINDS;
	default:
		return KINDS;
	}
}

enum finding_kind decide_kind(const struct context *g, const struct noted_connect *n,
			      const struct server_facts *facts)
{
	(void)g;
	switch (n->entry.stage) {
	case STAGE_CONNECT:
		return decide_connect(n, facts);
	case STAGE_FINISH:
		if (n->entry.row != ROW_FAILED)
			return KINDS;
		return n->entry.manner == MANNER_SERVER_RESET ? KIND_SERVER_CLOSES
							      : KIND_HANDSHAKE_UNFINISHED;
	case STAGE_HOLD:
		if (n->entry.row != ROW_FAILED)
			return KINDS;
		return is_proxied(n, facts) ? KIND_SYN_PROXY : KIND_SERVER_CLOSES;
	case STAGE_GREETING:
		if (n->entry.row != ROW_FAILED)
			return KINDS;
		return is_proxied(n, facts) ? KIND_SYN_PROXY : KIND_NO_GREETING;
	case STAGE_ANSWER:
		if (n->entry.row == ROW_FAILED)
			return decide_answer(n, facts);
		if (n->c->synack_after_ack && facts->ignores_syns)
			return KIND_ACCEPT_QUEUE;
		return n->c->answer == stage_duration(n->c, STAGE_ANSWER) ? KIND_FIRST_VISIT_SLOW
									  : KINDS;
	default:
		return KINDS;
	}
}

/* ---- groups ---- */

/*
 * The kinds in the order in which they are reported. Servers with the same failure are one group if
 * the failure is likely to have a common cause on the way to them; else each server has its own.
 */
static const struct {
	enum finding_kind kind;
	bool is_common; /* one finding for all servers */
	void (*report)(struct context *g, const struct failure_group *group);
} reporters[] = {
	{ KIND_SYN_PROXY, false, report_syn_proxy },
	{ KIND_ANSWERED_ELSEWHERE, false, report_answered_elsewhere },
	{ KIND_ROUTING_LOOP, true, report_routing_loop },
	{ KIND_HANDSHAKE_UNFINISHED, true, report_handshake_unfinished },
	{ KIND_ACCEPT_QUEUE, false, report_accept_queue },
	{ KIND_REQUEST_LOST, true, report_request_lost },
	{ KIND_LARGE_HELLO, true, report_large_hello },
	{ KIND_RESET_AFTER_REQUEST, false, report_reset_after_request },
	{ KIND_REFUSED_IN_ANSWER, false, report_refused_in_answer },
	{ KIND_SERVER_CLOSES, false, report_server_closes },
	{ KIND_NO_GREETING, false, report_no_greeting },
	{ KIND_NO_ANSWER, false, report_no_answer },
	{ KIND_SLOW_CONNECT, false, report_slow_connect },
	{ KIND_FIRST_VISIT_SLOW, true, report_first_visit_slow },
};

/* Adds the server's connects of this kind to the group. */
static void add_server(struct context *g, struct failure_group *group, const struct server *s,
		       const enum finding_kind *kinds, const struct server_facts *facts)
{
	size_t i, before = group->set.count, n;

	for (i = 0; i < s->count; i++)
		if (kinds[i] == group->kind && !s->connects[i].explained)
			connect_set_add(g, &group->set, &s->connects[i]);
	n = group->set.count - before;
	if (!n)
		return;
	group->servers++;
	group->connects += s->count;
	if (n > group->most) {
		group->most = n;
		group->server = s;
		group->facts = *facts;
	}
}

/* The kind of each connect, and the facts about each server. */
struct decision {
	enum finding_kind *kinds; /* by index of g->connects[] */
	struct server_facts *facts; /* by index of g->servers[] */
};

static void decide(const struct context *g, const struct decision *d)
{
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		d->facts[i] = facts_of_server(g, s);
		for (j = 0; j < s->count; j++) {
			const struct noted_connect *n = &s->connects[j];

			d->kinds[n - g->connects] = is_failed(n) || n->entry.row == ROW_LATE
							    ? decide_kind(g, n, &d->facts[i])
							    : KINDS;
		}
	}
}

/* Calls the reporter for servers with this kind: for all together, or for each. */
static void report_groups(struct context *g, const struct decision *d, size_t reporter,
			  bool together)
{
	struct failure_group group = { .kind = reporters[reporter].kind };
	size_t i;

	for (i = 0; i <= g->server_count; i++) {
		if (group.set.count && (i == g->server_count || !together)) {
			reporters[reporter].report(g, &group);
			connect_set_free(&group.set);
			group = (struct failure_group){ .kind = group.kind };
		}
		if (i < g->server_count)
			add_server(g, &group, &g->servers[i],
				   &d->kinds[g->servers[i].connects - g->connects], &d->facts[i]);
	}
	connect_set_free(&group.set);
}

static size_t count_servers(const struct context *g, const struct decision *d,
			    enum finding_kind kind)
{
	size_t i, j, n = 0;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		for (j = 0; j < s->count; j++)
			if (d->kinds[&s->connects[j] - g->connects] == kind) {
				n++;
				break;
			}
	}
	return n;
}

void cause_openings(struct context *g)
{
	struct decision d = { calloc(g->connect_count + 1, sizeof(*d.kinds)),
			      calloc(g->server_count + 1, sizeof(*d.facts)) };
	size_t i;

	if (!d.kinds || !d.facts) {
		g->out_of_memory = true;
	} else {
		decide(g, &d);
		for (i = 0; i < sizeof(reporters) / sizeof(reporters[0]); i++)
			report_groups(g, &d, i,
				      reporters[i].is_common ||
					      count_servers(g, &d, reporters[i].kind) >=
						      MIN_TOGETHER);
	}
	free(d.kinds);
	free(d.facts);
}
