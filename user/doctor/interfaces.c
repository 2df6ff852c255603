// SPDX-License-Identifier: GPL-2.0
#include "doctor/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/format.h"

static void print_addresses(const struct ifaddrs *all, const char *name)
{
	const struct ifaddrs *a;
	char text[NI_MAXHOST];
	socklen_t length;

	for (a = all; a; a = a->ifa_next) {
		if (!a->ifa_addr || strcmp(a->ifa_name, name))
			continue;
		length = a->ifa_addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
			 : a->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							      : 0;
		if (length &&
		    !getnameinfo(a->ifa_addr, length, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
			printf("  %s", text);
	}
}

int interfaces_list(void)
{
	struct if_nameindex *names = if_nameindex(), *i;
	struct ifaddrs *all = NULL;

	if (!names || getifaddrs(&all)) {
		fprintf(stderr, "probe: cannot list the interfaces: %s\n", strerror(errno));
		if (names)
			if_freenameindex(names);
		return -1;
	}
	for (i = names; i->if_index; i++) {
		printf("%s", format_name(i->if_name));
		print_addresses(all, i->if_name);
		putchar('\n');
	}
	freeifaddrs(all);
	if_freenameindex(names);
	return 0;
}
