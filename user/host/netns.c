// SPDX-License-Identifier: GPL-2.0
#include "host/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int netns_enter(const char *name_or_pid)
{
	char path[PATH_MAX];
	int fd, status;

	snprintf(path, sizeof(path), "/run/netns/%s", name_or_pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && name_or_pid[strspn(name_or_pid, "0123456789")] == '\0') {
		snprintf(path, sizeof(path), "/proc/%s/ns/net", name_or_pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		fprintf(stderr, "probe: --netns %s: cannot open %s: %s%s\n", name_or_pid, path,
			strerror(errno),
			errno == ENOENT
				? " (it takes a name that `ip netns` shows, or a process id)"
				: "");
		return -1;
	}
	status = setns(fd, CLONE_NEWNET);
	if (status)
		fprintf(stderr, "probe: --netns %s: cannot enter it: %s%s\n", name_or_pid,
			strerror(errno), errno == EPERM ? " (this takes CAP_SYS_ADMIN)" : "");
	close(fd);
	return status;
}
