// SPDX-License-Identifier: GPL-2.0
#include "source/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "host/netdev.h"
#include "lib/format.h"
#include "privileges.h"

/* Attach types missing in linux/bpf.h of Debian 12, which is older than TCX. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS 47
/* BPF_F_BEFORE; without a relative program, it attaches before all other programs */
#define ATTACH_BEFORE (1U << 3)

static const int tcx_types[DIRECTIONS] = { ATTACH_TCX_INGRESS, ATTACH_TCX_EGRESS };

void hook_detach(struct hook *h)
{
	int d;

	for (d = 0; d < DIRECTIONS; d++) {
		if (h->tcx[d] >= 0)
			close(h->tcx[d]);
		h->tcx[d] = -1;
	}
	clsact_detach(&h->clsact);
}

/*
 * Attaches first in the chain, so that no program that ends the chain hides packets from the probe.
 */
static int attach_tcx(struct hook *h, const int program[DIRECTIONS])
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = ATTACH_BEFORE);
	int d, error;

	for (d = 0; d < DIRECTIONS; d++) {
		if (program[d] < 0)
			continue;
		h->tcx[d] = bpf_link_create(program[d], h->ifindex,
					    (enum bpf_attach_type)tcx_types[d], &opts);
		if (h->tcx[d] < 0) {
			error = -errno;
			hook_detach(h);
			return error;
		}
	}
	h->name = "tcx";
	return 0;
}

static void print_tcx_failure(const char *iface, int error)
{
	struct utsname u;

	uname(&u);
	fprintf(stderr, "probe: %s: cannot attach by TCX: ", iface);
	if (error == -EINVAL)
		fprintf(stderr,
			"this kernel (%s) has none, it came with 6.6; leave --hook out, or --hook clsact\n",
			u.release);
	else
		fprintf(stderr, "%s\n", strerror(-error));
}

static void print_clsact_failure(const char *iface, int error, const char *tried)
{
	fprintf(stderr, "probe: %s: cannot %s: ", iface, tried);
	if (error == -EPERM)
		privileges_print_needed(stderr, CAP_MASK(CAP_NET_ADMIN));
	else if (error == -ENOENT && strstr(tried, "filter"))
		fprintf(stderr, "this kernel has no bpf classifier "
				"(module cls_bpf, CONFIG_NET_CLS_BPF)\n");
	else if (error == -ENOENT)
		fprintf(stderr, "this kernel has none "
				"(module sch_ingress, CONFIG_NET_SCH_INGRESS)\n");
	else if (error == -EEXIST)
		fprintf(stderr,
			"there is an ingress qdisc in its place, which has no egress side, and it "
			"is not ours to remove; kernels from 6.6 on need no qdisc (TCX)\n");
	else
		fprintf(stderr, "%s\n", strerror(-error));
}

int hook_attach(struct hook *h, const char *iface, int ifindex, enum hook_kind kind,
		const int program[DIRECTIONS])
{
	const char *tried;
	int error;

	*h = HOOK_NONE;
	h->ifindex = ifindex;
	if (kind != HOOK_CLSACT) {
		error = attach_tcx(h, program);
		if (!error)
			return 0;
		if (kind == HOOK_TCX) {
			print_tcx_failure(iface, error);
			return -1;
		}
		h->not_tcx = error == -EINVAL ? "this kernel has no TCX" : strerror(-error);
	}
	error = clsact_attach(&h->clsact, ifindex, program, &tried);
	if (error) {
		print_clsact_failure(iface, error, tried);
		return -1;
	}
	h->name = "clsact";
	return 0;
}

static void append_text(char *text, size_t size, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, size - used, format, arguments);
	va_end(arguments);
}

#define MAX_CHAIN 64 /* programs; the kernel's limit */

/*
 * Lists the TCX programs that run before ours. If our hook is a clsact filter, all TCX programs do.
 * Returns their number, or a negative errno.
 */
