// SPDX-License-Identifier: GPL-2.0
/*
 * foreign IFACE ingress|egress front|back|xdp|PRIORITY next|end
 *
 * A foreign program on a hook: it counts packets, and continues the chain or ends it. It is a TCX
 * program before or after all others, an XDP program, or a tc filter with that priority. It prints
 * "ready", then the count for each line that it reads, and exits at the end of its input.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The linux/bpf.h of Debian 12 is older than TCX. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS 47
#define ATTACH_BEFORE (1U << 3)
#define ATTACH_AFTER (1U << 4)
#define GO_ON (-1) /* TCX_NEXT, TC_ACT_UNSPEC */
#define END 0 /* TCX_PASS, TC_ACT_OK */

static int load(enum bpf_prog_type type, int map, int verdict)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = 1,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 2 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 1 },
		{ .code = BPF_STX | BPF_ATOMIC | BPF_DW,
		  .dst_reg = 0,
		  .src_reg = 1,
		  .imm = BPF_ADD },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_prog_load(type, "foreign", "GPL", program, sizeof(program) / sizeof(program[0]),
			     NULL);
}

static void die(const char *what, int error)
{
	fprintf(stderr, "foreign: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_link_create_opts, link);
	LIBBPF_OPTS(bpf_tc_hook, hook);
	LIBBPF_OPTS(bpf_tc_opts, filter);
	int map, program, ifindex, error;
	uint64_t count = 0;
	bool egress, tcx, xdp, end;
	char line[16];
	uint32_t zero = 0;

	if (argc != 5)
		return 2;
	egress = !strcmp(argv[2], "egress");
	end = !strcmp(argv[4], "end");
	xdp = !strcmp(argv[3], "xdp");
	tcx = !strcmp(argv[3], "front") || !strcmp(argv[3], "back");
	ifindex = if_nametoindex(argv[1]);
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 8, 1, NULL);
	program = map < 0 ? map
		  : xdp	  ? load(BPF_PROG_TYPE_XDP, map, end ? XDP_DROP : XDP_PASS)
			  : load(BPF_PROG_TYPE_SCHED_CLS, map, end ? END : GO_ON);
	if (program < 0)
		die("load", program);
	if (xdp) {
		error = bpf_xdp_attach(ifindex, program, XDP_FLAGS_SKB_MODE, NULL);
	} else if (tcx) {
		link.flags = argv[3][0] == 'f' ? ATTACH_BEFORE : ATTACH_AFTER;
		error = bpf_link_create(program, ifindex,
					(enum bpf_attach_type)(egress ? ATTACH_TCX_EGRESS
								      : ATTACH_TCX_INGRESS),
					&link);
	} else {
		libbpf_set_print(NULL); /* the qdisc may exist already */
		hook.ifindex = ifindex;
		hook.attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
		filter.prog_fd = program;
		filter.priority = atoi(argv[3]);
		filter.handle = 1;
		error = bpf_tc_hook_create(&hook);
		if (!error || error == -EEXIST)
			error = bpf_tc_attach(&hook, &filter);
	}
	if (error < 0)
		die("attach", error);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		bpf_map_lookup_elem(map, &zero, &count);
		printf("%" PRIu64 "\n", count);
		fflush(stdout);
	}
	if (xdp) {
		bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL);
	} else if (!tcx) {
		filter.prog_fd = filter.prog_id = filter.flags = 0;
		bpf_tc_detach(&hook, &filter);
	}
	return 0;
}
