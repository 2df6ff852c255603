/* SPDX-License-Identifier: GPL-2.0 */
/* Which capabilities does this process have, and which does it still need? See capabilities(7). */
#pragma once

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A set of capabilities is a mask. */
#define CAP_MASK(capability) (UINT64_C(1) << (capability))

uint64_t privileges_missing(uint64_t of);

/* "this takes CAP_BPF and ...", and how to come by it. A line. */
void privileges_print_needed(FILE *out, uint64_t needed);

/*
 * Gives up for good, with no_new_privs, what the run does not need any more: keeps those of `keep`,
 * and of the rest the least with which works() says yes, if there is one. Kernels differ in what they
 * ask for, so it is tried. Then the system calls: `what` is of sandbox.h. Where these cannot be given
 * up it says so, and goes on.
 */
void privileges_drop(uint64_t keep, bool (*works)(void *context), void *context, unsigned int what,
		     bool verbose);
