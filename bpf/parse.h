/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parser: finds the IP and transport headers in the bytes of a frame.
 *
 * parse_headers() parses any frame. parse_plain() returns the same result for TCP or UDP behind plain
 * headers, with less code. Most packets reach neither, since fastpath() decides first.
 *
 * Contract for the verifier and the fuzzer: every access is checked against the frame's end, and
 * every variable offset also against MAX_HEADERS. So parse_headers() reads packet pointers as well
 * as a copy of the headers in a map. Checksums are not verified: a router does not verify TCP's
 * either.
 */
#pragma once

#include "headers.h"

/*
 * Returns a pointer to size bytes at offset. Returns NULL if they are not within the frame and its
 * first MAX_HEADERS bytes.
 */
static __always_inline const __u8 *header_at(const struct frame *f, __u32 offset, __u32 size)
{
	__u64 bounded = offset;
	const __u8 *p;

	if (offset > MAX_HEADERS - size)
		return NULL;
#ifdef __bpf__
	/* kernels before 5.16 lose the bound of a value that clang spilled to the stack */
	asm volatile("%0 &= %1" : "+r"(bounded) : "i"(2 * MAX_HEADERS - 1));
#endif
	p = f->begin + bounded;
	if (p + size > f->end)
		return NULL;
	return p;
}

/*
 * Returns number, with its value hidden from the verifier. The verifier explores one path for each
 * known value. Storing a number in a map and loading it back makes it unknown, so that paths merge.
 * header_at() checks the bound again.
 */
static __always_inline __u32 launder(const struct frame *f, __u32 number)
{
	if (!f->launder)
		return number;
	*f->launder = number;
	return *f->launder;
}

/*
 * Stores the VLAN id of a tag. A priority tag has VLAN id 0 and is skipped. Ids after the second
 * are dropped.
 */
static __always_inline void headers_add_vlan(struct headers *h, __u16 tci)
{
	if (!h->vlan[0])
		h->vlan[0] = tci & 0xfff;
	else if (!h->vlan[1])
		h->vlan[1] = tci & 0xfff;
}

/*
 * parse_ip4() and parse_ip6() parse an IP header at offset. They return PARSE_OK with the protocol
 * and the transport header's offset and length in *h, or why the packet is not parsed further.
 */
static __always_inline enum parse_result parse_ip4(const struct frame *f, __u32 offset,
						   struct headers *h)
{
	const __u8 *ip = header_at(f, offset, 20);
	__u32 header, total, fragment;

	if (!ip)
		return PARSE_TRUNCATED;
	header = (ip[0] & 15) * 4;
	if (ip[0] >> 4 != 4 || header < 20)
		return PARSE_MALFORMED;
	total = get_be16(ip + 2);
	if (!total) /* 0 with segmentation offload: the device fills it in */
		total = f->wire_length - offset;
	if (total < header)
		return PARSE_MALFORMED;
	fragment = get_be16(ip + 6);
	if (fragment & 0x1fff)
		return PARSE_FRAGMENT;
	h->ip = ip;
	h->ip6 = false;
	h->fragment = fragment & 0x2000;
	h->protocol = ip[9];
	if (unlikely(h->protocol == PROTOCOL_AH)) {
		const __u8 *ah;

		ah = header_at(f, offset + header, 2);
		if (!ah)
			return PARSE_TRUNCATED;
		h->protocol = ah[0];
		header += (ah[1] + 2) * 4;
		if (total < header)
			return PARSE_MALFORMED;
	}
	h->transport_offset = launder(f, offset + header);
	h->transport_length = total - header;
	return PARSE_OK;
}

static __always_inline enum parse_result parse_ip6(const struct frame *f, __u32 offset,
						   struct headers *h)
{
	const __u8 *ip = header_at(f, offset, 40), *extension;
	__u32 begin = offset + 40, length, step;
	__u8 next;
	int i;

	if (!ip)
		return PARSE_TRUNCATED;
	if (ip[0] >> 4 != 6)
		return PARSE_MALFORMED;
	offset = begin;
	next = ip[6];
	h->ip = ip;
	h->ip6 = true;
	h->fragment = false;
#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < MAX_IP6_EXTENSIONS; i++) {
		if (likely(!is_ip6_extension(next)))
			break;
		extension = header_at(f, offset, 8);
		if (!extension)
			return PARSE_TRUNCATED;
		step = (extension[1] + 1) * 8;
		if (next == PROTOCOL_AH)
			step = (extension[1] + 2) * 4;
		if (next == PROTOCOL_FRAGMENT) {
			step = 8;
			if (get_be16(extension + 2) & 0xfff8)
				return PARSE_FRAGMENT;
			h->fragment = true;
		}
		next = launder(f, extension[0]);
		offset = launder(f, offset + step);
	}
	length = get_be16(ip + 4);
	if (!length) /* segmentation offload, or a jumbogram (RFC 2675) */
		length = f->wire_length - begin;
	if (length < offset - begin)
		return PARSE_MALFORMED;
	h->protocol = next;
	h->transport_offset = offset;
	h->transport_length = length - (offset - begin);
	return PARSE_OK;
}

