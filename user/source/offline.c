// SPDX-License-Identifier: GPL-2.0
#include "source/offline.h"

#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "dns.h"
#include "flow_filter.h"
#include "lib/keyed_hash.h"
#include "reset.h"
#include "selector.h"

/*
 * If memory runs out, uthash undoes the insertion, and the attempt is counted as if the table were
 * full.
 */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->dropped = true)
#include <uthash.h>

struct entry {
	struct flow_key key;
	struct flow flow;
	bool dropped;
	UT_hash_handle hh;
};

typedef struct offline table_ctx;

/* Result of a lookup. The buckets hold no entries: flows are found by uthash. */
struct flow_ref {
	struct flow *flow;
	__u32 entry; /* always 0 */
};

struct offline {
	struct entry *flows; /* a uthash table, in the order of insertion */
	uint32_t max_flows;
	const struct selector *selector;
	record_fn publish;
	packet_fn save; /* callback of --write, or NULL */
	dns_fn dns; /* or NULL */
	const uint16_t *dns_ports;
	uint32_t dns_port_count;
	void *context;
	const struct offline_frame *frame; /* the frame being processed */
	uint64_t now;
	uint64_t counters[COUNTERS];
	uint32_t ethertypes[65536];
	struct flow_filter filter;
	struct bucket buckets[MIN_BUCKETS];
	struct reset_guard reset_guard;
	struct reset_set resets[RESET_SETS];
};

/*
 * The seed is constant, so that every run over a capture gives the same result. A secret seed
 * defends against attacks on a live run only.
 */
const struct hash_seed offline_seed = { .address = 0x2545f4914f6cdd1dULL,
					.prefix = 0x9fb21c651e98df25ULL,
					.rest = 0xda942042e4dd58b5ULL,
					.ports = 0x5851f42d4c957f2dULL,
					.spread = 0xd1342543de82ef95ULL };

static struct entry *entry_of(struct flow *f)
{
	return (struct entry *)((char *)f - offsetof(struct entry, flow));
}

static __u64 table_now(table_ctx *o)
{
	return o->now;
}

static struct flow_filter *table_filter(table_ctx *o)
{
	return &o->filter;
}

static struct bucket *table_bucket(table_ctx *o, __u32 number)
{
	return &o->buckets[number & (MIN_BUCKETS - 1)];
}

static bool table_find(table_ctx *o, struct bucket *bucket, const struct flow_key *key, __u32 hash,
		       struct flow_ref *found)
{
	struct entry *e;

	(void)bucket, (void)hash;
	HASH_FIND(hh, o->flows, key, sizeof(*key), e);
	if (!e)
		return false;
	found->flow = &e->flow;
	found->entry = 0;
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

static bool table_lock(table_ctx *o, const struct flow_ref *found)
{
	(void)o, (void)found;
	return true;
}

static void table_unlock(table_ctx *o, const struct flow_ref *found, enum end_reason why)
{
	(void)o, (void)found, (void)why;
}

static void table_publish(table_ctx *o, struct flow *f, enum end_reason why, __u64 now)
{
	struct entry *e = entry_of(f);
	struct record r;

	record_of(&r, e, why, now);
	filter_add(&o->filter, f->hash, -1);
	HASH_DEL(o->flows, e);
	free(e);
	o->counters[COUNT_PUBLISHED]++;
	o->publish(o->context, &r);
}

/*
 * Evicts the oldest evictable attempt among the four oldest flows. Flows that may not be evicted
 * move to the end of the queue.
 */
static void evict_one(table_ctx *o, uint64_t now)
{
	struct entry *e;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		e = o->flows;
		if (is_evictable(&e->flow, true, now)) {
			table_publish(o, &e->flow, END_PRESSURE, now);
			return;
		}
		HASH_DEL(o->flows, e);
		HASH_ADD(hh, o->flows, key, sizeof(e->key), e);
		if (e->dropped) {
			filter_add(&o->filter, e->flow.hash, -1);
			o->counters[COUNT_LOST_MAP]++;
			free(e);
			return;
		}
	}
}

static struct flow *table_new(table_ctx *o, __u64 now)
{
	struct entry *e = NULL;

	if (HASH_COUNT(o->flows) >= o->max_flows)
		evict_one(o, now);
	if (HASH_COUNT(o->flows) < o->max_flows)
		e = calloc(1, sizeof(*e));
	if (e)
		return &e->flow;
	o->counters[COUNT_LOST_MAP]++;
	return NULL;
}

