// SPDX-License-Identifier: GPL-2.0
/*
 * The hooks: tc ingress and egress of an interface, with and without an Ethernet header. The only
 * file that calls BPF helpers. Every path returns TC_NEXT: other programs on the hook still run,
 * the packet is not touched.
 *
 * A packet of an established connection is parsed, hashed, and dismissed by one counter; all else
 * that costs (clock, lookup, copy) is paid only for packets that open, close or refuse.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "entry.h"
#include "track.h"

/* TCX_NEXT and TC_ACT_UNSPEC alike: the next program decides. */
#define TC_NEXT (-1)

#define EEXIST 17

/*
 * Counters and slots stand in lines of a cache line each: array maps of libbpf 1.1 pad elements to
 * 8 bytes.
 */
#define LINE 64

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct flow_key);
	__type(value, struct flow_entry);
	__uint(max_entries, 131072);
} flows SEC(".maps");

/*
 * Attempts in the order of their first SYN: when the map is full, the oldest without a handshake
 * gives its place.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct candidate);
	__uint(max_entries, 131072);
} queue SEC(".maps");

struct queue_ends {
	struct bpf_spin_lock lock;
	__u32 head; /* where the next attempt queues */
	__u32 tail; /* the next to give its place */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct queue_ends);
	__uint(max_entries, 1);
} queue_ends SEC(".maps");

#define RING_BYTES (4 << 20)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} records SEC(".maps");

/* How many opening flows hash to a slot: 0 says that a packet can be dismissed. */
struct openings {
	__u32 count[LINE / sizeof(__u32)];
};
#define OPENING_SLOTS (1 << 20)

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct openings);
	__uint(max_entries, OPENING_SLOTS * sizeof(__u32) / LINE);
} openings SEC(".maps");

struct table;
static __always_inline struct flow *table_find(struct table *t, const struct flow_key *key);
static __always_inline struct flow *table_new(struct table *t);
static __always_inline void table_insert(struct table *t, const struct flow_key *key,
					 const struct flow *f, __u64 now);
static __always_inline void table_settle(struct table *t, const struct flow_key *key,
					 struct flow *f, __u64 identity, enum settled_by why,
					 __u64 now);
static __always_inline void table_count(struct table *t, enum counter c, __u64 n);
static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype);
static __always_inline struct remembered *table_remembered(struct table *t, __u32 slot);
static __always_inline __u8 *table_known(struct table *t, __u32 slot);
static __always_inline bool table_wants(struct table *t, const struct segment *s);

#include "watch.h"

struct remembered_line {
	struct remembered slot[LINE / sizeof(struct remembered)];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct remembered_line);
	__uint(max_entries, REMEMBERED_SLOTS * sizeof(struct remembered) / LINE);
} remembered SEC(".maps");

struct known_line {
	__u8 slot[LINE];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct known_line);
	__uint(max_entries, KNOWN_SLOTS / LINE);
} known SEC(".maps");

struct ethertypes {
	__u32 packets[LINE / sizeof(__u32)];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct ethertypes);
	__uint(max_entries, 65536 * sizeof(__u32) / LINE);
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
	struct {
		struct flow flow;
		__u32 lock[2]; /* as in struct flow_entry, where no lock may be */
	} entry;
	__u32 forget;
	__u8 headers[3 * MAX_HEADERS]; /* header_at() shows the verifier a wider bound than its own */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct scratch);
	__uint(max_entries, 1);
} scratch SEC(".maps");

const volatile struct hash_seed run_seed;
const volatile struct narrow narrow;
const volatile __u32 queue_size = 131072;
const volatile bool virtual_time; /* for tests: skb->tstamp instead of the clock */

/* What user space hands to settle_candidate(). */
struct candidate candidates[CANDIDATES];
__u32 candidate_next;
bool ending; /* the run is over: all that is left settles */
bool pressure; /* the map is nearly full */

static __always_inline struct counters *this_cpu_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void table_count(struct table *t, enum counter c, __u64 n)
{
	struct counters *line = this_cpu_counters();

	if (line)
		line->count[c] += n;
}

/* For what user space runs as well: there a packet of this CPU may come between load and store. */
static __always_inline void count_exactly(enum counter c)
{
	struct counters *line = this_cpu_counters();

	if (line)
		__sync_fetch_and_add(&line->count[c], 1);
}

static __always_inline struct flow *table_find(struct table *t, const struct flow_key *key)
{
	struct flow_entry *e = bpf_map_lookup_elem(&flows, key);

	return e ? &e->flow : NULL;
}

