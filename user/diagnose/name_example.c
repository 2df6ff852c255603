// SPDX-License-Identifier: GPL-2.0
/* Examples of findings about names: a connect, and the questions that it waited for. */
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/finding.h"

/* Returns the connect that sent this SYN, or NULL. */
static const struct connection *connect_of(const struct timeline *t, ns_t syn)
{
	size_t i;

	for (i = 0; i < t->connect_count; i++)
		if (t->connects[i]->c->syn == syn)
			return t->connects[i]->c;
	return NULL;
}

/* Returns the SYN that waited for the lookup or for another one of its episode, or NEVER. */
static ns_t syn_of(const struct noted_lookup *n)
{
	const struct timeline *t = n->host;
	size_t i;

	for (i = 0; n->l->syn == NEVER && i < t->lookup_count; i++)
		if (t->lookups[i]->l->episode == n->l->episode && t->lookups[i]->l->syn != NEVER)
			return t->lookups[i]->l->syn;
	return n->l->syn;
}

/* Adds the questions to the first resolver that the client asked; other tries are left out. */
static void add_questions(struct example *e, const struct lookup *l)
{
	const struct dns_try *first = &l->tries[0];
	size_t i;

	e->asks_name = true;
	e->waited_for = (struct endpoint){ .address = first->server,
					   .port = first->server_port,
					   .vlan = { l->client.vlan[0], l->client.vlan[1] } };
	for (i = 0; i < l->try_count && i < MAX_TRIES && e->syn_count < SYN_TIMES; i++) {
		const struct dns_try *t = &l->tries[i];

		if (memcmp(&t->server, &first->server, sizeof(t->server)) ||
		    t->server_port != first->server_port)
			continue;
		e->syn_times[e->syn_count++] = t->time;
		if (t->answered != NEVER && e->resolved == NEVER)
			e->resolved = t->answered;
	}
}

/* Fills in an example of a lookup that a connect waited for. Returns false if none did. */
static bool example_of_lookup(struct example *e, const struct noted_lookup *n)
{
	const struct connection *c;
	ns_t syn;

	if (!n->host || !n->l->try_count || n->l->tries[0].over_tcp)
		return false;
	syn = syn_of(n);
	c = syn == NEVER || syn < n->l->first ? NULL : connect_of(n->host, syn);
	if (!c)
		return false;
	*e = (struct example){ .client = c->client,
			       .nat_endpoint = c->nat_endpoint,
			       .server = c->server,
			       .syn = c->syn,
			       .synack = c->synack,
			       .ack = NEVER,
			       .first = NEVER,
			       .resolved = NEVER };
	e->client.port = 0; /* the questions came from other ports */
	add_questions(e, n->l);
	return true;
}

/* Prefers questions without an answer, then the longest wait. */
static bool is_better(const struct example *a, const struct example *b)
{
	if ((a->resolved == NEVER) != (b->resolved == NEVER))
		return a->resolved == NEVER;
	return a->syn - a->syn_times[0] > b->syn - b->syn_times[0];
}

/* Gives each finding about names a wait as an example. */
void name_examples(struct context *g)
{
	struct example example;
	struct finding *f;
	size_t i, k;

	for (k = 0; k < g->d->count; k++) {
		f = &g->d->at[k];
		if (finding_kinds[f->kind].family != FAMILY_NAME || f->has_example)
			continue;
		for (i = 0; i < g->lookup_count; i++)
			if (g->lookups[i].explained == f &&
			    example_of_lookup(&example, &g->lookups[i]) &&
			    (!f->has_example || is_better(&example, &f->example))) {
				f->has_example = true;
				f->example = example;
			}
	}
}
