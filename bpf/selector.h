/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Selection by --client, --server and --port. It is evaluated once for each attempt, at its first
 * SYN.
 */
#pragma once

#include "segment.h"

/* Networks that --client or --server may name; tests/kernels/verify measures the verifier's work. */
#define MAX_NETWORKS 16

/* net has no bits outside mask. */
struct network {
	struct address net;
	struct address mask;
	__u32 is_ip6; /* 1 or 0; ::/0 does not contain IPv4-mapped addresses */
};

/*
 * The networks of an option: first those that are included, then those that are excluded. An address
 * is selected if it is in an included network, or none is named, and it is in no excluded one.
 */
struct network_list {
	__u32 included;
	__u32 count; /* with the excluded ones; 0 selects all addresses, and costs nothing */
	struct network at[MAX_NETWORKS];
};

struct selector {
	struct network_list clients;
	struct network_list servers;
	__u8 by_port;
	__u8 ports[65536 / 8];
};

/* Returns 0 if the network contains the address. mapped is 1 for an IPv4-mapped address, else 0. */
static __always_inline __u32 network_differs(const volatile struct network *n,
					     const volatile struct address *a, __u32 mapped)
{
	__u32 different = mapped & n->is_ip6;
	int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < 4; i++)
		different |= (a->word[i] ^ n->net.word[i]) & n->mask.word[i];
	return different;
}

/*
 * The loop has no branch that depends on the address: the verifiers of kernels before 6.4 forget
 * the states of a loop, and would walk each combination of branches.
 */
static __always_inline bool networks_select(const volatile struct network_list *l,
					    const struct address *a)
{
	__u32 included = l->included, count = l->count, mapped = is_mapped(a), i;
	__u64 hit, in = !included, out = 0;

#ifdef __bpf__
#pragma clang loop unroll(disable)
#endif
	for (i = 0; i < MAX_NETWORKS; i++) {
		if (i >= count)
			break;
		hit = network_differs(&l->at[i], a, mapped);
		barrier_var(hit); /* else clang makes a branch of it */
		hit = (hit - 1) >> 63;
		if (i < included)
			in |= hit;
		else
			out |= hit;
	}
	return in & ~out;
}

/* Returns true if an attempt of this client at this server is selected. */
static __always_inline bool selector_matches(const volatile struct selector *n,
					     const struct address *client,
					     const struct address *server, __u16 port)
{
	return networks_select(&n->clients, client) && networks_select(&n->servers, server) &&
	       (!n->by_port || n->ports[port >> 3] & 1 << (port & 7));
}

/* Returns false if all connections are selected. The verifier then drops the selection. */
static __always_inline bool selector_is_used(const volatile struct selector *n)
{
	return n->clients.count || n->servers.count || n->by_port;
}

/* Returns true if the connection of this segment is selected. */
static __always_inline bool segment_is_selected(const volatile struct selector *n,
						const struct segment *s, bool from_server)
{
	return from_server ? selector_matches(n, &s->destination, &s->source, s->source_port)
			   : selector_matches(n, &s->source, &s->destination, s->destination_port);
}
