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
#define PACKET_OTHERHOST 3

/* By flow_id(). Sizes are set when the object is loaded, from --max-flows. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct flow_entry);
	__uint(max_entries, DEFAULT_FLOWS);
} flows SEC(".maps");

/*
 * Who gives its place when the map is full? Attempts of clients that have never been seen to complete
 * a handshake first, so that a flood from invented addresses finds its victims among its own; then
 * the others. Each kind has a queue in the order of the first SYN. Places are handed out by the
 * chunk, so that the lock is taken once for many.
 */
enum { STRANGERS, PROVEN, QUEUES };

/* The flow's id; the places of STRANGERS come first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, QUEUES *DEFAULT_FLOWS);
} queue SEC(".maps");

struct queue_ends {
	struct bpf_spin_lock lock;
	__u32 head; /* the next chunk to fill, counted from the start of the run */
	__u32 tail; /* the next to look for an attempt that gives its place */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct queue_ends);
	__uint(max_entries, QUEUES);
} queue_ends SEC(".maps");

/*
 * By a hash of the client's address. Anybody can forge an address, and a client of ours may be the
 * flood: so many SYNs in a second, and the rest is a stranger's.
 */
struct credit {
	__u16 second; /* of the last SYN */
	__u16 syns; /* in that second; PROVEN_CLIENT beside it */
};

#define CREDITS (1 << 16)
#define PROVEN_CLIENT 0x8000
#define CREDITED_SYNS 256

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct credit[2]); /* array maps pad to 8 bytes */
	__uint(max_entries, CREDITS / 2);
} credits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DEFAULT_RING_BYTES);
} records SEC(".maps");

struct table;
static __always_inline __u64 table_now(struct table *t);
static __always_inline __u64 table_hash(struct table *t, const struct segment *s);
static __always_inline struct traces *table_traces(struct table *t);
static __always_inline bool table_has_room(struct table *t, __u64 hash);
static __always_inline void table_count_opening(struct table *t, __u64 hash, int n);
static __always_inline struct flow *table_find(struct table *t, const struct flow_key *key,
					       __u64 hash);
static __always_inline struct flow *table_new(struct table *t);
static __always_inline bool table_insert(struct table *t, const struct flow_key *key,
					 const struct flow *f, __u64 hash, __u64 now);
static __always_inline bool table_begin(struct table *t, struct flow *f, __u64 identity, __u64 now);
static __always_inline void table_end(struct table *t, struct flow *f, enum settled_by why,
				      __u64 now);
static __always_inline void table_publish(struct table *t, struct flow *f, __u64 identity,
					  enum settled_by why, __u64 now);
static __always_inline void table_count(struct table *t, enum counter c, __u64 n);
static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype);
static __always_inline bool table_wants(struct table *t, const struct segment *s);
static __always_inline bool table_follows(struct table *t);
static __always_inline __u16 table_left(struct table *t, const struct flow *f);
static __always_inline bool table_keeps_packets(struct table *t);
static __always_inline void table_keep_packet(struct table *t, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now);

#include "watch.h"

/* A cache line each: array maps pad elements to 8 bytes. */
#define LINE 64

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
	__u64 virtual_now;
	struct {
		struct flow flow;
		struct flow_key key;
		__u32 lock[3]; /* as in struct flow_entry, where no lock may be */
		__u64 id;
	} entry;
	__u32 forget;
	__u32 inner; /* the packet begins at its network header, so many bytes: see watch_inner() */
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
const volatile __u32 queue_chunks = DEFAULT_FLOWS / QUEUE_CHUNK; /* of each queue */
const volatile __u32 ring_bytes = DEFAULT_RING_BYTES;
const volatile bool keep_packets; /* for --write */
const volatile __u32 snap = MAX_HEADERS; /* bytes of each packet that is kept */
const volatile bool several; /* interfaces are watched */
const volatile bool follow_peers;
const volatile bool virtual_time; /* for tests: skb->tstamp instead of the clock */

