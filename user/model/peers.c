// SPDX-License-Identifier: GPL-2.0
/* Records failing peers, and symptoms of a server or of the path to it. */
#include "model/notes.h"
#include "model/store.h"

/* ---- failures and answers ---- */

void report_failing(struct model *m, struct peer *peer, const struct connection *c,
		    enum failure failure)
{
	if (failure < FAILURE_SILENT || peer->reported & 1U << failure)
		return;
	if (peer->retracted != NEVER && c->syn <= peer->retracted)
		return; /* the peer has answered another client since */
	m->failing_now += !peer->reported;
	peer->reported |= 1U << failure;
	peer->reported_syn = c->syn_last;
	m->events->failing(m->events->context, c, failure);
}

void retract_failure(struct model *m, struct peer *peer, const struct connection *c)
{
	if (!peer->reported || c->synack == NEVER || c->synack <= peer->reported_syn)
		return;
	/* a proxy on this gateway completes handshakes for servers that may be dead */
	if (c->synack_from_gateway && c->server_first == NEVER)
		return;
	peer->reported = 0;
	m->failing_now--;
	peer->retracted = c->synack;
	m->events->late_answer(m->events->context, c);
}

/* Returns the interface by which the SYN left this gateway, or 0 if that was not seen. */
static uint32_t left_by(const struct connection *c)
{
	return c->forwarded_by ? c->forwarded_by : c->syn_egress ? c->ifindex : 0;
}

/*
 * Returns true if the SYN passed again where it had left. In the record of an interface that it came
 * in by, a copy may be the SYN that leaves, but not so many of them.
 */
static bool came_back(const struct connection *c)
{
	return c->far.syn_copies || (c->syn_egress && c->syn_copies) ||
	       connection_syn_copies(c) >= LOOP_COPIES;
}

/* Records whether the SYNs of an unanswered attempt, or their answers, left this gateway. */
static void note_forwarding(struct peer *peer, struct pair *pair, const struct connection *c)
{
	bool answer_dropped = c->far.synack != NEVER && c->far.seen,
	     not_forwarded = c->not_forwarded && !c->forwarded_by;

	peer->forwarded += left_by(c) != 0;
	peer->came_back += came_back(c);
	peer->not_forwarded += not_forwarded;
	peer->answer_dropped += answer_dropped;
	if (left_by(c)) {
		peer->forwarded_by = left_by(c);
		peer->redirected_to = (struct endpoint){};
	}
	if (c->far.seen && !same_address_and_port(&c->far.server, &c->server))
		peer->redirected_to = c->far.server;
	if (not_forwarded || answer_dropped)
		peer->in_ifindex = c->ifindex;
	if (pair && (not_forwarded || answer_dropped))
		pair->anomaly_bits |= ANOMALY_NOT_FORWARDED;
}

void note_failure(struct model *m, struct peer *peer, struct pair *pair, const struct connection *c,
		  enum failure failure)
{
	peer->failures[failure]++;
	if (c->icmp != NEVER && !c->from_gateway) {
		peer->answered_beyond++;
		peer->router = c->icmp_from;
	}
	if (failure == FAILURE_TOO_EARLY)
		return;
	peer->failed_syns += c->syn_count;
	peer->by_gateway += c->from_gateway;
	peer->ifindex = c->ifindex;
	peer->asked_by = c->client.address;
	if (peer->first_failure == NEVER || c->syn < peer->first_failure)
		peer->first_failure = c->syn;
	if (peer->last_failure == NEVER || c->syn_last > peer->last_failure)
		peer->last_failure = c->syn_last;
	if (failure == FAILURE_REFUSED && c->rst - c->syn > peer->longest_refusal)
		peer->longest_refusal = c->rst - c->syn;
	if (failure == FAILURE_UNREACHABLE) {
		peer->icmp_type = c->icmp_type;
		peer->icmp_code = c->icmp_code;
		peer->icmp_from = c->icmp_from;
	}
	report_failing(m, peer, c, failure);
	if (c->outcome == OUTCOME_UNANSWERED)
		note_forwarding(peer, pair, c);
	/*
	 * a peer that fails several clients is kept longer than a peer that a single client tried
	 */
	if (pair && store_pair_failed(m, pair) && ++peer->clients_failed == 2)
		store_peer_verified(m, peer);
}

void note_answer(struct model *m, struct peer *peer, const struct connection *c)
{
	peer->answered++;
	peer->window_0 += c->synack != NEVER && !c->synack_window;
	if (c->synack != NEVER && (peer->last_answer == NEVER || c->synack > peer->last_answer))
		peer->last_answer = c->synack;
	if (c->synack != NEVER && (peer->first_answer == NEVER || c->synack < peer->first_answer))
		peer->first_answer = c->synack;
	if (!peer->verified)
		store_peer_verified(m, peer);
	if (c->syn_count > 1 && c->synack != NEVER && c->synack - c->syn >= SILENT_NS)
		peer->answered_late++;
	retract_failure(m, peer, c);
}

/* ---- symptoms ---- */

void note_loss(struct model *m, struct client *client, struct peer *peer,
	       const struct connection *c)
{
	bool near = connection_lost_near(c), far = connection_lost_far(c);

	m->lost_near += near;
	m->lost_far += far;
	if (client)
		client->lost_near += near;
	if (peer)
		peer->lost += far;
}

void note_anomalies(struct model *m, struct peer *peer, struct pair *pair,
		    const struct connection *c)
{
	bool request = payload_is_black_holed(&c->client_payload) && !c->synack_after_ack;
	bool answer = payload_is_black_holed(&c->server_payload);
	/*
	 * a SYN-ACK is retransmitted after 1 s at the earliest: a client that sent payload before
	 * then is not idle
	 */
	bool idle = c->client_first == NEVER || (c->wait != NEVER && c->wait >= m->stall_ns / 2);
	bool accept_queue = c->synack_after_ack && !(idle && !c->client_payload.again);
	bool deferred = c->synack_after_ack && !accept_queue;
	bool half_open = c->outcome == OUTCOME_HALF_OPEN;
	bool slow = c->answer != NEVER && c->answer >= m->stall_ns && !accept_queue &&
		    !c->client_payload.again;
	struct anomalies *t;

	if (!request && !answer && !accept_queue && !deferred && !half_open && !slow &&
	    !c->challenged)
		return;
	if (pair)
		pair->anomaly_bits |= (request || answer ? ANOMALY_BLACK_HOLE : 0) |
				      (c->challenged ? ANOMALY_CHALLENGED : 0) |
				      (accept_queue ? ANOMALY_ACCEPT_QUEUE : 0) |
				      (slow ? ANOMALY_SLOW : 0);
	t = store_anomalies(m, peer);
	if (!t)
		return;
	t->black_holed_requests += request;
	t->black_holed_answers += answer;
	t->too_big += (request || answer) && c->too_big;
	t->accept_queue += accept_queue;
	t->deferred += deferred;
	t->half_open += half_open;
	t->challenged += c->challenged;
	if (slow) {
		t->slow_answers++;
		samples_add(&t->answers, c->answer);
	}
}
