/* SPDX-License-Identifier: GPL-2.0 */
/* What the BPF object's table is told from here: how large it is, and which clients are no strangers. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "entry.h"
#include "line.h"
#include "narrow.h"
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

/* A client that completed a handshake: its attempts give their place after those of strangers. */
static inline void note_client(struct probe_bpf *bpf, const struct record *r)
{
	const struct hash_seed *seed = (const struct hash_seed *)&bpf->rodata->run_seed;
	bool is_end_1 = r->flow.client_flags & CLIENT_IS_END_1;

	if (is_answered_and_acked(&r->flow))
		bpf->bss->proven[client_number(&r->key.end[is_end_1], seed)] = true;
}
