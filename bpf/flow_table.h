/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of opening flows: lookup, insertion, locking, publication of records, eviction. It
 * implements the storage below process.h in the kernel.
 *
 * The flows are elements of an array, called slots. A bucket (bucket.h) of one cache line holds the
 * slot numbers and tags of the flows whose hash selects it.
 *
 * Buys, compared with BPF_MAP_TYPE_HASH: 1.7 instead of 2.5 us a connection, and 24 instead of 33
 * ns a packet in a storm of openings. A sweep of 100 000 flows takes 37 instead of 55 ms. An LRU
 * map is no alternative: it evicts silently, and every attempt must end as a record or in a
 * counter.
 * Costs: about 750 lines, here and in bucket.h, freelist.h and evict.h.
 *
 * Both directions of a connection may be processed on two CPUs at once, and the slot of a settled
 * flow is reused immediately. So every change of a flow happens under the spin lock of its bucket.
 * The lock holder first checks that the entry still belongs to the attempt that was looked up. The
 * program that removes the entry owns the flow from then on, and publishes its record.
 */
#pragma once

#include "evict.h"
#include "freelist.h"

/* The context that process.h passes to the functions below: the packet. */
typedef struct __sk_buff table_ctx;

/* Result of a lookup. entry and isn identify the attempt: see flow_lock(). */
struct flow_ref {
	struct flow *flow;
	struct bucket *bucket;
	__u32 index; /* index of the entry in the bucket */
	__u32 entry;
	__u32 isn;
};

/* flow must be the first member: table_new() returns a map element as a struct flow *. */
_Static_assert(offsetof(struct flow_entry, flow) == 0, "see table_new()");

static __always_inline struct bucket *bucket_at(__u32 number)
{
	number &= bucket_mask;
	return bpf_map_lookup_elem(&buckets, &number);
}

static __always_inline struct flow_entry *flow_at(__u32 slot)
{
	return bpf_map_lookup_elem(&flows, &slot);
}

/* ---- lookup ---- */

/* Compares without branches, since each branch would add a path for the verifier. */
static __always_inline bool is_same_key(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;
	__u64 differ = 0;
	unsigned int i;

#pragma unroll
	for (i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}

static __always_inline void flow_ref_set(struct flow_ref *found, struct flow_entry *e,
					 struct bucket *bucket, __u32 entry, __u32 index)
{
	found->flow = &e->flow;
	found->bucket = bucket;
	found->entry = entry;
	found->index = index;
	found->isn = e->flow.client_isn;
}

static __always_inline bool bucket_find(struct bucket *bucket, const struct flow_key *key,
					__u32 hash, struct flow_ref *found)
{
	struct flow_entry *e;
	__u32 entry, n, index;

#pragma nounroll
	for (n = 0; n < BUCKET_ENTRIES; n++) {
		index = bucket_nth(hash, n);
		entry = *(volatile __u32 *)&bucket->entries[index];
		if (!tag_mask(entry, hash))
			continue;
		e = flow_at(entry & SLOT_MASK);
		if (!e || !is_same_key(&e->key, key))
			continue;
		flow_ref_set(found, e, bucket, entry, index);
		return true;
	}
	return false;
}

static __always_inline bool table_find(table_ctx *ctx, struct bucket *bucket,
				       const struct flow_key *key, __u32 hash,
				       struct flow_ref *found)
{
	return bucket_find(bucket, key, hash, found);
}

/* Finds the bucket entry of a flow whose slot is known. */
static __always_inline bool find_slot(struct flow_entry *e, __u32 slot, struct flow_ref *found)
{
	__u32 hash = e->flow.hash, entry = entry_tag(hash) | slot, index;
	struct bucket *bucket = bucket_at(bucket_number(hash, e->key.ifindex, e->key.vlan));

#pragma nounroll
	for (index = 0; bucket && index < BUCKET_ENTRIES; index++) {
		if (*(volatile __u32 *)&bucket->entries[index] != entry)
			continue;
		flow_ref_set(found, e, bucket, entry, index);
		return true;
	}
	return false;
}

/* ---- lock ---- */

/* Returns true, with the bucket locked, if the flow is still the attempt that was looked up. */
static __always_inline bool flow_lock(const struct flow_ref *found)
{
	struct bucket *bucket = found->bucket;
	__u32 index = found->index;

	bpf_spin_lock(&bucket->lock);
	if (index < BUCKET_ENTRIES && bucket->entries[index] == found->entry &&
	    found->flow->client_isn == found->isn)
		return true;
	bpf_spin_unlock(&bucket->lock);
	return false;
}

/*
 * Unlocks the bucket. Unless why is END_NONE, it also removes the entry: the caller then owns the
 * flow.
 */
static __always_inline void flow_unlock(const struct flow_ref *found, enum end_reason why)
{
	struct bucket *bucket = found->bucket;
	__u32 index = found->index;

	if (why != END_NONE && index < BUCKET_ENTRIES)
		bucket->entries[index] = 0;
	bpf_spin_unlock(&bucket->lock);
}

/* ---- end of a flow ---- */

static __always_inline bool is_ring_crowded(void)
{
	return bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) > ring_bytes / 2;
}

