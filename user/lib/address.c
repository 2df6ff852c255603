// SPDX-License-Identifier: GPL-2.0
#include "lib/address.h"

#include <string.h>

bool same_address(const struct endpoint *a, const struct endpoint *b)
{
	return !memcmp(&a->address, &b->address, sizeof(a->address)) &&
	       !memcmp(a->vlan, b->vlan, sizeof(a->vlan));
}

bool is_zero_address(const struct address *a)
{
	return !a->word[0] && !a->word[1] && !a->word[2] && !a->word[3];
}

void prefix_of(struct address *out, const struct address *a, unsigned int bits)
{
	/* IPv4 addresses are IPv4-mapped: their prefix follows 96 fixed bits (RFC 4291 2.5.5.2) */
	unsigned int i, first = is_ip4(a) ? 96 : 0;

	*out = *a;
	for (i = first + bits; i < 128; i++)
		((uint8_t *)out)[i / 8] &= ~(0x80 >> i % 8);
}

bool in_prefix(const struct address *a, const struct address *prefix, unsigned int bits)
{
	struct address masked;

	if (is_ip4(a) != is_ip4(prefix))
		return false;
	prefix_of(&masked, a, bits);
	return !memcmp(&masked, prefix, sizeof(masked));
}

unsigned int network_bits(const struct address *a)
{
	return is_ip4(a) ? 24 : 64;
}
