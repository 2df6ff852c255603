// SPDX-License-Identifier: GPL-2.0
/* Reports SYNs that are answered by the wrong host, go round in a loop, or are answered late. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/forwarding.h"
#include "diagnose/reporters.h"

/*
 * A SYN that came with a smaller TTL was meant to expire: a traceroute. Systems start at 64 or
 * more, and few paths have 32 hops.
 */
#define MIN_TTL 32

/* Minimum number of late connects of a server, a port or a prefix that show a habit. */
#define MIN_LATE 3

/* Answers that follow each other within this time may have one reason. */
#define MOMENT_NS ((ns_t)SECOND_NS)

/* ---- answered by another host ---- */

static bool same_network(const struct address *a, const struct address *b)
{
	unsigned int bits = network_bits(a);
	struct address prefix;

	prefix_of(&prefix, a, bits);
	return in_prefix(b, &prefix, bits);
}

/* Returns the server that got the SYN: the one that answered, or the one it was sent on to. */
static const struct endpoint *other_server(const struct connection *c)
{
	return c->elsewhere ? &c->answered_by : &c->far.server;
}

/* Returns true if that server is in the client's own network. */
static bool is_client_beside(const struct noted_connect *n)
{
	return same_network(&n->c->client.address, &other_server(n->c)->address);
}

/* Returns the first connect whose answer was seen, or NULL if none was. */
static const struct connection *find_seen_answer(const struct connect_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (set->at[i]->c->elsewhere)
			return set->at[i]->c;
	return NULL;
}

/* The answers were seen. */
static void add_answers(struct finding *f, const struct failure_group *group, const char *meant,
			const char *other, bool beside)
{
	const struct connection *first = group->set.at[0]->c;

	finding_text(f, "SYNs to %s%s are answered by %s: %zu connect%s of %zu host%s fail%s",
		     meant, group->servers > 1 ? " and other servers" : "", other, group->set.count,
		     plural(group->set.count), f->hosts_hurt, plural(f->hosts_hurt),
		     group->set.count == 1 ? "s" : "");
	finding_line(f, "",
		     "these SYN-ACKs acknowledge the SYN of the same client port, but come from an "
		     "address that the client did not call, so it cannot accept them");
	if (beside)
		finding_line(f, "",
			     "client and answering server are in the same %s: the answer can go "
			     "there directly, past the NAT that changed the destination",
			     is_ip4(&first->client.address) ? "/24" : "/64");
}

/* The answers do not pass here. That they go past this gateway follows from the SYNs. */
static void add_sent_back(const struct context *g, struct finding *f,
			  const struct failure_group *group, const char *meant, const char *other,
			  bool beside)
{
	const struct connection *first = group->set.at[0]->c;
	const char *iface = session_iface_name(g->session, first->ifindex);
	char client[FORMAT_ADDRESS];

	finding_text(f,
		     "SYNs to %s%s are sent back to %s%s, and no answer passes here: %zu connect%s "
		     "of %zu host%s fail%s",
		     meant, group->servers > 1 ? " and other servers" : "", other,
		     beside ? " in the clients' own network" : "", group->set.count,
		     plural(group->set.count), f->hosts_hurt, plural(f->hosts_hurt),
		     group->set.count == 1 ? "s" : "");
	finding_line(f, "",
		     "this gateway translates their destination, and sends them back%s%s with the "
		     "client's own address as source, such as %s",
		     iface ? " by " : "", iface ? iface : "",
		     format_address(client, &first->client.address));
	finding_line(f, "",
		     "a server %s answers the client past this gateway, from an address that the "
		     "client did not call, so the client cannot accept it",
		     beside ? "in the same network" : "that reaches the client directly");
}

static void add_counter_evidence(struct finding *f, const struct failure_group *group, bool seen,
				 bool beside)
{
	const char *label = "against";

	if (!seen) {
		finding_line(f, label,
			     "such answers do not pass here: a server that is silent looks alike");
		label = "";
	}
	if (!seen && !beside)
		finding_line(f, label,
			     "client and server are not in the same %s: between two networks on "
			     "that interface, the answers would pass here",
			     is_ip4(&group->server->endpoint.address) ? "/24" : "/64");
	if (group->facts.served)
		finding_line(f, label, "%" PRIu64 " other connect%s to it served",
			     group->facts.served, group->facts.served == 1 ? " was" : "s were");
}