/* A global, not a map: a hook that calls no helper for its lookup saves and restores no register. */
struct traces traces;

/* What user space hands to settle_candidate(). */
struct candidate candidates[CANDIDATES];
__u32 candidate_next;
bool ending; /* the run is over: all that is left settles */
bool pressure; /* the map is nearly full */
/* A packet came in, went out; user space takes it back and looks again. */
bool seen[SEEN_SLOTS][2];

_Static_assert(sizeof(((struct scratch *)0)->entry) == sizeof(struct flow_entry), "see there");

/* What a lookup answers as a flow is the element itself, not a field behind its begin. */
_Static_assert(offsetof(struct flow_entry, flow) == 0, "see table_new()");

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

/*
 * As table_count(). What it keeps across the look-up is on the stack: in registers, the hook would
 * save and restore them for each packet, also where nothing is counted.
 */
static __always_inline void count_in_passing(enum counter c, __u32 n)
{
	volatile __u32 counter = c, number = n;
	struct counters *line = this_cpu_counters();
	__u32 at = counter;

	if (line && at < COUNTERS)
		line->count[at] += number;
}

/* For what user space runs as well: there a packet of this CPU may come between load and store. */
static __always_inline void count_exactly(enum counter c)
{
	struct counters *line = this_cpu_counters();

	if (line)
		__sync_fetch_and_add(&line->count[c], 1);
}

static __always_inline struct traces *table_traces(struct table *t)
{
	return &traces;
}

static __always_inline struct flow *table_find(struct table *t, const struct flow_key *key,
					       __u64 hash)
{
	__u64 id = flow_id(key, hash);
	struct flow_entry *e = bpf_map_lookup_elem(&flows, &id);

	return e && is_same_key(&e->key, key) ? &e->flow : NULL;
}

static __always_inline struct scratch *this_cpu_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

/* Global functions are verified once, not with each of the ways that lead to them. */
__noinline __u64 segment_hash(void)
{
	struct scratch *s = this_cpu_scratch();

	return s ? tuple_hash(&s->segment, &run_seed) : 0;
}

__noinline int traces_have_room(__u64 hash)
{
	return has_room(&traces, hash);
}

__noinline int traces_count_opening(__u64 hash, int n)
{
	count_opening(&traces, hash, n);
	return 0;
}

static __always_inline bool table_has_room(struct table *t, __u64 hash)
{
	return traces_have_room(hash);
}

static __always_inline void table_count_opening(struct table *t, __u64 hash, int n)
{
	traces_count_opening(hash, n);
}

/* Of the segment in this CPU's scratch. */
static __always_inline __u64 table_hash(struct table *t, const struct segment *s)
{
	return segment_hash();
}

static __always_inline __u64 table_now(struct table *t)
{
	struct scratch *s;

	if (likely(!virtual_time))
		return bpf_ktime_get_ns();
	s = this_cpu_scratch();
	return s ? s->virtual_now : 0;
}

static __always_inline struct flow *table_new(struct table *t)
{
	struct scratch *s = this_cpu_scratch();

	if (!s)
		return NULL;
	HIDE(s); /* clang may take a field's address before the check, where the verifier forbids it */
	__builtin_memset(&s->entry, 0, sizeof(s->entry));
	return &s->entry.flow;
}

/*
 * An element that another CPU took out may be another flow's at once, and both directions may be at
 * work on two CPUs. So whoever changes a flow holds its lock, and looks whether it is still the
 * attempt that was looked up; whoever settles it claims it, and nobody else changes it, takes it out
 * or publishes it. A claim that fell on an element about to be reused comes to nothing, so it lasts
 * for a second only; a second claimer does no harm, since the map gives a flow out once.
 */
#define CLAIM_SHIFT 20
#define CLAIM_LASTS (SECOND_NS >> CLAIM_SHIFT)

