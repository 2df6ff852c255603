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
	__type(value, struct line);
	__uint(max_entries, LEAST_LINES);
} lines SEC(".maps");

/*
 * Places that are free again: each CPU's own ones, the last first, since they are still in its cache;
 * what is too many there, for all.
 */
#define OWN_VACANT 64

struct own_vacant {
	__u32 count;
	__u32 places[OWN_VACANT];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct own_vacant);
	__uint(max_entries, 1);
} own_vacant SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_FLOWS);
} vacant SEC(".maps");

/* Held while places_used grows. */
struct used {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct used);
	__uint(max_entries, 1);
} used SEC(".maps");

/*
 * Who gives its place when the map is full? Attempts of clients that have never been seen to complete
 * a handshake first, so that a flood from invented addresses finds its victims among its own; then
 * the others. Each kind has a queue in the order of the first SYN. A CPU takes its entries by the
 * chunk, so that the lock is taken once for many.
 */
enum { STRANGERS, PROVEN, QUEUES };

/* Only when so large a part of the places was in use at once, it matters who is a stranger. */
#define CROWD 4

/* The flow's place and, above it, its ISN; the queue of STRANGERS comes first. */
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
 * By client_number(). Anybody can forge an address, and a client of ours may be the flood: so many
 * SYNs in a second, and the rest is a stranger's.
 */
struct credit {
	__u16 second; /* of the last SYN */
	__u16 syns; /* in that second */
};

#define CREDITED_SYNS 256

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct credit[2]); /* array maps pad to 8 bytes */
	__uint(max_entries, CLIENTS / 2);
} credits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DEFAULT_RING_BYTES);
} records SEC(".maps");

struct table;

/* A flow, and what tells the attempt: its entry in a line, and its ISN. */
struct found {
	struct flow *flow;
	struct line *line;
	__u32 at; /* in the line */
	__u32 entry;
	__u32 isn;
	__u32 entries; /* entry, or 0 when it is in the other line */
};

static __always_inline __u64 table_now(struct table *t);
static __always_inline struct lanes *table_lanes(struct table *t);
static __always_inline struct line *table_line(struct table *t, __u32 number);
static __always_inline bool table_find(struct table *t, struct line *line,
				       const struct flow_key *key, __u32 slot, struct found *found);
static __always_inline struct flow *table_new(struct table *t, __u64 now);
static __always_inline bool table_insert(struct table *t, struct line *line,
					 const struct flow_key *key, struct flow *f, __u32 entries,
					 __u64 now);
static __always_inline bool table_begin(struct table *t, const struct found *found);
static __always_inline void table_end(struct table *t, const struct found *found,
				      enum settled_by why);
static __always_inline void table_publish(struct table *t, struct flow *f, enum settled_by why,
					  __u64 now);
static __always_inline void table_count(struct table *t, enum counter c, __u64 n);
static __always_inline void table_count_ethertype(struct table *t, __u16 ethertype);
static __always_inline bool table_wants(struct table *t, const struct segment *s);
static __always_inline bool table_follows(struct table *t);
static __always_inline __u16 table_left(struct table *t, const struct flow *f);
static __always_inline bool table_keeps_packets(struct table *t);
static __always_inline void table_keep_packet(struct table *t, const struct flow_key *key,
					      const struct flow *f, const struct segment *s,
					      bool from_client, __u64 now);

#include "process.h"

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
	__u8 link; /* enum link: what a hook tells watch_closely() */
	bool egress;
	__u64 virtual_now;
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
const volatile __u32 max_flows = DEFAULT_FLOWS;
const volatile __u32 line_mask = LEAST_LINES - 1;
const volatile __u32 queue_chunks = DEFAULT_FLOWS / QUEUE_CHUNK; /* of each queue */
const volatile __u32 ring_bytes = DEFAULT_RING_BYTES;
const volatile bool keep_packets; /* for --write */
const volatile __u32 snap = MAX_HEADERS; /* bytes of each packet that is kept */
const volatile bool several; /* interfaces are watched */
const volatile bool follow_peers;
const volatile bool virtual_time; /* for tests: skb->tstamp instead of the clock */

