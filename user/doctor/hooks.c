// SPDX-License-Identifier: GPL-2.0
/* The hooks of an interface, and who is on them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <string.h>

#include "doctor/checks.h"
#include "doctor/programs.h"
#include "lib/format.h"
#include "source/clsact.h"

/* Attach types missing in linux/bpf.h of Debian 12, which is older than TCX. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS 47
#define MAX_CHAIN 64 /* programs; the kernel's limit */
#define LIST_TEXT 1536

static const char *const sides[DIRECTIONS] = { "ingress", "egress" };

enum tcx { TCX_READABLE, TCX_UNKNOWN, TCX_ABSENT };

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *text, const char *format, ...)
{
	size_t used = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + used, LIST_TEXT - used, format, arguments);
	va_end(arguments);
}

/* Appends the program's name and id. Returns true if a probe loaded it. */
static bool append_program(char *text, uint32_t id)
{
	struct program p;

	program_read(&p, id);
	append(text, "%s%s(id %u)",
	       p.name[0]       ? format_name(p.name)
	       : p.is_readable ? "without a name"
			       : "program",
	       " ", id);
	return !strncmp(p.name, "probe_", 6);
}

/* ---- TCX ---- */

/* Stores the ids of the programs in the order in which they run. */
static enum tcx query_tcx(int ifindex, int direction, uint32_t ids[MAX_CHAIN], uint32_t *count)
{
	static const int types[DIRECTIONS] = { ATTACH_TCX_INGRESS, ATTACH_TCX_EGRESS };

	*count = MAX_CHAIN;
	if (!bpf_prog_query(ifindex, (enum bpf_attach_type)types[direction], 0, NULL, ids, count))
		return TCX_READABLE;
	*count = 0;
	return errno == EINVAL ? TCX_ABSENT : TCX_UNKNOWN;
}

static void check_tcx_side(struct sheet *s, int direction, const uint32_t *ids, uint32_t count,
			   bool uses_tcx)
{
	char text[LIST_TEXT] = "";
	uint32_t i, others = 0;

	for (i = 0; i < count; i++) {
		append(text, "%s%u. ", i ? ", " : "", i + 1);
		others += !append_program(text, ids[i]);
	}
	if (!count)
		sheet_remark(s, LEVEL_OK, "%s, TCX: no programs", sides[direction]);
	else if (!others)
		sheet_remark(s, LEVEL_OK, "%s, TCX, in this order: %s: another probe runs here",
			     sides[direction], text);
	else if (uses_tcx)
		sheet_remark(s, LEVEL_OK,
			     "%s, TCX, in this order: %s. Probe attaches in front of them, so they "
			     "hide nothing from it",
			     sides[direction], text);
	else {
		sheet_remark(s, LEVEL_WARNING,
			     "%s, TCX, in this order: %s. They run before a clsact filter, and may "
			     "drop or redirect packets that probe then does not see",
			     sides[direction], text);
		sheet_action(s, "leave --hook clsact out: on TCX probe runs first");
	}
}

/* Returns true if a run would attach by TCX. */
static bool check_tcx(struct sheet *s, const struct link *l, enum hook_kind wanted)
{
	uint32_t ids[MAX_CHAIN], count;
	enum tcx state = query_tcx(l->index, INGRESS, ids, &count);
	bool uses_tcx = wanted != HOOK_CLSACT && state != TCX_ABSENT;
	int d;

	if (state == TCX_ABSENT) {
		sheet_remark(s, wanted == HOOK_TCX ? LEVEL_ERROR : LEVEL_NOTE,
			     "this kernel has no TCX (6.6 or later): probe attaches filters to a "
			     "clsact qdisc, behind filters of a smaller priority");
		if (wanted == HOOK_TCX)
			sheet_action(s, "leave --hook tcx out");
		return false;
	}
	if (state == TCX_UNKNOWN) {
		sheet_remark(s, LEVEL_NOTE,
			     "the programs on TCX cannot be listed: this takes CAP_NET_ADMIN");
		return uses_tcx;
	}
	for (d = 0; d < DIRECTIONS; d++)
		if (query_tcx(l->index, d, ids, &count) == TCX_READABLE)
			check_tcx_side(s, d, ids, count, uses_tcx);
	return uses_tcx;
}

/* ---- clsact ---- */

static void append_filter(char *text, const struct clsact_filter *f)
{
	struct program p = {};

	if (f->program)
		program_read(&p, f->program);
	append(text, "%s%s", text[0] ? ", " : "", format_name(f->kind));
	if (p.name[0] || f->name[0])
		append(text, " %s", format_name(p.name[0] ? p.name : f->name));
	if (f->program)
		append(text, " (id %u, priority %u)", f->program, f->priority);
	else
		append(text, " (priority %u)", f->priority);
}

