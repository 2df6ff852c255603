/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is kept of connections by their slot, a hash of the four-tuple alone. Lanes: how many are
 * opening; a packet of an established connection looks at its lane, and at nothing else. Lines: where
 * the opening flows are, whether a connection was seen before, and which settled a moment ago. A
 * connection's beginning finds all that in one line of the cache.
 */
#pragma once

#ifndef __bpf__
#include <linux/bpf.h>
#endif
#include "track.h"

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
#define LANES_SHIFT 18
#define LANE_ONE 1024U
#define LANE_FULL (32 * LANE_ONE) /* the upper bit of a lane */

struct lanes {
	__u32 words[1 << (LANES_SHIFT - 1)]; /* 512 KiB: they stay in a core's own cache */
};

/* Of one flow. The bits are none of those that name the lane. */
static __always_inline __u32 lane_tag(__u32 slot)
{
	__u32 root = slot & 63;

	return root * root >> 3;
}

/* The bit of each number that is a tag. */
static const __u64 lane_tags[8] = {
	0x108421111124955f, 0x0101020408104104, 0x4010080402010101, 0x2004008010040100,
	0x0100100100100100, 0x0400100080040020, 0x0008001000400100, 0x0001000100020004,
};

static __always_inline bool is_lane_tag(__u32 number)
{
	return number < 512 && lane_tags[number >> 6] >> (number & 63) & 1;
}

/* What one flow adds to a lane. */
static __always_inline __u32 lane_one(__u32 slot)
{
	return LANE_ONE | lane_tag(slot);
}

static __always_inline __u32 lane_of(__u32 slot)
{
	return slot >> (32 - LANES_SHIFT);
}

static __always_inline __u16 lane_read(const struct lanes *lanes, __u32 lane)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	lane ^= 1;
#endif
	return ((const volatile __u16 *)lanes->words)[lane];
}

/*
 * Could a flow of this slot be opening? No is certain. One load, and for nearly all one branch: two or
 * more, or just this one?
 */
static __always_inline bool may_be_opening(const struct lanes *lanes, __u32 slot)
{
	__u32 lane = lane_read(lanes, lane_of(slot));

	if (likely((lane ^ lane_one(slot)) - 1 <= 2 * LANE_ONE - 2))
		return false;
	if (lane - 2 * LANE_ONE >= LANE_ONE)
		return true;
	return is_lane_tag(lane - 2 * LANE_ONE - lane_tag(slot));
}

/* May another flow of this slot be opening? */
static __always_inline bool has_room(const struct lanes *lanes, __u32 slot)
{
	return !(lane_read(lanes, lane_of(slot)) & LANE_FULL);
}

/* A flow of this slot more, or less: n is 1 or -1. */
static __always_inline void count_opening(struct lanes *lanes, __u32 slot, int n)
{
	__u32 lane = lane_of(slot);

	__sync_fetch_and_add(&lanes->words[lane >> 1], n * (lane_one(slot) << ((lane & 1) << 4)));
}

/* The connection that settled last: of those before, a late copy may be taken for an attempt. */
struct remembered {
	__u32 tag;
	__u32 until; /* in units of 2^20 ns, some ms */
};

#define REMEMBERED_SHIFT 20

#define KNOWN_WORDS 2
#define LINE_FLOWS 11

/*
 * Opening flows by the numbers of their places in the table, from 1, and a tag above that; 0 is
 * nobody. There is a line for each four of the flows that may be opening at once: one attempt of a
 * thousand finds its line full, when the table is, and goes into another one.
 */
struct line {
	struct bpf_spin_lock lock; /* held while a flow comes, changes or goes */
	__u32 flows[LINE_FLOWS];
	__u32 known[KNOWN_WORDS]; /* bits; two CPUs at once may lose one: a close counts for more */
	struct remembered remembered;
};

_Static_assert(sizeof(struct line) == 64, "a line of the cache");

#define LEAST_LINES (1 << 15)

/* For so many flows at once; a power of two. */
static __always_inline __u32 lines_for(__u32 flows)
{
	__u32 lines = LEAST_LINES;

	while (lines < flows / 4)
		lines *= 2;
	return lines;
}

/* The same four-tuple on another interface or in another VLAN is another connection: see flow_key. */
static __always_inline __u32 line_number(__u32 slot, __u32 ifindex, const __u16 *vlan)
{
	return (slot ^ slot >> 16) + ifindex + vlan[0] * 0x2f35U + vlan[1] * 0x3e6bU;
}

/* Where a flow goes for which there is no room there. */
static __always_inline __u32 other_line_number(__u32 number, __u32 slot)
{
	return number + (slot >> 8 | 1);
}

/* Other bits than those that name the lane or the line: all of the slot's take part. */
static __always_inline __u32 second_slot(__u32 slot)
{
	return slot * 0x9e3779b1U;
}

#define PLACE_BITS 21
#define PLACE_MASK ((1U << PLACE_BITS) - 1)

static __always_inline __u32 line_tag(__u32 slot)
{
	return second_slot(slot) & ~PLACE_MASK;
}

/* The n-th entry of a line to look at, each slot from another one on: so most flows are found at once. */
static __always_inline __u32 line_nth(__u32 slot, __u32 n)
{
	__u32 at = ((second_slot(slot) + n * (0x10000 / LINE_FLOWS)) & 0xffff) * LINE_FLOWS >> 16;

	HIDE(at); /* else n, which the verifier knows, would be in use for as long as this is */
	return at;
}

/*
 * All bits, when the tag of this entry is the slot's, else none: a branch for each entry would be as
 * many paths for the verifier.
 */
static __always_inline __u32 same_tag(__u32 entry, __u32 slot)
{
	__u64 differ = (entry ^ line_tag(slot)) >> PLACE_BITS;

	HIDE(differ);
	return (differ - 1) >> 32;
}

/* As may_be_opening(), for what that could not dismiss. */
static __always_inline bool line_may_hold(const struct line *line, __u32 slot)
{
	__u32 may = 0;
	int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < LINE_FLOWS; i++)
		may |= same_tag(line->flows[i], slot);
	return may;
}

/* The entries of this tag, as a sum: another one shows that one came or went. */
static __always_inline __u32 line_entries(const struct line *line, __u32 slot)
{
	__u32 sum = 0, entry;
	int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < LINE_FLOWS; i++) {
		entry = line->flows[i];
		sum += entry & same_tag(entry, slot);
	}
	return sum;
}

/* Some flow of this line went into another one: for good, since nobody counts them. */
#define LINE_OVERFLOWED (1U << 31) /* in the last word of known */

static __always_inline bool has_overflowed(const struct line *line)
{
	return line->known[KNOWN_WORDS - 1] & LINE_OVERFLOWED;
}

static __always_inline __u32 known_bit(__u32 slot)
{
	return (second_slot(slot) >> 16) * (32 * KNOWN_WORDS - 1) >> 16;
}

/* Was a connection of this slot seen before? */
static __always_inline bool line_knows(const struct line *line, __u32 slot)
{
	__u32 bit = known_bit(slot);

	return line->known[bit >> 5 & (KNOWN_WORDS - 1)] & 1U << (bit & 31);
}

/*
 * Notes that it was; answers whether that is news. No store where it is none: it might undo what another
 * CPU notes at this moment.
 */
static __always_inline bool line_know(struct line *line, __u32 slot)
{
	__u32 bit = known_bit(slot);

	if (line_knows(line, slot))
		return false;
	line->known[bit >> 5 & (KNOWN_WORDS - 1)] |= 1U << (bit & 31);
	return true;
}
