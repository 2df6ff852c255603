/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is kept of connections by a hash of their four-tuple alone. Lanes: how many are opening, for
 * each direction; a packet of an established connection looks at its lane, and at nothing else. Lines:
 * whether a connection was seen before, which settled a moment ago, and lanes of their own. A
 * connection's beginning finds all of a line in one line of the cache.
 */
#pragma once

#include "track.h"

/*
 * A lane is a sum: each flow that is opening adds 1024 and its tag of 10 bits. So no flow is 0, one
 * is told from another one's packet by the tag, and two or more are 2048 or above; up to 31 fit, two
 * lanes are a word. Of 100 000 openings, 18 % of other packets' lanes hold two or more: then a lane of
 * the line is asked, which dismisses all but 1 %. A sum, since kernels before 5.12 know no atomic
 * operation but adding.
 *
 * No lane ever wraps, or it would say no of what is opening. So a lane that is half full takes no more
 * flows: by chance none becomes so, but one four-tuple may be open in thousands of VLANs. What is left
 * is for the CPUs that add to it at the same moment.
 */
#define LANES_SHIFT 18
#define LINES_SHIFT 15
#define LINES (1 << LINES_SHIFT)
#define LINE_LANES_SHIFT 4
#define LANE_ONE 1024U
#define LANE_FULL (32 * LANE_ONE) /* the upper bit of a lane */

/* What one flow adds to a lane. The tag's bits are none of those that name the lane. */
static __always_inline __u32 lane_one(__u32 slot)
{
	return LANE_ONE | (slot & (LANE_ONE - 1));
}

static __always_inline __u32 lane_of(__u32 slot)
{
	return slot >> (32 - LANES_SHIFT);
}

/* Which of its line's lanes, and the tag there: all bits of the slot take part. */
static __always_inline __u32 second_slot(__u32 slot)
{
	return slot * 0x9e3779b1U;
}

static __always_inline __u32 line_lane_of(__u32 slot)
{
	return second_slot(slot) >> (32 - LINE_LANES_SHIFT);
}

static __always_inline __u32 line_lane_one(__u32 slot)
{
	return lane_one(second_slot(slot) >> (32 - LINE_LANES_SHIFT - 10));
}

static __always_inline __u16 lane_read(const __u32 *words, __u32 lane)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	lane ^= 1;
#endif
	return ((const volatile __u16 *)words)[lane];
}

/* One load, and no branch that nothing could foretell: two or more, or just this one? */
static __always_inline bool lane_holds(const __u32 *words, __u32 lane, __u32 one)
{
	return unlikely((lane_read(words, lane) ^ one) - 1 > 2 * LANE_ONE - 2);
}

static __always_inline void lane_add(__u32 *words, __u32 lane, __u32 one, int n)
{
	__sync_fetch_and_add(&words[lane >> 1], n * (one << ((lane & 1) << 4)));
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
	__u32 lanes[1 << (LINE_LANES_SHIFT - 1)];
	__u32 known[KNOWN_WORDS]; /* bits; two CPUs at once may lose one: a close counts for more */
	struct remembered remembered[REMEMBERED_SLOTS];
};

struct traces {
	__u32 lanes[1 << (LANES_SHIFT - 1)]; /* 512 KiB: they stay in a core's own cache */
	struct line lines[LINES] __attribute__((aligned(64)));
};

_Static_assert(sizeof(struct line) == 64, "a line of the cache");

static __always_inline __u32 line_of(__u32 slot)
{
	return slot & (LINES - 1);
}

/* Could a flow of this slot be opening? No is certain. */
static __always_inline bool may_be_opening(const struct traces *t, __u32 slot)
{
	return lane_holds(t->lanes, lane_of(slot), lane_one(slot)) &&
	       lane_holds(t->lines[line_of(slot)].lanes, line_lane_of(slot), line_lane_one(slot));
}

/* May another flow of this hash be opening? */
static __always_inline bool has_room(const struct traces *t, __u64 hash)
{
	__u32 slot = slot_of(hash), back = slot_back_of(hash);

	return !((lane_read(t->lanes, lane_of(slot)) |
		  lane_read(t->lines[line_of(slot)].lanes, line_lane_of(slot)) |
		  lane_read(t->lanes, lane_of(back)) |
		  lane_read(t->lines[line_of(back)].lanes, line_lane_of(back))) &
		 LANE_FULL);
}

static __always_inline void count_direction(struct traces *t, __u32 slot, int n)
{
	lane_add(t->lanes, lane_of(slot), lane_one(slot), n);
	lane_add(t->lines[line_of(slot)].lanes, line_lane_of(slot), line_lane_one(slot), n);
}

/* A flow of this hash more, or less: n is 1 or -1. */
static __always_inline void count_opening(struct traces *t, __u64 hash, int n)
{
	count_direction(t, slot_of(hash), n);
	count_direction(t, slot_back_of(hash), n);
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
