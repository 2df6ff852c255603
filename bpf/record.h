/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record format between kernel and user space: one record for each connection attempt, written
 * when the attempt settles. Records of END_SYNACK_ALONE are no attempts.
 *
 * Times are nanoseconds of the source's clock: CLOCK_MONOTONIC on a hook, the capture's own time
 * otherwise. 0 means "not seen". Ports, sequence numbers and lengths are in host order, addresses
 * in network order.
 */
#pragma once

#include "compat.h"

#define RECORD_VERSION 4

#define SECOND_NS 1000000000ULL
#define MILLISECOND_NS 1000000ULL
#define MICROSECOND_NS 1000ULL

/* IPv4 addresses are stored IPv4-mapped, as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
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
	/* VLAN ids, outermost first; 0 means no VLAN (IEEE 802.1Q reserves this id) */
	__u16 vlan[2];
	__u32 ifindex;
	__u32 pad; /* 0: keys are compared by 64-bit words */
} __attribute__((aligned(8)));

#define SYN_TIMES 8

/* Segments of the client set client_flags, segments of the server set server_flags. */
enum client_flag {
	CLIENT_IS_END_1 = 1 << 0, /* key.end[1] sent the first SYN; otherwise key.end[0] did */
	CLIENT_HAS_MAC = 1 << 1,
	CLIENT_EGRESS = 1 << 2, /* the first SYN was seen at egress */
	/* sent a segment that only a client with a SYN-ACK sends, although no SYN-ACK was seen */
	CLIENT_IMPLIES_SYNACK = 1 << 3,
	/* the first payload starts beyond ISN+1: earlier payload was not seen */
	CLIENT_GAP = 1 << 4,
	CLIENT_ACKED = 1 << 5, /* the client acknowledged the server's first payload */
	/*
	 * With --follow-peers, set when a SYN is retransmitted: whether the previous SYN was
	 * forwarded.
	 */
	CLIENT_FORWARDED = 1 << 6, /* seen leaving this host, see flow.forwarded_by */
	CLIENT_NOT_FORWARDED = 1 << 7, /* not seen leaving on any followed interface */
	/* the first SYN was sent to the MAC address of another machine */
	CLIENT_OTHER_HOST = 1 << 8,
	CLIENT_FIRST_BYTE = 1 << 9, /* client_first_byte was captured */
	/* acknowledged payload of the server (or its FIN), although none had been seen */
	CLIENT_ACKS_UNSEEN = 1 << 10,
};

enum server_flag {
	SERVER_EGRESS = 1 << 0, /* the first SYN-ACK was seen at egress */
	/* sent a segment that only an open connection sends; part of the handshake was not seen */
	SERVER_IMPLIES_OPEN = 1 << 1,
	SERVER_REFUSED = 1 << 2, /* acceptable RST in answer to the SYN (RFC 9293 3.10.7.3) */
	SERVER_RST_GATEWAY = 1 << 3, /* this host generated the RST */
	/* Fast Open: the SYN-ACK acknowledged payload of the SYN (RFC 7413) */
	SERVER_TOOK_SYN_DATA = 1 << 4,
	SERVER_SYN = 1 << 5, /* simultaneous open (RFC 9293 3.5) */
	/*
	 * RST, or SYN-ACK, in answer to the SYN with an unacceptable ACK or without one: the client
	 * ignores it (RFC 9293 3.10.7.3)
	 */
	SERVER_IGNORED_RST = 1 << 6,
	SERVER_IGNORED_SYNACK = 1 << 7,
	SERVER_CHALLENGED = 1 << 8, /* replied to the SYN with a bare ACK (RFC 5961 4.2) */
	SERVER_ACKED = 1 << 9, /* the server acknowledged the client's first payload */
	SERVER_SYNACK_GATEWAY = 1 << 10, /* this host generated the first SYN-ACK */
	SERVER_TIMESTAMP = 1 << 11, /* the first SYN-ACK has time stamps; synack_tsecr is valid */
	SERVER_FIRST_BYTE = 1 << 12, /* server_first_byte was captured */
	/* acknowledged payload of the client (or its FIN), although none had been seen */
	SERVER_ACKS_UNSEEN = 1 << 13,
};

enum icmp_flag {
	ICMP_SEEN = 1 << 0,
	/* destination unreachable, which aborts the attempt (RFC 1122 4.2.3.9) */
	ICMP_HARD = 1 << 1,
	ICMP_GATEWAY = 1 << 2, /* this host generated the error */
	/* an error about a later segment reported a smaller MTU (RFC 1191 4, RFC 8201) */
	ICMP_TOO_BIG = 1 << 3,
};

/*
 * flow.syn_options: the options of the first SYN.
 *
 * Bits 0 to 23 are the order of the first eight options (SYN_OPTION_ORDER): three bits each, the
 * first option in the lowest bits, enum syn_option. SYN_OPTION_NONE follows the last one. The order
 * ends at the end-of-option-list (kind 0), at an option with a malformed length, or where a capture
 * cut the packet.
 */
