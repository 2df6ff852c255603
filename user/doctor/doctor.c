// SPDX-License-Identifier: GPL-2.0
#include "doctor/doctor.h"

#include <stdio.h>
#include <unistd.h>

#include "host/netdev.h"
#include "lib/format.h"
#include "options.h"

int doctor_run(const char *iface, const struct options *o)
{
	struct netdev_state state;
	struct netdev device;

	(void)o;
	if (netdev_find(&device, iface) || netdev_query(&state, device.index, NULL))
		return -1;
	printf("%s: link type %s, %s\n", format_name(iface), device.link,
	       state.up ? "up" : "down: no packets pass");
	printf("BTF of the kernel: %s\n",
	       access("/sys/kernel/btf/vmlinux", R_OK) ? "missing; probe cannot load" : "present");
	return 0;
}
