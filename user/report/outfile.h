/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opens the files that a run writes. Root writes them, often for another user and into a directory that
 * everybody can write to; so an existing file is not trusted:
 *
 * - A name that does not exist is created. Symbolic links are not followed.
 * - A regular file is overwritten only with --force, if it is ours and has no other hard link. An empty
 *   file, as mktemp creates it, does not need --force.
 * - A named pipe that is ours or a character device (/dev/null, a terminal) is written to.
 * - A descriptor that this process was given (/dev/stdout, /dev/fd/N) is duplicated.
 *
 * "Ours" means owned by the effective user, or under sudo by the user who called it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct outfile {
	FILE *stream; /* NULL on error, see why */
	bool is_new; /* outfile_open() created the file */
	bool replaces; /* an existing regular file, truncated by outfile_begin() */
	char why[256]; /* the reason for the error and the way out, as a part of a sentence */
};

void outfile_open(struct outfile *o, const char *name, bool force);

/* Truncates an existing file; call it once the run has started and will write something. */
void outfile_begin(const struct outfile *o);

/*
 * Forks a process that unlinks the files which outfile_open() created, unless outfile_cleanup() tells it to
 * keep them. The seccomp filter of --read forbids this process to unlink anything itself (see
 * seccomp_filter.h). Returns a descriptor for outfile_cleanup(), or -1 with errno set.
 */
int outfile_cleanup_later(const char *const *names, size_t count);

/* Has the files kept or unlinked, and waits for that process to exit. later may be -1. */
void outfile_cleanup(int later, bool keep);
