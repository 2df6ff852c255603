/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opens the files that a run writes. They are often written by root, for another user and into a
 * directory that any user can write to. So an existing file is not trusted:
 *
 * - A name that does not exist is created. Symbolic links are not followed.
 * - A regular file is overwritten only with --force, if it is ours and has no other hard link. An
 *   empty file, as mktemp creates it, does not need --force.
 * - A named pipe that is ours, or a character device (/dev/null, a terminal), is written to.
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
	bool replaces; /* the file exists and is regular; outfile_begin() truncates it */
	char why[256]; /* the reason for the error and how to avoid it, as part of a sentence */
};

void outfile_open(struct outfile *o, const char *name, bool force);

/* Truncates an existing file. Call it once the run has started and will write output. */
void outfile_begin(const struct outfile *o);

/*
 * Forks a process that unlinks the files which outfile_open() created, unless outfile_cleanup()
 * keeps them. The seccomp filter of --read forbids this process to unlink files itself (see
 * seccomp_filter.h). Returns a descriptor for outfile_cleanup(), or -1 with errno set.
 */
int outfile_cleanup_later(const char *const *names, size_t count);

/* Makes that process keep or unlink the files, and waits for it to exit. later may be -1. */
void outfile_cleanup(int later, bool keep);
