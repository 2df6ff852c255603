// SPDX-License-Identifier: GPL-2.0
#include "seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(NO_SECCOMP) || defined(__SANITIZE_ADDRESS__)
const bool seccomp_is_built = false;
#else
const bool seccomp_is_built = true;
#endif

#define EVERY (SECCOMP_CAPTURE | SECCOMP_LIVE | SECCOMP_FILTERS)
#define WATCHES (SECCOMP_LIVE | SECCOMP_FILTERS)

/* Compares the lower half only: the upper half of a register that holds an int is undefined. */
#define IS(argument, value)                                     \
	{                                                       \
		argument, SCMP_CMP_MASKED_EQ, 0xffffffff, value \
	}
#define WITHOUT(argument, bits)                       \
	{                                             \
		argument, SCMP_CMP_MASKED_EQ, bits, 0 \
	}

#define MAX_CODE 1024 /* BPF instructions; the filter has about 130 */

#define CALL(name) SCMP_SYS(name)

/*
 * System calls that are allowed with any arguments. Several variants of a call are listed, since C
 * libraries differ.
 */
static const struct {
	unsigned int what;
	int call;
} calls[] = {
	{ EVERY, CALL(read) },
	{ EVERY, CALL(readv) },
	{ EVERY, CALL(pread64) },
	{ EVERY, CALL(write) },
	{ EVERY, CALL(writev) },
	{ EVERY, CALL(lseek) },
	{ EVERY, CALL(_llseek) },
	{ EVERY, CALL(ftruncate) },
	{ EVERY, CALL(ftruncate64) },
	{ EVERY, CALL(close) },
	{ EVERY, CALL(fstat) },
	{ EVERY, CALL(fstat64) },
	{ EVERY, CALL(poll) },
	{ EVERY, CALL(ppoll) },
	{ EVERY, CALL(ppoll_time64) },

	{ EVERY, CALL(brk) },
	{ EVERY, CALL(munmap) },
	{ EVERY, CALL(mremap) },
	{ EVERY, CALL(madvise) },
	{ EVERY, CALL(futex) },
	{ EVERY, CALL(futex_time64) },
	{ EVERY, CALL(sysinfo) }, /* qsort() reads the size of the memory */
	{ EVERY, CALL(getrandom) }, /* malloc() of newer libraries */

	{ EVERY, CALL(clock_gettime) }, /* for clock sources that the vDSO cannot read */
	{ EVERY, CALL(clock_gettime64) },
	{ EVERY, CALL(gettimeofday) },
	{ EVERY, CALL(time) },

	{ EVERY, CALL(rt_sigaction) },
	{ EVERY, CALL(rt_sigprocmask) },
	{ EVERY, CALL(rt_sigreturn) },
	{ EVERY, CALL(sigreturn) },
	{ EVERY, CALL(restart_syscall) },
	{ EVERY, CALL(getpid) },
	{ EVERY, CALL(gettid) },
	{ EVERY, CALL(getpgrp) },
	{ EVERY, CALL(getpgid) },
	{ EVERY, CALL(getppid) },
	{ EVERY, CALL(set_robust_list) }, /* fork(), see interim.c */
	{ EVERY, CALL(capget) },
	{ EVERY, CALL(wait4) }, /* see outfile_cleanup() */
	{ EVERY, CALL(exit) },
	{ EVERY, CALL(exit_group) },

	{ WATCHES, CALL(epoll_create1) },
	{ WATCHES, CALL(epoll_ctl) },
	{ WATCHES, CALL(epoll_wait) },
	{ WATCHES, CALL(epoll_pwait) },
	{ WATCHES, CALL(epoll_pwait2) },
	{ WATCHES, CALL(timerfd_create) },
	{ WATCHES, CALL(timerfd_settime) },
	{ WATCHES, CALL(timerfd_settime64) },
	{ WATCHES, CALL(uname) },
	{ WATCHES, CALL(bind) },
	{ WATCHES, CALL(getsockname) },
	{ WATCHES, CALL(setsockopt) },
	{ WATCHES, CALL(send) },
	{ WATCHES, CALL(sendto) },
	{ WATCHES, CALL(sendmsg) },
	{ WATCHES, CALL(recv) },
	{ WATCHES, CALL(recvfrom) },
	{ WATCHES, CALL(recvmsg) },

	{ SECCOMP_FILTERS, CALL(nanosleep) }, /* waits while another probe holds the lock */
	{ SECCOMP_FILTERS, CALL(clock_nanosleep) },
	{ SECCOMP_FILTERS, CALL(clock_nanosleep_time64) },
};

