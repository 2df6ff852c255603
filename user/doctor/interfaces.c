// SPDX-License-Identifier: GPL-2.0
#include "doctor/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "doctor/advice.h"
#include "doctor/sheet.h"
#include "lib/format.h"
#include "report/glyphs.h"

#define INDENT 4

static const char *prefix_length(const struct ifaddrs *a)
{
	const unsigned char *bytes;
	size_t size, i;
	static char text[16];
	int bits = 0;

	if (!a->ifa_netmask)
		return "";
	if (a->ifa_addr->sa_family == AF_INET) {
		bytes = (const void *)&((const struct sockaddr_in *)a->ifa_netmask)->sin_addr;
		size = 4;
	} else {
		bytes = (const void *)&((const struct sockaddr_in6 *)a->ifa_netmask)->sin6_addr;
		size = 16;
	}
	for (i = 0; i < size; i++)
		bits += __builtin_popcount(bytes[i]);
	snprintf(text, sizeof(text), "/%d", bits);
	return text;
}

static bool is_of(const struct ifaddrs *a, const char *name)
{
	size_t length = strlen(name);

	/* the name may be an address label, such as eth0:1 */
	return !strncmp(a->ifa_name, name, length) &&
	       (!a->ifa_name[length] || a->ifa_name[length] == ':');
}

/* Prints the addresses in one wrapped row, or nothing if there are none. */
static void print_addresses(const struct ifaddrs *all, const char *name)
{
	char text[NI_MAXHOST], row[4096];
	const struct ifaddrs *a;
	socklen_t length;
	size_t used = 0;

	for (a = all; a && used < sizeof(row); a = a->ifa_next) {
		if (!a->ifa_addr || !is_of(a, name))
			continue;
		length = a->ifa_addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
			 : a->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
							      : 0;
		if (length &&
		    !getnameinfo(a->ifa_addr, length, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
			used += snprintf(row + used, sizeof(row) - used, "%s%.*s%s",
					 used ? "  " : "", (int)strcspn(text, "%"), text,
					 prefix_length(a));
	}
	if (used)
		sheet_wrap(stdout, INDENT, row);
}

static void print_link(const struct link *l, const struct links *all, const struct link *best,
		       const struct ifaddrs *addresses)
{
	char text[ADVICE_TEXT + 64], advice[ADVICE_TEXT];

	advise(advice, l, all);
	snprintf(text, sizeof(text), "%s%s%s", advice, l == best ? "; best choice: probe -i " : "",
		 l == best ? format_name(l->name) : "");
	printf("%-15s %s, %s, mtu %u\n", transliterate(format_name(l->name)), link_kind(l),
	       !l->is_up	? "down"
	       : l->has_carrier ? "up"
				: "no carrier",
	       l->mtu);
	print_addresses(addresses, l->name);
	sheet_wrap(stdout, INDENT, text);
}

int interfaces_list(void)
{
	struct ifaddrs *addresses = NULL;
	struct links all;
	size_t i;
	int error = links_read(&all);

	if (!error && getifaddrs(&addresses))
		error = -errno;
	if (error) {
		fprintf(stderr, "probe: cannot list the interfaces: %s\n", strerror(-error));
		links_free(&all);
		return -1;
	}
	for (i = 0; i < all.count; i++)
		print_link(&all.at[i], &all, best_link(&all), addresses);
	freeifaddrs(addresses);
	links_free(&all);
	if (fflush(stdout) && errno != EPIPE) { /* a reader such as head may leave */
		fprintf(stderr, "probe: cannot print the list: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}
