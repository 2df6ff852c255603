/* SPDX-License-Identifier: GPL-2.0 */
/* Network namespaces, see network_namespaces(7). */
#pragma once

/*
 * Moves this process into a network namespace: a name that `ip netns` shows, or a process id. Returns
 * 0; or -1 after it has printed why on standard error.
 */
int netns_enter(const char *name_or_pid);
