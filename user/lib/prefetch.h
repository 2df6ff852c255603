/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loads memory into the cache ahead of its use. Records of many hosts come one after another, so
 * that nearly each access to a table waits for the memory otherwise, for some 100 ns.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64

/* Never faults, whatever the address. */
static inline void prefetch(const void *address, size_t size)
{
	uintptr_t start = (uintptr_t)address;
	size_t i;

#pragma GCC unroll 16
	for (i = 0; i < size; i += CACHE_LINE)
		__builtin_prefetch((const void *)(start + i));
	__builtin_prefetch((const void *)(start + size - 1));
}