/* A global, not a map: a hook that calls no helper for its lookup saves and restores no register. */
struct lanes lanes;

__u32 places_used; /* those beyond were never used */
bool present[MOST_FLOWS + 1]; /* by place: is a flow there? A sweep reads but those */

/* What user space hands to settle_candidate(). */
struct candidate candidates[CANDIDATES];
__u32 candidate_next;
bool ending; /* the run is over: all that is left settles */
bool pressure; /* the map is nearly full */
bool proven[CLIENTS]; /* by client_number(): clients whose record has a whole handshake */
/* A packet came in, went out; user space takes it back and looks again. */
bool seen[SEEN_SLOTS][2];

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

static __always_inline struct scratch *this_cpu_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline __u64 table_now(struct table *t)
{
	struct scratch *s;

	if (likely(!virtual_time))
		return bpf_ktime_get_ns();
	s = this_cpu_scratch();
	return s ? s->virtual_now : 0;
}

static __always_inline struct lanes *table_lanes(struct table *t)
{
	return &lanes;
}

static __always_inline struct line *table_line(struct table *t, __u32 number)
{
	number &= line_mask;
	return bpf_map_lookup_elem(&lines, &number);
}

static __always_inline struct flow_entry *entry_at(__u32 place)
{
	return bpf_map_lookup_elem(&flows, &place);
}

static __always_inline void fill_found(struct found *found, struct flow_entry *e, struct line *line,
				       __u32 entry, __u32 at)
{
	found->flow = &e->flow;
	found->line = line;
	found->entry = entry;
	found->at = at;
	found->isn = e->flow.client_isn;
	found->entries = entry;
}

static __always_inline bool find_in(struct line *line, const struct flow_key *key, __u32 slot,
				    struct found *found)
{
	struct flow_entry *e;
	__u32 entry, n, at;

#pragma nounroll
	for (n = 0; n < LINE_FLOWS; n++) {
		at = line_nth(slot, n);
		entry = *(volatile __u32 *)&line->flows[at];
		if (!same_tag(entry, slot))
			continue;
		e = entry_at(entry & PLACE_MASK);
		if (!e || !is_same_key(&e->key, key))
			continue;
		fill_found(found, e, line, entry, at);
		return true;
	}
	return false;
}

/* Where it is when there was no room for it in its line. */
static __always_inline struct line *other_line(struct table *t, const struct flow_key *key,
					       __u32 slot)
{
	__u32 number = line_number(slot, key->ifindex, key->vlan);

	return table_line(t, other_line_number(number, slot));
}

/* Of the segment in this CPU's scratch, when its line has overflowed: where in the other one? */
__noinline int find_in_other(__u32 slot)
{
	struct scratch *own = this_cpu_scratch();
	struct found found;
	struct line *line;

	if (!own)
		return LINE_FLOWS;
	line = other_line(NULL, &own->segment.key, slot);
	if (!line || !find_in(line, &own->segment.key, slot, &found))
		return LINE_FLOWS;
	return found.at;
}

static __always_inline bool table_find(struct table *t, struct line *line,
				       const struct flow_key *key, __u32 slot, struct found *found)
{
	struct flow_entry *e;
	__u32 at, entry;

	if (find_in(line, key, slot, found))
		return true;
	if (likely(!has_overflowed(line)))
		return false;
	at = find_in_other(slot);
	line = other_line(t, key, slot);
	if (!line || at >= LINE_FLOWS)
		return false;
	entry = *(volatile __u32 *)&line->flows[at];
	e = entry_at(entry & PLACE_MASK);
	if (!e || !is_same_key(&e->key, key))
		return false;
	fill_found(found, e, line, entry, at);
	found->entries = 0;
	return true;
}

