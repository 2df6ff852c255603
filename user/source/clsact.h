/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attaches filters to the clsact qdisc of an interface, beside the filters of other programs. See
 * tc-bpf(8), and net/sched/sch_ingress.c and cls_bpf.c of the kernel.
 *
 * Unlike a TCX link, a filter outlives its process. So a filter identifies its owner by priority,
 * program name, and a handle that is the process id. A flag in the handle shows that a probe
 * created the qdisc.
 *
 * While the owner runs, it holds an abstract socket named after the handle. The kernel closes the
 * socket however the process ends, and the name is visible in every pid namespace. A filter without
 * such a socket was left by a killed run. Each probe that attaches copies the flag from the other
 * filters, so that the last probe removes the qdisc.
 */
#pragma once

#include <stddef.h>

#include "session.h"

struct clsact {
	int ifindex;
	uint32_t handle; /* handle of this process's filters */
	bool made; /* a probe created the qdisc */
	bool attached[DIRECTIONS];
	int owner; /* the owner's socket; -1 if not attached */
};

#define CLSACT_NONE ((struct clsact){ .owner = -1 })

/*
 * Attaches the programs; program[] may be -1 for a direction. Returns 0, or a negative errno with
 * nothing attached. *tried then names the step that failed.
 */
int clsact_attach(struct clsact *c, int ifindex, const int program[DIRECTIONS], const char **tried);

/*
 * Removes this process's filters. Also removes the qdisc if a probe created it and it has no other
 * filters. Does nothing if c is not attached.
 */
void clsact_detach(struct clsact *c);

/*
 * Removes the filters that killed runs left. Stores the number of filters removed, and whether the
 * qdisc was removed as well. Returns 0 or a negative errno.
 */
int clsact_reap(int ifindex, int *filters, bool *qdisc);

/*
 * Lists the filters that run before ours, or all filters if c is not attached, as in "bpf
 * mirror:[12] (priority 1), ...". Returns their number, or a negative errno. Sets *ours_missing if
 * another process removed our filter.
 */
int clsact_others(const struct clsact *c, int ifindex, int direction, char *text, size_t size,
		  bool *ours_missing);
