/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Converts parsed headers into a struct segment: one TCP segment, one UDP datagram of DNS, or one
 * ICMP error about either.
 */
#pragma once

#include "flow_hash.h"
#include "parse.h"
#include "record.h"
#include "tcp_options.h"

enum segment_kind {
	SEGMENT_TCP,
	SEGMENT_ICMP_ERROR, /* about a TCP segment */
	SEGMENT_UDP, /* for dns.h only, like the next: no flow is tracked for them */
	SEGMENT_UDP_ERROR, /* an ICMP error about a UDP datagram */
};

/* Parts of a packet that are read only for the few segments that need them. */
enum segment_need {
	NEEDS_NOTHING,
	NEEDS_OPTIONS, /* segment.options */
	NEEDS_PAYLOAD, /* segment.first_byte and segment.alert_level */
};

/*
 * A TCP segment, a UDP datagram or an ICMP error. In an ICMP error, addresses, ports and seq are
 * those of the quoted segment; about UDP, offset and length of the payload as well.
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
	__u32 tcp_offset; /* of the TCP or UDP header in the packet */
	/* set by segment_set_place() */
	__u32 ip_offset; /* of the IP header of the datagram, or of the quoted packet */
	__u32 icmp_ip_offset, icmp_offset; /* of the IP and ICMP headers of the error */
	__u8 protocol; /* of the datagram or the quoted packet */
	__u16 window;
	__u16 ip_id; /* 0 for IPv6 */
	__u8 ttl; /* or hop limit */
	/* byte 12 of the TCP header: its words, in the upper four bits; UDP_DATA_OFFSET of UDP */
	__u8 data_offset;
	__u8 flags; /* all eight: TCP_... */
	__u8 kind; /* enum segment_kind */
	bool ip6;
	bool egress;
	bool from_gateway; /* this host generated the packet */
	/* the destination MAC is another machine's: this host does not forward the packet */
	bool other_host;
	bool has_mac;
	bool fragment; /* of UDP: the first of several fragments */
	bool icmp_hard;
	bool icmp_too_big;
	__u8 mac[6]; /* source MAC address */
	__u8 needs; /* enum segment_need, set by process_segment() */
	/* set by segment_set_payload() */
	bool has_first_byte;
	__u8 first_byte;
	__u8 alert_level;
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
	bool was_closing; /* of a FIN or RST: another one of the connection was seen before */
	struct segment_options options; /* valid with NEEDS_OPTIONS */
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

#define TCP_HEADER 20 /* bytes without options */
#define UDP_HEADER 8
#define UDP_DATA_OFFSET (UDP_HEADER / 4 << 4) /* as TCP would write it */

static __always_inline __u32 payload_offset(const struct segment *s)
{
	return s->tcp_offset + (s->data_offset >> 4) * 4;
}

/* Returns the number of bytes of TCP options in a packet that ends at the offset end. */
static __always_inline __u32 options_available(const struct segment *s, __u32 end)
{
	if (end > payload_offset(s))
		end = payload_offset(s);
	return end > s->tcp_offset + TCP_HEADER ? end - s->tcp_offset - TCP_HEADER : 0;
}

/* Offset of the level in a TLS alert: type, version and length precede it (RFC 8446 5.1, 6). */
#define TLS_ALERT_LEVEL 5

static __always_inline bool is_alert(const struct segment *s, int first_byte)
{
	return first_byte == TLS_ALERT && s->payload > TLS_ALERT_LEVEL;
}

/*
 * Stores the first byte of the payload, and the level of a TLS alert. A negative number stands for
 * a byte that was not captured. Of other payload, only that of DNS is read, see dns.h.
 *
 * Buys: distinguishes an answer from a refusal in TLS, and TLS from other protocols.
 * Costs: a helper call for one or two packets of a connection, see tcp_options.h.
 */
static __always_inline void segment_set_payload(struct segment *s, int first_byte, int alert_level)
{
	s->has_first_byte = first_byte >= 0;
	s->first_byte = first_byte < 0 ? 0 : first_byte;
	s->alert_level = alert_level < 0 ? 0 : alert_level;
}

/*
 * Fills in *s from headers parsed as PARSE_TCP. The caller sets hash, egress, from_gateway, ifindex
 * and other_host.
 */
static __always_inline void segment_from_tcp(const struct headers *h, struct segment *s)
{
	const __u8 *tcp = h->transport;
	__u32 header;

	s->kind = SEGMENT_TCP;
	segment_set_addresses(h, s);
	s->source_port = get_be16(tcp);
	s->destination_port = get_be16(tcp + 2);
	s->vlan[0] = h->vlan[0];
	s->vlan[1] = h->vlan[1];
	s->seq = get_be32(tcp + 4);
	s->ack = get_be32(tcp + 8);
	s->tcp_offset = h->transport_offset;
	s->data_offset = tcp[12];
	/* read it back: the verifier then does not track its bounds, see launder() */
	header = (*(volatile __u8 *)&s->data_offset >> 4) * 4;
	s->payload = h->transport_length > header ? h->transport_length - header : 0;
	if (h->ip6) {
		s->ip_id = 0;
		s->ttl = h->ip[7];
	} else {
		s->ip_id = get_be16(h->ip + 4);
		s->ttl = h->ip[8];
	}
	s->flags = tcp[13];
	s->window = get_be16(tcp + 14);
	s->has_first_byte = false;
	s->fragment = h->fragment;
	s->has_mac = h->ethernet != NULL;
	if (h->ethernet)
		__builtin_memcpy(s->mac, h->ethernet + 6, 6);
}

