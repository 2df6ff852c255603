/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is said while a run goes on: lines on standard output and standard error, and on a terminal a
 * status line below them, which comes and goes and never tears the others.
 *
 * Beside a live wire nothing here waits: where a reader stands still (Ctrl-S, a pager), lines wait
 * in memory, so many bytes of them; what comes then is left out, counted, and said to be missing when
 * the reader goes on. A capture can wait for its reader, and does.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/*
 * Once, before the first line; the status line is wanted or not, may_wait is for captures. Until then,
 * and after terminal_close(), lines are simply printed.
 */
void terminal_open(bool status, bool may_wait);

/* Whole lines, with their newline, to stdout, stderr, or any other stream. */
void terminal_line(FILE *out, const char *text);

/*
 * Takes the place of the status line before; cut to the width. "" takes it away. Call it some times a
 * second, also without a status line: lines that wait are written then.
 */
void terminal_status(const char *text);

/* The room for it now; 0 when there is no status line here. */
int terminal_status_columns(void);

/* The errno of the first line that could not be written to stdout, or 0. */
int terminal_error(void);

/* Takes the status line away and waits until all lines are written. */
void terminal_close(void);

/* Columns of the stream's terminal as it is now, or else 0. */
int terminal_width(FILE *out);

/* How standard output shows what deserves a look; without colours, or no terminal, all are "". */
struct paint {
	const char *bold;
	const char *bad;
	const char *wait;
	const char *good;
	const char *off;
};

extern const struct paint *paint;