/*
 * Skips LLC/SNAP, PPPoE and MPLS between the Ethernet header and IP. Advances *offset and returns
 * the ethertype of the next header, or the ethertype that it cannot skip.
 */
static __always_inline __u16 parse_encapsulation(const struct frame *f, __u32 *offset,
						 __u16 ethertype)
{
	const __u8 *p;
	__u16 ppp = 0;
	int i;

	if (ethertype < ETHERTYPE_MIN) { /* IEEE 802.2 LLC with SNAP (RFC 1042) */
		p = header_at(f, *offset, 8);
		if (!p || get_be16(p) != 0xaaaa || get_be32(p + 2) != 0x03000000)
			return ethertype;
		*offset += 8;
		return get_be16(p + 6);
	}
	if (ethertype == ETHERTYPE_PPPOE) {
		p = header_at(f, *offset, 8);
		if (!p || p[1] != 0)
			return ethertype;
		ppp = p[6] & 1 ? p[6] : get_be16(p + 6);
		*offset += p[6] & 1 ? 7 : 8;
		if (ppp == PPP_IP4)
			return ETHERTYPE_IP4;
		if (ppp == PPP_IP6)
			return ETHERTYPE_IP6;
	}
	if (ethertype == ETHERTYPE_MPLS || ethertype == ETHERTYPE_MPLS_UPSTREAM ||
	    ppp == PPP_MPLS) {
#ifdef __bpf__
#pragma unroll
#endif
		for (i = 0; i < MAX_MPLS_LABELS; i++) {
			p = header_at(f, *offset, 5);
			if (!p)
				return ethertype;
			*offset = launder(f, *offset + 4);
			/* the first nibble after the label stack is the IP version (RFC 4928) */
			if (p[2] & 1) {
				if (p[4] >> 4 == 4)
					return ETHERTYPE_IP4;
				if (p[4] >> 4 == 6)
					return ETHERTYPE_IP6;
				return ethertype;
			}
		}
	}
	return ethertype;
}

/* Skips the link header up to IP. Sets h->ethernet, h->vlan, h->ethertype and *offset. */
static __always_inline enum parse_result parse_link(const struct frame *f, enum link_type link,
						    __u16 ethertype, __u32 *offset,
						    struct headers *h)
{
	const __u8 *p;
	int i;

	h->ethernet = NULL;
	if (link == LINK_ETHERNET) {
		p = header_at(f, 0, 14);
		if (!p)
			return PARSE_TRUNCATED;
		h->ethernet = p;
		ethertype = get_be16(p + 12);
		*offset = 14;
	}
	if (unlikely(ethertype != ETHERTYPE_IP4 && ethertype != ETHERTYPE_IP6)) {
#ifdef __bpf__
#pragma unroll
#endif
		for (i = 0; i < MAX_VLAN_TAGS; i++) {
			if (!is_vlan(ethertype))
				break;
			p = header_at(f, *offset, 4);
			if (!p)
				return PARSE_TRUNCATED;
			headers_add_vlan(h, get_be16(p));
			ethertype = get_be16(p + 2);
			*offset = launder(f, *offset + 4);
		}
		if (ethertype == ETHERTYPE_ARP)
			return PARSE_IGNORE;
		ethertype = launder(f, parse_encapsulation(f, offset, ethertype));
		*offset = launder(f, *offset);
	}
	h->ethertype = ethertype;
	return PARSE_OK;
}

/* Finds and checks the transport header of a packet whose IP header was parsed. */
static __always_inline enum parse_result parse_transport(const struct frame *f, struct headers *h)
{
	if (likely(h->protocol == PROTOCOL_TCP)) {
		h->transport = header_at(f, h->transport_offset, 20);
		if (!h->transport)
			return PARSE_TRUNCATED;
		/*
		 * a data offset below 5 words, or a datagram too small for the header (RFC 9293
		 * 3.1)
		 */
		if (h->transport[12] >> 4 < 5 || h->transport_length < 20)
			return PARSE_MALFORMED;
		if (h->transport_length < (__u32)(h->transport[12] >> 4) * 4 && !h->fragment)
			return PARSE_MALFORMED;
		return PARSE_TCP;
	}
	if (h->protocol != PROTOCOL_UDP &&
	    h->protocol != (h->ip6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP4))
		return PARSE_OTHER_PROTO;
	h->transport = header_at(f, h->transport_offset, 8);
	if (!h->transport) /* not PARSE_TRUNCATED: that counts lost TCP headers only */
		return PARSE_MALFORMED;
	return h->protocol == PROTOCOL_UDP ? PARSE_UDP : PARSE_ICMP;
}

