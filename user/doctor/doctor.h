/* SPDX-License-Identifier: GPL-2.0 */
/* Checks what a run on an interface would need and see, without a run. */
#pragma once

struct options;

/*
 * Prints what probe would find on this interface, for --doctor. Returns 0, or -1 after an error
 * message.
 */
int doctor_run(const char *iface, const struct options *o);
