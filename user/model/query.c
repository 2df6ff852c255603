// SPDX-License-Identifier: GPL-2.0
/* Queries of the model: hosts, cohorts, stalls of equal length, peers that fail. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/statistics.h"
#include "model/store.h"

const struct peer *model_peer(const struct model *m, const struct endpoint *server)
{
	struct peer *peer;

	HASH_FIND(hh, m->peers, server, sizeof(*server), peer);
	return peer;
}

const struct client *model_client(const struct model *m, const struct client_key *key)
{
	struct client *client;

	HASH_FIND(hh, m->clients, key, sizeof(*key), client);
	return client;
}

const struct pair *model_pair(const struct model *m, const struct client *client,
			      const struct peer *peer)
{
	struct pair_key who = { (struct client *)client, (struct peer *)peer };
	struct pair *pair;

	HASH_FIND_BYHASHVALUE(hh, m->pairs, &who, sizeof(who),
			      pair_hash(client->hh.hashv, peer->hh.hashv), pair);
	return pair;
}

/* ---- hosts ---- */

/*
 * Sorts the clients of a host next to each other: by MAC, IPv4 first, the VLANs of an address
 * together. Clients without a MAC are last.
 */
static int by_mac(const void *a, const void *b)
{
	const struct client *x = *(struct client *const *)a, *y = *(struct client *const *)b;
	int order = y->has_mac - x->has_mac;

	if (!order && x->has_mac)
		order = memcmp(x->mac, y->mac, sizeof(x->mac));
	if (!order)
		order = is_ip4(&y->key.address) - is_ip4(&x->key.address);
	if (!order)
		order = memcmp(&x->key, &y->key, sizeof(x->key));
	return order;
}

static int by_stalls(const void *a, const void *b)
{
	const struct host *x = a, *y = b;

	if (!x->connections != !y->connections)
		return !x->connections ? 1 : -1;
	if (x->stalls != y->stalls)
		return x->stalls < y->stalls ? 1 : -1;
	if (x->idle != y->idle)
		return x->idle < y->idle ? 1 : -1;
	if (x->worst_wait != y->worst_wait)
		return x->worst_wait < y->worst_wait ? 1 : -1;
	return memcmp(&x->clients[0]->key, &y->clients[0]->key, sizeof(struct client_key));
}

static bool has_same_mac(const struct client *a, const struct client *b)
{
	return a->has_mac && b->has_mac && !memcmp(a->mac, b->mac, sizeof(a->mac));
}

static bool has_same_address(const struct client *a, const struct client *b)
{
	return !memcmp(&a->key.address, &b->key.address, sizeof(a->key.address));
}

/* Returns the number of clients, from the first on, that have the first client's MAC. */
static size_t count_of_mac(struct client **clients, size_t count)
{
	size_t n = 1;

	while (n < count && has_same_mac(clients[n], clients[0]))
		n++;
	return n;
}

/* Returns the number of clients, from the first on, that have the first client's address. */
static size_t count_of_address(struct client **clients, size_t count)
{
	size_t n = 1;

	while (n < count && has_same_address(clients[n], clients[0]))
		n++;
	return n;
}

/*
 * Returns true if the clients, which have one MAC, have so many addresses that it is a router's. An
 * address in several VLANs counts once: a trunk or a mirror port may show a host in all of them.
 */
static bool is_router(struct client **clients, size_t count)
{
	unsigned int ip4 = 0, ip6 = 0;
	size_t i;

	for (i = 0; i < count; i += count_of_address(clients + i, count - i)) {
		if (is_ip4(&clients[i]->key.address))
			ip4++;
		else
			ip6++;
	}
	return ip4 > MAX_HOST_IP4 || ip6 > MAX_HOST_IP6;
}

static void add_host(struct hosts *hosts, struct client **clients, size_t count)
{
	struct host *h = &hosts->at[hosts->count++];
	size_t i;

	memset(h, 0, sizeof(*h));
	h->clients = clients;
	h->client_count = count;
	h->worst_wait = NEVER;
	for (i = 0; i < count; i++) {
		h->address_count += !i || !has_same_address(clients[i], clients[i - 1]);
		h->connections += clients[i]->connections;
		h->established += clients[i]->established;
		h->decided += clients[i]->decided;
		h->stalls += clients[i]->stalls;
		h->idle += clients[i]->idle;
		if (clients[i]->worst_wait > h->worst_wait)
			h->worst_wait = clients[i]->worst_wait;
	}
	hosts->affected += h->stalls > 0;
}

