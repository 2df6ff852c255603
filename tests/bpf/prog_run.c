// SPDX-License-Identifier: GPL-2.0
/*
 * Feeds the compiled BPF object and the native build with the same packets: the records must be
 * equal byte by byte.
 *
 *	prog_run [CAPTURE...]
 *
 * Plays every scenario, then every capture of Ethernet frames, to both; the object runs in the
 * kernel. If this fails, a live run and a capture of the same traffic would disagree.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* its struct bpf_insn differs from Linux's */
#include <pcap/dlt.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "differential.h"
#include "options_selector.h"
#include "packet_script.h"

static const char *play_scenario(struct both *b, const struct scenario *s)
{
	static struct tape tape;
	size_t i;

	both_begin(b);
	tape_start(&tape);
	s->make(&tape);
	for (i = 0; i < tape.count; i++) {
		const struct tape_frame *f = &tape.frames[i];
		struct offline_frame frame = { .bytes = f->bytes,
					       .length = f->length,
					       .link = LINK_ETHERNET,
					       .egress = f->egress,
					       .time = f->at };

		if (f->sweep) {
			b->now = START + f->at;
			both_sweep_bpf(b);
			offline_sweep(b->offline, b->now, NULL, NULL);
		} else {
			both_feed(b, &frame);
		}
	}
	return both_finish(b);
}

/*
 * Returns a difference, or NULL. Stores the number of compared records in *records, -1 if the
 * capture is not of Ethernet frames.
 */
static const char *play_capture(struct both *b, const char *path, long *records)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	struct offline_frame frame = { .link = LINK_ETHERNET };
	struct pcap_pkthdr *header;
	uint64_t first = 0, time;
	const char *wrong;

	*records = -1;
	if (!pcap || pcap_datalink(pcap) != DLT_EN10MB) {
		if (pcap)
			pcap_close(pcap);
		return NULL;
	}
	both_begin(b);
	while (pcap_next_ex(pcap, &header, &frame.bytes) == 1) {
		time = header->ts.tv_sec * SECOND_NS + (uint32_t)header->ts.tv_usec;
		if (!first)
			first = time;
		frame.length = header->caplen;
		frame.time = time - first;
		both_feed(b, &frame);
	}
	pcap_close(pcap);
	wrong = both_finish(b);
	*records = b->from_native.count;
	return wrong;
}

#define REAL 100
#define FLOOD 60000

static void play_last(struct both *b, const struct tape *t)
{
	const struct tape_frame *f = &t->frames[t->count - 1];

	if (test_run(b->bpf->progs.probe_ingress, (void *)f->bytes, f->length, START + f->at, 1))
		abort();
}

/*
 * Sends many more SYNs than the map has entries: connections with a handshake keep theirs, and
 * every attempt is a record or a loss.
 */
static const char *play_flood(struct both *b)
{
	static struct tape t;
	uint64_t sum[COUNTERS];
	size_t established = 0, n;
	int i;

	both_begin(b);
	tape_start(&t);
	for (i = 0; i < REAL; i++) {
		t.port[CLIENT] = 1024 + i;
		t.count = 0;
		tcp(&t, 0, CLIENT, TCP_SYN, 0, 0, 0);
		play_last(b, &t);
		tcp(&t, 1, SERVER, TCP_SYN | TCP_ACK, 0, 1, 0);
		play_last(b, &t);
		tcp(&t, 2, CLIENT, TCP_ACK, 1, 1, 0);
		play_last(b, &t);
	}
	t.port[CLIENT] = 1000;
	for (i = 0; i < FLOOD; i++) {
		t.address[CLIENT][1] = i >> 8;
		t.address[CLIENT][2] = i;
		t.count = 0;
		tcp(&t, 10, CLIENT, TCP_SYN, 0, 0, 0);
		play_last(b, &t); /* the ring is not drained: records are lost, and counted */
		if (i % 2) { /* data from one side only may be forged */
			tcp(&t, 11, CLIENT, TCP_ACK, 1, 1, 0);
			play_last(b, &t);
		}
	}
	t.address[CLIENT][1] = 1;
	t.address[CLIENT][2] = 4;
	ring_buffer__consume(b->ring);
	for (i = 0; i < REAL; i++) {
		t.port[CLIENT] = 1024 + i;
		t.count = 0;
		tcp(&t, 5002, CLIENT, TCP_ACK, 1, 1, 10);
		play_last(b, &t);
		tcp(&t, 5003, SERVER, TCP_ACK, 1, 11, 10);
		play_last(b, &t);
	}
	b->now = START + 7000 * MS;
	b->bpf->bss->run_ending = true;
	both_sweep_bpf(b);
	ring_buffer__consume(b->ring);

	both_counters(b, sum);
	for (n = 0; n < b->from_bpf.count; n++)
		established += b->from_bpf.at[n].end_reason == END_PAYLOAD &&
			       b->from_bpf.at[n].flow.client_first == START + 1000 * MS + 5002 * MS;
	if (established != REAL)
		return "connections with a handshake lost their entries";
	if (sum[COUNT_ATTEMPTS] + sum[COUNT_LOST_MAP] != REAL + FLOOD || !sum[COUNT_LOST_CROWDED] ||
	    sum[COUNT_PUBLISHED] != b->from_bpf.count ||
	    sum[COUNT_ATTEMPTS] !=
		    sum[COUNT_PUBLISHED] + sum[COUNT_LOST_RING] + sum[COUNT_LOST_CROWDED])
		return "attempts are neither records nor losses";
	printf("      flood of %d SYNs into %u entries: %" PRIu64 " records, %" PRIu64
	       " counted as lost\n",
	       FLOOD, BOTH_FLOWS, sum[COUNT_PUBLISHED],
	       sum[COUNT_LOST_RING] + sum[COUNT_LOST_CROWDED] + sum[COUNT_LOST_MAP]);
	return not_given_back(b);
}

