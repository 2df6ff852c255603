// SPDX-License-Identifier: GPL-2.0
/*
 * Reports SYNs, or their answers, that this gateway itself drops: they come in and do not leave. A
 * finding requires that the device of the route was watched all the time and that no record was
 * lost.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"
#include "diagnose/forwarding.h"
#include "diagnose/gateway_counters.h"

/* Minimum number of peers with a common port or address that are reported as one finding. */
#define MIN_TOGETHER 3

#define MAX_REPORTED 16 /* maximum number of findings; the tables list all peers */

struct dropped_peer {
	const struct peer *peer;
	enum forwarding forwarding;
	bool reported;
};

/* A group of peers with a common address or port, represented by all[first]. */
struct drop_group {
	struct dropped_peer *all;
	size_t count; /* number of elements in all[] */
	size_t first;
	bool (*alike)(const struct endpoint *a, const struct endpoint *b);
	size_t n; /* number of peers in the group; with 1, all[first] is reported alone */
};

static bool same_port(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port;
}

static bool belongs_to(const struct drop_group *group, size_t i)
{
	const struct dropped_peer *first = &group->all[group->first], *other = &group->all[i];

	return !other->reported && other->forwarding == first->forwarding &&
	       group->alike(&first->peer->server, &other->peer->server);
}

static size_t count_alike(const struct drop_group *group)
{
	size_t i, n = 0;

	for (i = group->first; i < group->count; i++)
		n += belongs_to(group, i);
	return n;
}

/* Returns the group of a peer: the peers with its address, or else with its port. */
static struct drop_group group_of(struct dropped_peer *all, size_t count, size_t first)
{
	struct drop_group group = { all, count, first, same_address, 0 };

	group.n = count_alike(&group);
	if (group.n >= MIN_TOGETHER)
		return group;
	group.alike = same_port;
	group.n = count_alike(&group);
	if (group.n < MIN_TOGETHER)
		group.n = 1;
	return group;
}

static uint64_t crossed_from(const struct model *m, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < m->crossed_count; i++)
		if (m->crossed[i].ifindex == ifindex)
			return m->crossed[i].attempts;
	return 0;
}

/*
 * Returns true if this host sent something to the client of a connect that came in there: a refusal
 * of its own, or an answer from the other side. On a mirror port everything comes in.
 */
static bool has_sent_to(const struct context *g, uint32_t ifindex)
{
	size_t i;

	if (crossed_from(g->m, ifindex))
		return true;
	for (i = 0; i < g->connect_count; i++) {
		const struct connection *c = g->connects[i].c;

		if (c->ifindex == ifindex &&
		    (c->from_gateway || (c->far.seen && c->outcome == OUTCOME_REFUSED)))
			return true;
	}
	return false;
}

/* Adds a doubt about the finding, and limits its confidence to `most`. */
static void add_doubt(struct finding *f, const char **label, enum confidence most,
		      const char *reason, const char *text)
{
	finding_line(f, *label, "%s", text);
	*label = "";
	finding_limit(f, most, reason);
}

/* Adds the reasons why the packets may not have been dropped. r is the route to p. */
static void add_drop_doubts(const struct context *g, struct finding *f, const struct peer *p,
			    const struct route *r, const char *label)
{
	char text[256];

	if (!has_sent_to(g, p->in_ifindex))
		add_doubt(
			f, &label, CONFIDENCE_LOW, "this may be a mirror port",
			"no connection that came in there was answered there: possibly a mirror port");
	if (g->session->ipsec)
		add_doubt(
			f, &label, CONFIDENCE_LOW, "they may have left encrypted",
			"IPsec policies exist: encrypted packets leave as ESP and are not recognised");
	if (r->state == ROUTE_FOUND && !r->via_next_hop && r->neighbour == NEIGHBOUR_UNKNOWN) {
		snprintf(text, sizeof(text),
			 "it is not known whether a neighbour on %s has that address", r->device);
		add_doubt(f, &label, CONFIDENCE_LOW, "the next hop may not exist", text);
	}
	if (g->session->unwatched[0]) {
		snprintf(text, sizeof(text),
			 "NAT may have sent them out on %s, which is not watched",
			 g->session->unwatched);
		add_doubt(f, &label, CONFIDENCE_MEDIUM, "not all interfaces are watched", text);
	}
}

static void add_counter_evidence(const struct context *g, struct finding *f,
				 const struct dropped_peer *dropped)
{
	const struct peer *p = dropped->peer;
	const char *label = "against";

	if (p->forwarded) {
		finding_line(f, label, "the SYNs of %" PRIu64 " other connect%s left it",
			     p->forwarded, plural(p->forwarded));
		label = "";
	}
	if (p->answered) {
		finding_line(
			f, label,
			"%" PRIu64
			" other connect%s got through and %s answered: the drop depends on the client or on the rate",
			p->answered, plural(p->answered), were(p->answered));
		label = "";
	}
	if (dropped->forwarding == FORWARDING_DROPPED)
		add_drop_doubts(g, f, p, route_to(g, p), label);
}