static __always_inline __u32 claim_stamp(__u64 now)
{
	return now >> CLAIM_SHIFT | 1;
}

static __always_inline bool table_begin(struct table *t, struct flow *f, __u64 identity, __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;

	bpf_spin_lock(&e->lock);
	if (e->flow.slot == (__u32)(identity >> 32) && e->flow.client_isn == (__u32)identity &&
	    (!e->claimed || (now && claim_stamp(now) - e->claimed > CLAIM_LASTS)))
		return true;
	bpf_spin_unlock(&e->lock);
	return false;
}

static __always_inline void table_end(struct table *t, struct flow *f, enum settled_by why,
				      __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;

	if (why != SETTLED_NOT)
		e->claimed = claim_stamp(now);
	bpf_spin_unlock(&e->lock);
}

static __always_inline struct credit *credit_of(const struct address *a)
{
	__u64 hash = hash_mix((__u64)a->word[0] << 32 | a->word[1], &run_seed);
	struct credit *pair;
	__u32 index;

	hash = hash_mix(hash ^ ((__u64)a->word[2] << 32 | a->word[3]), &run_seed);
	index = hash >> 49;
	pair = bpf_map_lookup_elem(&credits, &index);
	if (!pair)
		return NULL;
	HIDE(pair); /* as in table_new() */
	return &pair[hash >> 48 & 1];
}

static __always_inline const struct address *client_of(const struct flow_key *key,
						       const struct flow *f)
{
	return f->client_flags & CLIENT_IS_END_1 ? &key->end[1] : &key->end[0];
}

/* Another SYN of this client: whose place does its attempt take? */
static __always_inline __u32 queue_of(const struct address *client, __u64 now)
{
	struct credit *c = credit_of(client);
	__u16 second = now >> 30;

	if (!c)
		return STRANGERS;
	if (c->second != second) {
		c->second = second;
		c->syns &= PROVEN_CLIENT;
	}
	if ((c->syns & ~PROVEN_CLIENT) >= CREDITED_SYNS)
		return STRANGERS;
	c->syns++;
	return c->syns & PROVEN_CLIENT ? PROVEN : STRANGERS;
}

/* Of a claimed flow. Where the map is busy (5.11 and later may say so), the sweep comes back to it. */
static __always_inline bool take_out(struct flow_entry *e, __u64 id, __u64 identity)
{
	__u64 hash = (identity & ~0xffffffffULL) | e->flow.slot_back;

	if (bpf_map_delete_elem(&flows, &id)) {
		e->claimed = 0;
		return false;
	}
	traces_count_opening(hash, -1);
	return true;
}

/*
 * The record is filled before the flow is taken out: afterwards its memory may be another flow's.
 * What has no handshake is reported while the ring is at most half full, and only counted otherwise,
 * lest a flood crowd out the records of real connections.
 */
static __noinline void publish(struct flow *f, __u64 identity, enum settled_by why, __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;
	struct record *r = NULL;
	struct credit *c;
	bool crowd;
	__u64 id;

	id = e->id;
	if (is_answered_and_acked(f)) {
		c = credit_of(client_of(&e->key, f));
		if (c)
			c->syns |= PROVEN_CLIENT;
	}
	crowd = !is_answered_and_acked(f) &&
		bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) > ring_bytes / 2;
	if (!crowd)
		r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r) {
		if (take_out(e, id, identity))
			count_exactly(crowd ? COUNT_LOST_EVICTED : COUNT_LOST_RING);
		return;
	}
	r->version = RECORD_VERSION;
	r->settled_by = why;
	r->settled = settled_at(f, now);
	__builtin_memcpy(&r->key, &e->key, sizeof(r->key));
	r->pad = 0;
	__builtin_memcpy(&r->flow, f, sizeof(r->flow));
	if (take_out(e, id, identity)) {
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
		count_exactly(COUNT_PUBLISHED);
	} else {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
	}
}