#define CROWD_FLOWS (BUCKET_ENTRIES + 5)

static void feed_last(struct both *b, const struct tape *t)
{
	const struct tape_frame *f = &t->frames[t->count - 1];
	struct offline_frame frame = {
		.bytes = f->bytes, .length = f->length, .time = f->at, .link = LINK_ETHERNET
	};

	both_feed(b, &frame);
}

/* Makes the next client whose SYN belongs to bucket 0. */
static void next_client(struct tape *t, uint32_t *number)
{
	static const uint16_t no_vlan[2];
	const uint8_t *ip;
	uint32_t hash;

	do {
		++*number;
		t->address[CLIENT][1] = *number >> 16;
		t->address[CLIENT][2] = *number >> 8;
		t->address[CLIENT][3] = *number;
		t->count = 0;
		tcp(t, 0, CLIENT, TCP_SYN, 0, 0, 0);
		ip = t->frames[0].bytes + 14;
		hash = hash_headers(ip, ip + 20, false, &offline_seed);
	} while (bucket_number(hash, 1, no_vlan) % MIN_BUCKETS);
}

/*
 * Sends more SYNs than one bucket can hold. The others are counted as lost, and those that have
 * entries keep them. Once these have settled, new attempts find room again.
 */
static const char *play_crowd(struct both *b)
{
	static const struct {
		uint64_t at;
		int from;
		uint8_t flags;
		uint32_t seq, ack;
		uint32_t payload;
	} steps[] = {
		{ 0, CLIENT, TCP_SYN, 0, 0, 0 },      { 20, SERVER, TCP_SYN | TCP_ACK, 0, 1, 0 },
		{ 1010, CLIENT, TCP_ACK, 1, 1, 0 },   { 1020, CLIENT, TCP_ACK, 1, 1, 60 },
		{ 1030, SERVER, TCP_ACK, 1, 61, 60 },
	};
	uint64_t sum[COUNTERS];
	static struct tape t;
	uint32_t number;
	size_t step;
	int round, i;

	both_begin(b);
	tape_start(&t);
	for (round = 0; round < 2; round++)
		for (step = 0; step < sizeof(steps) / sizeof(steps[0]); step++)
			for (i = number = 0; i < CROWD_FLOWS; i++) {
				bool is_lost = !round && i >= BUCKET_ENTRIES;

				next_client(&t, &number);
				if ((is_lost && step) || (round && i < BUCKET_ENTRIES))
					continue;
				t.count = 0;
				tcp(&t, round * 2000 + steps[step].at, steps[step].from,
				    steps[step].flags, steps[step].seq, steps[step].ack,
				    steps[step].payload);
				if (is_lost)
					play_last(b, &t);
				else
					feed_last(b, &t);
			}
	both_counters(b, sum);
	if (sum[COUNT_LOST_MAP] != CROWD_FLOWS - BUCKET_ENTRIES)
		return "an attempt whose bucket is full is not counted as lost";
	if (b->from_native.count < CROWD_FLOWS / 2)
		return "the native build has lost flows";
	return both_finish(b);
}

#define SELECTION_CONNECTIONS 400

/* Gives the tape the addresses of connection i: near the borders of the networks of selections. */
static void set_ends(struct tape *t, unsigned int i)
{
	static const uint8_t nets[][6] = { { 0x20, 0x01, 0x0d, 0xb8, 0, 1 },
					   { 0x20, 0x01, 0x0d, 0xb8, 0x80, 0 },
					   { 0xfd, 0, 0, 0, 0, 0 },
					   { 0xfe, 0, 0, 0, 0, 0 } };
	static const uint16_t ports[] = { 21, 80, 443, 8000, 8100, 8101, 53 };

	t->ip6 = i % 3 == 0;
	memset(t->address, 0, sizeof(t->address));
	if (t->ip6) {
		memcpy(t->address[CLIENT], nets[i / 3 % 4], sizeof(nets[0]));
		memcpy(t->address[SERVER], nets[i / 12 % 2], sizeof(nets[0]));
		t->address[SERVER][15] = 1;
	} else {
		memcpy(t->address[CLIENT],
		       (uint8_t[]){ 10 + i % 2, i / 2 % 2, i / 4 % 4, i / 16 % 4 }, 4);
		memcpy(t->address[SERVER], (uint8_t[]){ 203, 0, 113, i / 8 % 4 }, 4);
	}
	t->address[CLIENT][15] = t->ip6 ? 2 : 0;
	t->port[CLIENT] = 20000 + i;
	t->port[SERVER] = ports[i % 7];
	t->isn[CLIENT] = i * 7919;
}

