// SPDX-License-Identifier: GPL-2.0
#include "diagnose/traits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/contrast_test.h"
#include "diagnose/forwarding.h"
#include "lib/address.h"
#include "lib/format.h"
#include "lib/hash.h"
#include "lib/statistics.h"

const char *const trait_names[TRAITS] = {
	[TRAIT_VLAN] = "VLAN",
	[TRAIT_SUBNET] = "subnet",
	[TRAIT_VENDOR] = "MAC vendor",
	[TRAIT_SYSTEM] = "system",
	[TRAIT_MSS] = "MSS",
	[TRAIT_IPV6] = "IPv6",
	[TRAIT_WAY_OUT] = "way out",
	[TRAIT_RESOLVER] = "first resolver",
	[TRAIT_SERVER] = "server",
	[TRAIT_PORT] = "port",
	[TRAIT_PREFIX] = "prefix",
	[TRAIT_FAMILY] = "address family",
	[TRAIT_FIRST_OF_HOST] = "first connect of its host",
	[TRAIT_REUSED_PORT] = "port used before",
	[TRAIT_FIRST_OF_SERVER] = "first connect to the server",
	[TRAIT_BURST] = "other connects within 1 s",
	[TRAIT_FLIGHT] = "size of the request",
	[TRAIT_BACKEND] = "SYN-ACK",
	[TRAIT_ECN] = "ECN",
	[TRAIT_MPTCP] = "MPTCP",
	[TRAIT_FAST_OPEN] = "Fast Open",
	[TRAIT_TIMESTAMPS] = "time stamps",
	[TRAIT_NTH_SYN] = "number of the SYN",
};

const char *const trait_words[TRAITS] = {
	[TRAIT_VLAN] = "vlan",
	[TRAIT_SUBNET] = "subnet",
	[TRAIT_VENDOR] = "mac_vendor",
	[TRAIT_SYSTEM] = "system",
	[TRAIT_MSS] = "mss",
	[TRAIT_IPV6] = "ipv6",
	[TRAIT_WAY_OUT] = "way_out",
	[TRAIT_RESOLVER] = "resolver",
	[TRAIT_SERVER] = "server",
	[TRAIT_PORT] = "port",
	[TRAIT_PREFIX] = "prefix",
	[TRAIT_FAMILY] = "family",
	[TRAIT_FIRST_OF_HOST] = "first_of_host",
	[TRAIT_REUSED_PORT] = "reused_port",
	[TRAIT_FIRST_OF_SERVER] = "first_of_server",
	[TRAIT_BURST] = "burst",
	[TRAIT_FLIGHT] = "flight",
	[TRAIT_BACKEND] = "backend",
	[TRAIT_ECN] = "ecn",
	[TRAIT_MPTCP] = "mptcp",
	[TRAIT_FAST_OPEN] = "fast_open",
	[TRAIT_TIMESTAMPS] = "timestamps",
	[TRAIT_NTH_SYN] = "nth_syn",
};

/* ---- systems ---- */

#define ORDER(a, b, c, d, e)                                                             \
	(SYN_OPTION_##a | SYN_OPTION_##b << SYN_OPTION_BITS |                            \
	 SYN_OPTION_##c << 2 * SYN_OPTION_BITS | SYN_OPTION_##d << 3 * SYN_OPTION_BITS | \
	 SYN_OPTION_##e << 4 * SYN_OPTION_BITS)

#define FIRST_OPTIONS ((1U << 5 * SYN_OPTION_BITS) - 1)

/*
 * The first five options of a SYN: tcp_syn_options() of Linux, tcp_addoptions() of FreeBSD, and
 * what Windows and Apple's systems send. A gateway before this one may change the TTL and the MSS,
 * but hardly the order.
 */
static const struct {
	uint32_t order;
	enum system_class system;
} orders[] = {
	{ ORDER(MSS, SACK, TIMESTAMP, NOP, SCALE), SYSTEM_LINUX },
	{ ORDER(MSS, NOP, NOP, SACK, NOP), SYSTEM_LINUX }, /* without time stamps */
	{ ORDER(MSS, NOP, SCALE, NOP, NOP), SYSTEM_WINDOWS }, /* then SACK, or time stamps */
	{ ORDER(MSS, NOP, SCALE, SACK, TIMESTAMP), SYSTEM_BSD },
};

enum system_class system_of(const struct syn_traits *syn)
{
	uint32_t order = syn->option_order & FIRST_OPTIONS;
	bool is_short_ttl = syn->ttl <= 64;
	size_t i;

	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (order != orders[i].order)
			continue;
		/* Windows begins with a TTL of 128, Apple with 64 */
		if (orders[i].system == SYSTEM_WINDOWS && is_short_ttl)
			return SYSTEM_APPLE;
		return orders[i].system;
	}
	return SYSTEM_OTHER;
}

static const char *const system_names[SYSTEM_CLASSES] = {
	[SYSTEM_LINUX] = "Linux or Android",
	[SYSTEM_WINDOWS] = "Windows",
	[SYSTEM_APPLE] = "Apple",
	[SYSTEM_BSD] = "BSD",
	[SYSTEM_OTHER] = "another one",
};

