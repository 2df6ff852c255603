// SPDX-License-Identifier: GPL-2.0
/* Reports peers that fail: first peers with a common cause, then the others one by one. */
#include "diagnose/dead_peers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/forwarding.h"
#include "diagnose/gateway_counters.h"

/* Minimum numbers of unfinished attempts, and of clients that they come from, for a flood. */
#define FLOOD_ATTEMPTS 1000
#define FLOOD_CLIENTS 200

/*
 * Maximum number of silent peers examined, those with the most clients first. The work grows with
 * the square.
 */
#define MAX_EXAMINED 1024

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

void connect_set_join(struct context *g, struct connect_set *set, const struct connect_set *more)
{
	size_t i;

	for (i = 0; i < more->count; i++)
		connect_set_add(g, set, more->at[i]);
}

/* Forgets who counted these hosts: one counter may count them again. */
static void uncount_hosts(const struct server *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (s->connects[i].host)
			s->connects[i].host->counted = NULL;
}

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

/* ---- one silent peer ---- */

/*
 * Adds the other ports of the same address, which show whether the host is up while this port is
 * silent.
 */
static void add_other_ports(const struct context *g, struct finding *f, const struct failing *at)
{
	ns_t since = at->set.at[0]->c->syn;
	size_t i, answer = 0, silent = 0;

	for (i = 0; i < g->server_count; i++) {
		const struct server *other = &g->servers[i];

		if (other == at->server || !same_address(&other->endpoint, &at->server->endpoint))
			continue;
		if (has_answered_since(other, since))
			answer++;
		else if (way_of(&other->connects[other->count - 1]) == WAY_SILENT)
			silent++;
	}
	if (answer)
		finding_line(f, "",
			     "%zu other port%s of it answer%s meanwhile: the host is up, and this "
			     "port is filtered there or on the way, or its service is overloaded",
			     answer, plural(answer), answer == 1 ? "s" : "");
	else if (silent)
		finding_line(f, "",
			     "%zu other port%s of it %s silent as well: the host is down or "
			     "unreachable",
			     silent, plural(silent), silent == 1 ? "is" : "are");
}

static uint64_t count_proven(const struct connect_set *set)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < set->count; i++)
		n += connection_failure(set->at[i]->c) == FAILURE_SILENT;
	return n;
}

/*
 * Loss explains some unanswered connects between others that are answered, so they prove little
 * about the peer.
 */
static void set_silent_text(struct context *g, struct finding *f, const struct failing *at)
{
	const struct server *s = at->server;
	ns_t since = at->set.at[0]->c->syn;
	char peer[FORMAT_ENDPOINT], hosts[32], named[FORMAT_HOSTS];
	size_t others;

	format_endpoint(peer, &s->endpoint);
	if (!has_answered_since(s, since)) {
		finding_text(f, "%s does not answer: %zu connect%s%s", peer, at->set.count,
			     plural(at->set.count), format_of_hosts(hosts, at->hosts));
		return;
	}
	if (has_accepted_since(s, since))
		f->confidence = CONFIDENCE_LOW;
	if (separates_hosts(g, s, &at->set, named, &others))
		finding_text(f,
			     "%s answers none of the %zu connects of %s, and those of %zu other "
			     "host%s",
			     peer, at->set.count, named, others, plural(others));
	else
		finding_text(f, "%s did not answer %zu of %zu connect%s%s", peer, at->set.count,
			     s->count, plural(s->count), format_of_hosts(hosts, at->hosts));
}

static void report_silent(struct context *g, const struct failing *at)
{
	uint64_t proven = count_proven(&at->set);
	struct finding *f = finding_new(g, KIND_PEER_UNANSWERED, confidence_by_count(proven));

	if (!f)
		return;
	finding_set_peer(f, &at->server->endpoint);
	set_silent_text(g, f, at);
	finding_add_connects(g, f, &at->set);
	gateway_drops_line(g, f);
	if (!proven)
		finding_line(f, "", "%s connect was given up after one SYN, which proves little",
			     at->set.count == 1 ? "the" : "each");
	add_other_ways(f, at->server, 1U << WAY_SILENT);
	add_other_ports(g, f, at);
	finding_add_span(g, f, &at->set);
	if (at->server->peer)
		finding_add_route(g, f, at->server->peer);
	finding_line(f, "action",
		     "capture in front of the server: if the SYNs arrive there, look at the "
		     "server and its firewall, else at the path");
}

/* ---- SYN-ACKs that do not belong to the SYN ---- */