#define SYN_OPTIONS 8
#define SYN_OPTION_BITS 3
#define SYN_OPTION_ORDER ((1U << SYN_OPTIONS * SYN_OPTION_BITS) - 1)

enum syn_option {
	SYN_OPTION_NONE,
	SYN_OPTION_NOP,
	SYN_OPTION_MSS,
	SYN_OPTION_SCALE, /* window scale (RFC 7323 2) */
	SYN_OPTION_SACK, /* SACK permitted (RFC 2018 2) */
	SYN_OPTION_TIMESTAMP, /* RFC 7323 3 */
	SYN_OPTION_MPTCP, /* RFC 8684 3.1 */
	SYN_OPTION_OTHER, /* with Fast Open: see SYN_FAST_OPEN */
};

/* Bits 24 to 27 are the window scale, 0 to 14, or SYN_NO_SCALE. */
#define SYN_SCALE_SHIFT 24
#define SYN_NO_SCALE 15
/* Bits 28 to 31 */
#define SYN_TIMESTAMP (1U << 28) /* has time stamps; syn_tsval is valid */
#define SYN_ECN (1U << 29) /* asks for ECN: has the flags ECE and CWR (RFC 3168 6.1.1) */
#define SYN_MPTCP (1U << 30)
#define SYN_FAST_OPEN (1U << 31) /* RFC 7413 4.1.1, or its experimental kind */

/* Value of flow.rst_acked */
#define RST_ACKS_NOTHING 0xffff

#define TLS_ALERT 0x15 /* record type (RFC 8446 5.1) */

/* Members are in the order of their size within each group: there is no padding. */
struct flow {
	/* written by segments of the client */
	__u64 syn_times[SYN_TIMES];
	__u64 syn_last;
	__u64 ack;
	__u64 client_first;
	__u64 client_fin;
	__u64 client_rst;
	__u32 client_isn;
	/* microseconds from client_first to the last retransmission of that payload */
	__u32 client_retransmit_us;
	__u32 syn_options; /* of the first SYN: SYN_OPTION_ORDER and what follows it */
	__u32 syn_tsval; /* TSval of the first SYN (RFC 7323 3); see SYN_TIMESTAMP */
	__u16 client_flags; /* enum client_flag */
	__u16 syn_count; /* all counts stop at their largest value */
	__u16 syn_copies;
	__u16 client_mss; /* offered in the SYN (RFC 9293 3.7.1); 0 if absent */
	__u16 client_size; /* bytes of the client's first payload */
	/*
	 * bytes of the client's first flight: the payload that it sent before the server's first
	 * payload, without retransmissions and without payload of the SYN; at most 0xffff
	 */
	__u16 client_flight;
	__u16 syn_ip_id;
	__u16 syn_payload;
	__u16 syn_window; /* of the first SYN */
	__u8 client_mac[6];
	/* segments with payload, until the server's first payload was seen and acknowledged */
	__u8 client_segments;
	__u8 client_retransmits; /* retransmissions of the client's first payload */
	/*
	 * the byte after the SYN, and the level of a TLS alert if that byte is TLS_ALERT; see
	 * CLIENT_FIRST_BYTE
	 */
	__u8 client_first_byte;
	__u8 client_alert_level;
	__u8 syn_ttl; /* TTL or hop limit of the first SYN */

	/* written by ICMP errors */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 icmp_flags;
	__u64 icmp;
	struct address icmp_from;

	/* written by segments of the server */
	__u64 synack;
	__u64 synack_last;
	__u64 server_first;
	__u64 server_fin;
	__u64 server_rst;
	__u32 server_isn;
	__u32 server_retransmit_us;
	__u32 synack_tsecr; /* TSecr of the first SYN-ACK; see SERVER_TIMESTAMP */
	__u16 server_flags; /* enum server_flag */
	__u16 synack_count;
	__u16 synack_copies;
	__u16 server_mss;
	__u16 server_size;
	__u16 synack_ip_id;
	__u16 synack_window; /* of the first SYN-ACK, which is not scaled */
	/*
	 * Bytes that the server's RST acknowledges, counting the SYN; RST_ACKS_NOTHING if it has no
	 * ACK flag or acknowledges other numbers. Of the RST in server_rst; without it, of the
	 * first RST of SERVER_IGNORED_RST.
	 */
	__u16 rst_acked;
	__u8 server_segments;
	__u8 server_retransmits;
	/* SYN-ACKs that were retransmitted although the ACK of the handshake had passed */
	__u8 synack_after_ack;
	__u8 server_first_byte; /* the byte after the SYN-ACK; see client_first_byte */
	__u8 server_alert_level;
	__u8 synack_ttl; /* of the first SYN-ACK */
	__u8 rst_ttl; /* of the same RST as rst_acked */

