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

/* Parses the first length bytes of the packet, which the caller has copied to scratch->headers. */
static __always_inline enum parse_result parse_copy(struct __sk_buff *skb, struct scratch *scratch,
						    __u64 length, __u32 link, struct frame *f,
						    struct headers *h)
{
	f->begin = scratch->headers;
	f->end = scratch->headers + length;
	f->wire_length = skb->len;
	f->launder = &scratch->launder;
	headers_init(h, skb);
	return parse_headers(f, link, be16_to_cpu(skb->protocol), h);
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
