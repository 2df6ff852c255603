/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Remembers the latest connects that were served, by client and port, to recognise the losers of a
 * race: a client that tries several addresses of a name at once (RFC 8305), or opens a second
 * connection because the first one is slow, drops the others as soon as one is served.
 *
 * A client that tries IPv6 and IPv4 has two addresses and one MAC address. MAC addresses of routers
 * are not used. Memory is bounded: the oldest entries are dropped, which hold what was over long
 * ago.
 */
#pragma once

#include "model/join.h"

struct siblings;

/* Returns NULL if there is no memory. */
struct siblings *siblings_new(void);
void siblings_free(struct siblings *s);

/* See model_soon(). */
void siblings_soon(const struct siblings *s, const struct connection *c, enum soon soon);

void siblings_add_served(struct siblings *s, const struct connection *c);

/*
 * Returns true if a connect of this client to the same port was served at about the same time, and
 * the client tried no more here from then on.
 */
bool siblings_have_won(struct siblings *s, const struct connection *c);
