/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decides which hosts' DNS the kernel passes on if there is more than its budget, and in which
 * periods packets were lost. It sees only the kernel's counters.
 *
 * A host is looked at as a whole or not at all: an answer that is missing must not look like a
 * resolver's silence.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct dns_sampling {
	uint32_t shift; /* one host in 2^shift is looked at */
	uint64_t checked; /* time of the last check; 0 before the first */
	uint64_t lost; /* the counters' sums at the last check */
	uint64_t interval; /* number of the kernel's interval at the last check, see budget_charge() */
	uint64_t seen, over_budget; /* the sums at the start of the interval */
};

/*
 * Call it often, with the time and all counters of the kernel; budget is DNS_BUDGET. Sets s->shift.
 * Returns true if packets of the time since the last check may be missing; *from is that check.
 */
bool dns_sampling_check(struct dns_sampling *s, uint64_t now, const uint64_t *counters,
			uint64_t budget, uint64_t *from);
