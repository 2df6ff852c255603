// SPDX-License-Identifier: GPL-2.0
#include "doctor/links.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "host/netlink.h"

#define IFF_LOWER_UP 0x10000 /* from linux/if.h, which conflicts with net/if.h */
#define MAX_NEIGHBOURS 65536

const struct link *links_by_index(const struct links *all, int index)
{
	size_t i;

	for (i = 0; i < all->count; i++)
		if (all->at[i].index == index)
			return &all->at[i];
	return NULL;
}

const struct link *links_by_name(const struct links *all, const char *name)
{
	size_t i;

	for (i = 0; i < all->count; i++)
		if (!strcmp(all->at[i].name, name))
			return &all->at[i];
	return NULL;
}

static struct link *link_at(struct links *all, int index)
{
	return (struct link *)links_by_index(all, index);
}

/* ---- links ---- */

static void parse_vlan(struct link *l, const struct nlattr *data)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, data)
	{
		if (mnl_attr_get_type(a) == IFLA_VLAN_ID)
			l->vlan = mnl_attr_get_u16(a);
	}
}

static void parse_info(struct link *l, const struct nlattr *info)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, info)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND)
			snprintf(l->kind, sizeof(l->kind), "%s", mnl_attr_get_str(a));
		/* the kernel sends the kind before its data */
		if (mnl_attr_get_type(a) == IFLA_INFO_DATA && !strcmp(l->kind, "vlan"))
			parse_vlan(l, a);
	}
}

static void parse_attribute(struct link *l, const struct nlattr *a)
{
	switch (mnl_attr_get_type(a)) {
	case IFLA_IFNAME:
		snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
		break;
	case IFLA_MTU:
		l->mtu = mnl_attr_get_u32(a);
		break;
	case IFLA_MASTER:
		l->master = mnl_attr_get_u32(a);
		break;
	case IFLA_LINK:
		if (!l->lower)
			l->lower = mnl_attr_get_u32(a);
		break;
	case IFLA_LINK_NETNSID:
		l->lower = -1; /* an index of another namespace */
		break;
	case IFLA_LINKINFO:
		parse_info(l, a);
		break;
	}
}

static int parse_link(const struct nlmsghdr *h, void *context)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct links *all = context;
	const struct nlattr *a;
	struct link *more, *l;

	if (h->nlmsg_type != RTM_NEWLINK || link_at(all, info->ifi_index))
		return MNL_CB_OK; /* a dump that was repeated has a link twice */
	more = reallocarray(all->at, all->count + 1, sizeof(*all->at));
	if (!more)
		return MNL_CB_ERROR; /* errno is ENOMEM */
	all->at = more;
	l = &all->at[all->count++];
	*l = (struct link){ .index = info->ifi_index,
			    .type = info->ifi_type,
			    .is_up = info->ifi_flags & IFF_UP,
			    .has_carrier = info->ifi_flags & IFF_LOWER_UP,
			    .is_loopback = info->ifi_flags & IFF_LOOPBACK };
	mnl_attr_for_each(a, h, sizeof(*info))
	{
		parse_attribute(l, a);
	}
	if (l->lower < 0 || l->lower == l->index || !strcmp(l->kind, "veth"))
		l->lower = 0; /* the other end of a veth pair is beside it, not below */
	return MNL_CB_OK;
}

/* ---- neighbours, default routes, addresses ---- */

/* A neighbour's hardware address: one host may have many IP addresses. */
struct neighbour {
	int ifindex;
	uint8_t hardware[8];
};

struct neighbours {
	struct neighbour at[MAX_NEIGHBOURS];
	size_t count;
};

