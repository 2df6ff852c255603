/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the vendors of MAC addresses, from the registries of the IEEE (Debian: ieee-data). The
 * files are opened before the process gives up its privileges, and read when the run has ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_VENDORS_FOLDER "/usr/share/ieee-data"
#define MAC_VENDOR_NAME 40 /* bytes of a name, with the final zero; longer names are cut */

struct mac_vendors;

/* Opens the registries in the folder. Returns NULL if there is none, or when out of memory. */
struct mac_vendors *mac_vendors_open(const char *folder);
void mac_vendors_close(struct mac_vendors *v);

/*
 * Reads the registries, once. Malformed lines are left out. Returns false, with no names, when out
 * of memory.
 */
bool mac_vendors_read(struct mac_vendors *v);

/* Returns the vendor's name in UTF-8, unescaped; NULL if it is unknown, or v is NULL. */
const char *mac_vendor(const struct mac_vendors *v, const uint8_t mac[6]);

/*
 * Returns true if the address was not assigned by a vendor: its "locally administered" bit is set,
 * as in the private addresses of phones and in virtual machines (IEEE 802 8.4).
 */
static inline bool mac_is_private(const uint8_t mac[6])
{
	return mac[0] & 2;
}
