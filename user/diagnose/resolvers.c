// SPDX-License-Identifier: GPL-2.0
#include "diagnose/resolvers.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/connects.h"
#include "lib/hash_bytes.h"

/* ---- tries ---- */

static bool is_to(const struct dns_try *t, const struct endpoint *resolver)
{
	return !t->over_tcp && t->server_port == resolver->port &&
	       !memcmp(&t->server, &resolver->address, sizeof(t->server));
}

static bool is_answer(const struct dns_try *t)
{
	return t->answered != NEVER && t->result != TRY_OPEN && t->result != TRY_ERROR;
}

/*
 * Some clients keep port and id when they ask again, so that an answer fits each of these tries. It
 * is timed from the first of them.
 */
static ns_t time_of_answer(const struct lookup *l, const struct dns_try *answered)
{
	size_t i;

	for (i = 0; i < lookup_tries(l); i++) {
		const struct dns_try *t = lookup_try(l, i);

		if (t->id == answered->id && t->client_port == answered->client_port &&
		    t->server_port == answered->server_port &&
		    !memcmp(&t->server, &answered->server, sizeof(t->server)))
			return answered->answered - t->time;
	}
	return NEVER;
}

static void note_answer(struct asked *a, const struct dns_try *t)
{
	if (t->result == TRY_ERROR && !is_answer(t)) {
		a->icmp_type = t->icmp_type;
		a->icmp_code = t->icmp_code;
	}
	if (!is_answer(t) || (a->answered != NEVER && a->answered <= t->answered))
		return;
	a->answered = t->answered;
	a->took = time_of_answer(a->n->l, t);
	a->failed = t->result == TRY_FAILED;
	a->truncated = t->result == TRY_TRUNCATED;
}

static uint8_t result_of(const struct resolvers *r, const struct asked *a, unsigned int errors)
{
	if (a->answered != NEVER)
		return ASKED_ANSWERED;
	if (errors == a->tries)
		return ASKED_REFUSED;
	if (a->n->l->in_gap || a->n->l->result == LOOKUP_OPEN ||
	    r->end - a->first < LOOKUP_SILENT_NS)
		return ASKED_UNKNOWN;
	return ASKED_SILENT;
}

/* Fills in what the lookup asked of a->resolver. */
static void fill_asked(const struct resolvers *r, struct asked *a)
{
	const struct lookup *l = a->n->l;
	unsigned int errors = 0;
	size_t i;

	a->answered = a->took = a->after_last = NEVER;
	for (i = 0; i < lookup_tries(l); i++) {
		const struct dns_try *t = lookup_try(l, i);

		if (!is_to(t, &a->resolver))
			continue;
		if (!a->tries++)
			a->first = t->time;
		a->last = t->time;
		errors += t->result == TRY_ERROR;
		note_answer(a, t);
	}
	for (i = 0; i < lookup_tries(l) && a->answered != NEVER; i++)
		if (is_to(lookup_try(l, i), &a->resolver) && lookup_try(l, i)->time <= a->answered)
			a->after_last = a->answered - lookup_try(l, i)->time;
	a->is_first = a->first - l->first < MIN_RETRY_NS;
	a->result = result_of(r, a, errors);
}

/* ---- names ---- */

uint64_t zone_of_lookup(const struct context *g, const struct lookup *l)
{
	const struct dns_name *name = names_name(g->m->names, l->name);
	unsigned int labels;
	struct dns_name zone;

	if (!l->name || !name || !name->length)
		return 0;
	labels = dns_name_labels(name);
	dns_name_parent(&zone, name, labels > 2 ? labels - 2 : 0);
	return hash_bytes(zone.wire, zone.length) | 1;
}

bool is_local_name(const struct context *g, const struct lookup *l)
{
	static const struct dns_name local = { .length = 7, .wire = "\5local" };
	const struct dns_name *name = names_name(g->m->names, l->name);

	return l->name && name && name->length &&
	       (dns_name_labels(name) <= 1 || dns_name_is_below(name, &local));
}

bool is_same_question(const struct noted_lookup *a, const struct noted_lookup *b)
{
	return a->l->episode == b->l->episode && a->l->name == b->l->name &&
	       !memcmp(&a->l->client, &b->l->client, sizeof(a->l->client));
}

size_t host_index(const struct context *g, const struct noted_lookup *n)
{
	return n->host ? (size_t)(n->host - g->timelines) : g->hosts->all;
}

/* ---- construction ---- */

