// SPDX-License-Identifier: GPL-2.0
#include "diagnose/forwarding.h"

#include <inttypes.h>

/* Routing tables with a name: RT_TABLE_MAIN and RT_TABLE_LOCAL of rtnetlink(7). */
#define TABLE_MAIN 254
#define TABLE_LOCAL 255

/* ---- verdict ---- */

const struct session_iface *watched_iface(const struct session *s, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < s->interface_count; i++)
		if (s->interfaces[i].index == ifindex)
			return &s->interfaces[i];
	for (i = 0; i < s->followed_count; i++)
		if (s->followed[i].index == ifindex)
			return &s->followed[i];
	return NULL;
}

/* Returns true if every SYN that left on this interface was seen, during the whole run. */
static bool sees_all_egress(const struct session *s, const struct session_iface *w)
{
	return !w->was_away && !w->is_part && !w->blind[EGRESS] && !s->is_capture;
}

const struct route *route_to(const struct context *g, const struct peer *p)
{
	return host_facts_route(g->facts, &p->server);
}

static bool is_neighbour_missing(const struct route *r)
{
	return r->neighbour == NEIGHBOUR_FAILED || r->neighbour == NEIGHBOUR_INCOMPLETE;
}

/*
 * Returns whether this gateway forwards the SYNs to a peer, or FORWARDING_NOT_CHECKED in doubtful
 * cases. A selector may hide the SYN after NAT. A device whose neighbour is missing drops SYNs
 * without a fault of this gateway. A SYN that leaves on the interface that it came in on is a copy
 * in the same record.
 */
enum forwarding forwarding_of(const struct context *g, const struct peer *p)
{
	const struct session *s = g->session;
	const struct session_iface *out, *in = watched_iface(s, p->in_ifindex);
	const struct route *r = route_to(g, p);

	if (p->forwarded && !p->not_forwarded && !p->answer_dropped)
		return FORWARDING_OK;
	if ((!p->not_forwarded && !p->answer_dropped) || !p->failures[FAILURE_SILENT] ||
	    session_losses(s) || s->counters[COUNT_LOST_TRUNCATED] || s->narrowed_clients ||
	    s->narrowed_servers || !r || (in && in->is_part))
		return FORWARDING_NOT_CHECKED;
	if (p->answer_dropped)
		return FORWARDING_ANSWERS_DROPPED;
	if (r->state == ROUTE_BLACKHOLE)
		return FORWARDING_DROPPED;
	out = r->state == ROUTE_FOUND ? watched_iface(s, r->device_index) : NULL;
	if (!out || !sees_all_egress(s, out) || r->device_index == p->in_ifindex ||
	    is_neighbour_missing(r))
		return FORWARDING_NOT_CHECKED;
	return FORWARDING_DROPPED;
}

bool is_dropped_here(const struct context *g, const struct peer *p)
{
	enum forwarding forwarding = forwarding_of(g, p);

	return forwarding == FORWARDING_DROPPED || forwarding == FORWARDING_ANSWERS_DROPPED;
}

/* ---- the default route ---- */

/* Returns true if the server has answered, and its SYNs may have left on this device. */
static bool answers_behind(const struct server *s, uint32_t device)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct connection *c = s->connects[i].c;
		bool answers = c->synack != NEVER || c->ignored_rst || c->challenged ||
			       (c->outcome == OUTCOME_REFUSED && !c->from_gateway);

		if (answers && (!c->forwarded_by || c->forwarded_by == device))
			return true;
	}
	return false;
}

/*
 * Where private addresses behind the default route answer (a gateway behind another one), there is
 * nothing wrong with that route. A port of the same host that answers proves that it is the right
 * one. A server that answered only before the failures may have used the route that is missing now.
 */
