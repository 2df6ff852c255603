/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An office whose hosts share traits: VLAN, subnet, vendor of the MAC address, system, MSS and IPv6
 * depend on each other, and on how busy a host is. Some hosts wait or fail, either by themselves or
 * because of one trait. A seed determines all of it.
 */
#pragma once

#include "attempt.h"
#include "rng.h"

#define MAX_OFFICE_HOSTS 120
#define MAX_OFFICE_VLANS 6
#define OFFICE_SERVERS 12
#define TEXT_OF_TRAIT 24

/* Traits of hosts, as the report writes them. */
enum office_trait {
	OFFICE_VLAN,
	OFFICE_SUBNET,
	OFFICE_VENDOR,
	OFFICE_SYSTEM,
	OFFICE_MSS,
	OFFICE_IPV6,
	OFFICE_TRAITS,
};

struct office_host {
	uint32_t ip4;
	uint16_t vlan; /* 0 if frames have no tag */
	uint8_t subnet; /* the third byte of its address */
	uint8_t mac[6];
	struct syn_traits syn;
	bool dual_stack;
	double every; /* seconds between two connects, mean */
	bool is_hit; /* it has the trait that causes waits */
	char trait[OFFICE_TRAITS][TEXT_OF_TRAIT];
};

struct office {
	bool has_cause; /* a trait causes waits */
	unsigned int host_count;
	struct office_host hosts[MAX_OFFICE_HOSTS];
	struct endpoint dead; /* a silent peer that some hosts try; port 0 if none */
	ns_t end;
	struct connection *connections; /* in the order of settlement */
	size_t connection_count;
	size_t connection_room;
};

/*
 * Draws an office. with_cause: 9 of 39 hosts wait because of a trait, and others only by
 * themselves. Else no trait causes anything. Reuses the memory of *o: zero it once, free it once.
 */
void office_make(struct office *o, uint64_t seed, bool with_cause);
void office_free(struct office *o);
