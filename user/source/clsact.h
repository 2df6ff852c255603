/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Our filters on an interface's clsact qdisc, beside other people's (tc-bpf(8); the kernel's
 * net/sched/sch_ingress.c and cls_bpf.c).
 *
 * Unlike a TCX link a filter outlives its process. So it says whose it is: our priority and program
 * name, and a handle that is the process id, with a mark when the qdisc is of our making. While the
 * owner lives it holds an abstract socket of the handle's name, which the kernel closes however it
 * ends, and which is seen from every pid namespace. Who finds such a filter without its socket has
 * found what SIGKILL left. The mark passes from probe to probe, so that the last one removes the
 * qdisc.
 */
#pragma once

#include <stddef.h>

#include "session.h"

struct clsact {
	int ifindex;
	uint32_t handle; /* of our filters */
	bool made; /* the qdisc is of our making, or of another probe's */
	bool attached[DIRECTIONS];
	int owner; /* the socket, or -1 */
};

#define CLSACT_NONE ((struct clsact){ .owner = -1 })

/* 0 or a negative errno, which leaves nothing attached; *tried says at what. */
int clsact_attach(struct clsact *c, int ifindex, const int program[DIRECTIONS], const char **tried);

/*
 * Of what was never attached it does nothing. The qdisc goes when it is of our making and nobody
 * uses it any more.
 */
void clsact_detach(struct clsact *c);

/*
 * Removes what dead probes left: *filters of them, and the qdisc when *qdisc. 0 or a negative
 * errno.
 */
int clsact_reap(int ifindex, int *filters, bool *qdisc);

/*
 * Writes down the filters in front of ours, or all when we have none, as "bpf mirror:[12] (priority
 * 1), ..."; how many they are, or a negative errno. *ours_missing: somebody removed our filter.
 */
int clsact_others(const struct clsact *c, int ifindex, int direction, char *text, size_t size,
		  bool *ours_missing);
