/* SPDX-License-Identifier: GPL-2.0 */
/* The capabilities of this process: which are missing, and giving up those no longer needed. See capabilities(7). */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A set of capabilities is a mask. */
#define CAP_MASK(capability) (UINT64_C(1) << (capability))

/* The capabilities among `of` that are not effective. */
uint64_t privileges_missing(uint64_t of);

/* Prints one line: "this takes CAP_BPF, ...; missing here: ...", and one that says how to get them. */
void privileges_print_needed(FILE *out, uint64_t needed);

/*
 * Gives up, for good and with no_new_privs, the capabilities that the run no longer needs. Keeps those
 * in `keep`, and the smallest set of others with which works() returns true; works may be NULL.
 * Kernels differ in what they require, so sets are tried in turn. Then installs the system call filter `what`,
 * see seccomp_filter.h. A step that the kernel refuses is reported on standard error, and the run
 * goes on.
 */
void privileges_drop(uint64_t keep, bool (*works)(void *context), void *context, unsigned int what,
		     bool verbose);
