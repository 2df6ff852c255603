// SPDX-License-Identifier: GPL-2.0
/* Reports common causes of failing peers: a scanning client, a prefix, a port. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/dead_peers.h"
#include "diagnose/forwarding.h"

/* Minimum number of peers that fail together before a common cause is reported. */
#define MIN_TOGETHER 3

/*
 * Maximum number of failing peers that only this host tries. Beyond it the host is taken for a
 * scanner.
 */
#define MAX_FAILING_OF_HOST 8

bool is_silent(const struct peer *p)
{
	return (p->failures[FAILURE_SILENT] || p->failures[FAILURE_ONE_SYN]) &&
	       (p->last_answer == NEVER || p->last_answer < p->first_failure);
}

uint64_t unanswered(const struct peer *p)
{
	return p->failures[FAILURE_SILENT] + p->failures[FAILURE_ONE_SYN];
}

/* ---- scanners ---- */

struct timeline *only_host(const struct context *g, const struct peer *p)
{
	struct timeline *only = NULL, *host;
	const struct pair *t;

	LIST_FOREACH(t, &p->pairs, of_peer) {
		host = timeline_of(g, t->who.client);
		if (!t->failures || host == only)
			continue;
		if (only)
			return NULL;
		only = host;
	}
	return only;
}

static void report_scanner(struct context *g, const struct host *h, size_t peers,
			   enum finding_kind kind)
{
	struct finding *f = finding_new(g, kind, CONFIDENCE_LOW);
	char text[FORMAT_ADDRESS];

	if (!f)
		return;
	f->hosts_hurt = 1;
	finding_add_host(g, &f->affected, h);
	finding_text(f, "%s alone tries %zu peers that %s: a scan, or peer-to-peer",
		     format_address(text, &h->clients[0]->key.address), peers,
		     kind == KIND_PEER_REFUSED ? "refuse connections" : "do not answer");
	finding_line(f, "", "this concerns the host rather than those peers");
}

void report_scanners(struct context *g, struct failing_list *list, enum finding_kind kind)
{
	size_t *tried = calloc(g->hosts->count + 1, sizeof(*tried)), i, kept = 0;

	if (!tried)
		g->out_of_memory = true;
	for (i = 0; tried && i < list->count; i++)
		if (list->at[i].only)
			tried[list->at[i].only - g->timelines]++;
	for (i = 0; tried && i < list->count; i++) {
		struct timeline *host = list->at[i].only;
		size_t peers = host ? tried[host - g->timelines] : 0;

		if (peers <= MAX_FAILING_OF_HOST)
			list->at[kept++] = list->at[i];
		else if (count_once(host, list))
			report_scanner(g, host->host, peers, kind);
	}
	list->count = kept;
	free(tried);
}

/* ---- prefixes ---- */

static unsigned int group_bits(const struct address *a)
{
	return is_ip4(a) ? 24 : 64;
}

/*
 * Returns the length of the prefix to examine for this peer: the length of its route's prefix, if
 * it is shorter than /24 or /64. If a private address uses the default route, its own route is
 * missing and the length is a guess.
 */
static unsigned int prefix_length(const struct context *g, const struct peer *p)
{
	unsigned int bits = group_bits(&p->server.address);
	const struct route *r = route_to(g, p);

	if (!r || r->state != ROUTE_FOUND || !r->table)
		return bits;
	if (r->prefix_length)
		return r->prefix_length < bits ? r->prefix_length : bits;
	if (is_private(&p->server.address))
		return is_ip4(&p->server.address) ? 16 : 48;
	return bits;
}

struct cut {
	const struct peer *peer; /* the first peer in the prefix */
	struct address prefix;
	unsigned int bits;
	size_t addresses;
	uint64_t attempts;
	uint64_t answered; /* answers before the prefix was cut off */
	ns_t since;
};

static bool is_cut_with(const struct failing *other, const struct cut *cut)
{
	const struct endpoint *server = &other->peer->server;

	return !other->grouped && in_prefix(&server->address, &cut->prefix, cut->bits) &&
	       !memcmp(server->vlan, cut->peer->server.vlan, sizeof(server->vlan));
}

static void count_cut(struct cut *cut, const struct failing_list *list)
{
	size_t i, j;

	for (i = 0; i < list->count; i++) {
		const struct peer *p = list->at[i].peer;
		bool known = false;

		if (!list->at[i].proven || !is_cut_with(&list->at[i], cut))
			continue;
		for (j = 0; j < i && !known; j++)
			known = same_address(&list->at[j].peer->server, &p->server);
		cut->addresses += !known;
		cut->attempts += unanswered(p);
		if (p->first_failure < cut->since)
			cut->since = p->first_failure;
	}
}

