/* SPDX-License-Identifier: GPL-2.0 */
/* A packet in memory of just its size, so that the sanitizer sees one byte too far. To be freed. */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint8_t *exact_copy(const uint8_t *bytes, size_t length)
{
	uint8_t *exact = malloc(length ? length : 1);

	if (!exact)
		abort();
	memcpy(exact, bytes, length);
	return exact;
}
