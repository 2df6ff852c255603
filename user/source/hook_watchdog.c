// SPDX-License-Identifier: GPL-2.0
#include "source/hook_watchdog.h"

/*
 * The hook is blind if it saw none of BLIND_PACKETS packets in a window of at least BLIND_AFTER.
 * Some drivers count an occasional frame that never reaches the stack (flow control, wrong
 * address). So a window with fewer packets is restarted after WINDOW.
 */
#define BLIND_PACKETS 10
#define BLIND_AFTER (3 * (ns_t)SECOND_NS)
#define WINDOW (10 * (ns_t)SECOND_NS)

void hook_watchdog_start(struct hook_watchdog *s, uint64_t packets, ns_t now)
{
	s->packets = packets;
	s->since = now;
	if (s->blind)
		s->blind_for += now - s->blind_since;
	s->blind = false;
}

enum hook_change hook_watchdog_check(struct hook_watchdog *s, bool seen, uint64_t packets, ns_t now)
{
	bool was_blind = s->blind;

	if (seen || packets < s->packets) {
		hook_watchdog_start(s, packets, now);
		return was_blind ? HOOK_SEES_AGAIN : HOOK_UNCHANGED;
	}
	if (s->blind)
		return HOOK_UNCHANGED;
	if (now - s->since >= BLIND_AFTER && packets - s->packets >= BLIND_PACKETS) {
		s->blind = true;
		s->blind_since = s->since;
		return HOOK_BLIND;
	}
	if (now - s->since >= WINDOW)
		hook_watchdog_start(s, packets, now);
	return HOOK_UNCHANGED;
}

ns_t hook_watchdog_blind_time(const struct hook_watchdog *s, ns_t now)
{
	return s->blind_for + (s->blind ? now - s->blind_since : 0);
}
