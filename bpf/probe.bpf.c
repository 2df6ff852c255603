// SPDX-License-Identifier: GPL-2.0
/*
 * The BPF programs, in the order in which a packet meets them: hooks with the fast path, slow path,
 * recording of SYNs that leave, settling of candidates.
 *
 * The hooks are tc ingress and egress of an interface, with or without an Ethernet header. Every
 * path returns TC_NEXT: other programs on the hook still run, and the packet is not changed.
 *
 * A packet of an established connection is parsed, hashed, and skipped after one load from the
 * filter. Only packets that open, close or refuse a connection, or whose headers are not plain,
 * cost a clock read, a lookup and a copy.
 */
#include "fastpath.h"
#include "slow_path.h"

/* TCX_NEXT and TC_ACT_UNSPEC: the next program decides. */
#define TC_NEXT (-1)

/* ---- hooks ---- */

int slow_path(struct __sk_buff *skb);
int dns_path(struct __sk_buff *skb);

enum { TAIL_SLOW_PATH, TAIL_DNS_PATH, TAIL_CALLS };

/*
 * All hooks tail-call the slow path. It is verified once (36 000 instructions at the start instead
 * of 76 000), and both directions share its code in the cache. An established packet costs at most
 * 1 ns more. If the loader has exited, the array is empty, the call fails, and the packet passes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(max_entries, TAIL_CALLS);
	__array(values, int(struct __sk_buff *skb));
} tail_calls SEC(".maps") = {
	.values = { [TAIL_SLOW_PATH] = (void *)&slow_path, [TAIL_DNS_PATH] = (void *)&dns_path }
};

static __always_inline void tail_call(struct __sk_buff *skb, enum link_type link, bool egress,
				      __u32 program)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return;
	scratch->link = link;
	scratch->egress = egress;
	bpf_tail_call(skb, &tail_calls, program);
}

/* Writes only once: repeated stores would bounce the cache line between CPUs. */
static __always_inline void set_once(volatile bool *flag)
{
	if (unlikely(!*flag))
		*flag = true;
}

static __always_inline void mark_active(struct __sk_buff *skb, bool egress)
{
	if (unlikely(multi_iface))
		set_once(&active[activity_index(skb->ifindex)][egress]);
	else
		set_once(&active[0][egress]);
}

static __always_inline int run_hook(struct __sk_buff *skb, enum link_type link, bool egress)
{
	struct frame f = frame_linear(skb);
	/* keeps skb on the stack, see counter_add_fastpath() */
	struct __sk_buff *volatile spilled = skb;
	const __u8 *transport;

	mark_active(skb, egress);
	switch (fastpath(&f, link, be16_to_cpu(skb->protocol), &flow_filter, &run_seed,
			 &transport)) {
	case FASTPATH_TCP:
	case FASTPATH_IGNORE:
		return TC_NEXT;
	case FASTPATH_UDP:
		if (unlikely(has_dns_port(transport, dns_ports, dns_port_count))) {
			tail_call(spilled, link, egress, TAIL_DNS_PATH);
			return TC_NEXT;
		}
		counter_add_fastpath(udp_counter(transport), spilled->len);
		return TC_NEXT;
	case FASTPATH_OTHER_PROTO:
		counter_add_fastpath(COUNT_IP_OTHER, 1);
		return TC_NEXT;
	case FASTPATH_FRAGMENT:
		counter_add_fastpath(COUNT_FRAGMENTS, 1);
		return TC_NEXT;
	case FASTPATH_SLOW:
		break;
	}
	tail_call(spilled, link, egress, TAIL_SLOW_PATH);
	return TC_NEXT;
}

SEC("tc")
int probe_ingress(struct __sk_buff *skb)
{
	return run_hook(skb, LINK_ETHERNET, false);
}

SEC("tc")
int probe_egress(struct __sk_buff *skb)
{
	return run_hook(skb, LINK_ETHERNET, true);
}

SEC("tc")
int probe_ingress_ip(struct __sk_buff *skb)
{
	return run_hook(skb, LINK_RAW_IP, false);
}

