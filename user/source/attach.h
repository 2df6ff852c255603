/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where on an interface do our programs run? TCX where the kernel has it (6.6): its links vanish
 * with the process, even by SIGKILL, and ours stand first. Else clsact, beside others' filters.
 */
#pragma once

#include "source/clsact.h"
#include "options.h"

struct hook {
	const char *name; /* "tcx" or "clsact" */
	const char *not_tcx; /* why it is clsact although nobody asked for that, or NULL */
	int ifindex;
	int tcx[DIRECTIONS]; /* links, or -1 */
	struct clsact clsact;
};

/* program -1: none in that direction. 0; or -1, said on standard error, which leaves nothing attached. */
int hook_attach(struct hook *h, const char *iface, int ifindex, enum hook_kind kind,
		const int program[DIRECTIONS]);

/* Of what was never attached it does nothing. */
void hook_detach(struct hook *h);

/*
 * Removes what killed runs left on these interfaces, or on all of this network namespace when count
 * is 0, and says so. 0; or -1, said on standard error.
 */
int hook_cleanup(const char *const *ifaces, unsigned int count);

/*
 * Why may no packet reach us in this direction, and what can be done? A sentence or two, as far as
 * this can be asked; xdp as in struct netdev_state.
 */
void hook_explain_blind(const struct hook *h, const char *iface, int direction, uint32_t xdp,
			char *text, size_t size);

/* Attached to nothing. */
#define HOOK_NONE ((struct hook){ .tcx = { -1, -1 }, .clsact = CLSACT_NONE })
