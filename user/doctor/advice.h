/* SPDX-License-Identifier: GPL-2.0 */
/* What an interface is good for: which side of the gateway it is, and whether to watch it. */
#pragma once

#include "doctor/links.h"

#define ADVICE_TEXT 512

enum role {
	LINK_USELESS, /* nothing to see: down, the loopback, or an unknown link type */
	LINK_PART, /* member of a bond or team: carries only some packets */
	LINK_WAN, /* has a default route */
	LINK_LAN, /* has neighbours or addresses, and no default route */
	LINK_OTHER, /* may be watched, but it is neither side, such as a port of a bridge */
};

/*
 * Returns the role of a link. Stores in text, of ADVICE_TEXT bytes, what it is good for, and which
 * interface to watch instead if there is a better one.
 */
enum role advise(char *text, const struct link *l, const struct links *all);

/*
 * Returns the interface that is best watched: the LAN side with the most neighbours, or the WAN
 * side if there is no other. Returns NULL if there is none.
 */
const struct link *best_link(const struct links *all);

/* Returns what the link is, such as "vlan 7", "bridge", "wireguard", or "ethernet". */
const char *link_kind(const struct link *l);

/* Returns true if the probe can parse the packets of this link type. */
bool link_is_understood(const struct link *l);