void report_answered_elsewhere(struct context *g, const struct failure_group *group)
{
	const struct connection *seen = find_seen_answer(&group->set);
	const struct endpoint *server = other_server(seen ? seen : group->set.at[0]->c);
	bool beside = count_if(&group->set, is_client_beside) == group->set.count;
	struct certainty certainty = certainty_by_count(group->set.count);
	char meant[FORMAT_ENDPOINT], other[FORMAT_ENDPOINT];
	struct finding *f;

	if (!seen)
		certainty = at_most(certainty, beside ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW,
				    "the answers do not pass here: a silent server looks alike");
	f = finding_new(g, KIND_ANSWERED_ELSEWHERE, certainty);
	if (!f)
		return;
	finding_set_peer(f, &group->server->endpoint);
	finding_add_also(f, server);
	finding_add_connects(g, f, &group->set);
	format_endpoint(meant, &group->server->endpoint);
	format_endpoint(other, server);
	if (seen)
		add_answers(f, group, meant, other, beside);
	else
		add_sent_back(g, f, group, meant, other, beside);
	finding_add_span(g, f, &group->set);
	add_counter_evidence(f, group, seen != NULL, beside);
	finding_line(f, "action", "%s",
		     beside || !seen
			     ? "let the NAT replace the source address of such connects as well "
			       "(hairpin NAT, masquerade), or give these clients the inner address"
			     : "check for NAT on one direction only, and on a load balancer with "
			       "direct server return whether that server holds the address");
}

/* ---- routing loops ---- */

static bool is_meant_to_expire(const struct connection *c)
{
	return c->syn_traits.ttl && c->syn_traits.ttl < MIN_TTL;
}

/* Formats the routers that reported an expired TTL: at most two, as a loop has at least. */
static bool format_routers(char out[2 * FORMAT_ADDRESS + 8], const struct connect_set *set)
{
	const struct address *first = NULL, *second = NULL;
	char a[FORMAT_ADDRESS], b[FORMAT_ADDRESS];
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct connection *c = set->at[i]->c;

		if (c->icmp == NEVER)
			continue;
		if (!first)
			first = &c->icmp_from;
		else if (!second && memcmp(first, &c->icmp_from, sizeof(*first)))
			second = &c->icmp_from;
	}
	if (!first)
		return false;
	snprintf(out, 2 * FORMAT_ADDRESS + 8, "%s%s%s", format_address(a, first),
		 second ? " and " : "", second ? format_address(b, second) : "");
	return true;
}

/* Formats what the SYNs were sent to: a server, a network, or a number of servers. */
static const char *format_targets(char out[96], const struct failure_group *group)
{
	const struct address *first = &group->set.at[0]->c->server.address;
	char text[FORMAT_ENDPOINT];
	size_t i;

	if (group->servers == 1)
		return format_endpoint(out, &group->server->endpoint);
	for (i = 1; i < group->set.count; i++)
		if (!same_network(first, &group->set.at[i]->c->server.address))
			break;
	if (i < group->set.count) {
		snprintf(out, 96, "%zu servers", group->servers);
	} else {
		struct address prefix;
		unsigned int bits = network_bits(first);

		prefix_of(&prefix, first, bits);
		snprintf(out, 96, "%zu servers in %s/%u", group->servers,
			 format_address(text, &prefix), bits);
	}
	return out;
}

static void add_loop_evidence(struct finding *f, const struct connect_set *set)
{
	uint64_t expired = 0, copied = 0;
	unsigned int most = 0;
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct connection *c = set->at[i]->c;
		unsigned int each = connection_syn_copies(c);

		expired += c->icmp != NEVER;
		copied += each >= LOOP_COPIES;
		most = each > most ? each : most;
	}
	if (expired)
		finding_line(f, "",
			     "ICMP time exceeded answers the SYNs of %" PRIu64
			     " connect%s: their TTL was used up before they arrived",
			     expired, plural(expired));
	if (copied)
		finding_line(f, "",
			     "each SYN of %" PRIu64
			     " connect%s came past here up to %u times: it was sent once and goes "
			     "round",
			     copied, plural(copied), most + 1);
}

/* Removes SYNs whose TTL was made small on purpose. The caller frees. */
static struct connect_set without_traceroutes(struct context *g, const struct connect_set *set)
{
	struct connect_set kept = {};
	size_t i;

	for (i = 0; i < set->count; i++)
		if (!is_meant_to_expire(set->at[i]->c))
			connect_set_add(g, &kept, set->at[i]);
	return kept;
}

