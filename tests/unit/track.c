// SPDX-License-Identifier: GPL-2.0
/* Runs parse and track natively on each scenario: one line each, like TAP, and a final count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "exact.h"
#include "flow_filter.h"
#include "reset.h"
#include "source/offline.h"
#include "packet_script.h"
#include "track.h"

#define MAX_CONNECTIONS 128

struct events {
	struct connection connections[MAX_CONNECTIONS];
	size_t count;
	struct connection synack_alone; /* the last one */
	size_t synacks_alone;
};

static void note(void *context, const struct record *r)
{
	struct events *h = context;

	if (r->end_reason == END_SYNACK_ALONE) {
		h->synacks_alone++;
		connection_of(&h->synack_alone, r, 0);
		return;
	}
	/* whatever settles a flow has a time */
	if (r->settled < r->flow.syn_times[0]) {
		fprintf(stderr, "a record settled before its SYN\n");
		abort();
	}
	if (h->count < MAX_CONNECTIONS)
		connection_of(&h->connections[h->count], r, 0);
	h->count++;
}

static void play(const struct tape *tape, struct offline *n)
{
	struct offline_frame frame = { .link = LINK_ETHERNET, .ifindex = 1 };
	uint8_t *exact;
	size_t i;

	for (i = 0; i < tape->count; i++) {
		const struct tape_frame *f = &tape->frames[i];

		if (f->sweep) {
			offline_sweep(n, f->at, NULL, NULL);
			continue;
		}
		exact = exact_copy(f->bytes, f->length);
		frame.bytes = exact;
		frame.length = f->length;
		frame.wire_length = f->wire_length;
		frame.egress = f->egress;
		frame.from_gateway = f->egress; /* as in differential.c */
		frame.time = f->at;
		offline_feed(n, &frame);
		free(exact);
	}
	offline_end(n, tape->count ? tape->frames[tape->count - 1].at : 0);
}

static void feed_one(struct offline *n, const struct tape *tape)
{
	const struct tape_frame *f = &tape->frames[tape->count - 1];
	struct offline_frame frame = {
		.bytes = f->bytes, .length = f->length, .link = LINK_ETHERNET, .time = f->at
	};

	offline_feed(n, &frame);
}

/* SYN-ACKs without a SYN: what is known of them, and how many are published at most. */
static const char *check_synacks_alone(void)
{
	const struct connection *c;
	static struct events events;
	static struct tape t;
	struct offline *n;
	int i;

	memset(&events, 0, sizeof(events));
	n = offline_new(8, NULL, note, &events);
	if (!n)
		return "out of memory";
	tape_start(&t);
	for (i = 0; i < 2 * SYNACK_ALONE_BUDGET; i++) {
		t.port[CLIENT] = 1024 + i;
		t.count = 0;
		tcp(&t, 0, SERVER, TCP_SYN | TCP_ACK, 0, 1, 0);
		feed_one(n, &t);
	}
	if (events.synacks_alone != SYNACK_ALONE_BUDGET)
		return "a flood of SYN-ACKs would fill the ring";
	tcp(&t, 2200, SERVER, TCP_SYN | TCP_ACK, 0, 1, 0);
	feed_one(n, &t);
	offline_end(n, 1000 * MS + 2200 * MS);
	offline_free(n);
	c = &events.synack_alone;
	if (events.synacks_alone != SYNACK_ALONE_BUDGET + 1 || events.count)
		return "the budget is not renewed";
	if (c->client.port != t.port[CLIENT] || c->server.port != t.port[SERVER] ||
	    c->client_isn != t.isn[CLIENT] || c->server_isn != t.isn[SERVER] ||
	    c->synack != (ns_t)(3200 * MS))
		return "the SYN-ACK could not be matched with its SYN";
	return NULL;
}

/* A table of eight entries: which attempts are evicted, and at which time. */
static const char *check_full_table(void)
{
	static struct events events;
	static struct tape t;
	struct offline *n;
	int i;

	memset(&events, 0, sizeof(events));
	n = offline_new(8, NULL, note, &events);
	if (!n)
		return "out of memory";
	tape_start(&t);
	handshake(&t, 0); /* the oldest has a complete handshake */
	for (i = 0; i < 3; i++)
		offline_feed(n, &(struct offline_frame){ .bytes = t.frames[i].bytes,
							 .length = t.frames[i].length,
							 .link = LINK_ETHERNET,
							 .time = t.frames[i].at });
	for (i = 1; i <= 9; i++) {
		t.port[CLIENT]++;
		t.count = 0;
		tcp(&t, 100 * i, CLIENT, TCP_SYN, 0, 0, 0);
		feed_one(n, &t);
	}
	if (events.count != 2 || events.connections[0].end_reason != END_PRESSURE ||
	    events.connections[0].client.port != 51545 ||
	    events.connections[1].client.port != 51546)
		return "the evicted attempts are not the oldest without a handshake";
	offline_sweep(n, 1000 * MS + 5800 * MS, NULL, NULL);
	if (events.count != 2 + 5)
		return "under pressure, five silent attempts were idle for 5 s";
	offline_sweep(n, 1000 * MS + 61000 * MS, NULL, NULL);
	if (events.count != 2 + 5)
		return "without pressure an attempt is evicted early";
	offline_end(n, 1000 * MS + 62000 * MS);
	offline_free(n);
	return events.count == 10 ? NULL : "attempts were lost";
}

