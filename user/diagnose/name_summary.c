// SPDX-License-Identifier: GPL-2.0
#include "diagnose/name_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/zones.h"
#include "lib/format.h"

#define PROMPT_NAME_NS (200 * (ns_t)MILLISECOND_NS)

/* Returns true if a client wants an address: other questions may stay unanswered at no cost. */
static bool asks_address(const struct lookup *l)
{
	return l->type == DNS_A || l->type == DNS_AAAA;
}

static void count_lookup(struct name_summary *s, const struct noted_lookup *n)
{
	const struct lookup *l = n->l;

	if (l->from_gateway) {
		s->of_gateway++;
		return;
	}
	s->lookups++;
	s->results[l->result]++;
	if (l->result == LOOKUP_SILENT && l->in_gap)
		s->silent_in_gap++;
	else if (l->result == LOOKUP_SILENT && asks_address(l))
		s->endless++;
	if (l->end != NEVER)
		histogram_add(&s->durations, l->end - l->first);
}

static void count_connects(struct context *g, struct name_summary *s)
{
	unsigned int others;
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		const struct connection *c = g->connects[i].c;

		s->connects++;
		s->connects_unnamed += !c->name && !names_of_address(g->m->names, NULL,
								     &c->server.address, &others);
	}
}

/* Several lookups of an episode may know the SYN that waited for it: it counts once. */
static void add_wait(struct name_summary *s, const struct episode *e)
{
	size_t i;

	for (i = 0; i < e->count; i++)
		if (!e->at[i]->l->from_gateway && e->at[i]->wait != NEVER) {
			histogram_add(&s->waits, e->at[i]->wait);
			return;
		}
}

/* The address of the row marks the hosts that were counted. */
static void add_row(struct name_summary *s, const struct resolver *r)
{
	struct resolver_row *row = &s->resolvers[s->resolver_rows++];
	size_t i;

	*row = (struct resolver_row){ .endpoint = r->endpoint,
				      .is_own = r->is_own,
				      .lookups = r->count,
				      .median = r->median };
	for (i = 0; i < r->count; i++) {
		const struct asked *a = &r->asked[i];

		row->answered += a->result == ASKED_ANSWERED;
		row->unanswered += a->result == ASKED_SILENT;
		row->unreachable += a->result == ASKED_REFUSED;
		row->hosts += a->n->host && count_once(a->n->host, row);
	}
}

static bool is_wanted(const struct context *g, const struct lookup *l)
{
	return asks_address(l) && !l->from_gateway && l->name && !is_local_name(g, l);
}

/* Returns true if a finding is about the zone that this lookup is of. */
static bool is_zone_reported(const struct context *g, const struct lookup *l)
{
	const struct finding *f;

	for (f = g->d->at; f < g->d->at + g->d->count; f++)
		if (f->has_peer && f->peer.zone && is_of_zone(g, zone_numbered(g, f->peer.zone), l))
			return true;
	return false;
}

/* Returns true if the client got no answer at all, for certain, and no finding explains it. */
static bool is_without_answer(const struct context *g, const struct episode *e)
{
	bool is_any_wanted = false;
	size_t i;

	for (i = 0; i < e->count; i++) {
		const struct lookup *l = e->at[i]->l;

		if (l->result != LOOKUP_SILENT || l->in_gap || l->syn != NEVER ||
		    e->at[i]->explained || is_zone_reported(g, l))
			return false;
		is_any_wanted |= is_wanted(g, l);
	}
	return is_any_wanted;
}

void name_summary_fill(struct context *g)
{
	struct name_summary *s = &g->d->name_summary;
	const struct resolvers *r = g->resolvers;
	struct episode e;
	size_t i;

	s->totals = *names_totals(g->m->names);
	s->hosts = g->hosts->count;
	for (i = 0; i < g->hosts->count; i++)
		s->hosts_unseen += !g->timelines[i].lookup_count;
	for (i = 0; i < g->lookup_count; i++)
		count_lookup(s, &g->lookups[i]);
	if (names_were_seen(s))
		count_connects(g, s);
	s->resolver_count = r->count;
	for (i = 0; i < r->count && i < MAX_RESOLVER_ROWS; i++)
		add_row(s, &r->at[i]);
	for (i = 0; (e = next_episode(r, &i)).count;)
		add_wait(s, &e);
}

void name_summary_finish(struct context *g)
{
	struct episode e;
	size_t i = 0;

	while ((e = next_episode(g->resolvers, &i)).count)
		g->d->name_summary.unanswered_names += is_without_answer(g, &e);
}

bool names_are_prompt(const struct name_summary *s, ns_t stall_ns)
{
	uint64_t all = s->durations.count + s->endless;

	return all && s->endless * 100 <= all &&
	       histogram_percentile(&s->durations, 0.9) <= PROMPT_NAME_NS &&
	       histogram_percentile(&s->durations, 0.99) < stall_ns;
}

const char *names_unseen(char out[NAMES_UNSEEN_TEXT], const struct name_summary *s)
{
	*out = '\0';
	if (!names_were_seen(s))
		snprintf(out, NAMES_UNSEEN_TEXT, "no names (DNS) were seen");
	else if (s->hosts_unseen)
		snprintf(out, NAMES_UNSEEN_TEXT, "names (DNS) were not seen for %zu of %zu host%s",
			 s->hosts_unseen, s->hosts, plural(s->hosts));
	return out;
}
