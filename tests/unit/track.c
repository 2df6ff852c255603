// SPDX-License-Identifier: GPL-2.0
/* parse and track, natively, on each scenario: one line each, TAP-like, and a closing count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "exact.h"
#include "native.h"
#include "tape.h"
#include "track.h"

#define MAX_CONNECTIONS 128

struct heard {
	struct connection connections[MAX_CONNECTIONS];
	size_t count;
};

static void hear(void *context, const struct record *r)
{
	struct heard *h = context;

	/* whatever settles a flow knows the time */
	if (r->settled < r->flow.syn_times[0]) {
		fprintf(stderr, "a record settled before its SYN\n");
		abort();
	}
	if (h->count < MAX_CONNECTIONS)
		connection_of(&h->connections[h->count], r, 0);
	h->count++;
}

static void play(const struct tape *tape, struct native *n)
{
	struct native_frame frame = { .link = LINK_ETHERNET, .ifindex = 1 };
	uint8_t *exact;
	size_t i;

	for (i = 0; i < tape->count; i++) {
		const struct tape_frame *f = &tape->frames[i];

		if (f->sweep) {
			native_sweep(n, f->at, NULL, NULL);
			continue;
		}
		exact = exact_copy(f->bytes, f->length);
		frame.bytes = exact;
		frame.length = f->length;
		frame.wire_length = f->wire_length;
		frame.egress = f->egress;
		frame.time = f->at;
		native_feed(n, &frame);
		free(exact);
	}
	native_end(n, tape->count ? tape->frames[tape->count - 1].at : 0);
}

static void feed_one(struct native *n, const struct tape *tape)
{
	const struct tape_frame *f = &tape->frames[tape->count - 1];
	struct native_frame frame = {
		.bytes = f->bytes, .length = f->length, .link = LINK_ETHERNET, .time = f->at
	};

	native_feed(n, &frame);
}

/* A table of eight: which of the attempts gives its place, and when? */
static const char *check_full_table(void)
{
	static struct heard heard;
	static struct tape t;
	struct native *n;
	int i;

	memset(&heard, 0, sizeof(heard));
	n = native_new(8, NULL, hear, &heard);
	if (!n)
		return "out of memory";
	tape_start(&t);
	handshake(&t, 0); /* the oldest has its handshake done */
	for (i = 0; i < 3; i++)
		native_feed(n, &(struct native_frame){ .bytes = t.frames[i].bytes,
						       .length = t.frames[i].length,
						       .link = LINK_ETHERNET,
						       .time = t.frames[i].at });
	for (i = 1; i <= 9; i++) {
		t.port[CLIENT]++;
		t.count = 0;
		tcp(&t, 100 * i, CLIENT, TCP_SYN, 0, 0, 0);
		feed_one(n, &t);
	}
	if (heard.count != 2 || heard.connections[0].settled_by != SETTLED_PRESSURE ||
	    heard.connections[0].client.port != 51545 || heard.connections[1].client.port != 51546)
		return "not the oldest without a handshake gave their places";
	native_sweep(n, 1000 * MS + 5800 * MS, NULL, NULL);
	if (heard.count != 2 + 5)
		return "under pressure, five silent attempts were idle for 5 s";
	native_sweep(n, 1000 * MS + 61000 * MS, NULL, NULL);
	if (heard.count != 2 + 5)
		return "without pressure nothing is given up early";
	native_end(n, 1000 * MS + 62000 * MS);
	native_free(n);
	return heard.count == 10 ? NULL : "attempts were lost";
}

/* A client that has tried four billion times has not begun anew. */
static const char *check_counts(void)
{
	__u32 count = 0xfffffffe;

	count_up(&count);
	if (count != 0xffffffff)
		return "it does not count";
	count_up(&count);
	return count == 0xffffffff ? NULL : "it wraps";
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
	static struct heard heard;
	int passed = 0, failed = 0;
	const char *wrong;
	struct native *n;
	size_t i;

	for (i = 0; i < scenario_count; i++) {
		const struct scenario *s = &scenarios[i];

		tape_start(&tape);
		s->make(&tape);
		memset(&heard, 0, sizeof(heard));
		n = native_new(1000, NULL, hear, &heard);
		if (!n)
			return 1;
		play(&tape, n);
		wrong = s->check(heard.connections, heard.count, native_counters(n));
		native_free(n);
		if (wrong) {
			printf("FAIL  %s: %s (otherwise lost: %s)\n", s->name, wrong, s->otherwise);
			failed++;
		} else {
			printf("ok    %s\n", s->name);
			passed++;
		}
	}
	report("full table", check_full_table()) ? failed++ : passed++;
	report("counts that are full", check_counts()) ? failed++ : passed++;
	printf("track: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
