/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Joins the records of one attempt that was seen at several observation points (RFC 7011 2.1), such
 * as both sides of this gateway. It stands between the source and the model. Each attempt is passed
 * on once, as seen on its client's side, with its times on the far side.
 *
 * A gateway keeps the ISNs of client and server, when forwarding and with NAT (RFC 3022 4.1 changes
 * addresses, ports and checksums). Two records with the same ISNs are one attempt under two
 * conditions. Their observation points differ (interface, direction, VLANs, addresses), and the SYN
 * came in at one point and left at the other a little later. If the direction is equal or unknown
 * (a bridge and its port, mirror ports, captures), the far side's handshake must lie within the
 * near side's. A record that matches several attempts is joined to none, and counted.
 *
 * A mirror port, a trunk or a capture may show one SYN in several VLANs, or tagged and untagged.
 * Such copies have the same addresses, ports and ISNs, in any order. The attempt has the endpoints
 * of the copy whose SYN came first, and the packets of the copy that shows most: some VLANs may
 * lack the answer. On the sides of a gateway the near side decides, since a SYN-ACK that is only on
 * the far side was dropped in between; unless the client continued, so that it got the SYN-ACK.
 *
 * Both sides usually settle at nearly the same time. So a record waits two sweeps for its other
 * side, and longer while a sweep still shows that side opening. Memory is bounded: when it is full,
 * the oldest record is passed on unjoined. Its late counterpart is recognised and not passed on
 * again.
 */
#pragma once

#include "connection.h"

struct join;

/* How soon: each step loads what the one before has found: buckets, elements, their neighbours. */
enum soon { SOON_NEXT, SOON_SECOND, SOON_THIRD };

struct join_events {
	/* An attempt has settled. Called once for each attempt. */
	void (*settled)(void *context, const struct connection *c);

	/*
	 * An attempt will be passed on soon: load what that needs into the cache. Called for each
	 * place in the queue in turn; an attempt may skip places, or change until then. May be NULL.
	 */
	void (*soon)(void *context, const struct connection *c, enum soon soon);

	/*
	 * A further record arrived for an attempt that was already passed on. The packets of this
	 * side belong to that attempt.
	 */
	void (*other_side)(void *context, const struct connection *side,
			   const struct connection *attempt);

	/* An attempt is still opening. Called once for each sweep. */
	void (*opening)(void *context, const struct connection *c);
	void *context;
};

/* Returns NULL if there is no memory or no random number. */
struct join *join_new(const struct join_events *events);
void join_free(struct join *j);

/*
 * Call it if several interfaces are watched: from then on, an attempt without another side was not
 * forwarded.
 */
void join_set_multi_iface(struct join *j);

/* Called for each record of the source, and after each sweep. */
void join_settled(struct join *j, const struct connection *c);
void join_opening(struct join *j, const struct connection *c);
void join_swept(struct join *j);

/* Call it at the end of the run: passes on all attempts that still wait. */
void join_end(struct join *j);

/* Returns the number of records that were another side of an attempt. */
uint64_t join_joined(const struct join *j);

/* Returns the number of records that matched several attempts. */
uint64_t join_ambiguous(const struct join *j);
