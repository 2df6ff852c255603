/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attaches programs to an interface. TCX is preferred (kernel 6.6): its links end with the process,
 * even after SIGKILL, and our programs run first. Otherwise clsact is used, beside the filters of
 * other programs.
 */
#pragma once

#include "source/clsact.h"
#include "options.h"

struct hook {
	const char *name; /* "tcx" or "clsact" */
	/* why TCX is not used; NULL if it is used or was excluded by an option */
	const char *not_tcx;
	int ifindex;
	int tcx[DIRECTIONS]; /* descriptors of the TCX links, or -1 */
	struct clsact clsact;
};

/*
 * Attaches the programs to an interface. program[] has descriptors, or -1 for no program in that
 * direction. Returns 0, or -1 after an error message, with nothing attached.
 */
int hook_attach(struct hook *h, const char *iface, int ifindex, enum hook_kind kind,
		const int program[DIRECTIONS]);

/* Detaches a hook. Does nothing if it is not attached. */
void hook_detach(struct hook *h);

/*
 * Removes the filters and qdiscs that killed runs left on these interfaces, and prints each. If
 * count is 0, all interfaces of this network namespace are cleaned up. Returns 0, or -1 after an
 * error message.
 */
int hook_cleanup(const char *const *ifaces, unsigned int count);

/*
 * Explains in one or two sentences why packets may not reach the hook in this direction, and how to
 * avoid that. xdp is as in struct netdev_state.
 */
void hook_explain_blind(const struct hook *h, const char *iface, int direction, uint32_t xdp,
			char *text, size_t size);

/* Initialiser of a hook that is not attached. */
#define HOOK_NONE ((struct hook){ .tcx = { -1, -1 }, .clsact = CLSACT_NONE })
