// SPDX-License-Identifier: GPL-2.0
#include "host/netdev.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "host/netlink.h"
#include "lib/format.h"

#define IFF_LOWER_UP 0x10000 /* from linux/if.h, which conflicts with net/if.h */

void netdev_print_not_found(const char *name)
{
	struct if_nameindex *all = if_nameindex(), *i;

	fprintf(stderr, "probe: %s: no such interface", name);
	if (all) {
		for (i = all; i->if_index; i++)
			fprintf(stderr, "%s%s", i == all ? " (there are: " : ", ", i->if_name);
		fputs(all->if_index ? ")" : "", stderr);
		if_freenameindex(all);
	}
	fputc('\n', stderr);
}

static int parse_link(const struct nlmsghdr *h, void *context)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct rtnl_link_stats64 stats = {};
	const struct nlattr *a, *inner;
	struct netdev_state *l = context;
	size_t length;

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return MNL_CB_OK;
	*l = (struct netdev_state){
		.index = info->ifi_index,
		.type = info->ifi_type,
		.up = (info->ifi_flags & (IFF_UP | IFF_LOWER_UP)) == (IFF_UP | IFF_LOWER_UP),
		/* with AF_BRIDGE, a port has left its bridge but still exists */
		.gone = h->nlmsg_type == RTM_DELLINK && info->ifi_family == AF_UNSPEC,
	};
	mnl_attr_for_each(a, h, sizeof(*info))
	{
		switch (mnl_attr_get_type(a)) {
		case IFLA_IFNAME:
			snprintf(l->name, sizeof(l->name), "%s", mnl_attr_get_str(a));
			break;
		case IFLA_STATS64:
			/*
			 * copied, since attributes are aligned to 4 bytes only and older kernels
			 * send fewer counters
			 */
			length = mnl_attr_get_payload_len(a);
			memcpy(&stats, mnl_attr_get_payload(a),
			       length < sizeof(stats) ? length : sizeof(stats));
			l->packets[INGRESS] = stats.rx_packets;
			l->packets[EGRESS] = stats.tx_packets;
			l->bytes = stats.rx_bytes + stats.tx_bytes;
			break;
		case IFLA_MTU:
			l->mtu = mnl_attr_get_u32(a);
			break;
		case IFLA_XDP:
			mnl_attr_for_each_nested(inner, a) if (mnl_attr_get_type(inner) ==
							       IFLA_XDP_PROG_ID) l->xdp =
				mnl_attr_get_u32(inner);
			break;
		case IFLA_NEW_NETNSID:
			l->moved = true;
			break;
		case IFLA_MASTER:
			l->master = mnl_attr_get_u32(a);
			break;
		case IFLA_LINKINFO:
			mnl_attr_for_each_nested(inner, a) if (mnl_attr_get_type(inner) ==
							       IFLA_INFO_SLAVE_KIND)
				snprintf(l->master_kind, sizeof(l->master_kind), "%s",
					 mnl_attr_get_str(inner));
			break;
		}
	}
	return MNL_CB_OK;
}

int netdev_query(struct netdev_state *l, int index, const char *name)
{
	struct netlink_request r;
	struct ifinfomsg *info = netlink_begin(&r, RTM_GETLINK, sizeof(*info));

	info->ifi_index = index;
	if (!index)
		mnl_attr_put_strz(&r.header, IFLA_IFNAME, name);
	return netlink_query_once(NETLINK_ROUTE, &r, parse_link, l);
}

static bool is_kernel_before(int major, int minor)
{
	int release[2] = {};
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%d.%d", &release[0], &release[1]);
	return release[0] < major || (release[0] == major && release[1] < minor);
}

/* Chooses the parser by the device type. Returns false if the type is not supported. */
static bool set_link_layer(struct netdev *i, unsigned short type)
{
	switch (type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		i->link = "ethernet";
		return true;
	case ARPHRD_NONE: /* tun devices, WireGuard */
	case ARPHRD_PPP:
	case ARPHRD_RAWIP:
		i->link = "ip";
		i->raw_ip = true;
		return true;
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case 823: /* ARPHRD_IP6GRE, missing in the C library's header */
		i->link = "ip";
		i->raw_ip = true;
		i->tunnel_headers = is_kernel_before(5, 14);
		return true;
	default:
		fprintf(stderr,
			"probe: %s: link type %u (ARPHRD) is not understood; watch the interface below or above it\n",
			i->name, type);
		return false;
	}
}

int netdev_from_link(struct netdev *i, const struct netdev_state *l)
{
	*i = (struct netdev){ .index = l->index };
	strcpy(i->name, l->name);
	return set_link_layer(i, l->type) ? 0 : -1;
}

