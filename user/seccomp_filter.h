/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system call filter of a run, see seccomp(2). It is installed once all files are open and all
 * programs are attached. From then on the process cannot start programs, open files or connections,
 * or trace processes. This holds even if a crafted packet or capture takes control of it.
 *
 * A refused call fails with ENOSYS and the run continues: C libraries differ in the calls they use,
 * and fall back to an older call after ENOSYS. The kernel logs each refusal (audit, type 1326).
 */
#pragma once

#include <stdbool.h>

enum {
	SECCOMP_CAPTURE = 1, /* read open files */
	SECCOMP_LIVE = 2, /* read maps, query the kernel over netlink */
	SECCOMP_FILTERS = 4, /* in addition: attach hooks to an interface, remove filters */
};

/*
 * Installs the filter irrevocably. `what` is a mask of SECCOMP_... Returns false, with errno, if
 * the kernel or a tracer forbids it.
 */
bool seccomp_enter(unsigned int what);

/* False in builds for sanitizers and valgrind, whose own system calls the filter would refuse. */
extern const bool seccomp_is_built;
