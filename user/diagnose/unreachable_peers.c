// SPDX-License-Identifier: GPL-2.0
/*
 * Reports peers that cannot be reached by a route of this gateway, or for which an ICMP error came
 * back. Routers limit the rate of these errors, so some connects to the same network get none.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/dead_peers.h"
#include "diagnose/forwarding.h"

#define MAX_REPORTED \
	16 /* maximum number of findings about ICMP errors; the tables list all peers */

/* Connects that fail for one reason at one or more servers. */
struct unreachable {
	const struct server *server; /* the first one */
	struct connect_set set;
	size_t servers;
	uint64_t by_icmp; /* of the set: an ICMP error came */
	uint64_t answered; /* connects to these servers that were answered */
	bool answered_since;
};

static void add_connects_of(struct context *g, struct unreachable *u, const struct server *s,
			    const struct connect_set *set)
{
	size_t i;

	if (!set->count)
		return;
	connect_set_join(g, &u->set, set);
	u->servers++;
	for (i = 0; i < set->count; i++)
		u->by_icmp += way_of(set->at[i]) == WAY_UNREACHABLE;
	for (i = 0; i < s->count; i++)
		u->answered += s->connects[i].c->synack != NEVER;
	u->answered_since |= has_accepted_since(s, set->at[0]->c->syn);
}

/* Peers that answer between their failures are unreachable only now and then. */
static struct certainty certainty_of(const struct unreachable *u)
{
	struct certainty limit = certain();

	if (u->answered > u->set.count)
		limit = doubtful(CONFIDENCE_LOW, "it answered more connects than failed");
	else if (u->answered_since)
		limit = doubtful(CONFIDENCE_MEDIUM, "it answered meanwhile");
	return at_most(certainty_by_count(u->set.count), limit.level, limit.reason);
}

static void add_silent_ones(struct finding *f, const struct unreachable *u)
{
	uint64_t silent = u->set.count - u->by_icmp;

	if (u->by_icmp && silent)
		finding_line(f, "",
			     "%" PRIu64 " more connect%s got no answer: such errors are limited in "
			     "rate",
			     silent, plural(silent));
}

/* ---- routes of this gateway ---- */

/* Returns the route if it leads nowhere, else NULL. */
static const struct route *rejecting_route(const struct context *g, const struct server *s)
{
	const struct route *r = host_facts_route(g->facts, &s->endpoint);

	if (!r)
		return NULL;
	switch (r->state) {
	case ROUTE_NONE:
	case ROUTE_BLACKHOLE:
	case ROUTE_UNREACHABLE:
	case ROUTE_PROHIBIT:
		return r;
	default:
		return NULL;
	}
}

static bool is_same_route(const struct route *a, const struct route *b)
{
	return a && b && a->state == b->state && a->table == b->table &&
	       a->prefix_length == b->prefix_length &&
	       !memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));
}

/* The connects that ended here: neither did their SYNs leave, nor did anything beyond answer. */
static struct connect_set kept_here(struct context *g, const struct connect_set *set)
{
	struct connect_set kept = {};
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct connection *c = set->at[i]->c;

		if (!c->forwarded_by && (c->icmp == NEVER || c->from_gateway))
			connect_set_add(g, &kept, set->at[i]);
	}
	return kept;
}

static void set_route_text(struct finding *f, const struct unreachable *u, const struct route *r)
{
	static const char *const kinds[] = {
		[ROUTE_BLACKHOLE] = "a blackhole",
		[ROUTE_UNREACHABLE] = "an unreachable",
		[ROUTE_PROHIBIT] = "a prohibit",
	};
	char prefix[FORMAT_ADDRESS], peer[FORMAT_ENDPOINT], what[160], whom[96], hosts[32];

	format_endpoint(peer, &u->server->endpoint);
	if (r->state == ROUTE_NONE)
		snprintf(what, sizeof(what), "no route");
	else
		snprintf(what, sizeof(what), "%s route to %s/%u", kinds[r->state],
			 format_address(prefix, &r->prefix), r->prefix_length);
	if (u->servers == 1)
		snprintf(whom, sizeof(whom), "%s", peer);
	else
		snprintf(whom, sizeof(whom), "%zu servers", u->servers);
	finding_text(f, "this gateway has %s%s: %zu connect%s%s %s%s fail%s", what,
		     r->state == ROUTE_NONE ? " to them" : "", u->set.count, plural(u->set.count),
		     format_of_hosts(hosts, f->hosts_hurt), "to ", whom,
		     u->set.count == 1 ? "s" : "");
}

