/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The invariants of every record, whatever was on the wire. Returns the first violated one, or
 * NULL.
 */
#pragma once

#include <stddef.h>
#include <string.h>

#include "track.h"

#define HOLDS(condition)                   \
	do {                               \
		if (!(condition))          \
			return #condition; \
	} while (0)
#define IMPLIES(a, b) HOLDS(!(a) || (b))

static inline const char *key_wrong(const struct flow_key *k)
{
	__u64 from[2], to[2];

	memcpy(from, &k->end[0], sizeof(from));
	memcpy(to, &k->end[1], sizeof(to));
	HOLDS(from[0] != to[0]	 ? from[0] < to[0]
	      : from[1] != to[1] ? from[1] < to[1]
				 : k->port[0] <= k->port[1]);
	HOLDS(!k->pad);
	HOLDS(k->vlan[0] < 4096 && k->vlan[1] < 4096);
	IMPLIES(k->vlan[1], k->vlan[0]);
	return NULL;
}

/* For a clock that only goes forwards, until the record's end. */
static inline const char *order_wrong(const struct record *r)
{
	const struct flow *f = &r->flow;
	const __u64 times[] = { f->syn_last,	 f->synack,	  f->synack_last, f->ack,
				f->client_first, f->server_first, f->client_fin,  f->server_fin,
				f->client_rst,	 f->server_rst,	  f->icmp };
	unsigned int i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		IMPLIES(times[i], times[i] >= f->syn_times[0] && times[i] <= r->settled);
	for (i = 1; i < SYN_TIMES && i < f->syn_count; i++)
		HOLDS(f->syn_times[i] >= f->syn_times[i - 1]);
	HOLDS(f->syn_last >= f->syn_times[i - 1]);
	IMPLIES(f->synack, f->synack <= f->synack_last);
	IMPLIES(f->synack && f->ack && !(f->server_flags & SERVER_SYN), f->ack >= f->synack);
	IMPLIES(f->synack && f->client_first && !(f->server_flags & SERVER_SYN) &&
			!(f->client_flags & CLIENT_IMPLIES_SYNACK),
		f->client_first >= f->synack);
	return NULL;
}

static inline const char *counts_wrong(const struct flow *f)
{
	unsigned int i;

	HOLDS(f->syn_count >= 1 && f->syn_last);
	for (i = 0; i < SYN_TIMES; i++)
		HOLDS(!f->syn_times[i] == (i >= f->syn_count));
	IMPLIES(f->syn_count <= SYN_TIMES, f->syn_last == f->syn_times[f->syn_count - 1]);
	HOLDS(!f->synack == !f->synack_count && !f->synack == !f->synack_last);
	IMPLIES(f->synack_count == 1, f->synack_last == f->synack);
	IMPLIES(f->synack_copies, f->synack);
	IMPLIES(f->synack_after_ack, f->ack && f->synack_count > f->synack_after_ack);
	HOLDS(f->client_segments <= ONE_SIDED_SEGMENTS && f->server_segments <= ONE_SIDED_SEGMENTS);
	IMPLIES(f->client_segments, f->client_first);
	IMPLIES(f->server_segments, f->server_first);
	HOLDS(!f->client_retransmits == !f->client_retransmit_us &&
	      !f->server_retransmits == !f->server_retransmit_us);
	HOLDS(!f->client_size == !f->client_first);
	IMPLIES(f->client_flight, f->client_first);
	IMPLIES(f->server_size, f->server_first);
	return NULL;
}

