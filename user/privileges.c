// SPDX-License-Identifier: GPL-2.0
#include "privileges.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>

#include "seccomp_filter.h"

/* All capabilities that a run may need, in the order of printing. */
static const unsigned int needed_capabilities[] = { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON,
						    CAP_SYS_ADMIN };

#define NEEDED_CAPABILITIES (sizeof(needed_capabilities) / sizeof(needed_capabilities[0]))

/*
 * libcap-ng keeps the state of this process, and capng_apply() updates it. Read it once: it opens
 * files in /proc, which the system call filter refuses later.
 */
static bool load_capabilities(void)
{
	static bool loaded;

	if (!loaded)
		loaded = !capng_get_caps_process();
	return loaded;
}

static uint64_t capabilities_in(capng_type_t set)
{
	uint64_t held = 0;
	size_t i;

	for (i = 0; i < NEEDED_CAPABILITIES; i++)
		if (capng_have_capability(set, needed_capabilities[i]))
			held |= CAP_MASK(needed_capabilities[i]);
	return held;
}

uint64_t privileges_missing(uint64_t of)
{
	return load_capabilities() ? of & ~capabilities_in(CAPNG_EFFECTIVE) : of;
}

bool privileges_are_namespaced(void)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	uint32_t count = UINT32_MAX;

	if (!f)
		return false;
	if (fscanf(f, "%*u %*u %" SCNu32, &count) != 1)
		count = UINT32_MAX;
	fclose(f);
	return count != UINT32_MAX;
}

/* Clears the inheritable and ambient sets, so that no other program inherits a capability. */
static bool set_capabilities(uint64_t effective, uint64_t permitted)
{
	unsigned int capability;
	size_t i;

	capng_clear(CAPNG_SELECT_CAPS);
	for (i = 0; i < NEEDED_CAPABILITIES; i++) {
		capability = needed_capabilities[i];
		if (effective & CAP_MASK(capability) &&
		    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, capability))
			return false;
		if (permitted & CAP_MASK(capability) &&
		    capng_update(CAPNG_ADD, CAPNG_PERMITTED, capability))
			return false;
	}
	return !capng_apply(CAPNG_SELECT_CAPS);
}

static const char *capabilities_text(char text[128], uint64_t capabilities)
{
	size_t i, used = 0, start;

	strcpy(text, "none");
	for (i = 0; i < NEEDED_CAPABILITIES; i++) {
		if (!(capabilities & CAP_MASK(needed_capabilities[i])))
			continue;
		start = used;
		used += snprintf(text + used, 128 - used, "%scap_%s", used ? ", " : "",
				 capng_capability_to_name(needed_capabilities[i]));
		for (; start < used; start++)
			text[start] = toupper((unsigned char)text[start]);
	}
	return text;
}

void privileges_print_needed(FILE *out, uint64_t needed)
{
	char all[128], missing[128];

	fprintf(out, "this takes %s; missing here: %s\n", capabilities_text(all, needed),
		capabilities_text(missing, privileges_missing(needed)));
	fprintf(out,
		"probe: run it as root (sudo), or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep ./probe\n");
}

/*
 * Drops capabilities, and stores the remaining ones in *kept. Returns false, with errno, if the
 * kernel refuses.
 */
static bool drop_capabilities(uint64_t keep, bool (*works)(void *context), void *context,
			      uint64_t *kept)
{
	static const uint64_t more[] = {
		0,
		CAP_MASK(CAP_BPF),
		CAP_MASK(CAP_NET_ADMIN),
		CAP_MASK(CAP_BPF) | CAP_MASK(CAP_NET_ADMIN),
		CAP_MASK(CAP_BPF) | CAP_MASK(CAP_NET_ADMIN) | CAP_MASK(CAP_PERFMON) |
			CAP_MASK(CAP_SYS_ADMIN),
	};
	uint64_t permitted;
	size_t i;

	if (!load_capabilities())
		return false;
	permitted = capabilities_in(CAPNG_PERMITTED);
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		*kept = permitted & (keep | more[i]);
		if (!set_capabilities(*kept, permitted))
			return false;
		if (!works || works(context))
			break;
	}
	return set_capabilities(*kept, *kept) && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void privileges_drop(uint64_t keep, bool (*works)(void *context), void *context, unsigned int what,
		     bool verbose)
{
	uint64_t kept = 0;
	char text[128];
	bool dropped;

	dropped = drop_capabilities(keep, works, context, &kept);
	if (!dropped)
		fprintf(stderr, "probe: goes on without giving up its capabilities: %s\n",
			strerror(errno));
	if (!seccomp_enter(what))
		fprintf(stderr, "probe: continues without a seccomp filter: %s\n", strerror(errno));
	else if (verbose && dropped)
		fprintf(stderr, "probe: privileges kept: %s; system calls: %s\n",
			capabilities_text(text, kept),
			seccomp_is_built ? "only those of the run" : "all, as it was built");
}
