/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Detects packets that an interface counts but the hook does not see: a program before ours may end
 * the chain, or an offload may bypass the hook. Otherwise attempts seen in one direction only would
 * look like failures of every peer.
 */
#pragma once

#include <stdbool.h>

#include "connection.h"

/* State of one direction of an interface. */
struct hook_watchdog {
	uint64_t packets; /* the interface's packet counter at the start of the window */
	/* start of the window: when the hook last saw a packet, or when the watchdog was started */
	ns_t since;
	bool blind;
	ns_t blind_since;
	ns_t blind_for; /* sum of all blind times that have ended */
};

enum hook_change { HOOK_UNCHANGED, HOOK_BLIND, HOOK_SEES_AGAIN };

/*
 * Starts a window, also after the interface was replaced. packets is the interface's packet
 * counter.
 */
void hook_watchdog_start(struct hook_watchdog *s, uint64_t packets, ns_t now);

/*
 * Checks a direction. seen reports whether the hook saw a packet since the last call; packets is
 * the interface's counter.
 */
enum hook_change hook_watchdog_check(struct hook_watchdog *s, bool seen, uint64_t packets,
				     ns_t now);

/* Returns the total blind time up to now. */
ns_t hook_watchdog_blind_time(const struct hook_watchdog *s, ns_t now);
