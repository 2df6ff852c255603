// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>

/* Out of memory is one more thing that is folded: uthash undoes the insertion. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->hh.tbl = NULL)

#include "model.h"

#include <stdlib.h>
#include <string.h>

struct opening {
	struct {
		struct endpoint client;
		struct endpoint server;
		ns_t syn;
	} which;
	uint64_t sweep; /* the last that showed it */
	bool said_waiting;
	UT_hash_handle hh;
};

struct model *model_new(ns_t stall_ns, const struct model_events *events)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->stall_ns = stall_ns;
	m->events = events;
	return m;
}

#define FREE_ALL(head, type)                         \
	do {                                         \
		type *element, *next;                \
		HASH_ITER(hh, head, element, next) { \
			HASH_DEL(head, element);     \
			free(element);               \
		}                                    \
	} while (0)

void model_free(struct model *m)
{
	if (!m)
		return;
	FREE_ALL(m->clients, struct client);
	FREE_ALL(m->peers, struct peer);
	FREE_ALL(m->trials, struct trial);
	FREE_ALL(m->openings, struct opening);
	free(m->stalls.at);
	free(m->undecided.at);
	free(m);
}

/* Adds a zeroed element with this key; element is NULL where there is no room for it. */
#define ADD_NEW(head, field, value, element, limit, folded)                \
	do {                                                               \
		(element) = NULL;                                          \
		if (HASH_COUNT(head) < (limit))                            \
			(element) = calloc(1, sizeof(*(element)));         \
		if (element) {                                             \
			(element)->field = (value);                        \
			HASH_ADD(hh, head, field, sizeof(value), element); \
			if (!(element)->hh.tbl) {                          \
				free(element);                             \
				(element) = NULL;                          \
			}                                                  \
		}                                                          \
		if (!(element))                                            \
			(folded)++;                                        \
	} while (0)

static struct client *client_of(struct model *m, const struct connection *c)
{
	struct place place = { .address = c->client.address,
			       .vlan = { c->client.vlan[0], c->client.vlan[1] } };
	struct client *client;

	HASH_FIND(hh, m->clients, &place, sizeof(place), client);
	if (!client) {
		ADD_NEW(m->clients, place, place, client, MAX_CLIENTS, m->folded);
		if (!client)
			return NULL;
		client->worst_wait = NEVER;
	}
	if (c->has_mac) {
		client->has_mac = true;
		memcpy(client->mac, c->mac, sizeof(c->mac));
	}
	return client;
}

static struct peer *peer_of(struct model *m, const struct endpoint *server, bool add)
{
	struct peer *peer;

	HASH_FIND(hh, m->peers, server, sizeof(*server), peer);
	if (!peer && add) {
		ADD_NEW(m->peers, server, *server, peer, MAX_PEERS, m->folded);
		if (peer) {
			peer->first_failure = NEVER;
			peer->last_failure = NEVER;
			peer->worst_banner = NEVER;
		}
	}
	return peer;
}

static void stalls_add(struct model *m, struct stalls *stalls, const struct stall *stall)
{
	struct stall *grown;
	size_t room;

	if (stalls->count == stalls->room) {
		room = stalls->room ? stalls->room * 2 : 64;
		grown = room <= 2 * MAX_STALLS ? realloc(stalls->at, room * sizeof(*grown)) : NULL;
		if (!grown) {
			m->folded++;
			return;
		}
		stalls->at = grown;
		stalls->room = room;
	}
	stalls->at[stalls->count++] = *stall;
}

static void stall_of(struct stall *s, struct client *client, const struct connection *c, ns_t wait)
{
	memset(s, 0, sizeof(*s));
	s->client = client;
	s->from = c->client;
	s->to = c->server;
	s->has_mac = c->has_mac;
	memcpy(s->mac, c->mac, sizeof(s->mac));
	s->start = c->ack;
	s->wait = wait;
}

