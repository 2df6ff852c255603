/* SPDX-License-Identifier: GPL-2.0 */
/* Enters another network namespace, see network_namespaces(7). */
#pragma once

/*
 * Moves this process into a network namespace, given as a name that `ip netns` shows or as a
 * process id. Returns 0, or -1 after an error message.
 */
int netns_enter(const char *name_or_pid);
