/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loads memory into the cache ahead of its use. Records of many hosts come one after another, so
 * that nearly each access to a table waits for the memory otherwise, for some 100 ns.
 */
#pragma once

#include <stddef.h>

#define CACHE_LINE 64

/* address may be NULL, or lie outside of all objects: a prefetch never faults. */
static inline void prefetch(const void *address, size_t size)
{
	const char *start = address;
	size_t i;

	if (!start)
		return;
#pragma GCC unroll 16
	for (i = 0; i < size; i += CACHE_LINE)
		__builtin_prefetch(start + i);
	__builtin_prefetch(start + size - 1);
}