/* Said once for each peer and kind; the counts go on in the report. */
static void say_failing(struct model *m, struct peer *peer, const struct connection *c,
			enum failure failure)
{
	if (failure < FAILURE_SILENT || peer->said & 1U << failure)
		return;
	peer->said |= 1U << failure;
	m->events->failing(m->events->context, c, failure);
}

static void note_failure(struct model *m, struct peer *peer, struct client *client,
			 const struct connection *c, enum failure failure)
{
	struct trial *trial;

	peer->failures[failure]++;
	if (failure == FAILURE_TOO_EARLY)
		return;
	peer->failed_syns += c->syn_count;
	peer->by_gateway += c->from_gateway;
	if (peer->first_failure == NEVER || c->syn < peer->first_failure)
		peer->first_failure = c->syn;
	if (peer->last_failure == NEVER || c->syn_last > peer->last_failure)
		peer->last_failure = c->syn_last;
	if (failure == FAILURE_UNREACHABLE) {
		peer->icmp_type = c->icmp_type;
		peer->icmp_code = c->icmp_code;
		peer->icmp_from = c->icmp_from;
	}
	say_failing(m, peer, c, failure);
	if (client) {
		struct trial wanted = { .who = { client, peer } };

		HASH_FIND(hh, m->trials, &wanted.who, sizeof(wanted.who), trial);
		if (!trial) {
			ADD_NEW(m->trials, who, wanted.who, trial, MAX_TRIALS, m->folded);
			if (trial) {
				peer->clients_failed++;
				trial->next = peer->trials;
				peer->trials = trial;
			}
		}
		if (trial)
			trial->failures++;
	}
}

static void note_answer(struct model *m, struct peer *peer, const struct connection *c)
{
	peer->answered++;
	if (c->syn_count > 1 && c->synack != NEVER && c->synack - c->syn >= SILENT_NS)
		peer->answered_late++;
	if (peer->said) {
		peer->said = 0;
		m->events->answered_after_all(m->events->context, c);
	}
}

static void note_waits(struct model *m, struct peer *peer, struct client *client,
		       const struct connection *c)
{
	ns_t silence = connection_silence(c);
	struct stall stall;

	histogram_add(&m->waits, c->wait);
	histogram_add(&m->answers, c->answer);
	if (client && (c->wait != NEVER || c->banner != NEVER)) {
		client->decided++;
		if (c->wait != NEVER && c->wait > client->worst_wait)
			client->worst_wait = c->wait;
	}
	if (c->wait != NEVER && c->wait >= m->stall_ns) {
		m->stall_count++;
		if (client)
			client->stalls++;
		stall_of(&stall, client, c, c->wait);
		stalls_add(m, &m->stalls, &stall);
		m->events->stall(m->events->context, &stall, true);
	}
	if (c->banner != NEVER && c->banner >= m->stall_ns) {
		m->late_banners++;
		if (peer) {
			peer->late_banners++;
			if (c->banner > peer->worst_banner)
				peer->worst_banner = c->banner;
		}
		m->events->late_banner(m->events->context, c);
	}
	if (c->client_first == NEVER && c->server_first == NEVER) {
		if (c->fin != NEVER || c->rst != NEVER) {
			m->unused++;
		} else if (silence != NEVER && silence < m->stall_ns) {
			m->unspoken++;
		} else if (silence != NEVER &&
			   (c->settled_by == SETTLED_END || c->settled_by == SETTLED_PRESSURE)) {
			if (client)
				client->undecided++;
			stall_of(&stall, client, c, silence);
			stalls_add(m, &m->undecided, &stall);
		}
	}
}

static struct opening *opening_find(struct model *m, const struct connection *c,
				    struct opening *wanted)
{
	struct opening *o;

	memset(wanted, 0, sizeof(*wanted));
	wanted->which.client = c->client;
	wanted->which.server = c->server;
	wanted->which.syn = c->syn;
	HASH_FIND(hh, m->openings, &wanted->which, sizeof(wanted->which), o);
	return o;
}

