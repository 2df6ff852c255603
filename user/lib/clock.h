/* SPDX-License-Identifier: GPL-2.0 */
/* Reads the system's clocks, in nanoseconds. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000U + t.tv_nsec;
}

/*
 * Returns the time of CLOCK_MONOTONIC, which the hooks use as well (bpf_ktime_get_ns()). It ignores
 * changes of the time of day, and stands still while the machine is suspended.
 */
static inline uint64_t monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}
