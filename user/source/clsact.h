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

#define CLSACT_MAX_NAME 64
#define CLSACT_MAX_FILTERS 256

struct clsact_filter {
	uint32_t handle;
	uint32_t priority;
	char kind[16]; /* "bpf", "flower", ... */
	char name[CLSACT_MAX_NAME]; /* of a BPF program, as its owner named it */
	uint32_t program; /* id of a BPF program, or 0 */
	bool ours; /* a probe attached it */
};

/* The filters of one direction, in the order in which they run. */
struct clsact_filters {
	struct clsact_filter at[CLSACT_MAX_FILTERS];
	int count;
	bool others; /* other programs have filters, in at[] or beyond its end */
	int direction;
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

/* Lists the filters of a direction. Returns 0 or a negative errno. */
int clsact_list(int ifindex, int direction, struct clsact_filters *all);

/*
 * Stores the kind of the qdisc that holds the filters: "clsact", "ingress", or "" if there is none.
 * Returns 0 or a negative errno.
 */
int clsact_qdisc(int ifindex, char kind[CLSACT_MAX_NAME]);

/* Returns true if the filter runs before those of a probe. */
bool clsact_runs_before(const struct clsact_filter *f);

/* Returns true if a run that was killed left this filter. */
bool clsact_is_leftover(int ifindex, const struct clsact_filter *f);
