/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Output while a run goes on: lines on standard output and standard error, and on a terminal a status
 * line below them, which is removed and redrawn around each line.
 *
 * During live capture nothing here blocks. If a reader stops (Ctrl-S, a pager), lines are buffered up to a
 * bound. Further lines are dropped, and their number is printed once the reader goes on. Reading a capture
 * file may wait for the reader of its output, and does.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/*
 * Call once, before the first line. may_block is for captures. Before this call and after
 * terminal_close(), lines are printed without a buffer of ours.
 */
void terminal_open(bool wants_status, bool may_block);

/* Prints whole lines, each with its newline, to any stream; only stdout and stderr are buffered here. */
void terminal_line(FILE *out, const char *text);

/*
 * Replaces the status line by text, cut to the terminal's width; "" removes it. Call it some times a
 * second, even without a status line: it also writes buffered lines.
 */
void terminal_status(const char *text);

/* Returns the columns that the status line has now, 0 if there is no status line. */
int terminal_status_columns(void);

/* Returns the errno of the first line that could not be written to stdout, or 0. */
int terminal_error(void);

/* Removes the status line, and waits until all lines are written. */
void terminal_close(void);

/* Returns the columns of the stream's terminal at this moment, 0 if it is no terminal. */
int terminal_width(FILE *out);

/* Escape sequences that highlight text. */
struct colours {
	const char *bold; /* headings */
	const char *bad;
	const char *wait;
	const char *good;
	const char *reset;
};

/*
 * Returns the sequences for a stream. All are "" unless the stream is standard output, a terminal, and
 * wants colours (NO_COLOR, TERM). Call it after terminal_open().
 */
const struct colours *terminal_colours(FILE *out);
