/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's table of flows, under watch.h: places in an array, and lines (see line.h) that say
 * where a flow is. The kernel's own hash map would do, but for the time: to put a flow into it and to
 * take it out costs as much as all the rest, and a look-up more than a clock. Here a new flow takes
 * the place that was left last, which is still in the cache.
 *
 * A flow is changed, comes and goes under its line's lock, since both directions may be at work on two
 * CPUs. When all places are taken, the oldest attempt gives its own.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "shared.h"
#include "flow_filter.h"

/* Where flows are, by the number of the place; sizes are set when the object is loaded. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct flow_entry);
	__uint(max_entries, 1 + DEFAULT_FLOWS); /* nobody is in place 0 */
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct bucket);
	__uint(max_entries, MIN_BUCKETS);
} buckets SEC(".maps");

/*
 * Places that are free again: each CPU's own ones, the last first, since they are still in its cache;
 * what is too many there, for all.
 */
#define CPU_FREE_SLOTS 64

struct cpu_free_slots {
	__u32 count;
	__u32 slots[CPU_FREE_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct cpu_free_slots);
	__uint(max_entries, 1);
} cpu_free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_FLOWS);
} free_slots SEC(".maps");

/* Held while slots_high_water grows. */
struct high_water_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct high_water_lock);
	__uint(max_entries, 1);
} high_water_lock SEC(".maps");

/*
 * Who gives its place when the map is full? Attempts of clients that have never been seen to complete
 * a handshake first, so that a flood from invented addresses finds its victims among its own; then
 * the others. Each kind has a queue in the order of the first SYN. A CPU takes its entries by the
 * chunk, so that the lock is taken once for many.
 */
enum { UNVERIFIED, VERIFIED, EVICT_CLASSES };

/* Only when so large a part of the places was in use at once, it matters who is a stranger. */
#define CLASSIFY_FRACTION 4

/* The flow's place and, above it, its ISN; the queue of UNVERIFIED comes first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, EVICT_CLASSES *DEFAULT_FLOWS);
} evict_queue SEC(".maps");

struct evict_ends {
	struct bpf_spin_lock lock;
	__u32 head; /* the next chunk to fill, counted from the start of the run */
	__u32 tail; /* the next to look for an attempt that gives its place */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct evict_ends);
	__uint(max_entries, EVICT_CLASSES);
} evict_ends SEC(".maps");

/*
 * By client_hash(). Anybody can forge an address, and a client of ours may be the flood: so many
 * SYNs in a second, and the rest is a stranger's.
 */
struct syn_budget {
	__u16 second; /* of the last SYN */
	__u16 syns; /* in that second */
};

#define SYN_BUDGET 256

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct syn_budget[2]); /* array maps pad to 8 bytes */
	__uint(max_entries, CLIENT_HASHES / 2);
} syn_budgets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DEFAULT_RING_BYTES);
} records SEC(".maps");

struct table;

/* A flow, and what tells the attempt: its entry in a line, and its ISN. */
struct flow_ref {
	struct flow *flow;
	struct bucket *bucket;
	__u32 index; /* in the line */
	__u32 entry;
	__u32 isn;
	__u32 entry_sum; /* entry, or 0 when it is in the other line */
};

static __always_inline __u64 table_now(struct table *t);
static __always_inline struct flow_filter *table_filter(struct table *t);
static __always_inline struct bucket *table_bucket(struct table *t, __u32 number);
static __always_inline bool table_find(struct table *t, struct bucket *bucket,
				       const struct flow_key *key, __u32 hash,
				       struct flow_ref *found);
static __always_inline struct flow *table_new(struct table *t, __u64 now);
static __always_inline bool table_insert(struct table *t, struct bucket *bucket,
					 const struct flow_key *key, struct flow *f,
					 __u32 entry_sum, __u64 now);
static __always_inline bool table_lock(struct table *t, const struct flow_ref *found);
static __always_inline void table_unlock(struct table *t, const struct flow_ref *found,
					 enum end_reason why);
static __always_inline void table_publish(struct table *t, struct flow *f, enum end_reason why,
					  __u64 now);
static __always_inline void table_count(struct table *t, enum counter c, __u64 n);
static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype);
static __always_inline bool table_selects(struct table *t, const struct segment *s);
static __always_inline bool table_follows_peers(struct table *t);
static __always_inline __u16 table_forwarding(struct table *t, const struct flow *f);
static __always_inline bool table_wants_packets(struct table *t);
static __always_inline void table_keep_packet(struct table *t, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now);

#include "process.h"

/* A cache line each: array maps pad elements to 8 bytes. */
#define CACHELINE 64