static __always_inline void table_publish(struct table *t, struct flow *f, __u64 identity,
					  enum settled_by why, __u64 now)
{
	publish(f, identity, why, now);
}

/* A CPU's own places of a queue: those that it fills, and those that it looks at for room. */
struct places {
	__u32 next;
	__u32 left;
};

struct own_places {
	struct places fill[QUEUES];
	struct places look[QUEUES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct own_places);
	__uint(max_entries, 1);
} own_places SEC(".maps");

static __always_inline void take_places(struct places *p, __u32 which, __u32 chunk)
{
	p->next = (which * queue_chunks + chunk % queue_chunks) * QUEUE_CHUNK;
	p->left = QUEUE_CHUNK;
}

static __always_inline void queue_in(__u32 which, __u64 id)
{
	struct places *fill;
	struct own_places *own;
	__u32 zero = 0, chunk;
	struct queue_ends *q;
	__u64 *place;

	own = bpf_map_lookup_elem(&own_places, &zero);
	q = bpf_map_lookup_elem(&queue_ends, &which);
	if (!own || !q)
		return;
	fill = which == PROVEN ? &own->fill[PROVEN] : &own->fill[STRANGERS];
	if (!fill->left) {
		bpf_spin_lock(&q->lock);
		chunk = q->head++;
		if (q->head - q->tail > queue_chunks)
			q->tail = q->head - queue_chunks;
		bpf_spin_unlock(&q->lock);
		take_places(fill, which, chunk);
	}
	place = bpf_map_lookup_elem(&queue, &fill->next);
	fill->next++;
	fill->left--;
	if (place)
		*place = id;
}

/* The id of the queue's oldest entry, which may have settled; 0 when there is none. */
static __always_inline __u64 queue_out(__u32 which)
{
	struct own_places *own;
	struct places *look;
	__u32 zero = 0, chunk = 0;
	struct queue_ends *q;
	__u64 *place;
	bool any;

	own = bpf_map_lookup_elem(&own_places, &zero);
	q = bpf_map_lookup_elem(&queue_ends, &which);
	if (!own || !q)
		return 0;
	look = which == PROVEN ? &own->look[PROVEN] : &own->look[STRANGERS];
	if (!look->left) {
		bpf_spin_lock(&q->lock);
		any = q->tail != q->head;
		if (any)
			chunk = q->tail++;
		bpf_spin_unlock(&q->lock);
		if (!any)
			return 0;
		take_places(look, which, chunk);
	}
	place = bpf_map_lookup_elem(&queue, &look->next);
	look->next++;
	look->left--;
	return place ? *place : 0;
}

static __always_inline struct flow *flow_of(__u64 id)
{
	struct flow_entry *e = bpf_map_lookup_elem(&flows, &id);

	return e ? &e->flow : NULL;
}

/* A queue's oldest entries may have settled by now: so many are looked at for one SYN. */
#define EVICTION_TRIES 64

/* Room for a new attempt: the oldest one that may gives its place. Answers how many did. */
__noinline int evict_one(__u64 now)
{
	bool proven = false;
	struct flow *f;
	__u64 id;

	id = queue_out(STRANGERS);
	if (!id) {
		proven = true;
		id = queue_out(PROVEN);
	}
	if (!id)
		return 0;
	f = flow_of(id);
	if (!f || !may_be_evicted(f, proven, now))
		return 0;
	settle(NULL, f, flow_identity(f), SETTLED_PRESSURE, now);
	return 1;
}