static void opening_forget(struct model *m, struct opening *o)
{
	HASH_DEL(m->openings, o);
	free(o);
}

void model_settled(struct model *m, const struct connection *c)
{
	struct client *client = client_of(m, c);
	struct peer *peer = peer_of(m, &c->server, true);
	enum failure failure = connection_failure(c);
	struct opening wanted, *o;

	o = opening_find(m, c, &wanted);
	if (o)
		opening_forget(m, o);

	m->connections++;
	m->outcomes[c->outcome]++;
	m->failures[failure]++;
	histogram_add(&m->server_round_trips, c->server_round_trip);
	histogram_add(&m->client_round_trips, c->client_round_trip);
	if (client)
		client->connections++;
	if (peer) {
		peer->connections++;
		if (failure != FAILURE_NONE)
			note_failure(m, peer, client, c, failure);
		else
			note_answer(m, peer, c);
	}
	if (c->outcome != OUTCOME_ESTABLISHED)
		return;
	if (c->syn_count > 1)
		m->retried++;
	if (client)
		client->established++;
	note_waits(m, peer, client, c);
}

void model_opening(struct model *m, const struct connection *c)
{
	enum failure failure = connection_failure(c);
	ns_t silence = connection_silence(c);
	struct opening wanted, *o;
	struct stall stall;
	struct peer *peer;

	/* an ICMP error is certain once the client has had the time to try again in spite of it */
	if (failure == FAILURE_SILENT ||
	    (failure == FAILURE_UNREACHABLE && c->settled - c->icmp >= (ns_t)SECOND_NS)) {
		peer = peer_of(m, &c->server, true);
		if (peer)
			say_failing(m, peer, c, failure);
		return;
	}
	if (failure == FAILURE_NONE && c->synack != NEVER) {
		peer = peer_of(m, &c->server, false);
		if (peer && peer->said) {
			peer->said = 0;
			m->events->answered_after_all(m->events->context, c);
		}
	}
	if (silence == NEVER || silence < m->stall_ns || silence < SAY_WAITING_NS)
		return;
	o = opening_find(m, c, &wanted);
	if (!o)
		ADD_NEW(m->openings, which, wanted.which, o, MAX_STALLS, m->folded);
	if (!o)
		return;
	o->sweep = m->sweep;
	if (!o->said_waiting) {
		o->said_waiting = true;
		stall_of(&stall, NULL, c, silence);
		m->events->stall(m->events->context, &stall, false);
	}
}

void model_swept(struct model *m)
{
	struct opening *o, *next;

	HASH_ITER(hh, m->openings, o, next)
		if (o->sweep != m->sweep)
			opening_forget(m, o);
	m->sweep++;
}

/* ---- hosts ---- */

/* Clients in the order of their hosts: by MAC, within it IPv4 first; those without a MAC last. */
static int by_mac(const void *a, const void *b)
{
	const struct client *x = *(struct client *const *)a, *y = *(struct client *const *)b;
	int order = y->has_mac - x->has_mac;

	if (!order && x->has_mac)
		order = memcmp(x->mac, y->mac, sizeof(x->mac));
	if (!order)
		order = is_ip4(&y->place.address) - is_ip4(&x->place.address);
	if (!order)
		order = memcmp(&x->place, &y->place, sizeof(x->place));
	return order;
}

static int by_stalls(const void *a, const void *b)
{
	const struct host *x = a, *y = b;

	if (x->stalls != y->stalls)
		return x->stalls < y->stalls ? 1 : -1;
	if (x->undecided != y->undecided)
		return x->undecided < y->undecided ? 1 : -1;
	if (x->worst_wait != y->worst_wait)
		return x->worst_wait < y->worst_wait ? 1 : -1;
	return memcmp(&x->clients[0]->place, &y->clients[0]->place, sizeof(struct place));
}

