/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checks the capabilities of this process, see capabilities(7), and drops those that the run no
 * longer needs.
 */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A set of capabilities is a mask of these bits. */
#define CAP_MASK(capability) (UINT64_C(1) << (capability))

/* Returns the capabilities in the set `of` that are not effective. */
uint64_t privileges_missing(uint64_t of);

/*
 * Returns true in a rootless container: its root has all capabilities, but only in its own
 * namespace.
 */
bool privileges_are_namespaced(void);

/*
 * Prints which capabilities are needed and which are missing. A second line explains how to get
 * them.
 */
void privileges_print_needed(FILE *out, uint64_t needed);

/*
 * Drops, for good and with no_new_privs, the capabilities that the run no longer needs. Keeps the
 * set `keep`, and the smallest set of others with which works() returns true; works may be NULL.
 * Kernels differ in the capabilities that they require, so sets are tried in turn.
 *
 * Then installs the system call filter `what`, see seccomp_filter.h. If the kernel refuses a step,
 * an error is printed on standard error and the run continues.
 */
void privileges_drop(uint64_t keep, bool (*works)(void *context), void *context, unsigned int what,
		     bool verbose);
