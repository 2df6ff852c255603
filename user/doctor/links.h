/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All interfaces of this network namespace: how they are connected to each other, how many
 * neighbours each has, and which has a default route.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link {
	int index;
	char name[IFNAMSIZ];
	char kind[IFNAMSIZ]; /* "vlan", "bridge", "wireguard", ...; "" for hardware */
	unsigned short type; /* ARPHRD_... */
	bool is_up; /* administratively up */
	bool has_carrier;
	bool is_loopback;
	unsigned int mtu; /* bytes */
	int master; /* index of the bond, bridge, team or VRF that it is a member of, or 0 */
	int lower; /* index of the interface below, such as a VLAN's trunk, or 0 */
	unsigned int vlan; /* with the kind "vlan" */
	unsigned int neighbours; /* in the neighbour table, without those that failed */
	bool has_default_route; /* IPv4 or IPv6, in any routing table */
	bool has_address; /* beyond link-local scope */
	bool has_private_address; /* see is_private() */
};

struct links {
	struct link *at;
	size_t count;
};

/* Reads all links. Returns 0, or a negative errno. The caller frees them by links_free(). */
int links_read(struct links *all);
void links_free(struct links *all);

/* Returns NULL if there is no such link. */
const struct link *links_by_index(const struct links *all, int index);
const struct link *links_by_name(const struct links *all, const char *name);
