// SPDX-License-Identifier: GPL-2.0
/* Reports common causes of silent peers: a scanning client, a prefix, a port. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/dead_peers.h"
#include "diagnose/forwarding.h"

/*
 * Maximum number of failing peers that only this host tries. Beyond it the host is taken for a
 * scanner.
 */
#define MAX_FAILING_OF_HOST 8

/* ---- scanners ---- */

static void report_scanner(struct context *g, const struct host *h, size_t peers,
			   enum finding_kind kind)
{
	struct finding *f = finding_new(
		g, kind, doubtful(CONFIDENCE_LOW, "these connects show nothing about the peers"));
	char text[FORMAT_ADDRESS];

	if (!f)
		return;
	f->hosts_hurt = 1;
	finding_add_host(g, &f->affected, h);
	finding_text(f, "%s alone tries %zu peers that %s: a scan, or peer-to-peer",
		     format_address(text, &h->clients[0]->key.address), peers,
		     kind == KIND_PEER_REFUSED ? "refuse connections" : "do not answer");
	finding_line(f, "", "this concerns the host rather than those peers");
	finding_line(f, "action", "find out which program of this host makes these connects");
}

/* Returns true if the peer has failed this host only, and serves none. */
static bool is_scanned(const struct failing *at)
{
	return at->only && !has_accepted_since(at->server, at->set.at[0]->c->syn);
}

void report_scanners(struct context *g, struct failing_list *list, enum finding_kind kind)
{
	size_t *tried = calloc(g->hosts->all + 1, sizeof(*tried)), i, kept = 0;

	if (!tried) {
		g->out_of_memory = true;
		return;
	}
	for (i = 0; i < list->count; i++)
		if (is_scanned(&list->at[i]))
			tried[list->at[i].only - g->timelines]++;
	for (i = 0; i < list->count; i++) {
		struct timeline *host = is_scanned(&list->at[i]) ? list->at[i].only : NULL;
		size_t peers = host ? tried[host - g->timelines] : 0;

		if (peers <= MAX_FAILING_OF_HOST) {
			list->at[kept++] = list->at[i];
			continue;
		}
		if (count_once(host, list))
			report_scanner(g, host->host, peers, kind);
		connect_set_free(&list->at[i].set);
	}
	list->count = kept;
	free(tried);
}

/* ---- prefixes ---- */

bool is_near(const struct endpoint *a, const struct endpoint *b)
{
	unsigned int bits = network_bits(&a->address);
	struct address prefix;

	prefix_of(&prefix, &a->address, bits);
	return in_prefix(&b->address, &prefix, bits) && !memcmp(a->vlan, b->vlan, sizeof(a->vlan));
}

/*
 * Returns the length of the prefix to examine for this peer: the length of its route's prefix, if
 * it is shorter than /24 or /64. If its own route is missing, the length is a guess.
 */
static unsigned int prefix_length(const struct context *g, const struct endpoint *server)
{
	unsigned int bits = network_bits(&server->address);
	const struct route *r = host_facts_route(g->facts, server);

	if (!r || r->state != ROUTE_FOUND || !r->table)
		return bits;
	if (r->prefix_length)
		return r->prefix_length < bits ? r->prefix_length : bits;
	if (is_route_missing(g, server, r))
		return is_ip4(&server->address) ? 16 : 48;
	return bits;
}

struct cut {
	const struct failing *first; /* the first server in the prefix */
	struct address prefix;
	unsigned int bits;
	bool spreads; /* the servers are in more than one /24 or /64 */
	size_t addresses;
	ns_t since;
	uint64_t answered; /* connects answered before the prefix was cut off */
};

static bool is_cut_with(const struct failing *other, const struct cut *cut)
{
	const struct endpoint *server = &other->server->endpoint;

	return !other->grouped && in_prefix(&server->address, &cut->prefix, cut->bits) &&
	       !memcmp(server->vlan, cut->first->server->endpoint.vlan, sizeof(server->vlan)) &&
	       !has_answered_since(other->server, other->set.at[0]->c->syn);
}

static void count_cut(struct cut *cut, const struct failing_list *list)
{
	size_t i, j;

	for (i = 0; i < list->count; i++) {
		const struct failing *at = &list->at[i];
		bool known = false;

		if (!at->proven || !is_cut_with(at, cut))
			continue;
		for (j = 0; j < i && !known; j++)
			known = same_address(&list->at[j].server->endpoint, &at->server->endpoint);
		cut->addresses += !known;
		cut->spreads |= !is_near(&cut->first->server->endpoint, &at->server->endpoint);
		if (at->set.at[0]->c->syn < cut->since)
			cut->since = at->set.at[0]->c->syn;
	}
}

