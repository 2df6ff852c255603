// SPDX-License-Identifier: GPL-2.0
#include "model/same_attempt.h"

/* ---- matching two records ---- */

const struct endpoint *wire_client(const struct connection *c)
{
	return c->nat_endpoint.port ? &c->nat_endpoint : &c->client;
}

bool same_observation_point(const struct connection *a, const struct connection *b)
{
	return a->ifindex == b->ifindex && a->syn_egress == b->syn_egress &&
	       same_endpoint(wire_client(a), wire_client(b)) &&
	       same_endpoint(&a->server, &b->server);
}

static bool same_client(const struct connection *a, const struct connection *b)
{
	return same_address_and_port(&a->client, &b->client) ||
	       same_address_and_port(wire_client(a), wire_client(b));
}

/*
 * Returns true if the far side's handshake lies within the near side's, as both its packets passed
 * the near side.
 */
static bool is_nested(const struct connection *a, const struct connection *b)
{
	const struct connection *near = a->syn < b->syn ? a : b, *far = near == a ? b : a;

	return near->syn < far->syn && far->syn <= far->synack && far->synack < near->synack;
}

static ns_t distance(ns_t a, ns_t b)
{
	return a < b ? b - a : a - b;
}

ns_t syn_distance(const struct connection *a, const struct connection *b)
{
	return distance(a->syn, b->syn);
}

/* Returns true if both records show a SYN at nearly the same time. One may lack the first SYN. */
static bool share_syn(const struct connection *a, const struct connection *b)
{
	unsigned int i, j;

	if (syn_distance(a, b) <= SAME_SYN_NS)
		return true;
	for (i = 0; i < a->syn_times_count; i++)
		for (j = 0; j < b->syn_times_count; j++)
			if (distance(a->syn_times[i], b->syn_times[j]) <= SAME_SYN_NS)
				return true;
	return false;
}

static bool is_answered_differently(const struct connection *a, const struct connection *b)
{
	return a->synack != NEVER && b->synack != NEVER && a->server_isn != b->server_isn;
}

/* Returns true if b's first SYN passed after a was answered: then it is no copy of a's SYN. */
static bool was_answered_before(const struct connection *a, const struct connection *b)
{
	return a->synack != NEVER && a->synack < b->syn;
}

/* Returns true if the records differ at most in their VLANs and interfaces. */
static bool is_same_packet(const struct connection *a, const struct connection *b)
{
	return a->syn_egress == b->syn_egress && same_client(a, b) &&
	       same_address_and_port(&a->server, &b->server) && !is_answered_differently(a, b) &&
	       !was_answered_before(a, b) && !was_answered_before(b, a) && share_syn(a, b);
}

int match_score(const struct connection *a, const struct connection *b)
{
	const struct connection *in = a->syn_egress ? b : a, *out = in == a ? b : a;
	int ends = same_client(a, b) + same_address_and_port(&a->server, &b->server);
	bool answered = a->synack != NEVER && b->synack != NEVER;
	bool same_hook = a->ifindex == b->ifindex && a->syn_egress == b->syn_egress;

	/* a proxy between two sides may replace the server's ISN; copies in two VLANs have one */
	if (same_observation_point(a, b) ||
	    (is_answered_differently(a, b) && (ends < 2 || same_hook)))
		return 0;
	if (a->syn > b->syn_last + MAX_FORWARDING_NS || b->syn > a->syn_last + MAX_FORWARDING_NS)
		return 0;
	if (a->syn_egress != b->syn_egress) {
		if (out->syn < in->syn)
			return 0;
		if (!ends && !answered &&
		    (syn_distance(a, b) > SAME_SYN_NS ||
		     (a->client.port != b->client.port && a->server.port != b->server.port)))
			return 0;
		return 1 + ends;
	}
	if (is_same_packet(a, b) || (answered && is_nested(a, b)))
		return 1 + ends;
	return 0;
}

bool is_nearer_client(const struct connection *a, const struct connection *b)
{
	if (a->syn != b->syn)
		return a->syn < b->syn;
	if (a->syn_egress != b->syn_egress)
		return b->syn_egress;
	return a->synack != NEVER && b->synack != NEVER && a->synack > b->synack;
}

/* ---- joining two records ---- */

/*
 * Returns the time between two sides of the gateway, or NEVER unless each side saw the segment
 * once, in this order.
 */
static ns_t forwarding_delay(ns_t from, ns_t to, bool once)
{
	return once && from != NEVER && to != NEVER && from <= to ? to - from : NEVER;
}