static __always_inline struct scratch *this_cpu_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline struct flow *table_new(struct table *t)
{
	struct scratch *s = this_cpu_scratch();

	if (!s)
		return NULL;
	__builtin_memset(&s->entry, 0, sizeof(s->entry));
	return &s->entry.flow;
}

static __always_inline struct openings *openings_line(__u32 slot)
{
	__u32 index = slot % OPENING_SLOTS / (LINE / sizeof(__u32));

	return bpf_map_lookup_elem(&openings, &index);
}

static __always_inline void count_opening(__u32 slot, __u32 n)
{
	struct openings *line = openings_line(slot);

	if (line)
		__sync_fetch_and_add(&line->count[slot % (LINE / sizeof(__u32))], n);
}

static __always_inline bool maybe_opening(__u64 hash)
{
	__u32 slot = slot_of(hash);
	struct openings *line = openings_line(slot);

	return line && *(volatile __u32 *)&line->count[slot % (LINE / sizeof(__u32))];
}

/*
 * An element that another CPU took out may be another flow's at once: what is claimed must still be
 * what was looked up. Whoever claims it, and nobody else, takes it out and publishes. A claim that
 * fell on an element about to be reused comes to nothing, so it lasts for a second only; a second
 * claimer does no harm, since the map gives a flow out once.
 */
#define CLAIM_SHIFT 20
#define CLAIM_LASTS (SECOND_NS >> CLAIM_SHIFT)

static __always_inline bool claim(struct flow *f, __u64 identity, __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;
	__u32 stamp = now >> CLAIM_SHIFT | 1;
	bool ours;

	bpf_spin_lock(&e->lock);
	ours = (!e->claimed || stamp - e->claimed > CLAIM_LASTS) &&
	       e->flow.slot == (__u32)(identity >> 32) && e->flow.client_isn == (__u32)identity;
	if (ours)
		e->claimed = stamp;
	bpf_spin_unlock(&e->lock);
	return ours;
}

/* Of a claimed flow. Where the map is busy (5.11 and later may say so), the sweep comes back to it. */
static __always_inline bool take_out(const struct flow_key *key, struct flow *f, __u64 identity)
{
	if (bpf_map_delete_elem(&flows, key)) {
		((struct flow_entry *)f)->claimed = 0;
		return false;
	}
	count_opening(identity >> 32, -1);
	return true;
}

/*
 * The record is filled before the flow is taken out: afterwards its memory may be another flow's.
 * What has no handshake is reported while the ring is at most half full, and only counted otherwise,
 * lest a flood crowd out the records of real connections.
 */
static __noinline void settle(const struct flow_key *key, struct flow *f, __u64 identity,
			      enum settled_by why, __u64 now)
{
	struct record *r = NULL;
	bool crowd;

	if (!claim(f, identity, now))
		return;
	crowd = !is_answered_and_acked(f) &&
		bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) > RING_BYTES / 2;
	if (!crowd)
		r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r) {
		if (take_out(key, f, identity))
			count_exactly(crowd ? COUNT_LOST_EVICTED : COUNT_LOST_RING);
		return;
	}
	r->version = RECORD_VERSION;
	r->settled_by = why;
	r->settled = now;
	__builtin_memcpy(&r->key, key, sizeof(r->key));
	r->pad = 0;
	__builtin_memcpy(&r->flow, f, sizeof(r->flow));
	if (take_out(key, f, identity)) {
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
		count_exactly(COUNT_PUBLISHED);
	} else {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
	}
}

static __always_inline void table_settle(struct table *t, const struct flow_key *key,
					 struct flow *f, __u64 identity, enum settled_by why,
					 __u64 now)
{
	settle(key, f, identity, why, now);
}

/* The next place to fill at the queue's head; one CPU at a time, so that each attempt has its own. */
static __always_inline __u32 queue_in(struct queue_ends *q)
{
	__u32 place;

	bpf_spin_lock(&q->lock);
	place = q->head++;
	if (q->head - q->tail > queue_size)
		q->tail = q->head - queue_size;
	bpf_spin_unlock(&q->lock);
	return place % queue_size;
}

/* The place of the oldest entry, or queue_size when there is none. */
static __always_inline __u32 queue_out(struct queue_ends *q)
{
	__u32 place = queue_size;

	bpf_spin_lock(&q->lock);
	if (q->tail != q->head)
		place = q->tail++ % queue_size;
	bpf_spin_unlock(&q->lock);
	return place;
}

/* The queue's oldest entries may have their handshake by now: so many are looked at for one SYN. */
#define EVICTION_TRIES 16

