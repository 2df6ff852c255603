/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The format in which DNS packets are passed to user space: a struct dns_head, then the first bytes
 * of the frame. The kernel keeps no state for DNS. User space joins questions and answers, since a
 * client repeats a question from another port, with another id, or to another server.
 */
#pragma once

#include "headers.h"
#include "record.h"

/* Bytes of the DNS message that are passed on. The headers before it are passed on whole. */
#define MAX_DNS_MESSAGE 512
#define MAX_DNS_BYTES (MAX_HEADERS + MAX_DNS_MESSAGE)

#define DNS_PORT 53
#define MAX_DNS_PORTS 8

enum dns_flag {
	DNS_EGRESS = 1 << 0,
	DNS_FROM_GATEWAY = 1 << 1, /* this host generated the packet */
	DNS_HAS_MAC = 1 << 2,
	DNS_OVER_TCP =
		1 << 3, /* the message begins with its length in two bytes (RFC 1035 4.2.2) */
	DNS_ICMP_ERROR = 1 << 4, /* the rest is about the packet that the error quotes */
	DNS_FIRST_FRAGMENT = 1 << 5, /* of several: the others follow, and are not passed on */
	/*
	 * the frame ends here because of the snap length of a capture, or in a tunnel before kernel
	 * 5.14
	 */
	DNS_CUT = 1 << 6,
};

/* Ports, VLAN ids and lengths are in host order, addresses in network order. */
struct dns_head {
	struct address source;
	struct address destination;
	struct address icmp_from; /* who sent the ICMP error; else 0 */
	__u64 time; /* ns of the source's clock */
	__u32 ifindex;
	/* at egress: the interface by which the packet came in; 0 if this host generated it */
	__u32 in_ifindex;
	__u32 wire_length; /* bytes of the frame */
	__u32 message_length; /* bytes of the message on the wire, by the IP or UDP header */
	__u16 length; /* bytes of the frame behind this head */
	__u16 offset; /* of the message in these bytes; at most length */
	__u16 source_port;
	__u16 destination_port;
	__u16 vlan[2]; /* as in struct flow_key */
	__u16 vlan_protocol; /* TPID of the VLAN tag in the skb's metadata; 0 without a tag */
	__u16 vlan_tci;
	__u8 mac[6]; /* source MAC address, with DNS_HAS_MAC */
	__u8 flags; /* enum dns_flag */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 pad[7];
};
