// SPDX-License-Identifier: GPL-2.0
#include "diagnose/decide.h"

/* ---- what a server's connects show together ---- */

bool is_larger_than_segment(const struct connection *c)
{
	/* the MSS option of the other side's SYN limits a segment (RFC 9293 3.7.1) */
	return c->client_payload.mss && c->client_flight > c->client_payload.mss;
}

static bool is_request_black_holed(const struct noted_connect *n)
{
	return is_failed(n) && n->entry.manner == MANNER_TOO_LARGE &&
	       payload_is_black_holed(&n->c->client_payload);
}

/* A path seldom changes within this time. */
#define SAME_PATH_NS (5 * (ns_t)SECOND_NS)

/*
 * One failure in so many must be refuted: most hosts send no other large request at that moment,
 * and their failures are not refuted, nor any different.
 */
#define MIN_REFUTED 4

bool has_size_passed(const struct noted_connect *n)
{
	const struct connection *c = n->c;
	const struct timeline *host = n->host;
	size_t i;

	for (i = host ? first_connect_since(host, c->syn - SAME_PATH_NS) : 0;
	     host && i < host->connect_count; i++) {
		const struct connection *other = host->connects[i]->c;

		if (other->syn > c->settled)
			return false;
		if (other->client_payload.acked &&
		    other->client_payload.size >= c->client_payload.size &&
		    same_address(&other->server, &c->server))
			return true;
	}
	return false;
}

bool is_sent_back(const struct connection *c)
{
	return c->far.seen && c->forwarded_by == c->ifindex && c->synack == NEVER &&
	       c->far.synack == NEVER && same_endpoint(&c->far.client, &c->client) &&
	       !same_address(&c->far.server, &c->server);
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
	if (is_request_black_holed(n)) {
		f->full_failed++;
		f->full_refuted += has_size_passed(n);
	}
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

#define MAX_COMPARED 64 /* connects to the same server */

/*
 * Returns true if a SYN to the server was answered while the request was not acknowledged, and the
 * request was sent again after that: its retransmissions are at most twice as far apart each time.
 */
static bool passes_meanwhile(const struct context *g, const struct noted_connect *n)
{
	const struct server *s = server_of(g, n);
	size_t i = (size_t)(n - s->connects) + 1, end = i + MAX_COMPARED;

	for (; i < s->count && i < end; i++) {
		const struct connection *c = s->connects[i].c;

		if (c->syn >= n->c->client_first && c->synack != NEVER)
			return n->c->settled - c->synack >=
			       c->synack - n->c->client_first + (ns_t)SECOND_NS;
	}
	return false;
}

/*
 * Requests that were not acknowledged. In each case the handshake seemed complete:
 *
 *   SYN-ACK has a window of 0         a SYN proxy whose server does not answer it
 *   SYN-ACKs repeat, SYNs are ignored a full accept queue
 *   SYN-ACKs repeat, no SYN is        packets after the SYN are lost on the way
 *   large requests only               they are too large for the path
 *   a SYN sent meanwhile is answered  the request is lost on the way
 *   none of these                     nothing passes: an outage, not these packets
 */
static enum finding_kind decide_not_acked(const struct context *g, const struct noted_connect *n,
					  const struct server_facts *facts)
{
	if (is_proxied(n, facts))
		return KIND_SYN_PROXY;
	if (n->c->synack_after_ack)
		return facts->ignores_syns ? KIND_ACCEPT_QUEUE : KIND_REQUEST_LOST;
	if (is_larger_than_segment(n->c) && facts->small_served && !facts->small_failed)
		return KIND_LARGE_HELLO;
	return passes_meanwhile(g, n) ? KIND_REQUEST_LOST : KINDS;
}

/*
 * Requests that were acknowledged, or that ended by an RST or FIN. If only requests larger than a
 * segment fail so, their size is the reason.
 */
static enum finding_kind decide_answer(const struct context *g, const struct noted_connect *n,
				       const struct server_facts *facts)
{
	bool only_large = is_larger_than_segment(n->c) && facts->small_served &&
			  !facts->small_failed && facts->large_failed > facts->large_served;

	switch (n->entry.manner) {
	case MANNER_NOT_ACKED:
		return decide_not_acked(g, n, facts);
	case MANNER_TOO_LARGE:
		/* packets of the same size pass meanwhile: the MTU is not the reason */
		if (is_request_black_holed(n) &&
		    facts->full_refuted * MIN_REFUTED >= facts->full_failed)
			return decide_not_acked(g, n, facts);
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
		if (connection_syn_copies(n->c) >= LOOP_COPIES)
			return KIND_ROUTING_LOOP;
		if (is_sent_back(n->c))
			return KIND_ANSWERED_ELSEWHERE;
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
			return decide_answer(g, n, facts);
		if (n->c->synack_after_ack && facts->ignores_syns)
			return KIND_ACCEPT_QUEUE;
		return n->c->answer == stage_duration(n->c, STAGE_ANSWER) ? KIND_FIRST_VISIT_SLOW
									  : KINDS;
	default:
		return KINDS;
	}
}