/* Room for a new attempt: the oldest one without a handshake goes. Answers how many went. */
__noinline int evict_one(__u64 now)
{
	struct candidate *c, oldest;
	struct queue_ends *q;
	__u32 zero = 0, place;
	struct flow *f;

	q = bpf_map_lookup_elem(&queue_ends, &zero);
	if (!q)
		return 0;
	place = queue_out(q);
	c = bpf_map_lookup_elem(&queue, &place);
	if (!c)
		return 0;
	oldest = *c; /* the place may be filled anew while we look */
	f = table_find(NULL, &oldest.key);
	if (!f || f->client_isn != oldest.client_isn || !may_be_evicted(f, now))
		return 0;
	settle(&oldest.key, f, flow_identity(f), SETTLED_PRESSURE, now);
	return 1;
}

static __always_inline void table_insert(struct table *t, const struct flow_key *key,
					 const struct flow *f, __u64 now)
{
	struct queue_ends *q;
	struct candidate *c;
	__u32 zero = 0, place;
	int evicted = 0, i;
	int error; /* no long: kernels before 6.4 leave the upper half unset */

	error = bpf_map_update_elem(&flows, key, f, BPF_NOEXIST);
	if (error && error != -EEXIST) {
		/* two, for the CPUs that insert at this moment as well */
		for (i = 0; i < EVICTION_TRIES && evicted < 2; i++)
			if (evict_one(now))
				evicted++;
		error = bpf_map_update_elem(&flows, key, f, BPF_NOEXIST);
	}
	if (error) {
		table_count(t, error == -EEXIST ? COUNT_LATE_SYN_COPIES : COUNT_LOST_MAP, 1);
		return;
	}
	count_opening(f->slot, 1);
	table_count(t, COUNT_ATTEMPTS, 1);
	q = bpf_map_lookup_elem(&queue_ends, &zero);
	if (!q)
		return;
	place = queue_in(q);
	c = bpf_map_lookup_elem(&queue, &place);
	if (c) {
		__builtin_memcpy(&c->key, key, sizeof(c->key));
		c->client_isn = f->client_isn;
	}
}

static __always_inline struct remembered *table_remembered(struct table *t, __u32 slot)
{
	__u32 index = slot % REMEMBERED_SLOTS / (LINE / sizeof(struct remembered));
	struct remembered_line *line = bpf_map_lookup_elem(&remembered, &index);

	return line ? &line->slot[slot % (LINE / sizeof(struct remembered))] : NULL;
}

static __always_inline __u8 *table_known(struct table *t, __u32 slot)
{
	__u32 index = slot % KNOWN_SLOTS / LINE;
	struct known_line *line = bpf_map_lookup_elem(&known, &index);

	return line ? &line->slot[slot % LINE] : NULL;
}

static __always_inline bool table_wants(struct table *t, const struct segment *s)
{
	return narrow_wants(&narrow, s);
}

static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype)
{
	__u32 index = ethertype / (LINE / sizeof(__u32));
	struct ethertypes *line = bpf_map_lookup_elem(&ethertypes, &index);

	if (line)
		__sync_fetch_and_add(&line->packets[ethertype % (LINE / sizeof(__u32))], 1);
}

/*
 * Global functions are verified once, by themselves, whoever calls them: what most packets never
 * reach adds nothing to the verifier's work on the hooks.
 */
__noinline int watch_described(struct __sk_buff *skb, __u64 hash)
{
	struct scratch *own = this_cpu_scratch();

	if (own)
		watch_segment(NULL, &own->segment, hash,
			      virtual_time ? skb->tstamp : bpf_ktime_get_ns());
	return 0;
}

/* Through a pointer that is not volatile, clang would read the zeros that are in the object file. */
#define RUN_SEED (&(const struct hash_seed){ .a = run_seed.a, .b = run_seed.b })

/* The tag that the driver or the kernel took out of the frame. */
static __always_inline void headers_start(struct headers *h, const struct __sk_buff *skb)
{
	/* else clang spills what is not set, and the verifier refuses */
	__builtin_memset(h, 0, sizeof(*h));
	if (skb->vlan_present)
		h->vlan[0] = skb->vlan_tci & 0xfff;
}

static __always_inline void segment_origin(struct segment *s, const struct __sk_buff *skb,
					   bool egress)
{
	s->egress = egress;
	s->from_gateway = egress && !skb->ingress_ifindex;
	s->ifindex = skb->ifindex;
}

static __always_inline bool is_boring(const struct headers *h, __u64 hash)
{
	return !(h->transport[13] & TCP_LOOK) && !maybe_opening(hash);
}

