// SPDX-License-Identifier: GPL-2.0
/*
 * What a record costs on the user side, without a kernel.
 *
 *	user [CLIENTS [SERVERS [RECORDS]]]
 *
 * Plays records into the pipeline, 100 000 in each second of virtual time: connections that random
 * clients open to random servers, one in 64 without an answer. Prints the CPU time of a record in
 * nanoseconds. To compare two builds, run both in turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline.h"

#define TICK 5000 /* records that are read at a time, each 50 ms */
#define TICKS_A_SWEEP 5
#define RECORD_NS 10000 /* between two records */
#define SILENT_IN 64

static struct record records[TICK];

static uint64_t throw_dice(void)
{
	static uint64_t dice = 88172645463325252;

	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return dice;
}

/* Orders the ends as the kernel does: the lower address first. */
static void set_key(struct record *r, uint32_t client, uint32_t server, uint64_t chance)
{
	r->key = (struct flow_key){
		.end = { { { 0, 0, IP4_PREFIX, cpu_to_be32(0x0a000000 + client) } },
			 { { 0, 0, IP4_PREFIX, cpu_to_be32(0xcb007100 + server) } } },
		.port = { 1024 | (uint16_t)chance, 443 },
		.ifindex = 1,
	};
}

static void any_record(struct record *r, uint64_t now, uint64_t clients, uint64_t servers)
{
	uint64_t chance = throw_dice(), syn = now - 30 * MILLISECOND_NS;
	uint32_t client = (chance >> 16) % clients;
	struct flow *f = &r->flow;

	*r = (struct record){ .version = RECORD_VERSION, .settled = now };
	set_key(r, client, (chance >> 40) % servers, chance);
	f->syn_times[0] = f->syn_last = syn;
	f->syn_count = 1;
	f->syn_options = SYN_NO_SCALE << SYN_SCALE_SHIFT;
	f->client_isn = chance >> 32;
	f->client_flags = CLIENT_HAS_MAC;
	f->client_mac[0] = 2;
	f->client_mac[4] = client >> 14; /* some 16 000 clients behind a router */
	if (chance % SILENT_IN == 0) {
		r->end_reason = END_TIMEOUT;
		f->syn_times[0] = now - 10 * SECOND_NS;
		f->syn_times[1] = f->syn_last = now - 9 * SECOND_NS;
		f->syn_count = 2;
		return;
	}
	r->end_reason = END_PAYLOAD;
	f->synack = syn + 10 * MILLISECOND_NS;
	f->synack_count = 1;
	f->ack = syn + 11 * MILLISECOND_NS;
	f->client_first = syn + 12 * MILLISECOND_NS;
	f->client_size = 517;
	f->server_first = syn + 29 * MILLISECOND_NS;
	f->server_size = 1400;
	f->client_flags |= CLIENT_ACKED;
	f->server_flags = SERVER_ACKED;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t clients = argc > 1 ? strtoull(argv[1], NULL, 10) : 16384;
	uint64_t servers = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 2000000, i, j;
	char *arguments[] = { "user", "--quiet", "--read", "/dev/null", NULL };
	uint64_t start = 100 * SECOND_NS, now = start + 20 * SECOND_NS;
	static struct pipeline pipeline;
	static struct options options;
	const struct sink *sink = &pipeline.sink;
	struct connection c;
	double cpu = 0;

	options_parse(&options, 4, arguments);
	if (!clients || !servers || argc > 4 || pipeline_open(&pipeline, &options)) {
		fprintf(stderr, "usage: user [CLIENTS [SERVERS [RECORDS]]]\n");
		return 2;
	}
	sink->started(sink->context);
	for (i = 0; i < count; i += TICK) {
		for (j = 0; j < TICK; j++)
			any_record(&records[j], now += RECORD_NS, clients, servers);
		cpu -= cpu_seconds();
		for (j = 0; j < TICK; j++) {
			connection_of(&c, &records[j], start);
			sink->settled(sink->context, &c);
		}
		if (i / TICK % TICKS_A_SWEEP == TICKS_A_SWEEP - 1)
			sink->swept(sink->context, now - start);
		cpu += cpu_seconds();
	}
	printf("%.0f ns a record\n", cpu / (double)i * 1e9);
	return pipeline_close(&pipeline) != 0;
}
