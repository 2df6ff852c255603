// SPDX-License-Identifier: GPL-2.0
#include "diagnose/diagnose.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/verdict.h"
#include "diagnose/view.h"

/*
 * The order of the causes. A cause ignores stalls and peers that an earlier finding explains. So
 * strong evidence comes before weak evidence, and a specific cause before a general cause.
 */
static void (*const causes[])(struct context *) = {
	cause_blocked_dns_tcp, /* names come before connections, and explain why they are late */
	cause_silent_resolvers, /* before single zones and types, which are silent with them */
	cause_lost_dns_answers, /* losses, before a zone or a resolver is accused */
	cause_correlation, /* two independent observations agree: the strongest evidence */
	cause_failover, /* before the SYN; ignores peers that stalls wait for */
	cause_silent_zones, /* leaves alone what locks name already */
	cause_slow_resolvers, /* other lookups that took long */
	cause_lost_syns, /* SYNs that share a property: no loss, and not the server */
	cause_duplicate_address, /* two hosts with one address fail in many ways */
	cause_openings, /* openings that failed, by stage; leaves alone what traits of SYNs explain */
	cause_gateway_counters, /* lost packets that this host counted itself */
	cause_loss, /* short stalls of a lossy client need no other explanation */
	cause_slow_servers, /* needs nothing of the others */
	cause_slow_answers, /* weighs single slow answers against the loss found before */
	cause_unexplained, /* all remaining stalls */
	cause_gateway_drops, /* peers that fail because of this host */
	cause_dead_peers, /* the other failing peers */
	cause_path, /* independent of the others */
	cause_old_resets, /* of connections that no other cause knows */
	cause_comparison, /* compares the hosts of the findings with others */
	cause_summary, /* depends on all other findings */
};

/* ---- the order of the findings ---- */

static enum finding_rank rank_of(const struct finding *f)
{
	enum finding_rank rank = finding_kinds[f->kind].rank;

	if (finding_kinds[f->kind].is_problem && !f->is_problem && rank < RANK_NOTE)
		return RANK_NOTE;
	return rank == RANK_CAUSE && f->confidence == CONFIDENCE_LOW ? RANK_FAULT : rank;
}

static int by_importance(const void *a, const void *b)
{
	const struct finding *x = *(struct finding *const *)a, *y = *(struct finding *const *)b;

	if (rank_of(x) != rank_of(y))
		return rank_of(x) < rank_of(y) ? -1 : 1;
	if (x->hosts_hurt != y->hosts_hurt)
		return x->hosts_hurt < y->hosts_hurt ? 1 : -1;
	if (x->confidence != y->confidence)
		return x->confidence < y->confidence ? 1 : -1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(&x->peer, &y->peer, sizeof(x->peer));
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct client_key));
}

static void sort_hosts(struct finding_hosts *hosts)
{
	if (hosts->named)
		qsort(hosts->at, hosts->named, sizeof(*hosts->at), by_address);
}

static int by_pointer(const void *a, const void *b)
{
	const struct explained_stall *x = a, *y = b;

	return x->stall < y->stall ? -1 : x->stall > y->stall;
}

/*
 * Collects the explained stalls. numbers[] maps an index in d->at to the number of the finding
 * after sorting.
 */
static bool collect_explained(struct context *g, const size_t *numbers)
{
	struct diagnosis *d = g->d;
	size_t i;

	d->explained = calloc(g->stall_count + 1, sizeof(*d->explained));
	if (!d->explained)
		return false;
	for (i = 0; i < g->stall_count; i++)
		if (g->stalls[i].explained)
			d->explained[d->explained_count++] = (struct explained_stall){
				.stall = g->stalls[i].stall,
				.finding = numbers[g->stalls[i].explained - d->at],
			};
	qsort(d->explained, d->explained_count, sizeof(*d->explained), by_pointer);
	return true;
}

/* Like collect_explained(), for lookups. */
static bool collect_lookups(struct context *g, const size_t *numbers)
{
	struct diagnosis *d = g->d;
	size_t i;

	d->lookups = calloc(g->lookup_count + 1, sizeof(*d->lookups));
	if (!d->lookups)
		return false;
	for (i = 0; i < g->lookup_count; i++)
		if (g->lookups[i].explained)
			d->lookups[d->lookup_count++] = (struct explained_lookup){
				.lookup = g->lookups[i].l,
				.finding = numbers[g->lookups[i].explained - d->at],
			};
	return true;
}

