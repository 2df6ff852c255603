/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What crosses from kernel to user: one record for each connection attempt, when it settles.
 *
 * Times are nanoseconds of the source's clock: CLOCK_MONOTONIC at the hook, a capture's own time
 * otherwise. 0 is "not seen". Ports, sequence numbers and lengths are in host order, addresses in
 * network order.
 */
#pragma once

#include "compat.h"

#define RECORD_VERSION 3

#define SECOND_NS 1000000000ULL
#define MILLISECOND_NS 1000000ULL
#define MICROSECOND_NS 1000ULL

/* IPv4 as ::ffff:a.b.c.d. */
struct address {
	__u32 word[4];
};

#define IP4_PREFIX cpu_to_be32(0xffff)

static __always_inline bool is_mapped(const struct address *a)
{
	return !(a->word[0] | a->word[1] | (a->word[2] ^ IP4_PREFIX));
}

/* Both directions of a connection have the same key: see segment_set_key(). */
struct flow_key {
	struct address end[2];
	__u16 port[2];
	__u16 vlan[2]; /* VLAN ids from the outside in; 0 is none (802.1Q: no VLAN has this id) */
	__u32 ifindex;
	__u32 pad; /* 0: keys are compared by words of 64 bits */
} __attribute__((aligned(8)));

#define SYN_TIMES 8

/* Each byte of flags has one writing direction, as every field of struct flow has. */
enum client_flag {
	CLIENT_IS_END_1 = 1 << 0, /* key.end[1] sent the first SYN, else key.end[0] */
	CLIENT_HAS_MAC = 1 << 1,
	CLIENT_EGRESS = 1 << 2, /* the first SYN was seen leaving */
	CLIENT_IMPLIES_SYNACK =
		1 << 3, /* spoke as only a client with an answer does; none was seen */
	CLIENT_GAP = 1 << 4, /* its first payload begins too far on: what came before was lost */
	CLIENT_ACKED = 1 << 5, /* it acknowledged the server's first payload */
	/* with --follow-peers, when a SYN was sent again: what had become of the one before? */
	CLIENT_FORWARDED = 1 << 6, /* it was seen leaving this host: see flow.forwarded_by */
	CLIENT_NOT_FORWARDED = 1 << 7, /* it was not, by none of the interfaces that are followed */
};

enum server_flag {
	SERVER_EGRESS = 1 << 0, /* the first SYN-ACK was seen leaving */
	SERVER_IMPLIES_OPEN = 1 << 1, /* spoke as if open; of the handshake a part is missing */
	SERVER_REFUSED = 1 << 2, /* acceptable RST in answer to the SYN (RFC 9293 3.10.7.3) */
	SERVER_RST_GATEWAY = 1 << 3, /* this very host made the RST */
	SERVER_TOOK_SYN_DATA = 1 << 4, /* Fast Open: the SYN's payload was taken (RFC 7413) */
	SERVER_SYN = 1 << 5, /* simultaneous open (RFC 9293 3.5) */
	SERVER_UNACCEPTABLE =
		1 << 6, /* RST or SYN-ACK with a wrong number: a real client ignores it */
	SERVER_CHALLENGED = 1 << 7, /* answered the SYN by a bare ACK (RFC 5961 4.2) */
};

enum icmp_flag {
	ICMP_SEEN = 1 << 0,
	ICMP_HARD = 1 << 1, /* unreachable: the attempt fails (RFC 1122 4.2.3.9) */
	ICMP_GATEWAY = 1 << 2, /* this very host made it */
	ICMP_TOO_BIG = 1 << 3, /* about a later segment (RFC 1191 4, RFC 8201) */
};

struct flow {
	/* the client's segments write these */
	__u64 syn_times[SYN_TIMES];
	__u64 syn_last;
	__u64 ack;
	__u64 client_first;
	__u64 client_fin;
	__u64 client_rst;
	__u32 client_isn;
	__u32 syn_count;
	__u32 syn_copies;
	__u32 client_retransmit_us; /* when its first payload was last sent again, behind client_first */
	__u16 client_mss; /* that its SYN offers (RFC 9293 3.7.1), 0 when none was seen */
	__u16 client_size; /* bytes of its first payload */
	__u16 syn_ip_id;
	__u16 syn_payload;
	__u8 client_mac[6];
	__u8 client_flags;
	__u8 client_segments; /* with payload, while the server had sent none or it was not acked */
	__u8 client_retransmits; /* how often its first payload was sent again */

	/* the server's segments write these */
	__u64 synack;
	__u64 synack_last;
	__u64 server_first;
	__u64 server_fin;
	__u64 server_rst;
	__u32 server_isn;
	__u32 synack_count;
	__u32 synack_copies;
	__u32 server_retransmit_us;
	__u16 server_mss;
	__u16 server_size;
	__u16 synack_ip_id;
	__u8 server_flags;
	__u8 server_segments;
	__u8 server_retransmits;
	__u8 server_acked; /* it acknowledged the client's first payload */
	__u8 synack_after_ack; /* SYN-ACKs sent again although the handshake's ACK had passed */

	/* ICMP errors write these */
	__u64 icmp;
	struct address icmp_from;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 icmp_flags;

	__u8 forwarded_by; /* with CLIENT_FORWARDED: the lowest byte of the interface's index */
	__u8 other_host; /* the first SYN was addressed to another machine on the link */
	__u32 hash; /* by a hash of the four-tuple, see line.h */
};

enum end_reason {
	END_NONE,
	END_PAYLOAD, /* both sides have sent payload */
	END_RST,
	END_FIN, /* of both sides */
	END_TIMEOUT, /* nothing more is to be expected */
	END_SUPERSEDED, /* another attempt began on the same four-tuple */
	END_ONE_SIDED, /* ONE_SIDED_SEGMENTS with payload, all from one side */
	END_PRESSURE, /* gave its place to a newer attempt */
	END_OF_RUN, /* of the run */
	END_REASONS,
};

struct record {
	__u32 version;
	__u32 end_reason;
	__u64 settled;
	struct flow_key key;
	struct flow flow;
};

/* Counters of the kernel side: packets, unless another unit is said. */
enum counter {
	COUNT_ATTEMPTS, /* connection attempts that were given a place */
	COUNT_PUBLISHED, /* records handed over */
	COUNT_LATE_SYN_COPIES, /* SYN of a connection that has settled already */
	COUNT_ALREADY_OPEN, /* connections that were open before the start, as far as they showed
			       themselves */
	COUNT_NOT_SELECTED, /* SYNs outside --client, --server, --port */
	COUNT_UDP_443_BYTES,
	COUNT_UDP_BYTES, /* without port 443 */
	COUNT_IP_OTHER, /* neither TCP, UDP nor ICMP */
	COUNT_FRAGMENTS, /* later fragments: they carry no ports */
	COUNT_MALFORMED, /* lengths that contradict each other, IPv4 addresses in IPv6 headers */
	COUNT_UNKNOWN_LINK, /* neither IPv4 nor IPv6; by ethertype in the map of that name */
	/* losses */
	COUNT_LOST_MAP, /* attempts without a place: map full */
	COUNT_LOST_RING, /* records without a place: ring full */
	COUNT_LOST_EVICTED, /* attempts without handshake that gave their place while the ring was
			       half full */
	COUNT_LOST_TRUNCATED, /* TCP headers that could not be read */
	COUNT_LOST_PACKETS, /* for --write, without a place: ring full */
	COUNTERS,
};

#define FIRST_LOSS COUNT_LOST_MAP
