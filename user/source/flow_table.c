// SPDX-License-Identifier: GPL-2.0
#include "source/flow_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void set_table_sizes(struct probe_bpf *bpf, uint32_t flows)
{
	bpf_map__set_max_entries(bpf->maps.flows, 1 + flows);
	bpf_map__set_max_entries(bpf->maps.free_slots, flows);
	bpf->rodata->max_flows = flows;
	bpf_map__set_max_entries(bpf->maps.buckets, buckets_for(flows));
	bpf->rodata->bucket_mask = buckets_for(flows) - 1;
	bpf_map__set_max_entries(bpf->maps.evict_unverified, flows);
	bpf_map__set_max_entries(bpf->maps.evict_verified, flows);
}

int read_flows(const struct probe_bpf *bpf, uint32_t *slot, struct flow_entry *flows,
	       uint32_t *keys, uint32_t most)
{
	const volatile bool *in_use = bpf->bss->slot_in_use;
	const uint32_t last = bpf->bss->slots_high_water;
	uint32_t before, position, count = 0;

	while (*slot <= last && !in_use[*slot])
		++*slot;
	before = *slot - 1;
	while (*slot <= last && count < most && in_use[*slot]) {
		++*slot;
		count++;
	}
	if (count &&
	    bpf_map_lookup_batch(bpf_map__fd(bpf->maps.flows), &before, &position, keys, flows,
				 &count, NULL) &&
	    errno != ENOENT)
		return -errno;
	return count;
}

bool is_consistent_copy(const struct probe_bpf *bpf, const struct flow_entry *e)
{
	const struct hash_seed *seed = (const struct hash_seed *)&bpf->rodata->run_seed;
	const struct segment s = { .source = e->key.end[0],
				   .destination = e->key.end[1],
				   .source_port = e->key.port[0],
				   .destination_port = e->key.port[1],
				   .ip6 = !is_mapped(&e->key.end[0]) };

	return e->flow.syn_times[0] && e->flow.hash == segment_hash(&s, seed);
}

bool read_counters(const struct probe_bpf *bpf, uint64_t *sums)
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

void read_reset_sets(const struct probe_bpf *bpf, struct reset_set *sets)
{
	uint32_t count = RESET_SETS, position, keys[RESET_SETS];

	if (bpf_map_lookup_batch(bpf_map__fd(bpf->maps.resets), NULL, &position, keys, sets, &count,
				 NULL) &&
	    errno != ENOENT)
		memset(sets, 0, RESET_SETS * sizeof(*sets));
}

void mark_client_verified(struct probe_bpf *bpf, const struct record *r)
{
	const struct hash_seed *seed = (const struct hash_seed *)&bpf->rodata->run_seed;
	bool is_end_1 = r->flow.client_flags & CLIENT_IS_END_1;

	if (is_handshake_complete(&r->flow))
		bpf->bss->verified_clients[client_hash(&r->key.end[is_end_1], seed)] = true;
}
