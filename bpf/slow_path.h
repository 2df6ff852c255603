/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Slow path: turns a packet that the fast path could not skip into a segment and processes it.
 *
 * Three functions read the headers. slow_path_linear() reads TCP behind plain headers in place.
 * slow_path_copy() parses a copy of the headers of any packet. slow_path_tunnel() handles a packet
 * that still has a tunnel's outer headers.
 *
 * Buys: slow_path_linear() lowers the hooks' share of a core from 2.3 to 2.0 % at 5 000 connections
 * a second.
 * Costs: a second parser.
 *
 * The global functions (not static) are verified once, each by itself. They add nothing to the
 * verifier's work on their callers, nor to the registers that a hook saves and restores.
 */
#pragma once

#include "dns_send.h"
#include "egress_syn.h"
#include "flow_table.h"
#include "packet_save.h"
#include "peek.h"
#include "skb.h"

#include "process.h" /* needs the functions table_...() of the headers above */

/*
 * Processes the segment in this CPU's scratch. Returns true if it is a SYN, which the caller passes
 * to start_scratch().
 */
__noinline int process_scratch(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return false;
	return process_segment(skb, &scratch->segment);
}

__noinline int start_scratch(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();

	if (scratch)
		start_attempt(skb, &scratch->segment);
	return 0;
}

/*
 * Returns true if the segment can be skipped: it belongs to no opening flow, and neither opens a
 * connection, nor closes a connection that is not marked as seen, nor is its first RST. Of a FIN
 * that is skipped, only the guard of reset.h is set.
 */
static __always_inline bool can_skip(const struct headers *h, __u32 hash, __u32 ifindex)
{
	__u8 flags = h->transport[13];
	struct bucket *bucket;
	bool may_be;

	if (flags & TCP_SYN)
		return false;
	may_be = filter_may_hold(&flow_filter, hash);
	if (!may_be && !(flags & TCP_CONTROL))
		return true;
	bucket = bucket_at(bucket_number(hash, ifindex, h->vlan));
	if (!bucket)
		return true;
	if (may_be && bucket_may_hold(bucket, hash))
		return false;
	if (!(flags & TCP_CONTROL))
		return true;
	if (!bucket_has_seen(bucket, hash))
		return false;
	if (flags & TCP_RST)
		return is_closing(&reset_guard, hash);
	set_closing(&reset_guard, hash);
	return true;
}

/* Handles TCP behind plain headers. Returns false, without any effect, for any other packet. */
static __always_inline bool slow_path_linear(struct __sk_buff *skb, struct scratch *scratch)
{
	struct frame f = frame_linear(skb);
	struct headers h;
	__u32 hash;

	headers_init(&h, skb);
	if (unlikely(parse_plain_tcp(&f, scratch->link, be16_to_cpu(skb->protocol), &h) !=
		     PARSE_TCP))
		return false;
	hash = hash_headers(h.ip, h.transport, h.ip6, &run_seed);
	scratch->segment.hash = hash;
	if (can_skip(&h, hash, skb->ifindex))
		return true;
	segment_from_tcp(&h, &scratch->segment);
	segment_set_origin(&scratch->segment, skb, scratch->egress);
	if (process_scratch(skb))
		start_scratch(skb);
	return true;
}

/* Counts the UDP datagram in this CPU's scratch, and passes it on if it is DNS. */
__noinline int process_udp(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	const __u8 *udp;

	if (!scratch)
		return 0;
	udp = place_at(scratch->headers, scratch->segment.tcp_offset);
	if (!has_dns_port(udp, dns_ports, dns_port_count)) {
		counter_add(udp_counter(udp), skb->len);
		return 0;
	}
	counter_add(COUNT_UDP_DNS_BYTES, skb->len);
	segment_read_udp(&scratch->segment, place_at(scratch->headers, scratch->segment.ip_offset),
			 udp);
	if (scratch->segment.has_mac)
		__builtin_memcpy(scratch->segment.mac, scratch->headers + 6, 6);
	segment_set_origin(&scratch->segment, skb, scratch->egress);
	return process_dns(skb);
}

/*
 * Parses the packet that an ICMP error quotes, in this CPU's scratch. A function of its own, as
 * parse_copy_link().
 */
__noinline int parse_quote(struct __sk_buff *skb, __u32 length)
{
	struct scratch *scratch = this_cpu_scratch();
	struct frame f;

	if (!scratch)
		return false;
	f = frame_copy(skb, scratch, length & (2 * MAX_HEADERS - 1));
	return segment_parse_quote(&f, &scratch->segment);
}

