/* SPDX-License-Identifier: GPL-2.0 */
/* What an element of the kernel's map of flows holds, for the hooks and for whoever reads the map. */
#pragma once

#include "record.h"
#ifndef __bpf__
#include <linux/bpf.h>
#endif

/* With these all maps fit in 64 MiB, on hundreds of CPUs as well. */
#define DEFAULT_FLOWS 120000
#define DEFAULT_RING_BYTES (8 << 20)

/* Of the queue of attempts: --max-flows is rounded up to chunks. */
#define QUEUE_CHUNK 32

struct flow_entry {
	struct flow flow;
	struct flow_key key;
	struct bpf_spin_lock lock; /* held for a claim alone */
	__u32 claimed; /* when somebody began to take it out, in units of 2^20 ns; or 0 */
	__u32 pad;
	__u64 id; /* the map's key: see flow_id() */
};

/* An attempt that user space believes due to settle. The kernel looks again: see settle_due(). */
struct candidate {
	__u64 id;
	__u32 client_isn;
	__u32 pad;
};

#define CANDIDATES 64

/* Places for SYNs that were seen leaving, with --follow-peers. */
#define LEAVING (1 << 16)

/* Marks of what passed, one an interface; several interfaces may share one. */
#define SEEN_SLOTS 64

static __always_inline __u32 seen_slot(__u32 ifindex)
{
	return ifindex & (SEEN_SLOTS - 1);
}

/* Short, so that a lookup is quick. A hash of 64 bits with a secret; the key is compared as well. */
static __always_inline __u64 flow_id(const struct flow_key *key, __u64 hash)
{
	return hash ^ ((__u64)key->ifindex << 32 | (__u32)key->vlan[0] << 16 | key->vlan[1]) *
			      0x9e3779b97f4a7c15ULL;
}

static __always_inline bool is_same_key(const struct flow_key *a, const struct flow_key *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;
	__u32 differ = 0;
	unsigned int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < sizeof(*a) / sizeof(*x); i++)
		differ |= x[i] ^ y[i];
	return !differ;
}
