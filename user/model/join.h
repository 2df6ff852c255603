/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which records are one connection, seen from several sides of this gateway? Stands between a source
 * and all that hears of connections: what it tells on is each attempt once, as its client sees it,
 * with what was seen of it on the far side.
 *
 * A gateway leaves the client's ISN as it is, forwarding and NAT alike (RFC 3022 4.1 changes
 * addresses, ports and checksums), and the server's. Two records with the same ISNs are one attempt
 * when they were made at different places (interface, VLANs, addresses), the SYN came in at one and
 * left, a little later, at the other. Where the direction is the same or not known (a bridge and its
 * port, mirror ports, captures), the far side's handshake must lie within the near side's. What fits
 * more than one is joined to none, and counted.
 *
 * Both sides settle within moments of each other as a rule, so a record waits two sweeps for its
 * other side; longer while a sweep still shows that other side opening. Memory is bounded: in need
 * the oldest is told as it is, and what comes of it later is known as its other side all the same.
 */
#pragma once

#include "connection.h"

struct join;

struct join_events {
	void (*settled)(void *context, const struct connection *c); /* each attempt, once */
	/* another record of an attempt that was told: for whoever keeps its packets */
	void (*other_side)(void *context, const struct connection *side,
			   const struct connection *attempt);
	void (*opening)(void *context, const struct connection *c);
	void *context;
};

/* NULL when there is no memory, or no random number. */
struct join *join_new(const struct join_events *events);
void join_free(struct join *v);

/* From here on more than one interface is watched: an attempt with no other side stayed inside. */
void join_set_multi_iface(struct join *v);

/* As a source tells of them, see struct source_events. */
void join_settled(struct join *v, const struct connection *c);
void join_opening(struct join *v, const struct connection *c);
void join_swept(struct join *v);

/* The run is over: what still waits is told. */
void join_end(struct join *v);

/* Records that were another side of an attempt; attempts that fitted more than one. */
uint64_t join_joined(const struct join *v);
uint64_t join_ambiguous(const struct join *v);