static __always_inline bool table_insert(struct table *t, const struct flow_key *key,
					 const struct flow *f, __u64 hash, __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f; /* table_new()'s */
	__u64 id = flow_id(key, hash);
	int evicted = 0, i;
	int error; /* no long: kernels before 6.4 leave the upper half unset */

	e->key = *key;
	e->id = id;
	error = bpf_map_update_elem(&flows, &id, e, BPF_NOEXIST);
	if (error && error != -EEXIST) {
		/* two, for the CPUs that insert at this moment as well */
		for (i = 0; i < EVICTION_TRIES && evicted < 2; i++)
			if (evict_one(now))
				evicted++;
		error = bpf_map_update_elem(&flows, &id, e, BPF_NOEXIST);
	}
	if (error) {
		table_count(t, error == -EEXIST ? COUNT_LATE_SYN_COPIES : COUNT_LOST_MAP, 1);
		return false;
	}
	queue_in(queue_of(client_of(key, f), now), id);
	return true;
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
 * With --follow-peers: the SYNs that left by an interface that is followed, by a hash of the ISN,
 * which NAT leaves as it is. Newer ones overwrite. A word says which ISN, when, and by which
 * interface; it is written at once, so nobody reads half of it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1); /* LEAVING, when it is used */
} leaving SEC(".maps");

/* A leaving packet was not understood: nothing can be said of any that was not seen. */
bool leaving_unsure;

static __always_inline __u32 leaving_slot(__u32 isn)
{
	return isn * 0x9e3779b1U >> 16 & (LEAVING - 1);
}

/* In units of 2^24 ns, some 17 ms: 24 bits are three days. */
static __always_inline __u32 leaving_time(__u64 now)
{
	return now >> 24 & 0xffffff;
}

static __always_inline bool table_follows(struct table *t)
{
	return follow_peers;
}

static __always_inline __u16 table_left(struct table *t, const struct flow *f)
{
	__u32 slot = leaving_slot(f->client_isn);
	__u64 *place = bpf_map_lookup_elem(&leaving, &slot), word;
	bool is_since;

	if (!place || leaving_unsure)
		return 0;
	word = *(volatile __u64 *)place;
	is_since = ((word >> 8) - leaving_time(f->syn_last) & 0xffffff) < 1 << 23;
	if (word && is_since && word >> 32 == f->client_isn)
		return CLIENT_LEFT | (word & 0xff) << 8;
	/* another one's, since then: it may have overwritten ours */
	return word && is_since ? 0 : CLIENT_STAYED;
}

/* Packets that decide something, while they are kept; user space sets the sizes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} packets SEC(".maps");

struct packet_room {
	struct packet_head head;
	__u8 bytes[MOST_SNAP];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct packet_room);
	__uint(max_entries, 1);
} packet_room SEC(".maps");

static __always_inline bool table_keeps_packets(struct table *t)
{
	return t;
}

static __always_inline int load_bytes(struct __sk_buff *skb, bool inner, void *to, __u32 length)
{
	if (inner)
		return bpf_skb_load_bytes_relative(skb, 0, to, length, BPF_HDR_START_NET);
	return bpf_skb_load_bytes(skb, 0, to, length);
}

/* Behind the head that is in this CPU's room. */
__noinline int hand_packet_over(struct __sk_buff *skb)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;
	struct packet_room *p;
	__u32 zero = 0;

	p = bpf_map_lookup_elem(&packet_room, &zero);
	if (!p || !own)
		return 0;
	p->head.wire_length = skb->len;
	p->head.vlan_protocol = skb->vlan_present ? swap16(skb->vlan_proto) : 0;
	p->head.vlan_tci = skb->vlan_tci;
	if (own->inner && length > own->inner)
		length = own->inner;
	if (length > snap)
		length = snap;
	if (length > MOST_SNAP)
		length = MOST_SNAP;
	if (length < 20)
		return 0;
	p->head.length = length;
	/* as in watch_deep() */
	HIDE(length);
	if (load_bytes(skb, own->inner, p->bytes, length) ||
	    bpf_ringbuf_output(&packets, p, sizeof(p->head) + length, BPF_RB_NO_WAKEUP))
		table_count(NULL, COUNT_LOST_PACKETS, 1);
	return 0;
}

