// SPDX-License-Identifier: GPL-2.0
/*
 * The compiled BPF object and the native build on the same packets: the same records, byte by byte.
 *
 *	prog_run [CAPTURE...]
 *
 * Plays every scenario, then every capture of Ethernet frames, to both; the object runs in the
 *kernel through BPF_PROG_TEST_RUN, in the packets' own time. If this fails, a live run and a
 *capture of the same traffic would disagree.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* its struct bpf_insn is not Linux' */
#include <pcap/dlt.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "entry.h"
#include "held.h"
#include "narrow.h"
#include "native.h"
#include "probe.skel.h"
#include "tape.h"

/* BPF_PROG_TEST_RUN wants the Ethernet and IPv4 headers, and takes no more than a page. */
#define LEAST_FRAME 34
#define MOST_FRAME 1024

#define START (3600 * SECOND_NS)

struct records {
	struct record *at;
	size_t count;
	size_t room;
};

/* Packets as they are kept for --write: heads, and a hash of the bytes. */
struct packets {
	struct {
		struct packet_head head;
		uint64_t bytes;
	} * at;
	size_t count;
	size_t room;
};

struct both {
	struct probe_bpf *bpf;
	struct ring_buffer *ring;
	struct packets packets_from_bpf;
	struct packets packets_from_native;
	const struct native_frame *frame; /* that is being fed */
	struct records from_bpf;
	struct native *native;
	struct records from_native;
	uint64_t now;
	unsigned int frames;
};

static void keep(struct records *records, const struct record *r)
{
	if (records->count == records->room) {
		records->room = records->room ? 2 * records->room : 256;
		records->at = realloc(records->at, records->room * sizeof(*r));
		if (!records->at)
			abort();
	}
	records->at[records->count++] = *r;
}

static int keep_bpf(void *context, void *data, size_t size)
{
	if (size != sizeof(struct record))
		abort();
	keep(context, data);
	return 0;
}

static void keep_native(void *context, const struct record *r)
{
	struct both *b = context;

	keep(&b->from_native, r);
}

static void keep_packet(struct packets *p, const struct packet_head *head, const uint8_t *bytes)
{
	uint32_t i;

	if (p->count == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->at = realloc(p->at, p->room * sizeof(*p->at));
		if (!p->at)
			abort();
	}
	p->at[p->count].head = *head;
	p->at[p->count].bytes = 0;
	for (i = 0; i < head->length; i++)
		p->at[p->count].bytes = p->at[p->count].bytes * 1000003 + bytes[i];
	p->count++;
}

static int keep_packet_bpf(void *context, void *data, size_t size)
{
	const struct packet_head *head = data;

	if (size < sizeof(*head) || head->length > size - sizeof(*head))
		abort();
	keep_packet(context, head, (const uint8_t *)(head + 1));
	return 0;
}

static void keep_packet_native(void *context, const struct packet_head *head)
{
	struct both *b = context;
	struct packet_head whole = *head;

	whole.length = b->frame->length < MAX_HEADERS ? b->frame->length : MAX_HEADERS;
	keep_packet(&b->packets_from_native, &whole, b->frame->bytes);
}

static int test_run(const struct bpf_program *program, void *data, uint32_t size, uint64_t now,
		    int repeat)
{
	struct __sk_buff context = { .tstamp = now };
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = size,
			    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = repeat);

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		return -errno;
	if ((int)opts.retval != -1) {
		fprintf(stderr, "a hook answered %d: it would be in the way\n", (int)opts.retval);
		abort();
	}
	return 0;
}

static void feed(struct both *b, const struct native_frame *frame)
{
	struct native_frame f = *frame;
	int error;

	if (f.length > MOST_FRAME)
		f.length = MOST_FRAME;
	if (f.length < LEAST_FRAME)
		return;
	f.wire_length = f.length; /* as the kernel will have it */
	f.from_gateway = f.egress; /* no interface received what test_run makes */
	f.ifindex = 1;
	f.time += START;
	if (f.time > b->now)
		b->now = f.time;
	error = test_run(f.egress ? b->bpf->progs.probe_egress : b->bpf->progs.probe_ingress,
			 (void *)f.bytes, f.length, f.time, 1);
	if (error) {
		fprintf(stderr, "test_run of %u bytes: %s\n", f.length, strerror(-error));
		abort();
	}
	b->frame = &f;
	native_feed(b->native, &f);
	if (++b->frames % 256 == 0)
		ring_buffer__consume(b->ring);
}

/*
 * As the live source does: every flow of the map is handed to the kernel, which looks whether it is
 * due.
 */
