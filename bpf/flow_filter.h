/* SPDX-License-Identifier: GPL-2.0 */
/* Counting filter: tells from one load whether a flow of this hash may be opening. */
#pragma once

#include "compat.h"

/*
 * A lane is a sum: each flow that is opening adds 1024 and its tag, which is less than half of that.
 * So none is 0, one lies below 2048, two below 3072, and up to 31 fit; two lanes are a word. One is
 * told from another one's packet by the tag. Of two, the tags' sum is known; tags are squares, an eighth
 * of them, so that what such a sum leaves beside a tag is seldom another one. Of 100 000 openings, 1.7 %
 * of other packets may be meant as far as the lanes can tell: for these their line is asked. A sum,
 * since kernels before 5.12 know no atomic operation but adding.
 *
 * No lane ever wraps, or it would say no of what is opening. So a lane that is half full takes no more
 * flows: by chance none becomes so, but one four-tuple may be open in thousands of VLANs. What is left
 * is for the CPUs that add to it at the same moment.
 */
#define FILTER_SHIFT 18
#define CELL_ONE 1024U
#define CELL_FULL (32 * CELL_ONE) /* the upper bit of a lane */

struct flow_filter {
	__u32 words[1 << (FILTER_SHIFT - 1)]; /* 512 KiB: they stay in a core's own cache */
};

/* Of one flow. The bits are none of those that name the lane. */
static __always_inline __u32 fingerprint(__u32 hash)
{
	__u32 root = hash & 63;

	return root * root >> 3;
}

/* The bit of each number that is a tag. */
static const __u64 fingerprints[8] = {
	0x108421111124955f, 0x0101020408104104, 0x4010080402010101, 0x2004008010040100,
	0x0100100100100100, 0x0400100080040020, 0x0008001000400100, 0x0001000100020004,
};

static __always_inline bool is_fingerprint(__u32 number)
{
	return number < 512 && fingerprints[number >> 6] >> (number & 63) & 1;
}

/* What one flow adds to a lane. */
static __always_inline __u32 cell_increment(__u32 hash)
{
	return CELL_ONE | fingerprint(hash);
}

static __always_inline __u32 cell_of(__u32 hash)
{
	return hash >> (32 - FILTER_SHIFT);
}

static __always_inline __u16 cell_read(const struct flow_filter *filter, __u32 cell)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	cell ^= 1;
#endif
	return ((const volatile __u16 *)filter->words)[cell];
}

/*
 * Could a flow of this slot be opening? No is certain. One load, and for nearly all one branch: two or
 * more, or just this one?
 */
static __always_inline bool filter_may_hold(const struct flow_filter *filter, __u32 hash)
{
	__u32 cell = cell_read(filter, cell_of(hash));

	if (likely((cell ^ cell_increment(hash)) - 1 <= 2 * CELL_ONE - 2))
		return false;
	if (cell - 2 * CELL_ONE >= CELL_ONE)
		return true;
	return is_fingerprint(cell - 2 * CELL_ONE - fingerprint(hash));
}

/* May another flow of this slot be opening? */
static __always_inline bool filter_has_room(const struct flow_filter *filter, __u32 hash)
{
	return !(cell_read(filter, cell_of(hash)) & CELL_FULL);
}

/* A flow of this slot more, or less: n is 1 or -1. */
static __always_inline void filter_add(struct flow_filter *filter, __u32 hash, int n)
{
	__u32 cell = cell_of(hash);

	__sync_fetch_and_add(&filter->words[cell >> 1],
			     n * (cell_increment(hash) << ((cell & 1) << 4)));
}