static int by_resolver(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;
	int order = memcmp(&x->resolver.address, &y->resolver.address, sizeof(struct address));

	if (order)
		return order;
	if (x->resolver.port != y->resolver.port)
		return x->resolver.port < y->resolver.port ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

static int by_use(const void *a, const void *b)
{
	const struct resolver *x = a, *y = b;

	if (x->asked_first != y->asked_first)
		return x->asked_first < y->asked_first ? 1 : -1;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return memcmp(&x->endpoint, &y->endpoint, sizeof(x->endpoint));
}

static int by_episode(const void *a, const void *b)
{
	const struct noted_lookup *x = *(struct noted_lookup *const *)a;
	const struct noted_lookup *y = *(struct noted_lookup *const *)b;

	if (x->l->episode != y->l->episode)
		return x->l->episode < y->l->episode ? -1 : 1;
	if (x->l->name != y->l->name)
		return x->l->name < y->l->name ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Adds an element for each resolver that the lookup asked. */
static void add_asked(const struct context *g, struct resolvers *r, struct noted_lookup *n)
{
	size_t i, j, first = r->asked_count;

	for (i = 0; i < lookup_tries(n->l); i++) {
		const struct dns_try *t = lookup_try(n->l, i);
		struct asked *a = &r->asked[r->asked_count];

		for (j = first; j < r->asked_count; j++)
			if (is_to(t, &r->asked[j].resolver))
				break;
		if (t->over_tcp || j < r->asked_count)
			continue;
		a->n = n;
		a->resolver = (struct endpoint){
			.address = t->server,
			.port = t->server_port,
			.vlan = { n->l->client.vlan[0], n->l->client.vlan[1] },
		};
		a->is_local = is_local_name(g, n->l);
		fill_asked(r, a);
		r->asked_count++;
	}
}

static void fill_resolver(const struct context *g, struct resolver *s, ns_t *times)
{
	size_t i, n = 0;

	if (!s->asked)
		return;
	s->endpoint = s->asked[0].resolver;
	s->is_own = session_is_own_address(g->session, &s->endpoint.address);
	for (i = 0; i < s->count; i++) {
		const struct asked *a = &s->asked[i];

		if (memcmp(a->resolver.vlan, s->endpoint.vlan, sizeof(s->endpoint.vlan)))
			s->endpoint.vlan[0] = s->endpoint.vlan[1] = 0;
		s->is_own |= a->n->l->to_gateway && a->is_first;
		s->asked_first += a->is_first;
		if (!a->is_local || a->result == ASKED_ANSWERED)
			s->results[a->result]++;
		if (a->took != NEVER)
			times[n++] = a->took;
	}
	s->median = n ? median(times, n) : NEVER;
}

static bool group_by_resolver(const struct context *g, struct resolvers *r)
{
	ns_t *times = calloc(r->asked_count + 1, sizeof(*times));
	size_t i;

	if (!times)
		return false;
	qsort(r->asked, r->asked_count, sizeof(*r->asked), by_resolver);
	for (i = 0; i < r->asked_count; i++) {
		if (!i || !same_address_and_port(&r->asked[i - 1].resolver, &r->asked[i].resolver))
			r->at[r->count++].asked = &r->asked[i];
		r->at[r->count - 1].count++;
	}
	for (i = 0; i < r->count; i++)
		fill_resolver(g, &r->at[i], times);
	qsort(r->at, r->count, sizeof(*r->at), by_use);
	free(times);
	return true;
}

static size_t count_tries(const struct context *g)
{
	size_t i, n = 0;

	for (i = 0; i < g->lookup_count; i++)
		n += lookup_tries(g->lookups[i].l);
	return n;
}

bool resolvers_find(struct context *g)
{
	struct resolvers *r = g->resolvers = calloc(1, sizeof(*r));
	size_t i, room = count_tries(g) + 1;

	if (!r)
		return false;
	r->end = g->m->last > g->session->duration ? g->m->last : g->session->duration;
	r->at = calloc(room, sizeof(*r->at));
	r->asked = calloc(room, sizeof(*r->asked));
	r->by_episode = calloc(g->lookup_count + 1, sizeof(struct noted_lookup *));
	if (!r->at || !r->asked || !r->by_episode)
		return false;
	r->lookup_count = g->lookup_count;
	for (i = 0; i < g->lookup_count; i++) {
		r->by_episode[i] = &g->lookups[i];
		add_asked(g, r, &g->lookups[i]);
	}
	qsort(r->by_episode, r->lookup_count, sizeof(struct noted_lookup *), by_episode);
	return group_by_resolver(g, r);
}

void resolvers_free(struct context *g)
{
	if (!g->resolvers)
		return;
	free(g->resolvers->at);
	free(g->resolvers->asked);
	free(g->resolvers->by_episode);
	free(g->resolvers);
}

/* ---- queries ---- */

struct resolver *find_resolver(const struct resolvers *r, const struct address *address,
			       uint16_t port)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		if (r->at[i].endpoint.port == port &&
		    !memcmp(&r->at[i].endpoint.address, address, sizeof(*address)))
			return &r->at[i];
	return NULL;
}

struct episode next_episode(const struct resolvers *r, size_t *i)
{
	struct episode e = { .at = r->by_episode + *i };

	for (; *i < r->lookup_count && e.at[0]->l->episode == r->by_episode[*i]->l->episode; ++*i)
		e.count++;
	return e;
}

ns_t syn_of_episode(const struct episode *e)
{
	ns_t syn = NEVER;
	size_t i;

	for (i = 0; i < e->count; i++)
		if (e->at[i]->l->syn != NEVER && (syn == NEVER || e->at[i]->l->syn < syn))
			syn = e->at[i]->l->syn;
	return syn;
}

/* A connect that failed for another reason, or that another stage made late, is left alone. */
static void explain_connects(struct finding *f, const struct noted_lookup *n, ns_t syn)
{
	const struct timeline *t = n->host;
	size_t i;

	if (!t || syn == NEVER)
		return;
	for (i = first_connect_since(t, n->l->episode_first); i < t->connect_count; i++) {
		struct noted_connect *c = t->connects[i];

		if (c->c->syn > syn + NAME_TO_SYN_NS)
			break;
		if (!c->explained && c->entry.stage == STAGE_NAME &&
		    c->c->name_asked == n->l->episode_first)
			c->explained = f;
	}
}

void explain_episode(struct finding *f, const struct episode *e)
{
	size_t i;

	for (i = 0; i < e->count; i++) {
		if (!e->at[i]->explained)
			e->at[i]->explained = f;
		explain_connects(f, e->at[i], syn_of_episode(e));
	}
}

const struct noted_lookup *marked_lookup(const struct context *g, const struct episode *e,
					 const bool *lookups)
{
	size_t i;

	for (i = 0; i < e->count; i++)
		if (lookups[e->at[i] - g->lookups])
			return e->at[i];
	return NULL;
}

void explain_marked(const struct context *g, struct finding *f, const bool *lookups)
{
	struct episode e;
	size_t i = 0;

	while (e = next_episode(g->resolvers, &i), e.count)
		if (marked_lookup(g, &e, lookups))
			explain_episode(f, &e);
}

size_t marked_waits(const struct context *g, const bool *lookups, ns_t least, ns_t *waits,
		    bool *hosts)
{
	size_t i = 0, n = 0;
	struct episode e;

	while (e = next_episode(g->resolvers, &i), e.count) {
		const struct noted_lookup *marked = marked_lookup(g, &e, lookups);
		ns_t syn = syn_of_episode(&e);

		if (!marked || syn == NEVER || syn - marked->l->episode_first < least)
			continue;
		waits[n++] = syn - marked->l->episode_first;
		if (hosts)
			hosts[host_index(g, marked)] = true;
	}
	return n;
}

void finding_add_marked_hosts(struct context *g, struct finding *f, const bool *hosts)
{
	size_t i;

	for (i = 0; i < g->hosts->all; i++)
		if (hosts[i])
			finding_add_host(g, &f->affected, &g->hosts->at[i]);
}

static bool asks_upstream(const struct resolver *of, const struct asked *a)
{
	return of->is_own ? a->n->l->from_gateway
			  : !memcmp(&a->n->l->client.address, &of->endpoint.address,
				    sizeof(struct address));
}

struct resolver *silent_upstream(const struct resolvers *r, const struct resolver *of)
{
	size_t i, j;

	for (i = 0; i < r->count; i++) {
		struct resolver *s = &r->at[i];
		size_t n = 0;

		if (s == of || s->results[ASKED_ANSWERED])
			continue;
		for (j = 0; j < s->count; j++)
			n += s->asked[j].result == ASKED_SILENT && asks_upstream(of, &s->asked[j]);
		if (n >= MIN_LOOKUPS)
			return s;
	}
	return NULL;
}

/* ---- words ---- */

const char *resolver_timer(ns_t timer)
{
	static const struct {
		unsigned int milliseconds;
		const char *software;
	} known[] = {
		{ 1000, "Windows or Chromium" }, { 2500, "musl's resolver" },  { 3000, "c-ares" },
		{ 5000, "glibc's resolver" },	 { 5200, "systemd-resolved" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (llabs(timer - known[i].milliseconds * (ns_t)MILLISECOND_NS) <= timer / 50)
			return known[i].software;
	return NULL;
}

char *format_resolver(char out[FORMAT_ENDPOINT], const struct resolver *r)
{
	char address[FORMAT_ADDRESS];

	if (r->endpoint.port != DNS_PORT)
		return format_endpoint(out, &r->endpoint);
	snprintf(out, FORMAT_ENDPOINT, "%s", format_address(address, &r->endpoint.address));
	return out;
}
