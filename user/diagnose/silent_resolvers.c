// SPDX-License-Identifier: GPL-2.0
/* Finds resolvers that are silent: to all hosts, to some hosts, or for a time. */
#include "diagnose/silent_resolvers.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/connects.h"

/* Lookups without an answer in a row that are an outage of a resolver that answers otherwise. */
#define MIN_IN_A_ROW 5

/* The evidence in the marked lookups of a resolver. */
struct proof {
	size_t lookups, names, tries;
	size_t missed; /* lookups that show that an answer was missed */
	ns_t first, last;
	uint64_t zone; /* of the first one */
	uint16_t type;
	bool zones_differ, types_differ, asks_for_address;
};

static bool has_no_answer(const struct asked *a)
{
	return !a->is_local && (a->result == ASKED_SILENT || a->result == ASKED_REFUSED);
}

/* Returns true if the client connected right after its last question, as after an answer. */
static bool went_on(const struct noted_lookup *n)
{
	const struct timeline *t = n->host;
	size_t i;

	if (!t)
		return false;
	i = first_connect_since(t, n->l->last.time);
	return i < t->connect_count &&
	       t->connects[i]->c->syn - n->l->last.time <= 2 * NAME_TO_SYN_NS;
}

/*
 * Returns true if the client missed the answer, or got it from another resolver. Else the answer may
 * have come by a way that is not seen here.
 */
static bool is_answer_missed(const struct asked *a)
{
	const struct lookup *l = a->n->l;

	if (lookup_is_answered(l) || l->result == LOOKUP_FAILED || l->result == LOOKUP_TRUNCATED ||
	    l->result == LOOKUP_UNREACHABLE)
		return true;
	return l->last.time - l->first >= MIN_RETRY_NS && !went_on(a->n);
}

/* A and AAAA of one name are asked within a moment: they are one name. */
static bool is_name_before(const struct asked *from, const struct asked *a)
{
	const struct asked *b;

	for (b = a; b-- > from && a->first - b->first < MIN_RETRY_NS;)
		if (b->is_marked && is_same_question(a->n, b->n))
			return true;
	return false;
}

static void add_proof(const struct context *g, struct proof *p, const struct asked *from,
		      const struct asked *a)
{
	uint64_t zone = zone_of_lookup(g, a->n->l);

	if (!p->lookups++) {
		p->first = a->first;
		p->last = a->last;
		p->zone = zone;
		p->type = a->n->l->type;
	}
	p->names += !is_name_before(from, a);
	p->tries += a->tries;
	p->missed += is_answer_missed(a);
	p->first = a->first < p->first ? a->first : p->first;
	p->last = a->last > p->last ? a->last : p->last;
	p->zones_differ |= zone && p->zone && zone != p->zone;
	p->types_differ |= a->n->l->type != p->type;
	p->asks_for_address |= a->n->l->type == DNS_A;
}

static struct proof proof_of(const struct context *g, const struct resolver *s)
{
	struct proof p = {};
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->asked[i].is_marked)
			add_proof(g, &p, s->asked, &s->asked[i]);
	return p;
}

static bool is_proof(const struct proof *p)
{
	return p->missed * 2 > p->lookups &&
	       (p->names >= MIN_LOOKUPS ||
		(p->tries >= 2 && p->last - p->first >= LOOKUP_SILENT_NS));
}

static void mark_none(struct resolver *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		s->asked[i].is_marked = false;
}

/* ---- silent to all ---- */

static bool is_always_silent(const struct context *g, struct resolver *s)
{
	struct proof p;
	size_t i;

	if (s->results[ASKED_ANSWERED])
		return false;
	for (i = 0; i < s->count; i++)
		s->asked[i].is_marked = has_no_answer(&s->asked[i]);
	p = proof_of(g, s);
	return is_proof(&p);
}

/* ---- silent to some hosts ---- */

/* The questions of a host at a resolver. */
struct host_questions {
	size_t answered, silent;
	ns_t first, last; /* silent ones */
	bool answered_meanwhile; /* the resolver answered another host between first and last */
	bool is_comparable; /* another host was answered about the same zone and type */
};

static uint64_t key_of(const struct context *g, const struct asked *a)
{
	uint64_t zone = zone_of_lookup(g, a->n->l);

	return zone ? zone ^ ((uint64_t)a->n->l->type << 48) : 0;
}

static int compare_keys(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void count_by_host(const struct context *g, const struct resolver *s,
			  struct host_questions *hosts)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct asked *a = &s->asked[i];
		struct host_questions *h = &hosts[host_index(g, a->n)];

		h->answered += a->result == ASKED_ANSWERED;
		if (!has_no_answer(a))
			continue;
		if (!h->silent++)
			h->first = a->first;
		h->last = a->last;
	}
}

