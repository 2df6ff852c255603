// SPDX-License-Identifier: GPL-2.0
/* Reports peers that refuse connects by RST, and RSTs that clients must ignore. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/dead_peers.h"
#include "diagnose/forwarding.h"

/* A connect that is refused within this time delays nobody noticeably. */
#define NOTICED_NS (250 * (ns_t)MILLISECOND_NS)

/* Servers at one port that refuse alike, and are close to each other. */
struct refusing {
	const struct server *server; /* the first one */
	enum way way;
	struct connect_set set; /* refused connects, and those that were late by refusals */
	size_t servers;
	uint64_t connects; /* all connects to these servers */
	size_t refused;
	size_t late;
	bool accepts; /* other connects */
	bool separates; /* all connects of some hosts are refused, and none of the others */
	bool at_once; /* each refusal came before anybody noticed */
};

/* ---- times ---- */

static ns_t time_to_refusal(const struct noted_connect *n)
{
	return n->c->outcome == OUTCOME_REFUSED ? n->c->rst - n->c->syn : NEVER;
}

static ns_t time_to_answer(const struct noted_connect *n)
{
	return is_late_by_refusals(n) ? n->c->synack - n->c->syn : NEVER;
}

/* How long the client went on sending SYNs. */
static ns_t time_of_syns(const struct noted_connect *n)
{
	return n->c->syn_last - n->c->syn;
}

static void add_refusal_times(struct context *g, struct finding *f, struct refusing *r)
{
	struct durations d = durations_of(g, &r->set, time_to_refusal);
	char shortest[FORMAT_DURATION], longest[FORMAT_DURATION], answer[FORMAT_DURATION];

	r->at_once = d.count && d.longest < NOTICED_NS;
	if (r->at_once) {
		finding_line(f, "", "each RST came at once, within %s of the SYN",
			     format_duration(longest, d.longest));
	} else if (d.count) {
		format_duration(shortest, d.shortest);
		format_duration(longest, d.longest);
		finding_line(f, "",
			     "the clients send a refused SYN again: a connect fails only after "
			     "%s%s%s",
			     shortest, strcmp(shortest, longest) ? " to " : "",
			     strcmp(shortest, longest) ? longest : "");
	}
	if (!r->late)
		return;
	d = durations_of(g, &r->set, time_to_answer);
	finding_line(f, "",
		     "%zu more connect%s opened only when a refused SYN came again, %s after the "
		     "first one",
		     r->late, plural(r->late), format_duration(answer, d.median));
}

/* ---- who refuses ---- */

static const char *format_servers(char out[160], const struct refusing *r)
{
	char first[FORMAT_ENDPOINT], second[FORMAT_ENDPOINT];
	const struct connection *last = r->set.at[r->set.count - 1]->c;

	format_endpoint(first, &r->server->endpoint);
	format_endpoint(second, &last->server);
	if (r->servers == 1)
		snprintf(out, 160, "%s", first);
	else if (r->servers == 2)
		snprintf(out, 160, "%s and %s", first, second);
	else
		snprintf(out, 160, "port %u of %zu servers", last->server.port, r->servers);
	return out;
}

/* Sets the headline for servers that accept other connects. */
static void set_partial_text(struct context *g, struct finding *f, struct refusing *r)
{
	char servers[160], named[FORMAT_HOSTS], late[64] = "";
	const char *verb = r->servers == 2 ? "refuse" : "refuses";
	size_t others;

	format_servers(servers, r);
	r->separates = r->servers == 1 && separates_hosts(g, r->server, &r->set, named, &others);
	if (r->separates) {
		finding_text(f,
			     "%s refuses all of %s and none of the others: %zu connects (RST), "
			     "while %zu other host%s served",
			     servers, named, r->set.count, others, others == 1 ? " is" : "s are");
		return;
	}
	if (r->late)
		snprintf(late, sizeof(late), ", and accept%s %zu late", r->servers == 2 ? "" : "s",
			 r->late);
	finding_text(f, "%s %s %zu of %" PRIu64 " connects (RST)%s", servers, verb, r->refused,
		     r->connects, late);
}

static void set_refused_text(struct context *g, struct finding *f, struct refusing *r)
{
	char servers[160], hosts[32];

	if (r->accepts) {
		set_partial_text(g, f, r);
		return;
	}
	finding_text(f, "%s refuse%s connections (RST): %zu connect%s%s",
		     format_servers(servers, r), r->servers == 2 ? "" : "s", r->refused,
		     plural(r->refused), format_of_hosts(hosts, f->hosts_hurt));
	finding_line(f, "",
		     "either nothing listens there, or a firewall answers so: an RST does not show "
		     "which");
}

/* ---- this gateway ---- */

static bool is_own_address(const struct context *g, const struct endpoint *server)
{
	const struct route *route = host_facts_route(g->facts, server);

	return (route && route->state == ROUTE_LOCAL) ||
	       session_is_own_address(g->session, &server->address);
}

static void set_refused_here_text(struct context *g, struct finding *f, const struct refusing *r)
{
	bool own = is_own_address(g, &r->server->endpoint);
	char servers[160], hosts[32];

	finding_text(f, "this gateway refuses connections to %s (RST): %s",
		     format_servers(servers, r),
		     own ? "the address is its own, and nothing listens there"
			 : "its own firewall or proxy does it");
	finding_line(f, "", "it refuses %zu connect%s%s%s", r->refused, plural(r->refused),
		     format_of_hosts(hosts, f->hosts_hurt),
		     own ? " (or its own firewall does, for which this looks alike)" : "");
	finding_line(f, "action", "%s",
		     own ? "check whether the service should run on this gateway (ss -ltn)"
			 : "look for the rule: nft list ruleset, reject with tcp reset; or for a "
			   "transparent proxy");
}