struct ethertypes {
	__u32 packets[CACHELINE / sizeof(__u32)];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct ethertypes);
	__uint(max_entries, 65536 * sizeof(__u32) / CACHELINE);
} ethertypes SEC(".maps");

struct counters {
	__u64 count[COUNTERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counters);
	__uint(max_entries, 1);
} counters SEC(".maps");

/* Too large for the stack. Softirqs are off on both hooks, so a CPU uses its own one at a time. */
struct scratch {
	struct segment segment;
	__u8 link; /* enum link_type: what a hook tells slow_path() */
	bool egress;
	__u64 virtual_now;
	__u32 launder;
	__u32 tunnel_length; /* the packet begins at its network header, so many bytes: see slow_path_tunnel() */
	__u8 headers[3 * MAX_HEADERS]; /* header_at() shows the verifier a wider bound than its own */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(max_entries, 1);
} cpu_scratch SEC(".maps");

const volatile struct hash_seed run_seed;
const volatile struct selector selector;
const volatile __u32 max_flows = DEFAULT_FLOWS;
const volatile __u32 bucket_mask = MIN_BUCKETS - 1;
const volatile __u32 evict_chunks = DEFAULT_FLOWS / EVICT_CHUNK; /* of each queue */
const volatile __u32 ring_bytes = DEFAULT_RING_BYTES;
const volatile bool save_packets; /* for --write */
const volatile __u32 snaplen = MAX_HEADERS; /* bytes of each packet that is kept */
const volatile bool multi_iface; /* interfaces are watched */
const volatile bool follow_peers;
const volatile bool virtual_time; /* for tests: skb->tstamp instead of the clock */

/* A global, not a map: a hook that calls no helper for its lookup saves and restores no register. */
struct flow_filter flow_filter;

__u32 slots_high_water; /* those beyond were never used */
bool slot_in_use[MAX_TRACKED_FLOWS + 1]; /* by place: is a flow there? A sweep reads but those */

/* What user space hands to settle_candidate(). */
struct candidate candidates[CANDIDATES];
__u32 candidate_next;
bool run_ending; /* the run is over: all that is left settles */
bool under_pressure; /* the map is nearly full */
bool verified_clients[CLIENT_HASHES]; /* by client_hash(): clients whose record has a whole handshake */
/* A packet came in, went out; user space takes it back and looks again. */
bool active[ACTIVITY_FLAGS][2];

/* What a lookup answers as a flow is the element itself, not a field behind its begin. */
_Static_assert(offsetof(struct flow_entry, flow) == 0, "see table_new()");

static __always_inline struct counters *this_cpu_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void table_count(struct table *t, enum counter c, __u64 n)
{
	struct counters *cpu = this_cpu_counters();

	if (cpu)
		cpu->count[c] += n;
}

/*
 * As table_count(). What it keeps across the look-up is on the stack: in registers, the hook would
 * save and restore them for each packet, also where nothing is counted.
 */
static __always_inline void count_on_fast_path(enum counter c, __u32 n)
{
	volatile __u32 counter = c, number = n;
	struct counters *cpu = this_cpu_counters();
	__u32 index = counter;

	if (cpu && index < COUNTERS)
		cpu->count[index] += number;
}

/* For what user space runs as well: there a packet of this CPU may come between load and store. */
static __always_inline void count_atomic(enum counter c)
{
	struct counters *cpu = this_cpu_counters();

	if (cpu)
		__sync_fetch_and_add(&cpu->count[c], 1);
}

static __always_inline struct scratch *this_cpu_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpu_scratch, &zero);
}

static __always_inline __u64 table_now(struct table *t)
{
	struct scratch *s;

	if (likely(!virtual_time))
		return bpf_ktime_get_ns();
	s = this_cpu_scratch();
	return s ? s->virtual_now : 0;
}

static __always_inline struct flow_filter *table_filter(struct table *t)
{
	return &flow_filter;
}

static __always_inline struct bucket *table_bucket(struct table *t, __u32 number)
{
	number &= bucket_mask;
	return bpf_map_lookup_elem(&buckets, &number);
}

static __always_inline struct flow_entry *flow_at(__u32 slot)
{
	return bpf_map_lookup_elem(&flows, &slot);
}

