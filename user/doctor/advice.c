// SPDX-License-Identifier: GPL-2.0
#include "doctor/advice.h"

#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/format.h"

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *text, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, ADVICE_TEXT - used, format, arguments);
	va_end(arguments);
}

static bool is_kind(const struct link *l, const char *kind)
{
	return !strcmp(l->kind, kind);
}

bool link_is_understood(const struct link *l)
{
	switch (l->type) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
	case ARPHRD_NONE:
	case ARPHRD_PPP:
	case ARPHRD_RAWIP:
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case 823: /* ARPHRD_IP6GRE, missing in the C library's header */
		return true;
	default:
		return false;
	}
}

const char *link_kind(const struct link *l)
{
	static char text[IFNAMSIZ + 16];

	if (is_kind(l, "vlan"))
		snprintf(text, sizeof(text), "vlan %u", l->vlan);
	else if (l->kind[0])
		snprintf(text, sizeof(text), "%s", l->kind);
	else if (l->type == ARPHRD_ETHER)
		return "ethernet";
	else if (l->type == ARPHRD_PPP)
		return "ppp";
	else if (l->is_loopback)
		return "loopback";
	else
		snprintf(text, sizeof(text), "link type %u", l->type);
	return text;
}

static bool is_tunnel(const struct link *l)
{
	return is_kind(l, "wireguard") || is_kind(l, "tun") || l->type == ARPHRD_PPP ||
	       (l->type != ARPHRD_ETHER && !l->is_loopback);
}

/* Appends the names of the links whose master, or link below, is this one: at most 4 names. */
static unsigned int append_related(char *text, const struct link *l, const struct links *all,
				   bool members)
{
	const struct link *other;
	unsigned int count = 0;

	for (other = all->at; other < all->at + all->count; other++) {
		if ((members ? other->master : other->lower) != l->index)
			continue;
		if (++count <= 4)
			append(text, "%s%s", count > 1 ? ", " : "", format_name(other->name));
	}
	if (count > 4)
		append(text, " and %u more", count - 4);
	return count;
}

static bool has_upper_vlan(const struct link *l, const struct links *all)
{
	size_t i;

	for (i = 0; i < all->count; i++)
		if (all->at[i].lower == l->index && is_kind(&all->at[i], "vlan"))
			return true;
	return false;
}

/* Describes a member of a bond, team, bridge or VRF. Returns false if l is none. */
static bool advise_member(char *text, const struct link *l, const struct links *all,
			  enum role *role)
{
	const struct link *master = l->master ? links_by_index(all, l->master) : NULL;

	if (!master || is_kind(master, "vrf"))
		return false;
	append(text, "member of %s: watch %s", format_name(master->name),
	       format_name(master->name));
	*role = is_kind(master, "bridge") ? LINK_OTHER : LINK_PART;
	if (*role == LINK_OTHER)
		append(text, ", or this one for the hosts behind this port only");
	else
		append(text, ", since this one carries only some of its packets");
	return true;
}

static void append_neighbours(char *text, const struct link *l)
{
	if (l->neighbours)
		append(text, "%u neighbour%s", l->neighbours, plural(l->neighbours));
	else
		append(text, "no neighbours now");
}

/* Appends how this link is related to those below and above it. */
static void append_relations(char *text, const struct link *l, const struct links *all)
{
	const struct link *lower = l->lower ? links_by_index(all, l->lower) : NULL;
	const struct link *master = l->master ? links_by_index(all, l->master) : NULL;

	if (master)
		append(text, "; in %s %s", master->kind, format_name(master->name));
	if (lower && is_kind(l, "vlan"))
		append(text, "; VLAN %u of %s", l->vlan, format_name(lower->name));
	else if (lower)
		append(text, "; on %s", format_name(lower->name));
	if (is_kind(l, "bridge") || is_kind(l, "bond") || is_kind(l, "team")) {
		append(text, "; members: ");
		if (!append_related(text, l, all, true))
			append(text, "none");
	}
	if (has_upper_vlan(l, all)) {
		append(text, "; shows the VLANs of ");
		append_related(text, l, all, false);
		append(text, " as well, tagged");
	}
}

static enum role side_of(const struct link *l)
{
	if (l->has_default_route)
		return LINK_WAN;
	return l->neighbours || l->has_address || is_kind(l, "bridge") ? LINK_LAN : LINK_OTHER;
}

static void append_side(char *text, const struct link *l, enum role role)
{
	switch (role) {
	case LINK_WAN:
		append(text, "WAN side: default route");
		break;
	case LINK_LAN:
		if (is_tunnel(l)) {
			append(text, "tunnel: the connections inside it");
			break;
		}
		if (is_kind(l, "bridge") && !l->has_address) {
			append(text, "bridge without an address: what passes between its ports");
			break;
		}
		append(text, "LAN side: ");
		append_neighbours(text, l);
		break;
	default:
		append(text,
		       "no address, no route and no neighbours here: a mirror port, or unused");
		break;
	}
}

/* Returns LINK_USELESS with a reason if nothing can be seen on the link, else LINK_OTHER. */
static enum role advise_useless(char *text, const struct link *l)
{
	if (l->is_loopback)
		append(text, "loopback: nothing to see but this host's own services");
	else if (!link_is_understood(l))
		append(text,
		       "link type %u (ARPHRD) is not understood: watch the interface below or above it",
		       l->type);
	else if (is_kind(l, "vrf"))
		append(text, "VRF: watch its members");
	else if (!l->is_up)
		append(text, "down: nothing passes");
	else if (!l->has_carrier)
		append(text, "no carrier: nothing passes; check the cable, or the other end");
	else
		return LINK_OTHER;
	return LINK_USELESS;
}

enum role advise(char *text, const struct link *l, const struct links *all)
{
	enum role role;

	text[0] = '\0';
	role = advise_useless(text, l);
	if (role == LINK_USELESS || advise_member(text, l, all, &role))
		return role;
	role = side_of(l);
	if (is_kind(l, "wireguard"))
		append(text, "WireGuard: ");
	append_side(text, l, role);
	append_relations(text, l, all);
	return role;
}

/* Returns true if a is a better choice than b, whose roles these are. */
static bool is_better(const struct link *a, enum role role_a, const struct link *b,
		      enum role role_b)
{
	if (role_a != role_b)
		return role_a == LINK_LAN;
	if (a->neighbours != b->neighbours)
		return a->neighbours > b->neighbours;
	return a->has_private_address && !b->has_private_address;
}

const struct link *best_link(const struct links *all)
{
	const struct link *best = NULL, *l;
	enum role role, best_role = LINK_USELESS;
	char text[ADVICE_TEXT];

	for (l = all->at; l < all->at + all->count; l++) {
		role = advise(text, l, all);
		if (role != LINK_LAN && role != LINK_WAN)
			continue;
		if (!best || is_better(l, role, best, best_role)) {
			best = l;
			best_role = role;
		}
	}
	return best;
}
