/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks a claim, with the loss to the user if it does not hold. The including test prints the
 * counts.
 */
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