/* ---- values ---- */

/* A host is identified by its first client: IPv4 before IPv6. */
static const struct client *first_client(const struct host *h)
{
	return h->clients[0];
}

static void subnet_of(struct address *prefix, const struct address *a)
{
	prefix_of(prefix, a, network_bits(a));
}

/* The vendor's name; else the first digits of the address, which it was assigned with others. */
static void vendor_of(char name[COMMON_VALUE], const struct diagnosis *d, const uint8_t mac[6])
{
	const char *vendor = mac_is_private(mac) ? NULL : mac_vendor(d->facts->vendors, mac);

	if (mac_is_private(mac))
		snprintf(name, COMMON_VALUE, "private");
	else if (vendor)
		snprintf(name, COMMON_VALUE, "%s", vendor);
	else
		snprintf(name, COMMON_VALUE, "%02x:%02x:%02x", mac[0], mac[1], mac[2]);
}

/* Texts, numbered in the order in which they appear. */
struct text {
	char at[COMMON_VALUE]; /* padded with zeros: it is compared by its bytes */
};

struct value {
	struct text text;
	uint32_t number;
	UT_hash_handle hh;
};

static uint32_t number_of(struct value **values, const struct text *text)
{
	struct value *v;

	HASH_FIND(hh, *values, text, sizeof(*text), v);
	if (v)
		return v->number;
	ADD_NEW(*values, text, *text, v);
	if (!v)
		return TRAIT_UNKNOWN;
	v->number = HASH_COUNT(*values) - 1;
	return v->number;
}

static void free_values(struct value *values)
{
	struct value *v, *next;

	HASH_ITER(hh, values, v, next) {
		HASH_DEL(values, v);
		free(v);
	}
}

static bool uses_ipv6(const struct host *h)
{
	size_t i;

	for (i = 0; i < h->client_count; i++)
		if (!is_ip4(&h->clients[i]->key.address))
			return true;
	return false;
}

/* Returns NULL if the host asked no resolver here. */
static const struct address *first_resolver(const struct diagnosis *d, const struct host *h)
{
	const struct address *a = d->first_resolvers ? &d->first_resolvers[h - d->hosts.at] : NULL;

	return a && !is_zero_address(a) ? a : NULL;
}

char *format_trait(char out[COMMON_VALUE], const struct diagnosis *d, enum trait trait,
		   const struct host *h)
{
	const struct client *c = first_client(h);
	const struct session_iface *iface;
	char text[FORMAT_ADDRESS];
	struct address prefix;

	switch (trait) {
	case TRAIT_VLAN:
		if (c->key.vlan[1])
			snprintf(out, COMMON_VALUE, "%u.%u", c->key.vlan[0], c->key.vlan[1]);
		else if (c->key.vlan[0])
			snprintf(out, COMMON_VALUE, "%u", c->key.vlan[0]);
		else
			snprintf(out, COMMON_VALUE, "none");
		break;
	case TRAIT_SUBNET:
		subnet_of(&prefix, &c->key.address);
		snprintf(out, COMMON_VALUE, "%s/%u", format_address(text, &prefix),
			 network_bits(&prefix));
		break;
	case TRAIT_VENDOR:
		vendor_of(out, d, c->mac);
		break;
	case TRAIT_SYSTEM:
		snprintf(out, COMMON_VALUE, "%s", system_names[system_of(&c->syn_traits)]);
		break;
	case TRAIT_MSS:
		snprintf(out, COMMON_VALUE, "%u", c->syn_traits.mss);
		break;
	case TRAIT_IPV6:
		snprintf(out, COMMON_VALUE, uses_ipv6(h) ? "in use" : "not in use");
		break;
	case TRAIT_WAY_OUT:
		iface = watched_iface(d->session, c->way_out);
		snprintf(out, COMMON_VALUE, "%s", iface ? iface->name : "another interface");
		break;
	case TRAIT_RESOLVER:
		snprintf(out, COMMON_VALUE, "%s",
			 first_resolver(d, h) ? format_address(text, first_resolver(d, h))
					      : "none seen");
		break;
	default:
		out[0] = '\0';
	}
	return out;
}

/* ---- all hosts ---- */

/* Returns the median number of connects of all hosts, to divide them in busy and less busy ones. */
static uint64_t usual_activity(const struct hosts *hosts)
{
	ns_t *counts = calloc(hosts->count + 1, sizeof(*counts)), middle;
	size_t i;

	if (!counts)
		return 0;
	for (i = 0; i < hosts->count; i++)
		counts[i] = hosts->at[i].connections;
	middle = hosts->count ? median(counts, hosts->count) : 0;
	free(counts);
	return middle;
}

static bool has_syn_traits(const struct client *c)
{
	return c->syn_traits.option_order || c->syn_traits.mss;
}