static void report_ignored_synacks(struct context *g)
{
	struct failing_list list = failing_servers(g, 1U << WAY_IGNORED_SYNACK, true);
	char peer[FORMAT_ENDPOINT], hosts[32];
	struct finding *f;
	size_t i;

	for (i = 0; i < list.count; i++) {
		const struct failing *at = &list.at[i];

		f = finding_new(g, KIND_PEER_UNANSWERED, confidence_by_count(at->set.count));
		if (!f)
			break;
		finding_set_peer(f, &at->server->endpoint);
		finding_add_connects(g, f, &at->set);
		finding_text(f,
			     "%s answers with SYN-ACKs that clients must ignore: %zu connect%s%s",
			     format_endpoint(peer, &at->server->endpoint), at->set.count,
			     plural(at->set.count), format_of_hosts(hosts, at->hosts));
		finding_line(f, "",
			     "they do not acknowledge the SYN that was sent (RFC 9293 3.10.7.3): "
			     "another device changed its numbers, or answers for the server");
		add_other_ways(f, at->server, 1U << WAY_IGNORED_SYNACK);
		finding_add_span(g, f, &at->set);
		finding_line(f, "action",
			     "look for a device on the way that changes sequence numbers in one "
			     "direction only, or answers SYNs itself");
	}
	failing_list_free(&list);
}

/* ---- floods ---- */

static size_t count_clients(const struct peer *p)
{
	const struct pair *t;
	size_t n = 0;

	LIST_FOREACH(t, &p->pairs, of_peer)
		n++;
	return n;
}

/* Returns the number of attempts that are unanswered, half open, or too recent for a verdict. */
static uint64_t unfinished(const struct peer *p)
{
	return p->failures[FAILURE_SILENT] + p->failures[FAILURE_ONE_SYN] +
	       p->failures[FAILURE_TOO_EARLY] + (p->anomalies ? p->anomalies->half_open : 0);
}

static bool is_flooded(const struct peer *p)
{
	uint64_t n = unfinished(p);

	return n >= FLOOD_ATTEMPTS && n * 10 >= p->connections * 9 &&
	       count_clients(p) >= FLOOD_CLIENTS;
}

/* The finding explains all of the server's failures, but accuses no host. */
static void explain_flood(struct context *g, const struct finding *f, const struct peer *p)
{
	size_t i, j;

	for (i = 0; i < g->server_count; i++)
		for (j = 0; g->servers[i].peer == p && j < g->servers[i].count; j++)
			if (!was_served(&g->servers[i].connects[j]))
				g->servers[i].connects[j].explained = f;
}

static void report_flood(struct context *g, const struct peer *p)
{
	uint64_t half_open = p->anomalies ? p->anomalies->half_open : 0;
	struct finding *f = finding_new(g, KIND_SYN_FLOOD, CONFIDENCE_HIGH);
	char peer[FORMAT_ENDPOINT];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	finding_text(f, "SYN flood at %s: %" PRIu64 " connects that no client completed",
		     format_endpoint(peer, &p->server), unfinished(p));
	finding_line(f, "",
		     "from %zu and more addresses, %" PRIu64
		     " answered by a SYN-ACK and never completed",
		     count_clients(p), half_open);
	finding_line(f, "", "the sources are usually forged, so no client is accused");
	explain_flood(g, f, p);
}

static void report_floods(struct context *g)
{
	const struct peer *p;

	for (p = g->m->peers; p; p = p->hh.next)
		if (is_flooded(p))
			report_flood(g, p);
}

/* ---- all peers ---- */

/*
 * Returns true if the peer is worth a finding: a client may give up after a single SYN, but three
 * SYNs are significant.
 */
static bool is_worth_reporting(const struct failing *at)
{
	return at->proven || at->set.count >= 3;
}

/* Returns true if other causes report the peer: clients wait for it, or this gateway drops it. */
static bool is_explained(const struct context *g, const struct failing *at)
{
	return is_waited_for(g, &at->server->endpoint) ||
	       (at->server->peer && (is_dropped_here(g, at->server->peer) ||
				     is_dropped_by_counters(g, at->server->peer)));
}

static void report_silent_peers(struct context *g)
{
	/* peers that clients wait for count for a prefix as well, but are not reported alone */
	struct failing_list list = failing_servers(g, 1U << WAY_SILENT, false);
	size_t i, count;

	report_scanners(g, &list, KIND_PEER_UNANSWERED);
	count = list.count < MAX_EXAMINED ? list.count : MAX_EXAMINED;
	for (i = 0; i < count; i++)
		if (!list.at[i].grouped && list.at[i].proven)
			report_prefix(g, &list, &list.at[i]);
	for (i = 0; i < count; i++)
		if (!list.at[i].grouped && list.at[i].proven && !is_explained(g, &list.at[i]))
			report_port(g, &list, &list.at[i]);
	for (i = 0; i < count; i++)
		if (!list.at[i].grouped && list.at[i].proven && !is_explained(g, &list.at[i]))
			report_host(g, &list, &list.at[i]);
	for (i = 0; i < count; i++)
		if (!list.at[i].grouped && is_worth_reporting(&list.at[i]) &&
		    !is_explained(g, &list.at[i]))
			report_silent(g, &list.at[i]);
	failing_list_free(&list);
}

void cause_dead_peers(struct context *g)
{
	report_floods(g);
	report_unreachable_peers(g);
	report_silent_peers(g);
	report_ignored_synacks(g);
	report_refusing_peers(g);
}