/* Compares the silent questions with those that were answered; keys[] has their zones and types. */
static void compare_by_host(const struct context *g, const struct resolver *s,
			    struct host_questions *hosts, const uint64_t *keys, size_t key_count)
{
	size_t i, j;

	for (i = 0; i < s->count; i++) {
		const struct asked *a = &s->asked[i];
		uint64_t key = key_of(g, a);

		if (a->result == ASKED_ANSWERED)
			for (j = 0; j < g->hosts->all; j++)
				hosts[j].answered_meanwhile |= hosts[j].silent &&
							       a->first >= hosts[j].first &&
							       a->first <= hosts[j].last;
		else if (has_no_answer(a) && key)
			hosts[host_index(g, a->n)].is_comparable |=
				bsearch(&key, keys, key_count, sizeof(*keys), compare_keys) != NULL;
	}
}

static bool mark_hosts(const struct context *g, struct resolver *s,
		       const struct host_questions *hosts)
{
	bool any = false;
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct asked *a = &s->asked[i];
		size_t host = host_index(g, a->n);
		const struct host_questions *h = &hosts[host];

		a->is_marked = has_no_answer(a) && host < g->hosts->all && !h->answered &&
			       h->silent >= MIN_LOOKUPS && h->answered_meanwhile &&
			       h->is_comparable;
		any |= a->is_marked;
	}
	return any;
}

static bool is_silent_to_hosts(struct context *g, struct resolver *s)
{
	struct host_questions *hosts = calloc(g->hosts->all + 1, sizeof(*hosts));
	uint64_t *keys = calloc(s->count, sizeof(*keys));
	size_t i, n = 0;
	struct proof p;
	bool found = false;

	if (hosts && keys) {
		count_by_host(g, s, hosts);
		for (i = 0; i < s->count; i++)
			if (s->asked[i].result == ASKED_ANSWERED)
				keys[n++] = key_of(g, &s->asked[i]);
		qsort(keys, n, sizeof(*keys), compare_keys);
		compare_by_host(g, s, hosts, keys, n);
		found = mark_hosts(g, s, hosts);
	} else {
		g->out_of_memory = true;
	}
	free(hosts);
	free(keys);
	p = proof_of(g, s);
	return found && is_proof(&p);
}

/* ---- silent for a time ---- */

/*
 * Finds the longest row of lookups without an answer between two that were answered: its first one,
 * and the one behind the last.
 */
static void longest_row(const struct resolver *s, size_t *first, size_t *end)
{
	size_t i, from = 0, silent = 0, most = 0;

	*first = *end = 0;
	for (i = 0; i < s->count; i++) {
		if (s->asked[i].result == ASKED_ANSWERED) {
			from = i + 1;
			silent = 0;
		}
		silent += has_no_answer(&s->asked[i]);
		if (silent > most) {
			most = silent;
			*first = from;
			*end = i + 1;
		}
	}
}

/*
 * A row of questions about one zone, or of one type, may be the fault of what is behind the
 * resolver, or of a filter.
 */
static bool is_silent_for_a_time(const struct context *g, struct resolver *s)
{
	size_t i, first, end;
	struct proof p;

	longest_row(s, &first, &end);
	for (i = first; i < end; i++)
		s->asked[i].is_marked = has_no_answer(&s->asked[i]);
	p = proof_of(g, s);
	return is_proof(&p) && p.lookups >= MIN_IN_A_ROW && p.names >= MIN_LOOKUPS &&
	       p.last - p.first >= LOOKUP_SILENT_NS && p.zones_differ && p.asks_for_address;
}

static enum silence silence_of(struct context *g, struct resolver *s)
{
	if (is_always_silent(g, s))
		return SILENT_ALWAYS;
	mark_none(s);
	if (!s->results[ASKED_ANSWERED])
		return NOT_SILENT;
	if (is_silent_to_hosts(g, s))
		return SILENT_TO_HOSTS;
	mark_none(s);
	if (is_silent_for_a_time(g, s))
		return SILENT_FOR_A_TIME;
	mark_none(s);
	return NOT_SILENT;
}

bool find_silent(struct context *g, enum silence *silences)
{
	const struct resolvers *r = g->resolvers;
	size_t i;

	for (i = 0; i < r->count; i++)
		silences[i] = silence_of(g, &r->at[i]);
	return !g->out_of_memory;
}