static bool table_insert(table_ctx *o, struct bucket *bucket, const struct flow_key *key,
			 struct flow *f, __u32 entry_sum, __u64 now)
{
	struct entry *e = entry_of(f);

	(void)bucket, (void)entry_sum, (void)now;
	e->key = *key;
	HASH_ADD(hh, o->flows, key, sizeof(e->key), e);
	if (!e->dropped)
		return true;
	free(e);
	o->counters[COUNT_LOST_MAP]++;
	return false;
}

static void table_count(table_ctx *o, enum counter c, __u64 n)
{
	o->counters[c] += n;
}

static void table_count_ethertype(table_ctx *o, __u16 ethertype)
{
	o->ethertypes[ethertype]++;
}

static bool table_selects(table_ctx *o, const struct segment *s)
{
	return !o->selector ||
	       selector_matches(o->selector, &s->source, &s->destination, s->destination_port);
}

static struct reset_guard *table_reset_guard(table_ctx *o)
{
	return &o->reset_guard;
}

static void table_count_reset(table_ctx *o, const struct segment *s, bool opened_here, __u64 now)
{
	struct reset r;

	reset_of(&r, s, opened_here, &offline_seed);
	if (!o->selector || segment_is_selected(o->selector, s, r.from_server))
		o->counters[COUNT_RESETS_NOT_COUNTED] +=
			reset_set_count(&o->resets[r.set], &r, now);
}

static void table_publish_synack(table_ctx *o, struct segment *s, __u64 now)
{
	struct record r;

	record_synack_alone(&r, s, now);
	o->publish(o->context, &r);
}

/* Returns false: a capture has no other interface on which SYNs could leave. */
static bool table_follows_peers(table_ctx *o)
{
	(void)o;
	return false;
}

static __u16 table_forwarding(table_ctx *o, const struct flow *f)
{
	(void)o, (void)f;
	return 0;
}

static bool table_saves_packets(table_ctx *o)
{
	return o->save;
}

static void table_save_packet(table_ctx *o, const struct flow_key *key, const struct flow *f,
			      const struct segment *s, bool from_client, __u64 now)
{
	struct packet_head head = {
		.key = *key,
		.wire_length = o->frame->wire_length,
		.syn = f->syn_times[0],
		.time = now,
		.roles = packet_roles(f, s, from_client, now),
	};

	if (o->frame->egress)
		head.flags |= PACKET_EGRESS;
	if (f->client_flags & CLIENT_IS_END_1)
		head.flags |= PACKET_CLIENT_IS_END_1;
	if (head.roles)
		o->save(o->context, &head);
}

/* Returns a byte of the packet, or -1 if it was not captured. */
static int packet_byte(const struct offline_frame *frame, __u32 offset)
{
	return offset < frame->length ? frame->bytes[offset] : -1;
}

static void read_options(const struct offline_frame *frame, struct segment *s)
{
	__u32 length = options_available(s, frame->length), i;

	options_clear(&s->options);
	if (length < 2) /* as in the kernel */
		return;
	memcpy(s->options.bytes, frame->bytes + s->tcp_offset + TCP_HEADER, length);
	s->options.length = length;
	for (i = 0; i < MAX_OPTIONS; i++)
		if (!option_next(&s->options, i))
			return;
}

static bool is_dns(const struct offline *o, const struct segment *s)
{
	return o->dns && is_dns_segment(s, o->dns_ports, o->dns_port_count);
}

/* Passes on the frame of a segment for which is_dns() is true. */
static void publish_dns(struct offline *o, const struct segment *s)
{
	struct dns_head head = { .wire_length = o->frame->wire_length };
	const struct address *client;
	bool is_answer;

	dns_head_of(&head, s);
	head.time = o->now;
	if (dns_set_length(&head, o->frame->length) && o->frame->length < o->frame->wire_length)
		head.flags |= DNS_CUT;
	is_answer = dns_flags_offset(&head) < o->frame->length &&
		    o->frame->bytes[dns_flags_offset(&head)] & DNS_QR;
	client = dns_client(&head, is_answer, o->dns_ports, o->dns_port_count);
	if (o->selector && !dns_client_is_selected(o->selector, client))
		return;
	o->counters[COUNT_DNS]++;
	o->dns(o->context, &head, o->frame->bytes);
}