static void sweep_bpf(struct both *b)
{
	int map = bpf_map__fd(b->bpf->maps.flows);
	uint64_t key, *previous = NULL;
	uint64_t keys[4096];
	uint8_t frame[64] = {};
	size_t count = 0, i, n;
	struct flow_entry entry;

	while (count < 4096 && !bpf_map_get_next_key(map, previous, &key)) {
		keys[count] = key;
		previous = &keys[count++];
	}
	for (i = 0; i < count; i += n) {
		for (n = 0; n < CANDIDATES && i + n < count; n++) {
			if (bpf_map_lookup_elem(map, &keys[i + n], &entry))
				abort();
			b->bpf->bss->candidates[n].id = keys[i + n];
			b->bpf->bss->candidates[n].client_isn = entry.flow.client_isn;
		}
		b->bpf->bss->candidate_next = 0;
		if (test_run(b->bpf->progs.settle_candidate, frame, sizeof(frame), b->now, n))
			abort();
		ring_buffer__consume(b->ring);
	}
	if (count == 4096)
		sweep_bpf(b);
}

static void open_object(struct both *b)
{
	b->bpf = probe_bpf__open();
	if (!b->bpf) {
		fprintf(stderr, "the BPF object cannot be opened: %s\n", strerror(errno));
		exit(1);
	}
	/* the same seed: the slots of the fast path's counters must be equal as well */
	memcpy((void *)&b->bpf->rodata->run_seed, &native_seed, sizeof(native_seed));
	b->bpf->rodata->virtual_time = true;
	b->bpf->rodata->keep_packets = true;
	bpf_map__set_max_entries(b->bpf->maps.packets, 1 << 20);
	bpf_map__set_max_entries(b->bpf->maps.flows, 16384); /* a small one is made quickly */
	bpf_map__set_max_entries(b->bpf->maps.queue, 2 * 16384);
	b->bpf->rodata->queue_chunks = 16384 / QUEUE_CHUNK;
	if (probe_bpf__load(b->bpf)) {
		fprintf(stderr, "the BPF object does not load\n");
		exit(1);
	}
	b->ring = ring_buffer__new(bpf_map__fd(b->bpf->maps.records), keep_bpf, &b->from_bpf, NULL);
	if (!b->ring || ring_buffer__add(b->ring, bpf_map__fd(b->bpf->maps.packets),
					 keep_packet_bpf, &b->packets_from_bpf))
		abort();
}

static struct both *both_new(void)
{
	struct both *b = calloc(1, sizeof(*b));

	if (!b)
		abort();
	open_object(b);
	return b;
}

/* All plays go to one loaded object; what it remembers of the one before is wiped out. */
static void begin(struct both *b)
{
	struct line *lines = ((struct traces *)&b->bpf->bss->traces)->lines;
	int i;

	for (i = 0; i < LINES; i++) {
		memset(lines[i].known, 0, sizeof(lines[i].known));
		memset(lines[i].remembered, 0, sizeof(lines[i].remembered));
	}
	b->now = START;
	b->from_bpf.count = 0;
	b->from_native.count = 0;
	b->bpf->bss->ending = false;
	b->packets_from_bpf.count = 0;
	b->packets_from_native.count = 0;
	b->native = native_new(131072, NULL, keep_native, b);
	if (!b->native)
		abort();
	native_keep_packets(b->native, keep_packet_native);
}

static void both_free(struct both *b)
{
	ring_buffer__free(b->ring);
	probe_bpf__destroy(b->bpf);
	free(b->from_bpf.at);
	free(b->from_native.at);
	free(b->packets_from_bpf.at);
	free(b->packets_from_native.at);
	free(b);
}

