// SPDX-License-Identifier: GPL-2.0
#include "host/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"

#define REQUEST_SIZE 512
#define ANSWER_SIZE 32768 /* the kernel fills at most this much at a time */
#define DUMP_TRIES 5

enum { IP4, IP6, FAMILIES };

/* What a route message says. */
struct fib_result {
	unsigned char type; /* RTN_* */
	unsigned char prefix_length;
	struct address prefix;
	unsigned int table;
	bool via_next_hop;
	struct address next_hop;
	unsigned int device;
};

/* What the kernel tells only in whole, asked for once when it is needed first. */
struct policy {
	bool rules_known;
	bool unsure; /* rules look at what is not asked with */
	bool rejecting_known;
	struct fib_result *rejecting; /* routes of these types */
	size_t count;
};

struct route_lookup {
	struct mnl_socket *socket;
	unsigned int sequence;
	struct policy policy[FAMILIES];
	char request[REQUEST_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	char answer[ANSWER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct question {
	const struct address *destination;
	const struct address *source; /* NULL: none */
	unsigned int ifindex; /* that it comes in by; 0: this host sends it */
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

/* False when it is not as long as an address of that family. */
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

static struct nlmsghdr *begin(struct route_lookup *g, uint16_t type, size_t header, void **at)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(g->request);

	h->nlmsg_type = type;
	h->nlmsg_seq = ++g->sequence;
	*at = mnl_nlmsg_put_extra_header(h, header);
	return h;
}

/* Each message of the answer goes to take(). 0, or the error with which the kernel refused. */
static int talk(struct route_lookup *g, struct mnl_socket *s, uint16_t flags, mnl_cb_t take,
		void *data)
{
	struct nlmsghdr *h = (struct nlmsghdr *)g->request;
	ssize_t n;

	h->nlmsg_flags = NLM_F_REQUEST | flags;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return errno;
	do {
		do
			n = mnl_socket_recvfrom(s, g->answer, sizeof(g->answer));
		while (n < 0 && errno == EINTR); /* a signal */
		if (n > 0)
			n = mnl_cb_run(g->answer, n, h->nlmsg_seq, mnl_socket_get_portid(s), take,
				       data);
	} while (n > MNL_CB_STOP);
	return n < 0 ? errno : 0;
}

static int ask(struct route_lookup *g, mnl_cb_t take, void *data)
{
	return talk(g, g->socket, NLM_F_ACK, take, data);
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int yes = 1, error;

	if (!s)
		return NULL;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID)) {
		error = errno;
		mnl_socket_close(s);
		errno = error;
		return NULL;
	}
	/* Dumps are then of what the request's header names, not of everything. */
	mnl_socket_setsockopt(s, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	return s;
}

/*
 * A dump; what it finds may come twice. Tables that change meanwhile interrupt it (EINTR), and what
 * is left of it goes away with its own socket.
 */
static int dump(struct route_lookup *g, mnl_cb_t take, void *data)
{
	struct mnl_socket *s;
	int tries = DUMP_TRIES, error;

	do {
		s = open_socket();
		if (!s)
			return errno;
		error = talk(g, s, NLM_F_DUMP, take, data);
		mnl_socket_close(s);
	} while (error == EINTR && --tries);
	return error;
}

struct route_lookup *route_lookup_open(void)
{
	struct route_lookup *g = calloc(1, sizeof(*g));
	int error;

	if (!g)
		return NULL;
	g->socket = open_socket();
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
	struct fib_result *fib_lookup_result = data;
	uint16_t length;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	*fib_lookup_result = (struct fib_result){ .type = m->rtm_type,
						  .prefix_length = m->rtm_dst_len,
						  .prefix = any_address(m->rtm_family),
						  .table = m->rtm_table };
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		length = mnl_attr_get_payload_len(a);
		switch (mnl_attr_get_type(a)) {
		case RTA_DST:
			parse_address(&fib_lookup_result->prefix, m->rtm_family,
				      mnl_attr_get_payload(a), length);
			break;
		case RTA_TABLE:
			fib_lookup_result->table = parse_number(a);
			break;
		case RTA_OIF:
			fib_lookup_result->device = parse_number(a);
			break;
		case RTA_GATEWAY:
			fib_lookup_result->via_next_hop =
				parse_address(&fib_lookup_result->next_hop, m->rtm_family,
					      mnl_attr_get_payload(a), length);
			break;
		case RTA_VIA: /* a next hop of the other family (RFC 5549) */
			via = mnl_attr_get_payload(a);
			if (length > sizeof(*via))
				fib_lookup_result->via_next_hop =
					parse_address(&fib_lookup_result->next_hop,
						      via->rtvia_family, via->rtvia_addr,
						      length - sizeof(*via));
			break;
		}
	}
	return MNL_CB_OK;
}

static int query_route(struct route_lookup *g, const struct question *q, unsigned int flags,
		       struct fib_result *fib_lookup_result)
{
	unsigned char family = family_of(q->destination);
	struct nlmsghdr *h;
	struct rtmsg *m;
	void *at;
	int error;