static void set_route_peer(struct finding *f, const struct unreachable *u, const struct route *r)
{
	if (u->servers == 1 || r->state == ROUTE_NONE || !r->prefix_length) {
		finding_set_peer(f, &u->server->endpoint);
		return;
	}
	f->has_peer = true;
	f->peer.address = r->prefix;
	f->prefix_length = r->prefix_length;
}

static void report_route(struct context *g, const struct unreachable *u, const struct route *r)
{
	bool is_silent = r->state == ROUTE_BLACKHOLE;
	struct finding *f = finding_new(
		g, is_silent ? KIND_DROPPED_IN_GATEWAY : KIND_PEER_UNREACHABLE, certainty_of(u));
	const struct connection *c = u->set.at[0]->c;
	const char *words;

	if (!f)
		return;
	/* the route was looked up at the end of the run; ICMP errors show that it was there */
	if (r->unsure || !u->by_icmp)
		finding_limit(f, CONFIDENCE_MEDIUM,
			      "the route was looked up only at the end of the run");
	set_route_peer(f, u, r);
	finding_add_connects(g, f, &u->set);
	set_route_text(f, u, r);
	words = icmp_words(is_ip4(&c->server.address), c->icmp_type, c->icmp_code);
	if (u->by_icmp)
		finding_line(f, "", "it answered %" PRIu64 " of them by ICMP%s%s", u->by_icmp,
			     way_of(u->set.at[0]) == WAY_UNREACHABLE && words ? ": " : "",
			     way_of(u->set.at[0]) == WAY_UNREACHABLE && words ? words : "");
	else
		finding_line(f, "", "no answer to them was seen");
	add_silent_ones(f, u);
	finding_add_span(g, f, &u->set);
	if (u->server->peer)
		finding_add_route(g, f, u->server->peer);
	finding_add_route_action(f, r);
}

/* Reports connects that a route of this gateway explains: all of them are one fault. */
static void report_rejecting_routes(struct context *g)
{
	struct failing_list list =
		failing_servers(g, 1U << WAY_SILENT | 1U << WAY_UNREACHABLE, true);
	size_t i, j;

	for (i = 0; i < list.count; i++) {
		const struct route *r = rejecting_route(g, list.at[i].server);
		struct unreachable u = { .server = list.at[i].server };

		for (j = i; r && j < list.count; j++) {
			struct failing *at = &list.at[j];
			struct connect_set kept;

			if (at->grouped || !is_same_route(r, rejecting_route(g, at->server)))
				continue;
			at->grouped = true;
			kept = kept_here(g, &at->set);
			add_connects_of(g, &u, at->server, &kept);
			connect_set_free(&kept);
		}
		if (r && u.set.count)
			report_route(g, &u, r);
		connect_set_free(&u.set);
	}
	failing_list_free(&list);
}

/* ---- ICMP errors ---- */

static bool is_prohibited(const struct noted_connect *n)
{
	return n->entry.manner == MANNER_PROHIBITED;
}

/* Returns true if the error is about the one host, or its link, and not about a network. */
static bool is_about_host(const struct connection *c)
{
	return is_ip4(&c->server.address) ? c->icmp_code == 1 || c->icmp_code == 7
					  : c->icmp_code == 3;
}

static bool is_from_server(const struct connection *c)
{
	return !memcmp(&c->icmp_from, &c->server.address, sizeof(c->icmp_from));
}

/* Returns true if both errors are likely to have one cause. */
static bool is_same_error(const struct connection *a, const struct connection *b)
{
	if (a->icmp_type != b->icmp_type || a->icmp_code != b->icmp_code ||
	    a->from_gateway != b->from_gateway ||
	    (!a->from_gateway && memcmp(&a->icmp_from, &b->icmp_from, sizeof(a->icmp_from))))
		return false;
	return !is_about_host(a) || is_near(&a->server, &b->server);
}

