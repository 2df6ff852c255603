// SPDX-License-Identifier: GPL-2.0
/*
 * Sends both directions of the same connections through the real object on several CPUs at once, as
 * the queues of a gateway do. If this fails, an attempt is reported twice, a record mixes two
 * attempts, or a counter leaks and disables the fast path permanently.
 *
 * The claims hold for every interleaving of the threads. Each attempt has its own ISN and one SYN,
 * and all fields of its segments are derived from the ISN. So a record shows whether it belongs to
 * one attempt.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filter_cells.h"
#include "source/offline.h"
#include "source/flow_table.h"
#include "packet_script.h"

#define THREADS 2
#define TUPLES 4
#define SEGMENTS 150000 /* for each thread */
#define MAP_FLOWS 1024
#define MAX_ATTEMPTS (THREADS * SEGMENTS + 1)

static struct probe_bpf *bpf;
static struct ring_buffer *ring;
static struct tape_frame frames[2]; /* for each end */
static atomic_uint attempts; /* started so far; each has its number */
static atomic_uint current[TUPLES]; /* the number of the latest attempt */
static atomic_int running;
static bool storm; /* many tuples instead of few */
static uint8_t seen[MAX_ATTEMPTS];
static unsigned int records, twice, torn, unknown;
static char first_torn[256];

/* Far apart, so that no window contains the numbers of two attempts. */
static uint32_t isn_of(uint32_t number)
{
	return number * 0x9e3779b1U;
}

/* The inverse: 0x9e3779b1 is odd. */
static uint32_t number_of(uint32_t isn)
{
	uint32_t inverse = 0x9e3779b1U;
	int i;

	for (i = 0; i < 5; i++)
		inverse *= 2 - 0x9e3779b1U * inverse;
	return isn * inverse;
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

static void send_segment(uint32_t number, uint16_t port, enum end from, uint8_t flags, uint32_t seq,
			 uint32_t ack, uint8_t payload)
{
	struct tape_frame f = frames[from];
	uint32_t isn = isn_of(number);
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.bytes, .data_size_in = f.length,
			    .repeat = 1);

	if (from == CLIENT)
		put32(f.bytes + 8, isn); /* in its MAC */
	f.bytes[17] = 40 + payload;
	f.bytes[18] = isn >> 8; /* IPv4 ID */
	f.bytes[19] = isn;
	f.bytes[34 + (from == CLIENT ? 0 : 2)] = port >> 8;
	f.bytes[35 + (from == CLIENT ? 0 : 2)] = port;
	put32(f.bytes + 38, (from == CLIENT ? isn : ~isn) + seq);
	put32(f.bytes + 42, (from == CLIENT ? ~isn : isn) + ack);
	f.bytes[47] = flags;
	if (bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.probe_ingress), &opts) ||
	    (int)opts.retval != -1)
		abort();
}

static void *race(void *seed)
{
	unsigned int dice = (unsigned long)seed, tuple, number, i;
	uint16_t port;

	for (i = 0; i < SEGMENTS; i++) {
		tuple = rand_r(&dice) % TUPLES;
		number = current[tuple];
		port = 1024 + tuple;
		if (storm || !number || rand_r(&dice) % 4 == 0) {
			number = ++attempts;
			if (storm)
				port = 1024 + number % 60000;
			else
				current[tuple] = number;
			send_segment(number, port, CLIENT, TCP_SYN, 0, 0, 0);
			continue;
		}
		switch (rand_r(&dice) % 8) {
		case 0:
		case 1:
			send_segment(number, port, SERVER, TCP_SYN | TCP_ACK, 0, 1, 0);
			break;
		case 2:
			send_segment(number, port, CLIENT, TCP_ACK, 1, 1, 0);
			break;
		case 3:
			send_segment(number, port, CLIENT, TCP_ACK, 1, 1, 60);
			break;
		case 4:
			send_segment(number, port, SERVER, TCP_ACK, 1, 1, 60);
			break;
		case 5:
			send_segment(number, port, SERVER, TCP_ACK | TCP_RST, 1, 1, 0);
			break;
		case 6:
			send_segment(number, port, CLIENT, TCP_RST, 1, 0, 0);
			break;
		default:
			send_segment(number, port, rand_r(&dice) % 2, TCP_FIN | TCP_ACK, 1, 1, 0);
			break;
		}
	}
	running--;
	return NULL;
}

static const char *what_is_torn(const struct record *r)
{
	const struct flow *f = &r->flow;
	const uint64_t times[] = { f->synack,	    f->synack_last,  f->ack,
				   f->client_first, f->server_first, f->client_fin,
				   f->server_fin,   f->client_rst,   f->server_rst };
	uint8_t mac[4];
	size_t i;

	put32(mac, f->client_isn);
	if (memcmp(mac, f->client_mac + 2, 4))
		return "its MAC belongs to another attempt";
	if (f->syn_ip_id != (uint16_t)f->client_isn || f->syn_count != 1)
		return "its SYN belongs to another attempt";
	if (f->synack_count && f->server_isn != ~f->client_isn)
		return "its SYN-ACK belongs to another attempt";
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i] && times[i] < f->syn_times[0])
			return "it has a time before its SYN";
	if (r->settled < f->syn_times[0])
		return "it settled before its SYN";
	return NULL;
}

