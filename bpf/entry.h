/* SPDX-License-Identifier: GPL-2.0 */
/* What an element of the kernel's map of flows holds, for the hooks and for whoever reads the map. */
#pragma once

#include "record.h"
#ifndef __bpf__
#include <linux/bpf.h>
#endif

struct flow_entry {
	struct flow flow;
	struct bpf_spin_lock lock; /* held for a claim alone */
	__u32 claimed; /* when somebody began to take it out, in units of 2^20 ns; or 0 */
};
