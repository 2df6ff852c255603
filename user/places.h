/* SPDX-License-Identifier: GPL-2.0 */
/* What the BPF object's table is told from here: how large it is, and which clients are no strangers. */
#pragma once

#include <bpf/libbpf.h>

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

/* A client that completed a handshake: its attempts give their place after those of strangers. */
static inline void note_client(struct probe_bpf *bpf, const struct record *r)
{
	const struct hash_seed *seed = (const struct hash_seed *)&bpf->rodata->run_seed;
	bool is_end_1 = r->flow.client_flags & CLIENT_IS_END_1;

	if (is_answered_and_acked(&r->flow))
		bpf->bss->proven[client_number(&r->key.end[is_end_1], seed)] = true;
}