/* Adds the connects of a server that failed by the same error. */
static void add_same_error(struct context *g, struct unreachable *u, const struct failing *at,
			   const struct connection *first)
{
	struct connect_set set = {};
	size_t i;

	for (i = 0; i < at->set.count; i++)
		if (!at->set.at[i]->explained && is_same_error(first, at->set.at[i]->c))
			connect_set_add(g, &set, at->set.at[i]);
	add_connects_of(g, u, at->server, &set);
	connect_set_free(&set);
}

static bool has_connect_to(const struct context *g, const struct connect_set *set,
			   const struct server *s)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (server_of(g, set->at[i]) == s)
			return true;
	return false;
}

/*
 * Returns true if the silence of this server is that of the servers with errors: it is one of them,
 * or near to two of them, and has never answered since.
 */
static bool shares_error(const struct context *g, const struct unreachable *u,
			 const struct failing *silent)
{
	const struct server *s = silent->server, *last = NULL;
	size_t i, near = 0;

	if (has_answered_since(s, silent->set.at[0]->c->syn))
		return false;
	if (has_connect_to(g, &u->set, s))
		return true;
	for (i = 0; i < u->set.count; i++) {
		const struct server *other = server_of(g, u->set.at[i]);

		near += other != last && is_near(&s->endpoint, &other->endpoint);
		last = other;
	}
	return near >= 2 && silent->proven;
}

/* Adds connects without any answer. SYNs that left this gateway are not those it rejects. */
static void add_silent(struct context *g, struct unreachable *u, const struct connection *first,
		       const struct failing_list *silent)
{
	struct connect_set more = {};
	size_t i, j;

	for (i = 0; i < silent->count; i++) {
		struct failing *at = &silent->at[i];

		if (at->grouped || !shares_error(g, u, at))
			continue;
		at->grouped = true;
		u->servers += !has_connect_to(g, &u->set, at->server);
		for (j = 0; j < at->set.count; j++)
			if (!first->from_gateway || !at->set.at[j]->c->forwarded_by)
				connect_set_add(g, &more, at->set.at[j]);
	}
	connect_set_join(g, &u->set, &more);
	connect_set_free(&more);
}

/* Formats who failed: a server, or a number of them. */
static const char *format_unreachable(char out[128], const struct unreachable *u)
{
	const struct endpoint *first = &u->server->endpoint;
	unsigned int bits = network_bits(&first->address);
	char text[FORMAT_ADDRESS];
	struct address prefix;
	size_t i;

	if (u->servers == 1)
		return format_endpoint(out, first);
	for (i = 0; i < u->set.count; i++)
		if (!is_near(first, &u->set.at[i]->c->server))
			break;
	prefix_of(&prefix, &first->address, bits);
	if (i < u->set.count)
		snprintf(out, 128, "%zu servers", u->servers);
	else
		snprintf(out, 128, "%zu servers in %s/%u", u->servers,
			 format_address(text, &prefix), bits);
	return out;
}

/*
 * For an error of this gateway, the headline has the cause if it is known: a neighbour that does
 * not answer, or a filter. A kernel sends no "prohibited" or "port unreachable" for forwarded TCP.
 */
static void set_own_error_text(const struct context *g, struct finding *f,
			       const struct unreachable *u, const char *words)
{
	const struct noted_connect *n = u->set.at[0];
	const struct route *r = host_facts_route(g->facts, &u->server->endpoint);
	bool no_neighbour =
		r && r->state == ROUTE_FOUND &&
		(r->neighbour == NEIGHBOUR_FAILED || r->neighbour == NEIGHBOUR_INCOMPLETE);
	char who[128], next_hop[FORMAT_ADDRESS];

	format_unreachable(who, u);
	if (no_neighbour && is_about_host(n->c))
		finding_text(f, "this gateway cannot reach %s: nobody on %s answers for %s (%s)",
			     who, r->device,
			     format_address(next_hop, r->via_next_hop
							      ? &r->next_hop
							      : &u->server->endpoint.address),
			     words);
	else if (is_prohibited(n) || n->entry.manner == MANNER_UNREACHABLE)
		finding_text(f, "this gateway's own filter rejects connects to %s (ICMP: %s)", who,
			     words);
	else
		finding_text(f, "%s %s unreachable: %s, reported by this gateway itself", who,
			     u->servers == 1 ? "is" : "are", words);
}

