// SPDX-License-Identifier: GPL-2.0
#include "source/capture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/evidence.h"
#include "lib/format.h"
#include "source/linktype.h"
#include "source/offline.h"
#include "source/pcap_reader.h"

/* More than any kernel map: memory is what a capture's openings need. */
#define CAPTURE_MAX_FLOWS (1U << 21)

/* Captures may begin at time 0, and clocks may go backwards: neither may look like "not seen". */
#define CAPTURE_START (1ULL << 62)

/*
 * From the first packet on, 73 years, and back, 36: a time further away than this is a damaged one,
 * and sums of a few overflow nothing. Captures were merged from decades, and clocks began in 1970.
 */
#define CAPTURE_ON (1LL << 61)
#define CAPTURE_BACK (1LL << 60)

#define SWEEP_NS SECOND_NS

#define PROGRESS_PACKETS (1 << 16) /* between two looks at the clock */

struct capture {
	struct session *session;
	const struct source_events *events;
	struct offline *offline;
	struct pcap_reader *pcap_reader;
	struct pcap_packet pcap_packet; /* that is being looked at */
	uint64_t first; /* packet's time, since 1970 */
	uint64_t now;
	uint64_t next_sweep;
	uint64_t packets;
	uint64_t opening; /* flows at the last sweep */
	uint64_t swept_at; /* packets by then */
	ns_t started; /* monotonic clock */
	ns_t next_progress;
};

/* ---- how far we are, on a terminal ---- */

static ns_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * (ns_t)SECOND_NS + t.tv_nsec;
}

static void show_progress(struct capture *c)
{
	ns_t now = monotonic(), left;
	char clock[FORMAT_TIME], span[FORMAT_DURATION], line[256];
	uint64_t done, total;

	if (now < c->next_progress)
		return;
	c->next_progress = now + 200 * (ns_t)MILLISECOND_NS;
	pcap_reader_progress(c->pcap_reader, &done, &total);
	format_clock(clock, &c->session->start, c->now - CAPTURE_START);
	if (total && done) {
		left = (now - c->started) * (total - done) / done;
		snprintf(line, sizeof(line), "%.0f %% of %.0f MB, %s left, at %s",
			 100.0 * done / total, total / 1e6,
			 format_duration(span, left - left % (ns_t)SECOND_NS), clock);
	} else {
		snprintf(line, sizeof(line), "%" PRIu64 " packets, at %s", c->packets, clock);
	}
	c->events->progress(c->events->context, line);
}

/* ---- the run ---- */

static void settled(void *context, const struct record *r)
{
	struct capture *c = context;
	struct connection connection;

	connection_of(&connection, r, CAPTURE_START);
	c->events->settled(c->events->context, &connection);
}

static void opening(void *context, const struct record *r)
{
	struct capture *c = context;
	struct connection connection;

	c->opening++;
	connection_of(&connection, r, CAPTURE_START);
	c->events->opening(c->events->context, &connection);
}

static void save(void *context, const struct packet_head *head)
{
	struct capture *c = context;
	struct packet_head whole = *head;

	whole.length = c->pcap_packet.length;
	whole.wire_length = c->pcap_packet.wire_length;
	evidence_packet(c->session->evidence, &whole, c->pcap_packet.bytes, CAPTURE_START,
			c->pcap_packet.link, false);
}

static void begin(struct capture *c, const struct pcap_packet *p)
{
	struct session *session = c->session;

	c->first = p->time;
	c->now = CAPTURE_START;
	c->next_sweep = CAPTURE_START + SWEEP_NS;
	c->started = monotonic();
	c->next_progress = c->started + (ns_t)SECOND_NS;
	session->start.tv_sec = c->first / SECOND_NS;
	session->start.tv_nsec = c->first % SECOND_NS;
	session->link = pcap_reader_linktype(c->pcap_reader);
	c->events->started(c->events->context);
}

static void sweep(struct capture *c)
{
	c->opening = 0;
	offline_sweep(c->offline, c->now, opening, c);
	c->events->swept(c->events->context, c->now - CAPTURE_START);
	c->next_sweep = c->now + SWEEP_NS;
	c->swept_at = c->packets;
}

static uint64_t since_start(const struct capture *c, uint64_t time)
{
	int64_t since = time - c->first;

	if (since > CAPTURE_ON)
		since = CAPTURE_ON;
	if (since < -CAPTURE_BACK)
		since = -CAPTURE_BACK;
	return CAPTURE_START + since;
}

static void feed(struct capture *c, const struct pcap_packet *p)
{
	struct offline_frame f = {
		.bytes = p->bytes,
		.length = p->length,
		.wire_length = p->wire_length,
		.time = since_start(c, p->time),
	};

	c->packets++;
	if (f.time > c->now)
		c->now = f.time;
	/* not each second where packets are few and openings many: a sweep looks at all of them */
	if (c->now >= c->next_sweep && c->packets - c->swept_at >= c->opening / 8)
		sweep(c);
	if (c->packets % PROGRESS_PACKETS == 0)
		show_progress(c);
	if (!p->wanted)
		return;
	c->session->bytes += p->wire_length;
	linktype_strip(p->link, &f);
	offline_feed(c->offline, &f);
}

static int read_all(struct capture *c)
{
	struct session *session = c->session;
	static char cut[1024];

	while (!session->stop && pcap_reader_next(c->pcap_reader, &c->pcap_packet)) {
		if (!c->packets)
			begin(c, &c->pcap_packet);
		feed(c, &c->pcap_packet);
	}
	if (pcap_reader_cut(c->pcap_reader)) {
		snprintf(cut, sizeof(cut), "%s", pcap_reader_cut(c->pcap_reader));
		session->cut = cut;
	}
	if (!c->packets) {
		fprintf(stderr, "probe: %s%s\n",
			session->cut ? session->cut : format_name(session->from),
			session->cut ? "" : ": holds no packet");
		return -1;
	}
	sweep(c);
	offline_end(c->offline, c->now);
	session->duration = c->now - CAPTURE_START;
	memcpy(session->counters, offline_counters(c->offline), sizeof(session->counters));
	session_set_ethertypes(session, offline_ethertypes(c->offline));
	return 0;
}

int capture_run(const struct options *o, struct session *session,
		const struct source_events *events)
{
	struct capture c = {
		.session = session,
		.events = events,
	};
	static char from[256];
	int status;

	session->from = o->reads[0];
	if (o->read_count > 1) {
		snprintf(from, sizeof(from), "%s and %zu more", o->reads[0], o->read_count - 1);
		session->from = from;
	}
	session->is_capture = true;
	c.pcap_reader = pcap_reader_open(o->reads, o->read_count, o->filter);
	if (!c.pcap_reader)
		return -1;
	if (events->opened)
		events->opened(events->context);
	if (!pcap_reader_begin(c.pcap_reader)) {
		pcap_reader_close(c.pcap_reader);
		return -1;
	}
	c.offline = offline_new(CAPTURE_MAX_FLOWS, o->selector, settled, &c);
	if (c.offline) {
		if (session->evidence)
			offline_save_packets(c.offline, save);
		status = read_all(&c);
	} else {
		fprintf(stderr, "probe: out of memory\n");
		status = -1;
	}
	offline_free(c.offline);
	pcap_reader_close(c.pcap_reader);
	return status;
}
