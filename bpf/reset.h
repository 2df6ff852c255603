/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts connections that are reset after they opened, by server and by who sent the RST. A
 * firewall, NAT or server that has lost its connections is visible only so: nothing opens.
 *
 * The RST of a connection counts if neither a FIN nor another RST was seen before. So a connection
 * counts once, and the RSTs in the wake of an ordinary close do not count. Connections with equal
 * hashes are taken for one.
 *
 * Buys: the finding old-connections-reset.
 * Costs: 128 KiB for the guard, 228 KiB for the servers; a store for each FIN, below 0.3 us a
 * connection in all, and a clock read, a lookup and a lock for its first RST. Segments without FIN
 * and RST execute the same instructions as without this.
 */
#pragma once

#ifndef __bpf__
#include <linux/bpf.h>
#endif
#include "segment.h"
#include "shared.h"

/* ---- guard: which connections are closing, and how many resets are counted ---- */

/* Maximum number of resets that are counted in 2^30 ns (about 1 s). */
#define RESET_BUDGET 4096

/* Maximum number of SYN-ACKs without a SYN that are published in the same time. */
#define SYNACK_ALONE_BUDGET 1024

struct budget {
	__u32 second; /* time of the last charge, in units of 2^30 ns */
	__u32 used; /* charges in that unit of time */
};

struct reset_guard {
	/*
	 * indexed by the upper half of the hash: closing_tag() of the last connection there that
	 * sent a FIN or RST
	 */
	__u16 closing[1 << 16];
	struct budget resets; /* RESET_BUDGET */
	struct budget synacks_alone; /* SYNACK_ALONE_BUDGET */
};

/* Returns the lower half of the hash; 0 is an unused element. */
static __always_inline __u16 closing_tag(__u32 hash)
{
	return (__u16)hash ? hash : 1;
}

static __always_inline bool is_closing(const struct reset_guard *guard, __u32 hash)
{
	return guard->closing[hash >> 16] == closing_tag(hash);
}

static __always_inline void set_closing(struct reset_guard *guard, __u32 hash)
{
	guard->closing[hash >> 16] = closing_tag(hash);
}

/* Charges the budget. Returns false if it is used up. CPUs that do so at once use a few more. */
static __always_inline bool budget_charge(struct budget *budget, __u32 limit, __u64 now)
{
	__u32 second = now >> 30;

	if (budget->second != second) {
		budget->second = second;
		budget->used = 0;
	}
	if (budget->used >= limit)
		return false;
	budget->used++;
	return true;
}

/*
 * Returns true if this RST answers a SYN: a segment without ACK is answered with the sequence
 * number 0 (RFC 9293 3.10.7.1). It may be a late copy, or the SYN was not stored.
 */
static __always_inline bool is_refusal(const struct segment *s)
{
	return s->flags & TCP_ACK && !s->seq;
}

/* ---- servers ---- */

#define RESET_WAYS 4
#define RESET_SETS 512
#define RESET_WINDOW_NS (10 * SECOND_NS)

/* The entries that a server may use. Of a full set, the server with the fewest resets is replaced. */
struct reset_set {
	struct bpf_spin_lock lock;
	__u32 way; /* of the last reset, see reset_set_count() */
	struct reset_server ways[RESET_WAYS];
};

/* The first RST of a connection. */
struct reset {
	struct address server;
	__u64 place; /* port and interface; never 0 */
	__u32 set;
	__u8 client_bit;
	__u8 ttl;
	bool from_server;
	bool with_ack;
	bool by_gateway;
	bool opened_here;
};

/*
 * The SYN of an old connection is unknown. The end with the lower port is taken for the server:
 * ephemeral ports are above the ports of services.
 */
static __always_inline bool is_from_server(const struct segment *s)
{
	return s->source_port <= s->destination_port;
}

static __always_inline void reset_of(struct reset *r, const struct segment *s, bool opened_here,
				     const volatile struct hash_seed *seed)
{
	bool from_server = is_from_server(s);

	r->server = from_server ? s->source : s->destination;
	r->place = (__u64)(from_server ? s->source_port : s->destination_port) << 32 | s->ifindex;
	r->set = (client_hash(&r->server, seed) + (r->place >> 32) * 0x9e3779b1U + s->ifindex) &
		 (RESET_SETS - 1);
	r->client_bit = client_hash(from_server ? &s->destination : &s->source, seed) & 127;
	r->ttl = s->ttl;
	r->from_server = from_server;
	r->with_ack = s->flags & TCP_ACK;
	r->by_gateway = s->from_gateway;
	r->opened_here = opened_here;
}

static __always_inline bool is_server_of(const struct reset_server *e, const struct reset *r)
{
	const __u64 *a = (const __u64 *)&e->address, *b = (const __u64 *)&r->server;
	__u64 place = (__u64)e->port << 32 | e->ifindex;

	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (place ^ r->place));
}

static __always_inline void reset_server_start(struct reset_server *e, const struct reset *r)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->address = r->server;
	e->ifindex = r->place;
	e->port = r->place >> 32;
	e->ttl_min = 0xff;
}

static __always_inline void reset_server_count(struct reset_server *e, const struct reset *r,
					       __u64 now)
{
	if (!e->window || (__s64)(now - e->window_first) > (__s64)RESET_WINDOW_NS) {
		e->window = 0;
		e->window_first = now;
	}
	if (!e->resets++)
		e->first = now;
	e->last = now;
	if (++e->window > e->burst) {
		e->burst = e->window;
		e->burst_first = e->window_first;
		e->burst_last = now;
	}
	e->without_ack += !r->with_ack;
	e->opened_here += r->opened_here;
	e->clients[r->client_bit >> 6 & 1] |= 1ULL << (r->client_bit & 63);
	e->by_gateway += r->by_gateway;
	if (r->by_gateway)
		return;
	if (r->ttl < e->ttl_min)
		e->ttl_min = r->ttl;
	if (r->ttl > e->ttl_max)
		e->ttl_max = r->ttl;
}

/* Reads the number back from memory: the verifier follows a path for each value that it knows. */
static __always_inline struct reset_server *way_of(struct reset_set *set)
{
	return &set->ways[*(volatile __u32 *)&set->way & (RESET_WAYS - 1)];
}

/*
 * Counts a reset, with the set locked. Returns the number of resets of the server whose entry was
 * replaced. Only a reset that counts for the finding replaces others.
 */
static __always_inline __u32 reset_set_count(struct reset_set *set, const struct reset *r,
					     __u64 now)
{
	bool counts = r->from_server && !(r->with_ack && r->opened_here);
	__u32 i, replaced = 0;
	struct reset_server *e;

	set->way = 0;
	for (i = 1; i < RESET_WAYS; i++)
		if (set->ways[i].resets < way_of(set)->resets)
			set->way = i;
	for (i = 0; i < RESET_WAYS; i++)
		if (is_server_of(&set->ways[i], r))
			set->way = i;
	e = way_of(set);
	if (!is_server_of(e, r)) {
		if (!counts && (!r->from_server || e->resets))
			return 0;
		replaced = e->resets;
		reset_server_start(e, r);
	}
	if (counts)
		reset_server_count(e, r, now);
	else if (r->from_server)
		e->closes++;
	else
		e->by_client++;
	return replaced;
}