/* Feeds refused attempts, RSTs of old connections, and questions of DNS. */
static const char *play_selection(struct both *b)
{
	static const uint8_t question[40];
	static struct tape t;
	unsigned int i;

	both_begin(b);
	tape_start(&t);
	for (i = 0; i < SELECTION_CONNECTIONS; i++) {
		set_ends(&t, i);
		t.count = 0;
		tcp(&t, i, i % 2 ? CLIENT : SERVER, TCP_RST, 0, 0, 0);
		feed_last(b, &t);
		tcp(&t, i + .1, CLIENT, TCP_SYN, 0, 0, 0);
		feed_last(b, &t);
		tcp(&t, i + .2, SERVER, TCP_RST | TCP_ACK, 0, 1, 0);
		feed_last(b, &t);
		t.port[SERVER] = 53;
		udp(&t, i + .3, CLIENT, question, sizeof(question));
		feed_last(b, &t);
	}
	if (!b->from_native.count || b->from_native.count == SELECTION_CONNECTIONS)
		return "the selection has no effect";
	return both_finish(b);
}

static const struct {
	const char *clients, *servers, *ports;
} selections[] = {
	{ "10.1.0.0/16,2001:db8:1::/48", NULL, NULL },
	{ "!10.1.2.0/24,!2001:db8::/33", NULL, "!443" },
	{ "10.0.0.0/8,!10.1.2.3,fd00::/8", "!203.0.113.2", "80,8000-8100,!8050" },
	{ "::/0", NULL, NULL },
	{ NULL, "!::/0,!203.0.113.0/31", NULL },
};
#define SELECTIONS (sizeof(selections) / sizeof(selections[0]))

/* Plays each selection to an object of its own: its lists are constants for the verifier. */
static int play_selections(void)
{
	static struct selector selector;
	char error[SELECTOR_ERROR];
	int failed = 0;
	size_t i;

	for (i = 0; i < SELECTIONS; i++) {
		struct selector_options s = {};
		const char *c = selections[i].clients, *v = selections[i].servers,
			   *p = selections[i].ports, *wrong;
		struct both *b;

		if ((c && !selector_add_networks(&s.clients, c, error)) ||
		    (v && !selector_add_networks(&s.servers, v, error)) ||
		    (p && !selector_add_ports(&s, p, error)) || selector_finish(&selector, &s))
			abort();
		b = both_new(true, &selector);
		wrong = play_selection(b);
		printf("%s --client %s --server %s --port %s: %zu of %d%s%s\n",
		       wrong ? "FAIL " : "ok   ", c ?: "-", v ?: "-", p ?: "-",
		       b->from_native.count, SELECTION_CONNECTIONS, wrong ? ": " : "",
		       wrong ? wrong : "");
		failed += wrong != NULL;
		both_free(b);
	}
	return failed;
}

int main(int argc, char **argv)
{
	long records, compared = 0, captures = 0, dns = 0;
	int passed = 0, failed = 0, failed_selections, i;
	struct both *b;
	const char *wrong;
	size_t s;

	libbpf_set_print(NULL);
	b = both_new(true, NULL);
	for (s = 0; s < scenario_count; s++) {
		wrong = play_scenario(b, &scenarios[s]);
		dns += b->dns_from_native.count;
		printf("%s %s%s%s\n", wrong ? "FAIL " : "ok   ", scenarios[s].name,
		       wrong ? ": " : "", wrong ? wrong : "");
		wrong ? failed++ : passed++;
	}
	for (i = 1; i < argc; i++) {
		wrong = play_capture(b, argv[i], &records);
		if (records < 0)
			continue;
		captures++;
		compared += records;
		dns += b->dns_from_native.count;
		if (wrong)
			printf("FAIL  %s: %s\n", argv[i], wrong);
		wrong ? failed++ : passed++;
	}
	both_free(b);
	b = both_new(false, NULL);
	wrong = play_crowd(b);
	printf("%s more flows than a bucket can hold%s%s\n", wrong ? "FAIL " : "ok   ",
	       wrong ? ": " : "", wrong ? wrong : "");
	wrong ? failed++ : passed++;
	both_free(b);
	b = both_new(true, NULL); /* its counters begin at zero */
	wrong = play_flood(b);
	printf("%s SYN flood%s%s\n", wrong ? "FAIL " : "ok   ", wrong ? ": " : "",
	       wrong ? wrong : "");
	wrong ? failed++ : passed++;
	both_free(b);
	failed_selections = play_selections();
	failed += failed_selections;
	passed += SELECTIONS - failed_selections;
	if (argc > 1)
		printf("%ld records of %ld captures compared\n", compared, captures);
	printf("      %ld packets of DNS compared\n", dns);
	printf("prog_run: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