/*
 * Stores where the headers of a UDP datagram, or of a packet that is quoted, are. The caller then
 * calls segment_read_udp() or segment_read_quote(). There are two steps, since the verifier follows
 * each path of the parser through the first step.
 */
static __always_inline void segment_set_place(const struct frame *f, const struct headers *h,
					      struct segment *s)
{
	s->fragment = h->fragment;
	s->protocol = h->protocol;
	s->ip_offset = h->ip - f->begin;
	s->tcp_offset = h->transport_offset;
	s->payload = h->transport_length;
}

/* Returns a pointer to the header at an offset that header_at() has checked. */
static __always_inline const __u8 *place_at(const __u8 *bytes, __u32 offset)
{
	return bytes + (offset & (2 * MAX_HEADERS - 1));
}

static __always_inline void segment_read_ends(struct segment *s, const __u8 *ip,
					      const __u8 *transport)
{
	s->ip6 = ip[0] >> 4 == 6;
	read_address(&s->source, ip + (s->ip6 ? 8 : 12), s->ip6);
	read_address(&s->destination, ip + (s->ip6 ? 24 : 16), s->ip6);
	s->source_port = get_be16(transport);
	s->destination_port = get_be16(transport + 2);
}

/*
 * The length is that of the UDP header, which covers all fragments, unless the IP datagram is
 * shorter.
 */
static __always_inline void segment_set_udp_length(struct segment *s, const __u8 *udp)
{
	__u32 length = get_be16(udp + 4);

	if (length < UDP_HEADER || (length > s->payload && !s->fragment))
		length = s->payload;
	s->payload = length > UDP_HEADER ? length - UDP_HEADER : 0;
	s->data_offset = UDP_DATA_OFFSET;
}

/* Completes a UDP datagram, after segment_from_udp(). */
static __always_inline void segment_read_udp(struct segment *s, const __u8 *ip, const __u8 *udp)
{
	s->kind = SEGMENT_UDP;
	segment_read_ends(s, ip, udp);
	segment_set_udp_length(s, udp);
}

/*
 * Fills in *s from headers parsed as PARSE_UDP, up to segment_read_udp(). The caller sets what
 * segment_from_tcp() leaves.
 */
static __always_inline void segment_from_udp(const struct frame *f, const struct headers *h,
					     struct segment *s)
{
	s->vlan[0] = h->vlan[0];
	s->vlan[1] = h->vlan[1];
	s->has_mac = h->ethernet != NULL;
	segment_set_place(f, h, s);
}

/* Fills in *s from headers parsed as PARSE_ICMP, up to segment_parse_quote(). */
static __always_inline void segment_from_icmp(const struct frame *f, const struct headers *h,
					      struct segment *s)
{
	s->vlan[0] = h->vlan[0];
	s->vlan[1] = h->vlan[1];
	s->ip6 = h->ip6;
	s->icmp_ip_offset = h->ip - f->begin;
	s->icmp_offset = h->transport_offset;
}

/*
 * Parses the packet that an ICMP message quotes, up to segment_read_quote(). Returns false if none
 * can be parsed.
 */
static __always_inline bool segment_parse_quote(const struct frame *f, struct segment *s)
{
	__u32 offset = launder(f, s->icmp_offset + 8);
	struct headers quoted = {};
	enum parse_result parsed;

	parsed = s->ip6 ? parse_ip6(f, offset, &quoted) : parse_ip4(f, offset, &quoted);
	if (parsed != PARSE_OK)
		return false;
	segment_set_place(f, &quoted, s);
	return true;
}

static __always_inline void segment_set_icmp_kind(struct segment *s)
{
	if (s->ip6) {
		s->icmp_hard = s->icmp_type == ICMP6_UNREACHABLE;
		s->icmp_too_big = s->icmp_type == ICMP6_TOO_BIG;
	} else {
		s->icmp_too_big = s->icmp_type == ICMP4_UNREACHABLE &&
				  s->icmp_code == ICMP4_FRAGMENTATION_NEEDED;
		s->icmp_hard = s->icmp_type == ICMP4_UNREACHABLE && !s->icmp_too_big;
	}
}

/*
 * Completes an ICMP message in the first length bytes of a frame; in the kernel, scratch->headers.
 * Returns true for an error that quotes a TCP segment or a UDP datagram (RFC 792, RFC 4443). At
 * least eight bytes of these are quoted: ports, and the sequence number or length.
 */
static __always_inline bool segment_read_quote(struct segment *s, const __u8 *bytes, __u32 length)
{
	const __u8 *transport = place_at(bytes, s->tcp_offset), *outer, *icmp;

	if (s->tcp_offset > MAX_HEADERS - 8 || s->tcp_offset + 8 > length)
		return false;
	icmp = place_at(bytes, s->icmp_offset);
	outer = place_at(bytes, s->icmp_ip_offset);
	s->icmp_type = icmp[0];
	s->icmp_code = icmp[1];
	s->has_mac = false;
	s->seq = get_be32(transport + 4);
	s->kind = SEGMENT_ICMP_ERROR;
	segment_read_ends(s, place_at(bytes, s->ip_offset), transport);
	read_address(&s->icmp_from, outer + (s->ip6 ? 8 : 12), s->ip6);
	segment_set_icmp_kind(s);
	if (!is_icmp_error(s->icmp_type, s->ip6))
		return false;
	if (s->protocol == PROTOCOL_TCP)
		return true;
	if (s->protocol != PROTOCOL_UDP)
		return false;
	segment_set_udp_length(s, transport);
	s->kind = SEGMENT_UDP_ERROR;
	return true;
}
