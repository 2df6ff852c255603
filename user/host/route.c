// SPDX-License-Identifier: GPL-2.0
#include "host/route.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "host/netlink.h"
#include "lib/address.h"

enum { IP4, IP6, FAMILIES };

/* The contents of a route message. */
struct fib_result {
	unsigned char type; /* RTN_... of linux/rtnetlink.h */
	unsigned char prefix_length;
	struct address prefix;
	unsigned int table;
	bool via_next_hop;
	struct address next_hop;
	unsigned int device;
};

/*
 * Policy rules and rejecting routes. The kernel provides them only as dumps, so they are read on
 * first use and cached.
 */
struct policy {
	bool rules_known;
	bool unsure; /* a rule depends on fields that a query does not contain */
	bool rejecting_known;
	struct fib_result *rejecting; /* blackhole, unreachable and prohibit routes */
	size_t count;
};

struct route_lookup {
	struct mnl_socket *socket;
	struct policy policy[FAMILIES];
};

struct route_query {
	const struct address *destination;
	const struct address *source; /* NULL if the query has no source */
	unsigned int ifindex; /* interface of ingress; 0 if this host is the sender */
};

static unsigned char family_of(const struct address *a)
{
	return is_ip4(a) ? AF_INET : AF_INET6;
}

static unsigned char bits_of(unsigned char family)
{
	return family == AF_INET ? 32 : 128;
}

static void put_address(struct nlmsghdr *h, uint16_t type, const struct address *a)
{
	if (is_ip4(a))
		mnl_attr_put(h, type, sizeof(a->word[3]), &a->word[3]);
	else
		mnl_attr_put(h, type, sizeof(a->word), a->word);
}

static struct address any_address(unsigned char family)
{
	return (struct address){ .word = { 0, 0, family == AF_INET ? IP4_PREFIX : 0, 0 } };
}

/* Returns false if the length is not that of an address of the family. */
static bool parse_address(struct address *a, unsigned char family, const void *bytes, size_t length)
{
	if (length != bits_of(family) / 8u)
		return false;
	*a = any_address(family);
	memcpy((char *)a->word + sizeof(a->word) - length, bytes, length);
	return true;
}

static uint32_t parse_number(const struct nlattr *a)
{
	return mnl_attr_validate(a, MNL_TYPE_U32) < 0 ? 0 : mnl_attr_get_u32(a);
}

struct route_lookup *route_lookup_open(void)
{
	struct route_lookup *g = calloc(1, sizeof(*g));
	int error;

	if (!g)
		return NULL;
	g->socket = netlink_open(NETLINK_ROUTE);
	if (!g->socket) {
		error = errno;
		free(g);
		errno = error;
		return NULL;
	}
	return g;
}

void route_lookup_close(struct route_lookup *g)
{
	int i;

	if (!g)
		return;
	for (i = 0; i < FAMILIES; i++)
		free(g->policy[i].rejecting);
	mnl_socket_close(g->socket);
	free(g);
}

/* ---- routes ---- */

static int parse_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	const struct rtvia *via;
	struct fib_result *result = data;
	uint16_t length;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	*result = (struct fib_result){ .type = m->rtm_type,
				       .prefix_length = m->rtm_dst_len,
				       .prefix = any_address(m->rtm_family),
				       .table = m->rtm_table };
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		length = mnl_attr_get_payload_len(a);
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			parse_address(&result->prefix, m->rtm_family, mnl_attr_get_payload(a),
				      length);
			break;
		case RTA_TABLE:
			result->table = parse_number(a);
			break;
		case RTA_OIF:
			result->device = parse_number(a);
			break;
		case RTA_GATEWAY:
			result->via_next_hop = parse_address(&result->next_hop, m->rtm_family,
							     mnl_attr_get_payload(a), length);
			break;
		case RTA_VIA: /* an IPv6 next hop of an IPv4 route (RFC 5549) */
			via = mnl_attr_get_payload(a);
			if (length > sizeof(*via))
				result->via_next_hop =
					parse_address(&result->next_hop, via->rtvia_family,
						      via->rtvia_addr, length - sizeof(*via));
			break;
		}
	}
	return MNL_CB_OK;
}