/*
 * Returns true if the peer itself has answered since this time, by a SYN-ACK or by an RST, which
 * proves that its network is reachable as well.
 */
static bool has_answered_since(const struct peer *p, ns_t since)
{
	bool refuses = p->failures[FAILURE_REFUSED] > p->by_gateway;

	return (p->last_answer != NEVER && p->last_answer > since) ||
	       (refuses && p->last_failure > since);
}

/*
 * Returns false if something in the prefix has answered, or was served as a client, since the
 * failures began. Counts the earlier answers.
 */
static bool is_cut_off(struct cut *cut, const struct model *m)
{
	const struct client *client;
	const struct peer *p;

	for (client = m->clients; client; client = client->hh.next)
		if (client->last_served != NEVER && client->last_served > cut->since &&
		    in_prefix(&client->key.address, &cut->prefix, cut->bits))
			return false;
	for (p = m->peers; p; p = p->hh.next) {
		if (!in_prefix(&p->server.address, &cut->prefix, cut->bits))
			continue;
		if (has_answered_since(p, cut->since))
			return false;
		cut->answered += p->answered;
	}
	return true;
}

static void report_cut(struct context *g, const struct cut *cut, struct failing_list *list)
{
	struct finding *f = finding_new(g, KIND_PREFIX_CUT, CONFIDENCE_LOW);
	char text[FORMAT_ADDRESS], since[FORMAT_TIME];
	size_t i;

	if (!f)
		return;
	f->has_peer = true;
	f->peer.address = cut->prefix;
	f->prefix_length = cut->bits;
	for (i = 0; i < list->count; i++)
		if (is_cut_with(&list->at[i], cut)) {
			list->at[i].grouped = true;
			if (list->at[i].proven) /* same condition as in count_cut() */
				f->hosts_hurt += finding_add_failed_hosts(g, f, list->at[i].peer);
		}
	if (f->hosts_hurt > 1)
		f->confidence =
			cut->attempts >= 2 * MIN_TOGETHER ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	finding_text(f, "nothing in %s/%u answers: %zu servers, %" PRIu64 " connects of %zu host%s",
		     format_address(text, &cut->prefix), cut->bits, cut->addresses, cut->attempts,
		     f->hosts_hurt, plural(f->hosts_hurt));
	format_run_clock(since, &g->session->start, g->session->duration, cut->since);
	finding_line(f, "when", "since %s%s", since,
		     cut->answered ? "; before that it answered: a tunnel or a route was cut"
				   : "; it never answered in this run");
	finding_add_route(g, f, cut->peer);
}

void report_prefix(struct context *g, struct failing_list *list, const struct peer *p)
{
	struct cut cut = { .peer = p, .bits = prefix_length(g, p), .since = p->first_failure };

	prefix_of(&cut.prefix, &p->server.address, cut.bits);
	count_cut(&cut, list);
	if (cut.addresses >= MIN_TOGETHER && is_cut_off(&cut, g->m))
		report_cut(g, &cut, list);
}

/* ---- ports ---- */

static bool does_port_answer(const struct model *m, uint16_t port)
{
	const struct peer *p;

	for (p = m->peers; p; p = p->hh.next)
		if (p->server.port == port && p->answered)
			return true;
	return false;
}

static bool does_address_answer(const struct model *m, const struct endpoint *server)
{
	const struct peer *p;

	for (p = m->peers; p; p = p->hh.next)
		if (p->answered && same_address(&p->server, server))
			return true;
	return false;
}

/* Reports servers that have only the port in common. */
void report_port(struct context *g, struct failing_list *list, const struct peer *p)
{
	uint16_t port = p->server.port;
	size_t i, n = 0, answer = 0;
	struct finding *f;

	for (i = 0; i < list->count; i++)
		n += !list->at[i].grouped && list->at[i].proven &&
		     list->at[i].peer->server.port == port;
	if (n < MIN_TOGETHER || does_port_answer(g->m, port))
		return;
	f = finding_new(g, KIND_PEER_UNANSWERED, CONFIDENCE_MEDIUM);
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	for (i = 0; i < list->count; i++) {
		const struct peer *other = list->at[i].peer;

		if (list->at[i].grouped || other->server.port != port)
			continue;
		list->at[i].grouped = true;
		f->hosts_hurt += finding_add_failed_hosts(g, f, other);
		finding_add_also(f, &other->server);
		answer += does_address_answer(g->m, &other->server);
	}
	finding_text(f, "port %u is silent on %zu servers for %zu host%s, and answers nowhere",
		     port, n, f->hosts_hurt, plural(f->hosts_hurt));
	if (answer)
		finding_line(f, "",
			     "other ports of %zu of them answer: this port is filtered on the way",
			     answer);
	finding_add_route(g, f, p);
}
