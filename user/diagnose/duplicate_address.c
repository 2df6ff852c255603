// SPDX-License-Identifier: GPL-2.0
/*
 * Reports an address that two hosts use: its SYNs come from two MAC addresses in turn. A single
 * change is a fail-over, a new card or a move to Wi-Fi.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"

/* Minimum number of changes between the two MAC addresses: A B A B. */
#define LEAST_CHANGES 3

/* Maximum time from one MAC address to the other and back, at least once: no cable is that quick. */
#define BACK_NS (60 * (ns_t)SECOND_NS)

#define MAX_REPORTED 8

#define MAX_COMPARED 256 /* connects of a client */

#define FORMAT_MAC 18

struct mac {
	uint8_t byte[6];
};

/* The MAC addresses of a client's connects. */
struct alternation {
	struct mac mac[2];
	uint64_t connects[2];
	const struct connection *example[2];
	size_t macs; /* 3 if there are more than two */
	size_t changes;
	bool is_quick; /* it changed and changed back within BACK_NS */
	uint64_t failed;
};

static int by_client(const void *a, const void *b)
{
	const struct connection *x = (*(struct noted_connect *const *)a)->c,
				*y = (*(struct noted_connect *const *)b)->c;
	struct client_key p = client_key_of(&x->client), q = client_key_of(&y->client);
	int order = memcmp(&p, &q, sizeof(p));

	if (order)
		return order;
	return x->syn < y->syn ? -1 : x->syn > y->syn;
}

static bool same_client(const struct connection *a, const struct connection *b)
{
	struct client_key x = client_key_of(&a->client), y = client_key_of(&b->client);

	return !memcmp(&x, &y, sizeof(x));
}

/* ---- which MAC addresses are hosts' ---- */

struct mac_address {
	struct mac mac;
	struct client_key client;
};

static int by_mac(const void *a, const void *b)
{
	const struct mac_address *x = a, *y = b;
	int order = memcmp(&x->mac, &y->mac, sizeof(x->mac));

	return order ? order : memcmp(&x->client, &y->client, sizeof(x->client));
}

/* Returns true for the virtual MAC addresses of VRRP (RFC 9568 7.3): a router's. */
static bool is_virtual(const struct mac *m)
{
	static const uint8_t vrrp[] = { 0, 0, 0x5e, 0 };

	return !memcmp(m->byte, vrrp, sizeof(vrrp));
}

/* All pairs of MAC address and client, sorted. */
struct neighbours {
	struct mac_address *at;
	size_t count;
};

static struct neighbours find_neighbours(struct context *g, struct noted_connect **sorted,
					 size_t count)
{
	struct neighbours n = { calloc(count + 1, sizeof(*n.at)), 0 };
	size_t i;

	if (!n.at) {
		g->out_of_memory = true;
		return n;
	}
	for (i = 0; i < count; i++) {
		memcpy(n.at[i].mac.byte, sorted[i]->c->mac, sizeof(n.at[i].mac.byte));
		n.at[i].client = client_key_of(&sorted[i]->c->client);
	}
	n.count = count;
	qsort(n.at, count, sizeof(*n.at), by_mac);
	return n;
}

