// SPDX-License-Identifier: GPL-2.0
#include "connection.h"
#include "track.h"

#include <stddef.h>
#include <string.h>

const char *const outcome_names[OUTCOMES] = {
	[OUTCOME_ESTABLISHED] = "established", [OUTCOME_REFUSED] = "refused",
	[OUTCOME_UNREACHABLE] = "unreachable", [OUTCOME_UNANSWERED] = "unanswered",
	[OUTCOME_HALF_OPEN] = "half_open",
};

const char *const end_reason_names[END_REASONS] = {
	[END_NONE] = "not",
	[END_PAYLOAD] = "payload",
	[END_RST] = "rst",
	[END_FIN] = "fin",
	[END_TIMEOUT] = "timeout",
	[END_SUPERSEDED] = "superseded",
	[END_ONE_SIDED] = "one_sided",
	[END_PRESSURE] = "pressure",
	[END_OF_RUN] = "end",
};

const char *const side_names[] = {
	[SIDE_NONE] = NULL,
	[SIDE_CLIENT] = "client",
	[SIDE_SERVER] = "server",
};

bool is_ip4(const struct address *a)
{
	return is_mapped(a);
}

bool is_private(const struct address *a)
{
	const uint8_t *byte;

	if (!is_ip4(a))
		return (*(const uint8_t *)a & 0xfe) == 0xfc;
	byte = (const uint8_t *)&a->word[3];
	return byte[0] == 10 || (byte[0] == 172 && byte[1] >> 4 == 1) ||
	       (byte[0] == 192 && byte[1] == 168) || (byte[0] == 100 && byte[1] >> 6 == 1);
}

static enum outcome outcome_of(const struct flow *f)
{
	bool proven =
		f->client_flags & CLIENT_IMPLIES_SYNACK || f->server_flags & SERVER_IMPLIES_OPEN;

	if (f->synack)
		return f->ack || proven ? OUTCOME_ESTABLISHED : OUTCOME_HALF_OPEN;
	/* part of the handshake was not seen, or it was a simultaneous open */
	if (proven)
		return OUTCOME_ESTABLISHED;
	if (f->server_flags & SERVER_REFUSED)
		return OUTCOME_REFUSED;
	if (f->icmp_flags & ICMP_HARD)
		return OUTCOME_UNREACHABLE;
	return OUTCOME_UNANSWERED;
}

static void first_of(ns_t *when, enum side *who, ns_t client, ns_t server)
{
	*when = client;
	*who = client == NEVER ? SIDE_NONE : SIDE_CLIENT;
	if (server != NEVER && (client == NEVER || server < client)) {
		*when = server;
		*who = SIDE_SERVER;
	}
}

static ns_t between(ns_t from, ns_t to)
{
	return from == NEVER || to == NEVER ? NEVER : to - from;
}

static void endpoint_of(struct endpoint *e, const struct flow_key *key, int end)
{
	e->address = key->end[end];
	e->port = key->port[end];
	e->vlan[0] = key->vlan[0];
	e->vlan[1] = key->vlan[1];
}

static void derive_durations(struct connection *c, bool request_in_syn)
{
	bool server_first = c->server_first != NEVER &&
			    (c->client_first == NEVER || c->server_first < c->client_first);

	c->wait = between(c->ack, c->client_first);
	c->banner = NEVER;
	c->answer = between(c->client_first, c->server_first);
	if (request_in_syn)
		c->wait = 0;
	if (server_first) {
		c->banner = between(c->ack, c->server_first);
		c->wait = NEVER;
		c->answer = NEVER;
	}
	c->server_round_trip =
		c->syn_count == 1 && !c->synack_from_gateway ? between(c->syn, c->synack) : NEVER;
	c->client_round_trip = c->synack_count == 1 ? between(c->synack, c->ack) : NEVER;
	c->syn_forwarding_delay = c->synack_forwarding_delay = c->payload_forwarding_delay = NEVER;
}

static void traits_of(struct syn_traits *t, const struct flow *f)
{
	unsigned int scale = f->syn_options >> SYN_SCALE_SHIFT & SYN_NO_SCALE;

	t->ttl = f->syn_ttl;
	t->scale = scale == SYN_NO_SCALE ? 0xff : scale;
	t->window = f->syn_window;
	t->mss = f->client_mss;
	t->option_order = f->syn_options & SYN_OPTION_ORDER;
	t->ecn = f->syn_options & SYN_ECN;
	t->mptcp = f->syn_options & SYN_MPTCP;
	t->fast_open = f->syn_options & SYN_FAST_OPEN;
	t->has_timestamp = f->syn_options & SYN_TIMESTAMP;
	t->tsval = f->syn_tsval;
}

