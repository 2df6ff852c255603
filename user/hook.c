// SPDX-License-Identifier: GPL-2.0
#include "hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

/* linux/bpf.h of Debian 12 is older than TCX. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS 47

/* Where our filters stand beside others'; the handle is the process, so that two probes do not meet. */
#define CLSACT_PRIORITY 0x7062

static void clsact_point(const struct hook *h, int direction, struct bpf_tc_hook *hook,
			 struct bpf_tc_opts *opts)
{
	*hook = (struct bpf_tc_hook){ .sz = sizeof(*hook),
				      .ifindex = h->ifindex,
				      .attach_point = direction == INGRESS ? BPF_TC_INGRESS
									   : BPF_TC_EGRESS };
	*opts = (struct bpf_tc_opts){ .sz = sizeof(*opts),
				      .handle = getpid(),
				      .priority = CLSACT_PRIORITY };
}

void hook_detach(struct hook *h)
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	int d;

	for (d = 0; d < DIRECTIONS; d++) {
		if (h->tcx[d] >= 0)
			close(h->tcx[d]);
		h->tcx[d] = -1;
		if (h->clsact[d]) {
			clsact_point(h, d, &hook, &opts);
			bpf_tc_detach(&hook, &opts);
		}
		h->clsact[d] = false;
	}
}

static int attach_clsact(struct hook *h, const int program[DIRECTIONS])
{
	struct bpf_tc_hook hook;
	struct bpf_tc_opts opts;
	libbpf_print_fn_t print;
	int d, error;

	for (d = 0; d < DIRECTIONS; d++) {
		clsact_point(h, d, &hook, &opts);
		print = libbpf_set_print(NULL); /* "Exclusivity flag on": it is there already */
		error = bpf_tc_hook_create(&hook);
		libbpf_set_print(print);
		if (error && error != -EEXIST)
			return error;
		opts.prog_fd = program[d];
		error = bpf_tc_attach(&hook, &opts);
		if (error)
			return error;
		h->clsact[d] = true;
	}
	h->name = "clsact";
	return 0;
}

int hook_attach(struct hook *h, int ifindex, const int program[DIRECTIONS])
{
	static const int points[DIRECTIONS] = { ATTACH_TCX_INGRESS, ATTACH_TCX_EGRESS };
	int d, error;

	*h = HOOK_NONE;
	h->ifindex = ifindex;
	h->name = "tcx";
	for (d = 0; d < DIRECTIONS; d++) {
		h->tcx[d] =
			bpf_link_create(program[d], ifindex, (enum bpf_attach_type)points[d], NULL);
		if (h->tcx[d] < 0)
			break;
	}
	if (d == DIRECTIONS)
		return 0;
	hook_detach(h);
	error = attach_clsact(h, program);
	if (error)
		hook_detach(h);
	return error;
}
