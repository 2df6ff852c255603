/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Layout of a hash bucket, and the functions that read and change it. A flow's hash, interface and
 * VLAN select its bucket. A bucket holds the slots of its opening flows (entries), the connections
 * seen before (seen), and the connection that closed last (last_closed).
 *
 * Buys: the start of a connection finds all three in one cache line.
 * Costs: 4 MiB or more.
 */
#pragma once

#ifndef __bpf__
#include <linux/bpf.h>
#endif
#include "track.h"

/*
 * The connection that settled last in this bucket: a late copy of its SYN must not count as a new
 * attempt. Earlier connections are forgotten.
 */
struct last_closed {
	__u32 tag;
	__u32 until; /* in units of 2^20 ns (about 1 ms), modulo 2^32 */
};

#define LAST_CLOSED_SHIFT 20

#define SEEN_WORDS 2
#define BUCKET_ENTRIES 11

/*
 * An entry is a slot number, from 1, in its lower bits and a tag from the hash in its upper bits; 0
 * is a free entry. There is a bucket for every two flows of the table. An attempt whose bucket is
 * full is counted as lost (COUNT_LOST_MAP): with a full table, one in 100 000 or fewer. The hash has a
 * key, so nobody can choose four-tuples of one bucket.
 */
struct bucket {
	struct bpf_spin_lock lock; /* held while a flow is inserted, changed or removed */
	__u32 entries[BUCKET_ENTRIES];
	/*
	 * indexed by seen_bit(). If two CPUs store at once, a bit may be lost: a later FIN of that
	 * connection then counts as COUNT_ALREADY_OPEN
	 */
	__u32 seen[SEEN_WORDS];
	struct last_closed last_closed;
};

_Static_assert(sizeof(struct bucket) == 64, "a cache line");

#define MIN_BUCKETS (1 << 16)

/* Returns the number of buckets for a table of so many flows, a power of two. */
static __always_inline __u32 buckets_for(__u32 flows)
{
	__u32 buckets = MIN_BUCKETS;

	while (buckets < flows / 2)
		buckets *= 2;
	return buckets;
}

/*
 * Returns the number of a flow's bucket. The same four-tuple on another interface or in another
 * VLAN is another connection, see struct flow_key. The caller reduces the number to the size of the
 * map.
 */
static __always_inline __u32 bucket_number(__u32 hash, __u32 ifindex, const __u16 *vlan)
{
	return (hash ^ hash >> 16) + ifindex + vlan[0] * 0x2f35U + vlan[1] * 0x3e6bU;
}

/*
 * Mixes all bits of the hash, so that the result is independent of the bits that select the cell
 * and the bucket.
 */
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

/*
 * Returns the index of the n-th entry to examine. Each hash has its own first index, so that most
 * flows are found at the first attempt.
 */
static __always_inline __u32 bucket_nth(__u32 hash, __u32 n)
{
	__u32 index =
		((second_hash(hash) + n * (0x10000 / BUCKET_ENTRIES)) & 0xffff) * BUCKET_ENTRIES >>
		16;

	/* otherwise clang keeps n live beside the index, and the verifier knows the value of n */
	barrier_var(index);
	return index;
}

/*
 * Returns all ones if the entry has the tag of this hash, else 0. It has no branch: a branch for
 * each entry would multiply the verifier's paths.
 */
static __always_inline __u32 tag_mask(__u32 entry, __u32 hash)
{
	__u64 differ = (entry ^ entry_tag(hash)) >> SLOT_BITS;

	barrier_var(differ);
	return (differ - 1) >> 32;
}

/*
 * Returns true if an entry has the tag of this hash. It is a second check for packets that the
 * filter could not dismiss.
 */
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

/*
 * Returns the sum of the entries with the tag of this hash. A changed sum shows that a flow with
 * this tag was inserted or removed.
 */
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

static __always_inline __u32 seen_bit(__u32 hash)
{
	return (second_hash(hash) >> 16) * (32 * SEEN_WORDS) >> 16;
}

/* Returns true if a connection with this hash was seen before. */
static __always_inline bool bucket_has_seen(const struct bucket *bucket, __u32 hash)
{
	__u32 bit = seen_bit(hash);

	return bucket->seen[bit >> 5 & (SEEN_WORDS - 1)] & 1U << (bit & 31);
}

/*
 * Marks the connection as seen. Returns true if it was not marked before. If it was, nothing is
 * stored: a store could undo a bit that another CPU sets at the same moment.
 */
static __always_inline bool bucket_test_and_set_seen(struct bucket *bucket, __u32 hash)
{
	__u32 bit = seen_bit(hash);

	if (bucket_has_seen(bucket, hash))
		return false;
	bucket->seen[bit >> 5 & (SEEN_WORDS - 1)] |= 1U << (bit & 31);
	return true;
}

/* Identifies an attempt by its ISN and by all fields that distinguish connections. */
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
	else /* the same ISN may start another attempt: Windows retries a refused port twice */
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