/* Of the segment in this CPU's scratch. */
static __noinline void keep_packet(struct __sk_buff *skb, const struct flow_key *key,
				   const struct flow *f, bool from_client, __u64 now)
{
	struct scratch *own = this_cpu_scratch();
	struct packet_room *p;
	__u32 zero = 0;
	__u8 roles;

	p = bpf_map_lookup_elem(&packet_room, &zero);
	if (!p || !own)
		return;
	roles = roles_of(f, &own->segment, from_client, now);
	if (!roles)
		return;
	__builtin_memcpy(&p->head.key, key, sizeof(p->head.key));
	p->head.syn = f->syn_times[0];
	p->head.time = now;
	p->head.roles = roles;
	p->head.flags = (own->segment.egress ? PACKET_EGRESS : 0) |
			(f->client_flags & CLIENT_IS_END_1 ? PACKET_CLIENT_IS_END_1 : 0);
	hand_packet_over(skb);
}

static __always_inline void table_keep_packet(struct table *t, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now)
{
	keep_packet((struct __sk_buff *)t, key, f, from_client, now);
}

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
	/* a test's packets are addressed to nobody's device */
	s->elsewhere = !egress && !virtual_time && skb->pkt_type == PACKET_OTHERHOST;
}

static __always_inline bool is_boring(const struct headers *h)
{
	return !(h->transport[13] & TCP_LOOK) &&
	       !may_be_opening(&traces, slot_from(h->ip, h->transport, h->ip6, &run_seed));
}

/* The hooks' table needs no handle; for table_keep_packet() it is the packet. */
static __always_inline int watch_own(struct __sk_buff *skb, struct table *t)
{
	struct scratch *own = this_cpu_scratch();

	if (own) {
		if (virtual_time)
			own->virtual_now = skb->tstamp;
		watch_segment(t, &own->segment);
	}
	return 0;
}

/*
 * Global functions are verified once, by themselves, whoever calls them: what most packets never
 * reach adds nothing to the verifier's work on the hooks, nor to what a hook saves and restores.
 */
__noinline int watch_and_forget(struct __sk_buff *skb)
{
	if (keep_packets)
		return 0;
	return watch_own(skb, NULL);
}

__noinline int watch_and_keep(struct __sk_buff *skb)
{
	if (!keep_packets)
		return 0;
	return watch_own(skb, (struct table *)skb);
}

/*
 * What the segment in this CPU's scratch changes. Two copies of the code: while no packets are kept,
 * the verifier takes the one that keeps them out of the program, which costs nothing then.
 */
static __always_inline void watch_described(struct __sk_buff *skb)
{
	if (keep_packets)
		watch_and_keep(skb);
	else
		watch_and_forget(skb);
}

/* In this CPU's copy of the headers, so many bytes. */
static __always_inline enum parsed locate_copy(struct __sk_buff *skb, struct scratch *own,
					       __u64 length, __u32 link, struct frame *f,
					       struct headers *h)
{
	f->begin = own->headers;
	f->end = own->headers + length;
	f->wire_length = skb->len;
	f->forget = &own->forget;
	headers_start(h, skb);
	return locate(f, link, swap16(skb->protocol), h, PARSE_DEEP);
}

/* Of a copy of the headers. */
static __always_inline void watch_copy(struct __sk_buff *skb, struct scratch *own, __u64 length,
				       __u32 link, __u32 egress)
{
	enum parsed parsed;
	struct headers h;
	struct frame f;

	parsed = locate_copy(skb, own, length, link, &f, &h);
	if (parsed == PARSED_TCP) {
		if (is_boring(&h))
			return;
		describe_tcp(&f, &h, &own->segment);
	} else if (parsed == PARSED_ICMP) {
		if (!describe_icmp(&f, &h, &own->segment))
			return;
	} else {
		count_other(NULL, &h, parsed, skb->len);
		return;
	}
	segment_origin(&own->segment, skb, egress);
	watch_described(skb);
}

