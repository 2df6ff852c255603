/* SPDX-License-Identifier: GPL-2.0 */
/* The list of interfaces of -D. */
#pragma once

/*
 * Prints the interfaces of this network namespace with their addresses, for -D. Returns 0, or -1
 * after an error message.
 */
int interfaces_list(void);