/* In a capture, the payload or FIN may follow its ACK: then it was seen. */
static void acks_unseen(struct connection *c, const struct flow *f)
{
	c->client_acks_unseen =
		f->client_flags & CLIENT_ACKS_UNSEEN && !f->server_first && !f->server_fin;
	c->server_acks_unseen =
		f->server_flags & SERVER_ACKS_UNSEEN && !f->client_first && !f->client_fin;
}

void connection_of(struct connection *c, const struct record *r, uint64_t start)
{
#define SINCE_START(t) ((t) ? (ns_t)((t)-start) : NEVER)
	const struct flow *f = &r->flow;
	int client = f->client_flags & CLIENT_IS_END_1 ? 1 : 0;
	unsigned int i;

	memset(c, 0, sizeof(*c));
	endpoint_of(&c->client, &r->key, client);
	endpoint_of(&c->server, &r->key, !client);
	c->attempts = 1;
	c->ifindex = r->key.ifindex;
	c->client_isn = f->client_isn;
	c->server_isn = f->server_isn;
	c->syn_egress = f->client_flags & CLIENT_EGRESS;
	c->other_host = f->client_flags & CLIENT_OTHER_HOST;
	c->not_forwarded = !c->other_host && f->client_flags & CLIENT_NOT_FORWARDED &&
			   !(f->client_flags & CLIENT_FORWARDED);
	/* holds only the lowest byte, see expand_forwarded_by() */
	c->forwarded_by = f->client_flags & CLIENT_FORWARDED ? f->forwarded_by : 0;
	c->synack_egress = f->server_flags & SERVER_EGRESS;
	c->has_mac = f->client_flags & CLIENT_HAS_MAC;
	memcpy(c->mac, f->client_mac, sizeof(c->mac));

	c->outcome = outcome_of(f);
	c->end_reason = r->end_reason;
	c->settled = r->settled - start;
	c->watched = r->settled - f->syn_times[0];

	c->syn_times_count = f->syn_count < SYN_TIMES ? f->syn_count : SYN_TIMES;
	for (i = 0; i < c->syn_times_count; i++)
		c->syn_times[i] = f->syn_times[i] - start;
	c->syn = c->syn_times[0];
	c->syn_last = f->syn_last - start;
	c->syn_count = f->syn_count;
	c->syn_copies = f->syn_copies;
	c->synack = SINCE_START(f->synack);
	c->synack_count = f->synack_count;
	c->synack_copies = f->synack_copies;
	c->ack = SINCE_START(f->ack);
	c->client_first = SINCE_START(f->client_first);
	c->server_first = SINCE_START(f->server_first);
	c->synack_after_ack = f->synack_after_ack;
	c->client_payload = (struct payload){ .mss = f->server_mss,
					      .size = f->client_size,
					      .again = f->client_retransmits,
					      .acked = f->server_flags & SERVER_ACKED,
					      .has_first_byte = f->client_flags & CLIENT_FIRST_BYTE,
					      .first_byte = f->client_first_byte,
					      .alert_level = f->client_alert_level };
	c->server_payload = (struct payload){ .mss = f->client_mss,
					      .size = f->server_size,
					      .again = f->server_retransmits,
					      .acked = f->client_flags & CLIENT_ACKED,
					      .has_first_byte = f->server_flags & SERVER_FIRST_BYTE,
					      .first_byte = f->server_first_byte,
					      .alert_level = f->server_alert_level };
	c->client_flight = f->client_flight;
	c->client_segments = f->client_segments;
	acks_unseen(c, f);
	traits_of(&c->syn_traits, f);
	c->synack_window = f->synack_window;
	c->synack_ttl = f->synack_ttl;
	c->synack_from_gateway = f->server_flags & SERVER_SYNACK_GATEWAY;
	c->has_tsecr = f->server_flags & SERVER_TIMESTAMP;
	c->synack_tsecr = f->synack_tsecr;
	c->ignored_rst = f->server_flags & SERVER_IGNORED_RST;
	c->ignored_synack = f->server_flags & SERVER_IGNORED_SYNACK;
	c->rst_ttl = f->rst_ttl;
	c->rst_acked = f->rst_acked;
	c->client_gap = f->client_flags & CLIENT_GAP;
	c->challenged = f->server_flags & SERVER_CHALLENGED;
	c->no_synack = !f->synack && f->client_flags & CLIENT_IMPLIES_SYNACK;
	first_of(&c->fin, &c->fin_from, SINCE_START(f->client_fin), SINCE_START(f->server_fin));
	first_of(&c->rst, &c->rst_from, SINCE_START(f->client_rst), SINCE_START(f->server_rst));
	c->icmp = SINCE_START(f->icmp);
	c->icmp_type = f->icmp_type;
	c->icmp_code = f->icmp_code;
	c->icmp_hard = f->icmp_flags & ICMP_HARD;
	c->icmp_from = f->icmp_from;
	c->too_big = f->icmp_flags & ICMP_TOO_BIG;
	c->from_gateway = f->server_flags & SERVER_RST_GATEWAY || f->icmp_flags & ICMP_GATEWAY;

	/* the server accepted a request in the SYN (TCP Fast Open) */
	if (f->server_flags & SERVER_TOOK_SYN_DATA)
		c->client_first = c->syn;
	derive_durations(c, f->server_flags & SERVER_TOOK_SYN_DATA);
#undef SINCE_START
}