static void set_drop_text(struct finding *f, const struct drop_group *group, uint64_t attempts)
{
	const struct dropped_peer *first = &group->all[group->first];
	const struct endpoint *server = &first->peer->server;
	char peer[FORMAT_ENDPOINT], address[FORMAT_ADDRESS], what[160];

	format_endpoint(peer, server);
	format_address(address, &server->address);
	if (first->forwarding == FORWARDING_ANSWERS_DROPPED)
		snprintf(what, sizeof(what), "the SYN-ACKs from %s", peer);
	else if (group->n < 2)
		snprintf(what, sizeof(what), "the SYNs to %s", peer);
	else if (same_address(server, &f->also[0]))
		snprintf(what, sizeof(what), "the SYNs to %zu ports of %s", group->n, address);
	else
		snprintf(what, sizeof(what), "the SYNs to port %u, of %zu servers", server->port,
			 group->n);
	finding_text(f, "this gateway drops %s: %" PRIu64 " connect%s by %zu host%s", what,
		     attempts, plural(attempts), f->hosts_hurt, plural(f->hosts_hurt));
}

static void add_advice(const struct context *g, struct finding *f,
		       const struct dropped_peer *dropped)
{
	const struct route *r = route_to(g, dropped->peer);

	if (dropped->forwarding == FORWARDING_ANSWERS_DROPPED)
		finding_line(
			f, "action",
			"check rp_filter, packets that conntrack calls invalid, and the forward chain");
	else if (r->state == ROUTE_BLACKHOLE)
		finding_add_route_action(f, r);
	else
		finding_line(
			f, "action",
			"check the forward chain of its firewall (nft list ruleset), its policy rules, and rp_filter");
}

static bool is_dropped_so(const struct connection *c, enum forwarding forwarding)
{
	enum failure failure = connection_failure(c);

	if (failure != FAILURE_SILENT && failure != FAILURE_ONE_SYN)
		return false;
	return forwarding == FORWARDING_DROPPED ? c->not_forwarded && !c->forwarded_by
						: c->far.seen && c->far.synack != NEVER;
}

/* Adds the peer's connects that were dropped here and that no finding explains. */
static void add_dropped(struct context *g, struct connect_set *set,
			const struct dropped_peer *dropped)
{
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		for (j = 0; s->peer == dropped->peer && j < s->count; j++)
			if (!s->connects[j].explained &&
			    is_dropped_so(s->connects[j].c, dropped->forwarding))
				connect_set_add(g, set, &s->connects[j]);
	}
}

static bool is_in_group(const struct drop_group *group, size_t i)
{
	return i == group->first || (group->n > 1 && belongs_to(group, i));
}

static void add_group(struct finding *f, const struct drop_group *group)
{
	size_t i;

	finding_set_peer(f, &group->all[group->first].peer->server);
	for (i = group->first + 1; i < group->count; i++)
		if (is_in_group(group, i)) {
			group->all[i].reported = true;
			finding_add_also(f, &group->all[i].peer->server);
		}
	group->all[group->first].reported = true;
}

static void report_drops(struct context *g, const struct drop_group *group)
{
	struct dropped_peer *first = &group->all[group->first];
	struct connect_set set = {};
	struct finding *f;
	size_t i;

	for (i = group->first; i < group->count; i++)
		if (is_in_group(group, i))
			add_dropped(g, &set, &group->all[i]);
	f = set.count ? finding_new(g, KIND_DROPPED_IN_GATEWAY, certainty_by_count(set.count))
		      : NULL;
	first->reported = true;
	if (f) {
		add_group(f, group);
		finding_add_connects(g, f, &set);
		set_drop_text(f, group, set.count);
		gateway_drops_line(g, f);
		finding_add_span(g, f, &set);
		finding_add_route(g, f, first->peer);
		add_advice(g, f, first);
		add_counter_evidence(g, f, first);
	}
	connect_set_free(&set);
}

void cause_gateway_drops(struct context *g)
{
	size_t count, i, n = 0, reported = 0;
	const struct peer **peers = model_failing_peers(g->m, &count);
	struct dropped_peer *all = calloc(count + 1, sizeof(*all));
	struct drop_group group;

	if (!peers || !all)
		g->out_of_memory = true;
	for (i = 0; peers && all && i < count; i++)
		if (is_dropped_here(g, peers[i]) && !is_waited_for(g, &peers[i]->server))
			all[n++] = (struct dropped_peer){
				.peer = peers[i],
				.forwarding = forwarding_of(g, peers[i]),
			};
	for (i = 0; i < n && reported < MAX_REPORTED; i++) {
		if (all[i].reported)
			continue;
		group = group_of(all, n, i);
		report_drops(g, &group);
		reported++;
	}
	free(all);
	free(peers);
}
