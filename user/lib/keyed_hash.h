/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hash function of all tables: keyed, since most of their keys come from the network. Without
 * the secret a hostile host could choose addresses, ports or names that collide, and each lookup
 * would walk one long chain. Include this header before <uthash.h>; lib/hash.h does.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_BLOCK_BYTES 64 /* longer keys are hashed in blocks of this size */
#define HASH_BLOCK_WORDS (HASH_BLOCK_BYTES / 4)

/* Random numbers for this run: two for each block as a whole, then one for each of its words. */
extern uint64_t hash_secret[2 + HASH_BLOCK_WORDS];

/*
 * Returns the hash of size bytes. Padding is hashed as well, so clear a struct before filling it in.
 *
 * Multilinear hashing: two keys of one block collide with a probability of 2^-32, whatever their
 * sender chooses (Lemire and Kaser, "Strongly universal string hashing is fast", 2014).
 */
static inline uint32_t keyed_hash(const void *key, size_t size)
{
	uint64_t sum = hash_secret[0] + size;
	const uint8_t *byte = key;
	size_t i, n;
	uint32_t word;

	for (;;) {
		n = size < HASH_BLOCK_BYTES ? size : HASH_BLOCK_BYTES;
#pragma GCC unroll 16
		for (i = 0; i + 4 <= n; i += 4) {
			memcpy(&word, byte + i, 4);
			sum += word * hash_secret[2 + i / 4];
		}
		if (i < n) {
			word = 0;
			memcpy(&word, byte + i, n - i);
			sum += word * hash_secret[2 + i / 4];
		}
		if (n == size)
			return sum >> 32;
		byte += n;
		size -= n;
		sum = hash_secret[0] + (sum >> 32) * hash_secret[1];
	}
}

#ifndef HASH_FUNCTION
#define HASH_FUNCTION(key, size, hash) ((hash) = keyed_hash(key, size))
#endif
