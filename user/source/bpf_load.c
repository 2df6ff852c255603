// SPDX-License-Identifier: GPL-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "privileges.h"
#include "source/live_internal.h"

#define NEEDED_FILES 52
#define NEEDED_FILES_PER_IFACE 4
#define PACKET_RING_BYTES (8 << 20)

/* The last part of libbpf's warnings, printed if loading fails. */
static char warnings[8192];
static bool verbose;

static int keep_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(warnings), room = sizeof(warnings) - 1, n;
	char *text;

	if (verbose && level <= LIBBPF_INFO)
		return vfprintf(stderr, format, arguments);
	if (level > LIBBPF_WARN || vasprintf(&text, format, arguments) < 0)
		return 0;
	n = strlen(text);
	if (n > room) {
		strcpy(warnings, text + n - room);
	} else {
		if (used + n > room) {
			memmove(warnings, warnings + used + n - room, room - n);
			used = room - n;
		}
		strcpy(warnings + used, text);
	}
	free(text);
	return 0;
}

void bpf_load_init(bool is_verbose)
{
	verbose = is_verbose;
	libbpf_set_print(keep_warning);
}

/* ---- why the object does not load ---- */

/*
 * Without CAP_PERFMON the verifier rejects arithmetic on packet pointers, which the parser needs.
 */
#define CAPS_TO_LOAD (CAP_MASK(CAP_BPF) | CAP_MASK(CAP_NET_ADMIN) | CAP_MASK(CAP_PERFMON))
#define BTF "/sys/kernel/btf/vmlinux"
#define NO_CONTEXT "btf_vmlinux is malformed" /* libbpf's message when the kernel has no BTF */
#define VERIFIER_LINES 15
#define LOG_ENDS "-- END PROG LOAD LOG --"

/*
 * Prints the verifier's reason, which is at the end of its log. After the log, libbpf names the
 * program.
 */
static void print_verifier_failure(const char *release, char *log)
{
	char *end = strstr(log, LOG_ENDS), *line = end, *name = strstr(end, "prog '");
	int lines = 0;

	while (line > log && lines <= VERIFIER_LINES)
		if (*--line == '\n')
			lines++;
	name = name ? strchr(name, '\'') + 1 : "";
	fprintf(stderr, "probe: the verifier of this kernel (%s) rejects the program %.*s:\n",
		release, (int)strcspn(name, "'"), name);
	*end = '\0';
	for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n"))
		fprintf(stderr, "  | %s\n", line);
	fprintf(stderr,
		"probe: that is a defect of probe %s on this kernel. Please send its authors these lines "
		"with the output of `uname -a`; --verbose shows the whole log.\n",
		PROBE_VERSION);
}

static void print_why_refused(const char *release)
{
	int version = 0, patch = 0;
	struct rlimit locked_memory;
	char lockdown[128];
	FILE *f;

	if (privileges_are_namespaced()) {
		fprintf(stderr,
			"this is a user namespace (a rootless container?), whose root may not; run "
			"it on the host, with --netns PID of the container's process\n");
		return;
	}
	getrlimit(RLIMIT_MEMLOCK, &locked_memory);
	sscanf(release, "%d.%d", &version, &patch);
	if (version == 5 && patch < 11 && locked_memory.rlim_cur != RLIM_INFINITY) {
		fprintf(stderr,
			"before 5.11 the kernel counts maps as locked memory, which is limited to %ju KiB "
			"here: `ulimit -l unlimited` before, or give it CAP_SYS_RESOURCE as well\n",
			(uintmax_t)locked_memory.rlim_cur / 1024);
		return;
	}
	fprintf(stderr,
		"the capabilities are there, so it was a security module, the seccomp filter "
		"of a container, or kernel lockdown");
	f = fopen("/sys/kernel/security/lockdown", "re");
	if (f && fgets(lockdown, sizeof(lockdown), f))
		fprintf(stderr, " (lockdown is %.*s)", (int)strcspn(lockdown, "\n"), lockdown);
	if (f)
		fclose(f);
	fprintf(stderr, "\n%s", warnings);
}

static int print_load_failure(int error)
{
	bool is_refused = error == -EPERM || error == -EACCES;
	struct utsname u;

	uname(&u);
	if (is_refused && privileges_missing(CAPS_TO_LOAD)) {
		/* here libbpf's hints and the verifier's log would mislead the user */
		fprintf(stderr, "probe: loading BPF programs was refused: ");
		privileges_print_needed(stderr, CAPS_TO_LOAD);
	} else if (access(BTF, F_OK)) {
		fprintf(stderr,
			"probe: this kernel (%s) has no BTF (no " BTF
			"), without which it cannot check the "
			"BPF programs: a kernel built with CONFIG_DEBUG_INFO_BTF is required\n%s",
			u.release, strstr(warnings, NO_CONTEXT) ? "" : warnings);
	} else if (error == -ENOMEM) {
		fprintf(stderr,
			"probe: there is no memory for the BPF programs and their maps: --max-flows and "
			"--ring-size make them smaller\n%s",
			warnings);
	} else if (strstr(warnings, LOG_ENDS)) {
		print_verifier_failure(u.release, warnings);
	} else if (is_refused) {
		fprintf(stderr, "probe: loading BPF programs was refused: ");
		print_why_refused(u.release);
	} else {
		fprintf(stderr, "probe: this kernel (%s) does not take the BPF programs: %s\n%s",
			u.release, strerror(-error), warnings);
	}
	return -1;
}