/*
 * Publishes the record of a flow that was removed from its bucket, and frees its slot.
 *
 * When the ring is more than half full, an attempt without a complete handshake is only counted. A
 * flood then does not crowd out the records of real connections.
 */
__noinline int publish(__u32 slot, __u32 why, __u64 now, __u32 on_hook)
{
	struct flow_entry *e = flow_at(slot);
	struct record *r = NULL;
	struct flow *f;
	bool is_crowded;

	if (!e)
		return 0;
	f = &e->flow;
	filter_add(&flow_filter, f->hash, -1);
	is_crowded = !is_handshake_complete(f) && is_ring_crowded();
	if (!is_crowded)
		r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (r) {
		r->version = RECORD_VERSION;
		r->end_reason = why;
		r->settled = settled_at(f, now);
		__builtin_memcpy(&r->key, &e->key, sizeof(r->key));
		__builtin_memcpy(&r->flow, f, sizeof(r->flow));
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
		counter_inc_atomic(COUNT_PUBLISHED);
	} else {
		counter_inc_atomic(is_crowded ? COUNT_LOST_CROWDED : COUNT_LOST_RING);
	}
	slot_free(e, on_hook);
	return 0;
}

/* Examines the oldest attempt. Returns 1 if it was evicted or has just settled, else 0. */
__noinline int evict_one(__u64 now)
{
	struct flow_entry *e;
	struct flow_ref found;
	bool is_verified = false;
	__u64 attempt;

	attempt = evict_dequeue(false);
	if (!attempt) {
		is_verified = true;
		attempt = evict_dequeue(true);
	}
	if (!attempt)
		return 0;
	e = flow_at(attempt);
	if (!e || e->flow.client_isn != attempt >> 32 ||
	    !is_evictable(&e->flow, is_verified, now) || !find_slot(e, attempt, &found))
		return 0;
	if (flow_lock(&found)) {
		flow_unlock(&found, END_PRESSURE);
		publish(e->slot, END_PRESSURE, now, true);
	}
	return 1;
}

/* Evicts two attempts, since another CPU may take the first slot before this CPU does. */
__noinline int evict_some(__u64 now)
{
	int evicted = 0, i;

	for (i = 0; i < EVICT_TRIES && evicted < 2; i++)
		if (evict_one(now))
			evicted++;
	return evicted;
}

/* ---- new flow ---- */

static __always_inline struct flow *table_new(table_ctx *ctx, __u64 now)
{
	struct flow_entry *e = NULL;
	__u32 slot;

	slot = slot_alloc();
	if (unlikely(!slot)) {
		evict_some(now);
		slot = slot_alloc();
	}
	if (slot)
		e = flow_at(slot);
	if (!e) {
		counter_add(COUNT_LOST_MAP, 1);
		return NULL;
	}
	barrier_var(e); /* otherwise clang may add to the pointer before the NULL check */
	__builtin_memset(&e->flow, 0, sizeof(e->flow));
	e->slot = slot;
	return &e->flow;
}

/*
 * Returns COUNT_ATTEMPTS on success, and COUNT_LOST_MAP if the bucket is full. Returns
 * COUNT_LATE_SYN_COPIES if entry_sum is out of date: another CPU may have inserted the same
 * attempt.
 */
static __always_inline enum counter bucket_insert(struct bucket *bucket, struct flow_entry *e,
						  __u32 entry_sum)
{
	enum counter result = COUNT_LATE_SYN_COPIES;
	__u32 hash = e->flow.hash, slot = e->slot, n, index;

	bpf_spin_lock(&bucket->lock);
	if (bucket_entry_sum(bucket, hash) != entry_sum)
		goto out;
#pragma nounroll
	for (n = 0; n < BUCKET_ENTRIES; n++) {
		index = bucket_nth(hash, n);
		if (bucket->entries[index])
			continue;
		bucket->entries[index] = entry_tag(hash) | slot;
		set_slot_in_use(slot, true);
		result = COUNT_ATTEMPTS;
		goto out;
	}
	result = COUNT_LOST_MAP;
out:
	bpf_spin_unlock(&bucket->lock);
	return result;
}