void report_routing_loop(struct context *g, const struct failure_group *group)
{
	struct failure_group loop = *group;
	char routers[2 * FORMAT_ADDRESS + 8], targets[96];
	struct finding *f;

	loop.set = without_traceroutes(g, &group->set);
	f = loop.set.count ? finding_new(g, KIND_ROUTING_LOOP, certainty_by_count(loop.set.count))
			   : NULL;
	if (!f) {
		connect_set_free(&loop.set);
		return;
	}
	finding_set_peer(f, &loop.server->endpoint);
	finding_add_connects(g, f, &loop.set);
	format_targets(targets, &loop);
	if (format_routers(routers, &loop.set))
		finding_text(f,
			     "SYNs to %s never arrive: their TTL expires at %s (%zu connect%s of "
			     "%zu host%s)",
			     targets, routers, loop.set.count, plural(loop.set.count),
			     f->hosts_hurt, plural(f->hosts_hurt));
	else
		finding_text(f,
			     "SYNs to %s go round in a routing loop: %zu connect%s of %zu host%s",
			     targets, loop.set.count, plural(loop.set.count), f->hosts_hurt,
			     plural(f->hosts_hurt));
	add_loop_evidence(f, &loop.set);
	finding_add_span(g, f, &loop.set);
	if (loop.server->peer)
		finding_add_route(g, f, loop.server->peer);
	finding_line(f, "action",
		     "run traceroute to such an address: two routers that alternate send its "
		     "packets to each other; correct the route of one of them");
	connect_set_free(&loop.set);
}

/* ---- answered late ---- */

static ns_t time_to_answer(const struct noted_connect *n)
{
	return n->c->synack - n->c->syn;
}

/* Returns the number of the SYN that was answered, from 1. */
static unsigned int answered_syn(const struct connection *c)
{
	unsigned int i, n = 0;

	for (i = 0; i < c->syn_times_count; i++)
		n += c->syn_times[i] <= c->synack;
	return n;
}

/* An RST came before: the server, or something in front of it, refuses and does not answer late. */
static bool is_late(const struct noted_connect *n)
{
	return n->entry.row == ROW_LATE && n->entry.stage == STAGE_CONNECT && !n->c->refusals &&
	       !n->c->challenged && answered_syn(n->c) > 1;
}

/* The servers that a connect's server is compared with: itself, its port, or its prefix. */
enum scope { SCOPE_SERVER, SCOPE_PORT, SCOPE_PREFIX, SCOPES };

static bool is_in_scope(const struct endpoint *server, const struct endpoint *first,
			enum scope scope)
{
	switch (scope) {
	case SCOPE_SERVER:
		return same_endpoint(server, first);
	case SCOPE_PORT:
		return server->port == first->port;
	default:
		return same_network(&first->address, &server->address);
	}
}

/*
 * Returns true if four of five connects in this scope that got an answer, or none, were late. Some
 * loss makes single connects late, but not nearly all.
 */
static bool is_habit(const struct context *g, const struct endpoint *first, enum scope scope,
		     uint64_t *others)
{
	uint64_t late = 0, all = 0;
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		if (!is_in_scope(&s->endpoint, first, scope))
			continue;
		for (j = 0; j < s->count; j++) {
			late += is_late(&s->connects[j]) && !s->connects[j].explained;
			all += s->connects[j].c->synack != NEVER || is_failed(&s->connects[j]);
		}
	}
	*others = all - late;
	return late >= MIN_LATE && late * 5 >= all * 4;
}

/* Adds the group's late connects in this scope. */
static void collect_late(struct context *g, struct connect_set *set,
			 const struct failure_group *group, const struct endpoint *first,
			 enum scope scope)
{
	size_t i;

	for (i = 0; i < group->set.count; i++) {
		struct noted_connect *n = group->set.at[i];

		if (is_late(n) && !n->explained && is_in_scope(&n->c->server, first, scope))
			connect_set_add(g, set, n);
	}
}

/* Returns the number of the SYN that most of them are answered at, or 0 if they differ. */
static unsigned int common_syn(const struct connect_set *set)
{
	unsigned int first = answered_syn(set->at[0]->c);
	size_t i, n = 0;

	for (i = 0; i < set->count; i++)
		n += answered_syn(set->at[i]->c) == first;
	return n * 5 >= set->count * 4 ? first : 0;
}

/*
 * Returns the number of moments at which these connects were answered. A server that is back after
 * an outage answers all that wait for it at one moment, which proves no habit.
 */
static size_t count_moments(struct context *g, const struct connect_set *set)
{
	ns_t *answers = calloc(set->count + 1, sizeof(*answers));
	size_t i, n = 1;

	if (!answers) {
		g->out_of_memory = true;
		return 0;
	}
	for (i = 0; i < set->count; i++)
		answers[i] = set->at[i]->c->synack;
	qsort(answers, set->count, sizeof(*answers), compare_ns);
	for (i = 1; i < set->count; i++)
		n += answers[i] - answers[i - 1] > MOMENT_NS;
	free(answers);
	return n;
}

