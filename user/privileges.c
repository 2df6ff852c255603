// SPDX-License-Identifier: GPL-2.0
#include "privileges.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp_filter.h"

static const struct {
	int capability;
	const char *name;
} names[] = {
	{ CAP_BPF, "CAP_BPF" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ CAP_PERFMON, "CAP_PERFMON" },
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
};

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct half[2];
};

static void read_own(struct capabilities *c)
{
	*c = (struct capabilities){ .header.version = _LINUX_CAPABILITY_VERSION_3 };
	syscall(SYS_capget, &c->header, c->half);
}

/* Fewer are always allowed. Nothing is passed on to other programs. */
static void set_own(uint64_t effective, uint64_t permitted)
{
	struct capabilities c = { .header.version = _LINUX_CAPABILITY_VERSION_3 };
	int i;

	for (i = 0; i < 2; i++) {
		c.half[i].effective = effective >> 32 * i;
		c.half[i].permitted = permitted >> 32 * i;
	}
	syscall(SYS_capset, &c.header, c.half);
}

uint64_t privileges_missing(uint64_t of)
{
	struct capabilities c;

	read_own(&c);
	return of & ~(c.half[0].effective | (uint64_t)c.half[1].effective << 32);
}

static const char *privileges_text(char text[128], uint64_t rights)
{
	size_t i, used = 0;

	strcpy(text, "none");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (rights & CAP_MASK(names[i].capability))
			used += snprintf(text + used, 128 - used, "%s%s", used ? ", " : "",
					 names[i].name);
	return text;
}

void privileges_print_needed(FILE *out, uint64_t needed)
{
	char all[128], missing[128];

	fprintf(out, "this takes %s; missing here: %s\n", privileges_text(all, needed),
		privileges_text(missing, privileges_missing(needed)));
	fprintf(out,
		"probe: run it as root (sudo), or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep ./probe\n");
}

static uint64_t drop(uint64_t keep, bool (*works)(void *context), void *context)
{
	static const uint64_t more[] = {
		0,
		CAP_MASK(CAP_BPF),
		CAP_MASK(CAP_NET_ADMIN),
		CAP_MASK(CAP_BPF) | CAP_MASK(CAP_NET_ADMIN),
		CAP_MASK(CAP_BPF) | CAP_MASK(CAP_NET_ADMIN) | CAP_MASK(CAP_PERFMON) |
			CAP_MASK(CAP_SYS_ADMIN),
	};
	struct capabilities c;
	uint64_t permitted, kept = 0;
	size_t i;

	read_own(&c);
	permitted = c.half[0].permitted | (uint64_t)c.half[1].permitted << 32;
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		kept = permitted & (keep | more[i]);
		set_own(kept, permitted);
		if (!works || works(context))
			break;
	}
	set_own(kept, kept);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return kept;
}

void privileges_drop(uint64_t keep, bool (*works)(void *context), void *context, unsigned int what,
		     bool verbose)
{
	char text[128];

	keep = drop(keep, works, context);
	if (!seccomp_enter(what))
		fprintf(stderr, "probe: goes on without a filter of system calls (seccomp): %s\n",
			strerror(errno));
	else if (verbose)
		fprintf(stderr, "probe: rights kept: %s; system calls: %s\n",
			privileges_text(text, keep),
			seccomp_is_built ? "those of the run alone" : "all, as it was built");
}
