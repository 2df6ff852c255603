/* SPDX-License-Identifier: GPL-2.0 */
/* Compares this gateway's own drop counters with the packets that were lost during the run. */
#pragma once

#include "diagnose/finding.h"

/*
 * Adds a line to a finding about lost packets: which drop counters of this gateway grew during the
 * run, or that none did. Adds nothing if they were not read, as for a capture.
 */
void gateway_drops_line(const struct context *g, struct finding *f);

/*
 * Returns true if a finding about this gateway's drops explains connects to this peer, and none that
 * failed is left.
 */
bool is_dropped_by_counters(const struct context *g, const struct peer *p);