/* System calls that are allowed with these arguments only, one row for each combination. */
static const struct {
	unsigned int what;
	int call;
	unsigned int count;
	struct scmp_arg_cmp arguments[3];
} restricted_calls[] = {
	/* memory without PROT_EXEC */
	{ EVERY, CALL(mmap), 1, { WITHOUT(2, PROT_EXEC) } },
	{ EVERY, CALL(mmap2), 1, { WITHOUT(2, PROT_EXEC) } },
	{ EVERY, CALL(mprotect), 1, { WITHOUT(2, PROT_EXEC) } },

	/* fstat() in its variants: an open file, by its descriptor */
	{ EVERY, CALL(newfstatat), 1, { IS(3, AT_EMPTY_PATH) } },
	{ EVERY, CALL(statx), 1, { IS(2, AT_EMPTY_PATH) } },
	{ EVERY, CALL(fcntl), 1, { IS(1, F_GETFL) } },
	{ EVERY, CALL(fcntl), 1, { IS(1, F_GETFD) } },
	{ EVERY, CALL(fcntl), 1, { IS(1, F_DUPFD_CLOEXEC) } },
	{ EVERY, CALL(fcntl64), 1, { IS(1, F_GETFL) } },
	{ EVERY, CALL(fcntl64), 1, { IS(1, F_GETFD) } },
	{ EVERY, CALL(fcntl64), 1, { IS(1, F_DUPFD_CLOEXEC) } },

	/* fork(), and the end of the child with its parent: see interim.c */
	{ EVERY, CALL(clone), 1, { IS(0, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD) } },
	{ EVERY, CALL(prctl), 1, { IS(0, PR_SET_PDEATHSIG) } },

	/* a terminal: its width, attributes and foreground process group, but not TIOCSTI */
	{ EVERY, CALL(ioctl), 1, { IS(1, TIOCGWINSZ) } },
	{ EVERY, CALL(ioctl), 1, { IS(1, TCGETS) } },
	{ EVERY, CALL(ioctl), 1, { IS(1, TIOCGPGRP) } },

	{ WATCHES, CALL(bpf), 1, { IS(0, BPF_MAP_LOOKUP_ELEM) } },
	{ WATCHES, CALL(bpf), 1, { IS(0, BPF_MAP_LOOKUP_BATCH) } },
	{ WATCHES, CALL(bpf), 1, { IS(0, BPF_PROG_TEST_RUN) } },
	{ WATCHES, CALL(bpf), 1, { IS(0, BPF_PROG_QUERY) } }, /* see hook_explain_blind() */
	{ WATCHES, CALL(bpf), 1, { IS(0, BPF_OBJ_GET_INFO_BY_FD) } },
	{ SECCOMP_FILTERS, CALL(bpf), 1, { IS(0, BPF_LINK_CREATE) } },

	{ WATCHES, CALL(socket), 2, { IS(0, AF_NETLINK), IS(2, NETLINK_ROUTE) } },
	/* sockets for the abstract names in clsact.c */
	{ SECCOMP_FILTERS, CALL(socket), 2, { IS(0, AF_UNIX), IS(1, SOCK_DGRAM | SOCK_CLOEXEC) } },
};

static int add_rules(scmp_filter_ctx filter, unsigned int what)
{
	const struct scmp_arg_cmp own = IS(0, getpid());
	int error = 0;
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]) && !error; i++)
		if (calls[i].what & what)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].call, 0);
	for (i = 0; i < sizeof(restricted_calls) / sizeof(restricted_calls[0]) && !error; i++)
		if (restricted_calls[i].what & what)
			error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
						       restricted_calls[i].call,
						       restricted_calls[i].count,
						       restricted_calls[i].arguments);
	/* raise(), which handles Ctrl-Z: signals to this process only */
	if (!error)
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1, &own);
	return error;
}

/*
 * Writes the filter's BPF code into an anonymous file. Returns its descriptor, or -1 with errno.
 * libseccomp may silently omit a rule when it runs out of memory, so errno is checked as well.
 */
static int generate(unsigned int what)
{
	int program = memfd_create("filter", MFD_CLOEXEC), error = -ENOMEM;
	scmp_filter_ctx filter;

	if (program < 0)
		return -1;
	seccomp_api_get(); /* probes the kernel, which leaves errno set */
	errno = 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (filter) {
		error = add_rules(filter, what);
		if (!error)
			error = seccomp_export_bpf(filter, program);
		if (!error)
			error = -errno;
		seccomp_release(filter);
	}
	if (!error)
		return program;
	close(program);
	errno = -error;
	return -1;
}

bool seccomp_enter(unsigned int what)
{
	struct sock_filter code[MAX_CODE];
	struct sock_fprog program = { .filter = code };
	ssize_t bytes;
	int generated;

	if (!seccomp_is_built)
		return true;
	tzset(); /* call it now: the first call opens a file */
	generated = generate(what);
	if (generated < 0)
		return false;
	bytes = pread(generated, code, sizeof(code), 0);
	close(generated);
	if (bytes <= 0 || bytes == sizeof(code)) {
		errno = E2BIG;
		return false;
	}
	program.len = bytes / sizeof(code[0]);
	/* kernels from 4.14 on log refused calls */
	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, &program);
}