static int query_route(struct route_lookup *g, const struct route_query *q, unsigned int flags,
		       struct fib_result *result)
{
	unsigned char family = family_of(q->destination);
	struct netlink_request r;
	struct rtmsg *m = netlink_begin(&r, RTM_GETROUTE, sizeof(*m));
	int error;

	m->rtm_family = family;
	m->rtm_dst_len = bits_of(family);
	/* IPv6 always reports the table and rejects the flag RTM_F_LOOKUP_TABLE */
	m->rtm_flags = flags | (family == AF_INET ? RTM_F_LOOKUP_TABLE : 0);
	put_address(&r.header, RTA_DST, q->destination);
	if (q->source) {
		m->rtm_src_len = bits_of(family);
		put_address(&r.header, RTA_SRC, q->source);
	}
	if (q->ifindex)
		mnl_attr_put_u32(&r.header, RTA_IIF, q->ifindex);
	mnl_attr_put_u8(&r.header, RTA_IP_PROTO, IPPROTO_TCP);
	*result = (struct fib_result){};
	error = netlink_query(g->socket, &r, parse_route, result);
	return error || result->type ? error : -EPROTO;
}

/*
 * Returns false if the kernel rejects the source on its interface (reverse path filter, martian).
 *
 * EINVAL means either this or a blackhole route. To distinguish them, query a broadcast: it needs
 * no route, but its source is checked.
 */
static bool is_source_valid(struct route_lookup *g, const struct route_query *q)
{
	struct address broadcast = any_address(AF_INET);
	struct route_query control = *q;
	struct fib_result result;

	broadcast.word[3] = INADDR_BROADCAST;
	control.destination = &broadcast;
	return !query_route(g, &control, 0, &result);
}

/*
 * Finds the matching route. If the kernel rejects the pair of source and interface, that does not
 * depend on the destination: *q is then changed to a query that the kernel accepts.
 */
static int find_match(struct route_lookup *g, struct route_query *q, struct fib_result *match)
{
	struct route_query back = { .destination = q->source };
	unsigned int candidates[2] = { q->ifindex }, i;
	struct fib_result result;
	int error;

	if (q->source && !query_route(g, &back, 0, &result)) {
		if (result.type == RTN_LOCAL) {
			q->ifindex = 0;
			return query_route(g, q, RTM_F_FIB_MATCH, match);
		}
		if (result.device != q->ifindex)
			candidates[1] = result.device;
	}
	for (i = 0; q->source && i < 2; i++) {
		q->ifindex = candidates[i];
		if (!q->ifindex)
			continue;
		error = query_route(g, q, RTM_F_FIB_MATCH, match);
		if (error == -ENODEV || error == -EXDEV)
			continue;
		if (error == -EINVAL && is_ip4(q->source) && !is_source_valid(g, q))
			continue;
		return error;
	}
	q->source = NULL;
	q->ifindex = 0;
	return query_route(g, q, RTM_F_FIB_MATCH, match);
}

static enum route_state state_of_type(unsigned char type)
{
	switch (type) {
	case RTN_BLACKHOLE:
		return ROUTE_BLACKHOLE;
	case RTN_UNREACHABLE:
		return ROUTE_UNREACHABLE;
	case RTN_PROHIBIT:
		return ROUTE_PROHIBIT;
	case RTN_LOCAL:
	case RTN_ANYCAST:
		return ROUTE_LOCAL;
	default:
		return ROUTE_FOUND;
	}
}

/* Maps the errors of fib_props[] and fib6_prop[] in the kernel to states. */
static enum route_state state_of_error(int error)
{
	switch (error) {
	case -ENETUNREACH:
		return ROUTE_NONE;
	case -EINVAL:
		return ROUTE_BLACKHOLE;
	case -EHOSTUNREACH:
		return ROUTE_UNREACHABLE;
	case -EACCES:
		return ROUTE_PROHIBIT;
	default:
		return ROUTE_UNKNOWN;
	}
}

/* ---- policy rules and rejecting routes, by dumps ---- */

