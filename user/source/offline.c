// SPDX-License-Identifier: GPL-2.0
#include "source/offline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Out of memory is an attempt without a place, as a full map is: uthash undoes the insertion. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->dropped = true)
#include <uthash.h>

struct entry {
	struct flow_key key;
	struct flow flow;
	bool dropped;
	UT_hash_handle hh;
};

struct table;

struct flow_ref {
	struct flow *flow;
	__u32 entry_sum; /* nobody else is at work on the flows: lines hold none */
};

static __u64 table_now(struct table *t);
static struct flow_filter *table_filter(struct table *t);
static struct bucket *table_bucket(struct table *t, __u32 number);
static bool table_find(struct table *t, struct bucket *bucket, const struct flow_key *key,
		       __u32 hash, struct flow_ref *found);
static struct flow *table_new(struct table *t, __u64 now);
static bool table_insert(struct table *t, struct bucket *bucket, const struct flow_key *key,
			 struct flow *f, __u32 entry_sum, __u64 now);
static bool table_lock(struct table *t, const struct flow_ref *found);
static void table_unlock(struct table *t, const struct flow_ref *found, enum end_reason why);
static void table_publish(struct table *t, struct flow *f, enum end_reason why, __u64 now);
static void table_count(struct table *t, enum counter c, __u64 n);
static void table_count_ethertype(struct table *t, __u16 ethertype);
static bool table_selects(struct table *t, const struct segment *s);
static bool table_follows_peers(struct table *t);
static __u16 table_forwarding(struct table *t, const struct flow *f);
static bool table_wants_packets(struct table *t);
static void table_keep_packet(struct table *t, const struct flow_key *key, const struct flow *f,
			      const struct segment *s, bool from_client, __u64 now);

#include "process.h"

struct table {
	struct entry *flows; /* in the order of insertion, as uthash keeps it */
	uint32_t max_flows;
	const struct selector *selector;
	record_fn publish;
	packet_fn save; /* or NULL */
	void *context;
	const struct offline_frame *frame; /* that is being fed */
	uint64_t now;
	uint64_t counters[COUNTERS];
	uint32_t ethertypes[65536];
	struct flow_filter filter;
	struct bucket buckets[MIN_BUCKETS];
};

struct offline {
	struct table table;
};

/* Nobody aims at a capture: any seed will do, and the same one gives the same result. */
const struct hash_seed offline_seed = { .address = 0x2545f4914f6cdd1dULL,
					.prefix = 0x9fb21c651e98df25ULL,
					.rest = 0xda942042e4dd58b5ULL,
					.ports = 0x5851f42d4c957f2dULL,
					.spread = 0xd1342543de82ef95ULL };

static struct entry *entry_of(struct flow *f)
{
	return (struct entry *)((char *)f - offsetof(struct entry, flow));
}

static __u64 table_now(struct table *t)
{
	return t->now;
}

static struct flow_filter *table_filter(struct table *t)
{
	return &t->filter;
}

static struct bucket *table_bucket(struct table *t, __u32 number)
{
	return &t->buckets[number & (MIN_BUCKETS - 1)];
}

static bool table_find(struct table *t, struct bucket *bucket, const struct flow_key *key,
		       __u32 hash, struct flow_ref *found)
{
	struct entry *e;

	(void)bucket, (void)hash; /* uthash has its own */
	HASH_FIND(hh, t->flows, key, sizeof(*key), e);
	if (!e)
		return false;
	found->flow = &e->flow;
	found->entry_sum = 0;
	return true;
}

static void record_of(struct record *r, const struct entry *e, enum end_reason why, uint64_t now)
{
	memset(r, 0, sizeof(*r));
	r->version = RECORD_VERSION;
	r->end_reason = why;
	r->settled = settled_at(&e->flow, now);
	r->key = e->key;
	r->flow = e->flow;
}

static bool table_lock(struct table *t, const struct flow_ref *found)
{
	(void)t, (void)found;
	return true;
}

static void table_unlock(struct table *t, const struct flow_ref *found, enum end_reason why)
{
	(void)t, (void)found, (void)why;
}

static void table_publish(struct table *t, struct flow *f, enum end_reason why, __u64 now)
{
	struct entry *e = entry_of(f);
	struct record r;

	record_of(&r, e, why, now);
	filter_add(&t->filter, f->hash, -1);
	HASH_DEL(t->flows, e);
	free(e);
	t->counters[COUNT_PUBLISHED]++;
	t->publish(t->context, &r);
}

/*
 * The oldest attempt without a handshake gives its place; those with one go to the back of the
 * queue.
 */
static void evict_one(struct table *t, uint64_t now)
{
	struct entry *e;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		e = t->flows;
		if (is_evictable(&e->flow, true, now)) {
			table_publish(t, &e->flow, END_PRESSURE, now);
			return;
		}
		HASH_DEL(t->flows, e);
		HASH_ADD(hh, t->flows, key, sizeof(e->key), e);
		if (e->dropped) {
			filter_add(&t->filter, e->flow.hash, -1);
			t->counters[COUNT_LOST_MAP]++;
			free(e);
			return;
		}
	}
}