static __always_inline bool find_entry(struct line *line, struct flow_entry *e, __u32 entry,
				       struct found *found)
{
	__u32 at;

#pragma nounroll
	for (at = 0; line && at < LINE_FLOWS; at++) {
		if (*(volatile __u32 *)&line->flows[at] != entry)
			continue;
		fill_found(found, e, line, entry, at);
		return true;
	}
	return false;
}

/* A flow whose place is known. */
static __always_inline bool find_at(struct flow_entry *e, __u32 place, struct found *found)
{
	__u32 slot = e->flow.slot, entry = line_tag(slot) | place;
	__u32 number = line_number(slot, e->key.ifindex, e->key.vlan);

	return find_entry(table_line(NULL, number), e, entry, found) ||
	       find_entry(other_line(NULL, &e->key, slot), e, entry, found);
}

/*
 * Both directions of a connection may be at work on two CPUs, and its place may be another flow's as
 * soon as it has settled. So whoever changes a flow holds its line's lock, and looks whether its entry
 * is still that of the attempt that was looked up; whoever settles it takes the entry out, and then it
 * is nobody else's.
 */
static __always_inline bool table_begin(struct table *t, const struct found *found)
{
	struct line *line = found->line;
	__u32 at = found->at;

	bpf_spin_lock(&line->lock);
	if (at < LINE_FLOWS && line->flows[at] == found->entry &&
	    found->flow->client_isn == found->isn)
		return true;
	bpf_spin_unlock(&line->lock);
	return false;
}

static __always_inline void table_end(struct table *t, const struct found *found,
				      enum settled_by why)
{
	struct line *line = found->line;
	__u32 at = found->at;

	if (why != SETTLED_NOT && at < LINE_FLOWS)
		line->flows[at] = 0;
	bpf_spin_unlock(&line->lock);
}

static __always_inline const struct address *client_of(const struct flow_key *key,
						       const struct flow *f)
{
	return f->client_flags & CLIENT_IS_END_1 ? &key->end[1] : &key->end[0];
}

/* Another SYN of this client: whose place does its attempt take? */
static __always_inline __u32 queue_of(const struct address *client, __u64 now)
{
	__u16 second = now >> 30;
	struct credit *c;
	__u32 number, pair;

	if (likely(places_used < max_flows / CROWD)) /* all of these will be the first to go */
		return STRANGERS;
	number = client_number(client, &run_seed);
	pair = number / 2;
	c = bpf_map_lookup_elem(&credits, &pair);
	if (!c)
		return STRANGERS;
	HIDE(c); /* clang may take an element's address before the check, where the verifier forbids it */
	c += number & 1;
	if (c->second != second) {
		c->second = second;
		c->syns = 0;
	}
	if (c->syns >= CREDITED_SYNS)
		return STRANGERS;
	c->syns++;
	return proven[number & (CLIENTS - 1)] ? PROVEN : STRANGERS;
}

static __always_inline void set_present(__u64 place, bool is)
{
	HIDE(place); /* one register, whose bounds are checked below */
	if (place <= MOST_FLOWS)
		present[place] = is;
}

/* A place that is nobody's any more; in_passing: on a hook, where nothing else comes in between. */
static __always_inline void vacate(struct flow_entry *e, bool in_passing)
{
	struct own_vacant *own;
	__u32 place = e->place, zero = 0, count;

	set_present(place, false);
	own = bpf_map_lookup_elem(&own_vacant, &zero);
	if (!own)
		return;
	count = own->count;
	if (in_passing && count < OWN_VACANT) {
		own->places[count] = place;
		own->count = count + 1;
	} else {
		bpf_map_push_elem(&vacant, &place, 0);
	}
}

