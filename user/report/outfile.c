// SPDX-License-Identifier: GPL-2.0
#include "report/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_ours(const struct stat *st)
{
	const char *sudo = geteuid() ? NULL : getenv("SUDO_UID");

	return st->st_uid == geteuid() || (sudo && strtoul(sudo, NULL, 10) == st->st_uid);
}

/* Why a file that is there already is not written to; "" when it is. */
static void check_existing(char why[256], const struct stat *st, bool force)
{
	const char *word = "";

	if (S_ISLNK(st->st_mode))
		word = "it is a symbolic link, which is not followed; name the file itself";
	else if (S_ISDIR(st->st_mode))
		word = "it is a directory";
	else if (S_ISBLK(st->st_mode) || S_ISSOCK(st->st_mode))
		word = "it is no file, pipe or terminal";
	else if (S_ISREG(st->st_mode) && st->st_size && !force)
		word = "it exists; --force writes over it";
	else if (S_ISREG(st->st_mode) && st->st_nlink > 1)
		word = "it has other names (hard links), whose content would change as well; remove this one";
	snprintf(why, 256, "%s", word);
	if (!*why && !S_ISCHR(st->st_mode) && !is_ours(st))
		snprintf(why, 256, "it belongs to user %u; remove it, or choose another name",
			 (unsigned int)st->st_uid);
}

/* The descriptor of ours that a name stands for, or -1. */
static int descriptor_of(const char *name)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	size_t i, length;
	char *end;
	long fd;

	if (!strcmp(name, "/dev/stdout"))
		return STDOUT_FILENO;
	if (!strcmp(name, "/dev/stderr"))
		return STDERR_FILENO;
	for (i = 0; i < 2; i++) {
		length = strlen(folders[i]);
		if (strncmp(name, folders[i], length) || !name[length])
			continue;
		fd = strtol(name + length, &end, 10);
		return *end || fd < 0 || fd > 0xffff ? -1 : (int)fd;
	}
	return -1;
}

/* What was looked at is what is opened, whoever changes the name meanwhile. */
static int open_existing(struct outfile *o, const char *name, bool force)
{
	int there = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1;
	struct stat st;
	char path[64];

	if (there < 0)
		return -1;
	if (!fstat(there, &st)) {
		check_existing(o->why, &st, force);
		o->replaces = S_ISREG(st.st_mode);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
		if (!o->why[0])
			fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	}
	close(there);
	return fd;
}

void outfile_open(struct outfile *o, const char *name, bool force)
{
	int given = descriptor_of(name), fd;

	*o = (struct outfile){};
	if (given >= 0) {
		fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
	} else {
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
		o->is_new = fd >= 0;
		if (fd < 0 && errno == EEXIST)
			fd = open_existing(o, name, force);
	}
	o->stream = fd < 0 ? NULL : fdopen(fd, "w");
	if (!o->stream && !o->why[0])
		snprintf(o->why, sizeof(o->why), "%s", strerror(errno));
	if (!o->stream && fd >= 0)
		close(fd);
}

void outfile_begin(const struct outfile *o)
{
	if (o->replaces)
		(void)!ftruncate(fileno(o->stream), 0); /* as good as what writing says */
}

/* ---- of a run that never was ---- */

static pid_t cleanup_child = -1;

int outfile_cleanup_later(const char *const *names, size_t count)
{
	sigset_t all, before;
	int ends[2], error;
	char stay;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before); /* Ctrl-C is for both */
	cleanup_child = fork();
	if (!cleanup_child) {
		close(ends[1]);
		if (read(ends[0], &stay, 1) != 1)
			while (count-- > 0)
				unlink(names[count]);
		_exit(0);
	}
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[0]);
	if (cleanup_child < 0) {
		close(ends[1]);
		errno = error;
		return -1;
	}
	return ends[1];
}

void outfile_cleanup(int later, bool stay)
{
	if (later < 0)
		return;
	if (stay)
		(void)!write(later, "", 1);
	close(later);
	while (waitpid(cleanup_child, NULL, 0) < 0 && errno == EINTR)
		;
}
