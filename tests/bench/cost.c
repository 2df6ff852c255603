// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the cost of a packet at the hook, compared with an empty program in the same place.
 *
 *	cost [ROUNDS]
 *
 * Each case is measured in rounds, the empty program and the probe in turn, by the CPU time of this
 * thread. The output has one line for each case, with the median of the differences and its 95 %
 * confidence interval: NAME MEDIAN LOW HIGH UNIT. "empty" is the cost of the empty program itself.
 * "cold_..." are packets that find the caches of the core, not the last-level cache, filled with
 * other data. Lines "size_PROGRAM BYTES MAPS INSTRUCTIONS" give the machine code, and the
 * instructions that the verifier examined (0 before kernel 5.16).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "drive.h"
#include "drive.skel.h"
#include "source/offline.h"
#include "source/flow_table.h"
#include "packet_script.h"

#define MAX_ROUNDS 201
#define PACKETS 200000 /* in a round of one case */
#define CONNECTIONS 5000 /* in a round; their records fit into the ring */
#define FEW 1000
#define DNS_PACKETS 4000 /* they fit into the ring */
#define DNS_REPEATS 10
#define DNS_FRAME 256 /* bytes */
#define SWEEP_BATCH 4096 /* as user/source/live.c */
#define STORM 100000 /* pending answered openings */

struct bench {
	struct probe_bpf *probe;
	struct drive_bpf *drive;
	struct ring_buffer *ring;
	struct ring_buffer *dns_ring;
	unsigned long dns_packets;
	unsigned long records;
	uint64_t seed; /* of the next round */
	int rounds;
};

struct frame_bytes {
	uint8_t at[FRAME_BYTES];
	uint32_t length;
};

