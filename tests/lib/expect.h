/* SPDX-License-Identifier: GPL-2.0 */
/* A claim, and what the user would lose if it did not hold. The including test ends with the counts. */
#pragma once

#include <stdio.h>

static int passed, failed;

#define EXPECT(condition, otherwise)                                                        \
	do {                                                                                \
		if (condition) {                                                            \
			passed++;                                                           \
		} else {                                                                    \
			failed++;                                                           \
			printf("FAIL  line %d: %s (otherwise: %s)\n", __LINE__, #condition, \
			       otherwise);                                                  \
		}                                                                           \
	} while (0)
