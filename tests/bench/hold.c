// SPDX-License-Identifier: GPL-2.0
/*
 * Attaches the empty program to both hooks of an interface, as the probe attaches its own. All
 * results are compared with it.
 *
 *	hold IFACE
 *
 * Prints "ready" and stays attached until standard input ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "drive.h"
#include "drive.skel.h"
#include "source/attach.h"

int main(int argc, char **argv)
{
	int programs[DIRECTIONS], ifindex = argc == 2 ? if_nametoindex(argv[1]) : 0;
	struct drive_bpf *drive;
	struct hook hook;
	char byte;

	if (!ifindex) {
		fprintf(stderr, "usage: hold IFACE\n");
		return 2;
	}
	drive = drive_bpf__open_and_load();
	if (!drive) {
		perror("hold: the BPF object does not load");
		return 1;
	}
	programs[INGRESS] = programs[EGRESS] = bpf_program__fd(drive->progs.empty);
	if (hook_attach(&hook, argv[1], ifindex, HOOK_ANY, programs))
		return 1;
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	hook_detach(&hook);
	drive_bpf__destroy(drive);
	return 0;
}