/* Groups hosts->clients, which is sorted by by_mac(), into hosts. */
static void group_clients(struct hosts *hosts, size_t count)
{
	size_t i, j, n, end;
	bool router;

	for (i = 0; i < count; i = end) {
		n = count_of_mac(hosts->clients + i, count - i);
		end = i + n;
		router = is_router(hosts->clients + i, n);
		for (j = i; j < end; j += n) {
			if (router)
				n = count_of_address(hosts->clients + j, end - j);
			add_host(hosts, hosts->clients + j, n);
			hosts->at[hosts->count - 1].behind_router = router;
		}
	}
}

bool model_hosts(const struct model *m, struct hosts *hosts)
{
	size_t count = HASH_COUNT(m->clients), i = 0, j;
	struct client *client;

	memset(hosts, 0, sizeof(*hosts));
	hosts->clients = calloc(count + 1, sizeof(struct client *));
	hosts->at = calloc(count + 1, sizeof(*hosts->at));
	hosts->of_client = calloc(count + 1, sizeof(*hosts->of_client));
	hosts->seen = calloc(count + 1, sizeof(*hosts->seen));
	if (!hosts->clients || !hosts->at || !hosts->of_client || !hosts->seen) {
		hosts_free(hosts);
		return false;
	}
	for (client = m->clients; client; client = client->hh.next)
		hosts->clients[i++] = client;
	qsort(hosts->clients, count, sizeof(struct client *), by_mac);
	group_clients(hosts, count);
	qsort(hosts->at, hosts->count, sizeof(*hosts->at), by_stalls);
	hosts->all = hosts->count;
	while (hosts->count && !hosts->at[hosts->count - 1].connections)
		hosts->count--;
	for (i = 0; i < hosts->all; i++)
		for (j = 0; j < hosts->at[i].client_count; j++)
			hosts->of_client[hosts->at[i].clients[j]->number] = i;
	return true;
}

void hosts_free(struct hosts *hosts)
{
	free(hosts->at);
	free(hosts->clients);
	free(hosts->of_client);
	free(hosts->seen);
	memset(hosts, 0, sizeof(*hosts));
}

const struct host *host_of_client(const struct hosts *hosts, const struct client *c)
{
	return &hosts->at[hosts->of_client[c->number]];
}

struct cohort model_cohort(const struct hosts *hosts, const struct peer *p)
{
	struct cohort cohort = {};
	const struct pair *t;
	uint32_t i;

	LIST_FOREACH(t, &p->pairs, of_peer) {
		i = hosts->of_client[t->who.client->number];
		if (!t->failures || hosts->seen[i])
			continue;
		hosts->seen[i] = true;
		cohort.tried++;
		cohort.tried_stalled += hosts->at[i].stalls > 0;
	}
	LIST_FOREACH(t, &p->pairs, of_peer)
		hosts->seen[hosts->of_client[t->who.client->number]] = false;
	cohort.others = hosts->count - cohort.tried;
	cohort.others_stalled = hosts->affected - cohort.tried_stalled;
	return cohort;
}

/* ---- stalls of equal length ---- */

static int by_wait(const void *a, const void *b)
{
	const struct stall *x = *(struct stall *const *)a, *y = *(struct stall *const *)b;

	return x->wait < y->wait ? -1 : x->wait > y->wait;
}

static int by_count(const void *a, const void *b)
{
	const struct stall_group *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return compare_ns(&x->median, &y->median);
}

/*
 * Fills in a group. sorted has the count stalls of the group; scratch has room for count durations.
 */
static void fill_group(struct stall_group *g, struct stall **sorted, size_t count, ns_t *scratch,
		       const struct hosts *hosts)
{
	size_t i;

	g->count = count;
	g->shortest = sorted[0]->wait;
	g->longest = sorted[count - 1]->wait;
	g->median = sorted[count / 2]->wait;
	for (i = 0; i < count; i++)
		scratch[i] = sorted[i]->wait;
	g->deviation = median_absolute_deviation(scratch, count, g->median);

	for (i = 0; i < count; i++)
		scratch[i] = hosts->of_client[sorted[i]->client->number];
	qsort(scratch, count, sizeof(*scratch), compare_ns);
	for (i = 0; i < count; i++)
		g->hosts += !i || scratch[i] != scratch[i - 1];
}