static __always_inline __u32 unused_place(void)
{
	__u32 zero = 0, place = 0;
	struct used *u;

	u = bpf_map_lookup_elem(&used, &zero);
	if (!u || places_used >= max_flows)
		return 0;
	bpf_spin_lock(&u->lock);
	if (places_used < max_flows)
		place = ++places_used;
	bpf_spin_unlock(&u->lock);
	return place;
}

/* 0 when there is none. */
static __always_inline __u32 take_place(void)
{
	__u32 zero = 0, place, count;
	struct own_vacant *own;
	int error; /* no long: kernels before 6.4 leave the upper half unset */

	own = bpf_map_lookup_elem(&own_vacant, &zero);
	if (!own)
		return 0;
	count = own->count - 1;
	if (count < OWN_VACANT) {
		own->count = count;
		return own->places[count];
	}
	error = bpf_map_pop_elem(&vacant, &place);
	return error ? unused_place() : place;
}

/*
 * Of a flow that was taken out. What has no handshake is reported while the ring is at most half full,
 * and only counted otherwise, lest a flood crowd out the records of real connections.
 */
__noinline int publish(__u32 place, __u32 why, __u64 now, __u32 in_passing)
{
	struct flow_entry *e = entry_at(place);
	struct record *r = NULL;
	struct flow *f;
	bool crowd;

	if (!e)
		return 0;
	f = &e->flow;
	count_opening(&lanes, f->slot, -1);
	crowd = !is_answered_and_acked(f) &&
		bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) > ring_bytes / 2;
	if (!crowd)
		r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (r) {
		r->version = RECORD_VERSION;
		r->settled_by = why;
		r->settled = settled_at(f, now);
		__builtin_memcpy(&r->key, &e->key, sizeof(r->key));
		__builtin_memcpy(&r->flow, f, sizeof(r->flow));
		bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
		count_exactly(COUNT_PUBLISHED);
	} else {
		count_exactly(crowd ? COUNT_LOST_EVICTED : COUNT_LOST_RING);
	}
	vacate(e, in_passing);
	return 0;
}

static __always_inline void table_publish(struct table *t, struct flow *f, enum settled_by why,
					  __u64 now)
{
	publish(((struct flow_entry *)f)->place, why, now, true);
}

/* A CPU's own part of a queue: what it fills, and what it looks at for room. */
struct part {
	__u32 next;
	__u32 left;
};

struct own_parts {
	struct part fill[QUEUES];
	struct part look[QUEUES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct own_parts);
	__uint(max_entries, 1);
} own_parts SEC(".maps");

static __always_inline void take_part(struct part *p, __u32 which, __u32 chunk)
{
	p->next = (which * queue_chunks + chunk % queue_chunks) * QUEUE_CHUNK;
	p->left = QUEUE_CHUNK;
}

static __always_inline void queue_in(__u32 which, __u64 attempt)
{
	struct part *fill;
	struct own_parts *own;
	__u32 zero = 0, chunk;
	struct queue_ends *q;
	__u64 *place;

	own = bpf_map_lookup_elem(&own_parts, &zero);
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
		take_part(fill, which, chunk);
	}
	place = bpf_map_lookup_elem(&queue, &fill->next);
	fill->next++;
	fill->left--;
	if (place)
		*place = attempt;
}

/* The queue's oldest attempt, which may have settled; 0 when there is none. */
static __always_inline __u64 queue_out(__u32 which)
{
	struct own_parts *own;
	struct part *look;
	__u32 zero = 0, chunk = 0;
	struct queue_ends *q;
	__u64 *place;
	bool any;

	own = bpf_map_lookup_elem(&own_parts, &zero);
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
		take_part(look, which, chunk);
	}
	place = bpf_map_lookup_elem(&queue, &look->next);
	look->next++;
	look->left--;
	return place ? *place : 0;
}

/* A queue's oldest entries may have settled by now: so many are looked at for one SYN. */
#define EVICTION_TRIES 64

