// SPDX-License-Identifier: GPL-2.0
#include "diagnose/name_operations.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/connects.h"

/* How long a client waits for an answer after a single try. */
#define ONE_TRY_NS LOOKUP_SILENT_NS

/* An answer so soon after the last of several tries shows that packets were lost before. */
#define PROMPT_NS (500 * (ns_t)MILLISECOND_NS)

/* ---- from lookups to operations ---- */

/* Returns the latest time at which the client may have waited for an answer, as for SYNs. */
static ns_t given_up_at(const struct lookup *l)
{
	size_t n = lookup_tries(l);

	if (n < 2)
		return l->first + ONE_TRY_NS;
	return l->last.time + 2 * (l->last.time - lookup_try(l, n - 2)->time);
}

static void add_times(struct pending *o, const struct lookup *l)
{
	size_t i;

	for (i = 0; i < lookup_tries(l); i++)
		if (o->syn_count < SYN_TIMES)
			o->syn_times[o->syn_count++] = lookup_try(l, i)->time;
	o->syn_last = l->last.time;
}

/* Fills in the operation of a lookup in vain at this resolver. */
static void fill_in_vain(struct pending *o, const struct asked *a)
{
	const struct lookup *l = a->n->l;

	o->failed = true;
	o->resolved = true;
	if (l->end != NEVER)
		o->end = l->end; /* another resolver answered, or all have failed */
	else if (l->result == LOOKUP_FAILED && l->last.answered != NEVER)
		o->end = l->last.answered;
	else
		o->resolved = false;
	if (!o->resolved)
		o->end = given_up_at(l);
}

/* Fills in the operation of a lookup that the resolver answered late. */
static void fill_late(struct pending *o, const struct asked *a)
{
	o->resolved = true;
	o->end = o->answered = a->answered;
	o->lost_once = a->tries == 2 && a->after_last != NEVER && a->after_last < PROMPT_NS;
}

/* Returns true if the resolver answered a question that was asked during this lookup. */
static bool is_alive_during(const struct resolver *r, const struct asked *a)
{
	size_t i;

	for (i = 0; i < r->count && r->asked[i].first <= a->last + LOOKUP_SILENT_NS; i++)
		if (r->asked[i].result == ASKED_ANSWERED && r->asked[i].last >= a->first)
			return true;
	return false;
}

/*
 * Fills in the operation that the client's wait for this resolver is. Returns false if it is none:
 * if it ended soon, or if the resolver answered others meanwhile, so that a packet was lost.
 */
static bool fill_operation(const struct context *g, struct name_operation *o,
			   const struct resolver *r, const struct asked *a)
{
	const struct lookup *l = a->n->l;
	uint16_t zone = zone_of_asked(g, a);

	*o = (struct name_operation){
		.host = a->n->host,
		.episode = l->episode,
		.syn = l->syn,
		.pending = {
			.client = (struct client *)model_client(g->m, &l->client),
			.to = r->endpoint,
			.start = a->first,
			.answered = NEVER,
			.tries = 1,
		},
	};
	o->pending.to.zone = zone;
	if (!o->host || !o->pending.client)
		return false;
	add_times(&o->pending, l);
	if (is_in_vain(g, a)) {
		if (!zone && is_alive_during(r, a))
			return false;
		fill_in_vain(&o->pending, a);
	} else if (is_good_answer(a)) {
		fill_late(&o->pending, a);
	} else {
		return false;
	}
	return o->pending.end - o->pending.start >= g->m->stall_ns / 10 * 8;
}

/* ---- operations of one episode ---- */

static int by_episode(const void *a, const void *b)
{
	const struct name_operation *x = a, *y = b;
	int order = memcmp(&x->pending.to, &y->pending.to, sizeof(x->pending.to));

	if (x->episode != y->episode)
		return x->episode < y->episode ? -1 : 1;
	if (order)
		return order;
	if (x->pending.start != y->pending.start)
		return x->pending.start < y->pending.start ? -1 : 1;
	return x->pending.end < y->pending.end ? -1 : x->pending.end > y->pending.end;
}

static int by_start(const void *a, const void *b)
{
	const struct name_operation *x = a, *y = b;
	const struct pending *p = &x->pending, *q = &y->pending;

	return pending_by_start(&p, &q);
}

