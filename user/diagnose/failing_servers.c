// SPDX-License-Identifier: GPL-2.0
#include "diagnose/failing_servers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMED 3 /* hosts that a headline names */

/* ---- ways to fail ---- */

static enum way way_of_unanswered(const struct connection *c)
{
	enum failure failure = connection_failure(c);

	if (failure != FAILURE_SILENT && failure != FAILURE_ONE_SYN)
		return WAY_NONE;
	if (c->ignored_rst)
		return WAY_IGNORED_RST;
	return c->ignored_synack ? WAY_IGNORED_SYNACK : WAY_SILENT;
}

enum way way_of(const struct noted_connect *n)
{
	const struct connection *c = n->c;
	/* the loser of a race shows how the server fails as well */
	bool counts = n->entry.stage == STAGE_CONNECT &&
		      (n->entry.row == ROW_FAILED ||
		       (n->entry.row == ROW_CANCELLED && n->entry.manner == MANNER_RACE));

	/* a challenge ACK shows that the port is in use: see the kind port-reuse */
	if (!counts || c->elsewhere || c->challenged || n->entry.manner == MANNER_TIME_EXCEEDED)
		return WAY_NONE;
	switch (c->outcome) {
	case OUTCOME_REFUSED:
		return c->from_gateway ? WAY_REFUSED_HERE : WAY_REFUSED;
	case OUTCOME_UNREACHABLE:
		return WAY_UNREACHABLE;
	case OUTCOME_UNANSWERED:
		return way_of_unanswered(c);
	default:
		return WAY_NONE;
	}
}

bool has_accepted_since(const struct server *s, ns_t since)
{
	size_t i;

	if (s->peer && s->peer->last_answer != NEVER && s->peer->last_answer > since)
		return true;
	for (i = 0; i < s->count; i++)
		if (s->connects[i].c->synack != NEVER && s->connects[i].c->synack > since)
			return true;
	return false;
}

bool has_answered_since(const struct server *s, ns_t since)
{
	size_t i;

	if (has_accepted_since(s, since))
		return true;
	for (i = 0; i < s->count; i++) {
		const struct connection *c = s->connects[i].c;

		if (c->syn_last <= since || c->from_gateway)
			continue;
		if (c->outcome == OUTCOME_REFUSED || c->ignored_rst || c->ignored_synack ||
		    c->challenged)
			return true;
	}
	return false;
}

void add_other_ways(struct finding *f, const struct server *s, unsigned int ways)
{
	static const char *const words[WAYS] = {
		[WAY_SILENT] = "not answered",
		[WAY_IGNORED_SYNACK] = "answered by a SYN-ACK that clients must ignore",
		[WAY_IGNORED_RST] = "answered by an RST that clients must ignore",
		[WAY_REFUSED] = "refused by RST",
		[WAY_REFUSED_HERE] = "refused by this gateway",
		[WAY_UNREACHABLE] = "answered by an ICMP error",
	};
	uint64_t count[WAYS] = {};
	unsigned int way;
	size_t i;

	for (i = 0; i < s->count; i++)
		count[way_of(&s->connects[i])]++;
	for (way = WAY_SILENT; way < WAYS; way++)
		if (count[way] && !(ways & 1U << way))
			finding_line(f, "as well", "%" PRIu64 " other connect%s %s %s", count[way],
				     plural(count[way]), were(count[way]), words[way]);
}

/* ---- lists ---- */

static void count_hosts(struct failing *failing)
{
	size_t i;

	uncount_hosts(failing->server);
	for (i = 0; i < failing->set.count; i++) {
		struct timeline *host = failing->set.at[i]->host;

		if (!host || !count_once(host, failing->server))
			continue;
		failing->only = failing->hosts++ ? NULL : host;
	}
}

/*
 * Returns true if the peer may be reported. One that failed less than three times, and whose
 * clients were all evicted, may have been tried by a scan.
 */
static bool is_remembered(const struct failing *failing)
{
	return failing->hosts || failing->set.count >= 3;
}

static int by_weight(const void *a, const void *b)
{
	const struct failing *x = a, *y = b;

	if (x->hosts != y->hosts)
		return x->hosts < y->hosts ? 1 : -1;
	if (x->set.count != y->set.count)
		return x->set.count < y->set.count ? 1 : -1;
	return memcmp(&x->server->endpoint, &y->server->endpoint, sizeof(struct endpoint));
}

