/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Joins the records of one attempt that was seen at several observation points (RFC 7011 2.1), as
 * on both sides of this gateway. Stands between the source and the model: each attempt is passed on
 * once, as its client sees it, with what was seen of it on the far side.
 *
 * A gateway keeps the ISNs of client and server, when forwarding and with NAT (RFC 3022 4.1 changes
 * addresses, ports and checksums). Two records with the same ISNs are one attempt if their
 * observation points differ (interface, direction, VLANs, addresses), and the SYN came in at one
 * and left at the other a little later. Where the direction is the same or unknown (a bridge and
 * its port, mirror ports, captures), the far side's handshake must lie within the near side's. A
 * record that fits several attempts is joined to none, and counted.
 *
 * Both sides usually settle within moments of each other, so a record waits two sweeps for its
 * other side, and longer while a sweep still shows that side opening. Memory is bounded: when it is
 * full, the oldest record is passed on unjoined. Its late counterpart is recognised and not passed
 * on again.
 */
#pragma once

#include "connection.h"

struct join;

struct join_events {
	/* Each attempt, once. */
	void (*settled)(void *context, const struct connection *c);

	/* Another record of an attempt that was passed on: its packets belong to that attempt. */
	void (*other_side)(void *context, const struct connection *side,
			   const struct connection *attempt);

	/* An attempt that is still opening, once for each sweep. */
	void (*opening)(void *context, const struct connection *c);
	void *context;
};

/* Returns NULL when out of memory, or without a random number. */
struct join *join_new(const struct join_events *events);
void join_free(struct join *j);

/* From now on several interfaces are watched: an attempt without another side was not forwarded. */
void join_set_multi_iface(struct join *j);

/* Called by the source for each record, and after each sweep. */
void join_settled(struct join *j, const struct connection *c);
void join_opening(struct join *j, const struct connection *c);
void join_swept(struct join *j);

/* Ends the run: passes on all attempts that still wait. */
void join_end(struct join *j);

/* Returns the number of records that were another side of an attempt. */
uint64_t join_joined(const struct join *j);

/* Returns the number of records that fitted several attempts. */
uint64_t join_ambiguous(const struct join *j);
