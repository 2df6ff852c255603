/* SPDX-License-Identifier: GPL-2.0 */
/* User-space side of the BPF object's flow table: sets its sizes, and reads flows and counters. */
#pragma once

#include "shared.h"
#include "bucket.h"
#include "flow_filter.h"
#include "reset.h"
#include "selector.h"
#include "probe.skel.h" /* uses the types of the headers above */

/* Sets the sizes of the maps for this number of flows. Call it before the object is loaded. */
void set_table_sizes(struct probe_bpf *bpf, uint32_t flows);

/*
 * Reads the next run of occupied slots, starting at *slot and at most `most` long, and advances
 * *slot past it. keys is scratch space of the same length as flows. Returns the number of flows
 * read, 0 at the end, or a negative errno.
 */
int read_flows(const struct probe_bpf *bpf, uint32_t *slot, struct flow_entry *flows,
	       uint32_t *keys, uint32_t most);

/*
 * Returns false if the copy mixes two flows, because the slot was reused while it was read. The BPF
 * side writes the hash after all other fields except the key.
 */
bool is_consistent_copy(const struct probe_bpf *bpf, const struct flow_entry *e);

/* Sums each of the COUNTERS counters over all CPUs. Returns false, with zeroed sums, on failure. */
bool read_counters(const struct probe_bpf *bpf, uint64_t *sums);

/* Reads all RESET_SETS sets of reset connections. On failure, zeroes them. */
void read_reset_sets(const struct probe_bpf *bpf, struct reset_set *sets);

/*
 * Marks a client that completed a handshake: its flows are evicted after those of unverified
 * clients.
 */
void mark_client_verified(struct probe_bpf *bpf, const struct record *r);
