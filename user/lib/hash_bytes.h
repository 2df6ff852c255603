/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FNV-1a, a hash without a key. Use it only for tables of bounded size: an attacker can choose keys
 * that collide.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Returns the hash of size bytes. Padding is hashed as well, so clear a struct before filling it
 * in.
 */
static inline uint64_t hash_bytes(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint64_t hash = 0xcbf29ce484222325;

	while (size--)
		hash = (hash ^ *byte++) * 0x100000001b3;
	return hash;
}
