// SPDX-License-Identifier: GPL-2.0
#include "interface.h"

#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void say_no_such_interface(const char *name)
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

/*
 * The link layer comes from the interface's type, never from the bytes. False when it is not
 * understood.
 */
static bool find_link(struct interface *i)
{
	struct ifreq request = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;

	strncpy(request.ifr_name, i->name, IFNAMSIZ - 1);
	status = fd < 0 ? -1 : ioctl(fd, SIOCGIFHWADDR, &request);
	if (status)
		fprintf(stderr, "probe: %s: cannot ask for its link type: %s\n", i->name,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	if (status)
		return false;
	switch (request.ifr_hwaddr.sa_family) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		i->link = "ethernet";
		return true;
	case ARPHRD_NONE: /* tun, WireGuard */
	case ARPHRD_PPP:
	case ARPHRD_RAWIP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case 823: /* ARPHRD_IP6GRE, which the C library does not name */
		i->link = "ip";
		i->bare = true;
		return true;
	default:
		fprintf(stderr,
			"probe: %s: link type %u (ARPHRD) is not understood; watch the interface below or above it\n",
			i->name, request.ifr_hwaddr.sa_family);
		return false;
	}
}

int interface_find(struct interface *i, const char *name)
{
	*i = (struct interface){ .name = name, .index = if_nametoindex(name) };
	if (!i->index) {
		say_no_such_interface(name);
		return -1;
	}
	return find_link(i) ? 0 : -1;
}

uint64_t interface_bytes(const struct interface *i)
{
	uint64_t received, sent, sum = 0;
	FILE *f = fopen("/proc/net/dev", "re");
	size_t n = strlen(i->name);
	char line[512], *p;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		p = line + strspn(line, " ");
		if (!strncmp(p, i->name, n) && p[n] == ':' &&
		    sscanf(p + n + 1, "%" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &received,
			   &sent) == 2)
			sum = received + sent;
	}
	fclose(f);
	return sum;
}

int interface_events(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

bool interface_is_gone(const struct interface *i, int events)
{
	char buffer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct ifinfomsg *info;
	struct nlmsghdr *h;
	bool gone = false;
	ssize_t n;

	while ((n = recv(events, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		for (h = (struct nlmsghdr *)buffer; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			info = NLMSG_DATA(h);
			if (h->nlmsg_type == RTM_DELLINK && info->ifi_index == i->index)
				gone = true;
		}
	}
	return gone;
}

void own_addresses(struct run *run)
{
	struct ifaddrs *all, *i;
	struct address *a;

	if (getifaddrs(&all))
		return;
	for (i = all; i && run->own_address_count < MAX_OWN_ADDRESSES; i = i->ifa_next) {
		a = &run->own_addresses[run->own_address_count];
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
			*a = (struct address){
				.word = { 0, 0, IP4_PREFIX,
					  ((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr }
			};
			run->own_address_count++;
		} else if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET6) {
			memcpy(a->word, &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr,
			       sizeof(a->word));
			run->own_address_count++;
		}
	}
	freeifaddrs(all);
}
