/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parses values of options: numbers, durations, networks and ports. Each function accepts only text
 * that is such a value as a whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "selector.h"

/* A decimal number without a sign. */
bool parse_whole(const char *text, unsigned long *number);

/*
 * A number and a unit: ns, us, ms, s, m, h or d. Without a unit it is in seconds, and *has_unit is
 * false.
 */
bool parse_duration(const char *text, double *seconds, bool *has_unit);

/* An address, or a network like 10.1.4.0/24 or fd00::/8. Bits behind the prefix are ignored. */
bool parse_network(const char *text, struct network *n);

/* A port from 1 to 65535, or a range like 8000-8100. */
bool parse_port_range(const char *text, uint16_t *first, uint16_t *last);