static void set_error_text(const struct context *g, struct finding *f, const struct unreachable *u)
{
	const struct noted_connect *n = u->set.at[0];
	const struct connection *c = n->c;
	const char *words = icmp_words(is_ip4(&c->server.address), c->icmp_type, c->icmp_code);
	char who[128], from[FORMAT_ADDRESS], hosts[32];

	words = words ? words : "ICMP error";
	format_unreachable(who, u);
	format_address(from, &c->icmp_from);
	if (c->from_gateway)
		set_own_error_text(g, f, u, words);
	else if (is_prohibited(n))
		finding_text(f, "connects to %s are prohibited: %s, says %s", who, words,
			     is_from_server(c) ? "the host itself" : from);
	else
		finding_text(f, "%s %s unreachable: %s, reported by %s", who,
			     u->servers == 1 ? "is" : "are", words, from);
	finding_line(f, "", "%" PRIu64 " connect%s%s (ICMP type %u code %u)", u->by_icmp,
		     plural(u->by_icmp), format_of_hosts(hosts, f->hosts_hurt), c->icmp_type,
		     c->icmp_code);
}

static void add_error_action(struct finding *f, const struct unreachable *u)
{
	const struct noted_connect *n = u->set.at[0];
	char from[FORMAT_ADDRESS];

	format_address(from, &n->c->icmp_from);
	if (n->c->from_gateway && (is_prohibited(n) || n->entry.manner == MANNER_UNREACHABLE))
		finding_line(f, "action", "look for the rule: nft list ruleset, reject");
	else if (n->c->from_gateway)
		finding_line(f, "action",
			     "check the route (ip route get ADDRESS) and whether the next hop is "
			     "up (ip neigh)");
	else if (is_prohibited(n))
		finding_line(f, "action", "look for the filter rule on %s", from);
	else if (is_from_server(n->c))
		finding_line(f, "action", "check the service and the firewall on %s, which is up",
			     from);
	else if (is_about_host(n->c))
		finding_line(f, "action",
			     "check whether the host is up, and on %s whether it answers there",
			     from);
	else
		finding_line(f, "action", "check the route to it on %s", from);
}

/* Returns false if there is no room for more findings. */
static bool report_error(struct context *g, const struct unreachable *u)
{
	struct finding *f = finding_new(g, KIND_PEER_UNREACHABLE, certainty_of(u));
	const struct server *last = u->server;
	size_t i;

	if (!f)
		return false;
	finding_set_peer(f, &u->server->endpoint);
	for (i = 0; i < u->set.count; i++)
		if (server_of(g, u->set.at[i]) != last) {
			last = server_of(g, u->set.at[i]);
			if (!finding_names(f, &last->endpoint))
				finding_add_also(f, &last->endpoint);
		}
	finding_add_connects(g, f, &u->set);
	set_error_text(g, f, u);
	add_silent_ones(f, u);
	if (u->servers == 1)
		add_other_ways(f, u->server, 1U << WAY_UNREACHABLE | 1U << WAY_SILENT);
	finding_add_span(g, f, &u->set);
	if (u->server->peer)
		finding_add_route(g, f, u->server->peer);
	add_error_action(f, u);
	return true;
}

static void report_errors(struct context *g)
{
	struct failing_list list = failing_servers(g, 1U << WAY_UNREACHABLE, true);
	struct failing_list silent = failing_servers(g, 1U << WAY_SILENT, true);
	unsigned int reported = 0;
	size_t i, j, k;
	bool room = true;

	for (i = 0; room && i < list.count; i++)
		for (j = 0; room && j < list.at[i].set.count; j++) {
			const struct noted_connect *n = list.at[i].set.at[j];
			struct unreachable u = { .server = list.at[i].server };

			if (n->explained)
				continue;
			for (k = i; k < list.count; k++)
				add_same_error(g, &u, &list.at[k], n->c);
			add_silent(g, &u, n->c, &silent);
			room = report_error(g, &u) && ++reported < MAX_REPORTED;
			connect_set_free(&u.set);
		}
	failing_list_free(&silent);
	failing_list_free(&list);
}

void report_unreachable_peers(struct context *g)
{
	report_rejecting_routes(g);
	report_errors(g);
}
