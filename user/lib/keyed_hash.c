// SPDX-License-Identifier: GPL-2.0
#include "lib/keyed_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

uint64_t hash_secret[2 + HASH_BLOCK_WORDS];

static void __attribute__((constructor)) choose_secret(void)
{
	/* cannot fail: so few bytes are never interrupted, and libbpf needs newer kernels */
	if (getrandom(hash_secret, sizeof(hash_secret), 0) == sizeof(hash_secret))
		return;
	fprintf(stderr, "probe: no random numbers from getrandom()\n");
	exit(EXIT_FAILURE);
}