/*
 * What is not plain: extension headers, PPPoE, MPLS, ICMP errors, headers outside the skb's linear
 * part (frames larger than a page). Works on a copy of the headers.
 */
__noinline int watch_deep(struct __sk_buff *skb, __u32 link, __u32 egress)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;

	if (!own)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) { /* no frame of ours is shorter than an IPv4 header */
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	/* clang 19 would pass another register than the one whose bounds were checked */
	HIDE(length);
	if (bpf_skb_load_bytes(skb, 0, own->headers, length)) {
		table_count(NULL, COUNT_LOST_TRUNCATED, 1);
		return 0;
	}
	watch_copy(skb, own, length, link, egress);
	return 0;
}

/*
 * Before 5.14 what a tunnel's device receives still has its outer headers in front, and only the
 * network header's place is right. How much of the packet lies behind that, the packet itself says.
 */
__noinline int watch_inner(struct __sk_buff *skb)
{
	bool ip6 = skb->protocol == swap16(ETHERTYPE_IP6);
	struct scratch *own = this_cpu_scratch();
	__u64 length;

	if (!own)
		return 0;
	if (load_bytes(skb, true, own->headers, 20)) {
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	length = ip6 ? 40 + load16(own->headers + 4) : load16(own->headers + 2);
	HIDE(length); /* one register, whose bounds are checked below */
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20) {
		table_count(NULL, COUNT_MALFORMED, 1);
		return 0;
	}
	HIDE(length);
	if (load_bytes(skb, true, own->headers, length)) {
		/* the payload lies outside the linear part, which is all that this reads */
		length = ip6 ? 40 + 20 : 20 + 20;
		if (load_bytes(skb, true, own->headers, length)) {
			table_count(NULL, COUNT_LOST_TRUNCATED, 1);
			return 0;
		}
	}
	own->inner = length;
	watch_copy(skb, own, length, LINK_BARE, false);
	own->inner = 0;
	return 0;
}

/*
 * What a glance did not dismiss; most of it opens, closes or refuses, behind plain headers. Answers
 * whether that was so; else it is for watch_deep().
 */
__noinline int watch_plain(struct __sk_buff *skb, __u32 link, __u32 egress)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.forget = NULL,
	};
	struct scratch *own;
	enum parsed parsed;
	struct headers h;

	headers_start(&h, skb);
	parsed = locate(&f, link, swap16(skb->protocol), &h, PARSE_PLAIN);
	if (likely(parsed == PARSED_TCP)) {
		if (is_boring(&h))
			return true;
		own = this_cpu_scratch();
		if (!own)
			return true;
		describe_tcp(&f, &h, &own->segment);
		segment_origin(&own->segment, skb, egress);
		watch_described(skb);
		return true;
	}
	if (parsed == PARSED_DEEP || parsed == PARSED_SHORT)
		return false;
	count_other(NULL, &h, parsed, skb->len);
	return true;
}

static __always_inline int watch(struct __sk_buff *skb, enum link link, bool egress)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
	};
	struct __sk_buff *volatile kept; /* on the stack, as in count_in_passing() */
	__u32 mark = several ? seen_slot(skb->ifindex) : 0;
	const __u8 *transport;
	__u32 slot;

	if (!*(volatile bool *)&seen[mark][egress])
		seen[mark][egress] = true;
	switch (glance(&f, link, swap16(skb->protocol), &run_seed, &slot, &transport)) {
	case PARSED_TCP:
		if (likely(!may_be_opening(&traces, slot)))
			return TC_NEXT;
		break;
	case PARSED_UDP:
		count_in_passing(udp_counter(transport), skb->len);
		return TC_NEXT;
	case PARSED_OTHER:
		count_in_passing(COUNT_IP_OTHER, 1);
		return TC_NEXT;
	case PARSED_ARP:
		return TC_NEXT;
	default:
		break;
	}
	kept = skb;
	if (!watch_plain(skb, link, egress))
		watch_deep(kept, link, egress);
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

