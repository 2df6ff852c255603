/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Converts parsed headers into a struct segment: one TCP segment, or one ICMP error about a
 * segment.
 */
#pragma once

#include "flow_hash.h"
#include "parse.h"
#include "record.h"

enum segment_kind { SEGMENT_TCP, SEGMENT_ICMP_ERROR };

/*
 * A TCP segment or an ICMP error. In an ICMP error, addresses, ports and seq are those of the
 * quoted segment.
 */
struct segment {
	struct address source;
	struct address destination;
	__u16 source_port;
	__u16 destination_port;
	__u16 vlan[2];
	__u32 ifindex;
	__u32 seq;
	__u32 ack;
	__u32 payload; /* bytes */
	__u16 mss; /* MSS option of a SYN; 0 if absent */
	__u16 ip_id; /* 0 for IPv6 */
	__u8 flags; /* TCP_... */
	__u8 kind; /* enum segment_kind */
	bool ip6;
	bool egress;
	bool from_gateway; /* this host generated the packet */
	/* the destination MAC is another machine's: this host does not forward the packet */
	bool other_host;
	bool has_mac;
	bool icmp_hard;
	bool icmp_too_big;
	__u8 mac[6]; /* source MAC address */
	__u8 icmp_type;
	__u8 icmp_code;
	struct address icmp_from;
	/*
	 * Set by process_segment(). They are members because a segment is in map memory in the
	 * kernel: the verifier tracks no values there and follows fewer paths.
	 */
	struct flow_key key;
	bool from_end_1; /* the source is key.end[1] */
	__u32 hash; /* segment_hash(), set by the caller of process_segment() */
	__u64 time; /* ns; 0 if no function needs the time */
	__u32 entry_sum; /* bucket_entry_sum() */
};

/*
 * Returns false if an IPv6 header contains an IPv4-mapped address (RFC 4291 2.5.5.2). Flow keys use
 * such addresses for IPv4, so the packet would alias an IPv4 flow. Linux drops packets from such an
 * address.
 */
static __always_inline bool has_valid_addresses(const struct segment *s)
{
	return !s->ip6 || !(is_mapped(&s->source) || is_mapped(&s->destination));
}

/* Returns the same hash as hash_headers() does for the packet. */
static __always_inline __u32 segment_hash(const struct segment *s,
					  const volatile struct hash_seed *seed)
{
	const __u16 ports[] = { cpu_to_be16(s->source_port), cpu_to_be16(s->destination_port) };
	const __u8 *source = (const __u8 *)&s->source, *destination = (const __u8 *)&s->destination;
	const __u8 *from = (const __u8 *)&ports[0], *to = (const __u8 *)&ports[1];

	return s->ip6 ? hash_ends(hash_end(source, from, true, seed),
				  hash_end(destination, to, true, seed), seed)
		      : hash_ends(hash_end(source + 12, from, false, seed),
				  hash_end(destination + 12, to, false, seed), seed);
}

static __always_inline void read_address(struct address *a, const __u8 *p, bool ip6)
{
	if (ip6) {
		a->word[0] = LOAD(__u32, p);
		a->word[1] = LOAD(__u32, p + 4);
		a->word[2] = LOAD(__u32, p + 8);
		a->word[3] = LOAD(__u32, p + 12);
	} else {
		a->word[0] = 0;
		a->word[1] = 0;
		a->word[2] = IP4_PREFIX;
		a->word[3] = LOAD(__u32, p);
	}
}

static __always_inline void segment_set_addresses(const struct headers *h, struct segment *s)
{
	s->ip6 = h->ip6;
	read_address(&s->source, h->ip + (h->ip6 ? 8 : 12), h->ip6);
	read_address(&s->destination, h->ip + (h->ip6 ? 24 : 16), h->ip6);
}

/*
 * Returns the MSS of a SYN, or 0. Only the first option is read: every stack in use sends the MSS
 * first (RFC 9293 3.7.1).
 */
static __always_inline __u16 read_mss(const struct frame *f, const struct headers *h, __u32 header)
{
	const __u8 *option = h->transport + 20;

	if (header < 24)
		return 0;
	if (f->launder) /* see header_at() */
		option = header_at(f, launder(f, h->transport_offset) + 20, 4);
	else if (h->transport_offset > MAX_HEADERS - 24 || option + 4 > f->end)
		option = NULL;
	return option && get_be16(option) == 0x0204 ? get_be16(option + 2) : 0;
}

/*
 * Fills in *s from headers parsed as PARSE_TCP. The caller sets hash, egress, from_gateway, ifindex
 * and other_host.
 */
static __always_inline void segment_from_tcp(const struct frame *f, const struct headers *h,
					     struct segment *s)
{
	const __u8 *tcp = h->transport;
	__u32 header = (tcp[12] >> 4) * 4;

	s->kind = SEGMENT_TCP;
	segment_set_addresses(h, s);
	s->source_port = get_be16(tcp);
	s->destination_port = get_be16(tcp + 2);
	s->vlan[0] = h->vlan[0];
	s->vlan[1] = h->vlan[1];
	s->seq = get_be32(tcp + 4);
	s->ack = get_be32(tcp + 8);
	s->payload = h->transport_length > header ? h->transport_length - header : 0;
	s->ip_id = h->ip6 ? 0 : get_be16(h->ip + 4);
	s->flags = tcp[13];
	s->mss = s->flags & TCP_SYN ? read_mss(f, h, header) : 0;
	s->has_mac = h->ethernet != NULL;
	if (h->ethernet)
		__builtin_memcpy(s->mac, h->ethernet + 6, 6);
}

/*
 * Fills in *s from headers parsed as PARSE_ICMP. Returns true for an ICMP error that quotes a TCP
 * segment (RFC 792, RFC 4443). At least eight bytes of TCP are quoted: ports and sequence number.
 */
static __always_inline bool segment_from_icmp(const struct frame *f, const struct headers *h,
					      struct segment *s)
{
	__u8 type = h->transport[0], code = h->transport[1];
	struct headers quoted = {};
	const __u8 *tcp;

	if (!is_icmp_error(type, h->ip6))
		return false;
	if (h->ip6) {
		s->icmp_hard = type == ICMP6_UNREACHABLE;
		s->icmp_too_big = type == ICMP6_TOO_BIG;
		if (parse_ip6(f, h->transport_offset + 8, &quoted) != PARSE_OK)
			return false;
	} else {
		s->icmp_too_big = type == ICMP4_UNREACHABLE && code == ICMP4_FRAGMENTATION_NEEDED;
		s->icmp_hard = type == ICMP4_UNREACHABLE && !s->icmp_too_big;
		if (parse_ip4(f, h->transport_offset + 8, &quoted) != PARSE_OK)
			return false;
	}
	if (quoted.protocol != PROTOCOL_TCP)
		return false;
	tcp = header_at(f, quoted.transport_offset, 8);
	if (!tcp)
		return false;
	s->kind = SEGMENT_ICMP_ERROR;
	s->icmp_type = type;
	s->icmp_code = code;
	read_address(&s->icmp_from, h->ip + (h->ip6 ? 8 : 12), h->ip6);
	segment_set_addresses(&quoted, s);
	s->source_port = get_be16(tcp);
	s->destination_port = get_be16(tcp + 2);
	s->vlan[0] = h->vlan[0];
	s->vlan[1] = h->vlan[1];
	s->seq = get_be32(tcp + 4);
	return true;
}