static void table_read_needs(table_ctx *o, struct segment *s)
{
	int first, level = 0;

	if (s->needs == NEEDS_OPTIONS) {
		read_options(o->frame, s);
		return;
	}
	if (is_dns(o, s))
		publish_dns(o, s);
	first = packet_byte(o->frame, payload_offset(s));
	if (is_alert(s, first))
		level = packet_byte(o->frame, payload_offset(s) + TLS_ALERT_LEVEL);
	segment_set_payload(s, first, level);
}

#include "process.h" /* needs the functions table_...() above */

struct offline *offline_new(uint32_t max_flows, const struct selector *selector, record_fn publish,
			    void *context)
{
	struct offline *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->max_flows = max_flows;
	o->selector = selector;
	o->publish = publish;
	o->context = context;
	return o;
}

void offline_free(struct offline *o)
{
	struct entry *e, *next;

	if (!o)
		return;
	HASH_ITER(hh, o->flows, e, next) {
		HASH_DEL(o->flows, e);
		free(e);
	}
	free(o);
}

void offline_save_packets(struct offline *o, packet_fn save)
{
	o->save = save;
}

void offline_follow_dns(struct offline *o, dns_fn dns, const uint16_t *ports, size_t count)
{
	o->dns = dns;
	o->dns_ports = ports;
	o->dns_port_count = count;
}

/* Handles a UDP datagram, or an ICMP error about one. */
static void feed_udp(struct offline *o, const struct segment *s)
{
	if (!is_dns(o, s))
		return;
	if (has_valid_addresses(s))
		publish_dns(o, s);
	else
		o->counters[COUNT_MALFORMED]++;
}

void offline_feed(struct offline *o, const struct offline_frame *frame)
{
	struct frame f = {
		.begin = frame->bytes,
		.end = frame->bytes + frame->length,
		.wire_length =
			frame->wire_length > frame->length ? frame->wire_length : frame->length,
	};
	struct segment s = {};
	struct headers h = {};
	enum parse_result parsed;

	parsed = parse_headers(&f, frame->link, frame->ethertype, &h);
	if (parsed == PARSE_TCP) {
		segment_from_tcp(&h, &s);
	} else if (parsed == PARSE_ICMP) {
		segment_from_icmp(&f, &h, &s);
		if (!segment_parse_quote(&f, &s) ||
		    !segment_read_quote(&s, frame->bytes, frame->length))
			return;
	} else if (parsed == PARSE_UDP &&
		   has_dns_port(h.transport, o->dns_ports, o->dns_port_count)) {
		table_count(o, COUNT_UDP_DNS_BYTES, f.wire_length);
		segment_from_udp(&f, &h, &s);
		segment_read_udp(&s, h.ip, h.transport);
		if (h.ethernet)
			memcpy(s.mac, h.ethernet + 6, sizeof(s.mac));
	} else if (parsed == PARSE_UDP) {
		table_count(o, udp_counter(h.transport), f.wire_length);
		return;
	} else {
		count_untracked(o, parsed, h.ethertype);
		return;
	}
	o->frame = frame;
	s.egress = frame->egress;
	s.from_gateway = frame->from_gateway;
	s.ifindex = frame->ifindex;
	o->now = frame->time;
	if (s.kind == SEGMENT_UDP || s.kind == SEGMENT_UDP_ERROR) {
		feed_udp(o, &s);
		return;
	}
	s.hash = segment_hash(&s, &offline_seed);
	if (process_segment(o, &s))
		start_attempt(o, &s);
}

void offline_sweep(struct offline *o, uint64_t now, record_fn on_open, void *context)
{
	bool under_pressure = HASH_COUNT(o->flows) > o->max_flows / 4 * 3;
	struct entry *e, *next;
	enum end_reason why;
	struct record r;

	HASH_ITER(hh, o->flows, e, next) {
		why = settle_due(&e->flow, now, under_pressure);
		if (why != END_NONE) {
			table_publish(o, &e->flow, why, now);
		} else if (on_open) {
			record_of(&r, e, END_NONE, now);
			on_open(context, &r);
		}
	}
}

void offline_end(struct offline *o, uint64_t now)
{
	struct entry *e, *next;

	HASH_ITER(hh, o->flows, e, next)
		table_publish(o, &e->flow, END_OF_RUN, now);
}

const uint64_t *offline_counters(const struct offline *o)
{
	return o->counters;
}

const struct reset_set *offline_resets(const struct offline *o)
{
	return o->resets;
}

const uint32_t *offline_ethertypes(const struct offline *o)
{
	return o->ethertypes;
}
