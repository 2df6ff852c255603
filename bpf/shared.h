/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sizes and structs of the kernel's flow table that user space needs too, to size and read the
 * maps.
 */
#pragma once

#include "flow_hash.h"
#include "record.h"

/* With these sizes all maps fit in 64 MiB, also with hundreds of CPUs. */
#define DEFAULT_FLOWS 120000
#define DEFAULT_RING_BYTES (8 << 20)

#define MAX_TRACKED_FLOWS (1 << 20)

/* Entries that a CPU takes from an eviction queue at a time. The queues have whole chunks. */
#define EVICT_CHUNK 32

struct flow_entry {
	struct flow flow;
	struct flow_key key;
	__u32 slot; /* its own number, from 1 */
	__u32 pad;
};

/* An attempt that user space found due to settle. The kernel checks it again: see settle_due(). */
struct candidate {
	__u32 slot;
	__u32 client_isn;
};

#define CANDIDATES 64

/* Elements of the map egress_syns with --follow-peers. */
#define EGRESS_SYNS (1 << 16)

/* Flags for activity by interface. Several interfaces may share one. */
#define ACTIVITY_FLAGS 64

static __always_inline __u32 activity_index(__u32 ifindex)
{
	return ifindex & (ACTIVITY_FLAGS - 1);
}

/* Clients are distinguished by a hash of their address. Several may share a number. */
#define CLIENT_HASHES (1 << 16)

static __always_inline __u32 client_hash(const struct address *a,
					 const volatile struct hash_seed *seed)
{
	__u64 hash = hash_mix((__u64)a->word[0] << 32 | a->word[1], seed);

	return hash_mix(hash ^ ((__u64)a->word[2] << 32 | a->word[3]), seed) >> 48;
}