static void die(const char *what)
{
	fprintf(stderr, "cost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

/* Returns nanoseconds for one run. */
static double run(const struct bpf_program *program, const struct frame_bytes *frame, int repeat)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->at,
			    .data_size_in = frame->length, .repeat = repeat);
	uint64_t began = cpu_time(), took;

	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		die("BPF_PROG_TEST_RUN");
	took = cpu_time() - began;
	if ((int)opts.retval != -1) {
		fprintf(stderr, "cost: a hook returned %d\n", (int)opts.retval);
		exit(1);
	}
	return (double)took / repeat;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The interval that contains the median with 95 %: order statistics, normal approximation. */
static void print_median(const char *name, double *sample, int n, const char *unit)
{
	int k = (int)((n - 1.96 * __builtin_sqrt(n)) / 2);

	qsort(sample, n, sizeof(*sample), by_size);
	if (k < 0)
		k = 0;
	printf("%s %.2f %.2f %.2f %s\n", name, sample[n / 2], sample[k], sample[n - 1 - k], unit);
	fflush(stdout);
}

static void aim(struct bench *b, const struct bpf_program *program)
{
	uint32_t zero = 0, fd = bpf_program__fd(program);

	if (bpf_map_update_elem(bpf_map__fd(b->drive->maps.target), &zero, &fd, BPF_ANY))
		die("prog array");
}

/* Repeats one frame: all data that it needs are in the cache. */
static void measure_frame(struct bench *b, const char *name, const struct frame_bytes *frame)
{
	double sample[MAX_ROUNDS], base;
	int i;

	for (i = -1; i < b->rounds; i++) {
		base = run(b->drive->progs.empty, frame, PACKETS);
		base = run(b->probe->progs.probe_ingress, frame, PACKETS) - base;
		if (i >= 0)
			sample[i] = base;
	}
	print_median(name, sample, b->rounds, "ns");
}

/* Like measure_frame(), with a pause after each DNS_PACKETS in which the ring is emptied. */
static void measure_dns(struct bench *b, const char *name, const struct frame_bytes *frame)
{
	unsigned long packets = b->dns_packets;
	double sample[MAX_ROUNDS], sum;
	int i, repeat;

	for (i = -1; i < b->rounds; i++) {
		sum = 0;
		for (repeat = 0; repeat < DNS_REPEATS; repeat++) {
			sum -= run(b->drive->progs.empty, frame, DNS_PACKETS);
			sum += run(b->probe->progs.probe_ingress, frame, DNS_PACKETS);
			ring_buffer__consume(b->dns_ring);
		}
		if (i >= 0)
			sample[i] = sum / DNS_REPEATS;
	}
	packets = b->dns_packets - packets;
	if (packets != (b->rounds + 1UL) * DNS_REPEATS * DNS_PACKETS) {
		fprintf(stderr, "cost: %lu DNS packets were lost\n",
			(b->rounds + 1UL) * DNS_REPEATS * DNS_PACKETS - packets);
		exit(1);
	}
	print_median(name, sample, b->rounds, "ns");
}

/*
 * Measures the empty program itself, which shows the state of the machine, and compares it with
 * itself, which shows the resolution of the method.
 */
static void measure_control(struct bench *b, const struct frame_bytes *frame)
{
	double once[MAX_ROUNDS], sample[MAX_ROUNDS];
	int i;

	for (i = 0; i < b->rounds; i++) {
		once[i] = run(b->drive->progs.empty, frame, PACKETS);
		sample[i] = once[i] - run(b->drive->progs.empty, frame, PACKETS);
	}
	print_median("empty", once, b->rounds, "ns");
	print_median("control", sample, b->rounds, "ns");
}

/* The state of xorshift64 needs many bits set. */
static uint64_t dice_of(uint64_t seed)
{
	return seed * 0x9e3779b97f4a7c15ULL;
}

static double drive_tuples(struct bench *b, const struct bpf_program *program,
			   const struct frame_bytes *frame)
{
	aim(b, program);
	b->drive->bss->dice = dice_of(b->seed);
	return run(b->drive->progs.drive_tuples, frame, PACKETS);
}

/* Measures packets of another four-tuple each time. */
static void measure_tuples(struct bench *b, const char *name, const struct frame_bytes *frame)
{
	double sample[MAX_ROUNDS], base;
	int i;

	for (i = -1; i < b->rounds; i++) {
		b->seed++;
		base = drive_tuples(b, b->drive->progs.empty, frame);
		base = drive_tuples(b, b->probe->progs.probe_ingress, frame) - base;
		if (i >= 0)
			sample[i] = base;
	}
	print_median(name, sample, b->rounds, "ns");
}

/* Returns nanoseconds for one connection. */
static double drive_connections(struct bench *b, const struct bpf_program *program,
				const struct frame_bytes *frame, int steps, int connections)
{
	aim(b, program);
	memcpy(b->drive->bss->steps, whole_connection, sizeof(whole_connection));
	b->drive->bss->step_count = steps;
	b->drive->bss->step = 0;
	b->drive->bss->dice = dice_of(b->seed);
	return run(b->drive->progs.drive_connections, frame, connections * steps) * steps;
}

static void measure_connection(struct bench *b, const char *name, const struct frame_bytes *frame,
			       int steps)
{
	double sample[MAX_ROUNDS], base;
	unsigned long records = b->records;
	int i;

	for (i = -1; i < b->rounds; i++) {
		b->seed++; /* the same tuple again so soon would be a late copy */
		base = drive_connections(b, b->drive->progs.empty, frame, steps, CONNECTIONS);
		base = drive_connections(b, b->probe->progs.probe_ingress, frame, steps,
					 CONNECTIONS) -
		       base;
		ring_buffer__consume(b->ring);
		if (i >= 0)
			sample[i] = base / 1000;
	}
	records = b->records - records;
	if (records != (b->rounds + 1UL) * CONNECTIONS) {
		fprintf(stderr, "cost: %lu records of %lu connections\n", records,
			(b->rounds + 1UL) * CONNECTIONS);
		exit(1);
	}
	print_median(name, sample, b->rounds, "us");
}

#define COLD_CONNECTIONS 60
#define COLD_BYTES (8 << 20) /* more than the caches of one core */

/* Fills the caches of this core with other data, as the work between two packets does. */
static void evict_caches(void)
{
	static volatile uint8_t other[COLD_BYTES];
	size_t i;

	for (i = 0; i < COLD_BYTES; i += 64)
		other[i]++;
}

/* Returns nanoseconds for one connection, of which each packet finds cold caches. */
static double drive_cold(struct bench *b, const struct bpf_program *program,
			 const struct frame_bytes *frame, int steps)
{
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->at,
			    .data_size_in = frame->length, .repeat = 1);
	uint64_t sum = 0;
	int i;

	aim(b, program);
	b->drive->bss->step_count = steps;
	b->drive->bss->step = 0;
	b->drive->bss->dice = dice_of(b->seed);
	for (i = 0; i < COLD_CONNECTIONS * steps; i++) {
		evict_caches();
		if (bpf_prog_test_run_opts(bpf_program__fd(b->drive->progs.drive_connections),
					   &opts))
			die("BPF_PROG_TEST_RUN");
		sum += opts.duration;
	}
	return (double)sum / COLD_CONNECTIONS;
}

/*
 * Like measure_connection(), and also prints the cost with the empty program and the ratio to it.
 * What the system call itself touches is not cold.
 */
