// SPDX-License-Identifier: GPL-2.0
/*
 * verify
 *
 * Measures the verifier's work on this kernel for each program, with each option that changes it.
 * Prints "PROGRAM INSTRUCTIONS OPTIONS" for each. INSTRUCTIONS is the number of instructions that
 * the verifier processed; its limit is a million. The status is 1 if it rejects a program, and the
 * end of its log is printed.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/flow_table.h"

#define LOG_STATISTICS 4 /* BPF_LOG_STATS */
#define LOG_BYTES (16 << 20)
#define MAX_PROGRAMS 16

/* Read-only data that the verifier knows: it follows only the branches that these values permit. */
static const struct {
	const char *options;
	bool all;
} variants[] = {
	{ "without options", false },
	{ "--write --client --server --port", true },
};

static int print_log(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, arguments) : 0;
}

static void narrow_all(struct selector *n)
{
	memset(n, 0xff, sizeof(*n));
	n->clients.included = n->servers.included = MAX_NETWORKS / 2;
	n->clients.count = n->servers.count = MAX_NETWORKS;
	n->by_port = 1;
}

static int print_work(const struct bpf_program *program, const char *log, const char *options)
{
	const char *line = strstr(log, "processed ");
	unsigned int instructions;

	if (!line || sscanf(line, "processed %u insns", &instructions) != 1) {
		fprintf(stderr, "verify: this kernel does not report its work with %s: %s\n",
			bpf_program__name(program), log);
		return -1;
	}
	printf("%s %u %s\n", bpf_program__name(program), instructions, options);
	return 0;
}

static int verify(size_t variant)
{
	struct probe_bpf *bpf = probe_bpf__open();
	char *logs[MAX_PROGRAMS] = {};
	struct bpf_program *program;
	int count = 0, status = -1, i;

	if (!bpf) {
		fprintf(stderr, "verify: the object cannot be opened: %s\n", strerror(errno));
		return -1;
	}
	if (variants[variant].all) {
		bpf->rodata->save_packets = true;
		bpf->rodata->multi_iface = true;
		bpf->rodata->follow_peers = true;
		narrow_all((struct selector *)&bpf->rodata->selector);
	}
	/* with a seed of zeros the verifier would know the hash */
	memset((void *)&bpf->rodata->run_seed, 0x5b, sizeof(bpf->rodata->run_seed));
	set_table_sizes(bpf, 1024); /* small maps are made quickly */
	bpf_object__for_each_program(program, bpf->obj)
	{
		if (count == MAX_PROGRAMS || !(logs[count] = calloc(1, LOG_BYTES)))
			goto out;
		bpf_program__set_log_level(program, LOG_STATISTICS);
		bpf_program__set_log_buf(program, logs[count++], LOG_BYTES);
	}
	status = probe_bpf__load(bpf);
	i = 0;
	bpf_object__for_each_program(program, bpf->obj)
	{
		const char *log = logs[i++];
		size_t length = strlen(log);

		if (!status)
			status = print_work(program, log, variants[variant].options);
		else if (bpf_program__fd(program) < 0 && length)
			fprintf(stderr, "verify: %s, %s: ... %s\n", bpf_program__name(program),
				variants[variant].options,
				log + (length > 3000 ? length - 3000 : 0));
	}
out:
	for (i = 0; i < count; i++)
		free(logs[i]);
	probe_bpf__destroy(bpf);
	return status;
}

int main(void)
{
	int status = 0;
	size_t i;

	libbpf_set_print(print_log);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (verify(i))
			status = 1;
	return status;
}
