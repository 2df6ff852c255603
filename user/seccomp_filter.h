/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What may this process still ask of the kernel? Once all files are open and all programs attached,
 * only the system calls that such a run makes: no other program, no file, no connection, no trace of
 * another process. What a packet or a capture could make of this process ends there. See seccomp(2).
 *
 * A call that is refused fails with ENOSYS, and the run goes on: a report must not die in an incident
 * for a C library that asks in another way, and to ENOSYS it answers by the older call. The kernel's
 * log has each (audit, type 1326).
 */
#pragma once

#include <stdbool.h>

enum {
	SECCOMP_CAPTURE = 1, /* reads open files */
	SECCOMP_LIVE = 2, /* reads maps, asks the kernel by netlink */
	SECCOMP_FILTERS = 4, /* as well: puts hooks on an interface, or takes filters away */
};

/* For good. False, with the reason in errno, where this kernel or a tracer does not let it. */
bool seccomp_enter(unsigned int what);

/* False when it was built without, for sanitizers and valgrind, whose own calls it would refuse. */
extern const bool seccomp_is_built;