static __always_inline void flow_ref_set(struct flow_ref *found, struct flow_entry *e,
					 struct bucket *bucket, __u32 entry, __u32 index)
{
	found->flow = &e->flow;
	found->bucket = bucket;
	found->entry = entry;
	found->index = index;
	found->isn = e->flow.client_isn;
	found->entry_sum = entry;
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

/* Where it is when there was no room for it in its line. */
static __always_inline struct bucket *overflow_bucket(struct table *t, const struct flow_key *key,
						      __u32 hash)
{
	__u32 number = bucket_number(hash, key->ifindex, key->vlan);

	return table_bucket(t, overflow_bucket_number(number, hash));
}

/* Of the segment in this CPU's scratch, when its line has overflowed: where in the other one? */
__noinline int overflow_find(__u32 hash)
{
	struct scratch *scratch = this_cpu_scratch();
	struct flow_ref found;
	struct bucket *bucket;

	if (!scratch)
		return BUCKET_ENTRIES;
	bucket = overflow_bucket(NULL, &scratch->segment.key, hash);
	if (!bucket || !bucket_find(bucket, &scratch->segment.key, hash, &found))
		return BUCKET_ENTRIES;
	return found.index;
}

static __always_inline bool table_find(struct table *t, struct bucket *bucket,
				       const struct flow_key *key, __u32 hash,
				       struct flow_ref *found)
{
	struct flow_entry *e;
	__u32 index, entry;

	if (bucket_find(bucket, key, hash, found))
		return true;
	if (likely(!bucket_has_overflowed(bucket)))
		return false;
	index = overflow_find(hash);
	bucket = overflow_bucket(t, key, hash);
	if (!bucket || index >= BUCKET_ENTRIES)
		return false;
	entry = *(volatile __u32 *)&bucket->entries[index];
	e = flow_at(entry & SLOT_MASK);
	if (!e || !is_same_key(&e->key, key))
		return false;
	flow_ref_set(found, e, bucket, entry, index);
	found->entry_sum = 0;
	return true;
}

static __always_inline bool bucket_find_entry(struct bucket *bucket, struct flow_entry *e,
					      __u32 entry, struct flow_ref *found)
{
	__u32 index;

#pragma nounroll
	for (index = 0; bucket && index < BUCKET_ENTRIES; index++) {
		if (*(volatile __u32 *)&bucket->entries[index] != entry)
			continue;
		flow_ref_set(found, e, bucket, entry, index);
		return true;
	}
	return false;
}

/* A flow whose place is known. */
static __always_inline bool find_slot(struct flow_entry *e, __u32 slot, struct flow_ref *found)
{
	__u32 hash = e->flow.hash, entry = entry_tag(hash) | slot;
	__u32 number = bucket_number(hash, e->key.ifindex, e->key.vlan);

	return bucket_find_entry(table_bucket(NULL, number), e, entry, found) ||
	       bucket_find_entry(overflow_bucket(NULL, &e->key, hash), e, entry, found);
}

/*
 * Both directions of a connection may be at work on two CPUs, and its place may be another flow's as
 * soon as it has settled. So whoever changes a flow holds its line's lock, and looks whether its entry
 * is still that of the attempt that was looked up; whoever settles it takes the entry out, and then it
 * is nobody else's.
 */
static __always_inline bool table_lock(struct table *t, const struct flow_ref *found)
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

static __always_inline void table_unlock(struct table *t, const struct flow_ref *found,
					 enum end_reason why)
{
	struct bucket *bucket = found->bucket;
	__u32 index = found->index;

