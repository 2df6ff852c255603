/* SPDX-License-Identifier: GPL-2.0 */
/* The bucket of 64 bytes in which opening flows are found by their hash, and its arithmetic. */
#pragma once

#ifndef __bpf__
#include <linux/bpf.h>
#endif
#include "track.h"

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

/* The same four-tuple in another VLAN is another connection. */
static __always_inline __u32 last_closed_tag(const struct flow_key *key, __u32 hash, __u32 isn)
{
	return hash ^ isn ^ ((__u32)key->vlan[0] << 16 | key->vlan[1]) ^ key->ifindex << 12;
}

static __always_inline void bucket_set_last_closed(struct bucket *bucket,
						   const struct flow_key *key, __u32 hash,
						   __u32 isn, enum end_reason why, __u64 now)
{
	struct last_closed *r = &bucket->last_closed;
	__u64 until = now;

	if (why == END_PAYLOAD || why == END_ONE_SIDED)
		until += LAST_CLOSED_NS;
	else /* the same ISN may begin another attempt: Windows tries a refused port three times */
		until += COPY_NS;
	r->tag = last_closed_tag(key, hash, isn);
	r->until = (until >> LAST_CLOSED_SHIFT) + 1;
}

static __always_inline bool bucket_is_last_closed(struct bucket *bucket, const struct flow_key *key,
						  __u32 hash, __u32 isn, __u64 now)
{
	const struct last_closed *r = &bucket->last_closed;

	return r->tag == last_closed_tag(key, hash, isn) &&
	       (__s32)(r->until - (__u32)(now >> LAST_CLOSED_SHIFT)) > 0;
}
