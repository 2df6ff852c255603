/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Eviction order: decides which attempt loses its slot when the table is full.
 *
 * Attempts are queued in the order of their first SYN, in one queue for each of two classes.
 * Attempts of unverified clients, which never completed a handshake, are evicted first. So a flood
 * from forged addresses evicts its own attempts.
 *
 * Buys: real connections keep their records during a flood of 57 000 SYN/s.
 * Costs: an entry of 8 bytes for each attempt, written once at its SYN under the queue's lock.
 */
#pragma once

#include "maps.h"

/* Until 1 / CLASSIFY_FRACTION of the slots have been used, all clients count as unverified. */
#define CLASSIFY_FRACTION 4

/*
 * Maximum number of SYNs a second of a verified client that are queued as verified. A source
 * address can be forged, and a verified client may itself be the source of a flood.
 */
#define SYN_BUDGET 256

/*
 * Maximum number of queue entries that one SYN examines: the oldest entries may have settled
 * already.
 */
#define EVICT_TRIES 64

/*
 * Returns true if a new attempt of this client belongs to the verified ones, and charges its SYN
 * budget.
 */
static __always_inline bool is_client_verified(const struct address *client, __u64 now)
{
	__u16 second = now >> 30;
	struct syn_budget *c;
	__u32 number;

	/* such early attempts are the oldest, and are evicted first in any case */
	if (likely(slots_high_water < max_flows / CLASSIFY_FRACTION))
		return false;
	number = client_hash(client, &run_seed);
	c = &syn_budgets[number & (CLIENT_HASHES - 1)];
	if (c->second != second) {
		c->second = second;
		c->syns = 0;
	}
	if (c->syns >= SYN_BUDGET)
		return false;
	c->syns++;
	return verified_clients[number & (CLIENT_HASHES - 1)];
}

/* Queues an attempt, given as ISN << 32 | slot. A full queue forgets its oldest. */
static __always_inline void evict_enqueue(bool is_verified, __u64 attempt)
{
	if (is_verified)
		bpf_map_push_elem(&evict_verified, &attempt, BPF_EXIST);
	else
		bpf_map_push_elem(&evict_unverified, &attempt, BPF_EXIST);
}

/*
 * Removes and returns the oldest attempt of a class, which may have settled. Returns 0 if there is
 * none.
 */
static __always_inline __u64 evict_dequeue(bool is_verified)
{
	__u64 attempt = 0;
	int error; /* not long, see slot_alloc() */

	error = is_verified ? bpf_map_pop_elem(&evict_verified, &attempt)
			    : bpf_map_pop_elem(&evict_unverified, &attempt);
	return error ? 0 : attempt;
}
