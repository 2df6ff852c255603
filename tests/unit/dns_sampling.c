// SPDX-License-Identifier: GPL-2.0
/*
 * The budget for DNS of the kernel, and the sample of hosts that user space chooses. If this fails,
 * a gateway with many questions is slowed down, or lost answers accuse its resolver.
 */
#include <stdio.h>
#include <string.h>

#include "dns.h"
#include "expect.h"
#include "reset.h"
#include "source/dns_sampling.h"
#include "source/offline.h"

#define TICK_NS (50 * MILLISECOND_NS)
#define INTERVAL_NS (1ULL << 30)

/* The kernel's side, with hosts that are equally busy. */
struct kernel {
	struct dns_sampling sampling;
	struct budget budget;
	uint64_t counters[COUNTERS];
	uint64_t now;
	uint64_t gap; /* ns in gaps */
	uint64_t gap_from, gap_until; /* of the last gap */
	uint32_t hosts;
	uint32_t next;
};

static struct address host(uint32_t number)
{
	return (struct address){ .word = { 0, 0, IP4_PREFIX, cpu_to_be32(0x0a000000 + number) } };
}

static void packet(struct kernel *k, uint32_t number, uint64_t at)
{
	struct address client = host(number);

	if (k->sampling.shift && !dns_is_sampled(&client, k->sampling.shift, &offline_seed))
		k->counters[COUNT_DNS_NOT_SAMPLED]++;
	else if (!budget_charge(&k->budget, DNS_BUDGET, at))
		k->counters[COUNT_LOST_DNS_BUDGET]++;
	else
		k->counters[COUNT_DNS]++;
}

/* Passes a number of packets between two ticks. */
static void tick(struct kernel *k, uint32_t packets)
{
	uint64_t from;
	uint32_t i;

	for (i = 0; i < packets; i++)
		packet(k, k->next++ % k->hosts, k->now + i * (TICK_NS / packets));
	k->now += TICK_NS;
	if (dns_sampling_check(&k->sampling, k->now, k->counters, DNS_BUDGET, &from)) {
		if (from != k->gap_until)
			k->gap_from = from;
		k->gap_until = k->now;
		k->gap += k->now - from;
	}
}

static void run(struct kernel *k, double seconds, uint32_t packets_a_second)
{
	uint32_t ticks = seconds * SECOND_NS / TICK_NS;

	while (ticks--)
		tick(k, packets_a_second / (SECOND_NS / TICK_NS));
}

static void begin(struct kernel *k)
{
	memset(k, 0, sizeof(*k));
	k->now = 1000 * INTERVAL_NS;
	k->hosts = 1000;
	tick(k, 0);
}

static void test_within(void)
{
	static struct kernel k;

	begin(&k);
	run(&k, 10, 15000);
	EXPECT(!k.sampling.shift && !k.gap && k.counters[COUNT_DNS] == 150000,
	       "hosts are left out although there is room");
	EXPECT(!k.counters[COUNT_LOST_DNS_BUDGET], "packets are lost within the budget");
}

static void test_flood(void)
{
	static struct kernel k;
	uint64_t lost, sent, sum;

	begin(&k);
	run(&k, 3, 100000);
	lost = k.counters[COUNT_LOST_DNS_BUDGET];
	sent = k.counters[COUNT_DNS];
	EXPECT(lost, "a flood is not bounded");
	EXPECT(k.sampling.shift >= 4 && k.sampling.shift <= 6,
	       "too many or too few hosts are left");
	EXPECT(k.gap_from <= 1001 * INTERVAL_NS && k.gap_until >= 1001 * INTERVAL_NS &&
		       k.gap_until <= 1001 * INTERVAL_NS + 2 * TICK_NS,
	       "lost answers look like silence");
	run(&k, 20, 100000);
	EXPECT(k.counters[COUNT_LOST_DNS_BUDGET] == lost && k.gap < 2 * INTERVAL_NS,
	       "the sample does not fit into the budget");
	EXPECT(k.counters[COUNT_DNS] > sent + 20 * 1000, "the sample is empty");
	sum = k.counters[COUNT_DNS] + k.counters[COUNT_LOST_DNS_BUDGET] +
	      k.counters[COUNT_DNS_NOT_SAMPLED];
	EXPECT(sum == 2300000, "packets are neither passed on nor counted");
	run(&k, 10, 5000);
	EXPECT(!k.sampling.shift, "hosts stay out after the flood");
}

static void test_busy_host(void)
{
	static struct kernel k;

	begin(&k);
	k.hosts = 1;
	run(&k, 20, 60000);
	EXPECT(k.sampling.shift && k.counters[COUNT_LOST_DNS_BUDGET] < 20 * DNS_BUDGET,
	       "a single host uses up the budget for ever");
}

static void test_ring_full(void)
{
	static struct kernel k;

	begin(&k);
	tick(&k, 10);
	k.counters[COUNT_LOST_DNS]++;
	tick(&k, 10);
	EXPECT(k.gap == TICK_NS && k.gap_until == k.now, "a full ring is no gap");
	tick(&k, 10);
	EXPECT(k.gap == TICK_NS, "a gap does not end");
}

static void test_sample(void)
{
	uint32_t number, count[4] = {}, shift;
	bool is_nested = true;
	struct address a;

	for (number = 0; number < 4096; number++) {
		a = host(number);
		for (shift = 0; shift < 4; shift++)
			count[shift] += dns_is_sampled(&a, shift, &offline_seed);
		for (shift = 1; shift < 16; shift++)
			is_nested &= !dns_is_sampled(&a, shift, &offline_seed) ||
				     dns_is_sampled(&a, shift - 1, &offline_seed);
	}
	EXPECT(count[0] == 4096, "hosts are missing without a sample");
	EXPECT(count[1] > 1900 && count[1] < 2200 && count[3] > 420 && count[3] < 610,
	       "the sample has another size");
	EXPECT(is_nested, "a smaller sample has other hosts");
}

int main(void)
{
	test_within();
	test_flood();
	test_busy_host();
	test_ring_full();
	test_sample();
	printf("dns_sampling: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
