/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compares two records of one attempt, and completes one record by another. For model/join.c, which
 * describes the terms.
 */
#pragma once

#include "connection.h"

/*
 * Maximum time between the two sides' SYNs: a gateway that must resolve its neighbour first holds a
 * SYN for so long (RFC 4861 10: 3 x 1 s).
 */
#define MAX_FORWARDING_NS (3 * (ns_t)SECOND_NS)

/* Maximum time between two records of one SYN if addresses and ports give little evidence. */
#define SAME_SYN_NS (100 * (ns_t)MILLISECOND_NS)

#define BEST_SCORE 3 /* score if both endpoints are the same */

/* Returns how well two records with the same client ISN match. 0: they are two attempts. */
int match_score(const struct connection *a, const struct connection *b);

bool same_observation_point(const struct connection *a, const struct connection *b);

/*
 * Returns true if both records show the same packets, for example in two VLANs of a mirror port or
 * of a capture. A packet that only one record shows was then not dropped by this gateway.
 */
bool is_copy(const struct connection *a, const struct connection *b);

/* Returns the time between the first SYNs of two records. */
ns_t syn_distance(const struct connection *a, const struct connection *b);

/* Returns true if a was recorded nearer to the client than b. */
bool is_nearer_client(const struct connection *a, const struct connection *b);

/*
 * Returns the client's endpoint in the packets: conntrack may have replaced c->client by the true
 * client.
 */
const struct endpoint *wire_client(const struct connection *c);

/* Fills in the times of the attempt c on its far side. */
void fill_far_side(struct connection *c, const struct connection *far);

/*
 * Returns true if `other` shows more of the attempt than its near side does, and these packets
 * passed. A SYN-ACK that came to the far side of a gateway and did not leave on the near side has
 * not passed.
 */
bool is_better_evidence(const struct connection *other, const struct connection *near);

/* Replaces the packets of the near side by those of a record that is better evidence. */
void complete_near_side(struct connection *near, const struct connection *best);