static int parse_neighbour(const struct nlmsghdr *h, void *context)
{
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	struct neighbours *all = context;
	struct neighbour n = { .ifindex = m->ndm_ifindex };
	const struct nlattr *a;
	size_t length = 0;

	if (h->nlmsg_type != RTM_NEWNEIGH ||
	    m->ndm_state & (NUD_FAILED | NUD_INCOMPLETE | NUD_NOARP) || !m->ndm_state)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) != NDA_LLADDR)
			continue;
		length = mnl_attr_get_payload_len(a);
		memcpy(n.hardware, mnl_attr_get_payload(a),
		       length < sizeof(n.hardware) ? length : sizeof(n.hardware));
	}
	if (length && all->count < MAX_NEIGHBOURS)
		all->at[all->count++] = n;
	return MNL_CB_OK;
}

static int by_neighbour(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct neighbour));
}

static void count_neighbours(struct links *links)
{
	struct neighbours *all = calloc(1, sizeof(*all));
	struct netlink_request r;
	struct link *l;
	size_t i;

	if (!all)
		return;
	netlink_begin(&r, RTM_GETNEIGH, sizeof(struct ndmsg));
	netlink_dump(NETLINK_ROUTE, &r, parse_neighbour, all);
	qsort(all->at, all->count, sizeof(all->at[0]), by_neighbour);
	for (i = 0; i < all->count; i++) {
		l = link_at(links, all->at[i].ifindex);
		if (l && (!i || by_neighbour(&all->at[i], &all->at[i - 1])))
			l->neighbours++;
	}
	free(all);
}

static void note_default_route(struct links *all, int index)
{
	struct link *l = link_at(all, index);

	if (l)
		l->has_default_route = true;
}

static void note_next_hops(struct links *all, const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);

	for (; RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		note_default_route(all, hop->rtnh_ifindex);
}

static int parse_route(const struct nlmsghdr *h, void *context)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_dst_len || m->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == RTA_OIF)
			note_default_route(context, mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == RTA_MULTIPATH)
			note_next_hops(context, a);
	}
	return MNL_CB_OK;
}

static void find_default_routes(struct links *all)
{
	static const unsigned char families[] = { AF_INET, AF_INET6 };
	struct netlink_request r;
	struct rtmsg *m;
	size_t i;

	for (i = 0; i < sizeof(families); i++) {
		m = netlink_begin(&r, RTM_GETROUTE, sizeof(*m));
		m->rtm_family = families[i];
		netlink_dump(NETLINK_ROUTE, &r, parse_route, all);
	}
}

/* Returns false for an address of link-local scope, and for other families. */
static bool read_address(struct address *to, const struct sockaddr *from)
{
	if (from && from->sa_family == AF_INET)
		*to = (struct address){
			.word = { 0, 0, IP4_PREFIX,
				  ((const struct sockaddr_in *)from)->sin_addr.s_addr }
		};
	else if (from && from->sa_family == AF_INET6)
		memcpy(to->word, &((const struct sockaddr_in6 *)from)->sin6_addr, sizeof(to->word));
	else
		return false;
	return from->sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL((struct in6_addr *)to->word);
}

static void find_addresses(struct links *all)
{
	struct ifaddrs *addresses, *i;
	struct address address;
	char name[IFNAMSIZ];
	struct link *l;

	if (getifaddrs(&addresses))
		return;
	for (i = addresses; i; i = i->ifa_next) {
		/* the name may be an address label, such as eth0:1 */
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(i->ifa_name, ":"), i->ifa_name);
		l = (struct link *)links_by_name(all, name);
		if (!l || !read_address(&address, i->ifa_addr))
			continue;
		l->has_address = true;
		l->has_private_address |= is_private(&address);
	}
	freeifaddrs(addresses);
}

int links_read(struct links *all)
{
	struct netlink_request r;
	int error;

	*all = (struct links){};
	netlink_begin(&r, RTM_GETLINK, sizeof(struct ifinfomsg));
	error = netlink_dump(NETLINK_ROUTE, &r, parse_link, all);
	if (error) {
		links_free(all);
		return error;
	}
	count_neighbours(all);
	find_default_routes(all);
	find_addresses(all);
	return 0;
}

void links_free(struct links *all)
{
	free(all->at);
	*all = (struct links){};
}
