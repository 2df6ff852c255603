// SPDX-License-Identifier: GPL-2.0
#include "source/dns_sampling.h"

#include "dns.h"
#include "record.h"

#define INTERVAL_SHIFT 30 /* an interval of budget_charge() is 2^30 ns */

/* The sample is to use half of the budget: hosts are not equally busy. */
static uint32_t shift_for(uint64_t packets, uint64_t budget)
{
	uint32_t shift = 0;

	while (shift < MAX_DNS_SAMPLE_SHIFT && packets >> shift > budget / 2)
		shift++;
	return shift;
}

/* Chooses the sample by the number of packets in an interval. */
static void choose_shift(struct dns_sampling *s, uint64_t packets, bool is_over, uint64_t budget)
{
	uint32_t fitting = shift_for(packets, budget);

	if (is_over) {
		/* the sample had a busy host */
		if (s->shift && fitting <= s->shift)
			fitting = s->shift + 1;
		s->shift = fitting < MAX_DNS_SAMPLE_SHIFT ? fitting : MAX_DNS_SAMPLE_SHIFT;
	} else if (fitting < s->shift) {
		s->shift--;
	}
}

bool dns_sampling_check(struct dns_sampling *s, uint64_t now, const uint64_t *counters,
			uint64_t budget, uint64_t *from)
{
	uint64_t over = counters[COUNT_LOST_DNS_BUDGET], lost = over + counters[COUNT_LOST_DNS];
	uint64_t seen = lost + counters[COUNT_DNS] + counters[COUNT_DNS_NOT_SAMPLED];
	uint64_t interval = now >> INTERVAL_SHIFT;
	uint32_t before = s->shift;
	bool is_gap;

	if (interval != s->interval) {
		if (s->checked)
			choose_shift(s, (seen - s->seen) / (interval - s->interval),
				     over != s->over_budget, budget);
		s->interval = interval;
		s->seen = seen;
		s->over_budget = over;
	}
	/* a host that leaves the sample may have asked since the last check */
	is_gap = s->checked && (lost != s->lost || s->shift > before);
	*from = s->checked;
	s->checked = now;
	s->lost = lost;
	return is_gap;
}