bool is_route_missing(const struct context *g, const struct endpoint *server, const struct route *r)
{
	unsigned int bits = is_ip4(&server->address) ? 16 : 48;
	const struct peer *p = model_peer(g->m, server);
	struct address prefix;
	size_t i;

	if (r->state != ROUTE_FOUND || !r->table || r->prefix_length ||
	    !is_private(&server->address))
		return false;
	prefix_of(&prefix, &server->address, bits);
	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		if (is_private(&s->endpoint.address) &&
		    is_ip4(&s->endpoint.address) == is_ip4(&server->address) &&
		    !in_prefix(&s->endpoint.address, &prefix, bits) &&
		    answers_behind(s, r->device_index))
			return false;
		if (in_prefix(&s->endpoint.address, &prefix, bits) && s->peer &&
		    s->peer->last_answer != NEVER &&
		    (!p || s->peer->last_answer > p->first_failure))
			return false;
	}
	return true;
}

/* ---- evidence ---- */

/* Returns true if a router beyond this gateway reported an error for one of the SYNs. */
static bool is_answered_beyond(const struct context *g, const struct peer *p)
{
	return p->answered_beyond && !p->by_gateway &&
	       !session_is_own_address(g->session, &p->router);
}

static void add_not_checked(const struct context *g, struct finding *f, const struct peer *p)
{
	char router[FORMAT_ADDRESS];

	if (p->by_gateway)
		return;
	if (is_answered_beyond(g, p))
		finding_line(f, "", "%s answered them by ICMP, so they left this gateway",
			     format_address(router, &p->router));
	else if (p->forwarded)
		finding_line(f, "",
			     "the SYNs of %" PRIu64 " connect%s were seen to leave this gateway",
			     p->forwarded, plural(p->forwarded));
	else if (p->came_back)
		return; /* how often they passed here shows that they left */
	else if (g->session->followed_count)
		finding_line(f, "", "whether these SYNs left this gateway could not be checked");
	else
		finding_line(f, "",
			     "whether these SYNs left this gateway was not checked: --follow-peers "
			     "shows it");
}

/* Returns what became of SYNs that left this gateway and got no SYN-ACK. */
static const char *fate_beyond(const struct peer *p)
{
	if (p->came_back)
		return p->came_back < p->forwarded ? "" : " and passed it again";
	/* an error shows where they ended; this gateway may have lost the answer of another server */
	if (p->by_gateway || p->answered_beyond || p->redirected_to.port)
		return "";
	return ": they are lost beyond it";
}

static void add_forwarding(const struct context *g, struct finding *f, const struct peer *p)
{
	const struct session_iface *in = watched_iface(g->session, p->in_ifindex);
	const struct session_iface *out = watched_iface(g->session, p->forwarded_by);
	const struct route *r = route_to(g, p);
	bool has_route = r && r->state == ROUTE_FOUND;

	if (!p->connections)
		return; /* a resolver that is asked by UDP: there are no SYNs */
	switch (forwarding_of(g, p)) {
	case FORWARDING_OK:
		finding_line(f, "", "its SYNs left this gateway%s%s%s", out ? " by " : "",
			     out ? out->name : "", fate_beyond(p));
		break;
	case FORWARDING_DROPPED:
		finding_line(
			f, "",
			"the SYNs of %" PRIu64
			" connect%s came in%s%s and left on no interface%s%s%s: this gateway drops them",
			p->not_forwarded, plural(p->not_forwarded), in ? " by " : "",
			in ? in->name : "", has_route ? ", " : "", has_route ? r->device : "",
			has_route ? " was watched" : "");
		break;
	case FORWARDING_ANSWERS_DROPPED:
		finding_line(f, "",
			     "the SYN-ACKs of %" PRIu64 " connect%s came back%s%s and did not go "
			     "on to the client: this gateway drops them",
			     p->answer_dropped, plural(p->answer_dropped), out ? " to " : "",
			     out ? out->name : "");
		break;
	case FORWARDING_NOT_CHECKED:
		add_not_checked(g, f, p);
		break;
	}
}

/* The route to the address before NAT is not the one that the SYNs took. */
static void add_translation(const struct context *g, struct finding *f, const struct peer *p)
{
	char server[FORMAT_ENDPOINT];

	finding_line(f, "route", "this gateway translates the destination to %s",
		     format_endpoint(server, &p->redirected_to));
	add_forwarding(g, f, p);
}

