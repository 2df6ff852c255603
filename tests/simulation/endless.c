// SPDX-License-Identifier: GPL-2.0
/*
 * endless [RECORDS]
 *
 * Checks that memory stays constant over a run of days. It feeds the model with records, 50 million
 * by default, at 200 a second of virtual time. They have more hosts, peers, stalls and failures than
 * the model keeps. It compares the allocated memory after each quarter: the first quarter reaches all limits,
 * and memory must not grow after it. The cost of a record and of the final diagnosis is only
 * printed, because machines are noisy.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diagnose/diagnose.h"
#include "rng.h"
#include "attempt.h"

#define HOSTS 100000 /* each with a MAC */
#define ADDRESSES 300000 /* of clients: two or three for each host */
#define SERVERS 50000 /* servers that answer */
#define RECORDS_A_SECOND 200
#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))
#define SLACK (4 << 20) /* bytes, for the rounding of hash tables and the allocator */

/* A record that settles at this moment, or shortly before. */
static void any_record(struct connection *c, struct draw *d, ns_t now)
{
	uint32_t address = (uint32_t)draw_below(d, ADDRESSES);
	double what = draw_unit(d);
	struct wire w;
	unsigned int i;

	wire_init(&w);
	w.client.address =
		(struct address){ { 0, 0, IP4_PREFIX, cpu_to_be32(0x0a000000 + address) } };
	w.client.port = 32768 + (uint16_t)draw_below(d, 28000);
	w.has_mac = true;
	w.mac[0] = 2;
	memcpy(&w.mac[1], &(uint32_t){ address % HOSTS }, sizeof(uint32_t));
	w.server.address =
		(struct address){ { 0, 0, IP4_PREFIX,
				    cpu_to_be32(0x40000000 + (uint32_t)draw_below(d, SERVERS)) } };
	w.server.port = 443;
	w.round_trip = SECONDS(0.001);
	w.syn_count = 1;
	w.syns[0] = now;
	w.client_size = 517;
	w.server_size = 1000;
	if (what < 0.25) { /* silent, refused, unreachable; an unlimited number of peers */
		w.server.address.word[3] = cpu_to_be32(0x60000000 + ((uint32_t)draw_bits(d) >> 4));
		w.server.port = (uint16_t)draw_bits(d);
		if (what < 0.05) {
			w.refused = now + SECONDS(0.02);
		} else {
			for (i = 1; i < 3; i++)
				w.syns[w.syn_count++] = now + SECONDS(i * i);
			if (what < 0.1)
				w.icmp = now + SECONDS(0.02);
		}
	} else {
		w.synack = now + SECONDS(0.02);
		w.ack = w.synack + w.round_trip;
		if (what < 0.3) { /* unused */
			w.client_fin = w.ack + SECONDS(10);
			w.server_fin = w.client_fin + SECONDS(0.02);
		} else if (what < 0.33) { /* greeted, some late */
			w.server.port = 25;
			w.server_first = w.ack + SECONDS(draw_exponential(d, 3));
			w.client_first = w.server_first + w.round_trip;
		} else if (what < 0.35) { /* open forever */
			w.ack = w.synack + w.round_trip;
		} else {
			w.client_first =
				w.ack + SECONDS(what < 0.55 ? draw_exponential(d, 8) : 0.001);
			w.server_first = w.client_first + SECONDS(0.03);
		}
	}
	/*
	 * The end of the run is far away; connections that stay open were evicted under pressure.
	 */
	wire_settle(c, &w, INT64_MAX / 2);
	if (c->end_reason == END_OF_RUN) {
		c->end_reason = END_PRESSURE;
		c->settled = w.ack + SECONDS(61);
		c->watched = c->settled - c->syn;
	}
}

static size_t allocated(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 50000000, i, quarter;
	struct draw draw = { .state = 1 };
	struct diagnosis diagnosis;
	struct session session = { 0 };
	struct host_facts facts = { 0 };
	size_t bytes[4];
	struct connection c;
	struct model *m;
	double began;
	int passed = 0, failed = 0;

	if (argc > 2 || !records) {
		fprintf(stderr, "usage: %s [RECORDS]\n", argv[0]);
		return 2;
	}
	m = model_new(SECOND_NS, NULL);
	if (!m)
		abort();
	printf("%12s  %12s  %16s  %14s\n", "records", "days", "bytes allocated", "ns a record");
	for (quarter = 0; quarter < 4; quarter++) {
		began = cpu_seconds();
		for (i = quarter * records / 4; i < (quarter + 1) * records / 4; i++) {
			any_record(&c, &draw, (ns_t)(i * (SECOND_NS / RECORDS_A_SECOND)));
			model_settled(m, &c);
		}
		bytes[quarter] = allocated();
		printf("%12llu  %12.3f  %16zu  %14.0f\n", (unsigned long long)i,
		       (double)i / RECORDS_A_SECOND / 86400, bytes[quarter],
		       (cpu_seconds() - began) / ((double)records / 4) * 1e9);
	}
	began = cpu_seconds();
	if (!diagnose(&diagnosis, m, &session, &facts))
		abort();
	printf("%llu records processed; the diagnosis: %zu findings in %.1f s\n",
	       (unsigned long long)m->dropped_details, diagnosis.count, cpu_seconds() - began);
	/* The user waits for the diagnosis at the end, and it must handle all records. */
	*(diagnosis.count ? &passed : &failed) += 1;
	diagnosis_free(&diagnosis);
	/* Otherwise a run of days would end without memory. */
	*(bytes[3] <= bytes[0] + bytes[0] / 20 + SLACK ? &passed : &failed) += 1;
	/* Otherwise no limit was reached, and the check before proves nothing. */
	*(m->dropped_details ? &passed : &failed) += 1;
	/* A limit without a counter would lose records silently. */
	*(m->connections == records ? &passed : &failed) += 1;
	model_free(m);
	printf("endless: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
