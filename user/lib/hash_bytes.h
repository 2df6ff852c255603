/* SPDX-License-Identifier: GPL-2.0 */
/* FNV-1a. Only for tables of bounded size: whoever sends the packets can choose keys that collide. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Padding is hashed as well: clear a struct before filling it in. */
static inline uint64_t hash_bytes(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint64_t hash = 0xcbf29ce484222325;

	while (size--)
		hash = (hash ^ *byte++) * 0x100000001b3;
	return hash;
}
