// SPDX-License-Identifier: GPL-2.0
/* The machine: kernel, rights, limits. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor/checks.h"
#include "privileges.h"

#define BTF "/sys/kernel/btf/vmlinux"

/* The oldest kernel that the tests load the programs on. */
#define OLDEST_MAJOR 5
#define OLDEST_MINOR 10

long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long number = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &number) != 1)
		number = -1;
	fclose(f);
	return number;
}

static void check_release(struct sheet *s)
{
	int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	if (major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR)) {
		sheet_remark(s, LEVEL_ERROR, "kernel %s (%s) is older than %d.%d", u.release,
			     u.machine, OLDEST_MAJOR, OLDEST_MINOR);
		sheet_action(s, "update the kernel, or capture with tcpdump here and read the "
				"capture elsewhere (probe --read FILE)");
		return;
	}
	sheet_remark(s, LEVEL_OK, "kernel %s (%s); probe needs %d.%d or later", u.release,
		     u.machine, OLDEST_MAJOR, OLDEST_MINOR);
}

static void check_btf(struct sheet *s)
{
	if (!access(BTF, R_OK)) {
		sheet_remark(s, LEVEL_OK, "BTF: %s", BTF);
		return;
	}
	sheet_remark(s, LEVEL_ERROR, "no BTF (%s): the BPF programs cannot be loaded", BTF);
	sheet_action(s, "use a kernel built with CONFIG_DEBUG_INFO_BTF, as distributions do; or "
			"capture with tcpdump here and use probe --read FILE");
}

static void check_jit(struct sheet *s)
{
	long jit = read_number("/proc/sys/net/core/bpf_jit_enable");

	if (jit > 0) {
		sheet_remark(s, LEVEL_OK, "the BPF JIT is on");
	} else if (!jit) {
		sheet_remark(s, LEVEL_WARNING,
			     "the BPF JIT is off: each packet costs several times as much");
		sheet_action(s, "sysctl net.core.bpf_jit_enable=1");
	} else {
		sheet_remark(s, LEVEL_NOTE,
			     "whether the BPF JIT is on can be read only in the host's own network "
			     "namespace, by root");
	}
}

static void check_lockdown(struct sheet *s)
{
	FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char text[128] = "";

	if (!f)
		return;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	if (strstr(text, "[confidentiality]"))
		sheet_remark(s, LEVEL_WARNING,
			     "kernel lockdown is %s, in which the kernel may refuse BPF programs",
			     text);
	else if (strstr(text, "[integrity]"))
		sheet_remark(s, LEVEL_OK, "kernel lockdown is %s, which allows probe", text);
}

void check_kernel(struct sheet *s)
{
	sheet_section(s, "Kernel");
	check_release(s);
	check_btf(s);
	check_jit(s);
	check_lockdown(s);
}

/* ---- rights ---- */

static void check_container(struct sheet *s)
{
	static const char *const marks[] = { "/.dockerenv", "/run/.containerenv",
					     "/run/systemd/container" };
	struct stat own, first;
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (access(marks[i], F_OK))
			continue;
		sheet_remark(s, LEVEL_NOTE,
			     "this is a container (%s): it sees its own interfaces only", marks[i]);
		sheet_action(s, "for other interfaces run probe on the host, with --netns PID of a "
				"process of the container");
		break;
	}
	if (!stat("/proc/self/ns/net", &own) && !stat("/proc/1/ns/net", &first) &&
	    own.st_ino != first.st_ino)
		sheet_remark(s, LEVEL_NOTE,
			     "this network namespace is not that of process 1: other interfaces of "
			     "the host are not visible here");
}

static void check_limits(struct sheet *s)
{
	int major = 0, minor = 0;
	struct rlimit limit;
	struct utsname u;

	uname(&u);
	sscanf(u.release, "%d.%d", &major, &minor);
	if (major > 5 || (major == 5 && minor >= 11) || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return;
	sheet_remark(s, LEVEL_NOTE,
		     "before 5.11 the kernel counts BPF maps as locked memory, which is limited to "
		     "%ju KiB here",
		     (uintmax_t)limit.rlim_cur / 1024);
	sheet_action(s, "if loading fails: `ulimit -l unlimited` before");
}

static const struct {
	unsigned int capability;
	const char *name;
	const char *purpose;
} rights[] = {
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "to attach to the interface, and to read conntrack" },
	{ CAP_BPF, "CAP_BPF", "to load programs" },
	{ CAP_PERFMON, "CAP_PERFMON", "to load programs that read packets" },
};

/* CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON, see capabilities(7). */
static bool is_missing(unsigned int capability)
{
	if (!privileges_missing(CAP_MASK(capability)))
		return false;
	return capability == CAP_NET_ADMIN || privileges_missing(CAP_MASK(CAP_SYS_ADMIN));
}

static bool check_capabilities(struct sheet *s)
{
	bool complete = true;
	size_t i;

	for (i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (!is_missing(rights[i].capability))
			continue;
		complete = false;
		sheet_remark(s, LEVEL_ERROR, "%s is missing: a run needs it %s", rights[i].name,
			     rights[i].purpose);
	}
	if (!complete)
		sheet_action(s, "run it as root: sudo probe ...; root also shows the programs on "
				"the hooks and whether packets are seen");
	else if (privileges_missing(CAP_MASK(CAP_SYS_ADMIN)))
		sheet_remark(s, LEVEL_OK,
			     "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: enough for a "
			     "run; names of other programs and --netns need "
			     "CAP_SYS_ADMIN as well");
	else
		sheet_remark(s, LEVEL_OK, "all capabilities that a run needs");
	return complete;
}

bool check_rights(struct sheet *s)
{
	long unprivileged = read_number("/proc/sys/kernel/unprivileged_bpf_disabled");
	bool complete, namespaced = privileges_are_namespaced();

	sheet_section(s, "Rights");
	complete = check_capabilities(s);
	if (namespaced) {
		sheet_remark(s, LEVEL_ERROR,
			     "this is a user namespace (a rootless container?), whose root may not "
			     "load programs");
		sheet_action(s, "run probe on the host, with --netns PID of the container's "
				"process");
	}
	if (!complete && unprivileged >= 0)
		sheet_remark(s, LEVEL_NOTE, "kernel.unprivileged_bpf_disabled is %ld: %s",
			     unprivileged,
			     unprivileged ? "the usual setting, which root is not subject to"
					  : "yet programs for hooks need the capabilities");
	check_container(s);
	check_limits(s);
	return complete && !namespaced;
}
