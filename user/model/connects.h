/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Joins the attempts of one connect(): what the client sees as one call. It stands between the join
 * of observation points (model/join.h) and the model.
 *
 * A client may send its SYN again after an RST (Windows, twice), or after it reset a SYN-ACK that
 * it did not expect. Each RST settles a record, so such a connect has several attempts with the
 * same ISN. An attempt at another server belongs to it if the SYN was redirected there: the same
 * client port and ISN, one hop later. If the SYN takes another way there, only its answer is seen:
 * a SYN-ACK for this client port and ISN from another server than the one that was called.
 *
 * An attempt that the client may continue is held until the next SYN is overdue, then passed on as
 * it is. The connect that is passed on has the time of the first SYN, all SYNs, and the outcome of
 * the last attempt. Memory is bounded: when it is full, the oldest connect is passed on.
 */
#pragma once

#include "connection.h"

struct connects;

struct connects_events {
	/* An attempt has settled; connection.connect is its number. Called once for each attempt. */
	void (*attempt)(void *context, const struct connection *c);

	/* A connect has ended. Called once for each connect. */
	void (*connect)(void *context, const struct connection *c);

	/* A connect is still going on. Called once for each sweep. */
	void (*opening)(void *context, const struct connection *c);
	void *context;
};

/* Returns NULL if there is no memory. */
struct connects *connects_new(const struct connects_events *events);
void connects_free(struct connects *x);

/* Called for each attempt and SYN-ACK without one, and after each sweep, whose time is now. */
void connects_settled(struct connects *x, const struct connection *c);
void connects_synack_alone(struct connects *x, const struct connection *c);
void connects_opening(struct connects *x, const struct connection *c);
void connects_swept(struct connects *x, ns_t now);

/* Call it at the end of the run: passes on all connects that are held. */
void connects_end(struct connects *x);