/*
 * What is not plain: extension headers, PPPoE, MPLS, ICMP errors, headers outside the skb's linear
 * part (frames larger than a page). Works on a copy of the headers.
 */
__noinline int watch_deep(struct __sk_buff *skb, __u32 link, __u32 egress)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;
	enum parsed parsed;
	struct headers h;
	struct frame f;
	__u64 hash = 0;

	if (!own)
		return TC_NEXT;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) { /* no frame of ours is shorter than an IPv4 header */
		table_count(NULL, COUNT_MALFORMED, 1);
		return TC_NEXT;
	}
	/* clang 19 would pass another register than the one whose bounds were checked */
	asm volatile("" : "+r"(length));
	if (bpf_skb_load_bytes(skb, 0, own->headers, length)) {
		table_count(NULL, COUNT_LOST_TRUNCATED, 1);
		return TC_NEXT;
	}
	f.begin = own->headers;
	f.end = own->headers + length;
	f.wire_length = skb->len;
	f.forget = &own->forget;
	headers_start(&h, skb);
	parsed = locate(&f, link, swap16(skb->protocol), &h, PARSE_DEEP);
	if (parsed == PARSED_TCP) {
		hash = flow_hash(&h, RUN_SEED);
		if (is_boring(&h, hash))
			return TC_NEXT;
		describe_tcp(&f, &h, &own->segment);
	} else if (parsed == PARSED_ICMP) {
		if (!describe_icmp(&f, &h, &own->segment))
			return TC_NEXT;
	} else {
		count_other(NULL, &h, parsed, skb->len);
		return TC_NEXT;
	}
	segment_origin(&own->segment, skb, egress);
	watch_described(skb, hash);
	return TC_NEXT;
}

static __always_inline int watch(struct __sk_buff *skb, enum link link, bool egress)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.forget = NULL,
	};
	struct scratch *own;
	enum parsed parsed;
	const __u8 *transport;
	struct headers h;
	__u64 hash;

	parsed = glance(&f, link, swap16(skb->protocol), RUN_SEED, &hash, &transport);
	if (likely(parsed == PARSED_TCP)) {
		if (likely(!maybe_opening(hash)))
			return TC_NEXT;
	} else if (parsed == PARSED_UDP) {
		count_udp(NULL, transport, skb->len);
		return TC_NEXT;
	} else if (parsed == PARSED_ARP) {
		return TC_NEXT;
	}
	headers_start(&h, skb);
	parsed = locate(&f, link, swap16(skb->protocol), &h, PARSE_PLAIN);
	if (likely(parsed == PARSED_TCP)) {
		hash = flow_hash(&h, RUN_SEED);
		if (is_boring(&h, hash))
			return TC_NEXT;
		own = this_cpu_scratch();
		if (!own)
			return TC_NEXT;
		describe_tcp(&f, &h, &own->segment);
		segment_origin(&own->segment, skb, egress);
		watch_described(skb, hash);
		return TC_NEXT;
	}
	if (parsed == PARSED_DEEP || parsed == PARSED_SHORT)
		return watch_deep(skb, link, egress);
	count_other(NULL, &h, parsed, skb->len);
	return TC_NEXT;
}

SEC("tc")
int probe_ingress(struct __sk_buff *skb)
{
	return watch(skb, LINK_ETHERNET, false);
}

SEC("tc")
int probe_egress(struct __sk_buff *skb)
{
	return watch(skb, LINK_ETHERNET, true);
}

SEC("tc")
int probe_ingress_ip(struct __sk_buff *skb)
{
	return watch(skb, LINK_BARE, false);
}

SEC("tc")
int probe_egress_ip(struct __sk_buff *skb)
{
	return watch(skb, LINK_BARE, true);
}

/*
 * Run by user space, once for each candidate: a flow that user space found due is looked at again
 * and settled here, so that a SYN-ACK which lands between its look and ours is not lost.
 */
SEC("tc")
int settle_candidate(struct __sk_buff *skb)
{
	__u64 now = virtual_time ? skb->tstamp : bpf_ktime_get_ns();
	__u32 next = candidate_next++;
	enum settled_by why;
	struct flow_key key;
	struct flow *f;
	__u32 isn;

	if (next >= CANDIDATES)
		return TC_NEXT;
	key = candidates[next].key;
	isn = candidates[next].client_isn;
	f = table_find(NULL, &key);
	if (!f || f->client_isn != isn)
		return TC_NEXT;
	why = ending ? SETTLED_END : settle_due(f, now, pressure);
	if (why != SETTLED_NOT)
		settle(&key, f, flow_identity(f), why, now);
	return TC_NEXT;
}

char _license[] SEC("license") = "GPL";