static int take_record(void *context, void *data, size_t size)
{
	const struct record *r = data;
	uint32_t number = number_of(r->flow.client_isn);
	const char *wrong = what_is_torn(r);

	(void)context;
	if (size != sizeof(*r))
		abort();
	if (r->end_reason == END_SYNACK_ALONE)
		return 0;
	records++;
	if (wrong && !torn++)
		snprintf(first_torn, sizeof(first_torn), "%s", wrong);
	if (!number || number >= MAX_ATTEMPTS)
		unknown++;
	else if (seen[number]++)
		twice++;
	return 0;
}

/* Passes all flows in the map to the program that settles, like the live source at the end. */
static unsigned int settle_all(void)
{
	static uint8_t frame[64];
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = sizeof(frame));
	static struct flow_entry flows[CANDIDATES];
	uint32_t slot = 1, numbers[CANDIDATES];
	int n, i;

	n = read_flows(bpf, &slot, flows, numbers, CANDIDATES);
	if (n < 0)
		abort();
	for (i = 0; i < n; i++) {
		bpf->bss->candidates[i].slot = flows[i].slot;
		bpf->bss->candidates[i].client_isn = flows[i].flow.client_isn;
	}
	bpf->bss->candidate_next = 0;
	opts.repeat = n;
	if (n && bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.settle_candidate), &opts))
		abort();
	ring_buffer__consume(ring);
	return n;
}

static uint64_t count_of(enum counter c)
{
	uint64_t sums[COUNTERS];

	if (!read_counters(bpf, sums))
		abort();
	return sums[c];
}

/* Returns the number of losses, and of SYNs that met another insertion on another CPU. */
static uint64_t without_record(void)
{
	return count_of(COUNT_LOST_RING) + count_of(COUNT_LOST_CROWDED) + count_of(COUNT_LOST_MAP) +
	       count_of(COUNT_LATE_SYN_COPIES);
}

static int claim_that(bool holds, const char *what, const char *more)
{
	printf("%s %s%s%s%s\n", holds ? "ok   " : "FAIL ", storm ? "storm: " : "race: ", what,
	       holds || !*more ? "" : ": ", holds ? "" : more);
	return !holds;
}

static int play(void)
{
	unsigned int held = 0, i;
	pthread_t threads[THREADS];
	char numbers[256];
	uint64_t lost;
	int failed = 0;

	memset(seen, 0, sizeof(seen));
	memset((void *)current, 0, sizeof(current));
	attempts = records = twice = torn = unknown = 0;
	lost = without_record();
	running = THREADS;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, race, (void *)(i + 1UL)))
			abort();
	while (running)
		settle_all(); /* user space also settles flows that packets settle */
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	while (settle_all())
		;
	lost = without_record() - lost;
	held = lanes_held((const struct flow_filter *)&bpf->bss->flow_filter);
	snprintf(numbers, sizeof(numbers),
		 "%u attempts, %u records, %" PRIu64
		 " without record, %u twice, %u torn, %u unknown, %u cells held",
		 attempts, records, lost, twice, torn, unknown, held);
	printf("      %s\n", numbers);
	failed += claim_that(!twice && !unknown, "no attempt is published twice", numbers);
	failed += claim_that(!torn, "no record mixes two attempts", first_torn);
	failed += claim_that(attempts == records + lost, "every attempt is a record, or counted",
			     numbers);
	failed += claim_that(!held, "every counter of openings is back to zero", numbers);
	return failed;
}

int main(void)
{
	struct tape t;
	int failed = 0;

	libbpf_set_print(NULL);
	bpf = probe_bpf__open();
	if (!bpf)
		abort();
	memcpy((void *)&bpf->rodata->run_seed, &offline_seed, sizeof(offline_seed));
	set_table_sizes(bpf, MAP_FLOWS);
	if (probe_bpf__load(bpf)) {
		fprintf(stderr, "the BPF object does not load\n");
		return 1;
	}
	ring = ring_buffer__new(bpf_map__fd(bpf->maps.records), take_record, NULL, NULL);
	if (!ring)
		abort();
	bpf->bss->run_ending = true; /* for settle_all() */
	tape_start(&t);
	tcp(&t, 0, CLIENT, TCP_ACK, 1, 1, 60);
	tcp(&t, 0, SERVER, TCP_ACK, 1, 1, 60);
	memcpy(frames, t.frames, sizeof(frames));

	failed += play();
	storm = true;
	failed += play();
	ring_buffer__free(ring);
	probe_bpf__destroy(bpf);
	printf("race: %d passed, %d failed\n", 8 - failed, failed);
	return failed != 0;
}
