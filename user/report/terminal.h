/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Output during a run: lines on standard output and standard error, and on a terminal a status line
 * below them, which is removed and redrawn around each line.
 *
 * During live capture these functions do not block. If a reader stops (Ctrl-S, a pager), lines are
 * buffered up to a limit. Further lines are dropped, and their number is printed once the reader
 * continues. When reading a capture file, these functions wait for the reader of the output.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/*
 * Call it once, before the first line. may_block is true for captures. Before this call and after
 * terminal_close(), lines are printed without buffering.
 */
void terminal_open(bool wants_status, bool may_block);

/*
 * Prints complete lines, each with its newline, to any stream. Only stdout and stderr are buffered
 * here.
 */
void terminal_line(FILE *out, const char *text);

/*
 * Replaces the status line by text, truncated to the terminal's width; "" removes it. Call it
 * several times a second, even without a status line: it also writes buffered lines.
 */
void terminal_status(const char *text);

/* Returns the width of the status line in columns, or 0 if there is no status line. */
int terminal_status_columns(void);

/*
 * Holds output back in the buffers while another process prints to the same terminal, and removes
 * the status line. Returns false, and holds nothing back, while earlier output cannot be written:
 * both processes would print it. terminal_close() prints what is held in any case.
 */
bool terminal_hold(void);
void terminal_release(void);

/* Returns the errno of the first line that could not be written to stdout, or 0. */
int terminal_error(void);

/* Removes the status line, and waits until all lines are written. */
void terminal_close(void);

/* Returns the current height of the stream's terminal in rows, or 0 if it is not a terminal. */
int terminal_rows(FILE *out);

/* Returns the current width of the stream's terminal in columns, or 0 if it is not a terminal. */
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
 * Returns the escape sequences for a stream. All are "" unless the stream is standard output, is a
 * terminal, and colours are wanted (NO_COLOR, TERM). Call it after terminal_open().
 */
const struct colours *terminal_colours(FILE *out);