/* Returns a number for the value of a trait that is a number itself. */
static uint32_t number_trait(enum trait trait, const struct host *h, uint64_t usual)
{
	const struct client *c = first_client(h);

	switch (trait) {
	case TRAIT_VLAN:
		return c->key.vlan[0] | (uint32_t)c->key.vlan[1] << 16;
	case TRAIT_SYSTEM:
		return has_syn_traits(c) ? system_of(&c->syn_traits) : TRAIT_UNKNOWN;
	case TRAIT_MSS:
		return c->syn_traits.mss ? c->syn_traits.mss : TRAIT_UNKNOWN;
	case TRAIT_IPV6:
		return uses_ipv6(h);
	case TRAIT_ACTIVITY:
		return h->connections > usual;
	case TRAIT_WAY_OUT:
		return c->way_out ? c->way_out : TRAIT_UNKNOWN;
	default:
		return TRAIT_UNKNOWN;
	}
}

static bool is_text_trait(enum trait trait)
{
	return trait == TRAIT_SUBNET || trait == TRAIT_VENDOR || trait == TRAIT_RESOLVER;
}

static uint32_t text_trait(const struct context *g, struct value **values, enum trait trait,
			   const struct host *h)
{
	struct text text = {};

	/* the vendor of a router says nothing about the hosts behind it */
	if (trait == TRAIT_VENDOR && (!first_client(h)->has_mac || h->behind_router))
		return TRAIT_UNKNOWN;
	if (trait == TRAIT_RESOLVER && !first_resolver(g->d, h))
		return TRAIT_UNKNOWN;
	format_trait(text.at, g->d, trait, h);
	return number_of(values, &text);
}

#define MAX_FIRST_RESOLVERS 8

/*
 * Returns the resolver that most of the host's lookups ask first. A single lookup may begin with a
 * retry, if the run began during it.
 */
static struct address usual_first_resolver(const struct timeline *t)
{
	struct {
		struct address server;
		size_t lookups;
	} seen[MAX_FIRST_RESOLVERS] = {};
	size_t count = 0, best = 0, i, j;

	for (i = 0; i < t->lookup_count; i++) {
		const struct address *first = &t->lookups[i]->l->tries[0].server;

		for (j = 0; j < count; j++)
			if (!memcmp(&seen[j].server, first, sizeof(*first)))
				break;
		if (j == MAX_FIRST_RESOLVERS)
			continue;
		if (j == count)
			seen[count++].server = *first;
		if (++seen[j].lookups > seen[best].lookups)
			best = j;
	}
	return seen[best].server;
}

/*
 * Stores which resolver each host asks first. What it asks later follows from which one answers.
 * Returns false when out of memory.
 */
static bool note_first_resolvers(const struct context *g)
{
	struct diagnosis *d = g->d;
	size_t i;

	free(d->first_resolvers);
	d->first_resolvers = calloc(g->hosts->all + 1, sizeof(*d->first_resolvers));
	for (i = 0; d->first_resolvers && i < g->hosts->all; i++)
		if (g->timelines[i].lookup_count)
			d->first_resolvers[i] = usual_first_resolver(&g->timelines[i]);
	return d->first_resolvers;
}

bool traits_of_hosts(struct traits *t, const struct context *g)
{
	uint64_t usual = usual_activity(g->hosts);
	struct value *values = NULL;
	enum trait trait;
	size_t i;

	*t = (struct traits){ .count = g->hosts->count };
	if (!note_first_resolvers(g))
		return false;
	for (trait = 0; trait < HOST_TRAITS; trait++) {
		t->value[trait] = calloc(t->count + 1, sizeof(*t->value[trait]));
		if (!t->value[trait])
			return false;
		for (i = 0; i < t->count; i++) {
			const struct host *h = &g->hosts->at[i];

			t->value[trait][i] = is_text_trait(trait) ? text_trait(g, &values, trait, h)
								  : number_trait(trait, h, usual);
		}
		free_values(values);
		values = NULL;
	}
	return true;
}

void traits_free(struct traits *t)
{
	enum trait trait;

	for (trait = 0; trait < HOST_TRAITS; trait++)
		free(t->value[trait]);
}

/* ---- columns of the page ---- */

static size_t add_column(enum trait at[MAX_TRAIT_COLUMNS], size_t n, enum trait trait)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (at[i] == trait)
			return n;
	if (n < MAX_TRAIT_COLUMNS)
		at[n++] = trait;
	return n;
}

static size_t add_columns(enum trait at[MAX_TRAIT_COLUMNS], size_t n, const struct comparison *c)
{
	enum trait trait;
	size_t i;

	for (i = 0; i < c->common_count; i++)
		if (!c->common[i].of_connects)
			n = add_column(at, n, c->common[i].trait);
	for (trait = 0; trait < HOST_TRAITS; trait++)
		if (c->spread & 1U << trait)
			n = add_column(at, n, trait);
	return n;
}

size_t diagnosis_traits(const struct diagnosis *d, enum trait at[MAX_TRAIT_COLUMNS])
{
	size_t i, n = 0;

	for (i = 0; i < d->count; i++)
		n = add_columns(at, n, &d->at[i].comparison);
	return add_columns(at, n, &d->unexplained);
}