	h = begin(g, RTM_GETROUTE, sizeof(*m), &at);
	m = at;
	m->rtm_family = family;
	m->rtm_dst_len = bits_of(family);
	/* IPv6 always names the table, and refuses the flag. */
	m->rtm_flags = flags | (family == AF_INET ? RTM_F_LOOKUP_TABLE : 0);
	put_address(h, RTA_DST, q->destination);
	if (q->source) {
		m->rtm_src_len = bits_of(family);
		put_address(h, RTA_SRC, q->source);
	}
	if (q->ifindex)
		mnl_attr_put_u32(h, RTA_IIF, q->ifindex);
	mnl_attr_put_u8(h, RTA_IP_PROTO, IPPROTO_TCP);
	*fib_lookup_result = (struct fib_result){};
	error = ask(g, parse_route, fib_lookup_result);
	return error || fib_lookup_result->type ? error : EPROTO;
}

/*
 * EINVAL is both the answer of a blackhole and that to a source which does not belong on the
 * interface (reverse path filter, martian). A broadcast needs no route, and its source is judged.
 */
static bool takes_source(struct route_lookup *g, const struct question *q)
{
	struct address broadcast = any_address(AF_INET);
	struct question control = *q;
	struct fib_result fib_lookup_result;

	broadcast.word[3] = INADDR_BROADCAST;
	control.destination = &broadcast;
	return !query_route(g, &control, 0, &fib_lookup_result);
}

/*
 * The matching route, by the question that the kernel takes, which q becomes. The kernel may refuse
 * source and interface as a pair; no word on the destination is in that.
 */
static int find_match(struct route_lookup *g, struct question *q, struct fib_result *match)
{
	struct question back = { .destination = q->source };
	unsigned int candidates[2] = { q->ifindex }, i;
	struct fib_result fib_lookup_result;
	int error;

	if (q->source && !query_route(g, &back, 0, &fib_lookup_result)) {
		if (fib_lookup_result.type == RTN_LOCAL) {
			q->ifindex = 0;
			return query_route(g, q, RTM_F_FIB_MATCH, match);
		}
		if (fib_lookup_result.device != q->ifindex)
			candidates[1] = fib_lookup_result.device;
	}
	for (i = 0; q->source && i < 2; i++) {
		q->ifindex = candidates[i];
		if (!q->ifindex)
			continue;
		error = query_route(g, q, RTM_F_FIB_MATCH, match);
		if (error == ENODEV || error == EXDEV)
			continue;
		if (error == EINVAL && is_ip4(q->source) && !takes_source(g, q))
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

/* The kernel's fib_props[] and fib6_prop[]: each rejecting type of route has its error. */
static enum route_state state_of_error(int error)
{
	switch (error) {
	case ENETUNREACH:
		return ROUTE_NONE;
	case EINVAL:
		return ROUTE_BLACKHOLE;
	case EHOSTUNREACH:
		return ROUTE_UNREACHABLE;
	case EACCES:
		return ROUTE_PROHIBIT;
	default:
		return ROUTE_UNKNOWN;
	}
}

/* ---- what the kernel tells only in whole ---- */

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
	struct fib_result fib_lookup_result = {}, *grown;

	parse_route(h, &fib_lookup_result);
	if (state_of_type(fib_lookup_result.type) == ROUTE_FOUND ||
	    state_of_type(fib_lookup_result.type) == ROUTE_LOCAL)
		return MNL_CB_OK; /* a kernel that does not filter dumps */
	grown = realloc(policy->rejecting, (policy->count + 1) * sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	grown[policy->count++] = fib_lookup_result;
	policy->rejecting = grown;
	return MNL_CB_OK;
}

static int load_rules(struct route_lookup *g, unsigned char family, struct policy *policy)
{
	struct fib_rule_hdr *rule;
	void *at;
	int error;

	if (policy->rules_known)
		return 0;
	begin(g, RTM_GETRULE, sizeof(*rule), &at);
	rule = at;
	rule->family = family;
	error = dump(g, parse_rule, policy);
	policy->rules_known = !error;
	return error;
}

static int load_rejecting_routes(struct route_lookup *g, unsigned char family,
				 struct policy *policy)
{
	static const unsigned char types[] = { RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT };
	struct rtmsg *m;
	int error = 0;
	size_t i;
	void *at;

	for (i = 0; !policy->rejecting_known && !error && i < sizeof(types); i++) {
		begin(g, RTM_GETROUTE, sizeof(*m), &at);
		m = at;
		m->rtm_family = family;
		m->rtm_type = types[i];
		error = dump(g, parse_rejecting, policy);
	}
	policy->rejecting_known |= !error;
	return error;
}

static bool covers(const struct fib_result *fib_lookup_result, const struct address *a)
{
	unsigned int skip = is_ip4(a) ? 96 : 0, bits = skip + fib_lookup_result->prefix_length;
	const unsigned char *p = (const unsigned char *)fib_lookup_result->prefix.word;
	const unsigned char *q = (const unsigned char *)a->word;

	return !memcmp(p, q, bits / 8) &&
	       (bits % 8 == 0 || (p[bits / 8] ^ q[bits / 8]) >> (8 - bits % 8) == 0);
}

/*
 * Most kernels answer a rejecting route by its error alone. Which one it was is clear when one
 * table only has a route of that type for this destination: then the longest.
 */
static void name_rejecting(const struct policy *policy, const struct address *destination,
			   struct route *route)
{
	const struct fib_result *best = NULL, *fib_lookup_result;

	for (fib_lookup_result = policy->rejecting;
	     fib_lookup_result < policy->rejecting + policy->count; fib_lookup_result++) {
		if (state_of_type(fib_lookup_result->type) != route->state ||
		    !covers(fib_lookup_result, destination))
			continue;
		if (best && best->table != fib_lookup_result->table)
			return;
		if (!best || fib_lookup_result->prefix_length > best->prefix_length)
			best = fib_lookup_result;
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
 * Whether what comes in there is forwarded at all. For IPv6 the setting "all" decides, that of the
 * interface only whether it behaves as a router's. True also when the kernel does not say.
 */
static bool forwards(struct route_lookup *g, unsigned char family, unsigned int ifindex)
{
	struct nlmsghdr *h;
	struct netconfmsg *m;
	bool on = true;
	void *at;

	h = begin(g, RTM_GETNETCONF, sizeof(*m), &at);
	m = at;
	m->ncm_family = family;
	mnl_attr_put_u32(h, NETCONFA_IFINDEX,
			 family == AF_INET ? ifindex : (uint32_t)NETCONFA_IFINDEX_ALL);
	ask(g, parse_forwarding, &on);
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
	struct ifinfomsg *m;
	void *at;
	int error;

	begin(g, RTM_GETLINK, sizeof(*m), &at);
	m = at;
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = ifindex;
	error = ask(g, parse_link, route);
	return error == ENODEV ? 0 : error;
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
	struct nlmsghdr *h;
	struct ndmsg *m;
	void *at;
	int error;

	h = begin(g, RTM_GETNEIGH, sizeof(*m), &at);
	m = at;
	m->ndm_family = family_of(a);
	m->ndm_ifindex = ifindex;
	put_address(h, NDA_DST, a);
	error = ask(g, parse_neighbour, state);
	return error == ENOENT || error == ENODEV ? 0 : error;
}

/* The kernel's answer on the match does not say which of several next hops it takes: asked apart. */
static int follow(struct route_lookup *g, const struct question *q, struct route *route)
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
	struct question q = { .destination = destination, .ifindex = ifindex };
	struct policy *policy = &g->policy[family == AF_INET ? IP4 : IP6];
	struct fib_result match;
	int error;

	*route = (struct route){};
	if (source && family_of(source) == family)
		q.source = source;
	error = load_rules(g, family, policy);
	if (error)
		goto unknown;
	route->unsure = policy->unsure;

	error = find_match(g, &q, &match);
	route->state = error ? state_of_error(error) : state_of_type(match.type);
	if (route->state == ROUTE_UNKNOWN)
		goto unknown;
	if (route->state != ROUTE_LOCAL && q.ifindex && !forwards(g, family, q.ifindex)) {
		route->state = ROUTE_NOT_FORWARDED;
		return 0;
	}
	if (error) {
		error = route->state == ROUTE_NONE ? 0 : load_rejecting_routes(g, family, policy);
		if (error)
			goto unknown;
		name_rejecting(policy, destination, route);
		return 0;
	}
	route->prefix = match.prefix;
	route->prefix_length = match.prefix_length;
	route->table = match.table;
	error = route->state == ROUTE_FOUND ? follow(g, &q, route) : 0;
	if (!error)
		return 0;
unknown:
	*route = (struct route){};
	errno = error;
	return -1;
}
