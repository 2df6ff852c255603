/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interim reports, on SIGUSR1. A child process takes a copy of everything that was measured so far,
 * ends that copy as if the run ended now, prints the report, and exits. The parent goes on
 * measuring: its state is not touched, and it does not wait.
 */
#pragma once

#include <stdbool.h>

/* Catches SIGUSR1. Call it before the run: a signal that comes earlier is answered later. */
void interim_init(void);

/* Returns true if a report is wanted, and none is being printed. */
bool interim_is_due(void);

/*
 * Forks, unless earlier output is still unread. Returns true in the child, which must not change what it shares with its parent: maps,
 * rings, hooks, sockets and files. In the parent, screen output is held back until the child has
 * ended. Call it while no stream has buffered output.
 */
bool interim_fork(void);

/* Call it several times a second: lets the screen go on after the child has ended. */
void interim_poll(void);

/* Waits until the child has ended, or until a second signal ends the run. */
void interim_wait(void);
