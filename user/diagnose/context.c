// SPDX-License-Identifier: GPL-2.0
#include "diagnose/context.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/name_operations.h"
#include "diagnose/zones.h"
#include "model/coincidence.h"

static int by_end(const void *a, const void *b)
{
	const struct stall *x = ((const struct noted_stall *)a)->stall;
	const struct stall *y = ((const struct noted_stall *)b)->stall;

	if (stall_end(x) != stall_end(y))
		return stall_end(x) < stall_end(y) ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return memcmp(&x->from, &y->from, sizeof(x->from));
}

int pending_by_start(const void *a, const void *b)
{
	const struct pending *x = *(struct pending *const *)a, *y = *(struct pending *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return memcmp(&x->to, &y->to, sizeof(x->to));
}

static size_t count_groups(const struct timeline *t)
{
	size_t i, n = 0;
	ns_t end = 0;

	for (i = 0; i < t->stall_count; i++) {
		const struct stall *s = t->stalls[i].stall;

		if (!n || stall_end(s) - end > SAME_MOMENT_NS) {
			n++;
			end = stall_end(s);
		}
	}
	return n;
}

/* Appends the stalls and pending operations of a client. */
static void add_client(struct timeline *t, const struct client *c)
{
	const struct pending *o;
	const struct stall *s;

	if (c->first_syn != NEVER && c->first_syn < t->from)
		t->from = c->first_syn;
	TAILQ_FOREACH(s, &c->kept_stalls, of_client)
		/* if a sibling to the same server was in use, this was a spare socket */
		if (!s->siblings)
			t->stalls[t->stall_count++].stall = s;
	TAILQ_FOREACH(o, &c->pendings, of_client)
		t->pendings[t->pending_count++] = o;
}

static struct timeline *timeline_of_idle(const struct context *g, const struct stall *s)
{
	struct client_key key = client_key_of(&s->from);
	const struct client *c = model_client(g->m, &key);

	return c ? timeline_of(g, c) : NULL;
}

/* Adds the connections that were idle at the end of the run to the timelines of their hosts. */
static void add_open_waits(struct context *g)
{
	const struct stalls *idle = &g->m->idle;
	struct timeline *t;
	ns_t *open = g->open;
	size_t i;

	for (i = 0; i < idle->count; i++) {
		t = timeline_of_idle(g, &idle->at[i]);
		if (t)
			t->open_count++;
	}
	for (t = g->timelines; t < g->timelines + g->hosts->all; t++) {
		t->open = open;
		open += t->open_count;
		t->open_count = 0;
	}
	for (i = 0; i < idle->count; i++) {
		t = timeline_of_idle(g, &idle->at[i]);
		if (t)
			g->open[t->open - g->open + t->open_count++] = idle->at[i].start;
	}
}

static void fill_timeline(const struct context *g, struct timeline *t, const struct host *h,
			  struct noted_stall *stalls, const struct pending **pendings)
{
	size_t i;

	t->host = h;
	t->stalls = stalls;
	t->pendings = pendings;
	t->follows = g->follows + (pendings - g->pendings);
	t->from = g->m->last;
	for (i = 0; i < h->client_count; i++)
		add_client(t, h->clients[i]);
	qsort(stalls, t->stall_count, sizeof(*stalls), by_end);
	qsort(pendings, t->pending_count, sizeof(*pendings), pending_by_start);
	for (i = 0; i < h->client_count; i++)
		if (h->clients[i]->forgot_pending && t->pending_count)
			t->from = pendings[0]->start;
	t->watched = g->m->last - t->from;
	t->groups = count_groups(t);
}

/* ---- connects ---- */

static int by_server(const void *a, const void *b)
{
	const struct connection *x = ((const struct noted_connect *)a)->c,
				*y = ((const struct noted_connect *)b)->c;
	int order = memcmp(&x->server, &y->server, sizeof(x->server));

	if (order)
		return order;
	if (x->syn != y->syn)
		return x->syn < y->syn ? -1 : 1;
	return memcmp(&x->client, &y->client, sizeof(x->client));
}

static int by_syn(const void *a, const void *b)
{
	const struct connection *x = (*(struct noted_connect *const *)a)->c,
				*y = (*(struct noted_connect *const *)b)->c;

	if (x->syn != y->syn)
		return x->syn < y->syn ? -1 : 1;
	if (x->connect != y->connect)
		return x->connect < y->connect ? -1 : 1;
	return 0;
}

static void note_connect(struct context *g, const struct journal_entry *e)
{
	struct client_key key = client_key_of(&e->c.client);
	const struct client *client = model_client(g->m, &key);
	struct noted_connect *n = &g->connects[g->connect_count++];

	n->c = &e->c;
	n->entry = model_entry(g->m, g->greetings, e);
	n->host = client ? timeline_of(g, client) : NULL;
}

static void group_by_server(struct context *g)
{
	struct server *s = NULL;
	size_t i;

	qsort(g->connects, g->connect_count, sizeof(*g->connects), by_server);
	for (i = 0; i < g->connect_count; i++) {
		const struct endpoint *endpoint = &g->connects[i].c->server;

		if (!s || !same_endpoint(&s->endpoint, endpoint)) {
			s = &g->servers[g->server_count++];
			s->endpoint = *endpoint;
			s->peer = model_peer(g->m, endpoint);
			s->connects = &g->connects[i];
		}
		s->count++;
	}
}

static void group_by_host(struct context *g)
{
	struct noted_connect **at = g->by_host;
	struct timeline *t;
	size_t i;

	for (i = 0; i < g->connect_count; i++)
		if (g->connects[i].host)
			g->connects[i].host->connect_count++;
	for (t = g->timelines; t < g->timelines + g->hosts->all; t++) {
		t->connects = at;
		at += t->connect_count;
		t->connect_count = 0;
	}
	for (i = 0; i < g->connect_count; i++) {
		t = g->connects[i].host;
		if (t)
			t->connects[t->connect_count++] = &g->connects[i];
	}
	for (t = g->timelines; t < g->timelines + g->hosts->all; t++)
		qsort(t->connects, t->connect_count, sizeof(struct noted_connect *), by_syn);
}

/* Returns false when out of memory. */
static bool note_connects(struct context *g)
{
	size_t i, room = journal_count(&g->m->journal) + 1;
	int class;

	g->connects = calloc(room, sizeof(*g->connects));
	g->servers = calloc(room, sizeof(*g->servers));
	g->by_host = calloc(room, sizeof(struct noted_connect *));
	g->greetings = model_greetings(g->m);
	if (!g->connects || !g->servers || !g->by_host || !g->greetings)
		return false;
	for (class = 0; class < JOURNAL_CLASSES; class ++)
		for (i = 0; i < g->m->journal.rings[class].count; i++)
			note_connect(g, &g->m->journal.rings[class].at[i]);
	group_by_server(g);
	group_by_host(g);
	return true;
}

/* ---- lookups ---- */

static void note_lookup(struct context *g, const struct lookup *l)
{
	const struct client *client = model_client(g->m, &l->client);
	struct noted_lookup *n = &g->lookups[g->lookup_count++];

	n->l = l;
	n->host = client ? timeline_of(g, client) : NULL;
	n->wait = l->syn == NEVER ? NEVER : l->syn - l->episode_first;
	if (n->host)
		n->host->lookup_count++;
}

/* Returns false when out of memory. */
static bool note_lookups(struct context *g)
{
	size_t i, count = names_lookup_count(g->m->names);
	struct noted_lookup **at;
	struct timeline *t;

	g->lookups = calloc(count + 1, sizeof(*g->lookups));
	at = g->lookups_by_host = calloc(count + 1, sizeof(struct noted_lookup *));
	if (!g->lookups || !at)
		return false;
	for (i = 0; i < count; i++)
		note_lookup(g, names_lookup(g->m->names, i));
	for (t = g->timelines; t < g->timelines + g->hosts->all; t++) {
		t->lookups = at;
		at += t->lookup_count;
		t->lookup_count = 0;
	}
	for (i = 0; i < count; i++) {
		t = g->lookups[i].host;
		if (t)
			t->lookups[t->lookup_count++] = &g->lookups[i];
	}
	return true;
}

bool context_init(struct context *g, struct diagnosis *d, const struct model *m,
		  const struct session *session, const struct host_facts *facts)
{
	const struct pending **pendings;
	struct noted_stall *stalls;
	size_t i;

	*g = (struct context){
		.m = m, .session = session, .facts = facts, .d = d, .hosts = &d->hosts
	};
	g->timelines = calloc(d->hosts.all + 1, sizeof(*g->timelines));
	stalls = g->stalls = calloc(m->stalls_kept + 1, sizeof(*g->stalls));
	pendings = g->pendings = calloc(m->pending_kept + 1, sizeof(struct pending *));
	g->follows = calloc(m->pending_kept + 1, sizeof(*g->follows));
	g->open = calloc(m->idle.count + 1, sizeof(*g->open));
	if (!g->timelines || !stalls || !pendings || !g->follows || !g->open)
		return false;
	for (i = 0; i < d->hosts.all; i++) {
		fill_timeline(g, &g->timelines[i], &d->hosts.at[i], stalls, pendings);
		stalls += g->timelines[i].stall_count;
		pendings += g->timelines[i].pending_count;
	}
	g->stall_count = stalls - g->stalls;
	add_open_waits(g);
	return note_connects(g) && note_lookups(g) && resolvers_find(g) && zones_find(g) &&
	       name_operations_add(g);
}

void context_free(struct context *g)
{
	free(g->timelines);
	free(g->stalls);
	free(g->pendings);
	free(g->follows);
	free(g->open);
	free(g->connects);
	free(g->servers);
	free(g->by_host);
	free(g->greetings);
	free(g->lookups);
	free(g->lookups_by_host);
	name_operations_free(g);
	free(g->zone_of_asked);
	resolvers_free(g);
}

struct timeline *timeline_of(const struct context *g, const struct client *c)
{
	return &g->timelines[host_of_client(g->hosts, c) - g->hosts->at];
}

bool count_once(struct timeline *t, const void *counter)
{
	if (t->counted == counter)
		return false;
	t->counted = counter;
	return true;
}

bool host_is_comparable(const struct host *h)
{
	return h->decided > 0;
}
