// SPDX-License-Identifier: GPL-2.0
#include "attempt.h"
#include "track.h"

#include <string.h>

#define SWEEP_NS (250 * (ns_t)MILLISECOND_NS) /* the period of the sweeps by user space */
#define MSS_IP4 1460
#define MSS_IP6 1440

void wire_init(struct wire *w)
{
	memset(w, 0, sizeof(*w));
	w->synack = w->synack_again = w->ack = NEVER;
	w->client_first = w->server_first = NEVER;
	w->client_fin = w->server_fin = NEVER;
	w->refused = w->icmp = w->reset = NEVER;
	w->syn_traits = (struct syn_traits){
		.ttl = 64,
		.scale = 7,
		.window = 64240,
		.mss = MSS_IP4,
		.option_order = OPTIONS(MSS, SACK, TIMESTAMP, NOP, SCALE),
		.has_timestamp = true,
	};
	w->synack_ttl = 57;
	w->synack_window = 65160;
}

/* Returns NEVER for a moment later than the last observed one. */
static ns_t until(ns_t moment, ns_t last)
{
	return moment > last ? NEVER : moment;
}

static ns_t later(ns_t a, ns_t b)
{
	return a > b ? a : b;
}

static ns_t between(ns_t from, ns_t to)
{
	return from == NEVER || to == NEVER ? NEVER : to - from;
}

static ns_t at_sweep(ns_t due)
{
	return (due / SWEEP_NS + 1) * SWEEP_NS;
}

/*
 * Returns the moment at which the record settles, and its reason; the run's end may come before it.
 */
static ns_t settles(const struct wire *w, ns_t last_syn, enum end_reason *why)
{
	ns_t life = later(last_syn, w->icmp);

	if (w->refused != NEVER) {
		*why = END_RST;
		return w->refused;
	}
	if (w->reset != NEVER) {
		*why = END_RST;
		return w->reset;
	}
	if (w->client_first != NEVER && w->server_first != NEVER) {
		*why = END_PAYLOAD;
		if (w->server_first > w->client_first &&
		    is_full_sized(w->server_size, is_ip4(&w->client.address) ? MSS_IP4 : MSS_IP6))
			return w->server_first + w->round_trip;
		return later(w->client_first, w->server_first);
	}
	if (w->client_fin != NEVER && w->server_fin != NEVER) {
		*why = END_FIN;
		return later(w->client_fin, w->server_fin);
	}
	if (w->ack != NEVER) {
		*why = END_OF_RUN;
		return INT64_MAX;
	}
	*why = END_TIMEOUT;
	life = later(life, later(w->synack, w->synack_again));
	return at_sweep(life + (ns_t)SILENCE_NS);
}

ns_t wire_gap_bound(const struct wire *w)
{
	unsigned int n = w->syn_count;

	if (n < 2)
		return w->syns[0] + 3 * (ns_t)SECOND_NS;
	return w->syns[n - 1] + 2 * (w->syns[n - 1] - w->syns[n - 2]);
}

enum fate wire_fate(const struct wire *w, ns_t end)
{
	bool greets = w->client_first == NEVER || w->server_first < w->client_first;

	if (until(w->refused, end) != NEVER)
		return FATE_REFUSED;
	if (until(w->synack, end) == NEVER)
		return until(w->icmp, end) == NEVER ? FATE_SILENT : FATE_UNREACHABLE;
	if (until(w->ack, end) == NEVER)
		return FATE_HALF_OPEN;
	if (until(w->server_first, end) == NEVER)
		return FATE_OPEN;
	if (w->synack - w->syns[0] >= STALL_NS || w->ack - w->synack >= STALL_NS ||
	    w->server_first - (greets ? w->ack : w->client_first) >= STALL_NS)
		return FATE_LATE;
	return !greets && w->client_first - w->ack >= STALL_NS ? FATE_HELD : FATE_PROMPT;
}

