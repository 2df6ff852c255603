/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Eviction order: decides which attempt loses its slot when the table is full.
 *
 * Attempts are queued in the order of their first SYN, in one ring for each of two classes.
 * Attempts of unverified clients, which never completed a handshake, are evicted first. So a flood
 * from forged addresses evicts its own attempts.
 *
 * Buys: real connections keep their records during a flood of 57 000 SYN/s.
 * Costs: a ring entry of 8 bytes for each attempt, written once at its SYN. A CPU takes EVICT_CHUNK
 * entries at a time, so that the lock is taken once for 32 attempts. The order is therefore exact
 * only to within one chunk for each CPU.
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

/* Returns the class of a new attempt of this client, and charges its SYN budget. */
static __always_inline __u32 evict_class(const struct address *client, __u64 now)
{
	__u16 second = now >> 30;
	struct syn_budget *c;
	__u32 number, pair;

	/* such early attempts are the oldest, and are evicted first in any case */
	if (likely(slots_high_water < max_flows / CLASSIFY_FRACTION))
		return EVICT_UNVERIFIED;
	number = client_hash(client, &run_seed);
	pair = number / 2;
	c = bpf_map_lookup_elem(&syn_budgets, &pair);
	if (!c)
		return EVICT_UNVERIFIED;
	barrier_var(c); /* otherwise clang may add to the pointer before the NULL check */
	c += number & 1;
	if (c->second != second) {
		c->second = second;
		c->syns = 0;
	}
	if (c->syns >= SYN_BUDGET)
		return EVICT_UNVERIFIED;
	c->syns++;
	return verified_clients[number & (CLIENT_HASHES - 1)] ? EVICT_VERIFIED : EVICT_UNVERIFIED;
}

static __always_inline void evict_cursor_set(struct evict_cursor *cursor, __u32 class, __u32 chunk)
{
	cursor->next = (class * evict_chunks + chunk % evict_chunks) * EVICT_CHUNK;
	cursor->left = EVICT_CHUNK;
}

/* Queues an attempt, given as ISN << 32 | slot. A full ring overwrites its oldest chunk. */
static __always_inline void evict_enqueue(__u32 class, __u64 attempt)
{
	struct evict_cursor *enqueue;
	struct cpu_evict_cursors *cpu;
	__u32 zero = 0, chunk;
	struct evict_ends *q;
	__u64 *entry;

	cpu = bpf_map_lookup_elem(&cpu_evict_cursors, &zero);
	q = bpf_map_lookup_elem(&evict_ends, &class);
	if (!cpu || !q)
		return;
	enqueue = class == EVICT_VERIFIED ? &cpu->enqueue[EVICT_VERIFIED]
					  : &cpu->enqueue[EVICT_UNVERIFIED];
	if (!enqueue->left) {
		bpf_spin_lock(&q->lock);
		chunk = q->head++;
		if (q->head - q->tail > evict_chunks)
			q->tail = q->head - evict_chunks;
		bpf_spin_unlock(&q->lock);
		evict_cursor_set(enqueue, class, chunk);
	}
	entry = bpf_map_lookup_elem(&evict_queue, &enqueue->next);
	enqueue->next++;
	enqueue->left--;
	if (entry)
		*entry = attempt;
}

/*
 * Removes and returns the oldest attempt of a class, which may have settled. Returns 0 if there is
 * none.
 */
static __always_inline __u64 evict_dequeue(__u32 class)
{
	struct cpu_evict_cursors *cpu;
	struct evict_cursor *dequeue;
	__u32 zero = 0, chunk = 0;
	struct evict_ends *q;
	__u64 *entry;
	bool any;

	cpu = bpf_map_lookup_elem(&cpu_evict_cursors, &zero);
	q = bpf_map_lookup_elem(&evict_ends, &class);
	if (!cpu || !q)
		return 0;
	dequeue = class == EVICT_VERIFIED ? &cpu->dequeue[EVICT_VERIFIED]
					  : &cpu->dequeue[EVICT_UNVERIFIED];
	if (!dequeue->left) {
		bpf_spin_lock(&q->lock);
		any = q->tail != q->head;
		if (any)
			chunk = q->tail++;
		bpf_spin_unlock(&q->lock);
		if (!any)
			return 0;
		evict_cursor_set(dequeue, class, chunk);
	}
	entry = bpf_map_lookup_elem(&evict_queue, &dequeue->next);
	dequeue->next++;
	dequeue->left--;
	return entry ? *entry : 0;
}