/*
 * Reads the packet that an ICMP error quotes. Returns true for a TCP segment. If it is DNS, passes
 * the error on.
 */
__noinline int read_quote(struct __sk_buff *skb, __u32 length)
{
	struct scratch *scratch = this_cpu_scratch();

	if (!scratch)
		return false;
	if (!segment_read_quote(&scratch->segment, scratch->headers, length))
		return false;
	if (scratch->segment.kind == SEGMENT_ICMP_ERROR)
		return true;
	segment_set_origin(&scratch->segment, skb, scratch->egress);
	process_dns(skb);
	return false;
}

/*
 * Counts a packet that is neither TCP, UDP nor ICMP, or cannot be parsed. This function is global, so
 * that the verifier does not examine it for each way through the parser.
 */
__noinline int count_other(__u32 parsed)
{
	struct scratch *scratch = this_cpu_scratch();

	/* nothing below reads the context, so clang would pass garbage in its place */
	if (scratch)
		count_untracked(NULL, parsed, scratch->ethertype);
	return 0;
}

/* Processes a packet whose first length bytes the caller copied to scratch->headers. */
static __always_inline void process_copy(struct __sk_buff *skb, struct scratch *scratch,
					 __u64 length)
{
	struct frame f = frame_copy(skb, scratch, length);
	enum parse_result parsed;
	struct headers h;
	int failure;

	failure = parse_copy_link(skb, length);
	if (failure != PARSE_OK) {
		count_other(failure);
		return;
	}
	parsed = parse_copy(&f, scratch, &h);
	if (parsed == PARSE_TCP) {
		segment_from_tcp(&h, &scratch->segment);
	} else if (parsed == PARSE_UDP) {
		segment_from_udp(&f, &h, &scratch->segment);
		process_udp(skb);
		return;
	} else if (parsed == PARSE_ICMP) {
		segment_from_icmp(&f, &h, &scratch->segment);
		if (!parse_quote(skb, length) || !read_quote(skb, length))
			return;
	} else {
		count_other(parsed);
		return;
	}
	segment_set_origin(&scratch->segment, skb, scratch->egress);
	scratch->segment.hash = segment_hash(&scratch->segment, &run_seed);
	if (process_scratch(skb))
		start_scratch(skb);
}

/*
 * Handles every other packet: IP options and extension headers, first fragments, PPPoE, MPLS, ICMP
 * errors, and malformed packets. It also handles headers outside the linear part (frames larger
 * than a page).
 */
__noinline int slow_path_copy(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	__u64 length = skb->len;

	if (!scratch)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) { /* shorter than an IPv4 header */
		counter_add(COUNT_MALFORMED, 1);
		return 0;
	}
	/* otherwise clang 19 passes a register other than the one whose bounds were checked */
	barrier_var(length);
	if (bpf_skb_load_bytes(skb, 0, scratch->headers, length)) {
		counter_add(COUNT_LOST_TRUNCATED, 1);
		return 0;
	}
	process_copy(skb, scratch, length);
	return 0;
}

/*
 * Handles a packet that a tunnel device received on a kernel before 5.14. It still begins with the
 * outer headers, and only the offset of the network header is right. The length from there on is
 * read from the IP header.
 */
__noinline int slow_path_tunnel(struct __sk_buff *skb)
{
	bool ip6 = skb->protocol == cpu_to_be16(ETHERTYPE_IP6);
	struct scratch *scratch = this_cpu_scratch();
	__u64 length;

	if (!scratch)
		return 0;
	if (load_bytes(skb, true, 0, scratch->headers, 20)) {
		counter_add(COUNT_MALFORMED, 1);
		return 0;
	}
	length = ip6 ? 40 + get_be16(scratch->headers + 4) : get_be16(scratch->headers + 2);
	barrier_var(length); /* keeps the value in the register whose bounds are checked below */
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) {
		counter_add(COUNT_MALFORMED, 1);
		return 0;
	}
	barrier_var(length);
	if (load_bytes(skb, true, 0, scratch->headers, length)) {
		/* this helper reads only the linear part: retry with the headers alone */
		length = ip6 ? 40 + 20 : 20 + 20;
		if (load_bytes(skb, true, 0, scratch->headers, length)) {
			counter_add(COUNT_LOST_TRUNCATED, 1);
			return 0;
		}
	}
	scratch->tunnel_length = length;
	scratch->link = LINK_RAW_IP;
	scratch->egress = false;
	process_copy(skb, scratch, length);
	scratch->tunnel_length = 0;
	return 0;
}