bool wire_settle(struct connection *c, const struct wire *wire, ns_t end)
{
	struct wire w = *wire;
	unsigned int i;
	ns_t at;

	if (w.syns[0] > end)
		return false;
	memset(c, 0, sizeof(*c));
	at = settles(&w, w.syns[w.syn_count - 1], &c->end_reason);
	if (at > end) {
		at = end;
		c->end_reason = END_OF_RUN;
	}

	c->client = w.client;
	c->server = w.server;
	c->ifindex = 2;
	c->has_mac = w.has_mac;
	memcpy(c->mac, w.mac, sizeof(c->mac));
	c->settled = at;
	c->watched = at - w.syns[0];

	for (i = 0; i < w.syn_count && w.syns[i] <= at; i++) {
		if (i < SYN_TIMES)
			c->syn_times[c->syn_times_count++] = w.syns[i];
		c->syn_last = w.syns[i];
		c->syn_count++;
	}
	c->syn = w.syns[0];
	c->synack = until(w.synack, at);
	c->ack = until(w.ack, at);
	c->attempts = 1;
	c->syn_traits = w.syn_traits;
	if (c->synack != NEVER) {
		c->synack_ttl = w.synack_ttl;
		c->synack_window = w.synack_window;
	}
	c->synack_after_ack = c->ack != NEVER ? w.synack_after_ack : 0;
	c->synack_count = (c->synack != NEVER) + (until(w.synack_again, at) != NEVER);
	c->client_first = until(w.client_first, at);
	c->server_first = until(w.server_first, at);
	c->client_payload.mss = c->server_payload.mss =
		is_ip4(&w.client.address) ? MSS_IP4 : MSS_IP6;
	if (c->synack == NEVER)
		c->client_payload.mss = 0;
	if (c->client_first != NEVER) {
		c->client_payload.size = w.client_size;
		c->client_flight = w.client_size;
		c->client_segments = w.request_segments ? w.request_segments : 1;
		c->client_payload.again = w.client_retransmits;
		c->client_payload.acked = w.request_acked || (c->server_first != NEVER &&
							      c->server_first > c->client_first);
	}
	if (c->server_first != NEVER) {
		c->server_payload.size = w.server_size;
		c->server_payload.acked = at > c->server_first;
	}
	c->fin = until(w.client_fin, at);
	c->fin_from = c->fin == NEVER ? SIDE_NONE : SIDE_CLIENT;
	if (until(w.server_fin, at) != NEVER && (c->fin == NEVER || w.server_fin < c->fin)) {
		c->fin = w.server_fin;
		c->fin_from = SIDE_SERVER;
	}
	c->rst = until(w.refused, at);
	c->rst_from = c->rst == NEVER ? SIDE_NONE : SIDE_SERVER;
	if (until(w.reset, at) != NEVER) {
		c->rst = w.reset;
		c->rst_from = w.reset_by;
		c->rst_ttl = w.synack_ttl;
		c->rst_acked = c->client_first == NEVER ? RST_ACKS_NOTHING : 1 + w.client_size;
	}
	c->icmp = until(w.icmp, at);
	if (c->icmp != NEVER) {
		c->icmp_type = is_ip4(&w.server.address) ? 3 : 1; /* unreachable */
		c->icmp_code = is_ip4(&w.server.address) ? 1 : 3; /* host; address */
		c->icmp_hard = true;
		c->icmp_from = w.icmp_from;
	}
	if (c->synack != NEVER)
		c->outcome = c->ack != NEVER ? OUTCOME_ESTABLISHED : OUTCOME_HALF_OPEN;
	else if (c->rst != NEVER)
		c->outcome = OUTCOME_REFUSED;
	else
		c->outcome = c->icmp != NEVER ? OUTCOME_UNREACHABLE : OUTCOME_UNANSWERED;

	c->wait = between(c->ack, c->client_first);
	c->answer = between(c->client_first, c->server_first);
	c->banner = NEVER;
	if (c->server_first != NEVER &&
	    (c->client_first == NEVER || c->server_first < c->client_first)) {
		c->banner = between(c->ack, c->server_first);
		c->wait = c->answer = NEVER;
	}
	c->server_round_trip = c->syn_count == 1 ? between(c->syn, c->synack) : NEVER;
	c->client_round_trip = c->synack_count == 1 ? between(c->synack, c->ack) : NEVER;
	return true;
}
