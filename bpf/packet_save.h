/* SPDX-License-Identifier: GPL-2.0 */
/*
 * With --write: sends the first bytes of each packet that has a role in its attempt to user space,
 * behind a struct packet_head.
 */
#pragma once

#include "flow_table.h"
#include "packet_event.h"
#include "skb.h"

/* Completes the head in this CPU's scratch and sends the packet. */
__noinline int emit_packet(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	__u64 length = skb->len;
	struct packet_buffer *p;

	if (!scratch)
		return 0;
	p = &scratch->packet;
	p->head.wire_length = skb->len;
	p->head.vlan_protocol = skb->vlan_present ? be16_to_cpu(skb->vlan_proto) : 0;
	p->head.vlan_tci = skb->vlan_tci;
	if (scratch->tunnel_length && length > scratch->tunnel_length)
		length = scratch->tunnel_length;
	if (length > snaplen)
		length = snaplen;
	if (length > MAX_SNAPLEN)
		length = MAX_SNAPLEN;
	if (length < 20)
		return 0;
	p->head.length = length;
	barrier_var(length); /* see slow_path_copy() */
	if (load_bytes(skb, scratch->tunnel_length, 0, p->bytes, length) ||
	    bpf_ringbuf_output(&packets, p, sizeof(p->head) + length, BPF_RB_NO_WAKEUP))
		counter_add(COUNT_LOST_PACKETS, 1);
	return 0;
}

/* Sends the packet that this CPU's scratch was filled from, if it has a role in its attempt. */
static __noinline void save_packet(struct __sk_buff *skb, const struct flow_key *key,
				   const struct flow *f, bool from_client, __u64 now)
{
	struct scratch *scratch = this_cpu_scratch();
	struct packet_buffer *p;
	__u8 roles;

	if (!scratch)
		return;
	p = &scratch->packet;
	roles = packet_roles(f, &scratch->segment, from_client, now);
	if (!roles)
		return;
	__builtin_memcpy(&p->head.key, key, sizeof(p->head.key));
	p->head.syn = f->syn_times[0];
	p->head.time = now;
	p->head.roles = roles;
	p->head.flags = (scratch->segment.egress ? PACKET_EGRESS : 0) |
			(f->client_flags & CLIENT_IS_END_1 ? PACKET_CLIENT_IS_END_1 : 0);
	emit_packet(skb);
}

/* ---- contract of process.h ---- */

static __always_inline bool table_saves_packets(table_ctx *ctx)
{
	return save_packets;
}

static __always_inline void table_save_packet(table_ctx *ctx, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now)
{
	save_packet(ctx, key, f, from_client, now);
}
