/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is this packet of no interest? Nearly all are, and this is what the probe costs the traffic: so
 * they are told by constant offsets, without a store and without a call, the most frequent first and
 * on a straight line. What is not as plain is handed on, to be looked at by locate().
 */
#pragma once

#include "flow_filter.h"

/* Code of its own for each copy: else clang makes all of them jump into one. */
#ifdef __bpf__
#define OWN_CODE(copy) asm volatile("" : : "i"(copy))
#else
#define OWN_CODE(copy) ((void)(copy))
#endif

/* Of plain TCP. Without lanes, all is boring that does not open or close. */
static __always_inline enum parsed glance_tcp(const __u8 *ip, bool ip6, const struct lanes *lanes,
					      const volatile struct hash_seed *seed, int copy)
{
	const __u8 *tcp = ip + (ip6 ? 40 : 20);

	if (unlikely(tcp[13] & TCP_LOOK))
		return PARSED_DEEP;
	if (lanes && may_be_opening(lanes, slot_from(ip, tcp, ip6, seed)))
		return PARSED_DEEP;
	OWN_CODE(copy);
	return PARSED_TCP;
}

/* At least 40 bytes are there. */
static __always_inline enum parsed glance_ip4(const __u8 *ip, const struct lanes *lanes,
					      const volatile struct hash_seed *seed, int copy)
{
	if (unlikely(ip[0] != 0x45))
		return PARSED_DEEP;
	if (likely(is_plain_tcp4(ip)))
		return glance_tcp(ip, false, lanes, seed, copy);
	if (LOAD(__u16, ip + 6) & swap16(0x1fff))
		return load16(ip + 2) < 20 ? PARSED_DEEP : PARSED_FRAGMENT;
	if (ip[9] == PROTOCOL_UDP)
		return PARSED_UDP;
	if (ip[9] == PROTOCOL_ICMP4)
		return is_icmp_error(ip[20], false) ? PARSED_DEEP : PARSED_ARP;
	if (ip[9] == PROTOCOL_TCP || ip[9] == PROTOCOL_AH || load16(ip + 2) < 20)
		return PARSED_DEEP;
	return PARSED_OTHER;
}

static __always_inline enum parsed glance_ip6(const __u8 *ip, const __u8 *end,
					      const struct lanes *lanes,
					      const volatile struct hash_seed *seed, int copy)
{
	if (unlikely(ip + 60 > end || ip[0] >> 4 != 6))
		return PARSED_DEEP;
	if (likely(ip[6] == PROTOCOL_TCP))
		return glance_tcp(ip, true, lanes, seed, copy);
	if (ip[6] == PROTOCOL_UDP)
		return PARSED_UDP;
	if (ip[6] == PROTOCOL_ICMP6)
		return is_icmp_error(ip[40], true) ? PARSED_DEEP : PARSED_ARP;
	return is_ip6_extension(ip[6]) ? PARSED_DEEP : PARSED_OTHER;
}

/*
 * PARSED_TCP: a segment without SYN, FIN or RST, of a flow that is not opening. PARSED_UDP:
 * *transport is its header. PARSED_FRAGMENT, PARSED_OTHER, and PARSED_ARP for what is not even counted.
 * All else is PARSED_DEEP.
 */
static __always_inline enum parsed glance(const struct frame *f, enum link link, __u16 ethertype,
					  const struct lanes *lanes,
					  const volatile struct hash_seed *seed,
					  const __u8 **transport)
{
	const __u8 *ip = f->begin + (link == LINK_ETHERNET ? 14 : 0);

	if (unlikely(ip + 40 > f->end)) {
		if (link == LINK_ETHERNET && ip <= f->end &&
		    LOAD(__u16, f->begin + 12) == swap16(ETHERTYPE_ARP))
			return PARSED_ARP;
		return PARSED_DEEP;
	}
	ethertype = link == LINK_ETHERNET ? LOAD(__u16, ip - 2) : swap16(ethertype);
	if (likely(ethertype == swap16(ETHERTYPE_IP4))) {
		*transport = ip + 20;
		return glance_ip4(ip, lanes, seed, 0);
	}
	if (likely(ethertype == swap16(ETHERTYPE_IP6))) {
		*transport = ip + 40;
		return glance_ip6(ip, f->end, lanes, seed, 1);
	}
	if (ethertype == swap16(ETHERTYPE_ARP))
		return PARSED_ARP;
	if (link == LINK_BARE || ethertype != swap16(ETHERTYPE_VLAN) || ip + 44 > f->end)
		return PARSED_DEEP;
	ethertype = LOAD(__u16, ip + 2);
	ip += 4;
	if (ethertype == swap16(ETHERTYPE_IP4)) {
		*transport = ip + 20;
		return glance_ip4(ip, lanes, seed, 2);
	}
	*transport = ip + 40;
	return ethertype == swap16(ETHERTYPE_IP6) ? glance_ip6(ip, f->end, lanes, seed, 3)
						  : PARSED_DEEP;
}