static void measure_cold(struct bench *b, const char *name, const struct frame_bytes *frame,
			 int steps)
{
	double sample[MAX_ROUNDS], empty[MAX_ROUNDS], ratio[MAX_ROUNDS], base, cost;
	int rounds = (b->rounds + 2) / 3, i;
	unsigned long records = b->records;

	for (i = -1; i < rounds; i++) {
		b->seed++;
		base = drive_cold(b, b->drive->progs.empty, frame, steps);
		cost = drive_cold(b, b->probe->progs.probe_ingress, frame, steps);
		ring_buffer__consume(b->ring);
		if (i < 0)
			continue;
		sample[i] = (cost - base) / 1000;
		empty[i] = base / 1000;
		ratio[i] = cost / base;
	}
	records = b->records - records;
	if (records != (rounds + 1UL) * COLD_CONNECTIONS) {
		fprintf(stderr, "cost: %lu records of %lu cold connections\n", records,
			(rounds + 1UL) * COLD_CONNECTIONS);
		exit(1);
	}
	print_median(name, sample, rounds, "us");
	print_median("cold_empty", empty, rounds, "us");
	print_median("cold_ratio", ratio, rounds, "times");
}

/* Prints what the kernel reports of each program: machine code, maps, verified instructions. */
static void print_sizes(struct bench *b)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, b->probe->obj)
	{
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			die("bpf_prog_info");
		printf("size_%s %u %u %u\n", bpf_program__name(program), info.jited_prog_len,
		       info.nr_map_ids, info.verified_insns);
	}
}

static int take_record(void *context, void *data, size_t size)
{
	const struct record *r = data;
	struct bench *b = context;

	(void)size;
	/* A random four-tuple may equal a pending one, which it then replaces. */
	b->records += r->end_reason == END_PAYLOAD;
	return 0;
}

static int take_dns(void *context, void *data, size_t size)
{
	struct bench *b = context;

	(void)data;
	(void)size;
	b->dns_packets++;
	return 0;
}

static void load(struct bench *b)
{
	struct hash_seed seed;

	b->probe = probe_bpf__open();
	b->drive = drive_bpf__open_and_load();
	if (!b->probe || !b->drive)
		die("the BPF objects cannot be opened");
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		die("random numbers");
	hash_seed_make_odd(&seed);
	memcpy((void *)&b->probe->rodata->run_seed, &seed, sizeof(seed));
	b->probe->rodata->dns_budget_limit = UINT32_MAX;
	if (probe_bpf__load(b->probe))
		die("the BPF object does not load");
	b->ring = ring_buffer__new(bpf_map__fd(b->probe->maps.records), take_record, b, NULL);
	b->dns_ring = ring_buffer__new(bpf_map__fd(b->probe->maps.dns), take_dns, b, NULL);
	if (!b->ring || !b->dns_ring)
		die("ring buffer");
}

static struct frame_bytes frame_of(const struct tape *t)
{
	struct frame_bytes f = {};

	f.length = t->frames[t->count - 1].length;
	memcpy(f.at, t->frames[t->count - 1].bytes, f.length);
	return f;
}

static struct frame_bytes segment(bool ip6, uint16_t vlan, uint32_t payload)
{
	static struct tape t;

	tape_start(&t);
	t.ip6 = ip6;
	t.vlan[0] = vlan;
	tcp(&t, 0, CLIENT, TCP_ACK, 1, 1, payload);
	return frame_of(&t);
}

/* A DNS packet with a frame of DNS_FRAME bytes. */
static struct frame_bytes dns_packet(bool ip6, uint16_t vlan)
{
	static const uint8_t message[DNS_FRAME] = { 1, 2, 1 };
	static struct tape t;

	tape_start(&t);
	t.ip6 = ip6;
	t.vlan[0] = vlan;
	t.port[SERVER] = DNS_PORT;
	udp(&t, 0, CLIENT, message, DNS_FRAME - 14 - (vlan ? 4 : 0) - (ip6 ? 40 : 20) - 8);
	return frame_of(&t);
}

/* Returns the frame with another protocol in its IP header, or another ethertype. */
static struct frame_bytes with_protocol(struct frame_bytes f, bool ip6, uint8_t protocol)
{
	f.at[14 + (ip6 ? 6 : 9)] = protocol;
	f.at[14 + (ip6 ? 40 : 20)] = 8; /* for ICMP: an echo request */
	return f;
}

static struct frame_bytes with_ethertype(struct frame_bytes f, uint16_t ethertype)
{
	f.at[12] = ethertype >> 8;
	f.at[13] = ethertype;
	return f;
}