/* Sorts the findings and stores which stalls and lookups they explain. Returns false when out of memory. */
static bool sort_findings(struct context *g)
{
	struct finding *order[MAX_FINDINGS], *sorted = calloc(MAX_FINDINGS, sizeof(*sorted));
	struct diagnosis *d = g->d;
	size_t numbers[MAX_FINDINGS], i;

	if (!sorted)
		return false;
	for (i = 0; i < d->count; i++)
		order[i] = &d->at[i];
	qsort(order, d->count, sizeof(order[0]), by_importance);
	for (i = 0; i < d->count; i++) {
		numbers[order[i] - d->at] = i + 1;
		memcpy(&sorted[i], order[i], sizeof(sorted[i]));
		sort_hosts(&sorted[i].affected);
		sort_hosts(&sorted[i].unaffected);
	}
	if (!collect_explained(g, numbers) || !collect_lookups(g, numbers)) {
		free(sorted);
		return false;
	}
	free(d->at);
	d->at = sorted;
	return true;
}

/* ---- construction and destruction ---- */

static bool find_causes(struct diagnosis *d, const struct model *m, const struct session *session,
			const struct host_facts *facts, enum view view)
{
	struct context g;
	bool done = false;
	size_t i;

	if (context_init(&g, d, m, session, facts)) {
		name_summary_fill(&g);
		if (view != VIEW_WHOLE)
			report_view(&g, view);
		for (i = 0; view == VIEW_WHOLE && i < sizeof(causes) / sizeof(causes[0]); i++)
			causes[i](&g);
		name_examples(&g);
		add_next_steps(&g);
		name_summary_finish(&g);
		done = !g.out_of_memory && sort_findings(&g);
	}
	context_free(&g);
	return done;
}

static void free_findings(struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++) {
		free(d->at[i].affected.at);
		free(d->at[i].unaffected.at);
	}
	free(d->at);
	free(d->explained);
	free(d->lookups);
	d->at = NULL;
	d->explained = NULL;
	d->lookups = NULL;
	d->count = d->explained_count = d->lookup_count = 0;
}

/* Properties of hosts tell whose they are, as names do. The findings have used them by now. */
static void hide_comparisons(struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		d->at[i].comparison = (struct comparison){};
	d->unexplained = (struct comparison){};
}

bool diagnose(struct diagnosis *d, const struct model *m, const struct session *session,
	      const struct host_facts *facts)
{
	enum view view = view_of(m, session);

	memset(d, 0, sizeof(*d));
	d->session = session;
	d->facts = facts;
	d->names = m->names;
	model_ledger(m, &d->ledger);
	view_correct_ledger(view, &d->ledger);
	d->drops = facts->drops;
	d->at = calloc(MAX_FINDINGS, sizeof(*d->at));
	d->failed =
		!model_hosts(m, &d->hosts) || !d->at || !find_causes(d, m, session, facts, view);
	if (d->failed)
		free_findings(d);
	if (session->names_mode == NAMES_NONE)
		hide_comparisons(d);
	diagnosis_conclude(d, m, session);
	return !d->failed;
}

void diagnosis_free(struct diagnosis *d)
{
	free_findings(d);
	free(d->printed_names);
	hosts_free(&d->hosts);
	free(d->zones);
	free(d->first_resolvers);
	memset(d, 0, sizeof(*d));
}

/* ---- queries ---- */

size_t diagnosis_of_stall(const struct diagnosis *d, const struct stall *s)
{
	struct explained_stall key = { .stall = s };
	const struct explained_stall *found =
		d->explained_count ? bsearch(&key, d->explained, d->explained_count,
					     sizeof(*d->explained), by_pointer)
				   : NULL;

	return found ? found->finding : 0;
}

size_t diagnosis_of_wait(const struct diagnosis *d, const struct model *m,
			 const struct endpoint *client, const struct endpoint *server, ns_t start)
{
	struct client_key key = client_key_of(client);
	const struct client *c = model_client(m, &key);
	const struct stall *s;

	if (!c)
		return 0;
	TAILQ_FOREACH(s, &c->kept_stalls, of_client)
		if (s->start == start && same_endpoint(&s->from, client) &&
		    same_endpoint(&s->to, server))
			return diagnosis_of_stall(d, s);
	return 0;
}

static bool is_about(const struct finding *f, const struct endpoint *server)
{
	size_t i;

	for (i = 0; i < f->also_count; i++)
		if (same_endpoint(&f->also[i], server))
			return true;
	if (f->prefix_length)
		return in_prefix(&server->address, &f->peer.address, f->prefix_length);
	if (!f->has_peer)
		return false;
	return f->peer.port ? same_endpoint(&f->peer, server) : same_address(&f->peer, server);
}

size_t diagnosis_of_server(const struct diagnosis *d, const struct endpoint *server)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (is_about(&d->at[i], server))
			return i + 1;
	return 0;
}