struct stall_group *model_stall_groups(const struct model *m, const struct hosts *hosts,
				       size_t *count)
{
	size_t n = m->stalls_kept, i = 0, first, groups = 0;
	struct stall **sorted = calloc(n + 1, sizeof(*sorted));
	struct stall_group *g = calloc(n + 1, sizeof(*g));
	ns_t *scratch = calloc(n + 1, sizeof(*scratch));
	struct stall *s;

	*count = 0;
	if (!n || !hosts->count || !sorted || !g || !scratch)
		goto out;
	TAILQ_FOREACH(s, &m->stalls, by_age)
		sorted[i++] = s;
	qsort(sorted, n, sizeof(*sorted), by_wait);
	for (first = 0, i = 1; i <= n; i++) {
		if (i < n && sorted[i]->wait - sorted[i - 1]->wait <= timer_slack(sorted[i]->wait))
			continue;
		fill_group(&g[groups++], sorted + first, i - first, scratch, hosts);
		first = i;
	}
	qsort(g, groups, sizeof(*g), by_count);
	*count = groups;
out:
	free(sorted);
	free(scratch);
	if (!*count) {
		free(g);
		return NULL;
	}
	return g;
}

/* ---- peers ---- */

uint64_t peer_failures(const struct peer *p)
{
	return p->failures[FAILURE_ONE_SYN] + p->failures[FAILURE_SILENT] +
	       p->failures[FAILURE_REFUSED] + p->failures[FAILURE_UNREACHABLE];
}

static int by_clients_failed(const void *a, const void *b)
{
	const struct peer *x = *(struct peer *const *)a, *y = *(struct peer *const *)b;

	if (x->clients_failed != y->clients_failed)
		return x->clients_failed < y->clients_failed ? 1 : -1;
	if (peer_failures(x) != peer_failures(y))
		return peer_failures(x) < peer_failures(y) ? 1 : -1;
	return memcmp(&x->server, &y->server, sizeof(x->server));
}

const struct peer **model_failing_peers(const struct model *m, size_t *count)
{
	const struct peer **peers = calloc(HASH_COUNT(m->peers) + 1, sizeof(struct peer *));
	const struct peer *p;
	size_t n = 0;

	*count = 0;
	if (!peers)
		return NULL;
	for (p = m->peers; p; p = p->hh.next)
		if (peer_failures(p))
			peers[n++] = p;
	qsort(peers, n, sizeof(struct peer *), by_clients_failed);
	*count = n;
	return peers;
}

static bool comes_before(const struct pair *a, const struct pair *b)
{
	if (a->failures != b->failures)
		return a->failures > b->failures;
	return memcmp(&a->who.client->key, &b->who.client->key, sizeof(struct client_key)) < 0;
}

size_t peer_pairs(const struct peer *p, const struct pair **pairs, size_t room)
{
	const struct pair *t;
	size_t kept = 0, i;

	LIST_FOREACH(t, &p->pairs, of_peer) {
		if (!t->failures || !room)
			continue;
		if (kept < room)
			kept++;
		else if (!comes_before(t, pairs[kept - 1]))
			continue;
		for (i = kept - 1; i > 0 && comes_before(t, pairs[i - 1]); i--)
			pairs[i] = pairs[i - 1];
		pairs[i] = t;
	}
	return kept;
}

/* ---- resolvers ---- */

size_t model_silent_resolvers(const struct model *m, struct silent_resolver *at, size_t room)
{
	size_t i, j, n = 0;

	for (i = 0; i < names_lookup_count(m->names) && n < room; i++) {
		const struct lookup *l = names_lookup(m->names, i);
		const struct dns_try *t = &l->tries[0];
		struct silent_resolver r = {
			.server = { .address = t->server,
				    .port = t->server_port,
				    .vlan = { l->client.vlan[0], l->client.vlan[1] } },
			.asked_by = l->client.address,
			.ifindex = l->ifindex,
		};

		if ((t->result != TRY_OPEN && t->result != TRY_ERROR) || l->from_gateway)
			continue;
		for (j = 0; j < n; j++)
			if (same_endpoint(&at[j].server, &r.server))
				break;
		if (j == n)
			at[n++] = r;
	}
	return n;
}
