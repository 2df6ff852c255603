/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is this packet of no interest? Nearly all are, and this is what the probe costs the traffic: so
 * they are told by constant offsets, without a store and without a call, the most frequent first and
 * on a straight line. What is not as plain is handed on, to be looked at by locate().
 */
#pragma once

#include "line.h"

/*
 * Each place has code of its own, and ends in what no other one has: else clang makes all of them
 * jump into one copy.
 */
#ifdef __bpf__
#define OWN_COPY() asm volatile("" : : "i"(__COUNTER__))
#else
#define OWN_COPY()
#endif

/* Of plain TCP. Without lanes: any that does not open or close. */
static __always_inline bool is_boring_tcp(const __u8 *ip, bool ip6, const struct lanes *lanes,
					  const volatile struct hash_seed *seed)
{
	const __u8 *tcp = ip + (ip6 ? 40 : 20);

	return likely(!(tcp[13] & TCP_LOOK)) &&
	       (!lanes || !may_be_opening(lanes, slot_from(ip, tcp, ip6, seed)));
}

/* TCP in one piece, by all that stands from the fragment to the protocol. */
static __always_inline bool is_plain_tcp4(const __u8 *ip)
{
	return (LOAD(__u32, ip + 6) & swap32(0x3fff00ff)) == swap32(PROTOCOL_TCP);
}

/* At least 40 bytes are there, without options; it is no plain TCP. */
static __always_inline enum parsed glance_ip4(const __u8 *ip)
{
	if (LOAD(__u16, ip + 6) & swap16(0x3fff))
		return PARSED_DEEP;
	if (ip[9] == PROTOCOL_UDP)
		return PARSED_UDP;
	if (ip[9] == PROTOCOL_ICMP4)
		return is_icmp_error(ip[20], false) ? PARSED_DEEP : PARSED_ARP;
	return ip[9] == PROTOCOL_AH || load16(ip + 2) < 20 ? PARSED_DEEP : PARSED_OTHER;
}

/* At least 60 bytes are there; it is no TCP. */
static __always_inline enum parsed glance_ip6(const __u8 *ip)
{
	if (ip[6] == PROTOCOL_UDP)
		return PARSED_UDP;
	if (ip[6] == PROTOCOL_ICMP6)
		return is_icmp_error(ip[40], true) ? PARSED_DEEP : PARSED_ARP;
	return is_ip6_extension(ip[6]) ? PARSED_DEEP : PARSED_OTHER;
}

/*
 * PARSED_TCP: a segment without SYN, FIN or RST, of a flow that is not opening. PARSED_UDP:
 * *transport is its header. PARSED_OTHER, and PARSED_ARP for what is not even counted. All else is
 * PARSED_DEEP.
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
		if (unlikely(ip[0] != 0x45))
			return PARSED_DEEP;
		if (likely(is_plain_tcp4(ip))) {
			if (likely(is_boring_tcp(ip, false, lanes, seed))) {
				OWN_COPY();
				return PARSED_TCP;
			}
			return PARSED_DEEP;
		}
		*transport = ip + 20;
		return glance_ip4(ip);
	}
	if (likely(ethertype == swap16(ETHERTYPE_IP6))) {
		if (unlikely(ip + 60 > f->end || ip[0] >> 4 != 6))
			return PARSED_DEEP;
		if (likely(ip[6] == PROTOCOL_TCP)) {
			if (likely(is_boring_tcp(ip, true, lanes, seed))) {
				OWN_COPY();
				return PARSED_TCP;
			}
			return PARSED_DEEP;
		}
		*transport = ip + 40;
		return glance_ip6(ip);
	}
	if (ethertype == swap16(ETHERTYPE_ARP))
		return PARSED_ARP;
	if (link == LINK_BARE || ethertype != swap16(ETHERTYPE_VLAN) || ip + 44 > f->end)
		return PARSED_DEEP;
	ethertype = LOAD(__u16, ip + 2);
	ip += 4;
	if (ethertype == swap16(ETHERTYPE_IP4) && ip[0] == 0x45) {
		if (likely(is_plain_tcp4(ip))) {
			if (likely(is_boring_tcp(ip, false, lanes, seed))) {
				OWN_COPY();
				return PARSED_TCP;
			}
			return PARSED_DEEP;
		}
		*transport = ip + 20;
		return glance_ip4(ip);
	}
	if (ethertype != swap16(ETHERTYPE_IP6) || ip + 60 > f->end || ip[0] >> 4 != 6)
		return PARSED_DEEP;
	if (likely(ip[6] == PROTOCOL_TCP)) {
		if (likely(is_boring_tcp(ip, true, lanes, seed))) {
			OWN_COPY();
			return PARSED_TCP;
		}
		return PARSED_DEEP;
	}
	*transport = ip + 40;
	return glance_ip6(ip);
}