static void format_scope(char out[96], const struct endpoint *first, enum scope scope)
{
	unsigned int bits = network_bits(&first->address);
	char text[FORMAT_ADDRESS];
	struct address prefix;

	if (scope == SCOPE_SERVER) {
		format_endpoint(out, first);
	} else if (scope == SCOPE_PORT) {
		snprintf(out, 96, "port %u of all servers", first->port);
	} else {
		prefix_of(&prefix, &first->address, bits);
		snprintf(out, 96, "%s/%u", format_address(text, &prefix), bits);
	}
}

/*
 * Returns a property of SYNs that all these connects began with, or NULL. Hosts may omit it when
 * they send a SYN again, so a filter of the property makes a server look slow.
 */
static const char *shared_property(const struct connect_set *set)
{
	size_t i, ecn = 0, mptcp = 0, fast_open = 0;

	for (i = 0; i < set->count; i++) {
		const struct syn_traits *syn = &set->at[i]->c->syn_traits;

		ecn += syn->ecn;
		mptcp += syn->mptcp;
		fast_open += syn->fast_open;
	}
	return ecn == set->count	 ? "ask for ECN"
	       : mptcp == set->count	 ? "offer MPTCP"
	       : fast_open == set->count ? "use Fast Open"
					 : NULL;
}

static struct certainty certainty_of_late(const struct connect_set *set, const char *property)
{
	if (property)
		return doubtful(CONFIDENCE_LOW, "a filter of what these SYNs ask for looks alike");
	if (set->count <= MIN_LATE)
		return doubtful(CONFIDENCE_MEDIUM, "few connects only");
	return certain();
}

/* Returns false if these connects have neither the time nor the number of the SYN in common. */
static bool report_late(struct context *g, const struct connect_set *set,
			const struct server *server, enum scope scope, uint64_t others)
{
	struct durations d = durations_of(g, set, time_to_answer);
	unsigned int syn = common_syn(set);
	const char *property = shared_property(set);
	char who[96], spread[FORMAT_SPREAD];
	struct finding *f;

	f = d.is_timer || syn ? finding_new(g, KIND_SLOW_CONNECT, certainty_of_late(set, property))
			      : NULL;
	if (!f)
		return false;
	finding_set_peer(f, &server->endpoint);
	finding_add_connects(g, f, set);
	if (f->hosts_hurt < 2 && !property)
		finding_limit(f, CONFIDENCE_MEDIUM, "one host only: the reason may be with it");
	f->timer = d.is_timer ? d.median : NEVER;
	f->deviation = d.is_timer ? d.deviation : NEVER;
	format_scope(who, &server->endpoint, scope);
	finding_format_spread(spread, d.median, d.is_timer ? NEVER : d.deviation);
	finding_text(f,
		     "%s answers only %s after the first SYN: %zu of %" PRIu64
		     " connects, and %zu host%s wait%s for that",
		     who, spread, set->count, set->count + others, f->hosts_hurt,
		     plural(f->hosts_hurt), f->hosts_hurt == 1 ? "s" : "");
	if (syn)
		finding_line(f, "", "the SYNs before the %u%s of each connect get no answer", syn,
			     syn == 2	? "nd"
			     : syn == 3 ? "rd"
					: "th");
	if (property)
		finding_line(f, "cannot tell",
			     "all of these SYNs %s, and hosts may omit that when they send a SYN "
			     "again: a device that drops such SYNs looks the same",
			     property);
	finding_add_span(g, f, set);
	if (server->peer)
		finding_add_route(g, f, server->peer);
	finding_line(f, "action",
		     "capture on the server's side: if the first SYNs arrive there, look for "
		     "wrong checksums (offloading in a tunnel) and at what the server drops; if "
		     "not, look at the path between");
	return true;
}

/* Reports the connect's server, or else its port or prefix, if being late is its habit. */
static void report_if_habit(struct context *g, const struct failure_group *group,
			    const struct noted_connect *n)
{
	enum scope scope;

	for (scope = SCOPE_SERVER; scope < SCOPES && !n->explained; scope++) {
		struct connect_set set = {};
		uint64_t others;

		if (is_habit(g, &n->c->server, scope, &others)) {
			collect_late(g, &set, group, &n->c->server, scope);
			if (set.count >= MIN_LATE && count_moments(g, &set) >= MIN_LATE)
				report_late(g, &set, server_of(g, n), scope, others);
		}
		connect_set_free(&set);
	}
}

void report_slow_connect(struct context *g, const struct failure_group *group)
{
	const struct server *last = NULL;
	size_t i;

	for (i = 0; i < group->set.count; i++) {
		const struct noted_connect *n = group->set.at[i];
		const struct server *s = server_of(g, n);

		if (s == last || !is_late(n) || n->explained || is_waited_for(g, &s->endpoint))
			continue;
		last = s;
		report_if_habit(g, group, n);
	}
}