static int parse_rule(const struct nlmsghdr *h, void *data)
{
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(h);
	struct policy *policy = data;
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWRULE)
		return MNL_CB_OK;
	if (rule->tos)
		policy->unsure = true;
	mnl_attr_for_each(a, h, sizeof(*rule))
	{
		switch (mnl_attr_get_type(a)) {
		case FRA_FWMARK:
		case FRA_TUN_ID:
			policy->unsure |= parse_number(a) != 0;
			break;
		case FRA_FWMASK:
		case FRA_SPORT_RANGE:
		case FRA_DPORT_RANGE:
			policy->unsure = true;
			break;
		}
	}
	return MNL_CB_OK;
}

static int parse_rejecting(const struct nlmsghdr *h, void *data)
{
	struct policy *policy = data;
	struct fib_result result = {}, *grown;

	parse_route(h, &result);
	if (state_of_type(result.type) == ROUTE_FOUND || state_of_type(result.type) == ROUTE_LOCAL)
		return MNL_CB_OK; /* kernels that do not filter dumps send all routes */
	grown = realloc(policy->rejecting, (policy->count + 1) * sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	grown[policy->count++] = result;
	policy->rejecting = grown;
	return MNL_CB_OK;
}

static int load_rules(struct policy *policy, unsigned char family)
{
	struct netlink_request r;
	struct fib_rule_hdr *rule = netlink_begin(&r, RTM_GETRULE, sizeof(*rule));
	int error;

	if (policy->rules_known)
		return 0;
	rule->family = family;
	error = netlink_dump(NETLINK_ROUTE, &r, parse_rule, policy);
	policy->rules_known = !error;
	return error;
}

static int load_rejecting_routes(struct policy *policy, unsigned char family)
{
	static const unsigned char types[] = { RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT };
	struct netlink_request r;
	struct rtmsg *m;
	int error = 0;
	size_t i;

	for (i = 0; !policy->rejecting_known && !error && i < sizeof(types); i++) {
		m = netlink_begin(&r, RTM_GETROUTE, sizeof(*m));
		m->rtm_family = family;
		m->rtm_type = types[i];
		error = netlink_dump(NETLINK_ROUTE, &r, parse_rejecting, policy);
	}
	policy->rejecting_known |= !error;
	return error;
}

/*
 * Identifies a rejecting route, of which most kernels report only the error. If a single table has
 * routes of that type for the destination, the route with the longest prefix is the match.
 * Otherwise the route stays unknown.
 */
static void identify_rejecting_route(const struct policy *policy, const struct address *destination,
				     struct route *route)
{
	const struct fib_result *best = NULL, *result;

	for (result = policy->rejecting; result < policy->rejecting + policy->count; result++) {
		if (state_of_type(result->type) != route->state ||
		    !in_prefix(destination, &result->prefix, result->prefix_length))
			continue;
		if (best && best->table != result->table)
			return;
		if (!best || result->prefix_length > best->prefix_length)
			best = result;
	}
	if (best) {
		route->prefix = best->prefix;
		route->prefix_length = best->prefix_length;
		route->table = best->table;
	}
}

/* ---- the interface, the device, the neighbour ---- */

static int parse_forwarding(const struct nlmsghdr *h, void *data)
{
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct netconfmsg))
	{
		if (mnl_attr_get_type(a) == NETCONFA_FORWARDING)
			*(bool *)data = parse_number(a);
	}
	return MNL_CB_OK;
}

/*
 * Returns true if packets received on the interface are forwarded, or if the kernel does not report
 * it. For IPv6 the setting "all" decides; the interface's own setting only makes it behave as a
 * router's.
 */
static bool is_forwarding(struct route_lookup *g, unsigned char family, unsigned int ifindex)
{
	struct netlink_request r;
	struct netconfmsg *m = netlink_begin(&r, RTM_GETNETCONF, sizeof(*m));
	bool on = true;

	m->ncm_family = family;
	mnl_attr_put_u32(&r.header, NETCONFA_IFINDEX,
			 family == AF_INET ? ifindex : (uint32_t)NETCONFA_IFINDEX_ALL);
	netlink_query(g->socket, &r, parse_forwarding, &on);
	return on;
}