static __always_inline const struct address *client_of(const struct flow_key *key,
						       const struct flow *f)
{
	return f->client_flags & CLIENT_IS_END_1 ? &key->end[1] : &key->end[0];
}

static __always_inline bool table_insert(table_ctx *ctx, struct bucket *bucket,
					 const struct flow_key *key, struct flow *f,
					 __u32 entry_sum, __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;
	__u32 isn = f->client_isn, slot = e->slot;
	enum counter result;

	e->key = *key;
	result = bucket_insert(bucket, e, entry_sum);
	if (unlikely(result != COUNT_ATTEMPTS)) {
		/* constants, because the verifier needs a bound for the index */
		counter_add(result == COUNT_LOST_MAP ? COUNT_LOST_MAP : COUNT_LATE_SYN_COPIES, 1);
		slot_free(e, true);
		return false;
	}
	evict_enqueue(is_client_verified(client_of(key, f), now), (__u64)isn << 32 | slot);
	return true;
}

/* ---- the rest of the contract of process.h ---- */

static __always_inline __u64 table_now(table_ctx *ctx)
{
	return virtual_time ? ctx->tstamp : bpf_ktime_get_ns();
}

static __always_inline struct flow_filter *table_filter(table_ctx *ctx)
{
	return &flow_filter;
}

static __always_inline struct bucket *table_bucket(table_ctx *ctx, __u32 number)
{
	return bucket_at(number);
}

static __always_inline bool table_lock(table_ctx *ctx, const struct flow_ref *found)
{
	return flow_lock(found);
}

static __always_inline void table_unlock(table_ctx *ctx, const struct flow_ref *found,
					 enum end_reason why)
{
	flow_unlock(found, why);
}

static __always_inline void table_publish(table_ctx *ctx, struct flow *f, enum end_reason why,
					  __u64 now)
{
	publish(((struct flow_entry *)f)->slot, why, now, true);
}

static __always_inline void table_count(table_ctx *ctx, enum counter c, __u64 n)
{
	counter_add(c, n);
}

static __always_inline void table_count_ethertype(table_ctx *ctx, __u16 ethertype)
{
	__sync_fetch_and_add(&ethertypes[ethertype], 1);
}

/*
 * Returns true if the segment in this CPU's scratch belongs to a selected connection. from_server
 * says whether a server sent it. A function of its own: the loop over networks needs stack.
 */
__noinline int scratch_is_selected(__u32 from_server)
{
	struct scratch *scratch = this_cpu_scratch();

	return scratch && segment_is_selected(&selector, &scratch->segment, from_server);
}

static __always_inline bool table_selects(table_ctx *ctx, const struct segment *s)
{
	return !selector_is_used(&selector) || scratch_is_selected(false);
}

static __always_inline struct reset_guard *table_reset_guard(table_ctx *ctx)
{
	return &reset_guard;
}

/*
 * Counts the RST in this CPU's scratch. opened_here says whether the SYN of its connection was
 * seen.
 */
__noinline int count_reset(__u64 now, __u32 opened_here)
{
	struct scratch *scratch = this_cpu_scratch();
	struct reset_set *set;
	__u32 replaced;
	struct reset r;

	if (!scratch)
		return 0;
	reset_of(&r, &scratch->segment, opened_here, &run_seed);
	set = bpf_map_lookup_elem(&resets, &r.set);
	if (!set)
		return 0;
	bpf_spin_lock(&set->lock);
	replaced = reset_set_count(set, &r, now);
	bpf_spin_unlock(&set->lock);
	if (replaced)
		counter_add(COUNT_RESETS_NOT_COUNTED, replaced);
	return 0;
}

static __always_inline void table_count_reset(table_ctx *ctx, const struct segment *s,
					      bool opened_here, __u64 now)
{
	if (!selector_is_used(&selector) || scratch_is_selected(is_from_server(s)))
		count_reset(now, opened_here);
}

/* Publishes the SYN-ACK in this CPU's scratch, unless attempts need the room in the ring. */
__noinline int publish_synack_alone(__u64 now)
{
	struct scratch *scratch = this_cpu_scratch();
	struct record *r;

	if (!scratch || is_ring_crowded())
		return 0;
	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r)
		return 0;
	record_synack_alone(r, &scratch->segment, now);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline void table_publish_synack(table_ctx *ctx, const struct segment *s, __u64 now)
{
	publish_synack_alone(now);
}
