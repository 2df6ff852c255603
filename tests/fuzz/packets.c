// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer's target for packets: any packets, in any order, at any time, through parse and track.
 * If it finds a defect, a packet from anywhere can falsify the report of the probe, or crash it.
 *
 * An input is a tape: a byte for the table's size, then frames, each after a struct head.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/diagnose.h"
#include "exact.h"
#include "invariants.h"
#include "source/offline.h"
#include "fastpath.h"
#include "input.h"

#define TAPE_BEGIN 1 /* the table's size */
#define START (1ULL << 62) /* as for captures: their clock may go backwards */

#define REQUIRE(condition)                                           \
	do {                                                         \
		if (!(condition)) {                                  \
			fprintf(stderr, "not so: %s\n", #condition); \
			abort();                                     \
		}                                                    \
	} while (0)

static const uint16_t dns_ports[] = { 53, 80 };

struct play {
	struct offline *offline;
	struct model *model;
	uint64_t now;
	uint64_t published;
	uint64_t opening;
};

static void ignore_stall(void *context, const struct stall *s, bool ended)
{
	(void)context;
	(void)s;
	(void)ended;
}

static void ignore_connection(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
}

static void ignore_failing(void *context, const struct connection *c, enum failure failure)
{
	(void)context;
	(void)c;
	REQUIRE(failure != FAILURE_NONE);
}

static const struct model_events deaf = {
	.stall = ignore_stall,
	.late_banner = ignore_connection,
	.failing = ignore_failing,
	.late_answer = ignore_connection,
};

/* Checks the invariants of every record, whatever was on the wire. */
static void settled(void *context, const struct record *r)
{
	const char *wrong = record_wrong(r, false); /* captures' clocks go backwards */
	struct play *p = context;
	struct connection c;

	if (r->end_reason == END_SYNACK_ALONE)
		return;
	if (wrong) {
		fprintf(stderr, "not so: %s\n", wrong);
		abort();
	}
	connection_of(&c, r, START);
	REQUIRE(c.outcome < OUTCOMES);
	REQUIRE(c.wait == NEVER || c.banner == NEVER);
	p->published++;
	model_settled(p->model, &c);
}

static void on_open(void *context, const struct record *r)
{
	struct play *p = context;
	struct connection c;

	p->opening++;
	connection_of(&c, r, START);
	model_opening(p->model, &c);
}

static void save(void *context, const struct packet_head *head)
{
	struct play *p = context;

	REQUIRE(head->roles && head->time == p->now && head->syn);
	REQUIRE(!(head->roles & ROLE_SYN) || !(head->roles & ~ROLE_SYN));
}

static void dns(void *context, const struct dns_head *head, const uint8_t *bytes)
{
	static const uint8_t *volatile last;
	struct play *p = context;

	REQUIRE(head->time == p->now && head->offset <= head->length);
	REQUIRE(head->length <= MAX_DNS_BYTES);
	if (head->length)
		last = bytes + bytes[head->length - 1];
	(void)last;
}

/* Checks that every attempt is opening or was published; losses must be counted. */
static void sweep(struct play *p)
{
	const uint64_t *counters = offline_counters(p->offline);

	p->opening = 0;
	offline_sweep(p->offline, p->now, on_open, p);
	model_swept(p->model);
	REQUIRE(counters[COUNT_PUBLISHED] == p->published);
	REQUIRE(counters[COUNT_ATTEMPTS] == p->published + p->opening);
}

/* Runs the fast path without an opening flow, then with one of this very hash. */
static enum fastpath_result fastpath_twice(const struct offline_frame *frame, const struct frame *f,
					   const struct headers *h, bool is_tcp,
					   const uint8_t **transport)
{
	static struct flow_filter flow_filter;
	enum fastpath_result idle, tracked;
	const uint8_t *there;
	__u32 hash;

	idle = fastpath(f, frame->link, frame->ethertype, &flow_filter, &offline_seed, transport);
	if (!is_tcp)
		return idle;
	hash = hash_headers(h->ip, h->transport, h->ip6, &offline_seed);
	filter_add(&flow_filter, hash, 1);
	tracked = fastpath(f, frame->link, frame->ethertype, &flow_filter, &offline_seed, &there);
	filter_add(&flow_filter, hash, -1);
	REQUIRE(tracked == FASTPATH_SLOW);
	return idle;
}

/* The fast path and parse_plain_tcp() agree with parse_headers(), or leave the packet to it. */
static void compare_parsers(const struct offline_frame *frame)
{
	struct frame f = { .begin = frame->bytes,
			   .end = frame->bytes + frame->length,
			   .wire_length = frame->wire_length > frame->length ? frame->wire_length
									     : frame->length };
	struct headers deep = {}, plain = {};
	enum parse_result parsed, shorter;
	enum fastpath_result fast;
	const uint8_t *transport = NULL;
	struct segment quoted = {};

	parsed = parse_headers(&f, frame->link, frame->ethertype, &deep);
	shorter = parse_plain_tcp(&f, frame->link, frame->ethertype, &plain);
	fast = fastpath_twice(frame, &f, &deep, parsed == PARSE_TCP, &transport);
	REQUIRE(parsed != PARSE_SLOW);
	if (shorter != PARSE_SLOW) {
		REQUIRE(shorter == PARSE_TCP && parsed == PARSE_TCP);
		REQUIRE(!memcmp(&deep, &plain, sizeof(deep)));
	}
	switch (fast) {
	case FASTPATH_TCP:
		REQUIRE(parsed == PARSE_TCP || parsed == PARSE_MALFORMED);
		break;
	case FASTPATH_UDP:
		REQUIRE(parsed == PARSE_UDP || parsed == PARSE_MALFORMED);
		if (parsed == PARSE_UDP)
			REQUIRE(transport == deep.transport);
		break;
	case FASTPATH_IGNORE:
		REQUIRE(parsed == PARSE_IGNORE || parsed == PARSE_ICMP ||
			parsed == PARSE_MALFORMED);
		if (parsed == PARSE_ICMP) {
			segment_from_icmp(&f, &deep, &quoted);
			REQUIRE(!segment_parse_quote(&f, &quoted) ||
				!segment_read_quote(&quoted, frame->bytes, frame->length));
		}
		break;
	case FASTPATH_OTHER_PROTO:
		REQUIRE(parsed == PARSE_OTHER_PROTO);
		break;
	case FASTPATH_FRAGMENT:
		REQUIRE(parsed == PARSE_FRAGMENT);
		break;
	default:
		REQUIRE(fast == FASTPATH_SLOW);
	}
}

static void feed(struct play *p, const struct head *h, const uint8_t *bytes)
{
	struct offline_frame frame = {
		.length = h->length,
		.wire_length = h->length + (h->what & WHAT_CUT ? 1000 : 0),
		.link = h->what & WHAT_BARE ? LINK_RAW_IP : LINK_ETHERNET,
		.ethertype = h->what & WHAT_IP6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4,
		.ifindex = h->what & WHAT_OTHER_IFACE ? 2 : 1,
		.egress = h->what & WHAT_EGRESS,
		.from_gateway = h->what & WHAT_FROM_GATEWAY,
		.time = p->now,
	};
	uint8_t *exact = exact_copy(bytes, h->length);

	frame.bytes = exact;
	compare_parsers(&frame);
	offline_feed(p->offline, &frame);
	free(exact);
}

static void finish(struct play *p)
{
	struct stall_group *groups;
	const uint64_t *counters = offline_counters(p->offline);
	struct session session = {};
	struct host_facts facts = {};
	struct diagnosis d;
	struct hosts hosts;
	const struct peer **peers;
	size_t count, i;

	offline_end(p->offline, p->now);
	REQUIRE(counters[COUNT_PUBLISHED] == p->published);
	REQUIRE(counters[COUNT_ATTEMPTS] == p->published);
	REQUIRE(p->model->connections == p->published);
	if (!model_hosts(p->model, &hosts))
		abort();
	groups = model_stall_groups(p->model, &hosts, &count);
	free(groups);
	peers = model_failing_peers(p->model, &count);
	for (i = 0; i < count; i++)
		model_cohort(&hosts, peers[i]);
	free(peers);
	hosts_free(&hosts);
	if (!diagnose(&d, p->model, &session, &facts))
		abort();
	for (i = 0; i < d.count; i++)
		REQUIRE(d.at[i].text[0] && d.at[i].correlated <= p->published);
	diagnosis_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play p = { .now = START };
	const uint8_t *end = data + size;
	struct head h;

	if (!size)
		return 0;
	p.offline = offline_new(1 + data[0] % 32, NULL, settled, &p);
	p.model = model_new(SECOND_NS, &deaf);
	if (!p.offline || !p.model)
		abort();
	offline_save_packets(p.offline, save);
	offline_follow_dns(p.offline, dns, dns_ports, 2);
	data++;
	while (head_read(&h, &data, end)) {
		p.now += head_delay(&h);
		if (h.what & WHAT_SWEEP)
			sweep(&p);
		else
			feed(&p, &h, data);
		data += h.length;
	}
	finish(&p);
	offline_free(p.offline);
	model_free(p.model);
	return 0;
}

/* ---- mutation ---- */

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n)
{
	uint8_t c;

	for (; n--; a++, b++) {
		c = *a;
		*a = *b;
		*b = c;
	}
}

