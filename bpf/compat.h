/* SPDX-License-Identifier: GPL-2.0 */
/* Types, unaligned loads and byte order for code that is compiled both as BPF and for the host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __bpf__
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#else
#include <linux/types.h>
#define barrier_var(var) asm volatile("" : "+r"(var)) /* as in libbpf's bpf_helpers.h */
#endif

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * Reads an unaligned value. The verifier allows unaligned loads from a packet where the machine
 * does, and clang emits a single load. In standard C such loads are undefined, so the host build
 * copies.
 */
#ifdef __bpf__
#define LOAD(type, p) (*(const type *)(p))
#else
#define LOAD(type, p)                                         \
	({                                                    \
		type loaded;                                  \
		__builtin_memcpy(&loaded, (p), sizeof(type)); \
		loaded;                                       \
	})
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define cpu_to_be16(x) __builtin_bswap16(x)
#define cpu_to_be32(x) __builtin_bswap32(x)
#else
#define cpu_to_be16(x) (x)
#define cpu_to_be32(x) (x)
#endif
#define be16_to_cpu(x) cpu_to_be16(x)
#define be32_to_cpu(x) cpu_to_be32(x)

/* Reads a big-endian header field and returns it in host order. */
static __always_inline __u16 get_be16(const __u8 *p)
{
	return be16_to_cpu(LOAD(__u16, p));
}

static __always_inline __u32 get_be32(const __u8 *p)
{
	return be32_to_cpu(LOAD(__u32, p));
}
