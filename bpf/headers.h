/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protocol constants, the classification of protocol numbers, and the structs that describe a frame
 * and its headers.
 */
#pragma once

#include "compat.h"

/* Bytes of a frame that are parsed. Headers must not extend beyond them. */
#define MAX_HEADERS 256

#define MAX_VLAN_TAGS 4
#define MAX_PLAIN_VLAN_TAGS 2
#define MAX_MPLS_LABELS 4
#define MAX_IP6_EXTENSIONS 6

enum {
	ETHERTYPE_IP4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100, /* IEEE 802.1Q */
	ETHERTYPE_IP6 = 0x86dd,
	ETHERTYPE_MPLS = 0x8847, /* RFC 3032 */
	ETHERTYPE_MPLS_UPSTREAM = 0x8848, /* RFC 5332 */
	ETHERTYPE_PPPOE = 0x8864, /* RFC 2516, session stage */
	ETHERTYPE_QINQ = 0x88a8, /* IEEE 802.1ad */
	ETHERTYPE_QINQ_OLD = 0x9100,
	ETHERTYPE_QINQ_OLDER = 0x9200,
	ETHERTYPE_MIN = 0x0600, /* smaller values are a length (IEEE 802.3) */
};

enum { PPP_IP4 = 0x21, PPP_IP6 = 0x57, PPP_MPLS = 0x281 };

enum {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP4 = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AH = 51,
	PROTOCOL_ICMP6 = 58,
	PROTOCOL_DESTINATION = 60,
	PROTOCOL_MOBILITY = 135,
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
};

enum {
	TCP_FIN = 1 << 0,
	TCP_SYN = 1 << 1,
	TCP_RST = 1 << 2,
	TCP_ACK = 1 << 4,
	TCP_ECE = 1 << 6, /* RFC 3168 6.1 */
	TCP_CWR = 1 << 7,
};

/* A segment with one of these flags changes the state of a connection. */
#define TCP_CONTROL (TCP_SYN | TCP_FIN | TCP_RST)

/* ICMP4_FRAGMENTATION_NEEDED is a code of ICMP4_UNREACHABLE; the other constants are types. */
enum { ICMP4_UNREACHABLE = 3, ICMP4_TIME_EXCEEDED = 11, ICMP4_FRAGMENTATION_NEEDED = 4 };
enum {
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER_PROBLEM = 4,
};

/* The bytes of a frame. begin points to the link header, or to the IP header with LINK_RAW_IP. */
struct frame {
	const __u8 *begin;
	const __u8 *end;
	/*
	 * bytes on the wire: more than end - begin if the capture or the linear part is truncated
	 */
	__u32 wire_length;
	/* see launder(); NULL unless the frame is the kernel's copy of the headers */
	volatile __u32 *launder;
};

enum link_type {
	LINK_ETHERNET,
	LINK_RAW_IP, /* no link header: the caller passes the ethertype */
};

/* The result of parse_headers() or parse_plain_tcp(). */
enum parse_result {
	PARSE_OK, /* this layer is valid: continue with the next header */
	PARSE_TCP,
	PARSE_UDP,
	PARSE_ICMP,
	PARSE_OTHER_PROTO, /* IP, but neither TCP, UDP nor ICMP */
	PARSE_FRAGMENT, /* a fragment other than the first */
	PARSE_IGNORE, /* ARP: not even counted */
	PARSE_SLOW, /* of parse_plain_tcp(): parse_headers() must decide */
	PARSE_UNKNOWN_LINK, /* neither IPv4 nor IPv6, see headers.ethertype */
	PARSE_MALFORMED,
	PARSE_TRUNCATED, /* the headers continue beyond the end of the frame */
};

/*
 * Pointers into a frame. 20 bytes (IPv4) or 40 bytes (IPv6) are readable at ip, and 20 bytes (TCP)
 * or 8 bytes (UDP, ICMP) at transport.
 */
struct headers {
	const __u8 *ethernet; /* NULL without an Ethernet header */
	const __u8 *ip;
	const __u8 *transport;
	__u32 transport_offset;
	/* from the IP header, since Ethernet pads short frames */
	__u32 transport_length;
	__u16 vlan[2]; /* as in struct flow_key */
	__u16 ethertype;
	__u8 protocol;
	bool ip6;
	bool fragment; /* the first of several fragments */
};

static __always_inline bool is_vlan(__u16 ethertype)
{
	return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ ||
	       ethertype == ETHERTYPE_QINQ_OLD || ethertype == ETHERTYPE_QINQ_OLDER;
}

static __always_inline bool is_ip6_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_FRAGMENT || protocol == PROTOCOL_AH ||
	       protocol == PROTOCOL_DESTINATION || protocol == PROTOCOL_MOBILITY ||
	       protocol == PROTOCOL_HIP || protocol == PROTOCOL_SHIM6;
}

/* Returns true for errors that may quote a TCP segment (RFC 792, RFC 4443). */
static __always_inline bool is_icmp_error(__u8 type, bool ip6)
{
	if (ip6)
		return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM;
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED;
}