static inline const char *flags_wrong(const struct flow *f)
{
	const __u8 no_mac[6] = {};

	IMPLIES(f->ack, f->synack || f->server_flags & SERVER_SYN);
	IMPLIES(f->client_first, f->synack || f->server_flags & SERVER_SYN ||
					 f->client_flags & CLIENT_IMPLIES_SYNACK);
	IMPLIES(f->server_first, f->synack || f->server_flags & SERVER_IMPLIES_OPEN);
	IMPLIES(f->client_flags & CLIENT_HAS_MAC, !(f->client_flags & CLIENT_EGRESS));
	IMPLIES(!(f->client_flags & CLIENT_HAS_MAC), !memcmp(f->client_mac, no_mac, 6));
	IMPLIES(f->client_flags & CLIENT_GAP, f->client_first);
	IMPLIES(f->client_flags & CLIENT_ACKED, f->server_first);
	IMPLIES(f->client_flags & (CLIENT_FORWARDED | CLIENT_NOT_FORWARDED), f->syn_count > 1);
	IMPLIES(f->server_flags & SERVER_EGRESS, f->synack);
	IMPLIES(f->server_flags & SERVER_TOOK_SYN_DATA, f->synack && f->syn_payload);
	IMPLIES(f->server_flags & SERVER_REFUSED, f->server_rst && !f->synack);
	IMPLIES(f->server_flags & SERVER_RST_GATEWAY, f->server_rst);
	HOLDS(f->client_flags < CLIENT_ACKS_UNSEEN << 1 && f->server_flags < SERVER_ACKS_UNSEEN
										     << 1);
	IMPLIES(f->server_flags & SERVER_ACKED, f->client_first);
	IMPLIES(f->client_flags & CLIENT_ACKS_UNSEEN, f->synack);
	IMPLIES(f->server_flags & SERVER_ACKS_UNSEEN, f->synack);
	HOLDS(f->icmp_flags < 1 << 4 && !f->icmp == !(f->icmp_flags & ICMP_SEEN));
	IMPLIES(f->icmp_flags & (ICMP_HARD | ICMP_GATEWAY), f->icmp);
	IMPLIES(!f->icmp, !f->icmp_type && !f->icmp_code);
	return NULL;
}

static inline const char *details_wrong(const struct flow *f)
{
	__u32 order = f->syn_options & SYN_OPTION_ORDER;

	IMPLIES(f->client_flags & CLIENT_FIRST_BYTE, f->client_first);
	IMPLIES(f->server_flags & SERVER_FIRST_BYTE, f->server_first);
	IMPLIES(f->client_first_byte, f->client_flags & CLIENT_FIRST_BYTE);
	IMPLIES(f->server_first_byte, f->server_flags & SERVER_FIRST_BYTE);
	IMPLIES(f->client_alert_level, f->client_first_byte == TLS_ALERT);
	IMPLIES(f->server_alert_level, f->server_first_byte == TLS_ALERT);
	while (order & ((1 << SYN_OPTION_BITS) - 1))
		order >>= SYN_OPTION_BITS;
	HOLDS(!order); /* none follows the last one */
	IMPLIES(f->syn_tsval, f->syn_options & SYN_TIMESTAMP);
	IMPLIES(f->synack_tsecr, f->server_flags & SERVER_TIMESTAMP);
	IMPLIES(f->server_mss || f->synack_window || f->synack_ttl ||
			f->server_flags & (SERVER_TIMESTAMP | SERVER_SYNACK_GATEWAY),
		f->synack);
	IMPLIES(f->rst_ttl || f->rst_acked, f->server_rst || f->server_flags & SERVER_IGNORED_RST);
	return NULL;
}

static inline const char *end_wrong(const struct record *r)
{
	const struct flow *f = &r->flow;

	HOLDS(r->version == RECORD_VERSION);
	HOLDS(r->end_reason > END_NONE && r->end_reason < END_REASONS);
	HOLDS(r->settled >= f->syn_times[0]);
	IMPLIES(r->end_reason == END_PAYLOAD,
		f->server_first && (f->client_first || f->server_flags & SERVER_TOOK_SYN_DATA));
	IMPLIES(r->end_reason == END_RST, f->server_rst || f->client_rst);
	IMPLIES(f->server_rst, r->end_reason == END_RST);
	IMPLIES(r->end_reason == END_FIN, f->client_fin && f->server_fin);
	IMPLIES(r->end_reason == END_ONE_SIDED, f->client_segments == ONE_SIDED_SEGMENTS ||
							f->server_segments == ONE_SIDED_SEGMENTS);
	return NULL;
}

static inline const char *record_wrong(const struct record *r, bool forwards)
{
	const char *wrong = end_wrong(r);

	if (!wrong)
		wrong = key_wrong(&r->key);
	if (!wrong)
		wrong = counts_wrong(&r->flow);
	if (!wrong)
		wrong = flags_wrong(&r->flow);
	if (!wrong)
		wrong = details_wrong(&r->flow);
	if (!wrong && forwards)
		wrong = order_wrong(r);
	return wrong;
}
