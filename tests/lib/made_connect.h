/* SPDX-License-Identifier: GPL-2.0 */
/* Made connections, as the program would have seen them: the base of the scenes of unit tests. */
#pragma once

#include "connection.h"

#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))

static inline struct address ip4(unsigned int address)
{
	return (struct address){ .word = { 0, 0, IP4_PREFIX, cpu_to_be32(address) } };
}

static inline struct endpoint ip4_endpoint(unsigned int address, uint16_t port)
{
	return (struct endpoint){ .address = ip4(address), .port = port };
}

/* A handshake of 11 ms at this second. Nothing was sent after it. */
static inline struct connection made_handshake(struct endpoint client, struct endpoint server,
					       double at)
{
	struct connection c = { .outcome = OUTCOME_ESTABLISHED, .end_reason = END_PAYLOAD };

	c.client = client;
	c.server = server;
	c.attempts = 1;
	c.syn = c.syn_times[0] = c.syn_last = SECONDS(at);
	c.syn_count = c.syn_times_count = c.synack_count = 1;
	c.synack = c.syn + SECONDS(0.01);
	c.ack = c.synack + SECONDS(0.001);
	c.server_round_trip = SECONDS(0.01);
	c.client_round_trip = SECONDS(0.001);
	c.client_first = c.server_first = c.wait = c.answer = c.banner = NEVER;
	c.fin = c.rst = c.icmp = NEVER;
	c.far.syn = c.far.synack = c.far.client_first = NEVER;
	return c;
}

/* The client sends its request after `wait` seconds and is answered after `answer` seconds. */
static inline void make_served(struct connection *c, double wait, double answer)
{
	c->wait = SECONDS(wait);
	c->client_first = c->ack + c->wait;
	c->answer = SECONDS(answer);
	c->server_first = c->settled = c->client_first + c->answer;
	c->watched = c->settled - c->syn;
	c->client_payload = (struct payload){ .mss = 1460, .size = 500, .acked = true };
	c->server_payload = (struct payload){ .mss = 1460, .size = 900, .acked = true };
}
