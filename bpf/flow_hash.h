/* SPDX-License-Identifier: GPL-2.0 */
/* Keyed hash of the four-tuple, equal for both directions of a connection. */
#pragma once

#include "compat.h"

/*
 * Secret of this run: without it nobody on the wire can aim at a slot, nor make many four-tuples meet
 * in one. Random, each word for one use: a key that two parts shared could be cancelled by choosing
 * both of them.
 */
struct hash_seed {
	__u64 address;
	__u64 prefix; /* of IPv6 */
	__u64 rest; /* odd, as all that is only multiplied by: no bit is lost */
	__u64 ports; /* odd */
	__u64 spread; /* odd */
};

static __always_inline void hash_seed_make_odd(struct hash_seed *seed)
{
	seed->rest |= 1;
	seed->ports |= 1;
	seed->spread |= 1;
}

static __always_inline __u64 hash_mix(__u64 x, const volatile struct hash_seed *seed)
{
	x = (x ^ seed->prefix) * 0x9e3779b97f4a7c15ULL;
	return (x ^ x >> 32) * seed->spread;
}

/*
 * The prefix by a product with its own half, which nobody can make equal to another one's, and then
 * the rest; turned about, lest what differs in the last bits alone be lost at the upper end of the
 * products to come.
 */
static __always_inline __u64 hash_end6(const __u8 *address, const volatile struct hash_seed *seed)
{
	__u64 prefix = LOAD(__u64, address) ^ seed->prefix;

	prefix = (prefix >> 32) * prefix + LOAD(__u64, address + 8);
	return __builtin_bswap64(prefix * seed->rest);
}

static __always_inline __u64 hash_end(const __u8 *address, const __u8 *port, bool ip6,
				      const volatile struct hash_seed *seed)
{
	__u64 end = ip6 ? hash_end6(address, seed) : LOAD(__u32, address);

	return end + seed->address + LOAD(__u16, port) * seed->ports;
}

/*
 * Equal for both directions. The product of both ends depends on the key, unless their sum is the
 * same: then two products differ by a number that no key changes, but for the factor of the ports and
 * the last one, which are secret as well.
 */
static __always_inline __u32 hash_ends(__u64 from, __u64 to, const volatile struct hash_seed *seed)
{
	return from * to * seed->spread >> 32;
}

static __always_inline __u32 hash_headers(const __u8 *ip, const __u8 *tcp, bool ip6,
					  const volatile struct hash_seed *seed)
{
	__u64 from, to;

	from = hash_end(ip + (ip6 ? 8 : 12), tcp, ip6, seed);
	barrier_var(from); /* one after the other: no more registers to be saved and restored */
	to = hash_end(ip + (ip6 ? 24 : 16), tcp + 2, ip6, seed);
	return hash_ends(from, to, seed);
}
