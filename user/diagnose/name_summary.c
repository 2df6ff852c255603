// SPDX-License-Identifier: GPL-2.0
#include "diagnose/name_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/context.h"
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

static int by_episode(const void *a, const void *b)
{
	const struct noted_lookup *x = *(struct noted_lookup *const *)a,
				  *y = *(struct noted_lookup *const *)b;

	if (x->l->episode != y->l->episode)
		return x->l->episode < y->l->episode ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Returns all lookups, those of an episode in a row; NULL when out of memory. */
static struct noted_lookup **sort_episodes(const struct context *g)
{
	struct noted_lookup **all = calloc(g->lookup_count + 1, sizeof(struct noted_lookup *));
	size_t i;

	for (i = 0; all && i < g->lookup_count; i++)
		all[i] = &g->lookups[i];
	if (all)
		qsort(all, g->lookup_count, sizeof(struct noted_lookup *), by_episode);
	return all;
}

static size_t end_of_episode(struct noted_lookup **all, size_t count, size_t from)
{
	size_t i;

	for (i = from; i < count && all[i]->l->episode == all[from]->l->episode; i++)
		;
	return i;
}

/* Several lookups of an episode may know the SYN that waited for it: it counts once. */
static void add_wait(struct name_summary *s, struct noted_lookup **at, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!at[i]->l->from_gateway && at[i]->wait != NEVER) {
			histogram_add(&s->waits, at[i]->wait);
			return;
		}
}

/* Names of mDNS and single labels are asked without anybody who waits for them. */
static bool is_wanted(const struct context *g, const struct lookup *l)
{
	static const struct dns_name local = { .length = 7, .wire = "\005local" };
	const struct dns_name *name = names_name(g->m->names, l->name);

	return asks_address(l) && !l->from_gateway && dns_name_labels(name) > 1 &&
	       !dns_name_is_below(name, &local);
}

/* Returns true if the client got no answer at all, for certain, and no finding explains it. */
static bool is_in_vain(const struct context *g, struct noted_lookup **at, size_t count)
{
	bool is_any_wanted = false;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct lookup *l = at[i]->l;

		if (l->result != LOOKUP_SILENT || l->in_gap || l->syn != NEVER || at[i]->explained)
			return false;
		is_any_wanted |= is_wanted(g, l);
	}
	return is_any_wanted;
}

/* Calls a function for the lookups of each episode. Returns false when out of memory. */
static bool for_each_episode(struct context *g,
			     void (*function)(struct context *g, struct noted_lookup **at,
					      size_t count))
{
	struct noted_lookup **all = sort_episodes(g);
	size_t i, next;

	for (i = 0; all && i < g->lookup_count; i = next) {
		next = end_of_episode(all, g->lookup_count, i);
		function(g, all + i, next - i);
	}
	free(all);
	return all != NULL;
}

static void count_wait(struct context *g, struct noted_lookup **at, size_t count)
{
	add_wait(&g->d->name_summary, at, count);
}

static void count_in_vain(struct context *g, struct noted_lookup **at, size_t count)
{
	g->d->name_summary.unanswered_names += is_in_vain(g, at, count);
}

bool name_summary_fill(struct context *g)
{
	struct name_summary *s = &g->d->name_summary;
	size_t i;

	s->totals = *names_totals(g->m->names);
	s->hosts = g->hosts->count;
	for (i = 0; i < g->hosts->count; i++)
		s->hosts_unseen += !g->timelines[i].lookup_count;
	for (i = 0; i < g->lookup_count; i++)
		count_lookup(s, &g->lookups[i]);
	if (names_were_seen(s))
		count_connects(g, s);
	return for_each_episode(g, count_wait);
}

bool name_summary_finish(struct context *g)
{
	return for_each_episode(g, count_in_vain);
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
