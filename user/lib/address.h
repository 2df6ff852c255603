/* SPDX-License-Identifier: GPL-2.0 */
/* Comparisons of addresses and prefixes, for IPv4 and IPv6 alike. */
#pragma once

#include <stdbool.h>

#include "connection.h"

/* Compares the address and the VLANs of two endpoints, not their ports. */
bool same_address(const struct endpoint *a, const struct endpoint *b);

/* All bits are zero: the unspecified address, or a selector's mask that was not given. */
bool is_zero_address(const struct address *a);

/*
 * Clears all bits behind the first `bits` of the address. bits: at most 32 for IPv4, 128 for IPv6.
 */
void prefix_of(struct address *out, const struct address *a, unsigned int bits);

/* An IPv4 address never lies in an IPv6 prefix, nor the reverse. */
bool in_prefix(const struct address *a, const struct address *prefix, unsigned int bits);
