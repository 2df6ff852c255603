/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copies a packet to memory of its exact size, so that the sanitizer finds a read of one byte too
 * many. The caller frees the copy.
 */
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
