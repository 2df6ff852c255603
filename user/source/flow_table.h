/* SPDX-License-Identifier: GPL-2.0 */
/* What the BPF object's table is told from here, and what is read of it: flows, and what it counted. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared.h"
#include "flow_filter.h"
#include "selector.h"
#include "probe.skel.h" /* needs those */

/* Before the object is loaded: for so many openings at once. */
static inline void set_places(struct probe_bpf *bpf, uint32_t flows)
{
	uint32_t chunks = (flows + QUEUE_CHUNK - 1) / QUEUE_CHUNK;

	bpf_map__set_max_entries(bpf->maps.flows, 1 + flows);
	bpf_map__set_max_entries(bpf->maps.vacant, flows);
	bpf->rodata->max_flows = flows;
	bpf_map__set_max_entries(bpf->maps.lines, lines_for(flows));
	bpf->rodata->line_mask = lines_for(flows) - 1;
	bpf_map__set_max_entries(bpf->maps.queue, 2 * chunks * QUEUE_CHUNK);
	bpf->rodata->queue_chunks = chunks;
}

/*
 * Reads flows of neighbouring places, from the first one on that is not before *place; moves that
 * behind them. Answers how many, 0 when there are no more; negative errno.
 */
static inline int read_places(const struct probe_bpf *bpf, uint32_t *place,
			      struct flow_entry *flows, uint32_t *numbers, uint32_t most)
{
	const volatile bool *present = bpf->bss->present;
	const uint32_t last = bpf->bss->places_used;
	uint32_t before, position, count = 0;

	while (*place <= last && !present[*place])
		++*place;
	before = *place - 1;
	while (*place <= last && count < most && present[*place]) {
		++*place;
		count++;
	}
	if (count &&
	    bpf_map_lookup_batch(bpf_map__fd(bpf->maps.flows), &before, &position, numbers, flows,
				 &count, NULL) &&
	    errno != ENOENT)
		return -errno;
	return count;
}

/*
 * Is what was read one flow? Its place may have been given to another one meanwhile, which writes the
 * slot behind all else but the key.
 */
static inline bool is_whole(const struct probe_bpf *bpf, const struct flow_entry *e)
{
	const struct hash_seed *seed = (const struct hash_seed *)&bpf->rodata->run_seed;
	const struct segment s = { .source = e->key.end[0],
				   .destination = e->key.end[1],
				   .source_port = e->key.port[0],
				   .destination_port = e->key.port[1],
				   .ip6 = !is_mapped(&e->key.end[0]) };

	return e->flow.syn_times[0] && e->flow.slot == segment_slot(&s, seed);
}

/* What was counted since the object was loaded, on all CPUs: COUNTERS sums. False, and zeros, on failure. */
static inline bool sum_counters(const struct probe_bpf *bpf, uint64_t *sums)
{
	int cpus = libbpf_num_possible_cpus(), cpu, i;
	uint64_t *counts = calloc(cpus, COUNTERS * sizeof(*counts));
	uint32_t zero = 0;
	bool is_read;

	memset(sums, 0, COUNTERS * sizeof(*sums));
	is_read = counts && !bpf_map_lookup_elem(bpf_map__fd(bpf->maps.counters), &zero, counts);
	for (cpu = 0; is_read && cpu < cpus; cpu++)
		for (i = 0; i < COUNTERS; i++)
			sums[i] += counts[cpu * COUNTERS + i];
	free(counts);
	return is_read;
}

/* A client that completed a handshake: its attempts give their place after those of strangers. */
static inline void note_client(struct probe_bpf *bpf, const struct record *r)
{
	const struct hash_seed *seed = (const struct hash_seed *)&bpf->rodata->run_seed;
	bool is_end_1 = r->flow.client_flags & CLIENT_IS_END_1;

	if (is_answered_and_acked(&r->flow))
		bpf->bss->proven[client_number(&r->key.end[is_end_1], seed)] = true;
}
