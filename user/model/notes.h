/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the model notes about a connection, by subject. Private to the model: model.c calls these
 * functions for each connection. client, peer and pair are NULL where there was no memory for them.
 */
#pragma once

#include "model/model.h"

/* Fills in a stall of this length; client may be NULL. */
void stall_of(struct stall *s, struct client *client, const struct connection *c, ns_t wait);

/* Waits of an established connection: stalls, late banners, idle connections. */
void note_waits(struct model *m, struct peer *peer, struct client *client, struct pair *pair,
		const struct connection *c);

/* Keeps the connection for the judgement of the client's other stalls. */
void note_recent(struct model *m, struct client *client, const struct connection *c);

/* Keeps the connection if another connection of the client may have waited for it. */
void note_pending(struct model *m, struct client *client, const struct connection *c);

void note_failure(struct model *m, struct peer *peer, struct pair *pair, const struct connection *c,
		  enum failure failure);
void note_answer(struct model *m, struct peer *peer, const struct connection *c);

/* Loss on either side of this gateway, as far as repeated segments show it. */
void note_loss(struct model *m, struct client *client, struct peer *peer,
	       const struct connection *c);

void note_anomalies(struct model *m, struct peer *peer, struct pair *pair,
		    const struct connection *c);

/* Notifies of a failing peer, once for each kind of failure. */
void report_failing(struct model *m, struct peer *peer, const struct connection *c,
		    enum failure failure);

/* Retracts such a report if the connection was answered later than what was reported. */
void retract_failure(struct model *m, struct peer *peer, const struct connection *c);
