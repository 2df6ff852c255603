/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keyed hash of the four-tuple, equal for both directions of a connection.
 *
 * The filter, the buckets and the seen bits all depend on it. The key is random and secret, so that
 * no sender of packets can choose four-tuples that collide. tests/unit/hash.c checks this.
 */
#pragma once

#include "compat.h"

/*
 * The key of a run. Each word has one use: if two parts of the hash shared a word, an attacker
 * could choose both parts so that it cancels out. The factors are odd, so that multiplying loses no
 * bit.
 */
struct hash_seed {
	__u64 address;
	__u64 prefix; /* of IPv6 addresses */
	__u64 rest; /* factor, odd */
	__u64 ports; /* factor, odd */
	__u64 spread; /* factor, odd */
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
 * Multiplies the prefix by its own upper half, which no choice of another prefix can undo, and adds
 * the interface identifier. The bytes are swapped at the end: otherwise the products that follow
 * would lose differences in the last bits.
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
 * Combines the hashes of both ends; the result is equal for both directions. If two tuples have the
 * same sum of ends, the difference of their products does not depend on seed->address. It still
 * depends on the factor of the ports and on seed->spread, which are secret as well.
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
	/*
	 * compute one end after the other: this takes fewer registers, which a hook saves and
	 * restores
	 */
	barrier_var(from);
	to = hash_end(ip + (ip6 ? 24 : 16), tcp + 2, ip6, seed);
	return hash_ends(from, to, seed);
}