/* Returns true if more addresses are behind the MAC address than a host has. */
static bool is_router(const struct neighbours *n, const struct mac *m)
{
	size_t i, low = 0, high = n->count, addresses = 0, most = MAX_HOST_IP4;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(&n->at[middle].mac, m, sizeof(*m)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (i = low; i < n->count && !memcmp(&n->at[i].mac, m, sizeof(*m)); i++) {
		if (!is_ip4(&n->at[i].client.address))
			most = MAX_HOST_IP6;
		addresses += i == low || by_mac(&n->at[i], &n->at[i - 1]);
		if (addresses > most)
			return true;
	}
	return is_virtual(m);
}

/* ---- one client ---- */

/* Returns the index of a MAC address, or 2 if there are two others already. */
static size_t index_of(struct alternation *a, const uint8_t mac[6])
{
	size_t i;

	for (i = 0; i < a->macs && i < 2; i++)
		if (!memcmp(a->mac[i].byte, mac, sizeof(a->mac[i].byte)))
			return i;
	if (i < 2)
		memcpy(a->mac[i].byte, mac, sizeof(a->mac[i].byte));
	a->macs = i + 1;
	return i;
}

static struct alternation alternation_of(struct noted_connect **at, size_t count)
{
	struct alternation a = {};
	ns_t changed = NEVER;
	size_t i, is, was = 0;

	for (i = 0; i < count && a.macs <= 2; i++) {
		is = index_of(&a, at[i]->c->mac);
		if (is > 1)
			break;
		if (!a.connects[is]++)
			a.example[is] = at[i]->c;
		a.failed += is_failed(at[i]);
		if (i && is != was) {
			a.changes++;
			a.is_quick |= changed != NEVER && at[i]->c->syn - changed <= BACK_NS;
			changed = at[i]->c->syn;
		}
		was = is;
	}
	return a;
}

/* Returns true if the SYNs from the two MAC addresses are of different systems. */
static bool is_other_system(const struct alternation *a)
{
	const struct syn_traits *x = &a->example[0]->syn_traits, *y = &a->example[1]->syn_traits;

	return x->ttl != y->ttl || x->scale != y->scale || x->has_timestamp != y->has_timestamp;
}

/*
 * Returns true if a server was tried from both MAC addresses. If each server was tried from one of
 * them, it may be a host that has a card for each network.
 */
static bool have_common_server(struct noted_connect **at, size_t count)
{
	size_t i, j;

	for (i = 0; i < count && i < MAX_COMPARED; i++)
		for (j = i + 1; j < count && j < MAX_COMPARED; j++)
			if (same_endpoint(&at[i]->c->server, &at[j]->c->server) &&
			    memcmp(at[i]->c->mac, at[j]->c->mac, sizeof(at[i]->c->mac)))
				return true;
	return false;
}

static const char *format_mac(char out[FORMAT_MAC], const struct mac *m)
{
	const uint8_t *b = m->byte;

	snprintf(out, FORMAT_MAC, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		 b[5]);
	return out;
}

/* Answers for the one go to the other: connects fail, and others have to be tried again. */
static bool has_trouble(const struct noted_connect *n)
{
	return is_failed(n) || connection_lost_far(n->c) || connection_lost_near(n->c);
}

static void add_troubled(struct context *g, struct finding *f, struct noted_connect **at,
			 size_t count)
{
	struct connect_set set = {};
	size_t i;

	for (i = 0; i < count; i++)
		if (has_trouble(at[i]) && !at[i]->explained)
			connect_set_add(g, &set, at[i]);
	finding_add_connects(g, f, &set);
	connect_set_free(&set);
}

static struct certainty certainty_of_alternation(bool other, bool fails)
{
	if (other && fails)
		return certain();
	if (other)
		return doubtful(CONFIDENCE_MEDIUM, "fewer than two of the connects failed");
	return doubtful(fails ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW,
			"the SYNs of both are alike: one host with two cards looks the same");
}

/* at[]: the connects of one client, sorted by their SYN. */
static void report_alternation(struct context *g, const struct alternation *a,
			       struct noted_connect **at, size_t count)
{
	bool other = is_other_system(a), fails = a->failed >= 2;
	struct finding *f =
		finding_new(g, KIND_DUPLICATE_ADDRESS, certainty_of_alternation(other, fails));
	char address[FORMAT_ADDRESS], first[FORMAT_MAC], second[FORMAT_MAC];

	if (!f)
		return;
	format_address(address, &at[0]->c->client.address);
	finding_text(f, "%s is used from two MAC addresses in turn, %s and %s", address,
		     format_mac(first, &a->mac[0]), format_mac(second, &a->mac[1]));
	finding_line(f, "",
		     "%" PRIu64 " connects from the one, %" PRIu64
		     " from the other, %zu changes; %" PRIu64 " of all %zu connects failed",
		     a->connects[0], a->connects[1], a->changes, a->failed, count);
	if (other)
		finding_line(f, "", "their SYNs differ in TTL or options: these are two systems");
	else
		finding_line(f, "against",
			     "their SYNs are alike: a host with two cards (bonding, teaming) looks "
			     "the same");
	finding_line(
		f, "action",
		"find both in the tables of the switches, and give one of them another address");
	add_troubled(g, f, at, count);
	if (at[0]->host && count_once(at[0]->host, f))
		finding_add_host(g, &f->affected, at[0]->host->host);
	f->hosts_hurt = fails ? f->affected.count : 0;
	f->is_problem = other || fails;
	f->stalls = count;
}

/* ---- all clients ---- */

static size_t collect(const struct context *g, struct noted_connect **sorted)
{
	size_t i, n = 0;

	for (i = 0; i < g->connect_count; i++)
		if (g->connects[i].c->has_mac && g->connects[i].host)
			sorted[n++] = &g->connects[i];
	qsort(sorted, n, sizeof(struct noted_connect *), by_client);
	return n;
}

void cause_duplicate_address(struct context *g)
{
	struct noted_connect **sorted =
		calloc(g->connect_count + 1, sizeof(struct noted_connect *));
	size_t i, end, count = sorted ? collect(g, sorted) : 0, reported = 0;
	struct neighbours neighbours;

	if (!sorted) {
		g->out_of_memory = true;
		return;
	}
	neighbours = find_neighbours(g, sorted, count);
	for (i = 0; neighbours.at && i < count && reported < MAX_REPORTED; i = end) {
		struct alternation a;

		for (end = i + 1; end < count && same_client(sorted[i]->c, sorted[end]->c); end++)
			;
		a = alternation_of(&sorted[i], end - i);
		if (a.macs != 2 || a.changes < LEAST_CHANGES || !a.is_quick ||
		    is_router(&neighbours, &a.mac[0]) || is_router(&neighbours, &a.mac[1]) ||
		    (!is_other_system(&a) && !have_common_server(&sorted[i], end - i)))
			continue;
		report_alternation(g, &a, &sorted[i], end - i);
		reported++;
	}
	free(neighbours.at);
	free(sorted);
}
