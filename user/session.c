// SPDX-License-Identifier: GPL-2.0
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "source/ethertype.h"

const char *const counter_names[COUNTERS] = {
	[COUNT_ATTEMPTS] = "attempts",
	[COUNT_PUBLISHED] = "published",
	[COUNT_LATE_SYN_COPIES] = "late_syn_copies",
	[COUNT_ALREADY_OPEN] = "already_open",
	[COUNT_NOT_SELECTED] = "narrowed",
	[COUNT_UDP_443_BYTES] = "udp_443_bytes",
	[COUNT_UDP_BYTES] = "udp_bytes",
	[COUNT_IP_OTHER] = "ip_other",
	[COUNT_FRAGMENTS] = "fragments",
	[COUNT_MALFORMED] = "malformed",
	[COUNT_UNKNOWN_LINK] = "unknown_link",
	[COUNT_LOST_MAP] = "map_full",
	[COUNT_LOST_RING] = "ring_full",
	[COUNT_LOST_EVICTED] = "evicted",
	[COUNT_LOST_TRUNCATED] = "truncated",
	[COUNT_LOST_PACKETS] = "evidence_packets",
};

uint64_t run_losses(const struct run *run)
{
	uint64_t sum = 0;
	int i;

	for (i = FIRST_LOSS; i < COUNTERS; i++)
		sum += run->counters[i];
	return sum;
}

static void keep_ethertype(struct unknown_ethertype *e, int type, uint64_t packets)
{
	int i;

	if (packets <= e[MAX_ETHERTYPES - 1].packets)
		return;
	for (i = MAX_ETHERTYPES - 1; i > 0 && packets > e[i - 1].packets; i--)
		e[i] = e[i - 1];
	e[i].ethertype = type;
	e[i].packets = packets;
}

void run_set_ethertypes(struct run *run, const uint32_t *packets)
{
	uint64_t without = 0;
	int type;

	memset(run->ethertypes, 0, sizeof(run->ethertypes));
	for (type = 0; type < ETHERTYPE_MIN; type++)
		without += packets[type];
	keep_ethertype(run->ethertypes, ETHERTYPE_LLC, without);
	for (; type < 65536; type++)
		keep_ethertype(run->ethertypes, type, packets[type]);
}

bool run_is_own_address(const struct run *run, const struct address *a)
{
	unsigned int i;

	for (i = 0; i < run->own_address_count; i++)
		if (!memcmp(&run->own_addresses[i], a, sizeof(*a)))
			return true;
	return false;
}

struct run_interface *run_add_interface(struct run *run, const char *name)
{
	struct run_interface *i = &run->interfaces[run->interface_count++];
	size_t used = strlen(run->names);

	*i = (struct run_interface){ .name = name };
	snprintf(run->names + used, sizeof(run->names) - used, "%s%s", used ? ", " : "", name);
	run->from = run->names;
	return i;
}

const char *run_interface_name(const struct run *run, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < run->interface_count; i++)
		if (run->interfaces[i].index == ifindex)
			return run->interfaces[i].name;
	for (i = 0; i < run->followed_count; i++)
		if (run->followed[i].index == ifindex)
			return run->followed[i].name;
	/* one that came back has another index */
	return run->interface_count == 1 ? run->interfaces[0].name : NULL;
}

ns_t run_blind(const struct run *run, int direction)
{
	ns_t longest = 0;
	unsigned int i;

	for (i = 0; i < run->interface_count; i++)
		if (run->interfaces[i].blind[direction] > longest)
			longest = run->interfaces[i].blind[direction];
	return longest;
}