	if (why != END_NONE && index < BUCKET_ENTRIES)
		bucket->entries[index] = 0;
	bpf_spin_unlock(&bucket->lock);
}

static __always_inline const struct address *client_of(const struct flow_key *key,
						       const struct flow *f)
{
	return f->client_flags & CLIENT_IS_END_1 ? &key->end[1] : &key->end[0];
}

/* Another SYN of this client: whose place does its attempt take? */
static __always_inline __u32 evict_class(const struct address *client, __u64 now)
{
	__u16 second = now >> 30;
	struct syn_budget *c;
	__u32 number, pair;

	if (likely(slots_high_water <
		   max_flows / CLASSIFY_FRACTION)) /* all of these will be the first to go */
		return UNVERIFIED;
	number = client_hash(client, &run_seed);
	pair = number / 2;
	c = bpf_map_lookup_elem(&syn_budgets, &pair);
	if (!c)
		return UNVERIFIED;
	barrier_var(
		c); /* clang may take an element's address before the check, where the verifier forbids it */
	c += number & 1;
	if (c->second != second) {
		c->second = second;
		c->syns = 0;
	}
	if (c->syns >= SYN_BUDGET)
		return UNVERIFIED;
	c->syns++;
	return verified_clients[number & (CLIENT_HASHES - 1)] ? VERIFIED : UNVERIFIED;
}

static __always_inline void set_slot_in_use(__u64 slot, bool is)
{
	barrier_var(slot); /* one register, whose bounds are checked below */
	if (slot <= MAX_TRACKED_FLOWS)
		slot_in_use[slot] = is;
}

/* A place that is nobody's any more; on_hook: on a hook, where nothing else comes in between. */
static __always_inline void slot_free(struct flow_entry *e, bool on_hook)
{
	struct cpu_free_slots *cpu;
	__u32 slot = e->slot, zero = 0, count;

	set_slot_in_use(slot, false);
	cpu = bpf_map_lookup_elem(&cpu_free_slots, &zero);
	if (!cpu)
		return;
	count = cpu->count;
	if (on_hook && count < CPU_FREE_SLOTS) {
		cpu->slots[count] = slot;
		cpu->count = count + 1;
	} else {
		bpf_map_push_elem(&free_slots, &slot, 0);
	}
}

static __always_inline __u32 slot_alloc_unused(void)
{
	__u32 zero = 0, slot = 0;
	struct high_water_lock *h;

	h = bpf_map_lookup_elem(&high_water_lock, &zero);
	if (!h || slots_high_water >= max_flows)
		return 0;
	bpf_spin_lock(&h->lock);
	if (slots_high_water < max_flows)
		slot = ++slots_high_water;
	bpf_spin_unlock(&h->lock);
	return slot;
}

/* 0 when there is none. */
static __always_inline __u32 slot_alloc(void)
{
	__u32 zero = 0, slot, count;
	struct cpu_free_slots *cpu;
	int error; /* no long: kernels before 6.4 leave the upper half unset */

	cpu = bpf_map_lookup_elem(&cpu_free_slots, &zero);
	if (!cpu)
		return 0;
	count = cpu->count - 1;
	if (count < CPU_FREE_SLOTS) {
		cpu->count = count;
		return cpu->slots[count];
	}
	error = bpf_map_pop_elem(&free_slots, &slot);
	return error ? slot_alloc_unused() : slot;
}

/*
 * Of a flow that was taken out. What has no handshake is reported while the ring is at most half full,
 * and only counted otherwise, lest a flood crowd out the records of real connections.
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
	is_crowded = !is_handshake_complete(f) &&
		     bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) > ring_bytes / 2;
	if (!is_crowded)
		r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (r) {
		r->version = RECORD_VERSION;
		r->end_reason = why;
		r->settled = settled_at(f, now);
		__builtin_memcpy(&r->key, &e->key, sizeof(r->key));
		__builtin_memcpy(&r->flow, f, sizeof(r->flow));
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
		count_atomic(COUNT_PUBLISHED);
	} else {
		count_atomic(is_crowded ? COUNT_LOST_EVICTED : COUNT_LOST_RING);
	}
	slot_free(e, on_hook);
	return 0;
}

static __always_inline void table_publish(struct table *t, struct flow *f, enum end_reason why,
					  __u64 now)
{
	publish(((struct flow_entry *)f)->slot, why, now, true);
}

/* A CPU's own part of a queue: what it fills, and what it looks at for room. */
struct evict_cursor {
	__u32 next;
	__u32 left;
};

struct cpu_evict_cursors {
	struct evict_cursor enqueue[EVICT_CLASSES];
	struct evict_cursor dequeue[EVICT_CLASSES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct cpu_evict_cursors);
	__uint(max_entries, 1);
} cpu_evict_cursors SEC(".maps");

static __always_inline void evict_cursor_set(struct evict_cursor *p, __u32 which, __u32 chunk)
{
	p->next = (which * evict_chunks + chunk % evict_chunks) * EVICT_CHUNK;
	p->left = EVICT_CHUNK;
}

static __always_inline void evict_enqueue(__u32 which, __u64 attempt)
{
	struct evict_cursor *enqueue;
	struct cpu_evict_cursors *cpu;
	__u32 zero = 0, chunk;
	struct evict_ends *q;
	__u64 *slot;

	cpu = bpf_map_lookup_elem(&cpu_evict_cursors, &zero);
	q = bpf_map_lookup_elem(&evict_ends, &which);
	if (!cpu || !q)
		return;
	enqueue = which == VERIFIED ? &cpu->enqueue[VERIFIED] : &cpu->enqueue[UNVERIFIED];
	if (!enqueue->left) {
		bpf_spin_lock(&q->lock);
		chunk = q->head++;
		if (q->head - q->tail > evict_chunks)
			q->tail = q->head - evict_chunks;
		bpf_spin_unlock(&q->lock);
		evict_cursor_set(enqueue, which, chunk);
	}
	slot = bpf_map_lookup_elem(&evict_queue, &enqueue->next);
	enqueue->next++;
	enqueue->left--;
	if (slot)
		*slot = attempt;
}

/* The queue's oldest attempt, which may have settled; 0 when there is none. */
static __always_inline __u64 evict_dequeue(__u32 which)
{
	struct cpu_evict_cursors *cpu;
	struct evict_cursor *dequeue;
	__u32 zero = 0, chunk = 0;
	struct evict_ends *q;
	__u64 *slot;
	bool any;

	cpu = bpf_map_lookup_elem(&cpu_evict_cursors, &zero);
	q = bpf_map_lookup_elem(&evict_ends, &which);
	if (!cpu || !q)
		return 0;
	dequeue = which == VERIFIED ? &cpu->dequeue[VERIFIED] : &cpu->dequeue[UNVERIFIED];
	if (!dequeue->left) {
		bpf_spin_lock(&q->lock);
		any = q->tail != q->head;
		if (any)
			chunk = q->tail++;
		bpf_spin_unlock(&q->lock);
		if (!any)
			return 0;
		evict_cursor_set(dequeue, which, chunk);
	}
	slot = bpf_map_lookup_elem(&evict_queue, &dequeue->next);
	dequeue->next++;
	dequeue->left--;
	return slot ? *slot : 0;
}

/* A queue's oldest entries may have settled by now: so many are looked at for one SYN. */
#define EVICT_TRIES 64

/* Room for a new attempt: the oldest one that may gives its place. Answers how many did. */
__noinline int evict_one(__u64 now)
{
	struct flow_entry *e;
	struct flow_ref found;
	bool verified_clients = false;
	__u64 attempt;

	attempt = evict_dequeue(UNVERIFIED);
	if (!attempt) {
		verified_clients = true;
		attempt = evict_dequeue(VERIFIED);
	}
	if (!attempt)
		return 0;
	e = flow_at(attempt);
	if (!e || e->flow.client_isn != attempt >> 32 ||
	    !is_evictable(&e->flow, verified_clients, now) || !find_slot(e, attempt, &found))
		return 0;
	settle(NULL, &found, END_PRESSURE, now);
	return 1;
}

/* Two places, for the CPUs that insert at this moment as well. */
__noinline int evict_some(__u64 now)
{
	int evicted = 0, i;

	for (i = 0; i < EVICT_TRIES && evicted < 2; i++)
		if (evict_one(now))
			evicted++;
	return evicted;
}

static __always_inline struct flow *table_new(struct table *t, __u64 now)
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
		table_count(t, COUNT_LOST_MAP, 1);
		return NULL;
	}
	barrier_var(
		e); /* clang may take a field's address before the check, where the verifier forbids it */
	__builtin_memset(&e->flow, 0, sizeof(e->flow));
	e->slot = slot;
	return &e->flow;
}

