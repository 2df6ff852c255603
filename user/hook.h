/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where on an interface do our programs run? TCX where the kernel has it (6.6): its links vanish
 * with the process, even by SIGKILL. Else clsact, beside others' filters.
 */
#pragma once

#include <stdbool.h>

enum { INGRESS, EGRESS, DIRECTIONS };

struct hook {
	const char *name; /* "tcx" or "clsact" */
	int ifindex;
	int tcx[DIRECTIONS]; /* links, or -1 */
	bool clsact[DIRECTIONS];
};

/* A negative errno leaves nothing attached. */
int hook_attach(struct hook *h, int ifindex, const int program[DIRECTIONS]);

/* Of what was never attached it does nothing. */
void hook_detach(struct hook *h);

/* Attached to nothing. */
#define HOOK_NONE ((struct hook){ .tcx = { -1, -1 } })
