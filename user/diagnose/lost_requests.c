// SPDX-License-Identifier: GPL-2.0
/*
 * Reports requests that are never acknowledged although the handshake seemed complete: they are lost
 * in this gateway or on the way, or the accept queue of the server is full.
 */
#include <inttypes.h>

#include "diagnose/failure_group.h"
#include "diagnose/reporters.h"

/* ---- requests that do not arrive ---- */

static bool is_synack_repeated_after_ack(const struct noted_connect *n)
{
	const struct connection *c = n->c;

	/* a SYN-ACK that answers a repeated SYN proves nothing */
	return c->synack_after_ack > (c->ack != NEVER && c->syn_last > c->ack ? 1U : 0U);
}

/* Returns true if the first flight is a single segment. */
static bool is_single_segment(const struct connection *c)
{
	return c->client_payload.size && c->client_flight == c->client_payload.size;
}

/* Returns true if SYN and SYN-ACK were captured twice: before and after they were forwarded. */
static bool is_handshake_twice(const struct connection *c)
{
	return c->syn_copies >= c->syn_count && c->synack_copies && c->synack != NEVER;
}

/* Returns true if each transmission of the request was captured once. */
static bool is_request_once(const struct connection *c)
{
	return is_single_segment(c) && c->client_segments == 1 + c->client_payload.again;
}

/* Returns true if another connect shows that requests are captured twice as well. */
static bool are_requests_twice(const struct context *g)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct connection *c = g->connects[i].c;

		if (was_served(&g->connects[i]) && is_handshake_twice(c) && is_single_segment(c) &&
		    !c->client_payload.again && c->client_segments == 2)
			return true;
	}
	return false;
}

/* How far the requests got. */
enum whereabouts { WHERE_UNKNOWN, WHERE_LEFT, WHERE_STAYED };

static enum whereabouts where_is_request(const struct noted_connect *n, bool twice)
{
	const struct connection *c = n->c;

	if (c->client_first == NEVER)
		return WHERE_UNKNOWN;
	if (c->far.seen && c->far.synack != NEVER)
		return c->far.client_first != NEVER ? WHERE_LEFT : WHERE_STAYED;
	if (twice && is_handshake_twice(c) && is_single_segment(c))
		return is_request_once(c) ? WHERE_STAYED : WHERE_LEFT;
	return WHERE_UNKNOWN;
}

static void report_stayed(struct context *g, const struct failure_group *group)
{
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS];
	size_t repeated = count_if(&group->set, is_synack_repeated_after_ack);
	bool is_far = group->set.at[0]->c->far.seen;
	char share[FORMAT_SHARE];
	struct finding *f;

	if (group->set.count < 2)
		return;
	f = begin_finding(g, group, KIND_DROPPED_IN_GATEWAY, certainty_by_count(group->set.count));
	if (!f)
		return;
	finding_text(f,
		     "packets after the SYN to %s come in here and do not leave: %s fail after the "
		     "handshake",
		     format_servers(servers, group), format_counts(counts, g, f, group));
	finding_line(f, "", "SYN and SYN-ACK pass%s; the ACK and the request %s",
		     is_far ? " on both sides" : ", and are captured twice each",
		     is_far ? "are not seen to leave"
			    : "are captured once: before they are forwarded, not after");
	if (repeated)
		finding_line(f, "", "on %s the server repeats its SYN-ACK: it did not get the ACK",
			     format_share(share, &group->set, repeated));
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "on this gateway%s, check the forward chain (nft list ruleset), packets that "
		     "conntrack calls invalid (conntrack -S), and rp_filter",
		     is_far ? "" : " (or, behind a mirror port, on the device it mirrors)");
}

/* Returns true if the connects of the set began at different times, 1 s or more apart. */
static bool is_lasting(const struct connect_set *set)
{
	ns_t first = NEVER, last = NEVER;
	size_t i;

	for (i = 0; i < set->count; i++) {
		ns_t syn = set->at[i]->c->syn;

		first = first == NEVER || syn < first ? syn : first;
		last = last == NEVER || syn > last ? syn : last;
	}
	return first != NEVER && last - first >= (ns_t)SECOND_NS;
}

static void add_lost_evidence(struct finding *f, const struct failure_group *group, bool left)
{
	size_t repeated = count_if(&group->set, is_synack_repeated_after_ack);
	char share[FORMAT_SHARE];

	if (repeated)
		finding_line(f, "",
			     "on %s the server repeats its SYN-ACK although the ACK has passed "
			     "here, and it acknowledges no request",
			     format_share(share, &group->set, repeated));
	else
		finding_line(f, "", "the requests are repeated, and nothing acknowledges them");
	if (left)
		finding_line(f, "", "the requests left this gateway: they are lost beyond it");
	else
		finding_line(f, "",
			     "whether the requests left this gateway was not seen: watch the other "
			     "side as well (a second --iface)");
}

