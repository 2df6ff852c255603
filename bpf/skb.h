/* SPDX-License-Identifier: GPL-2.0 */
/* Access to an skb: its linear part, a copy of its first bytes, its metadata. */
#pragma once

#include "maps.h"
#include "parse.h"

#define PACKET_OTHERHOST 3 /* linux/if_packet.h */

/* Returns the linear part of the packet as a frame, without copying it. */
static __always_inline struct frame frame_linear(const struct __sk_buff *skb)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.launder = NULL,
	};

	return f;
}

/* Zeroes *h and adds the VLAN tag that the driver or the kernel moved from the frame to the skb. */
static __always_inline void headers_init(struct headers *h, const struct __sk_buff *skb)
{
	/* otherwise clang spills uninitialised members, which the verifier rejects */
	__builtin_memset(h, 0, sizeof(*h));
	if (skb->vlan_present)
		h->vlan[0] = skb->vlan_tci & 0xfff;
}

/* Returns the first length bytes of the packet, which the caller has copied to scratch->headers. */
static __always_inline struct frame frame_copy(const struct __sk_buff *skb, struct scratch *scratch,
					       __u64 length)
{
	struct frame f = {
		.begin = scratch->headers,
		.end = scratch->headers + length,
		.wire_length = skb->len,
		.launder = &scratch->launder,
	};

	return f;
}

/*
 * Parses the link header of the copy in this CPU's scratch, for parse_copy(). Returns PARSE_OK, or
 * why the packet is not parsed further. A function of its own: the verifier follows the ways
 * through the headers above IP once, not for each way through those below.
 */
__noinline int parse_copy_link(struct __sk_buff *skb, __u32 length)
{
	struct scratch *scratch = this_cpu_scratch();
	enum parse_result parsed;
	struct headers h;
	struct frame f;

	if (!scratch)
		return PARSE_MALFORMED;
	f = frame_copy(skb, scratch, length & (2 * MAX_HEADERS - 1));
	headers_init(&h, skb);
	scratch->ip_offset = 0;
	parsed = parse_link(&f, scratch->link, be16_to_cpu(skb->protocol), &scratch->ip_offset, &h);
	scratch->ethertype = h.ethertype;
	scratch->segment.vlan[0] = h.vlan[0];
	scratch->segment.vlan[1] = h.vlan[1];
	scratch->segment.has_mac = h.ethernet != NULL;
	return parsed;
}

/* Parses the packet behind that link header. */
static __always_inline enum parse_result parse_copy(const struct frame *f, struct scratch *scratch,
						    struct headers *h)
{
	__builtin_memset(h, 0, sizeof(*h)); /* as in headers_init() */
	h->ethernet = scratch->segment.has_mac ? scratch->headers : NULL;
	h->ethertype = scratch->ethertype;
	h->vlan[0] = scratch->segment.vlan[0];
	h->vlan[1] = scratch->segment.vlan[1];
	return parse_packet(f, scratch->ip_offset, h);
}

/*
 * Copies length bytes of the packet from offset on. With is_tunnel, the offset is relative to the
 * network header, and only the linear part is read. Returns 0 or a negative errno.
 */
static __always_inline int load_bytes(struct __sk_buff *skb, bool is_tunnel, __u32 offset, void *to,
				      __u32 length)
{
	if (is_tunnel)
		return bpf_skb_load_bytes_relative(skb, offset, to, length, BPF_HDR_START_NET);
	return bpf_skb_load_bytes(skb, offset, to, length);
}

static __always_inline void segment_set_origin(struct segment *s, const struct __sk_buff *skb,
					       bool egress)
{
	s->egress = egress;
	s->from_gateway = egress && !skb->ingress_ifindex;
	s->ifindex = skb->ifindex;
	/* under BPF_PROG_TEST_RUN no device has the packet's destination address */
	s->other_host = !egress && !virtual_time && skb->pkt_type == PACKET_OTHERHOST;
}
