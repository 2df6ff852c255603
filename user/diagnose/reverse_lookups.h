/* SPDX-License-Identifier: GPL-2.0 */
/* Lookups that a server makes about the address of a client before it greets the client. */
#pragma once

#include "diagnose/zones.h"

/*
 * Returns the PTR lookup of the server for which this late greeting waited, or NULL: it began with
 * the connect, and ended with the greeting, or the server gave it up then.
 */
struct noted_lookup *reverse_lookup_of(const struct context *g, const struct noted_connect *n);

/* The late greetings of servers that waited for lookups of a zone. */
struct held_greetings {
	size_t count;
	ns_t longest;
	struct endpoint server; /* of the first one */
	size_t servers;
};

struct held_greetings greetings_held_by(const struct context *g, uint16_t zone);