/* Adds a later or longer lookup of the same episode at the same peer. */
static void join_operations(struct name_operation *to, const struct name_operation *from)
{
	struct pending *o = &to->pending;
	const struct pending *p = &from->pending;

	if (p->end > o->end) {
		o->end = p->end;
		o->resolved = p->resolved;
		o->answered = p->answered;
		o->failed = p->failed;
		o->syn_count = p->syn_count;
		memcpy(o->syn_times, p->syn_times, sizeof(o->syn_times));
	}
	if (p->syn_last > o->syn_last)
		o->syn_last = p->syn_last;
	o->lost_once &= p->lost_once;
	if (to->syn == NEVER)
		to->syn = from->syn;
}

static void join_episodes(struct name_operations *n)
{
	size_t i, kept = 0;

	qsort(n->at, n->count, sizeof(*n->at), by_episode);
	for (i = 0; i < n->count; i++) {
		struct name_operation *last = kept ? &n->at[kept - 1] : NULL;

		if (last && last->episode == n->at[i].episode &&
		    same_endpoint(&last->pending.to, &n->at[i].pending.to))
			join_operations(last, &n->at[i]);
		else
			n->at[kept++] = n->at[i];
	}
	n->count = kept;
	qsort(n->at, n->count, sizeof(*n->at), by_start);
}

/* Returns false when out of memory. */
static bool collect_operations(const struct context *g, struct name_operations *n)
{
	const struct resolvers *r = g->resolvers;
	size_t i, j;

	n->at = calloc(r->asked_count + 1, sizeof(*n->at));
	if (!n->at)
		return false;
	for (i = 0; i < r->count; i++)
		for (j = 0; j < r->at[i].count; j++)
			n->count +=
				fill_operation(g, &n->at[n->count], &r->at[i], &r->at[i].asked[j]);
	join_episodes(n);
	return true;
}

/* ---- timelines ---- */

/* Gives each host room for its attempts and its operations, which are counted. */
static void lay_out(struct context *g, const struct pending **all, bool *follows,
		    const size_t *counts)
{
	size_t i, used = 0;

	for (i = 0; i < g->hosts->all; i++) {
		struct timeline *t = &g->timelines[i];

		memcpy(all + used, t->pendings, t->pending_count * sizeof(struct pending *));
		t->pendings = all + used;
		t->follows = follows + used;
		used += t->pending_count + counts[i];
	}
}

static void sort_timeline(struct timeline *t, size_t operations)
{
	if (!operations)
		return;
	qsort(t->pendings, t->pending_count, sizeof(struct pending *), pending_by_start);
	/* unless attempts were forgotten, whose time is not known */
	if (t->pending_count == operations && t->pendings[0]->start < t->from) {
		t->watched += t->from - t->pendings[0]->start;
		t->from = t->pendings[0]->start;
	}
}

/* Returns false when out of memory. */
static bool add_to_timelines(struct context *g)
{
	const struct name_operations *n = g->operations;
	size_t room = g->m->pending_kept + n->count + 1, i;
	const struct pending **all = calloc(room, sizeof(struct pending *));
	bool *follows = calloc(room, sizeof(*follows));
	size_t *counts = calloc(g->hosts->all + 1, sizeof(*counts));

	if (all && follows && counts) {
		for (i = 0; i < n->count; i++)
			counts[n->at[i].host - g->timelines]++;
		lay_out(g, all, follows, counts);
		for (i = 0; i < n->count; i++) {
			struct timeline *t = n->at[i].host;

			t->pendings[t->pending_count++] = &n->at[i].pending;
		}
		for (i = 0; i < g->hosts->all; i++)
			sort_timeline(&g->timelines[i], counts[i]);
		free(g->pendings);
		free(g->follows);
		g->pendings = all;
		g->follows = follows;
	} else {
		free(all);
		free(follows);
	}
	free(counts);
	return g->pendings == all;
}

/* ---- peers ---- */

static int by_server(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;

	return memcmp(&x->server, &y->server, sizeof(x->server));
}

static void add_failure(struct peer *p, const struct asked *a)
{
	p->failures[FAILURE_SILENT]++;
	p->ifindex = a->n->l->ifindex;
	p->asked_by = a->n->l->client.address;
	if (p->first_failure == NEVER || a->first < p->first_failure)
		p->first_failure = a->first;
	if (p->last_failure == NEVER || a->last > p->last_failure)
		p->last_failure = a->last;
}

static void add_answer(struct peer *p, const struct asked *a)
{
	p->answered++;
	if (p->first_answer == NEVER || a->answered < p->first_answer)
		p->first_answer = a->answered;
	if (p->last_answer == NEVER || a->answered > p->last_answer)
		p->last_answer = a->answered;
}