bool payload_is_full(const struct payload *p)
{
	return p->size && is_full_sized(p->size, p->mss);
}

bool payload_is_black_holed(const struct payload *p)
{
	return !p->acked && p->again >= 2 && payload_is_full(p);
}

/*
 * A retransmission within this time after the answer may have crossed the answer. If a SYN or its
 * answer is lost behind us, the timers of both ends expire at the same time, and SYN and SYN-ACK
 * cross. No timer of a handshake is this short (RFC 6298 2.1: 1 s), and few round trips are longer.
 */
#define UNDER_WAY_NS (500 * (ns_t)MILLISECOND_NS)

bool connection_lost_near(const struct connection *c)
{
	bool synack_again = c->synack_count > 1 + c->synack_after_ack && c->ack != NEVER &&
			    c->ack - c->synack > UNDER_WAY_NS;
	bool syn_again =
		c->syn_count > 1 && c->synack != NEVER && c->syn_last - c->synack > UNDER_WAY_NS;

	return c->client_gap || synack_again || syn_again;
}

bool connection_lost_far(const struct connection *c)
{
	return connection_answered_late(c) && !c->challenged;
}

unsigned int connection_syn_copies(const struct connection *c)
{
	unsigned int near = c->syn_count ? c->syn_copies / c->syn_count : 0;
	unsigned int far = c->far.syn_count ? c->far.syn_copies / c->far.syn_count : 0;

	return near > far ? near : far;
}

bool connection_answered_late(const struct connection *c)
{
	return c->synack != NEVER && c->syn_times_count > 1 && c->syn_times[1] < c->synack &&
	       !c->refusals;
}

enum side connection_end(const struct connection *c, ns_t *when)
{
	bool by_rst = c->rst != NEVER && (c->fin == NEVER || c->rst < c->fin);

	if (when)
		*when = by_rst ? c->rst : c->fin;
	return by_rst ? c->rst_from : c->fin_from;
}

bool connection_is_greeted(const struct connection *c)
{
	bool is_closed = c->fin != NEVER && c->fin_from == SIDE_CLIENT && c->fin <= c->server_first;
	bool is_alert =
		c->server_payload.has_first_byte && c->server_payload.first_byte == TLS_ALERT;

	return c->banner != NEVER && !is_closed && !is_alert;
}

ns_t connection_silence(const struct connection *c)
{
	if (c->ack == NEVER || c->client_first != NEVER || c->server_first != NEVER ||
	    c->fin != NEVER || c->rst != NEVER)
		return NEVER;
	return c->settled - c->ack;
}

enum failure connection_failure(const struct connection *c)
{
	switch (c->outcome) {
	case OUTCOME_REFUSED:
		return FAILURE_REFUSED;
	case OUTCOME_UNREACHABLE:
		return FAILURE_UNREACHABLE;
	case OUTCOME_UNANSWERED:
		if (c->elsewhere)
			return FAILURE_NONE;
		if (c->watched < SILENT_NS || c->during_attach)
			return FAILURE_TOO_EARLY;
		return c->syn_count > 1 ? FAILURE_SILENT : FAILURE_ONE_SYN;
	default:
		return FAILURE_NONE;
	}
}

const char *icmp_words(bool ip4, uint8_t type, uint8_t code)
{
	/* RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1 */
	static const char *const unreachable4[] = {
		"network unreachable",
		"host unreachable",
		"protocol unreachable",
		"port unreachable",
		"fragmentation needed",
		"source route failed",
		"network unknown",
		"host unknown",
		"source host isolated",
		"network prohibited",
		"host prohibited",
		"network unreachable for this service",
		"host unreachable for this service",
		"administratively prohibited",
		"host precedence violation",
		"precedence cut-off",
	};
	/* RFC 4443 3.1 */
	static const char *const unreachable6[] = {
		"no route",
		"administratively prohibited",
		"beyond scope of source address",
		"address unreachable",
		"port unreachable",
		"source address failed policy",
		"route rejected",
		"error in source routing header",
	};

	if (type == (ip4 ? 11 : 3))
		return "time exceeded: a routing loop?";
	if (ip4 && type == 3 && code < sizeof(unreachable4) / sizeof(unreachable4[0]))
		return unreachable4[code];
	if (!ip4 && type == 1 && code < sizeof(unreachable6) / sizeof(unreachable6[0]))
		return unreachable6[code];
	return NULL;
}
