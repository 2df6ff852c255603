// SPDX-License-Identifier: GPL-2.0
/*
 * Feeds connections with changed, repeated, omitted and reordered packets to the compiled BPF
 * object and to the native build with sanitizers. Both must give the same records, without
 * contradictions. If this fails, a packet from anywhere can crash the probe or falsify its report.
 *
 *	mutants [--packets N] [--seed S]
 *
 * A seed gives the same packets; a failure is printed with the seed of its play. A play has PLAY
 * packets; a million packets take half a minute.
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "differential.h"
#include "connection.h"
#include "exact.h"
#include "invariants.h"
#include "packet_script.h"

#define PLAY 4096
#define TALKS 24
#define RECENT 32

struct talk {
	uint8_t address[2][16];
	uint16_t port[2];
	uint32_t isn[2];
	uint16_t vlan[2];
	uint16_t mss;
	uint8_t tcp_options[40];
	uint8_t tcp_options_length;
	bool ip6;
	uint8_t options;
	uint8_t extension;
	uint8_t stage; /* the number of steps made so far */
	uint8_t around; /* enum around: the headers between Ethernet and IP */
};

enum around { AROUND_NOTHING, AROUND_PPPOE, AROUND_MPLS, AROUND_SNAP, AROUNDS };

static uint64_t dice;