static struct flow *table_new(struct table *t, __u64 now)
{
	struct entry *e = NULL;

	if (HASH_COUNT(t->flows) >= t->max_flows)
		evict_one(t, now);
	if (HASH_COUNT(t->flows) < t->max_flows)
		e = calloc(1, sizeof(*e));
	if (e)
		return &e->flow;
	t->counters[COUNT_LOST_MAP]++;
	return NULL;
}

static bool table_insert(struct table *t, struct bucket *bucket, const struct flow_key *key,
			 struct flow *f, __u32 entry_sum, __u64 now)
{
	struct entry *e = entry_of(f);

	(void)bucket, (void)entry_sum, (void)now;
	e->key = *key;
	HASH_ADD(hh, t->flows, key, sizeof(e->key), e);
	if (!e->dropped)
		return true;
	free(e);
	t->counters[COUNT_LOST_MAP]++;
	return false;
}

static void table_count(struct table *t, enum counter c, __u64 n)
{
	t->counters[c] += n;
}

static void table_count_ethertype(struct table *t, __u16 ethertype)
{
	t->ethertypes[ethertype]++;
}

static bool table_selects(struct table *t, const struct segment *s)
{
	return !t->selector || selector_matches(t->selector, s);
}

/* A capture has no other interfaces to look at. */
static bool table_follows_peers(struct table *t)
{
	(void)t;
	return false;
}

static __u16 table_forwarding(struct table *t, const struct flow *f)
{
	(void)t, (void)f;
	return 0;
}

static bool table_wants_packets(struct table *t)
{
	return t->save;
}

static void table_keep_packet(struct table *t, const struct flow_key *key, const struct flow *f,
			      const struct segment *s, bool from_client, __u64 now)
{
	struct packet_head head = {
		.key = *key,
		.wire_length = t->frame->wire_length,
		.syn = f->syn_times[0],
		.time = now,
		.roles = roles_of(f, s, from_client, now),
	};

	if (t->frame->egress)
		head.flags |= PACKET_EGRESS;
	if (f->client_flags & CLIENT_IS_END_1)
		head.flags |= PACKET_CLIENT_IS_END_1;
	if (head.roles)
		t->save(t->context, &head);
}

struct offline *offline_new(uint32_t max_flows, const struct selector *selector, record_fn publish,
			    void *context)
{
	struct offline *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->table.max_flows = max_flows;
	n->table.selector = selector;
	n->table.publish = publish;
	n->table.context = context;
	return n;
}

void offline_free(struct offline *n)
{
	struct entry *e, *next;

	if (!n)
		return;
	HASH_ITER(hh, n->table.flows, e, next) {
		HASH_DEL(n->table.flows, e);
		free(e);
	}
	free(n);
}

void offline_save_packets(struct offline *n, packet_fn save)
{
	n->table.save = save;
}

void offline_feed(struct offline *n, const struct offline_frame *frame)
{
	struct frame f = {
		.begin = frame->bytes,
		.end = frame->bytes + frame->length,
		.wire_length =
			frame->wire_length > frame->length ? frame->wire_length : frame->length,
	};
	struct table *t = &n->table;
	struct segment s = {};
	struct headers h = {};
	enum parse_result parsed;

	parsed = parse_headers(&f, frame->link, frame->ethertype, &h);
	if (parsed == PARSE_TCP) {
		segment_from_tcp(&f, &h, &s);
	} else if (parsed == PARSE_ICMP) {
		if (!segment_from_icmp(&f, &h, &s))
			return;
	} else {
		count_other(t, &h, parsed, f.wire_length);
		return;
	}
	t->frame = frame;
	s.hash = segment_hash(&s, &offline_seed);
	s.egress = frame->egress;
	s.from_gateway = frame->from_gateway;
	s.ifindex = frame->ifindex;
	t->now = frame->time;
	if (process_segment(t, &s))
		start_attempt(t, &s);
}

void offline_sweep(struct offline *n, uint64_t now, record_fn on_open, void *context)
{
	bool under_pressure = HASH_COUNT(n->table.flows) > n->table.max_flows / 4 * 3;
	struct entry *e, *next;
	enum end_reason why;
	struct record r;

	HASH_ITER(hh, n->table.flows, e, next) {
		why = settle_due(&e->flow, now, under_pressure);
		if (why != END_NONE) {
			table_publish(&n->table, &e->flow, why, now);
		} else if (on_open) {
			record_of(&r, e, END_NONE, now);
			on_open(context, &r);
		}
	}
}

void offline_end(struct offline *n, uint64_t now)
{
	struct entry *e, *next;

	HASH_ITER(hh, n->table.flows, e, next)
		table_publish(&n->table, &e->flow, END_OF_RUN, now);
}

const uint64_t *offline_counters(const struct offline *n)
{
	return n->table.counters;
}

const uint32_t *offline_ethertypes(const struct offline *n)
{
	return n->table.ethertypes;
}
