/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checks of --doctor. Each prints remarks on the sheet, changes nothing, and works without
 * privileges as far as the kernel allows.
 */
#pragma once

#include "doctor/links.h"
#include "doctor/sheet.h"
#include "options.h"

/* Kernel, BTF, JIT, and lockdown. */
void check_kernel(struct sheet *s);

/* Capabilities, limits, and containers. Returns true if a run may load its programs. */
bool check_rights(struct sheet *s);

void check_link(struct sheet *s, const struct link *l, const struct links *all);

/* Programs on the hooks of the interface, and its XDP program. */
void check_hooks(struct sheet *s, const struct link *l, enum hook_kind wanted);

void check_offloads(struct sheet *s, const struct link *l);

/* Forwarding, connection tracking, NAT, IPsec. */
void check_nat(struct sheet *s, const struct link *l, const struct links *all);

/*
 * Runs the probe on the interface for some seconds, if may_run, and reports the packets that it saw
 * and those that this host dropped. It drops the privileges of this process: call it last.
 */
void check_packets(struct sheet *s, const struct link *l, const struct options *o, bool may_run);

/* Returns the number in a file below /proc or /sys, or -1 if it cannot be read. */
long read_number(const char *path);
