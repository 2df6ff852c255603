/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which packets decide what becomes of an attempt? While packets are kept (--write), the beginning
 * of each of them crosses to user space behind one of these heads, before the attempt's record does.
 */
#pragma once

#include "track.h"

/* The most bytes of a packet that a hook hands over, behind the head. */
#define MAX_SNAPLEN 4096

/* What a packet is to its attempt; one may be several of these. */
enum role {
	ROLE_SYN = 1 << 0, /* one of the first SYN_TIMES */
	ROLE_SYNACK = 1 << 1, /* likewise */
	ROLE_ACK = 1 << 2, /* the handshake's */
	ROLE_CLIENT_FIRST = 1 << 3, /* the client's first payload */
	ROLE_SERVER_FIRST = 1 << 4,
	ROLE_FIN = 1 << 5, /* a side's first */
	ROLE_RST = 1 << 6,
	ROLE_ICMP = 1 << 7, /* an error about the SYN */
};

enum packet_flag {
	PACKET_EGRESS = 1 << 0,
	PACKET_CLIENT_IS_END_1 = 1 << 1, /* as CLIENT_IS_END_1 */
};

struct packet_head {
	struct flow_key key;
	__u32 wire_length;
	__u64 syn; /* time of the attempt's first SYN: with the key, which attempt */
	__u64 time;
	__u32 length; /* bytes behind this head */
	__u16 vlan_protocol; /* of the tag in the skb's metadata, when there is one; else 0 */
	__u16 vlan_tci;
	__u8 roles; /* enum role */
	__u8 flags; /* enum packet_flag */
	__u8 pad[6];
};

/* Of a segment that track() or flow_start() has just seen at this time. */
static __always_inline __u8 packet_roles(const struct flow *f, const struct segment *s,
					 bool from_client, __u64 now)
{
	__u8 roles = 0;

	if (s->kind == SEGMENT_ICMP_ERROR)
		return f->icmp == now ? ROLE_ICMP : 0;
	if (s->flags & TCP_RST)
		return f->client_rst == now || f->server_rst == now ? ROLE_RST : 0;
	if (s->flags & TCP_SYN) {
		if (s->flags & TCP_ACK)
			return f->synack_last == now && f->synack_count <= SYN_TIMES ? ROLE_SYNACK
										     : 0;
		return from_client && f->syn_last == now && f->syn_count <= SYN_TIMES ? ROLE_SYN
										      : 0;
	}
	if (from_client) {
		if (f->ack == now)
			roles |= ROLE_ACK;
		if (f->client_first == now)
			roles |= ROLE_CLIENT_FIRST;
		if (f->client_fin == now)
			roles |= ROLE_FIN;
	} else {
		if (f->server_first == now)
			roles |= ROLE_SERVER_FIRST;
		if (f->server_fin == now)
			roles |= ROLE_FIN;
	}
	return roles;
}
