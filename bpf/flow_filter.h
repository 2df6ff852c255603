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

/* The connection that settled last: of those before, a late copy may be taken for an attempt. */
struct last_closed {
	__u32 tag;
	__u32 until; /* in units of 2^20 ns, some ms */
};

#define LAST_CLOSED_SHIFT 20

#define SEEN_WORDS 2
#define BUCKET_ENTRIES 11

/*
 * Opening flows by the numbers of their places in the table, from 1, and a tag above that; 0 is
 * nobody. There is a line for each four of the flows that may be opening at once: one attempt of a
 * thousand finds its line full, when the table is, and goes into another one.
 */
struct bucket {
	struct bpf_spin_lock lock; /* held while a flow comes, changes or goes */
	__u32 entries[BUCKET_ENTRIES];
	__u32 seen[SEEN_WORDS]; /* bits; two CPUs at once may lose one: a close counts for more */
	struct last_closed last_closed;
};

_Static_assert(sizeof(struct bucket) == 64, "a line of the cache");

#define MIN_BUCKETS (1 << 15)

/* For so many flows at once; a power of two. */
static __always_inline __u32 buckets_for(__u32 flows)
{
	__u32 buckets = MIN_BUCKETS;

	while (buckets < flows / 4)
		buckets *= 2;
	return buckets;
}

/* The same four-tuple on another interface or in another VLAN is another connection: see flow_key. */
static __always_inline __u32 bucket_number(__u32 hash, __u32 ifindex, const __u16 *vlan)
{
	return (hash ^ hash >> 16) + ifindex + vlan[0] * 0x2f35U + vlan[1] * 0x3e6bU;
}

/* Where a flow goes for which there is no room there. */
static __always_inline __u32 overflow_bucket_number(__u32 number, __u32 hash)
{
	return number + (hash >> 8 | 1);
}

/* Other bits than those that name the lane or the line: all of the slot's take part. */
static __always_inline __u32 second_hash(__u32 hash)
{
	return hash * 0x9e3779b1U;
}

#define SLOT_BITS 21
#define SLOT_MASK ((1U << SLOT_BITS) - 1)

static __always_inline __u32 entry_tag(__u32 hash)
{
	return second_hash(hash) & ~SLOT_MASK;
}

/* The n-th entry of a line to look at, each slot from another one on: so most flows are found at once. */
static __always_inline __u32 bucket_nth(__u32 hash, __u32 n)
{
	__u32 index =
		((second_hash(hash) + n * (0x10000 / BUCKET_ENTRIES)) & 0xffff) * BUCKET_ENTRIES >>
		16;

	barrier_var(
		index); /* else n, which the verifier knows, would be in use for as long as this is */
	return index;
}

/*
 * All bits, when the tag of this entry is the slot's, else none: a branch for each entry would be as
 * many paths for the verifier.
 */
static __always_inline __u32 tag_mask(__u32 entry, __u32 hash)
{
	__u64 differ = (entry ^ entry_tag(hash)) >> SLOT_BITS;

	barrier_var(differ);
	return (differ - 1) >> 32;
}

/* As filter_may_hold(), for what that could not dismiss. */
static __always_inline bool bucket_may_hold(const struct bucket *bucket, __u32 hash)
{
	__u32 may = 0;
	int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < BUCKET_ENTRIES; i++)
		may |= tag_mask(bucket->entries[i], hash);
	return may;
}

/* The entries of this tag, as a sum: another one shows that one came or went. */
static __always_inline __u32 bucket_entry_sum(const struct bucket *bucket, __u32 hash)
{
	__u32 sum = 0, entry;
	int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < BUCKET_ENTRIES; i++) {
		entry = bucket->entries[i];
		sum += entry & tag_mask(entry, hash);
	}
	return sum;
}

/* Some flow of this line went into another one: for good, since nobody counts them. */
#define BUCKET_OVERFLOWED (1U << 31) /* in the last word of known */

static __always_inline bool bucket_has_overflowed(const struct bucket *bucket)
{
	return bucket->seen[SEEN_WORDS - 1] & BUCKET_OVERFLOWED;
}

static __always_inline __u32 seen_bit(__u32 hash)
{
	return (second_hash(hash) >> 16) * (32 * SEEN_WORDS - 1) >> 16;
}

/* Was a connection of this slot seen before? */
static __always_inline bool bucket_has_seen(const struct bucket *bucket, __u32 hash)
{
	__u32 bit = seen_bit(hash);

	return bucket->seen[bit >> 5 & (SEEN_WORDS - 1)] & 1U << (bit & 31);
}

/*
 * Notes that it was; answers whether that is news. No store where it is none: it might undo what another
 * CPU notes at this moment.
 */
static __always_inline bool bucket_test_and_set_seen(struct bucket *bucket, __u32 hash)
{
	__u32 bit = seen_bit(hash);

	if (bucket_has_seen(bucket, hash))
		return false;
	bucket->seen[bit >> 5 & (SEEN_WORDS - 1)] |= 1U << (bit & 31);
	return true;
}