/* By time and key: at a sweep, two tables give their flows in different orders. */
static int by_syn(const void *a, const void *b)
{
	const struct record *x = a, *y = b;

	if (x->flow.syn_times[0] != y->flow.syn_times[0])
		return x->flow.syn_times[0] < y->flow.syn_times[0] ? -1 : 1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static const char *not_given_back(const struct both *b)
{
	return lanes_held((const struct traces *)&b->bpf->bss->traces)
		       ? "a counter of openings was not given back"
		       : NULL;
}

static const char *packets_differ(const struct both *b)
{
	const struct packets *x = &b->packets_from_bpf, *y = &b->packets_from_native;

	if (x->count != y->count)
		return "the object and the native build keep different packets";
	if (x->count && memcmp(x->at, y->at, x->count * sizeof(*x->at)))
		return "a packet that is kept differs";
	return NULL;
}

/* Ends the run on both sides; what differs, or NULL. */
static const char *finish(struct both *b)
{
	static char difference[256];
	size_t i;

	b->bpf->bss->ending = true;
	sweep_bpf(b);
	ring_buffer__consume(b->ring);
	native_end(b->native, b->now);
	native_free(b->native);
	if (b->from_bpf.count != b->from_native.count) {
		snprintf(difference, sizeof(difference),
			 "%zu records from the BPF object, %zu from the native build",
			 b->from_bpf.count, b->from_native.count);
		return difference;
	}
	if (packets_differ(b))
		return packets_differ(b);
	if (!b->from_bpf.count)
		return not_given_back(b);
	qsort(b->from_bpf.at, b->from_bpf.count, sizeof(struct record), by_syn);
	qsort(b->from_native.at, b->from_native.count, sizeof(struct record), by_syn);
	for (i = 0; i < b->from_bpf.count; i++) {
		struct record *x = &b->from_bpf.at[i], *y = &b->from_native.at[i];

		if (memcmp(x, y, sizeof(*x))) {
			snprintf(difference, sizeof(difference),
				 "record %zu (port %u to %u, settled by %u and %u) differs", i,
				 x->key.port[0], x->key.port[1], x->settled_by, y->settled_by);
			return difference;
		}
	}
	return not_given_back(b);
}

static const char *play_scenario(struct both *b, const struct scenario *s)
{
	static struct tape tape;
	size_t i;

	begin(b);
	tape_start(&tape);
	s->make(&tape);
	for (i = 0; i < tape.count; i++) {
		const struct tape_frame *f = &tape.frames[i];
		struct native_frame frame = { .bytes = f->bytes,
					      .length = f->length,
					      .link = LINK_ETHERNET,
					      .egress = f->egress,
					      .time = f->at };

		if (f->sweep) {
			b->now = START + f->at;
			sweep_bpf(b);
			native_sweep(b->native, b->now, NULL, NULL);
		} else {
			feed(b, &frame);
		}
	}
	return finish(b);
}

/*
 * What differs, or NULL; *records is how many were compared, -1 when the capture is not of Ethernet
 * frames.
 */
static const char *play_capture(struct both *b, const char *path, long *records)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
		pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	struct native_frame frame = { .link = LINK_ETHERNET };
	struct pcap_pkthdr *header;
	uint64_t first = 0, time;
	const char *wrong;

	*records = -1;
	if (!pcap || pcap_datalink(pcap) != DLT_EN10MB) {
		if (pcap)
			pcap_close(pcap);
		return NULL;
	}
	begin(b);
	while (pcap_next_ex(pcap, &header, &frame.bytes) == 1) {
		time = header->ts.tv_sec * SECOND_NS + (uint32_t)header->ts.tv_usec;
		if (!first)
			first = time;
		frame.length = header->caplen;
		frame.time = time - first;
		feed(b, &frame);
	}
	pcap_close(pcap);
	wrong = finish(b);
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
 * Many more SYNs than the map has places: connections with a handshake keep theirs, and every
 * attempt is a record or a loss.
 */
static const char *play_flood(struct both *b)
{
	static struct tape t;
	uint64_t *counts, sum[COUNTERS] = {};
	int cpus = libbpf_num_possible_cpus(), cpu, i;
	size_t established = 0, n;
	uint32_t zero = 0;

	probe_bpf__destroy(b->bpf);
	ring_buffer__free(b->ring);
	open_object(b);
	begin(b);
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
		if (i % 2) { /* what one side alone says, anybody may have forged */
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
	b->bpf->bss->ending = true;
	sweep_bpf(b);
	ring_buffer__consume(b->ring);
	native_free(b->native);

	counts = calloc(cpus, sizeof(sum));
	if (!counts || bpf_map_lookup_elem(bpf_map__fd(b->bpf->maps.counters), &zero, counts))
		abort();
	for (cpu = 0; cpu < cpus; cpu++)
		for (i = 0; i < COUNTERS; i++)
			sum[i] += counts[cpu * COUNTERS + i];
	free(counts);
	for (n = 0; n < b->from_bpf.count; n++)
		established += b->from_bpf.at[n].settled_by == SETTLED_PAYLOAD &&
			       b->from_bpf.at[n].flow.client_first == START + 1000 * MS + 5002 * MS;
	if (established != REAL)
		return "connections with a handshake lost their places";
	if (sum[COUNT_ATTEMPTS] + sum[COUNT_LOST_MAP] != REAL + FLOOD || !sum[COUNT_LOST_EVICTED] ||
	    sum[COUNT_PUBLISHED] != b->from_bpf.count ||
	    sum[COUNT_ATTEMPTS] !=
		    sum[COUNT_PUBLISHED] + sum[COUNT_LOST_RING] + sum[COUNT_LOST_EVICTED])
		return "attempts are neither records nor losses";
	printf("      flood of %d SYNs into %u places: %" PRIu64 " records, %" PRIu64
	       " counted as lost\n",
	       FLOOD, bpf_map__max_entries(b->bpf->maps.flows), sum[COUNT_PUBLISHED],
	       sum[COUNT_LOST_RING] + sum[COUNT_LOST_EVICTED] + sum[COUNT_LOST_MAP]);
	return not_given_back(b);
}

int main(int argc, char **argv)
{
	long records, compared = 0, captures = 0;
	int passed = 0, failed = 0, i;
	struct both *b;
	const char *wrong;
	size_t s;

	libbpf_set_print(NULL);
	b = both_new();
	for (s = 0; s < scenario_count; s++) {
		wrong = play_scenario(b, &scenarios[s]);
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
		if (wrong)
			printf("FAIL  %s: %s\n", argv[i], wrong);
		wrong ? failed++ : passed++;
	}
	wrong = play_flood(b);
	printf("%s SYN flood%s%s\n", wrong ? "FAIL " : "ok   ", wrong ? ": " : "",
	       wrong ? wrong : "");
	wrong ? failed++ : passed++;
	both_free(b);
	if (argc > 1)
		printf("%ld records of %ld captures compared\n", compared, captures);
	printf("prog_run: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
