/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads this host's connection tracking (ctnetlink). It finds the client behind an address that
 * this host translates (SNAT), and detects flows that a flowtable carries past the hooks.
 *
 * The kernel sends an event for each new connection before the SYN leaves, so even a connection
 * that is refused at once is known. Joining the event group takes CAP_NET_ADMIN, reading from it
 * does not. A query about one connection takes CAP_NET_ADMIN each time, so that capability is kept
 * on hosts with flowtables.
 *
 * Memory is bounded by MAX_TRACKED; the least recently used entry is evicted.
 */
#pragma once

#include "connection.h"

#define MAX_TRACKED (1 << 17)

struct conntrack;

/*
 * Opens connection tracking of the caller's network namespace; call it before privileges are
 * dropped. Returns NULL if it cannot be read. *why is then the reason, or NULL if this host tracks
 * no connections.
 */
struct conntrack *conntrack_open(const char **why);
void conntrack_close(struct conntrack *k);

/* Returns true if this kernel has loaded flowtables, which may carry flows past the hooks. */
bool conntrack_has_flowtables(void);

/* Returns true if conntrack_complete() will need CAP_NET_ADMIN. */
bool conntrack_needs_privileges(const struct conntrack *k);

/* Reads at most some thousand pending events. Never blocks. */
void conntrack_read(struct conntrack *k);

/*
 * Answers from what is known, without reading the sockets, until the next conntrack_read(). For a
 * copy of this process, whose sockets are its parent's.
 */
void conntrack_freeze(struct conntrack *k);

/* Stops receiving events, each of which takes about 6 us to read. */
void conntrack_unsubscribe(struct conntrack *k);

/*
 * Completes a connection as seen on the wire. If this host replaced the client's address by its
 * own, stores the endpoint seen in c->nat_endpoint and the true client in c->client. Sets
 * c->offloaded if a flowtable has taken over the flow; this is queried only after a silence.
 */
void conntrack_complete(struct conntrack *k, struct connection *c);

/*
 * Returns the number of times that events were lost because the socket's buffer overran (ENOBUFS).
 */
uint64_t conntrack_lost(const struct conntrack *k);