/* Parses the IP packet at offset, and finds its transport header. */
static __always_inline enum parse_result parse_packet(const struct frame *f, __u32 offset,
						      struct headers *h)
{
	enum parse_result parsed;

	if (h->ethertype == ETHERTYPE_IP4)
		parsed = parse_ip4(f, offset, h);
	else if (h->ethertype == ETHERTYPE_IP6)
		parsed = parse_ip6(f, offset, h);
	else
		return PARSE_UNKNOWN_LINK;
	if (parsed != PARSE_OK)
		return parsed;
	return parse_transport(f, h);
}

/*
 * Parses a frame. ethertype is used with LINK_RAW_IP only. The caller sets h->vlan[0] to the VLAN
 * id in the skb's metadata, or 0: that tag is the outer one.
 */
static __always_inline enum parse_result parse_headers(const struct frame *f, enum link_type link,
						       __u16 ethertype, struct headers *h)
{
	enum parse_result parsed;
	__u32 offset = 0;

	parsed = parse_link(f, link, ethertype, &offset, h);
	return parsed == PARSE_OK ? parse_packet(f, offset, h) : parsed;
}

/*
 * Returns true for TCP that is not fragmented, or for UDP that is not a later fragment. Compares
 * fragment offset, flags and protocol in one load.
 */
static __always_inline bool is_plain_ip4(const __u8 *ip, __u8 protocol)
{
	__u32 mask = protocol == PROTOCOL_UDP ? 0x1fff00ff : 0x3fff00ff;

	return (LOAD(__u32, ip + 6) & cpu_to_be32(mask)) == cpu_to_be32(protocol);
}

/*
 * Returns PARSE_TCP or PARSE_UDP, with *h as parse_headers() fills it in, or PARSE_SLOW: the caller
 * then calls parse_headers(). Handles Ethernet with up to two VLAN tags, and IP without options or
 * extension headers. protocol is a constant, TCP or UDP.
 *
 * Buys: the hooks' share of a core at 5 000 connections a second is 2.0 instead of 2.3 %.
 * Costs: 70 lines that repeat checks of parse_headers().
 */
static __always_inline enum parse_result parse_plain(const struct frame *f, enum link_type link,
						     __u16 ethertype, __u8 protocol,
						     struct headers *h)
{
	const __u8 *ip = f->begin;
	__u32 offset = 0, header, length;
	int i;

	h->ethernet = NULL;
	if (link == LINK_ETHERNET) {
		h->ethernet = ip;
		offset = 14;
		ip += 14;
		if (ip > f->end)
			return PARSE_SLOW;
		ethertype = get_be16(ip - 2);
#ifdef __bpf__
#pragma unroll
#endif
		for (i = 0; i < MAX_PLAIN_VLAN_TAGS; i++) {
			if (likely(!is_vlan(ethertype)))
				break;
			offset += 4;
			ip += 4;
			if (ip > f->end)
				return PARSE_SLOW;
			headers_add_vlan(h, get_be16(ip - 4));
			ethertype = get_be16(ip - 2);
		}
	}
	h->ethertype = ethertype;
	h->ip = ip;
	h->ip6 = ethertype == ETHERTYPE_IP6;
	h->fragment = false;
	h->protocol = protocol;
	if (likely(ethertype == ETHERTYPE_IP4)) {
		if (ip + 40 > f->end || ip[0] != 0x45 || !is_plain_ip4(ip, protocol))
			return PARSE_SLOW;
		header = 20;
		length = get_be16(ip + 2);
		if (protocol == PROTOCOL_UDP)
			h->fragment = ip[6] & 0x20;
	} else if (h->ip6) {
		if (ip + 60 > f->end || ip[0] >> 4 != 6 || ip[6] != protocol)
			return PARSE_SLOW;
		header = 40;
		length = get_be16(ip + 4);
		if (length)
			length += header;
	} else {
		return PARSE_SLOW;
	}
	if (!length) /* as in parse_ip4() and parse_ip6() */
		length = f->wire_length - offset;
	h->transport = ip + header;
	h->transport_offset = offset + header;
	h->transport_length = length - header;
	/* a length below that of the headers wraps around, and the packet is malformed */
	if (protocol == PROTOCOL_UDP)
		return h->transport_length > 0xffffff ? PARSE_SLOW : PARSE_UDP;
	header = (h->transport[12] >> 4) * 4;
	return header < 20 || h->transport_length - header > 0xffffff ? PARSE_SLOW : PARSE_TCP;
}

static __always_inline enum parse_result parse_plain_tcp(const struct frame *f, enum link_type link,
							 __u16 ethertype, struct headers *h)
{
	return parse_plain(f, link, ethertype, PROTOCOL_TCP, h);
}
