/* SPDX-License-Identifier: GPL-2.0 */
/* The output of --doctor: sections of remarks, each with a level and with what to do about it. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

enum level {
	LEVEL_OK,
	LEVEL_NOTE, /* a fact that explains what a run shows */
	LEVEL_WARNING, /* limits what a run can see */
	LEVEL_ERROR, /* prevents a run, or blinds it */
	LEVELS,
};

struct sheet {
	FILE *out;
	unsigned int counts[LEVELS];
};

/* Prints text from column indent on, wrapped to the width of the terminal. */
void sheet_wrap(FILE *out, int indent, const char *text);

void sheet_section(struct sheet *s, const char *heading);

/* Prints a remark, and counts it. It must not contain addresses or names of hosts. */
void sheet_remark(struct sheet *s, enum level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Prints what to do about the remark before. */
void sheet_action(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
