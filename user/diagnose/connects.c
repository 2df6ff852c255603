// SPDX-License-Identifier: GPL-2.0
#include "diagnose/connects.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void connect_set_add(struct context *g, struct connect_set *set, struct noted_connect *n)
{
	size_t room = set->room ? 2 * set->room : 16;
	struct noted_connect **grown;

	if (set->count == set->room) {
		grown = realloc(set->at, room * sizeof(struct noted_connect *));
		if (!grown) {
			g->out_of_memory = true;
			return;
		}
		set->at = grown;
		set->room = room;
	}
	set->at[set->count++] = n;
}

void connect_set_join(struct context *g, struct connect_set *set, const struct connect_set *more)
{
	size_t i;

	for (i = 0; i < more->count; i++)
		connect_set_add(g, set, more->at[i]);
}

void connect_set_free(struct connect_set *set)
{
	free(set->at);
	*set = (struct connect_set){};
}

size_t first_connect_since(const struct timeline *t, ns_t syn)
{
	size_t first = 0, last = t->connect_count, middle;

	while (first < last) {
		middle = first + (last - first) / 2;
		if (t->connects[middle]->c->syn < syn)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

struct noted_connect *connect_of_stall(const struct timeline *t, const struct stall *s)
{
	size_t first = first_connect_since(t, s->syn);

	for (; first < t->connect_count && t->connects[first]->c->syn == s->syn; first++)
		if (same_endpoint(&t->connects[first]->c->client, &s->from) &&
		    same_endpoint(&t->connects[first]->c->server, &s->to))
			return t->connects[first];
	return NULL;
}

bool is_stall_explained(const struct timeline *t, const struct noted_stall *noted)
{
	const struct noted_connect *n = connect_of_stall(t, noted->stall);

	return noted->explained || (n && n->explained);
}

static int by_endpoint(const void *key, const void *element)
{
	return memcmp(key, &((const struct server *)element)->endpoint, sizeof(struct endpoint));
}

struct server *find_server(const struct context *g, const struct endpoint *e)
{
	return bsearch(e, g->servers, g->server_count, sizeof(*g->servers), by_endpoint);
}

struct server *server_of(const struct context *g, const struct noted_connect *n)
{
	return find_server(g, &n->c->server);
}

void uncount_hosts(const struct server *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->connects[i].host)
			s->connects[i].host->counted = NULL;
}

/* ---- which connects a finding is about ---- */

static int by_part(const void *a, const void *b)
{
	const struct finding_part *x = a, *y = b;

	if (x->concerned != y->concerned)
		return x->concerned < y->concerned ? 1 : -1;
	return memcmp(&x->server, &y->server, sizeof(x->server));
}

/* Counts the connects of the set for each server. The caller frees. */
static struct finding_part *count_parts(struct context *g, const struct connect_set *set,
					size_t *count)
{
	struct finding_part *parts = calloc(g->server_count + 1, sizeof(*parts));
	size_t i, n = 0;

	*count = 0;
	if (!parts) {
		g->out_of_memory = true;
		return NULL;
	}
	for (i = 0; i < set->count; i++) {
		struct server *s = server_of(g, set->at[i]);

		if (!s)
			continue;
		parts[s - g->servers].server = s->endpoint;
		parts[s - g->servers].connects = s->count;
		parts[s - g->servers].concerned++;
	}
	for (i = 0; i < g->server_count; i++)
		if (parts[i].concerned)
			parts[n++] = parts[i];
	qsort(parts, n, sizeof(*parts), by_part);
	*count = n;
	return parts;
}

void finding_add_connects(struct context *g, struct finding *f, const struct connect_set *set)
{
	struct finding_part *parts;
	size_t i, count;

	for (i = 0; i < set->count; i++) {
		struct timeline *host = set->at[i]->host;

		set->at[i]->explained = f;
		if (host && count_once(host, f))
			finding_add_host(g, &f->affected, host->host);
	}
	f->hosts_hurt = f->affected.count;
	f->correlated += set->count;
	parts = count_parts(g, set, &count);
	for (i = 0; count > 1 && i < count && i < MAX_FINDING_PARTS; i++)
		f->parts[f->part_count++] = parts[i];
	free(parts);
}

/* ---- since when ---- */

struct span span_of(struct context *g, const struct connect_set *set)
{
	struct span span = { .first = NEVER, .last = NEVER };
	bool *concerned = calloc(g->server_count + 1, sizeof(*concerned));
	bool *in_set = calloc(g->connect_count + 1, sizeof(*in_set));
	size_t i, j;

	if (!concerned || !in_set) {
		g->out_of_memory = true;
		free(in_set);
		free(concerned);
		return span;
	}
	for (i = 0; i < set->count; i++) {
		ns_t syn = set->at[i]->c->syn;

		concerned[server_of(g, set->at[i]) - g->servers] = true;
		in_set[set->at[i] - g->connects] = true;
		if (span.first == NEVER || syn < span.first)
			span.first = syn;
		if (span.last == NEVER || syn > span.last)
			span.last = syn;
	}
	for (i = 0; i < g->server_count; i++)
		for (j = 0; concerned[i] && j < g->servers[i].count; j++) {
			const struct noted_connect *n = &g->servers[i].connects[j];

			if (!was_served(n) || in_set[n - g->connects])
				continue;
			span.before += n->c->syn < span.first;
			span.after += n->c->syn > span.last;
			span.meanwhile += n->c->syn >= span.first && n->c->syn <= span.last;
		}
	free(in_set);
	free(concerned);
	return span;
}

void finding_add_span(struct context *g, struct finding *f, const struct connect_set *set)
{
	struct span span = span_of(g, set);
	char first[FORMAT_TIME], last[FORMAT_TIME], before[64] = "", after[64] = "",
						    meanwhile[64] = "";

	if (span.first == NEVER)
		return;
	format_run_clock(first, &g->session->start, g->session->duration, span.first);
	format_run_clock(last, &g->session->start, g->session->duration, span.last);
	if (span.before)
		snprintf(before, sizeof(before), "; before that %" PRIu64 " %s served", span.before,
			 were(span.before));
	if (span.meanwhile)
		snprintf(meanwhile, sizeof(meanwhile), "; %" PRIu64 " other%s served meanwhile",
			 span.meanwhile, span.meanwhile == 1 ? " was" : "s were");
	if (span.after)
		snprintf(after, sizeof(after), "; after that %" PRIu64 " %s served", span.after,
			 were(span.after));
	finding_line(f, "when", "%s%s%s%s%s%s%s", span.after || span.meanwhile ? "" : "since ",
		     first, strcmp(first, last) && (span.after || span.meanwhile) ? " to " : "",
		     strcmp(first, last) && (span.after || span.meanwhile) ? last : "", before,
		     meanwhile, after);
}

/* ---- durations ---- */

struct durations durations_of(struct context *g, const struct connect_set *set,
			      ns_t (*duration)(const struct noted_connect *n))
{
	ns_t *sorted = calloc(set->count + 1, sizeof(*sorted));
	struct durations d = { .median = NEVER, .deviation = NEVER };
	struct cluster c;
	size_t i;

	if (!sorted) {
		g->out_of_memory = true;
		return d;
	}
	for (i = 0; i < set->count; i++) {
		ns_t t = duration(set->at[i]);

		if (t != NEVER)
			sorted[d.count++] = t;
	}
	if (d.count) {
		c = cluster_of(sorted, d.count); /* sorts them */
		d.shortest = sorted[0];
		d.longest = sorted[d.count - 1];
		d.median = sorted[d.count / 2];
		d.deviation = median_absolute_deviation(sorted, d.count, d.median);
		d.is_timer = c.count >= 3 && c.count * 2 > d.count &&
			     c.deviation <= timer_slack(c.median);
		if (d.is_timer) {
			d.median = c.median;
			d.deviation = c.deviation;
		}
	}
	free(sorted);
	return d;
}