/* ---- RSTs that must be ignored ---- */

static void set_ignored_text(struct context *g, struct finding *f, const struct refusing *r)
{
	const struct connection *c = r->set.at[0]->c;
	struct durations d = durations_of(g, &r->set, time_of_syns);
	char servers[160], hosts[32], lasts[FORMAT_DURATION];

	finding_text(f,
		     "%s answer%s with RSTs that clients must ignore (wrong acknowledgment): %zu "
		     "connect%s%s fail%s",
		     format_servers(servers, r), r->servers == 2 ? "" : "s", r->set.count,
		     plural(r->set.count), format_of_hosts(hosts, f->hosts_hurt),
		     r->set.count == 1 ? "s" : "");
	if (c->rst_acked == RST_ACKS_NOTHING)
		finding_line(f, "",
			     "the RST has no acknowledgment, so it does not answer the SYN (RFC "
			     "9293 3.10.7.3)");
	else if (c->rst_acked > 1)
		finding_line(f, "",
			     "the RST acknowledges another number than that of the SYN plus 1");
	else
		finding_line(f, "",
			     "the RST acknowledges the number of the SYN itself, not that plus 1 "
			     "(RFC 9293 3.10.7.3)");
	if (d.longest != NEVER && d.longest > 0)
		finding_line(f, "",
			     "so the clients go on: they send the SYN again for up to %s instead "
			     "of failing at once",
			     format_duration(lasts, d.longest));
}

/* ---- reports ---- */

/*
 * A mail server asks its clients' port 113 (ident, RFC 1413) and goes on at once if it is refused,
 * which is what it should be.
 */
static bool is_harmless(const struct refusing *r)
{
	return r->server->endpoint.port == IDENT_PORT && r->at_once && !r->accepts;
}

static void add_refused_action(struct finding *f, const struct refusing *r)
{
	if (r->way == WAY_IGNORED_RST)
		finding_line(f, "action",
			     "the host is up, and its stack or a firewall in front of it is "
			     "faulty: update it; and start the service, or stop asking for it");
	else if (is_harmless(r))
		finding_line(f, "action",
			     "none: the servers that ask this port (ident) go on at once");
	else if (r->separates)
		finding_line(f, "action",
			     "look for a rule about these hosts, and compare their SYNs with those "
			     "of the others (ECN, options)");
	else if (r->accepts)
		finding_line(f, "action",
			     "look at the server: was the service restarted, is its backlog full "
			     "(some systems reset then), is one of several backends down?");
	else
		finding_line(f, "action",
			     "check on the server whether the service listens on this address "
			     "(ss -ltn), then the firewalls before it");
}

/* The confidence is high if the RSTs are many: they are facts, whoever sends them. */
static void report_refusing(struct context *g, struct refusing *r)
{
	struct finding *f = finding_new(g, KIND_PEER_REFUSED, certainty_by_count(r->set.count));
	struct span span = span_of(g, &r->set);
	const struct server *last = r->server;
	size_t i;

	if (!f)
		return;
	r->accepts = span.before || span.meanwhile || span.after || r->late;
	finding_set_peer(f, &r->server->endpoint);
	for (i = 0; i < r->set.count; i++)
		if (server_of(g, r->set.at[i]) != last) {
			last = server_of(g, r->set.at[i]);
			finding_add_also(f, &last->endpoint);
		}
	finding_add_connects(g, f, &r->set);
	if (r->way == WAY_REFUSED)
		set_refused_text(g, f, r);
	else if (r->way == WAY_REFUSED_HERE)
		set_refused_here_text(g, f, r);
	else
		set_ignored_text(g, f, r);
	if (r->way != WAY_IGNORED_RST)
		add_refusal_times(g, f, r);
	if (r->servers == 1)
		add_other_ways(f, r->server, 1U << r->way);
	finding_add_span(g, f, &r->set);
	f->is_problem &= !is_harmless(r);
	if (r->way != WAY_REFUSED_HERE)
		add_refused_action(f, r);
}

static bool does_accept(const struct failing *at)
{
	return has_accepted_since(at->server, NEVER);
}

/* Returns true if both servers are likely to refuse for one reason. */
static bool are_alike(const struct failing *a, const struct failing *b, enum way way)
{
	if (a->server->endpoint.port != b->server->endpoint.port)
		return false;
	return way == WAY_REFUSED_HERE || (is_near(&a->server->endpoint, &b->server->endpoint) &&
					   does_accept(a) == does_accept(b));
}

static void add_refusing(struct context *g, struct refusing *r, struct failing *at)
{
	size_t i;

	at->grouped = true;
	connect_set_join(g, &r->set, &at->set);
	r->servers++;
	r->connects += at->server->count;
	for (i = 0; i < at->set.count; i++)
		r->late += is_late_by_refusals(at->set.at[i]);
	r->refused = r->set.count - r->late;
}

static void report_way(struct context *g, enum way way)
{
	struct failing_list list = failing_servers(g, 1U << way, true);
	size_t i, j;

	report_scanners(g, &list, KIND_PEER_REFUSED);
	for (i = 0; i < list.count; i++) {
		struct refusing r = { .server = list.at[i].server, .way = way };

		if (list.at[i].grouped)
			continue;
		for (j = i; j < list.count; j++)
			if (!list.at[j].grouped && are_alike(&list.at[i], &list.at[j], way))
				add_refusing(g, &r, &list.at[j]);
		if (r.set.count)
			report_refusing(g, &r);
		connect_set_free(&r.set);
	}
	failing_list_free(&list);
}

void report_refusing_peers(struct context *g)
{
	report_way(g, WAY_IGNORED_RST);
	report_way(g, WAY_REFUSED_HERE);
	report_way(g, WAY_REFUSED);
}