SEC("tc")
int probe_ingress_inner(struct __sk_buff *skb)
{
	__u32 mark = several ? seen_slot(skb->ifindex) : 0;

	if (!*(volatile bool *)&seen[mark][false])
		seen[mark][false] = true;
	watch_inner(skb);
	return TC_NEXT;
}

static __always_inline void note_segment(struct __sk_buff *skb, const struct headers *h)
{
	__u32 isn, slot;
	__u64 *place;

	if ((h->transport[13] & (TCP_SYN | TCP_ACK | TCP_RST)) != TCP_SYN)
		return;
	isn = load32(h->transport + 4);
	slot = leaving_slot(isn);
	place = bpf_map_lookup_elem(&leaving, &slot);
	if (place)
		*(volatile __u64 *)place = (__u64)isn << 32 |
					   (__u64)leaving_time(bpf_ktime_get_ns()) << 8 |
					   (skb->ifindex & 0xff);
}

/* Of a copy of the headers, as watch_deep(). An ethertype that is not known brings no SYN. */
__noinline int note_leaving_deep(struct __sk_buff *skb, __u32 link)
{
	struct scratch *own = this_cpu_scratch();
	__u64 length = skb->len;
	enum parsed parsed;
	struct headers h;
	struct frame f;

	if (!own)
		return 0;
	if (length > MAX_HEADERS)
		length = MAX_HEADERS;
	if (length < 20)
		return 0;
	HIDE(length);
	if (bpf_skb_load_bytes(skb, 0, own->headers, length)) {
		leaving_unsure = true;
		return 0;
	}
	parsed = locate_copy(skb, own, length, link, &f, &h);
	if (parsed == PARSED_TCP)
		note_segment(skb, &h);
	else if (parsed == PARSED_SHORT)
		leaving_unsure = true;
	return 0;
}

static __noinline int note_leaving(struct __sk_buff *skb, __u32 link)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
		.wire_length = skb->len,
		.forget = NULL,
	};
	enum parsed parsed;
	struct headers h;

	headers_start(&h, skb);
	parsed = locate(&f, link, swap16(skb->protocol), &h, PARSE_PLAIN);
	if (parsed == PARSED_TCP)
		note_segment(skb, &h);
	else if (parsed == PARSED_DEEP || parsed == PARSED_SHORT)
		note_leaving_deep(skb, link);
	return 0;
}

/* What a glance dismisses is no SYN. */
static __always_inline int watch_leaving(struct __sk_buff *skb, enum link link)
{
	struct frame f = {
		.begin = (const __u8 *)(long)skb->data,
		.end = (const __u8 *)(long)skb->data_end,
	};
	const __u8 *transport;
	__u32 slot;

	if (glance(&f, link, swap16(skb->protocol), &run_seed, &slot, &transport) == PARSED_DEEP)
		note_leaving(skb, link);
	return TC_NEXT;
}

SEC("tc")
int probe_leaving(struct __sk_buff *skb)
{
	return watch_leaving(skb, LINK_ETHERNET);
}

SEC("tc")
int probe_leaving_ip(struct __sk_buff *skb)
{
	return watch_leaving(skb, LINK_BARE);
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
	struct candidate c;
	enum settled_by why;
	struct flow *f;

	if (next >= CANDIDATES)
		return TC_NEXT;
	c = candidates[next];
	f = flow_of(c.id);
	if (!f || f->client_isn != c.client_isn)
		return TC_NEXT;
	why = ending ? SETTLED_END : settle_due(f, now, pressure);
	if (why != SETTLED_NOT)
		settle(NULL, f, flow_identity(f), why, now);
	return TC_NEXT;
}

char _license[] SEC("license") = "GPL";
