/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attaches programs to an interface. TCX is preferred (kernel 6.6): its links end with the process,
 * even after SIGKILL, and ours run first. Otherwise clsact, beside other filters.
 */
#pragma once

#include "source/clsact.h"
#include "options.h"

struct hook {
	const char *name; /* "tcx" or "clsact" */
	const char *not_tcx; /* why TCX is not used although it was not excluded, or NULL */
	int ifindex;
	int tcx[DIRECTIONS]; /* descriptors of the links, or -1 */
	struct clsact clsact;
};

/*
 * program: descriptors, or -1 for no program in that direction. Returns 0; or -1 after it has printed
 * why on standard error, with nothing attached.
 */
int hook_attach(struct hook *h, const char *iface, int ifindex, enum hook_kind kind,
		const int program[DIRECTIONS]);

/* Does nothing to a hook that is not attached. */
void hook_detach(struct hook *h);

/*
 * Removes what killed runs left on these interfaces, or on all interfaces of this network namespace
 * if count is 0, and prints what it removed. Returns 0; or -1 after it has printed why.
 */
int hook_cleanup(const char *const *ifaces, unsigned int count);

/*
 * Explains in one or two sentences why no packet may reach the hook in this direction, and what can
 * be done about it. xdp: see struct netdev_state.
 */
void hook_explain_blind(const struct hook *h, const char *iface, int direction, uint32_t xdp,
			char *text, size_t size);

/* A hook that is not attached. */
#define HOOK_NONE ((struct hook){ .tcx = { -1, -1 }, .clsact = CLSACT_NONE })