/* Room for a new attempt: the oldest one that may gives its place. Answers how many did. */
__noinline int evict_one(__u64 now)
{
	struct flow_entry *e;
	struct found found;
	bool proven = false;
	__u64 attempt;

	attempt = queue_out(STRANGERS);
	if (!attempt) {
		proven = true;
		attempt = queue_out(PROVEN);
	}
	if (!attempt)
		return 0;
	e = entry_at(attempt);
	if (!e || e->flow.client_isn != attempt >> 32 || !may_be_evicted(&e->flow, proven, now) ||
	    !find_at(e, attempt, &found))
		return 0;
	settle(NULL, &found, SETTLED_PRESSURE, now);
	return 1;
}

/* Two places, for the CPUs that insert at this moment as well. */
__noinline int make_room(__u64 now)
{
	int evicted = 0, i;

	for (i = 0; i < EVICTION_TRIES && evicted < 2; i++)
		if (evict_one(now))
			evicted++;
	return evicted;
}

static __always_inline struct flow *table_new(struct table *t, __u64 now)
{
	struct flow_entry *e = NULL;
	__u32 place;

	place = take_place();
	if (unlikely(!place)) {
		make_room(now);
		place = take_place();
	}
	if (place)
		e = entry_at(place);
	if (!e) {
		table_count(t, COUNT_LOST_MAP, 1);
		return NULL;
	}
	HIDE(e); /* clang may take a field's address before the check, where the verifier forbids it */
	__builtin_memset(&e->flow, 0, sizeof(e->flow));
	e->place = place;
	return &e->flow;
}

/*
 * Another CPU that puts in the same attempt changes the sum of the entries meanwhile. Answers what to
 * count: COUNT_ATTEMPTS, or why this came to nothing.
 */
static __always_inline enum counter put_in(struct line *line, struct flow_entry *e, __u32 entries)
{
	enum counter result = COUNT_LATE_SYN_COPIES;
	__u32 slot = e->flow.slot, place = e->place, n, at;

	bpf_spin_lock(&line->lock);
	if (line_entries(line, slot) != entries)
		goto out;
#pragma nounroll
	for (n = 0; n < LINE_FLOWS; n++) {
		at = line_nth(slot, n);
		if (line->flows[at])
			continue;
		line->flows[at] = line_tag(slot) | place;
		set_present(place, true);
		result = COUNT_ATTEMPTS;
		goto out;
	}
	line->known[KNOWN_WORDS - 1] |= LINE_OVERFLOWED;
	result = COUNT_LOST_MAP;
out:
	bpf_spin_unlock(&line->lock);
	return result;
}

__noinline int put_in_other(__u32 place)
{
	struct flow_entry *e = entry_at(place);
	struct line *line;
	__u32 entries;

	if (!e)
		return COUNT_LOST_MAP;
	line = other_line(NULL, &e->key, e->flow.slot);
	if (!line)
		return COUNT_LOST_MAP;
	entries = line_entries(line, e->flow.slot);
	if (entries && find_in_other(e->flow.slot) < LINE_FLOWS)
		return COUNT_LATE_SYN_COPIES;
	return put_in(line, e, entries);
}

static __always_inline bool table_insert(struct table *t, struct line *line,
					 const struct flow_key *key, struct flow *f, __u32 entries,
					 __u64 now)
{
	struct flow_entry *e = (struct flow_entry *)f;
	__u32 isn = f->client_isn, place = e->place;
	enum counter result;

	e->key = *key;
	result = put_in(line, e, entries);
	if (unlikely(result == COUNT_LOST_MAP))
		result = put_in_other(place);
	if (unlikely(result != COUNT_ATTEMPTS)) {
		/* two numbers that the verifier knows, as a bound of the counters */
		table_count(t, result == COUNT_LOST_MAP ? COUNT_LOST_MAP : COUNT_LATE_SYN_COPIES,
			    1);
		vacate(e, true);
		return false;
	}
	queue_in(queue_of(client_of(key, f), now), (__u64)isn << 32 | place);
	return true;
}
