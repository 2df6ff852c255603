/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the status line: the peer that most waits coincide with so far, and how many coincidences high
 * confidence still takes. It is a count and accuses nobody: the diagnosis weighs it at the end,
 * against chance and against the hosts that do not wait.
 *
 * A coincidence is an unanswered attempt that began together with a wait, if others did the same for
 * the same time. The model learns of such an attempt when it has settled, which takes minutes; here
 * it counts as soon as it is overdue.
 */
#pragma once

#include "model/model.h"

/* Called in each sweep for each connect that goes on. */
void outlook_opening(const struct connection *c);

/*
 * Returns a few words, such as "2 of 3 coincidences: 10.200.7.9:5274", or "" if there are fewer than
 * two. Counts at most once a second.
 */
const char *outlook(const struct model *m, ns_t now);
