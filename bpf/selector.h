/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Selection by --client, --server and --port. It is evaluated once for each attempt, at its first
 * SYN.
 */
#pragma once

#include "segment.h"

/*
 * Addresses and masks of the options. The mask of an absent option is zero and matches every
 * address.
 */
struct selector {
	struct address client;
	struct address client_mask;
	struct address server;
	struct address server_mask;
	__u8 by_port;
	__u8 ports[65536 / 8];
};

static __always_inline bool address_matches(const struct address *a,
					    const volatile struct address *net,
					    const volatile struct address *mask)
{
	int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < 4; i++)
		if ((a->word[i] & mask->word[i]) != net->word[i])
			return false;
	return true;
}

/* Returns true if an attempt of this client at this server is selected. */
static __always_inline bool selector_matches(const volatile struct selector *n,
					     const struct address *client,
					     const struct address *server, __u16 port)
{
	return address_matches(client, &n->client, &n->client_mask) &&
	       address_matches(server, &n->server, &n->server_mask) &&
	       (!n->by_port || n->ports[port >> 3] & 1 << (port & 7));
}

/* Returns true if the connection that this RST ends is selected. */
static __always_inline bool reset_is_selected(const volatile struct selector *n,
					      const struct segment *s, bool from_server)
{
	return from_server ? selector_matches(n, &s->destination, &s->source, s->source_port)
			   : selector_matches(n, &s->source, &s->destination, s->destination_port);
}