SEC("tc")
int probe_egress_ip(struct __sk_buff *skb)
{
	return run_hook(skb, LINK_RAW_IP, true);
}

/* Ingress of a tunnel device before kernel 5.14: see slow_path_tunnel(). */
SEC("tc")
int probe_ingress_inner(struct __sk_buff *skb)
{
	mark_active(skb, false);
	slow_path_tunnel(skb);
	return TC_NEXT;
}

/* ---- slow path ---- */

SEC("tc")
int slow_path(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (scratch && !slow_path_linear(skb, scratch))
		slow_path_copy(skb);
	return TC_NEXT;
}

/* ---- UDP with a port of DNS ---- */

/*
 * The fast path sends only packets with plain headers here: what parse_plain() leaves to the slow
 * path has contradictory lengths. This is a program of its own, so that hooks and slow path stay
 * as short as they are.
 */
SEC("tc")
int dns_path(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	struct frame f = frame_linear(skb);
	struct segment s = {};
	struct headers h;

	if (!scratch)
		return TC_NEXT;
	headers_init(&h, skb);
	if (parse_plain(&f, scratch->link, be16_to_cpu(skb->protocol), PROTOCOL_UDP, &h) !=
	    PARSE_UDP) {
		counter_add(COUNT_MALFORMED, 1);
		return TC_NEXT;
	}
	counter_add(COUNT_UDP_DNS_BYTES, skb->len);
	segment_from_udp(&f, &h, &s);
	segment_read_udp(&s, h.ip, h.transport);
	if (s.payload < DNS_HEADER)
		return TC_NEXT;
	if (!has_valid_addresses(&s)) {
		counter_add(COUNT_MALFORMED, 1);
		return TC_NEXT;
	}
	if (h.ethernet)
		__builtin_memcpy(s.mac, h.ethernet + 6, sizeof(s.mac));
	segment_set_origin(&s, skb, scratch->egress);
	s.time = table_now(skb);
	dns_head_of(&scratch->dns.head, &s);
	send_dns(skb);
	return TC_NEXT;
}

/* ---- hooks of --follow-peers, on interfaces where only SYNs that leave are recorded ---- */

/* The fast path never skips a SYN, so only packets that it returns as PARSE_SLOW are examined. */
static __always_inline int run_egress_syn_hook(struct __sk_buff *skb, enum link_type link)
{
	struct frame f = frame_linear(skb);
	const __u8 *transport;

	if (fastpath(&f, link, be16_to_cpu(skb->protocol), NULL, &run_seed, &transport) ==
	    FASTPATH_SLOW)
		record_egress(skb, link);
	return TC_NEXT;
}

SEC("tc")
int probe_egress_syn(struct __sk_buff *skb)
{
	return run_egress_syn_hook(skb, LINK_ETHERNET);
}

SEC("tc")
int probe_egress_syn_ip(struct __sk_buff *skb)
{
	return run_egress_syn_hook(skb, LINK_RAW_IP);
}

/* ---- settling ---- */

/*
 * User space runs this once for each flow that it found due. The flow is checked again, since a
 * SYN-ACK may have arrived after user space read it.
 */
SEC("tc")
int settle_candidate(struct __sk_buff *skb)
{
	__u64 now = table_now(skb);
	__u32 next = candidate_next++;
	struct flow_entry *e;
	struct candidate c;
	enum end_reason why;
	struct flow_ref found;

	if (next >= CANDIDATES)
		return TC_NEXT;
	c = candidates[next];
	e = flow_at(c.slot);
	if (!e || e->flow.client_isn != c.client_isn)
		return TC_NEXT;
	why = run_ending ? END_OF_RUN : settle_due(&e->flow, now, under_pressure);
	if (why == END_NONE || !find_slot(e, c.slot, &found) || !flow_lock(&found))
		return TC_NEXT;
	flow_unlock(&found, why);
	publish(c.slot, why, now, false);
	return TC_NEXT;
}

char _license[] SEC("license") = "GPL";
