/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Updates the model from a connection, one function for each subject. Private to the model: model.c
 * calls these functions for each connection. client, peer and pair are NULL if there was no memory
 * for them.
 */
#pragma once

#include "model/model.h"

/* Fills in a stall of length wait; client may be NULL. */
void stall_of(struct stall *s, struct client *client, const struct connection *c, ns_t wait);

/*
 * Enters the connect into the ledger. has_lost: a sibling was served, see model/siblings.h. Call it
 * before note_waits() and note_recent() of the same connect.
 */
void note_ledger(struct model *m, struct client *client, struct peer *peer,
		 const struct connection *c, bool has_lost);

/* Counts the connects to this server, or to others, that the client used during the stall. */
void count_meanwhile(const struct client *client, struct stall *s);

/* Records the waits of an established connection: stalls, late banners, idle connections. */
void note_waits(struct model *m, struct peer *peer, struct client *client, struct pair *pair,
		const struct connection *c);

/* Stores the connection, to judge other stalls of the client by it. */
void note_recent(struct model *m, struct client *client, const struct connection *c);

/* Stores the connection if another connection of the client may have waited for it. */
void note_pending(struct model *m, struct client *client, const struct connection *c);

void note_failure(struct model *m, struct peer *peer, struct pair *pair, const struct connection *c,
		  enum failure failure);
void note_answer(struct model *m, struct peer *peer, const struct connection *c);

/* Counts loss on either side of this gateway, as far as retransmissions show it. */
void note_loss(struct model *m, struct client *client, struct peer *peer,
	       const struct connection *c);

void note_anomalies(struct model *m, struct peer *peer, struct pair *pair,
		    const struct connection *c);

/* Reports a failing peer, once for each kind of failure. */
void report_failing(struct model *m, struct peer *peer, const struct connection *c,
		    enum failure failure);

/* Retracts such a report if the connection was answered after the reported failure. */
void retract_failure(struct model *m, struct peer *peer, const struct connection *c);
