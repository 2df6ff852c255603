// SPDX-License-Identifier: GPL-2.0
#include "source/capture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/format.h"
#include "source/linktype.h"
#include "source/offline.h"
#include "source/pcap_reader.h"

/*
 * Maximum number of opening flows. It is far more than in the kernel, since memory is allocated as
 * flows are added.
 */
#define CAPTURE_MAX_FLOWS (1U << 21)

/*
 * The time of the first packet, in ns. A record's time of 0 means "not seen". No time may reach 0,
 * even if a capture begins in 1970 or its clock goes backwards.
 */
#define CAPTURE_START (1ULL << 62)

/*
 * Times more than 73 years after or 36 years before the first packet are clamped, so that sums of a
 * few times cannot overflow. Captures that span decades, and clocks that start in 1970, stay in
 * range.
 */
#define MAX_AFTER_START (1LL << 61)
#define MAX_BEFORE_START (1LL << 60)

#define SWEEP_NS SECOND_NS

#define PROGRESS_PACKETS (1 << 16) /* packets between two checks of the clock */
#define PROGRESS_AFTER_NS ((uint64_t)SECOND_NS)
#define PROGRESS_INTERVAL_NS (200 * (uint64_t)MILLISECOND_NS)

struct capture {
	struct session *session;
	const struct sink *sink;
	struct offline *offline;
	struct pcap_reader *pcap_reader;
	struct pcap_packet pcap_packet; /* the packet being processed */
	uint32_t stripped; /* bytes of its link-layer header that linktype_strip() removed */
	uint64_t first; /* time of the first packet, in ns since 1970 */
	uint64_t now; /* latest time of a packet, in ns: CAPTURE_START is the first packet */
	uint64_t next_sweep;
	uint64_t packets;
	uint64_t opening; /* number of opening flows at the last sweep */
	uint64_t swept_at; /* value of packets at the last sweep */
	bool ended; /* the sink has ended the run */
	uint64_t started; /* monotonic_ns() at the start */
	uint64_t next_progress; /* monotonic_ns() of the next progress report */
};

/* ---- progress on a terminal ---- */

static void report_progress(struct capture *c)
{
	char clock[FORMAT_TIME], span[FORMAT_DURATION], line[256];
	uint64_t now = monotonic_ns(), done, total;
	ns_t left;

	if (now < c->next_progress)
		return;
	c->next_progress = now + PROGRESS_INTERVAL_NS;
	pcap_reader_progress(c->pcap_reader, &done, &total);
	format_run_clock(clock, &c->session->start, 0, c->now - CAPTURE_START);
	if (total && done) {
		left = (now - c->started) * (total - done) / done;
		snprintf(line, sizeof(line), "%.0f %% of %.0f MB, %s left, at %s",
			 100.0 * done / total, total / 1e6,
			 format_duration(span, left - left % (ns_t)SECOND_NS), clock);
	} else {
		snprintf(line, sizeof(line), "%" PRIu64 " packet%s, at %s", c->packets,
			 plural(c->packets), clock);
	}
	c->sink->progress(c->sink->context, line);
}

/* ---- the run ---- */

static void on_settled(void *context, const struct record *r)
{
	struct capture *c = context;
	struct connection connection;

	connection_of(&connection, r, CAPTURE_START);
	if (r->end_reason == END_SYNACK_ALONE) {
		c->sink->synack_alone(c->sink->context, &connection);
		return;
	}
	c->sink->settled(c->sink->context, &connection);
}

static void on_opening(void *context, const struct record *r)
{
	struct capture *c = context;
	struct connection connection;

	c->opening++;
	connection_of(&connection, r, CAPTURE_START);
	c->sink->opening(c->sink->context, &connection);
}

static void on_packet(void *context, const struct packet_head *head)
{
	struct capture *c = context;
	struct packet_head whole = *head;

	whole.length = c->pcap_packet.length;
	whole.wire_length = c->pcap_packet.wire_length;
	c->sink->packet(c->sink->context, &whole, c->pcap_packet.bytes, CAPTURE_START,
			c->pcap_packet.link, false);
}