static int count_leftovers(int ifindex, const struct clsact_filters *all)
{
	int i, count = 0;

	for (i = 0; i < all->count; i++)
		count += clsact_is_leftover(ifindex, &all->at[i]);
	return count;
}

static int check_filters_side(struct sheet *s, const struct link *l, int direction, bool uses_tcx)
{
	static struct clsact_filters all; /* 25 KiB */
	char before[LIST_TEXT] = "", behind[LIST_TEXT] = "";
	const struct clsact_filter *f;

	if (clsact_list(l->index, direction, &all))
		return 0;
	for (f = all.at; f < all.at + all.count; f++)
		if (!f->ours)
			append_filter(clsact_runs_before(f) && !uses_tcx ? before : behind, f);
	if (before[0]) {
		sheet_remark(s, LEVEL_WARNING,
			     "%s, clsact: %s. They run before probe's filter, and may drop or "
			     "redirect packets that probe then does not see",
			     sides[direction], before);
		sheet_action(s, "use --hook tcx (kernel 6.6 or later), which runs first; or let "
				"them return TC_ACT_UNSPEC");
	}
	if (behind[0])
		sheet_remark(s, LEVEL_OK,
			     "%s, clsact: %s. They run after probe, and hide nothing from it",
			     sides[direction], behind);
	return count_leftovers(l->index, &all);
}

static void check_clsact(struct sheet *s, const struct link *l, bool uses_tcx)
{
	char kind[CLSACT_MAX_NAME];
	int d, leftovers = 0;

	if (clsact_qdisc(l->index, kind))
		return;
	if (!kind[0]) {
		sheet_remark(s, LEVEL_OK, "no clsact qdisc, so no filters at ingress and egress");
		return;
	}
	if (strcmp(kind, "clsact") && !uses_tcx) {
		sheet_remark(s, LEVEL_ERROR,
			     "an ingress qdisc is in the place of clsact, and has no egress side");
		sheet_action(s,
			     "ask who made it, and remove it (tc qdisc del dev %s ingress); or "
			     "use a kernel from 6.6 on, which needs no qdisc",
			     format_name(l->name));
	}
	for (d = 0; d < DIRECTIONS; d++)
		leftovers += check_filters_side(s, l, d, uses_tcx);
	if (leftovers) {
		sheet_remark(s, LEVEL_WARNING, "a killed run of probe left %d filter%s", leftovers,
			     plural(leftovers));
		sheet_action(s, "probe --cleanup -i %s; the next run removes them as well",
			     format_name(l->name));
	}
}

/* ---- XDP ---- */

static void check_xdp_program(struct sheet *s, uint32_t id, const char *mode)
{
	char name[LIST_TEXT] = "", redirect[128] = "";
	struct program p;

	program_read(&p, id);
	append_program(name, id);
	if (p.redirect)
		snprintf(redirect, sizeof(redirect), " It has a map for redirects (%s).",
			 p.redirect);
	sheet_remark(s, LEVEL_WARNING,
		     "XDP program %s, %s: it runs before every hook. Packets that it drops "
		     "(XDP_DROP), redirects (XDP_REDIRECT) or sends back (XDP_TX) are not seen.%s",
		     name, mode, redirect);
	sheet_action(s, "if it is a load balancer or a filter, packets may be missing here: watch "
			"the interface to which it redirects, or the other side of this host");
}

static void check_xdp(struct sheet *s, const struct link *l)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, x);

	if (bpf_xdp_query(l->index, 0, &x)) {
		sheet_remark(s, LEVEL_NOTE, "the kernel does not report XDP programs here");
		return;
	}
	if (x.drv_prog_id)
		check_xdp_program(s, x.drv_prog_id, "native mode");
	if (x.skb_prog_id)
		check_xdp_program(s, x.skb_prog_id, "generic mode");
	if (x.hw_prog_id)
		check_xdp_program(s, x.hw_prog_id, "in the hardware");
	if (!x.drv_prog_id && !x.skb_prog_id && !x.hw_prog_id && x.prog_id)
		check_xdp_program(s, x.prog_id, "unknown mode");
	else if (!x.prog_id && !x.drv_prog_id && !x.skb_prog_id && !x.hw_prog_id)
		sheet_remark(s, LEVEL_OK, "no XDP program");
}

void check_hooks(struct sheet *s, const struct link *l, enum hook_kind wanted)
{
	bool uses_tcx;

	sheet_section(s, "Hooks");
	uses_tcx = check_tcx(s, l, wanted);
	check_clsact(s, l, uses_tcx);
	check_xdp(s, l);
}
