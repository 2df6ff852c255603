/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Detects packets that an interface counts but the hook does not see: a program before ours may end
 * the chain, an offload may bypass the hook. Without this, attempts seen in one direction only would
 * look like failures of every peer.
 */
#pragma once

#include <stdbool.h>

#include "connection.h"

/* Of one direction of an interface. */
struct hook_watchdog {
	uint64_t packets; /* the interface's counter at the begin of the window */
	ns_t since; /* begin of the window: the hook saw a packet, or the watchdog was started */
	bool blind;
	ns_t blind_since;
	ns_t blind_for; /* sum of the blind times that are over */
};

enum hook_change { HOOK_UNCHANGED, HOOK_BLIND, HOOK_SEES_AGAIN };

/* Starts a window; also if the interface was replaced. packets is its counter. */
void hook_watchdog_start(struct hook_watchdog *s, uint64_t packets, ns_t now);

/* seen: the hook saw a packet since the last call. */
enum hook_change hook_watchdog_check(struct hook_watchdog *s, bool seen, uint64_t packets,
				     ns_t now);

/* Returns the total blind time up to now. */
ns_t hook_watchdog_blind_time(const struct hook_watchdog *s, ns_t now);