/* Walks through the openings like the sweep of a live run. */
static void measure_sweep(struct bench *b, const char *name, unsigned int expected)
{
	static uint32_t slots[SWEEP_BATCH];
	static struct flow_entry flows[SWEEP_BATCH];
	double sample[MAX_ROUNDS];
	int i, count;

	for (i = 0; i < b->rounds; i++) {
		uint32_t slot = 1, seen = 0;
		uint64_t began = cpu_time();

		while ((count = read_flows(b->probe, &slot, flows, slots, SWEEP_BATCH)) > 0)
			seen += count;
		if (count)
			die("bpf_map_lookup_batch");
		sample[i] = (cpu_time() - began) / 1e6;
		if (seen != expected) {
			fprintf(stderr, "cost: %u flows are opening instead of %u\n", seen,
				expected);
			exit(1);
		}
	}
	print_median(name, sample, b->rounds, "ms");
}

/* Prints the share of random four-tuples that the filter of openings cannot dismiss. */
static void print_false_maybes(struct bench *b)
{
	const struct hash_seed *seed = (const struct hash_seed *)&b->probe->rodata->run_seed;
	const struct flow_filter *filter = (const struct flow_filter *)&b->probe->bss->flow_filter;
	unsigned int maybes = 0, i, j;
	uint8_t ip[40] = {};

	srandom(1);
	for (i = 0; i < 1000000; i++) {
		for (j = 12; j < 24; j++)
			ip[j] = random() >> 8;
		maybes += filter_may_hold(filter, hash_headers(ip, ip + 20, false, seed));
	}
	printf("false_maybe %.3f %.3f %.3f %%\n", maybes / 1e4, maybes / 1e4, maybes / 1e4);
}

int main(int argc, char **argv)
{
	struct bench b = { .rounds = argc > 1 ? atoi(argv[1]) : 31 };
	struct frame_bytes data4 = segment(false, 0, 64), data6 = segment(true, 0, 64), f;

	if (b.rounds < 1 || b.rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: cost [ROUNDS]    1 to %d\n", MAX_ROUNDS);
		return 2;
	}
	libbpf_set_print(NULL);
	load(&b);

	measure_control(&b, &data4);
	measure_frame(&b, "data_v4", &data4);
	measure_frame(&b, "data_v6", &data6);
	f = segment(false, 0, 0);
	measure_frame(&b, "ack_v4", &f);
	f = segment(true, 0, 0);
	measure_frame(&b, "ack_v6", &f);
	f = with_protocol(data4, false, PROTOCOL_UDP);
	measure_frame(&b, "udp_v4", &f);
	f = with_protocol(data6, true, PROTOCOL_UDP);
	measure_frame(&b, "udp_v6", &f);
	f = dns_packet(false, 0);
	measure_dns(&b, "dns_v4", &f);
	f = dns_packet(true, 0);
	measure_dns(&b, "dns_v6", &f);
	f = dns_packet(false, 7);
	measure_dns(&b, "vlan_in_dns", &f);
	f = with_ethertype(data4, ETHERTYPE_ARP);
	measure_frame(&b, "arp", &f);
	f = with_protocol(data4, false, PROTOCOL_ICMP4);
	measure_frame(&b, "icmp_echo_v4", &f);
	f = with_protocol(data6, true, PROTOCOL_ICMP6);
	measure_frame(&b, "icmp_echo_v6", &f);
	f = with_protocol(data4, false, 50);
	measure_frame(&b, "esp_v4", &f);
	f = data4;
	f.at[14 + 7] = 185; /* the fragment offset: not the first fragment */
	measure_frame(&b, "fragment_v4", &f);
	f = segment(false, 7, 64);
	measure_frame(&b, "vlan_in_data", &f);
	f = with_ethertype(data4, 0x88cc);
	measure_frame(&b, "lldp", &f);
	measure_tuples(&b, "tuples_v4", &data4);
	measure_tuples(&b, "tuples_v6", &data6);

	measure_connection(&b, "opening", &data4, OPENING_STEPS);
	measure_connection(&b, "opening_and_closing", &data4, ALL_STEPS);
	measure_cold(&b, "cold_opening", &data4, OPENING_STEPS);
	print_sizes(&b);

	/* pending answered openings: 100 000 connections of SYN and SYN-ACK */
	b.seed++;
	drive_connections(&b, b.probe->progs.probe_ingress, &data4, ANSWERED_STEPS, FEW);
	measure_sweep(&b, "sweep_few", FEW);
	b.seed++;
	drive_connections(&b, b.probe->progs.probe_ingress, &data4, ANSWERED_STEPS, STORM - FEW);
	measure_sweep(&b, "sweep_storm", STORM);
	print_false_maybes(&b);
	measure_tuples(&b, "storm_v4", &data4);
	measure_tuples(&b, "storm_v6", &data6);
	measure_connection(&b, "storm_opening", &data4, OPENING_STEPS);

	ring_buffer__free(b.ring);
	ring_buffer__free(b.dns_ring);
	probe_bpf__destroy(b.probe);
	drive_bpf__destroy(b.drive);
	return 0;
}
