// SPDX-License-Identifier: GPL-2.0
/* Reports peers that fail: first peers with a common cause, then the others one by one. */
#include "diagnose/dead_peers.h"

#include <inttypes.h>

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
		finding_limit(f, CONFIDENCE_LOW,
			      "it served connects meanwhile: these may be lost packets");
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
	struct finding *f = finding_new(g, KIND_PEER_UNANSWERED, certainty_by_count(proven));

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

		f = finding_new(g, KIND_PEER_UNANSWERED, certainty_by_count(at->set.count));
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
	struct finding *f = finding_new(g, KIND_SYN_FLOOD, certain());
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
	finding_line(f, "action",
		     "let the server, or a firewall before it, answer by SYN cookies (sysctl "
		     "net.ipv4.tcp_syncookies, nft synproxy), and limit the rate further out");
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

/* Returns true if a finding says that some ways to the server are dead, and others are not. */
static bool has_dead_path(const struct context *g, const struct server *s)
{
	size_t i, j;

	for (i = 0; i < g->d->count; i++) {
		const struct finding *f = &g->d->at[i];

		if (f->kind != KIND_SOME_PATHS_FAIL)
			continue;
		if (finding_names(f, &s->endpoint))
			return true;
		for (j = 0; j < f->part_count; j++)
			if (same_endpoint(&f->parts[j].server, &s->endpoint))
				return true;
	}
	return false;
}

/*
 * Returns true if other causes report the peer: clients wait for it, this gateway drops it, or some
 * ways to it are dead. The latter explains connects that were given up early as well.
 */
static bool is_explained(const struct context *g, const struct failing *at)
{
	return has_dead_path(g, at->server) || is_waited_for(g, &at->server->endpoint) ||
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