static void report_lost(struct context *g, const struct failure_group *group, bool left)
{
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS];
	struct certainty certainty = certainty_by_count(group->set.count);
	bool others = group->facts.served > 0;
	struct finding *f;

	/* a path that was cut for a moment loses what is under way */
	if (group->set.count < 2 || !is_lasting(&group->set))
		return;
	if (others)
		certainty = at_most(certainty, CONFIDENCE_MEDIUM, "it served other connects");
	if (!count_if(&group->set, is_synack_repeated_after_ack))
		certainty = at_most(certainty, CONFIDENCE_MEDIUM,
				    "no repeated SYN-ACK shows that the ACKs are lost as well");
	f = begin_finding(g, group, KIND_REQUEST_LOST, certainty);
	if (!f)
		return;
	finding_text(f,
		     "packets after the SYN do not reach %s: the handshake seems complete, and the "
		     "request is never acknowledged, on %s",
		     format_servers(servers, group), format_counts(counts, g, f, group));
	add_lost_evidence(f, group, left);
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "check whether the packets take another way than the SYN (asymmetric route, "
		     "ECMP), and filters on it for packets that conntrack calls invalid; capture "
		     "on the server: do the ACKs arrive?");
	if (!group->facts.ignores_syns)
		finding_line(f, "against",
			     "if they arrive, its accept queue is full (ss -ltn); but a full queue "
			     "ignores SYNs as well, and no SYN was ignored here");
	if (others)
		finding_line(f, "against", "%" PRIu64 " other connect%s to it %s served",
			     group->facts.served, plural(group->facts.served),
			     were(group->facts.served));
}

static void report_left(struct context *g, const struct failure_group *group)
{
	report_lost(g, group, true);
}

static void report_unknown(struct context *g, const struct failure_group *group)
{
	report_lost(g, group, false);
}

void report_request_lost(struct context *g, const struct failure_group *group)
{
	bool twice = are_requests_twice(g);
	struct connect_set sets[WHERE_STAYED + 1] = {};
	size_t i;

	for (i = 0; i < group->set.count; i++)
		connect_set_add(g, &sets[where_is_request(group->set.at[i], twice)],
				group->set.at[i]);
	report_by_server(g, group->kind, &sets[WHERE_STAYED], report_stayed);
	report_by_server(g, group->kind, &sets[WHERE_LEFT], report_left);
	report_by_server(g, group->kind, &sets[WHERE_UNKNOWN], report_unknown);
	for (i = 0; i <= WHERE_STAYED; i++)
		connect_set_free(&sets[i]);
}

/* ---- accept queues ---- */

/* Returns true if the server ignored a SYN of the connect, or the network lost it. */
static bool is_syn_unanswered(const struct noted_connect *n)
{
	const struct connection *c = n->c;

	return c->syn_times_count > 1 && (c->synack == NEVER || c->syn_times[1] < c->synack);
}

/*
 * Returns true if all packets of the client that should have reached the server are known not to
 * have left this gateway.
 */
static bool has_stayed(const struct context *g, const struct connect_set *set)
{
	bool twice = are_requests_twice(g);
	size_t i;

	for (i = 0; i < set->count; i++)
		if (where_is_request(set->at[i], twice) == WHERE_STAYED)
			return true;
	return false;
}

/*
 * Returns true if the ACKs may have been lost on the way like other packets: the rate of repeated
 * SYN-ACKs is not three times the rate of lost SYNs at the other servers.
 */
static bool may_be_loss(const struct context *g, const struct failure_group *group, size_t repeated)
{
	const struct peer *p = group->server->peer;
	uint64_t established = g->m->outcomes[OUTCOME_ESTABLISHED];

	return p && repeated * (established - p->answered) <=
			    3 * p->connections * (g->m->lost_far - p->lost);
}

void report_accept_queue(struct context *g, const struct failure_group *group)
{
	size_t repeated = count_if(&group->set, is_synack_repeated_after_ack),
	       ignored = count_if(&group->set, is_syn_unanswered);
	struct certainty certainty = certainty_by_count(group->set.count);
	char servers[FORMAT_SERVERS];
	struct finding *f;

	if (has_stayed(g, &group->set)) {
		report_request_lost(g, group);
		return;
	}
	if (!repeated || group->set.count < 2 || may_be_loss(g, group, repeated))
		return;
	/* a single SYN may have been lost on the way */
	if (!group->facts.ignores_syns)
		certainty = doubtful(CONFIDENCE_LOW, "loss on the way to it looks alike");
	else if (ignored < 2)
		certainty = doubtful(CONFIDENCE_MEDIUM, "one SYN without an answer may be lost");
	f = begin_finding(g, group, KIND_ACCEPT_QUEUE, certainty);
	if (!f)
		return;
	finding_set_peer(f, &group->server->endpoint);
	finding_text(f, "%s %s not accept its connections: its accept queue %s full",
		     format_servers(servers, group), group->facts.ignores_syns ? "does" : "may",
		     group->facts.ignores_syns ? "is" : "may be");
	finding_line(f, "",
		     "on %zu of %" PRIu64 " connect%s it repeats the SYN-ACK although the ACK "
		     "has passed, and accepts no request; it left SYNs of %zu unanswered as well",
		     repeated, group->connects, plural(group->connects), ignored);
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "on the server: ss -ltn (Recv-Q at its limit?), nstat -az "
		     "TcpExtListenOverflows; its application is too slow or hangs, or its backlog "
		     "is too short");
	if (!group->facts.ignores_syns)
		finding_line(f, "against",
			     "packets after the SYN may be lost on the way to it instead");
}