/*
 * Returns false if something in the prefix has answered, or was served as a client, since the
 * failures began: a refusal is an answer as well. Counts the earlier answers.
 */
static bool is_cut_off(struct cut *cut, const struct context *g)
{
	const struct client *client;
	const struct peer *p;
	size_t i;

	for (client = g->m->clients; client; client = client->hh.next)
		if (client->last_served != NEVER && client->last_served > cut->since &&
		    in_prefix(&client->key.address, &cut->prefix, cut->bits))
			return false;
	for (i = 0; i < g->server_count; i++)
		if (in_prefix(&g->servers[i].endpoint.address, &cut->prefix, cut->bits) &&
		    has_answered_since(&g->servers[i], cut->since))
			return false;
	/* the journal may have forgotten connects that the model has counted */
	for (p = g->m->peers; p; p = p->hh.next) {
		if (!in_prefix(&p->server.address, &cut->prefix, cut->bits))
			continue;
		if ((p->last_answer != NEVER && p->last_answer > cut->since) ||
		    (p->failures[FAILURE_REFUSED] > p->by_gateway && p->last_failure > cut->since))
			return false;
		cut->answered += p->answered;
	}
	return true;
}

/* Adds the servers of the prefix. Single SYNs prove nothing, and may be those of a storm. */
static void add_cut_connects(struct context *g, struct finding *f, struct connect_set *set,
			     const struct cut *cut, struct failing_list *list)
{
	size_t i, j;

	for (i = 0; i < list->count; i++) {
		struct failing *at = &list->at[i];

		if (!is_cut_with(at, cut))
			continue;
		at->grouped = true;
		if (at->proven) /* same condition as in count_cut() */
			connect_set_join(g, set, &at->set);
		for (j = 0; !at->proven && j < at->set.count; j++)
			at->set.at[j]->explained = f;
	}
	finding_add_connects(g, f, set);
}

static void report_cut(struct context *g, const struct cut *cut, struct failing_list *list)
{
	struct finding *f = finding_new(g, KIND_PREFIX_CUT, certain());
	const struct server *first = cut->first->server;
	struct connect_set set = {};
	char text[FORMAT_ADDRESS], hosts[32];

	if (!f)
		return;
	f->has_peer = true;
	f->peer.address = cut->prefix;
	f->prefix_length = cut->bits;
	add_cut_connects(g, f, &set, cut, list);
	if (f->hosts_hurt <= 1)
		finding_limit(f, CONFIDENCE_LOW, "one host only: it may be a scan");
	else if (set.count < 2 * MIN_TOGETHER)
		finding_limit(f, CONFIDENCE_MEDIUM, "few connects only");
	finding_text(f, "nothing in %s/%u answers: %zu servers, %zu connects%s",
		     format_address(text, &cut->prefix), cut->bits, cut->addresses, set.count,
		     format_of_hosts(hosts, f->hosts_hurt));
	finding_add_span(g, f, &set);
	if (cut->answered)
		finding_line(f, "",
			     "before that servers there answered: a tunnel or a route was cut");
	else
		finding_line(f, "", "the %zu servers seen there never answered in this run",
			     cut->addresses);
	if (first->peer)
		finding_add_route(g, f, first->peer);
	finding_line(f, "action",
		     "check the tunnel, link or router that leads to this network, and whether "
		     "traceroute to it ends at this gateway");
	connect_set_free(&set);
}

void report_prefix(struct context *g, struct failing_list *list, const struct failing *first)
{
	struct cut cut = {
		.first = first,
		.bits = prefix_length(g, &first->server->endpoint),
		.since = first->set.at[0]->c->syn,
	};

	prefix_of(&cut.prefix, &first->server->endpoint.address, cut.bits);
	count_cut(&cut, list);
	if (cut.addresses < MIN_TOGETHER || !is_cut_off(&cut, g))
		return;
	if (!cut.spreads) { /* say no more than was seen */
		cut.bits = network_bits(&first->server->endpoint.address);
		prefix_of(&cut.prefix, &first->server->endpoint.address, cut.bits);
	}
	report_cut(g, &cut, list);
}

/* ---- ports ---- */

static bool does_port_answer(const struct context *g, uint16_t port, ns_t since)
{
	const struct peer *p;
	size_t i;

	for (p = g->m->peers; p; p = p->hh.next)
		if (p->server.port == port && p->answered)
			return true;
	for (i = 0; i < g->server_count; i++)
		if (g->servers[i].endpoint.port == port &&
		    has_answered_since(&g->servers[i], since))
			return true;
	return false;
}

