// SPDX-License-Identifier: GPL-2.0
/*
 * Drives the probe that runs on this host, at a connection rate that no real traffic here reaches.
 *
 *	rate CONNECTIONS_PER_SECOND SECONDS
 *
 * Finds the loaded program by its name and runs it on the segments of whole connections. The user
 * side of the probe must read a record for each. Prints the number of connections.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "drive.h"
#include "drive.skel.h"
#include "packet_script.h"

#define SLICE_NS (10 * MS)

static int probe_program(void)
{
	struct bpf_prog_info info;
	uint32_t id = 0, length;
	int fd, found = -1;

	while (!bpf_prog_get_next_id(id, &id)) {
		fd = bpf_prog_get_fd_by_id(id);
		if (fd < 0)
			continue;
		memset(&info, 0, sizeof(info));
		length = sizeof(info);
		if (!bpf_obj_get_info_by_fd(fd, &info, &length) &&
		    !strcmp(info.name, "probe_ingress"))
			found = fd; /* the latest program is this test's */
	}
	return found;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static struct tape tape;
	struct drive_bpf *drive = drive_bpf__open_and_load();
	int rate = argc == 3 ? atoi(argv[1]) : 0, slices = argc == 3 ? atoi(argv[2]) * 100 : 0;
	int program = probe_program(), each = rate / 100, i;
	uint32_t zero = 0;
	uint64_t next;

	if (each < 1 || slices < 1) {
		fprintf(stderr, "usage: rate CONNECTIONS_PER_SECOND SECONDS\n");
		return 2;
	}
	if (!drive || program < 0 ||
	    bpf_map_update_elem(bpf_map__fd(drive->maps.target), &zero, &program, BPF_ANY)) {
		perror("rate: no probe to drive");
		return 1;
	}
	tape_start(&tape);
	tcp(&tape, 0, CLIENT, TCP_ACK, 1, 1, 64);
	memcpy(drive->bss->steps, whole_connection, sizeof(whole_connection));
	drive->bss->step_count = OPENING_STEPS;
	drive->data->client_mask = 0x3fff;
	drive->bss->dice = now() | 1;
	next = now();
	for (i = 0; i < slices; i++) {
		DECLARE_LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = tape.frames[0].bytes,
				    .data_size_in = tape.frames[0].length,
				    .repeat = each * OPENING_STEPS);
		struct timespec rest = {};

		if (bpf_prog_test_run_opts(bpf_program__fd(drive->progs.drive_connections),
					   &opts)) {
			perror("rate: BPF_PROG_TEST_RUN");
			return 1;
		}
		next += SLICE_NS;
		if (now() < next)
			rest.tv_nsec = next - now();
		nanosleep(&rest, NULL);
	}
	printf("%d connections, %.3f s late\n", each * slices,
	       now() > next ? (now() - next) / 1e9 : 0.0);
	drive_bpf__destroy(drive);
	return 0;
}
