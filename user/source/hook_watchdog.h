/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Do the packets that an interface counts reach our hook? A program in front of ours may end the
 * chain, an offload may take packets past it; a run that sees half of a conversation would accuse
 * everybody.
 */
#pragma once

#include <stdbool.h>

#include "connection.h"

/* In one direction. */
struct hook_watchdog {
	uint64_t packets; /* the interface's count, and ... */
	ns_t since; /* ... the time, when the hook was last known to see, or looking began */
	bool blind;
	ns_t blind_since;
	ns_t blind_for; /* blind times that are over, together */
};

enum hook_change { HOOK_UNCHANGED, HOOK_BLIND, HOOK_SEES_AGAIN };

/* Begins, or begins again with another interface, at a time in ns. */
void hook_watchdog_start(struct hook_watchdog *s, uint64_t packets, ns_t now);

/* So many packets by now; did the hook see any since the last call? */
enum hook_change hook_watchdog_check(struct hook_watchdog *s, bool seen, uint64_t packets,
				     ns_t now);

/* All blind time up to now. */
ns_t hook_watchdog_blind_time(const struct hook_watchdog *s, ns_t now);