static int list_tcx_before(const struct hook *h, int direction, char *text, size_t size)
{
	uint32_t ids[MAX_CHAIN], count = MAX_CHAIN, i, length, own = 0;
	struct bpf_link_info info = {};

	if (bpf_prog_query(h->ifindex, (enum bpf_attach_type)tcx_types[direction], 0, NULL, ids,
			   &count))
		return -errno;
	length = sizeof(info);
	if (h->tcx[direction] >= 0 && !bpf_obj_get_info_by_fd(h->tcx[direction], &info, &length))
		own = info.prog_id;
	for (i = 0; i < count && ids[i] != own; i++)
		append_text(text, size, "%sTCX program %u", text[0] ? ", " : "", ids[i]);
	return i;
}

void hook_explain_blind(const struct hook *h, const char *iface, int direction, uint32_t xdp,
			char *text, size_t size)
{
	char filters[512] = "", programs[512] = "";
	int tcx = list_tcx_before(h, direction, programs, sizeof(programs)), clsact = 0;
	bool is_clsact = h->clsact.owner >= 0, missing = false;

	text[0] = '\0';
	if (is_clsact)
		clsact = clsact_others(&h->clsact, h->ifindex, direction, filters, sizeof(filters),
				       &missing);
	if (missing) {
		append_text(text, size,
			    "Another program removed the filter of probe. Start probe again.");
		return;
	}
	if (tcx > 0 || clsact > 0) {
		append_text(text, size,
			    "Programs that run before ours: %s%s%s. If one of them ends the chain "
			    "(TC_ACT_OK, a redirect), the packets are hidden from all later ones. ",
			    programs, tcx > 0 && clsact > 0 ? ", " : "", filters);
		append_text(
			text, size,
			is_clsact ? "Start probe with --hook tcx (kernel 6.6 or later), which runs "
				    "first; or let them return TC_ACT_UNSPEC."
				  : "Start probe again: it will then run first.");
		return;
	}
	if (xdp)
		append_text(text, size,
			    "XDP program %u runs before the hook and may consume them. ", xdp);
	if (tcx == -EPERM)
		append_text(text, size,
			    "A TCX program that was attached before ours may end the chain "
			    "(bpftool net show dev %s); if so, start probe again: it will then run "
			    "first. ",
			    iface);
	append_text(
		text, size,
		"A flow offload (hardware, XDP) bypasses every tc hook: switch it off during the "
		"run, or watch another interface.");
}

static bool is_wanted(const char *const *ifaces, unsigned int count, const char *name)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!strcmp(ifaces[i], name))
			return true;
	return !count;
}

int hook_cleanup(const char *const *ifaces, unsigned int count)
{
	struct if_nameindex *all = if_nameindex(), *i;
	int status = 0, found = 0, filters, error;
	unsigned int n;
	bool qdisc;

	for (n = 0; n < count; n++) {
		for (i = all; i && i->if_index && strcmp(i->if_name, ifaces[n]); i++)
			;
		if (i && i->if_index)
			continue;
		netdev_print_not_found(ifaces[n]);
		status = -1;
	}
	for (i = all; i && i->if_index; i++) {
		if (!is_wanted(ifaces, count, i->if_name))
			continue;
		error = clsact_reap(i->if_index, &filters, &qdisc);
		found += filters;
		if (filters)
			printf("probe: %s: removed %d filter%s that a killed run left%s\n",
			       format_name(i->if_name), filters, filters == 1 ? "" : "s",
			       qdisc ? ", and the clsact qdisc that it had created" : "");
		if (!error)
			continue;
		fprintf(stderr,
			"probe: %s: cannot remove the leftovers of a killed run: ", i->if_name);
		if (error == -EPERM)
			privileges_print_needed(stderr, CAP_MASK(CAP_NET_ADMIN));
		else
			fprintf(stderr, "%s\n", strerror(-error));
		status = -1;
	}
	if_freenameindex(all);
	if (!found && !status)
		printf("probe: no leftovers found\n");
	return status;
}
