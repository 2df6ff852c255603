/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What segment is this? Bytes of a frame become a struct segment, in two steps, because most frames
 * need only the first: parse_headers() finds the headers, segment_from_tcp() and segment_from_icmp() read them.
 *
 * Contract for the verifier and for the fuzzer alike: every access is checked against the frame's
 * end, and every offset that is not a constant against MAX_HEADERS, so that parse_headers() reads packet
 * pointers and a copy of the headers in a map. Nothing is written before it is known that the frame
 * matters. Checksums are not verified: a router does not either.
 */
#pragma once

#include "record.h"

/* A frame's headers lie within this many bytes, or the frame is not understood. */
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
	ETHERTYPE_MIN = 0x0600, /* below it, the field is an IEEE 802.3 length */
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
};

enum { ICMP4_UNREACHABLE = 3, ICMP4_TIME_EXCEEDED = 11, ICMP4_FRAGMENTATION_NEEDED = 4 /* code */ };
enum {
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER_PROBLEM = 4,
};

struct frame {
	const __u8 *begin;
	const __u8 *end;
	__u32 wire_length; /* bytes on the wire, more than end - begin where a capture or skb was
			      cut */
	volatile __u32 *launder; /* see launder(); NULL but for the kernel's copy of the headers */
};

enum link_type {
	LINK_ETHERNET,
	LINK_RAW_IP, /* no link header: the caller says the ethertype */
};

enum parse_result {
	PARSE_TCP,
	PARSE_UDP,
	PARSE_ICMP,
	PARSE_OTHER_PROTO, /* IP, neither of these */
	PARSE_FRAGMENT, /* not the first one */
	PARSE_IGNORE,
	PARSE_SLOW, /* not to be told by a short way: parse_headers() never answers this */
	PARSE_UNKNOWN_LINK, /* neither IPv4 nor IPv6, see headers.ethertype */
	PARSE_MALFORMED,
	PARSE_TRUNCATED, /* the headers go on behind the frame's end */
};

/*
 * Where the headers are. The pointers are valid for 20 (ip4), 40 (ip6), 20 (TCP), 8 (UDP, ICMP)
 * bytes.
 */
struct headers {
	const __u8 *ethernet; /* or NULL */
	const __u8 *ip;
	const __u8 *transport;
	__u32 transport_offset;
	__u32 transport_length; /* by the IP header, never by the frame: Ethernet pads short ones */
	__u16 vlan[2];
	__u16 ethertype;
	__u8 protocol;
	bool ip6;
	bool fragment; /* the first one */
};

enum segment_kind { SEGMENT_TCP, SEGMENT_ICMP_ERROR };

/* For an ICMP error, addresses, ports and seq are those of the segment that it quotes. */
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
	__u16 mss; /* of a SYN, 0 when it offers none */
	__u16 ip_id; /* 0 for IPv6 */
	__u8 flags; /* TCP_... */
	__u8 kind; /* enum segment_kind */
	bool ip6;
	bool egress;
	bool from_gateway; /* this very host made the packet */
	bool other_host; /* addressed to another machine on the link: this host does not forward it */
	bool has_mac;
	bool icmp_hard;
	bool icmp_too_big;
	__u8 mac[6]; /* source */
	__u8 icmp_type;
	__u8 icmp_code;
	struct address icmp_from;
	/*
	 * For process_segment(). A segment stands in a map's memory, of which the verifier knows nothing:
	 * it need not follow each value that these may have.
	 */
	struct flow_key key;
	bool from_end_1; /* the source */
	__u32 hash; /* segment_hash(), by whoever made this */
	__u64 time; /* or 0 */
	__u32 entry_sum; /* bucket_entry_sum() */
};

static __always_inline const __u8 *header_at(const struct frame *f, __u32 offset, __u32 size)
{
	__u64 bounded = offset;
	const __u8 *p;

	if (offset > MAX_HEADERS - size)
		return NULL;
#ifdef __bpf__
	/* kernels before 5.16 forget the bound of a number that clang kept on the stack */
	asm volatile("%0 &= %1" : "+r"(bounded) : "i"(2 * MAX_HEADERS - 1));
#endif
	p = f->begin + bounded;
	if (p + size > f->end)
		return NULL;
	return p;
}

/*
 * The verifier follows every offset that it knows, one path each. A number that has been through a
 * map's memory it knows no more, and the paths merge; header_at() bounds it anew.
 */
static __always_inline __u32 launder(const struct frame *f, __u32 number)
{
	if (!f->launder)
		return number;
	*f->launder = number;
	return *f->launder;
}

static __always_inline bool is_vlan(__u16 ethertype)
{
	return ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ ||
	       ethertype == ETHERTYPE_QINQ_OLD || ethertype == ETHERTYPE_QINQ_OLDER;
}