static void add_route_found(const struct context *g, struct finding *f, const struct peer *p,
			    const struct route *r)
{
	const char *down = r->device_exists && !r->device_up ? ", which is down" : "";
	char address[FORMAT_ADDRESS], prefix[FORMAT_ADDRESS];

	format_address(address, &p->server.address);
	format_address(prefix, &r->prefix);
	if (!r->table)
		finding_line(f, "route", "leaves by %s%s", r->device, down);
	else if (is_route_missing(g, &p->server, r))
		finding_line(
			f, "route",
			"%s is a private address that leaves by the default route (%s%s): its specific route is missing",
			address, r->device, down);
	else if (!r->prefix_length)
		finding_line(f, "route", "leaves by the default route (%s%s)", r->device, down);
	else
		finding_line(f, "route", "leaves by the route to %s/%u (%s%s)", prefix,
			     r->prefix_length, r->device, down);
	if (is_neighbour_missing(r))
		finding_line(f, "", "nobody on %s answers for %s: no neighbour has that address",
			     r->device,
			     r->via_next_hop ? format_address(prefix, &r->next_hop) : address);
	else
		add_forwarding(g, f, p);
}

void finding_add_route(const struct context *g, struct finding *f, const struct peer *p)
{
	const struct route *r = route_to(g, p);
	char address[FORMAT_ADDRESS], prefix[FORMAT_ADDRESS];

	if (!r)
		return;
	if (p->redirected_to.port) {
		add_translation(g, f, p);
		return;
	}
	format_address(address, &p->server.address);
	format_address(prefix, &r->prefix);
	switch (r->state) {
	case ROUTE_FOUND:
		add_route_found(g, f, p, r);
		break;
	case ROUTE_NONE:
		finding_line(f, "route", "this gateway has no route to %s", address);
		break;
	case ROUTE_BLACKHOLE:
		finding_line(f, "route", "this gateway has a blackhole route to %s/%u", prefix,
			     r->prefix_length);
		if (forwarding_of(g, p) == FORWARDING_DROPPED)
			add_forwarding(g, f, p);
		break;
	case ROUTE_UNREACHABLE:
		finding_line(f, "route", "this gateway has an unreachable route to %s/%u", prefix,
			     r->prefix_length);
		break;
	case ROUTE_PROHIBIT:
		finding_line(f, "route", "this gateway has a prohibit route to %s/%u", prefix,
			     r->prefix_length);
		break;
	case ROUTE_LOCAL:
		finding_line(f, "route", "%s is an address of this gateway itself", address);
		break;
	case ROUTE_NOT_FORWARDED:
		finding_line(f, "route",
			     "forwarding is off where these %s come in: either that is the "
			     "fault, or this host only observes the traffic",
			     p->connections ? "SYNs" : "questions");
		break;
	case ROUTE_UNKNOWN:
		return;
	}
	if (r->state != ROUTE_LOCAL && r->table && r->table != TABLE_MAIN &&
	    r->table != TABLE_LOCAL)
		finding_line(f, "", "a policy rule chose table %u for it", r->table);
	if (r->unsure)
		finding_line(f, "",
			     "(policy rules that look at marks or ports may choose otherwise)");
}

void finding_add_route_action(struct finding *f, const struct route *r)
{
	finding_line(
		f, "action", "%s",
		r->state == ROUTE_NONE
			? "add the route, or bring back the link or tunnel that had it (ip "
			  "route get ADDRESS)"
			: "remove that route if it is not meant, or bring back the tunnel or "
			  "routing daemon whose route it stands in for (ip route get ADDRESS)");
}

void finding_add_resolver_route(const struct context *g, struct finding *f,
				const struct endpoint *resolver)
{
	struct peer p = { .server = *resolver };

	p.server.zone = 0;
	finding_add_route(g, f, &p);
}
