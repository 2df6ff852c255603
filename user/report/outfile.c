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

/* Stores in why the reason not to write to an existing file, or "" if there is none. */
static void check_existing(char why[256], const struct stat *st, bool force)
{
	const char *reason = "";

	if (S_ISLNK(st->st_mode))
		reason = "it is a symbolic link, which is not followed; name the file itself";
	else if (S_ISDIR(st->st_mode))
		reason = "it is a directory";
	else if (S_ISBLK(st->st_mode) || S_ISSOCK(st->st_mode))
		reason = "it is not a file, a pipe or a terminal";
	else if (S_ISREG(st->st_mode) && st->st_size && !force)
		reason = "it exists; --force writes over it";
	else if (S_ISREG(st->st_mode) && st->st_nlink > 1)
		reason =
			"it has other names (hard links), whose content would change as well; remove this one";
	snprintf(why, 256, "%s", reason);
	if (!*why && !S_ISCHR(st->st_mode) && !is_ours(st))
		snprintf(why, 256, "it belongs to user %u; remove it, or choose another name",
			 (unsigned int)st->st_uid);
}

/* Returns the descriptor of this process that a name refers to, or -1. */
static int named_descriptor(const char *name)
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

/*
 * Opens a file by way of O_PATH, so that the file that was checked is opened even if its name
 * changes.
 */
static int open_existing(struct outfile *o, const char *name, bool force)
{
	int path_fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1;
	struct stat st;
	char path[64];

	if (path_fd < 0)
		return -1;
	if (!fstat(path_fd, &st)) {
		check_existing(o->why, &st, force);
		o->replaces = S_ISREG(st.st_mode);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
		if (!o->why[0])
			fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	}
	close(path_fd);
	return fd;
}

void outfile_open(struct outfile *o, const char *name, bool force)
{
	int given = named_descriptor(name), fd;

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
		(void)!ftruncate(fileno(o->stream), 0); /* a failure appears as a write error */
}

/* ---- removing files of a run that did not start ---- */

static pid_t cleanup_child = -1;

int outfile_cleanup_later(const char *const *names, size_t count)
{
	sigset_t all, before;
	int ends[2], error;
	char keep;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	sigfillset(&all);
	/* signals are blocked, since Ctrl-C is sent to both processes */
	sigprocmask(SIG_SETMASK, &all, &before);
	cleanup_child = fork();
	if (!cleanup_child) {
		close(ends[1]);
		if (read(ends[0], &keep, 1) != 1)
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

void outfile_cleanup(int later, bool keep)
{
	if (later < 0)
		return;
	if (keep)
		(void)!write(later, "", 1);
	close(later);
	while (waitpid(cleanup_child, NULL, 0) < 0 && errno == EINTR)
		;
}
