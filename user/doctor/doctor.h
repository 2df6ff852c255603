/* SPDX-License-Identifier: GPL-2.0 */
/* Checks what a run on an interface would need and see, without a run. */
#pragma once

struct options;

/*
 * Prints what a run on this interface needs and sees, in words with what to do, for --doctor. It
 * runs the probe for two seconds (or --duration), and changes nothing. The output has no addresses
 * and no names of hosts. Returns 0, or -1 if something prevents or blinds a run.
 */
int doctor_run(const char *iface, const struct options *o);
