/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system call filter of a run, see seccomp(2). It is installed once all files are open and all
 * programs attached. From then on the process can start no program, open no file or connection and
 * trace no process, whatever a packet or a capture makes it do.
 *
 * A refused call fails with ENOSYS and the run goes on: C libraries differ in the calls they use, and
 * fall back to an older one after ENOSYS. The kernel logs each refusal (audit, type 1326).
 */
#pragma once

#include <stdbool.h>

enum {
	SECCOMP_CAPTURE = 1, /* read files that are open */
	SECCOMP_LIVE = 2, /* read maps, query the kernel over netlink */
	SECCOMP_FILTERS = 4, /* in addition: attach hooks to an interface, remove filters */
};

/* Irrevocable. `what` is a mask. Returns false, with errno, if the kernel or a tracer forbids it. */
bool seccomp_enter(unsigned int what);

/* False in builds for sanitizers and valgrind, whose own system calls the filter would refuse. */
extern const bool seccomp_is_built;
