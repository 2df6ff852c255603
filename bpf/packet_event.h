/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Head of a saved packet (--write), and the roles that a packet can have in its attempt. The first
 * bytes of each packet with a role are sent to user space behind such a head, before the attempt's
 * record.
 */
#pragma once

#include "track.h"

/* Maximum number of bytes of a packet behind the head. */
#define MAX_SNAPLEN 4096

/* Roles of a packet in its attempt, as a bit mask. */
enum role {
	ROLE_SYN = 1 << 0, /* one of the first SYN_TIMES */
	ROLE_SYNACK = 1 << 1, /* one of the first SYN_TIMES */
	ROLE_ACK = 1 << 2, /* completes the handshake */
	ROLE_CLIENT_FIRST = 1 << 3, /* the client's first payload */
	ROLE_SERVER_FIRST = 1 << 4, /* the server's first payload */
	ROLE_FIN = 1 << 5, /* the first FIN of either side */
	ROLE_RST = 1 << 6,
	ROLE_ICMP = 1 << 7, /* an error about the SYN */
};

enum packet_flag {
	PACKET_EGRESS = 1 << 0,
	PACKET_CLIENT_IS_END_1 = 1 << 1, /* the attempt has CLIENT_IS_END_1 */
};

struct packet_head {
	struct flow_key key;
	__u32 wire_length;
	/* time of the attempt's first SYN: identifies the attempt, together with the key */
	__u64 syn;
	__u64 time;
	__u32 length; /* bytes behind this head */
	__u16 vlan_protocol; /* TPID of the VLAN tag in the skb's metadata; 0 without a tag */
	__u16 vlan_tci;
	__u8 roles; /* enum role */
	__u8 flags; /* enum packet_flag */
	__u8 pad[6];
};

/*
 * Returns the roles of a packet, or 0. Call it after track() or flow_start() with the same segment
 * and time.
 */
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
