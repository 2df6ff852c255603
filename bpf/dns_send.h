/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sends DNS packets to user space through a ring of their own. The kernel keeps no state for DNS:
 * a question is asked again from other ports, with other ids and to other servers, so only user
 * space can join the tries of a lookup.
 *
 * Buys: who waits for names.
 * Costs: 2 MiB, and a clock read and a copy for each packet of DNS; other UDP pays for a comparison.
 *
 * A budget of the host bounds the cost. When it is used up, packets are counted, and user space
 * lets only a sample of hosts pass, so that a host is seen as a whole or not at all.
 */
#pragma once

#include "dns.h"
#include "flow_table.h"
#include "skb.h"

/* Returns the bit of the message that distinguishes answers from questions. */
static __always_inline bool is_dns_answer(struct __sk_buff *skb, const struct scratch *scratch,
					  const struct dns_head *d)
{
	__u8 flags = 0;

	load_bytes(skb, scratch->tunnel_length, dns_flags_offset(d), &flags, 1);
	return flags & DNS_QR;
}

/* Returns true if --client selects the host that asks. */
static __always_inline bool dns_is_selected(struct __sk_buff *skb, const struct scratch *scratch,
					    const struct dns_head *d)
{
	bool is_answer = is_dns_between_servers(d, dns_ports, dns_port_count) &&
			 is_dns_answer(skb, scratch, d);

	return dns_client_is_selected(&selector,
				      dns_client(d, is_answer, dns_ports, dns_port_count));
}

/*
 * The same for the segment in this CPU's scratch. A function of its own, beside
 * send_dns_of_scratch(): the loop over networks needs stack.
 */
__noinline int dns_scratch_is_selected(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return 0;
	dns_head_of(&scratch->dns.head, &scratch->segment);
	return dns_is_selected(skb, scratch, &scratch->dns.head);
}

/* Returns true if the sample and the budget let the packet pass. */
static __always_inline bool dns_may_pass(struct __sk_buff *skb, const struct scratch *scratch,
					 const struct dns_head *d)
{
	bool is_answer = is_dns_between_servers(d, dns_ports, dns_port_count) &&
			 is_dns_answer(skb, scratch, d);
	const struct address *client = dns_client(d, is_answer, dns_ports, dns_port_count);

	if (dns_sample_shift && !dns_is_sampled(client, dns_sample_shift, &run_seed)) {
		counter_add(COUNT_DNS_NOT_SAMPLED, 1);
		return false;
	}
	if (!budget_charge(&dns_budget, dns_budget_limit, d->time)) {
		counter_add(COUNT_LOST_DNS_BUDGET, 1);
		return false;
	}
	return true;
}

/*
 * Bytes of a frame that are copied to the ring directly: a size that is constant can be reserved,
 * which saves a copy. The first is that of most questions, the second that of most answers.
 */
#define DNS_SMALL 128
#define DNS_MEDIUM 256

/* Sends the first bytes of the packet, from 1 to room, which is a power of two. */
static __always_inline int send_dns_reserved(struct __sk_buff *skb, const struct scratch *scratch,
					     const struct dns_buffer *p, __u64 length, __u32 room)
{
	struct dns_buffer *out = bpf_ringbuf_reserve(&dns, sizeof(p->head) + room, 0);

	if (!out)
		return -1;
	out->head = p->head;
	/* clang merges the two calls, so the bound is checked here; see also slow_path_copy() */
	barrier_var(length);
	length = ((length - 1) & (room - 1)) + 1;
	if (load_bytes(skb, scratch->tunnel_length, 0, out->bytes, length)) {
		bpf_ringbuf_discard(out, BPF_RB_NO_WAKEUP);
		return -1;
	}
	bpf_ringbuf_submit(out, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Copies the packet behind the head, and sends both. */
static __always_inline int send_dns_buffer(struct __sk_buff *skb, const struct scratch *scratch,
					   struct dns_buffer *p)
{
	__u64 length = p->head.length;

	if (!length)
		return -1;
	if (length <= DNS_SMALL)
		return send_dns_reserved(skb, scratch, p, length, DNS_SMALL);
	if (length <= DNS_MEDIUM)
		return send_dns_reserved(skb, scratch, p, length, DNS_MEDIUM);
	/* one check of both bounds would be a subtraction, which kernels before 6.8 do not follow */
	barrier_var(length);
	if (length > MAX_DNS_BYTES)
		return -1;
	barrier_var(length);
	if (length <= DNS_MEDIUM)
		return -1;
	if (load_bytes(skb, scratch->tunnel_length, 0, p->bytes, length))
		return -1;
	return bpf_ringbuf_output(&dns, p, sizeof(p->head) + length, BPF_RB_NO_WAKEUP);
}

/* Completes the head in this CPU's scratch, and sends the packet. */
static __always_inline void complete_dns(struct __sk_buff *skb, const struct scratch *scratch,
					 struct dns_buffer *p)
{
	if (!dns_may_pass(skb, scratch, &p->head))
		return;
	p->head.in_ifindex = p->head.flags & DNS_EGRESS ? skb->ingress_ifindex : 0;
	p->head.wire_length = skb->len;
	p->head.vlan_protocol = skb->vlan_present ? be16_to_cpu(skb->vlan_proto) : 0;
	p->head.vlan_tci = skb->vlan_tci;
	if (dns_set_length(&p->head, scratch->tunnel_length ?: skb->len) && scratch->tunnel_length)
		p->head.flags |= DNS_CUT;
	counter_add(send_dns_buffer(skb, scratch, p) ? COUNT_LOST_DNS : COUNT_DNS, 1);
}

/* Sends the packet of the head in this CPU's scratch. */
__noinline int send_dns(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (scratch &&
	    (!selector.clients.count || dns_is_selected(skb, scratch, &scratch->dns.head)))
		complete_dns(skb, scratch, &scratch->dns);
	return 0;
}

/*
 * Sends the packet of the segment in this CPU's scratch. segment.time is set. --client selects the
 * host: of TCP, only selected connections are tracked. It does not call
 * send_dns(): before 6.10, the functions of a call chain share a stack of 512 bytes in steps of 32.
 */
__noinline int send_dns_of_scratch(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return 0;
	dns_head_of(&scratch->dns.head, &scratch->segment);
	complete_dns(skb, scratch, &scratch->dns);
	return 0;
}

/* Handles the UDP datagram, or the ICMP error about one, in this CPU's scratch. */
__noinline int process_dns(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch || !is_dns_segment(&scratch->segment, dns_ports, dns_port_count))
		return 0;
	if (!has_valid_addresses(&scratch->segment)) {
		counter_add(COUNT_MALFORMED, 1);
		return 0;
	}
	scratch->segment.time = table_now(skb);
	if (selector.clients.count && !dns_scratch_is_selected(skb))
		return 0;
	return send_dns_of_scratch(skb);
}
