// SPDX-License-Identifier: GPL-2.0
#include "diagnose/failure_group.h"

#include <inttypes.h>
#include <string.h>

/* Servers at which a host fails in the same way, from which it is taken for a scanner. */
#define SCANNED_SERVERS 8

const struct server *next_server(const struct context *g, const struct connect_set *set, size_t *i)
{
	const struct server *s = server_of(g, set->at[*i]);

	while (*i < set->count && set->at[*i] < s->connects + s->count)
		(*i)++;
	return s;
}

void group_fill(struct context *g, struct failure_group *group)
{
	size_t first, next;

	for (first = next = 0; next < group->set.count; first = next) {
		const struct server *s = next_server(g, &group->set, &next);

		group->servers++;
		group->connects += s->count;
		if (next - first > group->most) {
			group->most = next - first;
			group->server = s;
		}
	}
	if (group->server)
		group->facts = facts_of_server(g, group->server);
}

void report_by_server(struct context *g, enum finding_kind kind, const struct connect_set *set,
		      void (*report)(struct context *g, const struct failure_group *group))
{
	struct failure_group all = { .kind = kind, .set = *set };
	size_t first, next;

	group_fill(g, &all);
	if (all.servers >= MIN_TOGETHER) {
		report(g, &all);
		return;
	}
	for (first = next = 0; next < set->count; first = next) {
		struct failure_group group = { .kind = kind, .set = { .at = set->at + first } };

		next_server(g, set, &next);
		group.set.count = next - first;
		group_fill(g, &group);
		report(g, &group);
	}
}

size_t count_if(const struct connect_set *set, bool (*is_so)(const struct noted_connect *n))
{
	size_t i, n = 0;

	for (i = 0; i < set->count; i++)
		n += is_so(set->at[i]);
	return n;
}

bool is_scan(const struct noted_connect *n)
{
	const struct timeline *host = n->host;
	const struct endpoint *seen[SCANNED_SERVERS];
	size_t i, j, count = 0;

	for (i = 0; host && i < host->connect_count && count < SCANNED_SERVERS; i++) {
		const struct noted_connect *other = host->connects[i];

		if (memcmp(&other->entry, &n->entry, sizeof(n->entry)) != 0)
			continue;
		for (j = 0; j < count && !same_endpoint(seen[j], &other->c->server); j++)
			;
		if (j == count)
			seen[count++] = &other->c->server;
	}
	return count == SCANNED_SERVERS;
}

struct served_hosts count_served(const struct connect_set *set, bool elsewhere)
{
	struct served_hosts served = {};
	size_t i, j;

	for (i = 0; i < set->count; i++) {
		struct timeline *host = set->at[i]->host;
		uint64_t n = 0;

		if (!host || !count_once(host, &served))
			continue;
		for (j = 0; j < host->connect_count; j++) {
			const struct noted_connect *other = host->connects[j];
			bool same = same_endpoint(&other->c->server, &set->at[i]->c->server);

			n += was_served(other) && same != elsewhere;
		}
		served.hosts += n > 0;
		served.connects += n;
	}
	return served;
}

struct finding *begin_finding(struct context *g, const struct failure_group *group,
			      enum finding_kind kind, struct certainty certainty)
{
	struct finding *f = finding_new(g, kind, certainty);

	if (!f)
		return NULL;
	if (group->servers == 1)
		finding_set_peer(f, &group->server->endpoint);
	f->stalls = group->connects;
	finding_add_connects(g, f, &group->set);
	return f;
}

/* ---- words ---- */

char *format_servers(char out[FORMAT_SERVERS], const struct failure_group *group)
{
	char server[FORMAT_ENDPOINT];

	format_endpoint(server, &group->server->endpoint);
	if (group->servers == 1)
		snprintf(out, FORMAT_SERVERS, "%s", server);
	else
		snprintf(out, FORMAT_SERVERS, "%zu servers (most: %s)", group->servers, server);
	return out;
}

/* Returns the number of connects to the servers of the group that began at this time or later. */
static uint64_t count_since(struct context *g, const struct failure_group *group, ns_t first)
{
	uint64_t count = 0;
	size_t i, j;

	for (i = 0; i < group->set.count;) {
		const struct server *s = next_server(g, &group->set, &i);

		for (j = 0; j < s->count; j++)
			count += s->connects[j].c->syn >= first;
	}
	return count;
}

char *format_counts(char out[FORMAT_COUNTS], struct context *g, const struct finding *f,
		    const struct failure_group *group)
{
	struct span span = span_of(g, &group->set);
	bool began = span.before && !span.meanwhile && !span.after;
	uint64_t all = began ? count_since(g, group, span.first) : group->connects;
	char clock[FORMAT_TIME];

	format_run_clock(clock, &g->session->start, g->session->duration, span.first);
	snprintf(out, FORMAT_COUNTS, "%zu of %" PRIu64 " connect%s of %zu host%s%s%s",
		 group->set.count, all, plural(all), f->hosts_hurt, plural(f->hosts_hurt),
		 began ? " since " : "", began ? clock : "");
	return out;
}

char *format_share(char out[FORMAT_SHARE], const struct connect_set *set, size_t n)
{
	if (n == set->count)
		snprintf(out, FORMAT_SHARE, "each of them");
	else
		snprintf(out, FORMAT_SHARE, "%zu of them", n);
	return out;
}
