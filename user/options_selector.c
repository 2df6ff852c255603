// SPDX-License-Identifier: GPL-2.0
#include "options_selector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/format.h"
#include "options_values.h"

#define MAX_ITEM 64

/*
 * Copies the next item of a comma-separated list, without its !. Returns the rest of the list, NULL
 * at its end. A longer item is truncated, and then is no valid one.
 */
static const char *next_item(const char *list, char item[MAX_ITEM], bool *is_excluded)
{
	size_t length;

	*is_excluded = *list == '!';
	list += *is_excluded;
	length = strcspn(list, ",");
	snprintf(item, MAX_ITEM, "%.*s", (int)length, list);
	return list[length] ? list + length + 1 : NULL;
}

/* Included networks stand before excluded ones: the first excluded one makes room. */
static void add_network(struct network_list *l, const struct network *n, bool is_excluded)
{
	if (is_excluded) {
		l->at[l->count++] = *n;
		return;
	}
	l->at[l->count++] = l->at[l->included];
	l->at[l->included++] = *n;
}

bool selector_add_networks(struct network_list *l, const char *text, char error[SELECTOR_ERROR])
{
	char item[MAX_ITEM];
	bool is_excluded;
	struct network n;

	while (text) {
		text = next_item(text, item, &is_excluded);
		if (!parse_network(item, &n)) {
			snprintf(error, SELECTOR_ERROR,
				 "%s: not an address or network like 10.1.4.0/24 or fd00::/8",
				 *item ? format_name(item) : "an item is empty");
			return false;
		}
		if (l->count == MAX_NETWORKS) {
			snprintf(error, SELECTOR_ERROR,
				 "%s: no more than %d networks; join neighbouring ones", item,
				 MAX_NETWORKS);
			return false;
		}
		add_network(l, &n, is_excluded);
	}
	return true;
}

static bool is_service_name(const char *item)
{
	return *item && !strpbrk(item, " /:") && item[strspn(item, "0123456789-")];
}

static bool service_port(struct selector_options *s, const char *name, uint16_t *port,
			 char error[SELECTOR_ERROR])
{
	if (!s->services)
		s->services = services_open(SERVICES_FILE);
	if (!s->services) {
		snprintf(error, SELECTOR_ERROR,
			 "%s: names of services are not known: %s: %s; give the number of the port",
			 format_name(name), SERVICES_FILE, strerror(errno));
		return false;
	}
	*port = services_port(s->services, name);
	if (*port)
		return true;
	snprintf(
		error, SELECTOR_ERROR,
		"%s: not a list of ports like 80,443,8000-8100: no TCP service of this name is in %s",
		format_name(name), SERVICES_FILE);
	return false;
}

bool selector_add_ports(struct selector_options *s, const char *text, char error[SELECTOR_ERROR])
{
	char item[MAX_ITEM];
	bool is_excluded;
	uint16_t first, last;
	uint32_t port;

	while (text) {
		text = next_item(text, item, &is_excluded);
		if (!parse_port_range(item, &first, &last)) {
			if (!is_service_name(item)) {
				snprintf(
					error, SELECTOR_ERROR,
					"%s: not a list of ports like 80,443,8000-8100, or names of services",
					*item ? format_name(item) : "an item is empty");
				return false;
			}
			if (!service_port(s, item, &first, error))
				return false;
			last = first;
		}
		for (port = first; port <= last; port++)
			(is_excluded ? s->no_ports : s->ports)[port >> 3] |= 1 << (port & 7);
		*(is_excluded ? &s->has_no_ports : &s->has_ports) = true;
	}
	return true;
}

/* Returns true if all addresses of `inner` are in `outer`. */
static bool network_covers(const struct network *outer, const struct network *inner)
{
	int i;

	for (i = 0; i < 4; i++)
		if (outer->mask.word[i] & ~inner->mask.word[i])
			return false;
	return !network_differs(outer, &inner->net, !inner->is_ip6);
}

/* Returns false if each included network is in an excluded one: only a whole run would show it. */
static bool networks_select_any(const struct network_list *l)
{
	uint32_t i, j;

	for (i = 0; i < l->included; i++) {
		for (j = l->included; j < l->count; j++)
			if (network_covers(&l->at[j], &l->at[i]))
				break;
		if (j == l->count)
			return true;
	}
	return !l->included;
}

/* Returns false if no port is left. */
static bool set_ports(struct selector *n, const struct selector_options *s)
{
	uint8_t any = 0;
	size_t i;

	n->by_port = s->has_ports || s->has_no_ports;
	for (i = 0; i < sizeof(n->ports); i++) {
		n->ports[i] = (s->has_ports ? s->ports[i] : 0xff) & ~s->no_ports[i];
		any |= n->ports[i] & (i ? 0xff : 0xfe); /* port 0 is no port */
	}
	return any;
}

const char *selector_finish(struct selector *n, struct selector_options *s)
{
	n->clients = s->clients;
	n->servers = s->servers;
	services_close(s->services);
	s->services = NULL;
	if (!set_ports(n, s))
		return "--port";
	if (!networks_select_any(&n->clients))
		return "--client";
	return networks_select_any(&n->servers) ? NULL : "--server";
}
