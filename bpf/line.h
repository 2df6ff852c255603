/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is kept of connections by a hash of their four-tuple alone. Lanes: how many are opening; a
 * packet of an established connection looks at its lane, and at nothing else. Lines: whether a
 * connection was seen before, and which settled a moment ago.
 */
#pragma once

#include "track.h"

/* What struct flow keeps of the hash; its upper bits are its best. */
static __always_inline __u32 slot_of(__u64 hash)
{
	return hash >> 32;
}

/*
 * A lane counts the opening flows of a slot and adds up their tags: 5 bits, and 11 that hold the sum
 * of as many tags of 6 bits; two lanes are a word. So one opening flow is told from another one's
 * packet by the tag; only two or more of them in one lane cannot be. Then a second lane elsewhere
 * is asked: of 100 000 openings, 6 % of other packets' lanes hold two or more, but both lanes of
 * 0.3 % only. A sum, since kernels before 5.12 know no atomic operation but adding.
 */
#define LANES_SHIFT 18
#define LANE_WORDS (1 << (LANES_SHIFT - 1)) /* 512 KiB: they stay in a core's own cache */

struct lanes {
	__u32 first[LANE_WORDS];
	__u32 second[LANE_WORDS];
};

static __always_inline __u32 *lane_word(__u32 *lanes, __u32 slot)
{
	return &lanes[slot >> (32 - LANES_SHIFT + 1)];
}

static __always_inline __u32 lane_shift(__u32 slot)
{
	return (slot >> (32 - LANES_SHIFT) & 1) << 4;
}

/* What one flow adds to its lane. */
static __always_inline __u32 lane_one(__u32 slot)
{
	return 1 | (slot >> (32 - LANES_SHIFT - 6) & 63) << 5;
}

/* The slot in the second array: all bits of the first take part. */
static __always_inline __u32 second_slot(__u32 slot)
{
	return slot * 0x9e3779b1U;
}

static __always_inline bool lane_may_be_opening(__u32 *lanes, __u32 slot)
{
	__u32 lane = *(volatile __u32 *)lane_word(lanes, slot) >> lane_shift(slot) & 0xffff;

	/* two or more, or the one: without a branch, which nothing could foretell */
	return unlikely((lane & 30) | ((lane ^ lane_one(slot)) - 1) >> 31);
}

/* Could a flow of this hash be opening? No is certain. */
static __always_inline bool may_be_opening(struct lanes *l, __u64 hash)
{
	__u32 slot = slot_of(hash);

	return lane_may_be_opening(l->first, slot) &&
	       lane_may_be_opening(l->second, second_slot(slot));
}

/* A flow of this slot more, or less: n is 1 or -1. */
static __always_inline void count_opening(struct lanes *l, __u32 slot, int n)
{
	__u32 other = second_slot(slot);

	__sync_fetch_and_add(lane_word(l->first, slot), n * (lane_one(slot) << lane_shift(slot)));
	__sync_fetch_and_add(lane_word(l->second, other),
			     n * (lane_one(other) << lane_shift(other)));
}

/* A connection that settled. Slots are overwritten: what is lost so is a late copy's silence. */
struct remembered {
	__u32 tag;
	__u32 until; /* in units of 2^20 ns, some ms */
};

#define REMEMBERED_SHIFT 20

#define KNOWN_WORDS 4
#define REMEMBERED_SLOTS 2

struct line {
	__u32 known[KNOWN_WORDS]; /* bits; two CPUs at once may lose one: a close counts for more */
	struct remembered remembered[REMEMBERED_SLOTS];
};

#define LINES_SHIFT 15
#define LINES (1 << LINES_SHIFT)

static __always_inline __u32 line_of(__u64 hash)
{
	return hash >> (64 - LINES_SHIFT);
}

/* Notes that a connection of this hash was seen; answers whether that is news. */
static __always_inline bool line_know(struct line *line, __u64 hash)
{
	__u32 bit = 1U << (hash & 31), *word = &line->known[hash >> 5 & (KNOWN_WORDS - 1)];

	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

static __always_inline struct remembered *line_remembered(struct line *line, __u64 hash)
{
	return &line->remembered[hash >> 7 & (REMEMBERED_SLOTS - 1)];
}