/* Returns true if a finding of the kind ident has reported that this server asks in vain. */
static bool is_reported_ident(const struct context *g, const struct connection *c)
{
	size_t i;

	for (i = 0; c->server.port == IDENT_PORT && i < g->d->count; i++) {
		const struct finding *f = &g->d->at[i];

		if (f->kind == KIND_IDENT && same_address(&f->peer, &c->client))
			return true;
	}
	return false;
}

static bool is_wanted(const struct context *g, const struct noted_connect *n, unsigned int ways)
{
	if (n->explained || (way_of(n) == WAY_SILENT && is_reported_ident(g, n->c)))
		return false;
	return ways & 1U << way_of(n) || (ways & 1U << WAY_REFUSED && is_late_by_refusals(n));
}

static void collect(struct context *g, struct failing *failing, unsigned int ways)
{
	const struct server *s = failing->server;
	size_t i;

	for (i = 0; i < s->count; i++)
		if (is_wanted(g, &s->connects[i], ways)) {
			connect_set_add(g, &failing->set, &s->connects[i]);
			failing->proven |= connection_failure(s->connects[i].c) != FAILURE_ONE_SYN;
		}
	count_hosts(failing);
}

struct failing_list failing_servers(struct context *g, unsigned int ways, bool alone)
{
	struct failing_list list = { calloc(g->server_count + 1, sizeof(*list.at)), 0 };
	size_t i;

	if (!list.at) {
		g->out_of_memory = true;
		return list;
	}
	for (i = 0; i < g->server_count; i++) {
		struct failing failing = { .server = &g->servers[i] };

		if (alone && is_waited_for(g, &failing.server->endpoint))
			continue;
		collect(g, &failing, ways);
		if (failing.set.count && is_remembered(&failing))
			list.at[list.count++] = failing;
		else
			connect_set_free(&failing.set);
	}
	qsort(list.at, list.count, sizeof(*list.at), by_weight);
	return list;
}

void failing_list_free(struct failing_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		connect_set_free(&list->at[i].set);
	free(list->at);
	*list = (struct failing_list){};
}

/* ---- hosts ---- */

const char *format_of_hosts(char text[32], size_t hosts)
{
	text[0] = '\0';
	if (hosts)
		snprintf(text, 32, " of %zu host%s", hosts, plural(hosts));
	return text;
}

/* Formats "10.1.4.21, 10.1.4.22 and 3 others". */
static void format_hosts(char out[FORMAT_HOSTS], const struct connect_set *set)
{
	char text[FORMAT_ADDRESS];
	size_t i, n = 0, used = 0;

	out[0] = '\0';
	for (i = 0; i < set->count; i++) {
		struct timeline *host = set->at[i]->host;

		if (!count_once(host, out) || ++n > MAX_NAMED)
			continue;
		used += snprintf(out + used, FORMAT_HOSTS - used, "%s%s", n > 1 ? ", " : "",
				 format_address(text, &host->host->clients[0]->key.address));
	}
	if (n > MAX_NAMED)
		snprintf(out + used, FORMAT_HOSTS - used, " and %zu other%s", n - MAX_NAMED,
			 plural(n - MAX_NAMED));
}

bool separates_hosts(struct context *g, const struct server *s, const struct connect_set *set,
		     char hosts[FORMAT_HOSTS], size_t *others)
{
	struct span span = span_of(g, set);
	size_t i;

	*others = 0;
	if (set->count < 3 || !span.meanwhile)
		return false;
	uncount_hosts(s);
	for (i = 0; i < set->count; i++) {
		if (!set->at[i]->host || is_late_by_refusals(set->at[i]))
			return false;
		count_once(set->at[i]->host, set);
	}
	for (i = 0; i < s->count; i++) {
		struct timeline *host = s->connects[i].host;

		if (s->connects[i].c->synack == NEVER)
			continue;
		if (!host || host->counted == set)
			return false;
		*others += count_once(host, others);
	}
	uncount_hosts(s);
	format_hosts(hosts, set);
	return *others > 0;
}
