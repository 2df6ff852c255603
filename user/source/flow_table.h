/* SPDX-License-Identifier: GPL-2.0 */
/* User-space half of the BPF object's flow table: its sizes, and reading flows and counters. */
#pragma once

#include "shared.h"
#include "bucket.h"
#include "flow_filter.h"
#include "selector.h"
#include "probe.skel.h" /* uses the types of the headers above */

/* Sets the maps' sizes for this many flows. Call it before the object is loaded. */
void set_table_sizes(struct probe_bpf *bpf, uint32_t flows);

/*
 * Reads the next run of occupied slots from *slot on, at most `most`, and advances *slot past it. keys
 * is scratch space of the same length as flows. Returns the number of flows read, 0 at the end, or a
 * negative errno.
 */
int read_flows(const struct probe_bpf *bpf, uint32_t *slot, struct flow_entry *flows,
	       uint32_t *keys, uint32_t most);

/*
 * Returns false if the copy mixes two flows: the slot may have been reused while it was read. The
 * kernel side writes the hash after all other fields but the key.
 */
bool is_consistent_copy(const struct probe_bpf *bpf, const struct flow_entry *e);

/* Sums COUNTERS counters over all CPUs. Returns false, with zeros in sums, on failure. */
bool read_counters(const struct probe_bpf *bpf, uint64_t *sums);

/* Once a client has completed a handshake, its flows are evicted after those of unverified clients. */
void mark_client_verified(struct probe_bpf *bpf, const struct record *r);