int netdev_find(struct netdev *i, const char *name)
{
	struct netdev_state l;
	int error = strlen(name) < IFNAMSIZ ? netdev_query(&l, 0, name) : -ENODEV;

	if (error == -ENODEV) {
		netdev_print_not_found(name);
		return -1;
	}
	if (error) {
		fprintf(stderr, "probe: %s: cannot ask the kernel for it: %s\n", name,
			strerror(-error));
		return -1;
	}
	return netdev_from_link(i, &l);
}

struct mnl_socket *netdev_events_open(void)
{
	return netlink_subscribe(NETLINK_ROUTE, RTMGRP_LINK);
}

struct link_listener {
	void (*notify)(void *context, const struct netdev_state *l);
	void *context;
};

/*
 * Bridges and wireless drivers send messages of their own, without the XDP program or the MTU: those
 * are ignored, since an absent attribute would be taken for a change.
 */
static int notify_link(const struct nlmsghdr *h, void *context)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct link_listener *listener = context;
	struct netdev_state l = {};

	parse_link(h, &l);
	if (l.index && info->ifi_family == AF_UNSPEC && (l.mtu || l.gone))
		listener->notify(listener->context, &l);
	return MNL_CB_OK;
}

bool netdev_events_read(struct mnl_socket *events,
			void (*notify)(void *context, const struct netdev_state *l), void *context)
{
	struct link_listener listener = { notify, context };
	unsigned int budget = UINT_MAX;

	return !netlink_receive(events, &budget, notify_link, &listener);
}

static bool read_ifaddr(const struct sockaddr *from, struct address *a)
{
	if (from && from->sa_family == AF_INET)
		*a = (struct address){ .word = { 0, 0, IP4_PREFIX,
						 ((struct sockaddr_in *)from)->sin_addr.s_addr } };
	else if (from && from->sa_family == AF_INET6)
		memcpy(a->word, &((struct sockaddr_in6 *)from)->sin6_addr, sizeof(a->word));
	else
		return false;
	return true;
}

static bool is_watched(const struct session *session, const char *name)
{
	unsigned int i;

	for (i = 0; i < session->interface_count; i++)
		if (!strcmp(session->interfaces[i].name, name))
			return true;
	return false;
}

static bool reaches_beyond_link(const struct ifaddrs *i)
{
	const unsigned int flags = IFF_UP | IFF_RUNNING;
	struct address a;

	if ((i->ifa_flags & (flags | IFF_LOOPBACK)) != flags || !read_ifaddr(i->ifa_addr, &a))
		return false;
	return (ntohl(a.word[0]) & 0xffc00000) != 0xfe800000; /* fe80::/10, RFC 4291 2.5.6 */
}

unsigned int netdev_others(char names[MAX_OTHERS][IFNAMSIZ], const struct session *session)
{
	unsigned int count = 0, known;
	struct ifaddrs *all, *i;
	char name[IFNAMSIZ];

	if (getifaddrs(&all))
		return 0;
	for (i = all; i && count < MAX_OTHERS; i = i->ifa_next) {
		/* the name may be an address label, such as eth0:1 */
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(i->ifa_name, ":"), i->ifa_name);
		if (!reaches_beyond_link(i) || is_watched(session, name))
			continue;
		for (known = 0; known < count && strcmp(names[known], name); known++)
			;
		if (known == count)
			strcpy(names[count++], name);
	}
	freeifaddrs(all);
	return count;
}

void netdev_own_addresses(struct session *session)
{
	struct ifaddrs *all, *i;
	struct address a;

	if (getifaddrs(&all))
		return;
	for (i = all; i && session->own_address_count < MAX_OWN_ADDRESSES; i = i->ifa_next)
		if (read_ifaddr(i->ifa_addr, &a) && !session_is_own_address(session, &a))
			session->own_addresses[session->own_address_count++] = a;
	freeifaddrs(all);
}

void netdev_private_addresses(char *text, size_t room, const char *but)
{
	char name[FORMAT_ADDRESS];
	struct ifaddrs *all, *i;
	struct address a;
	size_t used = 0;

	text[0] = '\0';
	if (getifaddrs(&all))
		return;
	for (i = all; i && used < room; i = i->ifa_next)
		if (i->ifa_flags & IFF_UP && !(i->ifa_flags & IFF_LOOPBACK) &&
		    strcmp(i->ifa_name, but) && read_ifaddr(i->ifa_addr, &a) && is_private(&a))
			used += snprintf(text + used, room - used, "%s%s (%s)", used ? " or " : "",
					 format_name(i->ifa_name), format_address(name, &a));
	freeifaddrs(all);
}