/* The counts of SYNs and SYN-ACKs saturate: a client that never stops must not seem to begin. */
static const char *check_counts(void)
{
	__u16 count = 0xfffe;

	count_saturating(&count);
	if (count != 0xffff)
		return "it does not count";
	count_saturating(&count);
	return count == 0xffff ? NULL : "it wraps";
}

#define OPENINGS 100000

static void count_openings(struct flow_filter *filter, const __u32 *hashes, unsigned int count,
			   int n)
{
	while (count--)
		filter_add(filter, *hashes++, n);
}

static unsigned int count_maybes(const struct flow_filter *filter, const __u32 *hashes,
				 unsigned int count)
{
	unsigned int maybes = 0;

	while (count--)
		maybes += filter_may_hold(filter, *hashes++);
	return maybes;
}

/* The cells of many openings: packets of openings are never dismissed, most others are. */
static const char *check_cells(void)
{
	static __u32 slots[2 * OPENINGS], *go = slots + OPENINGS / 2, *others = slots + OPENINGS;
	static struct flow_filter flow_filter;
	unsigned int i, tags = 0;

	for (i = 0; i < 64; i++)
		if (!is_fingerprint(fingerprint(i)))
			return "a tag has the value for none";
	for (i = 0; i < 4 * CELL_ONE; i++)
		tags += is_fingerprint(i);
	if (tags != 62) /* 64 squares; of the first three, an eighth is 0 */
		return "the tags have too many different values";
	srandom(1);
	for (i = 0; i < 2 * OPENINGS; i++)
		slots[i] = (__u32)random() << 16 ^ random();
	/* in the first cells, one, two, three ...; those from the 17th on will be removed */
	for (i = 0; i < 32 * 32; i++)
		if (i / 32 <= i % 32)
			go[(int)i - 512] = i % 32 << (32 - FILTER_SHIFT) | i / 32 * 7;
	count_openings(&flow_filter, slots, OPENINGS, 1);
	if (count_maybes(&flow_filter, slots, OPENINGS) != OPENINGS)
		return "a packet of an opening was dismissed";
	if (count_maybes(&flow_filter, others, OPENINGS) > OPENINGS / 40)
		return "too many packets of others are examined";
	count_openings(&flow_filter, go, OPENINGS / 2, -1);
	if (count_maybes(&flow_filter, slots, OPENINGS / 2) != OPENINGS / 2)
		return "after the removal of half of them, a packet of the others was dismissed";
	if (count_maybes(&flow_filter, others, OPENINGS) > OPENINGS / 100)
		return "too many packets of others are examined after the removal of half of them";
	count_openings(&flow_filter, slots, OPENINGS / 2, -1);
	return count_maybes(&flow_filter, slots, 2 * OPENINGS)
		       ? "packets of ended openings are examined"
		       : NULL;
}

static bool report(const char *name, const char *wrong)
{
	printf("%s %s%s%s\n", wrong ? "FAIL " : "ok   ", name, wrong ? ": " : "",
	       wrong ? wrong : "");
	return wrong;
}

int main(void)
{
	static struct tape tape;
	static struct events events;
	int passed = 0, failed = 0;
	const char *wrong;
	struct offline *n;
	size_t i;

	for (i = 0; i < scenario_count; i++) {
		const struct scenario *s = &scenarios[i];

		tape_start(&tape);
		s->make(&tape);
		memset(&events, 0, sizeof(events));
		n = offline_new(1000, NULL, note, &events);
		if (!n)
			return 1;
		play(&tape, n);
		wrong = s->check(events.connections, events.count, offline_counters(n));
		offline_free(n);
		if (wrong) {
			printf("FAIL  %s: %s (otherwise: %s)\n", s->name, wrong, s->otherwise);
			failed++;
		} else {
			printf("ok    %s\n", s->name);
			passed++;
		}
	}
	report("budget of SYN-ACKs alone", check_synacks_alone()) ? failed++ : passed++;
	report("full table", check_full_table()) ? failed++ : passed++;
	report("cells of 100 000 openings", check_cells()) ? failed++ : passed++;
	report("counts that are full", check_counts()) ? failed++ : passed++;
	printf("track: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