/*
 * Another CPU that puts in the same attempt changes the sum of the entries meanwhile. Answers what to
 * count: COUNT_ATTEMPTS, or why this came to nothing.
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
	bucket->seen[SEEN_WORDS - 1] |= BUCKET_OVERFLOWED;
	result = COUNT_LOST_MAP;
out:
	bpf_spin_unlock(&bucket->lock);
	return result;
}

__noinline int overflow_insert(__u32 slot)
{
	struct flow_entry *e = flow_at(slot);
	struct bucket *bucket;
	__u32 entry_sum;

	if (!e)
		return COUNT_LOST_MAP;
	bucket = overflow_bucket(NULL, &e->key, e->flow.hash);
	if (!bucket)
		return COUNT_LOST_MAP;
	entry_sum = bucket_entry_sum(bucket, e->flow.hash);
	if (entry_sum && overflow_find(e->flow.hash) < BUCKET_ENTRIES)
		return COUNT_LATE_SYN_COPIES;
	return bucket_insert(bucket, e, entry_sum);
}

static __always_inline bool table_insert(struct table *t, struct bucket *bucket,
					 const struct flow_key *key, struct flow *f,
					 __u32 entry_sum, __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;
	__u32 isn = f->client_isn, slot = e->slot;
	enum counter result;

	e->key = *key;
	result = bucket_insert(bucket, e, entry_sum);
	if (unlikely(result == COUNT_LOST_MAP))
		result = overflow_insert(slot);
	if (unlikely(result != COUNT_ATTEMPTS)) {
		/* two numbers that the verifier knows, as a bound of the counters */
		table_count(t, result == COUNT_LOST_MAP ? COUNT_LOST_MAP : COUNT_LATE_SYN_COPIES,
			    1);
		slot_free(e, true);
		return false;
	}
	evict_enqueue(evict_class(client_of(key, f), now), (__u64)isn << 32 | slot);
	return true;
}
