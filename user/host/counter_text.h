/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads counters of the kernel from the text of files below /proc/net, and computes how much a
 * counter grew between two readings of its file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum counter_format {
	/*
	 * /proc/net/stat/...: a line of names, then a line of hexadecimal numbers for each CPU.
	 * Each number is a 32-bit counter.
	 */
	FORMAT_PER_CPU,
	/* /proc/net/softnet_stat: the same without names; the name is the number of the column */
	FORMAT_PER_CPU_UNNAMED,
	/*
	 * /proc/net/snmp and netstat: pairs of lines, "Ip: InReceives ..." and "Ip: 17 ...". The
	 * name is that of the line, colon included, and of the column: "Ip:InReceives".
	 */
	FORMAT_TWO_LINES,
	FORMAT_ONE_A_LINE, /* /proc/net/snmp6: a name and a number in each line */
	FORMAT_NUMBER, /* a file below /proc/sys with one number; the name is ignored */
};

/*
 * Stores in *growth by how much the counter grew. A 32-bit counter that wrapped around counts
 * correctly; a counter that was reset counts from zero. Returns false if a text lacks the counter,
 * or if the number of CPUs changed in between.
 */
bool counter_growth(enum counter_format format, const char *name, const char *before,
		    const char *after, uint64_t *growth);

/* Stores the counter's sum over all CPUs in *value. Returns false if the text lacks it. */
bool counter_value(enum counter_format format, const char *name, const char *text, uint64_t *value);

/* Returns the growth of a counter of this many bits (32 or 64). */
uint64_t growth_between(uint64_t before, uint64_t after, int bits);