/* splitmix64: the same numbers on every machine. */
static uint64_t draw(void)
{
	uint64_t x = dice += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static unsigned int below(unsigned int n)
{
	return (draw() >> 32) % n;
}

static bool in(unsigned int percent)
{
	return below(100) < percent;
}

#define ONE_OF(list) ((list)[below(sizeof(list) / sizeof((list)[0]))])

/* Options of all kinds that are examined, sometimes with a wrong length. */
static void draw_options(struct talk *t)
{
	static const uint8_t kinds[] = { 0, 1, 1, 2, 3, 4, 5, 8, 30, 34, 254, 255 };
	static const uint8_t sizes[] = { 0, 1, 2, 3, 4, 10, 12, 40, 255 };
	unsigned int at, i, size;

	t->tcp_options_length = 4 * below(11);
	for (i = 0; i < t->tcp_options_length; i++)
		t->tcp_options[i] = in(20) ? draw() : below(4);
	for (at = 0; at < t->tcp_options_length; at += size) {
		t->tcp_options[at] = ONE_OF(kinds);
		size = t->tcp_options[at] == 2	 ? 4
		       : t->tcp_options[at] == 3 ? 3
		       : t->tcp_options[at] == 4 ? 2
		       : t->tcp_options[at] == 8 ? 10
		       : t->tcp_options[at] < 2	 ? 1
						 : 4;
		if (size == 1 || at + 1 >= t->tcp_options_length)
			continue;
		t->tcp_options[at + 1] = in(95) ? size : ONE_OF(sizes);
		if (t->tcp_options[at] == 254 && at + 4 <= t->tcp_options_length && in(80))
			memcpy(&t->tcp_options[at + 2], "\xf9\x89", 2);
	}
}

/* Few addresses and ports, so that connections affect each other. */
static void talk_new(struct talk *t)
{
	static const uint16_t ports[] = { 0, 7, 53, 80, 443, 5353, 51544, 0xffff };
	static const uint32_t isns[] = { 0, 1, 0xffffffff, 0xfffffff0, 0x7fffffff, 0x80000000 };
	int i;

	memset(t, 0, sizeof(*t));
	t->ip6 = in(30);
	for (i = 0; i < 2; i++) {
		t->address[i][0] = t->ip6 ? 0xfd : 10;
		t->address[i][t->ip6 ? 15 : 3] = below(4);
		if (t->ip6 && in(5)) { /* ::ffff:10.0.0.0 */
			memset(t->address[i], 0, 16);
			memset(t->address[i] + 10, 0xff, 2);
			t->address[i][12] = 10;
		}
		t->port[i] = ONE_OF(ports);
		t->isn[i] = in(50) ? draw() : ONE_OF(isns);
		t->vlan[i] = in(20) ? below(3) : 0;
	}
	t->mss = in(80) ? 1460 : below(2000);
	if (in(50))
		draw_options(t);
	t->options = in(10) ? 4 * below(11) : 0;
	t->extension = in(10) ? 8 * (1 + below(3)) : 0;
	t->around = in(10) ? below(AROUNDS) : AROUND_NOTHING;
}

/* Numbers at the edges of windows. */
static uint32_t edge_number(void)
{
	static const uint32_t edges[] = { 0, 1, 1 << 16, 1 << 20, 1 << 23, 1 << 30, 1U << 31 };

	return in(20) ? draw() : ONE_OF(edges) * (in(50) ? 1 : -1U) + below(3) - 1;
}

static void segment(struct tape *t, enum end from, uint8_t flags, uint32_t seq, uint32_t ack,
		    uint32_t payload)
{
	if (in(12))
		seq += edge_number();
	if (in(12))
		ack += edge_number();
	if (in(3))
		flags ^= 1 << below(8);
	tcp(t, 0, from, flags, seq, ack, payload);
}

/* A datagram, mostly of DNS, or an ICMP error about one. */
static void datagram(struct tape *t)
{
	static const uint8_t errors4[] = { 3, 3, 11, 8 }, errors6[] = { 1, 2, 3, 4, 128 };
	static const uint32_t sizes[] = { 0, 11, 12, 40, 80, 90, 200, 300 };
	uint8_t message[300];
	uint32_t size = ONE_OF(sizes), i;

	for (i = 0; i < sizeof(message); i++)
		message[i] = draw();
	if (in(80))
		t->port[SERVER] = in(50) ? 53 : 5353;
	t->udp_excess = in(10) ? below(2000) - 8 : 0;
	t->more_fragments = in(10);
	if (in(70))
		udp(t, 0, below(2), message, size);
	else
		icmp_about_udp(t, 0, below(2), t->ip6 ? ONE_OF(errors6) : ONE_OF(errors4), below(6),
			       message, size);
}

/* Makes the next packet of a connection, or any other. */
static void talk_on(struct talk *talk, struct tape *t)
{
	static const uint32_t sizes[] = { 1, 60, 100, 536, 1400, 1460, 4096 };
	static const uint8_t errors4[] = { 3, 3, 3, 11, 8 }, errors6[] = { 1, 2, 3, 4, 128 };
	uint32_t size = ONE_OF(sizes);

	if (in(15)) {
		datagram(t);
		return;
	}
	switch (in(65) ? talk->stage++ : below(16)) {
	case 0:
		segment(t, CLIENT, TCP_SYN, 0, 0, in(10) ? size : 0);
		break;
	case 1:
		segment(t, SERVER, TCP_SYN | TCP_ACK, 0, in(5) ? size + 1 : 1, 0);
		break;
	case 2:
		segment(t, CLIENT, TCP_ACK, 1, 1, 0);
		break;
	case 3:
	case 4:
		segment(t, CLIENT, TCP_ACK, in(80) ? 1 : size, 1, size);
		break;
	case 5:
	case 6:
		segment(t, SERVER, TCP_ACK, 1, in(50) ? 1 : 1 + size, size);
		break;
	case 7:
		segment(t, CLIENT, TCP_ACK, 1 + size, 1 + size, 0);
		break;
	case 8:
	case 9:
		segment(t, below(2), TCP_FIN | TCP_ACK, 1, 1, 0);
		break;
	case 10:
		segment(t, below(2), TCP_RST | (in(50) ? TCP_ACK : 0), below(2), 1, 0);
		break;
	case 11:
		icmp(t, 0, t->ip6 ? ONE_OF(errors6) : ONE_OF(errors4), below(6),
		     in(80) ? 0 : edge_number());
		break;
	case 12:
		segment(t, SERVER, TCP_SYN, 0, 0, 0);
		break;
	case 13: /* a keep-alive probe */
		segment(t, below(2), TCP_ACK, 0, 1, below(2));
		break;
	case 14:
		talk->isn[below(2)] = draw();
		segment(t, CLIENT, TCP_SYN, 0, 0, 0);
		break;
	default:
		talk_new(talk);
		segment(t, CLIENT, TCP_SYN, 0, 0, 0);
	}
	if (talk->stage > 9)
		talk->stage = 0;
}

/* Inserts a header between the Ethernet header, with its tags, and IP; replaces the ethertype. */
static void put_around(struct tape_frame *f, enum around around, unsigned int tags)
{
	static const struct {
		uint16_t ethertype;
		uint8_t length;
		uint8_t bytes[8];
	} heads[2][AROUNDS] = {
		{ [AROUND_PPPOE] = { ETHERTYPE_PPPOE, 8, { 0x11, 0, 0, 1, 0, 42, 0, PPP_IP4 } },
		  [AROUND_MPLS] = { ETHERTYPE_MPLS, 8, { 0, 1, 0, 64, 0, 2, 1, 64 } },
		  [AROUND_SNAP] = { 1000, 8, { 0xaa, 0xaa, 3, 0, 0, 0, 8, 0 } } },
		{ [AROUND_PPPOE] = { ETHERTYPE_PPPOE, 8, { 0x11, 0, 0, 1, 0, 42, 0, PPP_IP6 } },
		  [AROUND_MPLS] = { ETHERTYPE_MPLS, 8, { 0, 1, 0, 64, 0, 2, 1, 64 } },
		  [AROUND_SNAP] = { 1000, 8, { 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd } } },
	};
	uint8_t *type = f->bytes + 12 + 4 * tags;
	bool ip6 = type[0] == 0x86;

	if (!heads[ip6][around].length || f->length + 8 > FRAME_BYTES)
		return;
	memmove(type + 10, type + 2, f->length - (type + 2 - f->bytes));
	memcpy(type + 2, heads[ip6][around].bytes, 8);
	type[0] = heads[ip6][around].ethertype >> 8;
	type[1] = heads[ip6][around].ethertype;
	f->length += 8;
}

/* Changes mostly headers, by the possible values of their fields. */
static void mutate(struct tape_frame *f)
{
	static const uint8_t values[] = { 0,  1,  4,  5,    6,	  7,	17,   20,   40,	  43,  44,
					  51, 58, 60, 0x44, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0xff };
	unsigned int at = below(f->length < 96 ? f->length : 96);

	switch (below(6)) {
	case 0:
		f->bytes[at] ^= 1 << below(8);
		break;
	case 1:
	case 2:
		f->bytes[at] = ONE_OF(values);
		break;
	case 3:
		f->bytes[at] = draw();
		break;
	case 4: /* cut */
		f->length = below(f->length + 1);
		break;
	case 5: /* padded */
		memset(f->bytes + f->length, draw(), FRAME_BYTES - f->length);
		f->length += below(FRAME_BYTES + 1 - f->length);
		break;
	}
}

static void make_frame(struct tape *t, struct talk *talk)
{
	struct tape_frame *f = &t->frames[0];

	tape_start(t);
	memcpy(t->address, talk->address, sizeof(t->address));
	memcpy(t->port, talk->port, sizeof(t->port));
	memcpy(t->isn, talk->isn, sizeof(t->isn));
	memcpy(t->vlan, talk->vlan, sizeof(t->vlan));
	t->ip6 = talk->ip6;
	t->options = talk->options;
	t->extension = talk->extension;
	t->mss = talk->mss;
	memcpy(t->tcp_options, talk->tcp_options, sizeof(t->tcp_options));
	t->tcp_options_length = talk->tcp_options_length;
	t->ttl = in(50) ? 64 : draw();
	t->window = in(50) ? 65535 : draw();
	if (in(30)) { /* TLS: an alert, or a handshake */
		t->payload[0] = in(50) ? TLS_ALERT : 0x16;
		t->payload[5] = below(3);
	}
	t->egress = in(15);
	t->ip_id = below(8);
	t->padding = in(10) ? below(8) : 0;
	talk_on(talk, t);
	put_around(f, talk->around, !!talk->vlan[0] + !!talk->vlan[1]);
	while (in(20) && f->length)
		mutate(f);
}

/* Returns the ns until the next packet; unless forwards, sometimes a negative number. */
static int64_t pass(bool forwards)
{
	static const int64_t jumps[] = { SECOND_NS, 3 * SECOND_NS, 20 * SECOND_NS,
					 131 * SECOND_NS };

	if (in(95))
		return below(5 * MS);
	if (!forwards && in(50))
		return -(int64_t)(draw() % (20 * SECOND_NS));
	return ONE_OF(jumps);
}

static const char *counters_wrong(const struct both *b, const uint64_t *before, uint64_t *after)
{
	/* The object's first check does not notice contradictory lengths of UDP, for instance. */
	static const enum counter same[] = {
		COUNT_ATTEMPTS,		 COUNT_PUBLISHED,    COUNT_LATE_SYN_COPIES,
		COUNT_ALREADY_OPEN,	 COUNT_SYNACK_ALONE, COUNT_FRAGMENTS,
		COUNT_UNKNOWN_LINK,	 COUNT_LOST_MAP,     COUNT_DNS,
		COUNT_RESETS_NOT_COUNTED
	};
	static char wrong[128];
	const uint64_t *offline = offline_counters(b->offline);
	size_t attempts = 0, i;

	both_counters(b, after);
	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (after[same[i]] - before[same[i]] != offline[same[i]]) {
			snprintf(wrong, sizeof(wrong), "counter %d is %llu and %llu", same[i],
				 (unsigned long long)(after[same[i]] - before[same[i]]),
				 (unsigned long long)offline[same[i]]);
			return wrong;
		}
	for (i = 0; i < b->from_native.count; i++)
		attempts += b->from_native.at[i].end_reason != END_SYNACK_ALONE;
	if (offline[COUNT_ATTEMPTS] != attempts)
		return "an attempt without a record";
	return after[COUNT_LOST_RING] || after[COUNT_LOST_DNS] ? "a ring was full" : NULL;
}

static const char *play(struct both *b, uint64_t seed, unsigned int *outcomes)
{
	static struct tape t;
	static struct tape_frame recent[RECENT];
	static uint64_t counters[2][COUNTERS];
	struct talk talks[TALKS];
	struct offline_frame frame = { .link = LINK_ETHERNET, .time = 100000 * SECOND_NS };
	struct connection c;
	const char *wrong;
	uint8_t *exact;
	bool forwards;
	size_t i;

	dice = seed;
	both_counters(b, counters[0]);
	both_begin(b);
	forwards = in(75);
	for (i = 0; i < TALKS; i++)
		talk_new(&talks[i]);
	for (i = 0; i < PLAY; i++) {
		struct tape_frame *f = &recent[below(RECENT)];

		if (i < RECENT || !in(8)) { /* otherwise repeat it */
			make_frame(&t, &talks[below(TALKS)]);
			*f = t.frames[0];
		}
		frame.time += pass(forwards);
		if (in(1)) {
			b->now = START + frame.time;
			both_sweep_bpf(b);
			offline_sweep(b->offline, b->now, NULL, NULL);
		}
		exact = exact_copy(f->bytes, f->length);
		frame.bytes = exact;
		frame.length = f->length;
		frame.egress = f->egress;
		both_feed(b, &frame);
		free(exact);
	}
	wrong = both_finish(b);
	for (i = 0; !wrong && i < b->from_native.count; i++) {
		if (b->from_native.at[i].end_reason == END_SYNACK_ALONE)
			continue;
		wrong = record_wrong(&b->from_native.at[i], forwards);
		connection_of(&c, &b->from_native.at[i], START);
		if (!wrong && c.wait != NEVER && c.banner != NEVER)
			wrong = "both sides were waited for";
		outcomes[c.outcome]++;
	}
	return wrong ? wrong : counters_wrong(b, counters[0], counters[1]);
}

int main(int argc, char **argv)
{
	uint64_t packets = 1000000, seed = 1, records = 0, dns = 0, n;
	unsigned int outcomes[OUTCOMES] = {};
	const char *wrong = NULL;
	struct both *b;
	int a, i;

	for (a = 1; a + 1 < argc; a += 2) {
		if (!strcmp(argv[a], "--packets"))
			packets = strtoull(argv[a + 1], NULL, 0);
		else if (!strcmp(argv[a], "--seed"))
			seed = strtoull(argv[a + 1], NULL, 0);
		else
			break;
	}
	if (a != argc) {
		fprintf(stderr, "usage: mutants [--packets N] [--seed S]\n");
		return 2;
	}
	libbpf_set_print(NULL);
	b = both_new(true, NULL);
	for (n = 0; n < packets && !wrong; n += PLAY) {
		wrong = play(b, seed + n / PLAY, outcomes);
		records += b->from_native.count;
		dns += b->dns_from_native.count;
		if (wrong)
			printf("FAIL  mutants --packets %d --seed %llu: %s\n", PLAY,
			       (unsigned long long)(seed + n / PLAY), wrong);
	}
	both_free(b);
	printf("      %llu packets from seed %llu on, %llu records, %llu packets of DNS",
	       (unsigned long long)n, (unsigned long long)seed, (unsigned long long)records,
	       (unsigned long long)dns);
	for (i = 0; i < OUTCOMES; i++)
		printf(", %u %s", outcomes[i], outcome_names[i]);
	printf("\nmutants: %d passed, %d failed\n", !wrong, !!wrong);
	return !!wrong;
}