static bool does_address_answer(const struct context *g, const struct endpoint *server, ns_t since)
{
	size_t i;

	for (i = 0; i < g->server_count; i++)
		if (same_address(&g->servers[i].endpoint, server) &&
		    has_answered_since(&g->servers[i], since))
			return true;
	return false;
}

/* Moves the connects at this port into the set, and returns how many of the addresses are up. */
static size_t take_port(struct context *g, struct finding *f, struct connect_set *set,
			struct failing_list *list, const struct failing *first)
{
	size_t i, answer = 0;

	for (i = 0; i < list->count; i++) {
		struct failing *at = &list->at[i];

		if (at->grouped || at->server->endpoint.port != first->server->endpoint.port)
			continue;
		at->grouped = true;
		connect_set_join(g, set, &at->set);
		finding_add_also(f, &at->server->endpoint);
		answer += does_address_answer(g, &at->server->endpoint, at->set.at[0]->c->syn);
	}
	return answer;
}

/* Reports servers that have only the port in common. */
void report_port(struct context *g, struct failing_list *list, const struct failing *first)
{
	uint16_t port = first->server->endpoint.port;
	size_t i, n = 0, answer;
	struct connect_set set = {};
	char hosts[32];
	struct finding *f;

	for (i = 0; i < list->count; i++)
		n += !list->at[i].grouped && list->at[i].proven &&
		     list->at[i].server->endpoint.port == port;
	f = n >= MIN_TOGETHER && !does_port_answer(g, port, first->set.at[0]->c->syn)
		    ? finding_new(g, KIND_PEER_UNANSWERED,
				  doubtful(CONFIDENCE_MEDIUM,
					   "these servers have only the port in common"))
		    : NULL;
	if (!f)
		return;
	finding_set_peer(f, &first->server->endpoint);
	answer = take_port(g, f, &set, list, first);
	finding_add_connects(g, f, &set);
	finding_text(f, "port %u is silent on %zu servers, and answers nowhere: %zu connects%s",
		     port, n, set.count, format_of_hosts(hosts, f->hosts_hurt));
	if (answer)
		finding_line(f, "",
			     "other ports of %zu of them answer meanwhile: these hosts are up, and "
			     "their firewalls or one on the way filter this port",
			     answer);
	finding_add_span(g, f, &set);
	if (first->server->peer)
		finding_add_route(g, f, first->server->peer);
	finding_line(f, "action",
		     "look for a filter of port %u on the way to these servers, from here on",
		     port);
	connect_set_free(&set);
}

/* ---- hosts ---- */

static bool is_on_host(const struct context *g, const struct failing *at,
		       const struct failing *first)
{
	return !at->grouped && at->proven && !is_waited_for(g, &at->server->endpoint) &&
	       same_address(&at->server->endpoint, &first->server->endpoint);
}

/* Reports a host that is silent on several ports, and on each that was tried. */
void report_host(struct context *g, struct failing_list *list, const struct failing *first)
{
	const struct endpoint *server = &first->server->endpoint;
	struct connect_set set = {};
	char text[FORMAT_ADDRESS], hosts[32];
	struct finding *f;
	size_t i, n = 0;

	for (i = 0; i < list->count; i++)
		if (is_on_host(g, &list->at[i], first)) {
			n++;
			connect_set_join(g, &set, &list->at[i].set);
		}
	f = n > 1 && !does_address_answer(g, server, first->set.at[0]->c->syn)
		    ? finding_new(g, KIND_PEER_UNANSWERED, certainty_by_count(set.count))
		    : NULL;
	if (f) {
		finding_set_peer(f, server);
		for (i = 0; i < list->count; i++)
			if (is_on_host(g, &list->at[i], first)) {
				list->at[i].grouped = true;
				if (list->at[i].server != first->server)
					finding_add_also(f, &list->at[i].server->endpoint);
			}
		finding_add_connects(g, f, &set);
		finding_text(f, "%s does not answer on any of %zu ports: %zu connects%s",
			     format_address(text, &server->address), n, set.count,
			     format_of_hosts(hosts, f->hosts_hurt));
		finding_line(f, "",
			     "the host is down, its address is filtered, or it is unreachable");
		finding_add_span(g, f, &set);
		if (first->server->peer)
			finding_add_route(g, f, first->server->peer);
		finding_line(f, "action",
			     "check whether the host is up, then the route to it and back, and "
			     "filters of its address");
	}
	connect_set_free(&set);
}
