// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the filter of system calls from inside: a child enters the sandbox of a run and makes each
 * call. If a forbidden call succeeded, an attacker who controls the probe by a packet or a capture
 * would be root on the gateway. If an allowed call failed, a run would lose its report.
 */
#include "seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CAPTURE, LIVE, FILTERS, RUNS };

static const unsigned int whats[RUNS] = { SECCOMP_CAPTURE, SECCOMP_LIVE,
					  SECCOMP_LIVE | SECCOMP_FILTERS };
static const char *const names[RUNS] = { "of a capture", "of a live run",
					 "of a live run with filters" };
static const char *run;
static int passed, failed;

static int file, status_file, folder, output; /* opened before the sandbox */
static char file_name[] = "/tmp/test-sandbox-XXXXXX";

/* Makes the call with arguments that the kernel accepts. Returns 0, or -1 with errno. */
static long execute(void)
{
	char *none[] = { NULL };

	return execve("/bin/true", none, none);
}

static long execute_at(void)
{
	char *none[] = { NULL };

	return syscall(SYS_execveat, AT_FDCWD, "/bin/true", none, none, 0);
}

static long fork_off(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid)
		_exit(0);
	return pid;
}

static long open_to_write(void)
{
	return open(file_name, O_WRONLY);
}

static long open_to_read(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long create(void)
{
	return syscall(SYS_openat, folder, "made", O_CREAT | O_WRONLY, 0600);
}

static long open_anew(void)
{
	uint64_t how[3] = { O_RDONLY };

	return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof(how));
}

static long remove_file(void)
{
	return unlink(file_name);
}

static long rename_file(void)
{
	return rename(file_name, file_name);
}

static long link_file(void)
{
	return symlink("/etc/passwd", "/tmp/test-sandbox-link");
}

static long change_mode(void)
{
	return fchmod(file, 04755);
}

static long change_owner(void)
{
	return fchown(file, 0, 0);
}

static long look_at_file(void)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &st, 0);
}

static long trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long read_other_process(void)
{
	return syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
}

static long kill_parent(void)
{
	return kill(getppid(), 0);
}