void fill_far_side(struct connection *c, const struct connection *far)
{
	c->far = (struct far_side){ .seen = true,
				    .ifindex = far->ifindex,
				    .client = *wire_client(far),
				    .server = far->server,
				    .syn = far->syn,
				    .syn_count = far->syn_count,
				    .syn_copies = far->syn_copies,
				    .synack = far->synack,
				    .client_first = far->client_first };
	if (far->syn_egress)
		c->forwarded_by = far->ifindex;
	/* a copy without the SYN-ACK has no round trip */
	if (far->synack != NEVER || !is_copy(c, far))
		c->server_round_trip = far->server_round_trip;
	/* a SYN proxy on this gateway sends a SYN and a SYN-ACK of its own: it delays none */
	if (c->synack_from_gateway || (c->synack != NEVER && far->syn > c->synack))
		return;
	c->syn_forwarding_delay =
		forwarding_delay(c->syn, far->syn, c->syn_count == 1 && far->syn_count == 1);
	c->synack_forwarding_delay = forwarding_delay(
		far->synack, c->synack, c->synack_count == 1 && far->synack_count == 1);
	c->payload_forwarding_delay =
		forwarding_delay(c->client_first, far->client_first,
				 !c->client_payload.again && !far->client_payload.again &&
					 c->client_payload.size == far->client_payload.size);
}

/*
 * On an interface of this gateway a SYN-ACK passes in the other direction than its SYN. If both
 * have the same direction, it is a mirror port's, which shows packets of other machines.
 */
static bool is_mirrored(const struct connection *c)
{
	return c->synack != NEVER && c->synack_egress == c->syn_egress;
}

bool is_copy(const struct connection *a, const struct connection *b)
{
	return is_same_packet(a, b) &&
	       (a->ifindex == b->ifindex || is_mirrored(a) || is_mirrored(b));
}

/* Returns how much of an attempt a record shows. */
static int evidence_of(const struct connection *c)
{
	static const int ranks[OUTCOMES] = {
		[OUTCOME_UNANSWERED] = 0, [OUTCOME_UNREACHABLE] = 1, [OUTCOME_REFUSED] = 2,
		[OUTCOME_HALF_OPEN] = 3,  [OUTCOME_ESTABLISHED] = 4,
	};

	return ranks[c->outcome] * 8 + (c->synack != NEVER) + (c->ack != NEVER) +
	       (c->client_first != NEVER) + (c->server_first != NEVER);
}

bool is_better_evidence(const struct connection *other, const struct connection *near)
{
	if (evidence_of(other) <= evidence_of(near))
		return false;
	if (is_copy(other, near))
		return true;
	/* the client continued: the answer reached it on a path past the near side */
	return other->outcome == OUTCOME_ESTABLISHED && (other->ack != NEVER || other->no_synack) &&
	       (near->outcome == OUTCOME_UNANSWERED || near->outcome == OUTCOME_HALF_OPEN);
}

/* Takes over the SYNs of a record. */
static void set_syns(struct connection *c, const struct connection *from)
{
	memcpy(c->syn_times, from->syn_times, sizeof(c->syn_times));
	c->syn_times_count = from->syn_times_count;
	c->syn = from->syn;
	c->syn_last = from->syn_last;
	c->syn_count = from->syn_count;
	c->syn_copies = from->syn_copies;
	c->during_attach = from->during_attach;
}

void complete_near_side(struct connection *near, const struct connection *best)
{
	struct connection c = *best;

	c.client = near->client;
	c.server = near->server;
	c.nat_endpoint = near->nat_endpoint;
	c.ifindex = near->ifindex;
	c.syn_egress = near->syn_egress;
	c.other_host = near->other_host;
	c.has_mac = near->has_mac;
	memcpy(c.mac, near->mac, sizeof(c.mac));
	c.syn_traits = near->syn_traits;
	c.forwarded_by = near->forwarded_by;
	c.not_forwarded = false;
	c.far = near->far;
	c.syn_forwarding_delay = near->syn_forwarding_delay;
	c.synack_forwarding_delay = near->synack_forwarding_delay;
	c.payload_forwarding_delay = near->payload_forwarding_delay;
	if (near->syn_count >= best->syn_count)
		set_syns(&c, near);
	c.watched = c.settled - c.syn;
	if (c.syn_count > 1)
		c.server_round_trip = NEVER; /* the SYN-ACK is ambiguous */
	*near = c;
}
