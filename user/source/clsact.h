/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Filters of probe on the clsact qdisc of an interface, beside the filters of others. See tc-bpf(8),
 * and net/sched/sch_ingress.c and cls_bpf.c of the kernel.
 *
 * Unlike a TCX link, a filter outlives its process. It therefore identifies its owner: by priority,
 * program name, and a handle that is the process id. A bit of the handle marks that probe created the
 * qdisc. While the owner lives it holds an abstract socket named after the handle. The kernel closes
 * the socket however the process ends, and it is visible from every pid namespace; so a filter
 * without its socket was left by a killed run. Each probe that attaches adopts the mark of the
 * others, so that the last one removes the qdisc.
 */
#pragma once

#include <stddef.h>

#include "session.h"

struct clsact {
	int ifindex;
	uint32_t handle; /* of this process's filters */
	bool made; /* a probe created the qdisc */
	bool attached[DIRECTIONS];
	int owner; /* the socket; -1: not attached */
};

#define CLSACT_NONE ((struct clsact){ .owner = -1 })

/*
 * Returns 0; or a negative errno, with nothing attached. *tried names the step that failed. program
 * may be -1 for a direction.
 */
int clsact_attach(struct clsact *c, int ifindex, const int program[DIRECTIONS], const char **tried);

/*
 * Removes this process's filters, and the qdisc if a probe created it and it has no other filters.
 * Does nothing if c is not attached.
 */
void clsact_detach(struct clsact *c);

/*
 * Removes what killed runs left. *filters is the number of filters removed; *qdisc says whether the
 * qdisc was removed as well. Returns 0 or a negative errno.
 */
int clsact_reap(int ifindex, int *filters, bool *qdisc);

/*
 * Lists the filters that run before ours, or all if c is not attached: "bpf mirror:[12] (priority 1),
 * ...". Returns their number, or a negative errno. *ours_missing: another process removed our filter.
 */
int clsact_others(const struct clsact *c, int ifindex, int direction, char *text, size_t size,
		  bool *ours_missing);
