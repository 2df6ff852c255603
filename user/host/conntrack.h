/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this host's connection tracking knows of a connection: who is behind its own address, where
 * this host translates (NAT), and whether a flowtable carries the flow past the hooks.
 *
 * The kernel tells of each new connection before the SYN leaves (ctnetlink's group of new
 * connections), so it is known however short the connection lives: a refused one is forgotten at
 * once. The group is joined with CAP_NET_ADMIN and needs no right afterwards. A question about one
 * connection is asked with that right each time, so it is kept where there are flowtables.
 *
 * Memory is bounded by MAX_TRACKED; what was used least recently gives its place.
 */
#pragma once

#include "connection.h"

#define MAX_TRACKED (1 << 17)

struct conntrack;

/*
 * Of the caller's network namespace, before rights are given up. NULL: nothing can be learnt here,
 * and *why says in words why, or is NULL when there is nothing to learn: this host tracks nothing.
 */
struct conntrack *conntrack_open(const char **why);
void conntrack_close(struct conntrack *k);

/* Does it take CAP_NET_ADMIN for as long as it is asked, see above? */
bool conntrack_needs_rights(const struct conntrack *k);

/* Takes in what the kernel told meanwhile, up to a bound. Never waits. */
void conntrack_read(struct conntrack *k);

/* Hears of no more new connections: reading of them takes some 6 us each. */
void conntrack_leave_news(struct conntrack *k);

/*
 * Completes a connection as it was seen on the wire: where this host put its own address in place of
 * the client's, c->nat_endpoint becomes what was seen, and c->client the client. c->offloaded: a flowtable
 * has taken the flow over, as far as it was asked for: when nothing was seen to pass for a while.
 */
void conntrack_complete(struct conntrack *k, struct connection *c);

/* Tellings that were lost because nobody read them in time. */
uint64_t conntrack_lost(const struct conntrack *k);
