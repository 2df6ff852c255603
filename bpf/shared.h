/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sizes and structs of the BPF object's flow table that user space needs to size and read the maps.
 */
#pragma once

#include "flow_hash.h"
#include "record.h"

/* With these sizes all maps fit in 64 MiB, even on machines with hundreds of CPUs. */
#define DEFAULT_FLOWS 120000
#define DEFAULT_RING_BYTES (8 << 20)
#define DNS_RING_BYTES (2 << 20)

#define MAX_TRACKED_FLOWS (1 << 20)

struct flow_entry {
	struct flow flow;
	struct flow_key key;
	__u32 slot; /* index in the map flows, from 1 */
	__u32 pad;
};

/* An attempt that user space found due to settle. The kernel checks it again: see settle_due(). */
struct candidate {
	__u32 slot;
	__u32 client_isn;
};

#define CANDIDATES 64

/* Number of SYNs that left which --follow-peers remembers. */
#define EGRESS_SYNS (1 << 16)

/*
 * Number of activity flags. Interfaces share a flag if their indices are equal modulo this number.
 */
#define ACTIVITY_FLAGS 64

static __always_inline __u32 activity_index(__u32 ifindex)
{
	return ifindex & (ACTIVITY_FLAGS - 1);
}

/* SYNs of the clients with one client_hash() that were queued as verified: see evict.h. */
struct syn_budget {
	__u16 second; /* time of the last SYN, in units of 2^30 ns (about 1 s), modulo 2^16 */
	__u16 syns; /* SYNs counted in that unit of time */
};

/* Clients are identified by a hash of their address. Several clients may share a hash. */
#define CLIENT_HASHES (1 << 16)

static __always_inline __u32 client_hash(const struct address *a,
					 const volatile struct hash_seed *seed)
{
	__u64 hash = hash_mix((__u64)a->word[0] << 32 | a->word[1], seed);

	return hash_mix(hash ^ ((__u64)a->word[2] << 32 | a->word[3]), seed) >> 48;
}