/* A priority tag has VLAN id 0 and names no VLAN; ids beyond the second are not kept. */
static __always_inline void headers_add_vlan(struct headers *h, __u16 tci)
{
	if (!h->vlan[0])
		h->vlan[0] = tci & 0xfff;
	else if (!h->vlan[1])
		h->vlan[1] = tci & 0xfff;
}

static __always_inline bool is_ip6_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_FRAGMENT || protocol == PROTOCOL_AH ||
	       protocol == PROTOCOL_DESTINATION || protocol == PROTOCOL_MOBILITY ||
	       protocol == PROTOCOL_HIP || protocol == PROTOCOL_SHIM6;
}

/* From an IP header's offset to its transport header's; PARSE_OTHER_PROTO stands for "go on". */
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
	if (!total) /* segmentation offload fills it in behind us */
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
	return PARSE_OTHER_PROTO;
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
	return PARSE_OTHER_PROTO;
}

/*
 * What stands between an Ethernet header and IP other than VLAN tags. Moves *offset, answers the
 * ethertype.
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
			/* at the bottom of the stack, a first nibble tells what follows (RFC 4928) */
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

/* h->vlan holds the tags that are in the skb's metadata, if any: they are the outer ones. */
static __always_inline enum parse_result parse_headers(const struct frame *f, enum link_type link,
						       __u16 ethertype, struct headers *h)
{
	__u32 offset = 0;
	enum parse_result parsed;
	const __u8 *p;
	int i;

	h->ethernet = NULL;
	if (link == LINK_ETHERNET) {
		p = header_at(f, 0, 14);
		if (!p)
			return PARSE_TRUNCATED;
		h->ethernet = p;
		ethertype = get_be16(p + 12);
		offset = 14;
	}
	if (unlikely(ethertype != ETHERTYPE_IP4 && ethertype != ETHERTYPE_IP6)) {
#ifdef __bpf__
#pragma unroll
#endif
		for (i = 0; i < MAX_VLAN_TAGS; i++) {
			if (!is_vlan(ethertype))
				break;
			p = header_at(f, offset, 4);
			if (!p)
				return PARSE_TRUNCATED;
			headers_add_vlan(h, get_be16(p));
			ethertype = get_be16(p + 2);
			offset = launder(f, offset + 4);
		}
		if (ethertype == ETHERTYPE_ARP)
			return PARSE_IGNORE;
		ethertype = launder(f, parse_encapsulation(f, &offset, ethertype));
		offset = launder(f, offset);
	}
	h->ethertype = ethertype;

	if (ethertype == ETHERTYPE_IP4)
		parsed = parse_ip4(f, offset, h);
	else if (ethertype == ETHERTYPE_IP6)
		parsed = parse_ip6(f, offset, h);
	else
		return PARSE_UNKNOWN_LINK;
	if (parsed != PARSE_OTHER_PROTO)
		return parsed;

	if (likely(h->protocol == PROTOCOL_TCP)) {
		h->transport = header_at(f, h->transport_offset, 20);
		if (!h->transport)
			return PARSE_TRUNCATED;
		/*
		 * a data offset below 5 words, or a datagram too small for the header (RFC
		 * 9293 3.1)
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
	if (!h->transport) /* not short: no TCP header is lost here, which is what PARSE_TRUNCATED says */
		return PARSE_MALFORMED;
	return h->protocol == PROTOCOL_UDP ? PARSE_UDP : PARSE_ICMP;
}

/* TCP in one piece, by all that stands from the fragment to the protocol. */
static __always_inline bool is_plain_tcp4(const __u8 *ip)
{
	return (LOAD(__u32, ip + 6) & cpu_to_be32(0x3fff00ff)) == cpu_to_be32(PROTOCOL_TCP);
}

/*
 * The short way to TCP, nearly all of which stands behind Ethernet, two VLAN tags at most, and an IP
 * header without options or extensions. PARSE_TCP, and all is as parse_headers() has it; or PARSE_SLOW, and
 * parse_headers() must be asked.
 */
static __always_inline enum parse_result parse_plain_tcp(const struct frame *f, enum link_type link,
							 __u16 ethertype, struct headers *h)
{
	const __u8 *ip = f->begin, *tcp;
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
	h->protocol = PROTOCOL_TCP;
	if (likely(ethertype == ETHERTYPE_IP4)) {
		if (ip + 40 > f->end || ip[0] != 0x45 || !is_plain_tcp4(ip))
			return PARSE_SLOW;
		header = 20;
		length = get_be16(ip + 2);
	} else if (h->ip6) {
		if (ip + 60 > f->end || ip[0] >> 4 != 6 || ip[6] != PROTOCOL_TCP)
			return PARSE_SLOW;
		header = 40;
		length = get_be16(ip + 4);
		if (length)
			length += header;
	} else {
		return PARSE_SLOW;
	}
	if (!length) /* as in parse_ip4(), and in parse_ip6() */
		length = f->wire_length - offset;
	tcp = ip + header;
	h->transport = tcp;
	h->transport_offset = offset + header;
	h->transport_length = length - header;
	header = (tcp[12] >> 4) * 4;
	/* less than its headers: malformed */
	return header < 20 || h->transport_length - header > 0xffffff ? PARSE_SLOW : PARSE_TCP;
}

/*
 * Secret of this run: without it nobody on the wire can aim at a slot, nor make many four-tuples meet
 * in one. Random, each word for one use: a key that two parts shared could be cancelled by choosing
 * both of them.
 */
struct hash_seed {
	__u64 address;
	__u64 prefix; /* of IPv6 */
	__u64 rest; /* odd, as all that is only multiplied by: no bit is lost */
	__u64 ports; /* odd */
	__u64 spread; /* odd */
};

static __always_inline void hash_seed_make_odd(struct hash_seed *seed)
{
	seed->rest |= 1;
	seed->ports |= 1;
	seed->spread |= 1;
}

static __always_inline __u64 hash_mix(__u64 x, const volatile struct hash_seed *seed)
{
	x = (x ^ seed->prefix) * 0x9e3779b97f4a7c15ULL;
	return (x ^ x >> 32) * seed->spread;
}

/*
 * The prefix by a product with its own half, which nobody can make equal to another one's, and then
 * the rest; turned about, lest what differs in the last bits alone be lost at the upper end of the
 * products to come.
 */
static __always_inline __u64 hash_end6(const __u8 *address, const volatile struct hash_seed *seed)
{
	__u64 prefix = LOAD(__u64, address) ^ seed->prefix;

	prefix = (prefix >> 32) * prefix + LOAD(__u64, address + 8);
	return __builtin_bswap64(prefix * seed->rest);
}

static __always_inline __u64 hash_end(const __u8 *address, const __u8 *port, bool ip6,
				      const volatile struct hash_seed *seed)
{
	__u64 end = ip6 ? hash_end6(address, seed) : LOAD(__u32, address);

	return end + seed->address + LOAD(__u16, port) * seed->ports;
}

/*
 * Equal for both directions. The product of both ends depends on the key, unless their sum is the
 * same: then two products differ by a number that no key changes, but for the factor of the ports and
 * the last one, which are secret as well.
 */
static __always_inline __u32 hash_ends(__u64 from, __u64 to, const volatile struct hash_seed *seed)
{
	return from * to * seed->spread >> 32;
}

static __always_inline __u32 hash_headers(const __u8 *ip, const __u8 *tcp, bool ip6,
					  const volatile struct hash_seed *seed)
{
	__u64 from, to;

	from = hash_end(ip + (ip6 ? 8 : 12), tcp, ip6, seed);
	barrier_var(from); /* one after the other: no more registers to be saved and restored */
	to = hash_end(ip + (ip6 ? 24 : 16), tcp + 2, ip6, seed);
	return hash_ends(from, to, seed);
}

static __always_inline bool is_mapped(const struct address *a)
{
	return !(a->word[0] | a->word[1] | (a->word[2] ^ IP4_PREFIX));
}

/*
 * IPv6 packets with an address that stands for IPv4 inside of hosts would be taken for IPv4's, and
 * have no place on a wire (Linux drops what comes from one).
 */
static __always_inline bool has_wire_addresses(const struct segment *s)
{
	return !s->ip6 || !(is_mapped(&s->source) || is_mapped(&s->destination));
}

/* As hash_headers(). */
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
 * Of a SYN. Every stack in use sends it as the first option (RFC 9293 3.7.1), and only there it is
 * looked for; 0 when it is not there.
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

/* After parse_headers() answered PARSE_TCP. The caller sets egress, from_gateway and ifindex. */
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

static __always_inline bool is_icmp_error(__u8 type, bool ip6)
{
	if (ip6)
		return type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM;
	return type == ICMP4_UNREACHABLE || type == ICMP4_TIME_EXCEEDED;
}

/*
 * After parse_headers() answered PARSE_ICMP: answers whether this is an ICMP error that quotes a TCP
 * segment (RFC 792, RFC 4443). Eight bytes of TCP are quoted at least: ports and sequence number.
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
		if (parse_ip6(f, h->transport_offset + 8, &quoted) != PARSE_OTHER_PROTO)
			return false;
	} else {
		s->icmp_too_big = type == ICMP4_UNREACHABLE && code == ICMP4_FRAGMENTATION_NEEDED;
		s->icmp_hard = type == ICMP4_UNREACHABLE && !s->icmp_too_big;
		if (parse_ip4(f, h->transport_offset + 8, &quoted) != PARSE_OTHER_PROTO)
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

#define TCP_CONTROL (TCP_SYN | TCP_FIN | TCP_RST)