static int parse_link(const struct nlmsghdr *h, void *data)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const unsigned int up = IFF_UP | IFF_RUNNING | 1 << 16 /* IFF_LOWER_UP */;
	struct route *route = data;
	const struct nlattr *a;

	route->device_exists = true;
	route->device_up = (m->ifi_flags & up) == up;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFLA_IFNAME && !mnl_attr_validate(a, MNL_TYPE_STRING))
			strncpy(route->device, mnl_attr_get_str(a), sizeof(route->device) - 1);
	}
	return MNL_CB_OK;
}

static int query_link(struct route_lookup *g, unsigned int ifindex, struct route *route)
{
	struct netlink_request r;
	struct ifinfomsg *m = netlink_begin(&r, RTM_GETLINK, sizeof(*m));
	int error;

	m->ifi_family = AF_UNSPEC;
	m->ifi_index = ifindex;
	error = netlink_query(g->socket, &r, parse_link, route);
	return error == -ENODEV ? 0 : error;
}

static int parse_neighbour(const struct nlmsghdr *h, void *data)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	enum neighbour_state *state = data;

	if (h->nlmsg_type != RTM_NEWNEIGH)
		return MNL_CB_OK;
	if (m->ndm_state & NUD_INCOMPLETE)
		*state = NEIGHBOUR_INCOMPLETE;
	else if (m->ndm_state & NUD_FAILED)
		*state = NEIGHBOUR_FAILED;
	else if (m->ndm_state)
		*state = NEIGHBOUR_REACHABLE;
	return MNL_CB_OK;
}

static int query_neighbour(struct route_lookup *g, const struct address *a, unsigned int ifindex,
			   enum neighbour_state *state)
{
	struct netlink_request r;
	struct ndmsg *m = netlink_begin(&r, RTM_GETNEIGH, sizeof(*m));
	int error;

	m->ndm_family = family_of(a);
	m->ndm_ifindex = ifindex;
	put_address(&r.header, NDA_DST, a);
	error = netlink_query(g->socket, &r, parse_neighbour, state);
	return error == -ENOENT || error == -ENODEV ? 0 : error;
}

/*
 * Fills in next hop, device and neighbour. This takes a second query: the reply with
 * RTM_F_FIB_MATCH does not contain the next hop that the kernel selects from a multipath route.
 */
static int resolve_next_hop(struct route_lookup *g, const struct route_query *q,
			    struct route *route)
{
	struct fib_result hop;
	int error = query_route(g, q, 0, &hop);

	if (error)
		return error;
	route->via_next_hop = hop.via_next_hop;
	if (hop.via_next_hop)
		route->next_hop = hop.next_hop;
	route->device_index = hop.device;
	error = query_link(g, hop.device, route);
	if (error || !route->device_exists)
		return error;
	return query_neighbour(g, hop.via_next_hop ? &route->next_hop : q->destination, hop.device,
			       &route->neighbour);
}

int route_lookup(struct route_lookup *g, const struct address *destination,
		 const struct address *source, unsigned int ifindex, struct route *route)
{
	unsigned char family = family_of(destination);
	struct route_query q = { .destination = destination, .ifindex = ifindex };
	struct policy *policy = &g->policy[family == AF_INET ? IP4 : IP6];
	struct fib_result match;
	int error;

	*route = (struct route){};
	if (source && family_of(source) == family)
		q.source = source;
	error = load_rules(policy, family);
	if (error)
		goto unknown;
	route->unsure = policy->unsure;

	error = find_match(g, &q, &match);
	route->state = error ? state_of_error(error) : state_of_type(match.type);
	if (route->state == ROUTE_UNKNOWN)
		goto unknown;
	if (route->state != ROUTE_LOCAL && q.ifindex && !is_forwarding(g, family, q.ifindex)) {
		route->state = ROUTE_NOT_FORWARDED;
		return 0;
	}
	if (error) {
		error = route->state == ROUTE_NONE ? 0 : load_rejecting_routes(policy, family);
		if (error)
			goto unknown;
		identify_rejecting_route(policy, destination, route);
		return 0;
	}
	route->prefix = match.prefix;
	route->prefix_length = match.prefix_length;
	route->table = match.table;
	error = route->state == ROUTE_FOUND ? resolve_next_hop(g, &q, route) : 0;
	if (!error)
		return 0;
unknown:
	*route = (struct route){};
	errno = -error;
	return -1;
}