/* How many clients from the first on are one host; 0 if their MAC is a router's. */
static size_t same_mac(struct client **clients, size_t count)
{
	unsigned int ip4 = 0, ip6 = 0;
	size_t n;

	if (!clients[0]->has_mac)
		return 1;
	for (n = 0; n < count && clients[n]->has_mac; n++) {
		if (memcmp(clients[n]->mac, clients[0]->mac, sizeof(clients[0]->mac)))
			break;
		if (is_ip4(&clients[n]->place.address))
			ip4++;
		else
			ip6++;
	}
	return ip4 > MAX_HOST_IP4 || ip6 > MAX_HOST_IP6 ? 0 : n;
}

static void host_add(struct hosts *hosts, struct client **clients, size_t count)
{
	struct host *h = &hosts->at[hosts->count++];
	size_t i;

	memset(h, 0, sizeof(*h));
	h->clients = clients;
	h->client_count = count;
	h->worst_wait = NEVER;
	for (i = 0; i < count; i++) {
		h->connections += clients[i]->connections;
		h->established += clients[i]->established;
		h->decided += clients[i]->decided;
		h->stalls += clients[i]->stalls;
		h->undecided += clients[i]->undecided;
		if (clients[i]->worst_wait > h->worst_wait)
			h->worst_wait = clients[i]->worst_wait;
	}
	hosts->affected += h->stalls > 0;
}

bool model_hosts(struct model *m, struct hosts *hosts)
{
	size_t count = HASH_COUNT(m->clients), i = 0, j, n, end;
	struct client *client;

	memset(hosts, 0, sizeof(*hosts));
	hosts->clients = calloc(count + 1, sizeof(struct client *));
	hosts->at = calloc(count + 1, sizeof(*hosts->at));
	if (!hosts->clients || !hosts->at) {
		hosts_free(hosts);
		return false;
	}
	for (client = m->clients; client; client = client->hh.next)
		hosts->clients[i++] = client;
	qsort(hosts->clients, count, sizeof(struct client *), by_mac);
	for (i = 0; i < count; i = end) {
		n = same_mac(hosts->clients + i, count - i);
		end = i + (n ? n : 1);
		if (n) {
			host_add(hosts, hosts->clients + i, n);
			continue;
		}
		/* a router: each address behind it is a host */
		while (end < count && hosts->clients[end]->has_mac &&
		       !memcmp(hosts->clients[end]->mac, hosts->clients[i]->mac,
			       sizeof(hosts->clients[i]->mac)))
			end++;
		for (n = i; n < end; n++)
			host_add(hosts, hosts->clients + n, 1);
	}
	qsort(hosts->at, hosts->count, sizeof(*hosts->at), by_stalls);
	for (i = 0; i < hosts->count; i++)
		for (j = 0; j < hosts->at[i].client_count; j++)
			hosts->at[i].clients[j]->host = i;
	return true;
}

void hosts_free(struct hosts *hosts)
{
	free(hosts->at);
	free(hosts->clients);
	memset(hosts, 0, sizeof(*hosts));
}

struct cohort model_cohort(struct hosts *hosts, const struct peer *p)
{
	struct cohort cohort = {};
	const struct trial *t;
	struct host *h;