/* Turns the frame into one of the other side: exchanges addresses, ports and numbers. */
static void turn(uint8_t *frame, const struct head *h)
{
	struct frame f = { .begin = frame, .end = frame + h->length, .wire_length = h->length };
	enum link_type link = h->what & WHAT_BARE ? LINK_RAW_IP : LINK_ETHERNET;
	uint16_t ethertype = h->what & WHAT_IP6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
	struct headers located = {};
	uint8_t *ip, *tcp;

	if (parse_headers(&f, link, ethertype, &located) != PARSE_TCP)
		return;
	ip = frame + (located.ip - frame);
	tcp = frame + (located.transport - frame);
	if (located.ip6)
		swap_bytes(ip + 8, ip + 24, 16);
	else
		swap_bytes(ip + 12, ip + 16, 4);
	swap_bytes(tcp, tcp + 2, 2);
	swap_bytes(tcp + 4, tcp + 8, 4);
}

/* Sets a decisive field of a header to a critical value. */
static void set_field(uint8_t *frame, const struct head *h, unsigned int seed)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK,
					 TCP_RST, TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK };
	struct frame f = { .begin = frame, .end = frame + h->length, .wire_length = h->length };
	enum link_type link = h->what & WHAT_BARE ? LINK_RAW_IP : LINK_ETHERNET;
	uint16_t ethertype = h->what & WHAT_IP6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
	struct headers located = {};
	uint8_t *tcp;

	if (parse_headers(&f, link, ethertype, &located) != PARSE_TCP)
		return;
	tcp = frame + (located.transport - frame);
	switch (seed % 4) {
	case 0:
		tcp[13] = flags[seed / 4 % sizeof(flags)];
		break;
	case 1:
		tcp[7] += seed / 4; /* sequence number */
		break;
	case 2:
		tcp[11] += seed / 4; /* acknowledgment number */
		break;
	case 3:
		tcp[2 * (seed / 4 % 2) + 1] = seed / 8; /* a port */
		break;
	}
}

#include "mutate.h"
