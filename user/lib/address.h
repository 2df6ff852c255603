/* SPDX-License-Identifier: GPL-2.0 */
/* Compares addresses and prefixes, for IPv4 and IPv6 alike. */
#pragma once

#include <stdbool.h>

#include "connection.h"

/* Returns true if address and VLANs are equal. Ignores the ports. */
bool same_address(const struct endpoint *a, const struct endpoint *b);

/* Returns true if all bits are zero: the unspecified address, or the mask of an absent selector. */
bool is_zero_address(const struct address *a);

/*
 * Copies an address and clears all bits after the first `bits`. bits is at most 32 for IPv4, 128
 * for IPv6.
 */
void prefix_of(struct address *out, const struct address *a, unsigned int bits);

/*
 * Returns true if the address is in the prefix. An IPv4 address is never in an IPv6 prefix, nor the
 * reverse.
 */
bool in_prefix(const struct address *a, const struct address *prefix, unsigned int bits);

/* Returns the length of the prefix that neighbours have in common: /24 for IPv4, /64 for IPv6. */
unsigned int network_bits(const struct address *a);
