/* SPDX-License-Identifier: GPL-2.0 */
/*
 * With --follow-peers: shows whether this host forwarded a client's SYN. The hooks of the followed
 * interfaces record the SYNs that leave. When a client retransmits its SYN, the record of the
 * previous SYN is looked up.
 *
 * NAT does not change the ISN, so a SYN is recorded in an array indexed by a hash of its ISN. Newer
 * SYNs overwrite older ones.
 *
 * Buys: distinguishes a SYN that this gateway dropped from a SYN that the peer did not answer.
 * Costs: 512 KiB, and a clock read and a store for each SYN that leaves. Nothing without the
 * option.
 */
#pragma once

#include "flow_table.h"
#include "skb.h"

static __always_inline __u32 egress_syn_hash(__u32 isn)
{
	return isn * 0x9e3779b1U >> 16 & (EGRESS_SYNS - 1);
}

/* Converts ns to units of 2^24 ns (17 ms). The 24 bits wrap after three days. */
static __always_inline __u32 egress_syn_time(__u64 now)
{
	return now >> 24 & 0xffffff;
}

static __always_inline void record_egress_syn(struct __sk_buff *skb, const struct headers *h)
{
	__u32 isn;

	if ((h->transport[13] & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return;
	isn = get_be32(h->transport + 4);
	/* one store of ISN, time and interface: a reader on another CPU never sees a part of it */
	*(volatile __u64 *)&egress_syns[egress_syn_hash(isn)] =
		(__u64)isn << 32 | (__u64)egress_syn_time(bpf_ktime_get_ns()) << 8 |
		(skb->ifindex & 0xff);
}

/*
 * Like slow_path_copy(), for packets that leave. A packet of an unknown ethertype carries no SYN
 * and is ignored.
 */
__noinline int record_egress_copy(struct __sk_buff *skb, __u32 link)
{
	struct scratch *scratch = this_cpu_scratch();
	__u64 length = skb->len;
	enum parse_result parsed;
	struct headers h;
	struct frame f;
	int failure;

	if (!scratch)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20)
		return 0;
	barrier_var(length);
	scratch->link = link;
	if (bpf_skb_load_bytes(skb, 0, scratch->headers, length)) {
		egress_syns_incomplete = true;
		return 0;
	}
	failure = parse_copy_link(skb, length);
	if (failure != PARSE_OK) {
		egress_syns_incomplete |= failure == PARSE_TRUNCATED;
		return 0;
	}
	f = frame_copy(skb, scratch, length);
	parsed = parse_copy(&f, scratch, &h);
	if (parsed == PARSE_TCP)
		record_egress_syn(skb, &h);
	else if (parsed == PARSE_TRUNCATED)
		egress_syns_incomplete = true;
	return 0;
}

static __noinline int record_egress(struct __sk_buff *skb, __u32 link)
{
	struct frame f = frame_linear(skb);
	struct headers h;

	headers_init(&h, skb);
	if (parse_plain_tcp(&f, link, be16_to_cpu(skb->protocol), &h) == PARSE_TCP)
		record_egress_syn(skb, &h);
	else
		record_egress_copy(skb, link);
	return 0;
}

/* ---- contract of process.h ---- */

static __always_inline bool table_follows_peers(table_ctx *ctx)
{
	return follow_peers;
}

static __always_inline __u16 table_forwarding(table_ctx *ctx, const struct flow *f)
{
	__u64 word = *(volatile __u64 *)&egress_syns[egress_syn_hash(f->client_isn)];
	bool is_since;

	if (egress_syns_incomplete)
		return 0;
	is_since = ((word >> 8) - egress_syn_time(f->syn_last) & 0xffffff) < 1 << 23;
	if (word && is_since && word >> 32 == f->client_isn)
		return CLIENT_FORWARDED | (word & 0xff) << 8;
	/* unknown: a later SYN with the same hash may have overwritten the record */
	return word && is_since ? 0 : CLIENT_NOT_FORWARDED;
}