/* ---- load ---- */

/*
 * Raises the limit of open files, or reports its value if it stays too low. Programs, maps and
 * sockets take descriptors. Without this check, libbpf would report a rejected program or a missing
 * feature.
 */
static int ensure_file_limit(const struct live *l)
{
	rlim_t needed = NEEDED_FILES + NEEDED_FILES_PER_IFACE * (l->count + l->followed_count);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= needed)
		return 0;
	limit.rlim_cur = needed;
	if (needed <= limit.rlim_max && !setrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	fprintf(stderr,
		"probe: this takes up to %ju open files, and no more than %ju are allowed here: "
		"`ulimit -n %ju` before\n",
		(uintmax_t)needed, (uintmax_t)limit.rlim_max, (uintmax_t)needed);
	return -1;
}

static int set_constants(struct live *l)
{
	struct probe_bpf *bpf = l->bpf;
	struct hash_seed seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		fprintf(stderr, "probe: no random numbers: %s\n", strerror(errno));
		return -1;
	}
	hash_seed_make_odd(&seed);
	memcpy((void *)&bpf->rodata->run_seed, &seed, sizeof(seed));
	memcpy((void *)&bpf->rodata->selector, l->options->selector, sizeof(bpf->rodata->selector));
	bpf->rodata->follow_peers = l->followed_count;
	bpf->rodata->multi_iface = l->count > 1;
	bpf->rodata->ring_bytes = l->options->ring_bytes;
	memcpy((void *)bpf->rodata->dns_ports, l->options->dns_ports,
	       sizeof(bpf->rodata->dns_ports));
	bpf->rodata->dns_port_count = l->options->dns_port_count;
	if (l->sink->packet) {
		bpf->rodata->save_packets = true;
		if (l->options->snaplen)
			bpf->rodata->snaplen = l->options->snaplen;
	}
	return 0;
}

static void set_map_sizes(const struct live *l)
{
	struct probe_bpf *bpf = l->bpf;

	set_table_sizes(bpf, l->options->max_flows);
	bpf_map__set_max_entries(bpf->maps.records, l->options->ring_bytes);
	if (l->sink->packet)
		bpf_map__set_max_entries(bpf->maps.packets, PACKET_RING_BYTES);
}

/*
 * Disables the programs for link layers that are not in use. With --follow all programs are loaded,
 * since the link layers may change.
 */
static void select_programs(const struct live *l)
{
	bool ethernet = l->options->follow, raw_ip = ethernet, inner = ethernet;
	bool egress_syn = false, egress_syn_ip = false;
	struct probe_bpf *bpf = l->bpf;
	unsigned int i;

	for (i = 0; i < l->count; i++) {
		*(l->watched[i].netdev.raw_ip ? &raw_ip : &ethernet) = true;
		inner |= l->watched[i].netdev.tunnel_headers;
	}
	for (i = 0; i < l->followed_count; i++)
		*(l->followed[i].netdev.raw_ip ? &egress_syn_ip : &egress_syn) = true;
	bpf_program__set_autoload(bpf->progs.probe_ingress, ethernet);
	bpf_program__set_autoload(bpf->progs.probe_egress, ethernet);
	bpf_program__set_autoload(bpf->progs.probe_ingress_ip, raw_ip);
	bpf_program__set_autoload(bpf->progs.probe_egress_ip, raw_ip);
	bpf_program__set_autoload(bpf->progs.probe_ingress_inner, inner);
	bpf_program__set_autoload(bpf->progs.probe_egress_syn, egress_syn);
	bpf_program__set_autoload(bpf->progs.probe_egress_syn_ip, egress_syn_ip);
}

int bpf_load(struct live *l)
{
	int error;

	if (ensure_file_limit(l))
		return -1;
	l->bpf = probe_bpf__open();
	if (!l->bpf)
		return print_load_failure(-errno);
	if (set_constants(l))
		return -1;
	set_map_sizes(l);
	select_programs(l);
	error = probe_bpf__load(l->bpf);
	return error ? print_load_failure(error) : 0;
}

uint64_t bpf_map_bytes(const struct probe_bpf *bpf)
{
	uint64_t sum = 0, bytes;
	struct bpf_map *map;
	char line[128];
	FILE *f;

	bpf_object__for_each_map(map, bpf->obj) {
		snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		f = fopen(line, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "memlock: %" SCNu64, &bytes) == 1)
				sum += bytes;
		if (f)
			fclose(f);
	}
	return sum;
}