/* The sink receives the whole frame, since a saved packet needs its link-layer header. */
static void on_dns(void *context, const struct dns_head *head, const uint8_t *bytes)
{
	struct capture *c = context;
	struct dns_head whole = *head;

	if (c->stripped > MAX_HEADERS) /* of a netfilter log message, which nobody writes so long */
		return;
	whole.offset += c->stripped;
	whole.length += c->stripped;
	whole.wire_length += c->stripped;
	c->sink->dns(c->sink->context, &whole, bytes - c->stripped, CAPTURE_START,
		     c->pcap_packet.link);
}

static void begin(struct capture *c, const struct pcap_packet *p)
{
	struct session *session = c->session;

	c->first = p->time;
	c->now = CAPTURE_START;
	c->next_sweep = CAPTURE_START + SWEEP_NS;
	c->started = monotonic_ns();
	c->next_progress = c->started + PROGRESS_AFTER_NS;
	session->start.tv_sec = c->first / SECOND_NS;
	session->start.tv_nsec = c->first % SECOND_NS;
	session->link = pcap_reader_linktype(c->pcap_reader);
	c->sink->started(c->sink->context);
}

static void sweep(struct capture *c)
{
	c->opening = 0;
	offline_sweep(c->offline, c->now, on_opening, c);
	if (!c->sink->swept(c->sink->context, c->now - CAPTURE_START) ||
	    (c->sink->is_interim && c->sink->is_interim(c->sink->context)))
		c->ended = true;
	c->next_sweep = c->now + SWEEP_NS;
	c->swept_at = c->packets;
}

static uint64_t since_start(const struct capture *c, uint64_t time)
{
	int64_t since = time - c->first;

	if (since > MAX_AFTER_START)
		since = MAX_AFTER_START;
	if (since < -MAX_BEFORE_START)
		since = -MAX_BEFORE_START;
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
	/* a sweep visits every opening flow: limit its cost to a share of the packets read */
	if (c->now >= c->next_sweep && c->packets - c->swept_at >= c->opening / 8)
		sweep(c);
	if (c->packets % PROGRESS_PACKETS == 0)
		report_progress(c);
	if (!p->wanted)
		return;
	c->session->bytes += p->wire_length;
	linktype_strip(p->link, &f);
	c->stripped = f.bytes - p->bytes;
	offline_feed(c->offline, &f);
}

static int read_all(struct capture *c)
{
	struct session *session = c->session;
	static char cut[1024];

	while (!c->ended && pcap_reader_next(c->pcap_reader, &c->pcap_packet)) {
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
	if (!c->ended) /* else a sweep has just ended it, and said why */
		sweep(c);
	offline_end(c->offline, c->now);
	session->duration = c->now - CAPTURE_START;
	memcpy(session->counters, offline_counters(c->offline), sizeof(session->counters));
	session_set_resets(session, offline_resets(c->offline), CAPTURE_START);
	session_set_ethertypes(session, offline_ethertypes(c->offline));
	return 0;
}

int capture_run(const struct options *o, struct session *session, const struct sink *sink)
{
	struct capture c = { .session = session, .sink = sink };
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
	if (sink->opened)
		sink->opened(sink->context);
	if (!pcap_reader_begin(c.pcap_reader)) {
		pcap_reader_close(c.pcap_reader);
		return -1;
	}
	c.offline = offline_new(CAPTURE_MAX_FLOWS, o->selector, on_settled, &c);
	if (c.offline) {
		if (sink->packet)
			offline_save_packets(c.offline, on_packet);
		if (sink->dns)
			offline_follow_dns(c.offline, on_dns, o->dns_ports, o->dns_port_count);
		status = read_all(&c);
	} else {
		fprintf(stderr, "probe: out of memory\n");
		status = -1;
	}
	offline_free(c.offline);
	pcap_reader_close(c.pcap_reader);
	return status;
}
