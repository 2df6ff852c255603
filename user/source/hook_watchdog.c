// SPDX-License-Identifier: GPL-2.0
#include "source/hook_watchdog.h"

/*
 * So many packets, within such a time, of which the hook saw none. Some drivers count a frame now
 * and then that never comes up (flow control, wrong address), so the window moves on.
 */
#define BLIND_PACKETS 10
#define BLIND_AFTER (3 * (ns_t)SECOND_NS)
#define WINDOW (10 * (ns_t)SECOND_NS)

void sight_begin(struct sight *s, uint64_t packets, ns_t now)
{
	s->packets = packets;
	s->since = now;
	if (s->blind)
		s->blind_for += now - s->blind_since;
	s->blind = false;
}

enum sight_change sight_look(struct sight *s, bool seen, uint64_t packets, ns_t now)
{
	bool was_blind = s->blind;

	if (seen || packets < s->packets) {
		sight_begin(s, packets, now);
		return was_blind ? SIGHT_BACK : SIGHT_SAME;
	}
	if (s->blind)
		return SIGHT_SAME;
	if (now - s->since >= BLIND_AFTER && packets - s->packets >= BLIND_PACKETS) {
		s->blind = true;
		s->blind_since = s->since;
		return SIGHT_LOST;
	}
	if (now - s->since >= WINDOW)
		sight_begin(s, packets, now);
	return SIGHT_SAME;
}

ns_t sight_blind(const struct sight *s, ns_t now)
{
	return s->blind_for + (s->blind ? now - s->blind_since : 0);
}
