/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fast path: returns as early as possible for packets that need no tracking, which are nearly all.
 *
 * It uses constant offsets only, stores nothing and calls nothing; the most frequent case falls
 * through. The cost to the traffic is 3 to 12 ns a packet, depending on caches (scripts/bench).
 */
#pragma once

#include "flow_filter.h"
#include "flow_hash.h"
#include "parse.h"

/*
 * Keeps the code of each inlined copy separate. Otherwise clang merges their ends, at the cost of a
 * jump for every packet.
 */
#ifdef __bpf__
#define KEEP_SEPARATE(copy) asm volatile("" : : "i"(copy))
#else
#define KEEP_SEPARATE(copy) ((void)(copy))
#endif

enum fastpath_result {
	FASTPATH_TCP, /* a segment without SYN, FIN or RST whose flow is not opening: done */
	FASTPATH_IGNORE, /* ARP, and ICMP that is no error: done, not even counted */
	FASTPATH_UDP, /* to be counted; *transport is the UDP header */
	FASTPATH_OTHER_PROTO, /* to be counted */
	FASTPATH_FRAGMENT, /* to be counted */
	FASTPATH_SLOW, /* the slow path must decide */
};

/*
 * Handles TCP behind a plain IP header. filter is NULL on hooks that track no flow: there, every
 * segment without SYN, FIN or RST can be skipped.
 */
static __always_inline enum fastpath_result fastpath_tcp(const __u8 *ip, bool ip6,
							 const struct flow_filter *filter,
							 const volatile struct hash_seed *seed,
							 int copy)
{
	const __u8 *tcp = ip + (ip6 ? 40 : 20);

	if (unlikely(tcp[13] & TCP_CONTROL))
		return FASTPATH_SLOW;
	if (filter && filter_may_hold(filter, hash_headers(ip, tcp, ip6, seed)))
		return FASTPATH_SLOW;
	KEEP_SEPARATE(copy);
	return FASTPATH_TCP;
}

/* The caller has checked that 40 bytes are readable from ip. */
static __always_inline enum fastpath_result fastpath_ip4(const __u8 *ip,
							 const struct flow_filter *filter,
							 const volatile struct hash_seed *seed,
							 int copy)
{
	if (unlikely(ip[0] != 0x45))
		return FASTPATH_SLOW;
	if (likely(is_plain_ip4(ip, PROTOCOL_TCP)))
		return fastpath_tcp(ip, false, filter, seed, copy);
	if (LOAD(__u16, ip + 6) & cpu_to_be16(0x1fff))
		return get_be16(ip + 2) < 20 ? FASTPATH_SLOW : FASTPATH_FRAGMENT;
	if (ip[9] == PROTOCOL_UDP)
		return FASTPATH_UDP;
	if (ip[9] == PROTOCOL_ICMP4)
		return is_icmp_error(ip[20], false) ? FASTPATH_SLOW : FASTPATH_IGNORE;
	if (ip[9] == PROTOCOL_TCP || ip[9] == PROTOCOL_AH || get_be16(ip + 2) < 20)
		return FASTPATH_SLOW;
	return FASTPATH_OTHER_PROTO;
}

static __always_inline enum fastpath_result fastpath_ip6(const __u8 *ip, const __u8 *end,
							 const struct flow_filter *filter,
							 const volatile struct hash_seed *seed,
							 int copy)
{
	if (unlikely(ip + 60 > end || ip[0] >> 4 != 6))
		return FASTPATH_SLOW;
	if (likely(ip[6] == PROTOCOL_TCP))
		return fastpath_tcp(ip, true, filter, seed, copy);
	if (ip[6] == PROTOCOL_UDP)
		return FASTPATH_UDP;
	if (ip[6] == PROTOCOL_ICMP6)
		return is_icmp_error(ip[40], true) ? FASTPATH_SLOW : FASTPATH_IGNORE;
	return is_ip6_extension(ip[6]) ? FASTPATH_SLOW : FASTPATH_OTHER_PROTO;
}

/* Decides by constant offsets alone whether the slow path must see the packet. */
static __always_inline enum fastpath_result fastpath(const struct frame *f, enum link_type link,
						     __u16 ethertype,
						     const struct flow_filter *filter,
						     const volatile struct hash_seed *seed,
						     const __u8 **transport)
{
	const __u8 *ip = f->begin + (link == LINK_ETHERNET ? 14 : 0);

	if (unlikely(ip + 40 > f->end)) {
		if (link == LINK_ETHERNET && ip <= f->end &&
		    LOAD(__u16, f->begin + 12) == cpu_to_be16(ETHERTYPE_ARP))
			return FASTPATH_IGNORE;
		return FASTPATH_SLOW;
	}
	ethertype = link == LINK_ETHERNET ? LOAD(__u16, ip - 2) : cpu_to_be16(ethertype);
	if (likely(ethertype == cpu_to_be16(ETHERTYPE_IP4))) {
		*transport = ip + 20;
		return fastpath_ip4(ip, filter, seed, 0);
	}
	if (likely(ethertype == cpu_to_be16(ETHERTYPE_IP6))) {
		*transport = ip + 40;
		return fastpath_ip6(ip, f->end, filter, seed, 1);
	}
	if (ethertype == cpu_to_be16(ETHERTYPE_ARP))
		return FASTPATH_IGNORE;
	if (link == LINK_RAW_IP || ethertype != cpu_to_be16(ETHERTYPE_VLAN) || ip + 44 > f->end)
		return FASTPATH_SLOW;
	ethertype = LOAD(__u16, ip + 2);
	ip += 4;
	if (ethertype == cpu_to_be16(ETHERTYPE_IP4)) {
		*transport = ip + 20;
		return fastpath_ip4(ip, filter, seed, 2);
	}
	*transport = ip + 40;
	return ethertype == cpu_to_be16(ETHERTYPE_IP6) ? fastpath_ip6(ip, f->end, filter, seed, 3)
						       : FASTPATH_SLOW;
}
