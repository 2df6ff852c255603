/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files that a run writes. Root writes them, often for somebody else and into a directory of all:
 * so what stands there already is not trusted. A name is
 *
 * - made, where there is none of it; no link is followed;
 * - written over with --force alone, when it is a regular file of ours with no other name. An empty
 *   one, as mktemp leaves it, holds nothing to lose, and needs no --force;
 * - a named pipe of ours, or a device (/dev/null, a terminal): written to;
 * - a descriptor that this process was given (/dev/stdout, /dev/fd/N): written to.
 *
 * Ours: of who runs this, or of who called sudo.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct outfile {
	FILE *stream; /* NULL: see why */
	bool is_new; /* the file was made here */
	bool replaces; /* what is in the file is of another run: see outfile_begin() */
	char why[256]; /* it cannot be written, and what to do; a part of a sentence */
};

void outfile_open(struct outfile *o, const char *name, bool force);

/* The run has started, and there will be something to write: what was in the file before goes. */
void outfile_begin(const struct outfile *o);

/*
 * Takes away files that outfile_open() has made, by a process of its own that waits for what becomes of
 * the run: what reads a capture cannot remove anything any more (sandbox.h). -1, with errno.
 */
int outfile_cleanup_later(const char *const *names, size_t count);

/* Answers that process: they stay, or go. Waits for it. */
void outfile_cleanup(int later, bool stay);