static int by_asker(const void *a, const void *b)
{
	const struct asker *x = a, *y = b;

	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	return x->host < y->host ? -1 : x->host > y->host;
}

/* Stores who asked the peer while it did not answer. */
static void add_askers(const struct context *g, struct name_operations *n, const struct peer *p,
		       const struct resolver *r)
{
	size_t i;

	for (i = 0; r && i < r->count; i++) {
		const struct asked *a = &r->asked[i];

		if (a->n->host && a->result != ASKED_UNKNOWN &&
		    zone_of_asked(g, a) == p->server.zone && a->last >= p->first_failure &&
		    a->first <= p->last_failure)
			n->askers[n->asker_count++] = (struct asker){ p, a->n->host };
	}
}

static void fill_peer(const struct context *g, struct name_operations *n, struct peer *p)
{
	const struct zone *z = zone_numbered(g, p->server.zone);
	const struct resolver *r = find_resolver(g->resolvers, &p->server.address, p->server.port);
	size_t i;

	p->first_failure = p->last_failure = p->first_answer = p->last_answer = NEVER;
	for (i = 0; r && i < r->count; i++) {
		const struct asked *a = &r->asked[i];

		if (is_in_vain(g, a) && zone_of_asked(g, a) == p->server.zone)
			add_failure(p, a);
		else if (is_good_answer(a) && (!z || is_of_zone(g, z, a->n->l)))
			add_answer(p, a);
	}
	add_askers(g, n, p, r);
}

/* Returns false when out of memory. */
static bool fill_peers(const struct context *g, struct name_operations *n)
{
	size_t i, kept = 0;

	n->peers = calloc(n->count + 1, sizeof(*n->peers));
	n->askers = calloc(g->resolvers->asked_count + 1, sizeof(*n->askers));
	if (!n->peers || !n->askers)
		return false;
	for (i = 0; i < n->count; i++)
		n->peers[i].server = n->at[i].pending.to;
	qsort(n->peers, n->count, sizeof(*n->peers), by_server);
	for (i = 0; i < n->count; i++)
		if (!kept || by_server(&n->peers[kept - 1], &n->peers[i]))
			n->peers[kept++] = n->peers[i];
	n->peer_count = kept;
	for (i = 0; i < kept; i++)
		fill_peer(g, n, &n->peers[i]);
	qsort(n->askers, n->asker_count, sizeof(*n->askers), by_asker);
	return true;
}

bool name_operations_add(struct context *g)
{
	struct name_operations *n = g->operations = calloc(1, sizeof(*n));

	if (!n)
		return false;
	if (!g->resolvers->asked_count)
		return true;
	return collect_operations(g, n) && fill_peers(g, n) && (!n->count || add_to_timelines(g));
}

void name_operations_free(struct context *g)
{
	if (!g->operations)
		return;
	free(g->operations->at);
	free(g->operations->peers);
	free(g->operations->askers);
	free(g->operations);
}

/* ---- queries ---- */

const struct name_operation *name_operation_of(const struct context *g, const struct pending *o)
{
	const struct name_operations *n = g->operations;
	const struct name_operation *op = (const void *)o; /* its first member */

	return n->count && op >= n->at && op < n->at + n->count ? op : NULL;
}

static const struct peer *name_peer(const struct context *g, const struct endpoint *e)
{
	const struct name_operations *n = g->operations;
	struct peer key = { .server = *e };

	return n->peer_count ? bsearch(&key, n->peers, n->peer_count, sizeof(*n->peers), by_server)
			     : NULL;
}

bool is_name_peer(const struct context *g, const struct endpoint *e)
{
	return name_peer(g, e);
}

const struct peer *peer_of(const struct context *g, const struct endpoint *e)
{
	const struct peer *p = name_peer(g, e);

	return p ? p : model_peer(g->m, e);
}

bool has_asked(const struct context *g, const struct endpoint *e, const struct timeline *t)
{
	const struct name_operations *n = g->operations;
	struct asker key = { name_peer(g, e), t };

	return key.peer && bsearch(&key, n->askers, n->asker_count, sizeof(key), by_asker);
}

bool waited_for_own_name(const struct timeline *t, ns_t syn, const struct endpoint *server)
{
	size_t i;

	for (i = first_connect_since(t, syn); i < t->connect_count; i++) {
		const struct connection *c = t->connects[i]->c;

		if (c->syn > syn)
			break;
		if (c->name && same_endpoint(&c->server, server) && c->name_asked != NEVER)
			return c->syn - c->name_asked >= MIN_RESOLVER_WAIT_NS;
	}
	return false;
}