	for (t = p->trials; t; t = t->next) {
		h = &hosts->at[t->who.client->host];
		if (h->counted == p)
			continue;
		h->counted = p;
		cohort.tried++;
		cohort.tried_stalled += h->stalls > 0;
	}
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

static int by_ns(const void *a, const void *b)
{
	ns_t x = *(const ns_t *)a, y = *(const ns_t *)b;

	return x < y ? -1 : x > y;
}

static int by_count(const void *a, const void *b)
{
	const struct stall_group *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return by_ns(&x->median, &y->median);
}

static ns_t slack(ns_t wait)
{
	return wait / 50 > 50 * (ns_t)MILLISECOND_NS ? wait / 50 : 50 * (ns_t)MILLISECOND_NS;
}

/* sorted: count stalls of one group; scratch: room for as many numbers. */
static void group_fill(struct stall_group *g, struct stall **sorted, size_t count, ns_t *scratch)
{
	size_t i, j;

	g->count = count;
	g->shortest = sorted[0]->wait;
	g->longest = sorted[count - 1]->wait;
	g->median = sorted[count / 2]->wait;
	for (i = 0; i < count; i++)
		scratch[i] = llabs(sorted[i]->wait - g->median);
	qsort(scratch, count, sizeof(*scratch), by_ns);
	g->deviation = scratch[count / 2];

	for (i = 0; i < count; i++)
		scratch[i] = sorted[i]->client ? (ns_t)sorted[i]->client->host : -1;
	qsort(scratch, count, sizeof(*scratch), by_ns);
	for (i = 0, j = 0; i < count; i++)
		j += !i || scratch[i] != scratch[i - 1];
	g->hosts = j;
}

struct stall_group *model_stall_groups(const struct model *m, size_t *count)
{
	size_t n = m->stalls.count, i, begin, groups = 0;
	struct stall **sorted = calloc(n + 1, sizeof(*sorted));
	struct stall_group *g = calloc(n + 1, sizeof(*g));
	ns_t *scratch = calloc(n + 1, sizeof(*scratch));

	*count = 0;
	if (!n || !sorted || !g || !scratch)
		goto out;
	for (i = 0; i < n; i++)
		sorted[i] = &m->stalls.at[i];
	qsort(sorted, n, sizeof(*sorted), by_wait);
	for (begin = 0, i = 1; i <= n; i++) {
		if (i < n && sorted[i]->wait - sorted[i - 1]->wait <= slack(sorted[i]->wait))
			continue;
		group_fill(&g[groups++], sorted + begin, i - begin, scratch);
		begin = i;
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

static uint64_t certain_failures(const struct peer *p)
{
	return p->failures[FAILURE_ONE_SYN] + p->failures[FAILURE_SILENT] +
	       p->failures[FAILURE_REFUSED] + p->failures[FAILURE_UNREACHABLE];
}

static int by_clients_failed(const void *a, const void *b)
{
	const struct peer *x = *(struct peer *const *)a, *y = *(struct peer *const *)b;

	if (x->clients_failed != y->clients_failed)
		return x->clients_failed < y->clients_failed ? 1 : -1;
	if (certain_failures(x) != certain_failures(y))
		return certain_failures(x) < certain_failures(y) ? 1 : -1;
	return memcmp(&x->server, &y->server, sizeof(x->server));
}

struct peer **model_failing_peers(const struct model *m, size_t *count)
{
	struct peer **peers = calloc(HASH_COUNT(m->peers) + 1, sizeof(struct peer *));
	struct peer *p;
	size_t n = 0;

	*count = 0;
	if (!peers)
		return NULL;
	for (p = m->peers; p; p = p->hh.next)
		if (certain_failures(p))
			peers[n++] = p;
	qsort(peers, n, sizeof(struct peer *), by_clients_failed);
	*count = n;
	return peers;
}

static bool comes_before(const struct trial *a, const struct trial *b)
{
	if (a->failures != b->failures)
		return a->failures > b->failures;
	return memcmp(&a->who.client->place, &b->who.client->place, sizeof(struct place)) < 0;
}

size_t peer_trials(const struct peer *p, const struct trial **trials, size_t room)
{
	const struct trial *t;
	size_t kept = 0, i;

	for (t = p->trials; t && room; t = t->next) {
		if (kept < room)
			kept++;
		else if (!comes_before(t, trials[kept - 1]))
			continue;
		for (i = kept - 1; i > 0 && comes_before(t, trials[i - 1]); i--)
			trials[i] = trials[i - 1];
		trials[i] = t;
	}
	return kept;
}
