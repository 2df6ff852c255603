/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel side and the host compiler must agree on before parse.h, track.h and watch.h can
 * be compiled twice from one source: integer types, loads from a frame, and inlining.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/*
 * The verifier allows unaligned loads from a packet where the machine does, and clang makes one
 * load of it; in C proper they are undefined, so the host build copies.
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

/* clang no longer knows how x was made, and neither takes that apart nor mixes it with what follows. */
#define HIDE(x) asm volatile("" : "+r"(x))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)
#else
#define swap16(x) (x)
#define swap32(x) (x)
#endif

/* A 16 or 32 bit number of a header, in host order. */
static __always_inline __u16 load16(const __u8 *p)
{
	return swap16(LOAD(__u16, p));
}

static __always_inline __u32 load32(const __u8 *p)
{
	return swap32(LOAD(__u32, p));
}