static long signal_parent(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long connect_to(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long connect_to6(void)
{
	return socket(AF_INET6, SOCK_DGRAM, 0);
}

static long listen_to_wire(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long stream_to_local(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long name_socket(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static long ask_conntrack(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
}

static long ask_routes(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&kernel, sizeof(kernel));
}

static long map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static char page[8192] __attribute__((aligned(4096)));

static long make_code(void)
{
	return mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long type_into_terminal(void)
{
	return ioctl(STDIN_FILENO, TIOCSTI, "x");
}

static long load_program(void)
{
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER };

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static long make_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static long change_map(void)
{
	union bpf_attr attr = {};

	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr));
}

static long attach_link(void)
{
	union bpf_attr attr = {};

	return syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

static long read_map(void)
{
	union bpf_attr attr = {};

	return syscall(SYS_bpf, BPF_MAP_LOOKUP_BATCH, &attr, sizeof(attr));
}

static long run_program(void)
{
	union bpf_attr attr = {};

	return syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
}

static long become_another(void)
{
	return setuid(getuid());
}

static long take_namespace(void)
{
	return unshare(0);
}

static long mount_something(void)
{
	return mount("none", "/nowhere", "tmpfs", MS_REMOUNT, NULL);
}

static long control_itself(void)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static long ring_of_calls(void)
{
	return syscall(SYS_io_uring_setup, 0, NULL);
}

static long write_out(void)
{
	return write(output, "x", 1) == 1 && !ftruncate(output, 0) ? 0 : -1;
}

static long read_in(void)
{
	char byte;

	return lseek(file, 0, SEEK_SET) || read(file, &byte, 1) < 0 ? -1 : 0;
}

static long duplicate(void)
{
	int fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	return f ? fclose(f) : -1;
}

static long take_memory(void)
{
	char *big = malloc(64 << 20), *bigger, *many[1000];
	int i;

	if (!big)
		return -1;
	big[0] = 1;
	bigger = realloc(big, 256 << 20);
	free(bigger);
	for (i = 0; i < 1000; i++) {
		many[i] = malloc(10000);
		if (!many[i])
			return -1;
	}
	for (i = 0; i < 1000; i++)
		free(many[i]);
	return bigger ? 0 : -1;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static long sort(void)
{
	int *numbers = calloc(1 << 20, sizeof(int)), i;

	for (i = 0; i < 1 << 20; i++)
		numbers[i] = -i;
	errno = 0;
	qsort(numbers, 1 << 20, sizeof(int), by_number);
	i = numbers[0];
	free(numbers);
	return i == 1 - (1 << 20) && errno != ENOSYS ? 0 : -1;
}

static long tell_time(void)
{
	struct timespec t;
	struct tm tm;

	return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) ||
			       clock_gettime(CLOCK_REALTIME, &t) || !localtime_r(&t.tv_sec, &tm)
		       ? -1
		       : 0;
}

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
	caught = number;
}

static long signal_itself(void)
{
	struct sigaction action = { .sa_handler = catch_signal };

	return sigaction(SIGUSR1, &action, NULL) || raise(SIGUSR1) || caught != SIGUSR1 ? -1 : 0;
}

static long look_at_terminal(void)
{
	struct winsize size;

	return ioctl(STDIN_FILENO, TIOCGWINSZ, &size) && errno == ENOSYS ? -1 : 0;
}

static long wait_for_events(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC),
	    timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	struct itimerspec soon = { .it_value.tv_nsec = 1 };
	struct epoll_event event = { .events = EPOLLIN };

	return epoll < 0 || timer < 0 || timerfd_settime(timer, 0, &soon, NULL) ||
			       epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) ||
			       epoll_wait(epoll, &event, 1, -1) != 1
		       ? -1
		       : 0;
}

static long look_whether_ready(void)
{
	struct pollfd p = { .fd = output, .events = POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : 0;
}

#define NONE 0
#define ALL (1 << CAPTURE | 1 << LIVE | 1 << FILTERS)
#define WATCHING (1 << LIVE | 1 << FILTERS)

static const struct {
	const char *name;
	long (*call)(void);
	unsigned int in; /* the runs that may make the call; all others refuse it */
} attempts[] = {
	{ "execve", execute, NONE },
	{ "execveat", execute_at, NONE },
	{ "clone", fork_off, NONE },
	{ "open for writing", open_to_write, NONE },
	{ "open for reading", open_to_read, NONE },
	{ "openat, creating a file", create, NONE },
	{ "openat2", open_anew, NONE },
	{ "unlink", remove_file, NONE },
	{ "rename", rename_file, NONE },
	{ "symlink", link_file, NONE },
	{ "fchmod", change_mode, NONE },
	{ "fchown", change_owner, NONE },
	{ "stat by name", look_at_file, NONE },
	{ "ptrace", trace, NONE },
	{ "process_vm_readv", read_other_process, NONE },
	{ "kill", kill_parent, NONE },
	{ "tgkill of another process", signal_parent, NONE },
	{ "socket, IPv4", connect_to, NONE },
	{ "socket, IPv6", connect_to6, NONE },
	{ "socket, packet", listen_to_wire, NONE },
	{ "socket, local stream", stream_to_local, NONE },
	{ "socket, netlink of netfilter", ask_conntrack, NONE },
	{ "mmap of code", map_code, NONE },
	{ "mprotect to code", make_code, NONE },
	{ "ioctl TIOCSTI", type_into_terminal, NONE },
	{ "bpf, load a program", load_program, NONE },
	{ "bpf, create a map", make_map, NONE },
	{ "bpf, change a map", change_map, NONE },
	{ "setuid", become_another, NONE },
	{ "unshare", take_namespace, NONE },
	{ "mount", mount_something, NONE },
	{ "prctl", control_itself, NONE },
	{ "io_uring_setup", ring_of_calls, NONE },

	{ "bpf, attach", attach_link, 1 << FILTERS },
	{ "socket, local name", name_socket, 1 << FILTERS },
	{ "bpf, read a map", read_map, WATCHING },
	{ "bpf, run a program", run_program, WATCHING },
	{ "socket, netlink of routes", ask_routes, WATCHING },
	{ "epoll and timer", wait_for_events, WATCHING },

	{ "write and truncate", write_out, ALL },
	{ "read and seek", read_in, ALL },
	{ "duplicate", duplicate, ALL },
	{ "memory", take_memory, ALL },
	{ "sort", sort, ALL },
	{ "clocks", tell_time, ALL },
	{ "a signal to itself", signal_itself, ALL },
	{ "width of a terminal", look_at_terminal, ALL },
	{ "poll", look_whether_ready, ALL },
};

static void expect(bool holds, const char *what, const char *why)
{
	if (holds) {
		passed++;
		return;
	}
	failed++;
	printf("FAIL  %s, in the sandbox %s: %s\n", what, run, why);
}

static bool has_line(const char *status, const char *line)
{
	return strstr(status, line);
}

static void try_all(int r)
{
	char status[8192] = "", word[128];
	size_t i;
	long result;

	expect(seccomp_enter(whats[r]), "entering it", strerror(errno));
	expect(pread(status_file, status, sizeof(status) - 1, 0) > 0, "reading on",
	       strerror(errno));
	expect(has_line(status, "\nSeccomp:\t2\n"), "Seccomp: 2", status);
	expect(has_line(status, "\nNoNewPrivs:\t1\n"), "NoNewPrivs: 1", status);
	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		errno = 0;
		result = attempts[i].call();
		snprintf(word, sizeof(word), "answers %ld, %s", result, strerror(errno));
		if (attempts[i].in & 1 << r)
			expect(errno != ENOSYS, attempts[i].name, word);
		else
			expect(result < 0 && errno == ENOSYS, attempts[i].name, word);
		/* calls that the kernel refuses for their empty arguments have passed the filter */
		if (attempts[i].in == ALL)
			expect(!result, attempts[i].name, word);
	}
}

/*
 * Without the sandbox, every forbidden call except those that would end the test passes the
 * filter's position.
 */
static void try_outside(void)
{
	size_t i;

	run = "that was not entered";
	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		if (attempts[i].call == execute || attempts[i].call == execute_at ||
		    attempts[i].call == remove_file || attempts[i].call == trace ||
		    attempts[i].call == type_into_terminal || attempts[i].call == ring_of_calls)
			continue;
		errno = 0;
		expect(attempts[i].call() >= 0 || errno != ENOSYS, attempts[i].name,
		       "does not exist on this kernel: the filter cannot be tested");
	}
	unlink("/tmp/test-sandbox-link");
}

int main(void)
{
	int counts[2], ends[2], r, status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	file = mkstemp(file_name);
	output = open(file_name, O_WRONLY);
	folder = open("/tmp", O_RDONLY | O_DIRECTORY);
	for (r = 0; r <= RUNS; r++) {
		if (pipe(ends))
			return 1;
		if (!fork()) {
			status_file = open("/proc/self/status", O_RDONLY);
			alarm(60);
			passed = failed = 0;
			if (r < RUNS) {
				run = names[r];
				try_all(r);
			} else {
				try_outside();
			}
			counts[0] = passed;
			counts[1] = failed;
			if (write(ends[1], counts, sizeof(counts)) < 0)
				_exit(1);
			_exit(0);
		}
		close(ends[1]);
		if (read(ends[0], counts, sizeof(counts)) != sizeof(counts)) {
			counts[0] = 0;
			counts[1] = 1;
			printf("FAIL  the sandbox %s killed its process\n",
			       r < RUNS ? names[r] : "that was not entered");
		}
		close(ends[0]);
		wait(&status);
		passed += counts[0];
		failed += counts[1];
	}
	unlink(file_name);
	unlink("/tmp/made");
	printf("seccomp_filter: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