	__u8 forwarded_by; /* with CLIENT_FORWARDED: lowest byte of the interface index */
	__u32 hash; /* of the four-tuple, see flow_hash.h */
};

_Static_assert(sizeof(struct flow) == 256, "a flow is four cache lines");

/* Why a flow settled. The JSON field is settled_by; IPFIX has flowEndReason (IE 136). */
enum end_reason {
	END_NONE,
	END_PAYLOAD, /* both sides sent payload */
	END_RST,
	END_FIN, /* both sides sent a FIN */
	END_TIMEOUT, /* silent for longer than any retransmission timer */
	END_SUPERSEDED, /* a new attempt started on the same four-tuple */
	/* one side sent ONE_SIDED_SEGMENTS segments with payload, the other side sent none */
	END_ONE_SIDED,
	END_PRESSURE, /* evicted or settled early, because the table is full or nearly full */
	END_OF_RUN, /* the run ended */
	END_REASONS,
	/* not an attempt, but a SYN-ACK without a SYN: see record_synack_alone() */
	END_SYNACK_ALONE = END_REASONS,
};

struct record {
	__u32 version;
	__u32 end_reason;
	__u64 settled;
	struct flow_key key;
	struct flow flow;
};

/*
 * Connections of a server that were reset after they had opened, as seen on one interface; see
 * reset.h. Counts are in connections. Unless stated otherwise, the RST came from the server's side.
 */
struct reset_server {
	struct address address;
	__u32 ifindex;
	__u16 port;
	__u8 ttl_min, ttl_max; /* of RSTs that this host did not generate */
	__u64 first, last; /* times of counted RSTs */
	__u64 window_first; /* start of the current window of RESET_WINDOW_NS */
	__u64 burst_first, burst_last; /* of the window with the most resets so far */
	__u32 window, burst; /* resets in these two windows */
	__u32 resets; /* all that count; each of the following three is a part of it */
	__u32 without_ack; /* the sender of the RST does not know the connection */
	__u32 by_gateway; /* this host generated the RST */
	__u32 opened_here; /* the SYN was seen in this run, or another connection's with its bit */
	/* not in resets: RSTs with ACK of connections whose SYN was seen: this is how many close */
	__u32 closes;
	__u32 by_client; /* not in resets: RSTs of the other side, since the entry exists */
	__u64 clients[2]; /* bitmap of hashed client addresses */
};

/* Counters of the kernel side, in packets unless stated otherwise. */
enum counter {
	COUNT_ATTEMPTS, /* connection attempts that were inserted into the table */
	COUNT_PUBLISHED, /* records written to the ring */
	COUNT_LATE_SYN_COPIES, /* SYNs of a connection that has settled already */
	/* connections whose SYN was not seen, if their first control segment seen is a FIN or RST */
	COUNT_ALREADY_OPEN,
	/* SYN-ACKs without a SYN: the same, if it is a SYN-ACK */
	COUNT_SYNACK_ALONE,
	/* reset connections beyond RESET_BUDGET, or of servers whose entry was replaced */
	COUNT_RESETS_NOT_COUNTED,
	COUNT_NOT_SELECTED, /* SYNs that --client, --server and --port do not select */
	COUNT_UDP_443_BYTES,
	COUNT_UDP_DNS_BYTES, /* bytes of UDP on the ports of DNS */
	COUNT_UDP_BYTES, /* bytes of UDP to and from other ports */
	COUNT_IP_OTHER, /* neither TCP, UDP nor ICMP */
	COUNT_FRAGMENTS, /* fragments other than the first: they carry no ports */
	COUNT_MALFORMED, /* inconsistent lengths, or IPv4-mapped addresses in an IPv6 header */
	COUNT_UNKNOWN_LINK, /* neither IPv4 nor IPv6; the map ethertypes counts them by ethertype */
	COUNT_DNS, /* DNS packets that were passed to user space */
	COUNT_DNS_NOT_SAMPLED, /* of hosts that are not in the sample, see dns.h */
	/* all further counters are losses */
	COUNT_LOST_MAP, /* attempts without a slot, because the table was full */
	COUNT_LOST_RING, /* records that were dropped because the ring was full */
	/* attempts without a handshake whose records were dropped because the ring was half full */
	COUNT_LOST_CROWDED,
	COUNT_LOST_TRUNCATED, /* packets whose TCP header could not be read */
	COUNT_LOST_PACKETS, /* packets for --write that were dropped because the ring was full */
	COUNT_LOST_DNS, /* DNS packets that were dropped because their ring was full */
	COUNT_LOST_DNS_BUDGET, /* DNS packets beyond the budget */
	COUNTERS,
};

#define FIRST_LOSS COUNT_LOST_MAP
