// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <libmnl/libmnl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "source/live_internal.h"

#define TICK_NS (50 * (ns_t)MILLISECOND_NS)

enum { TIMER, SIGNALS, LINKS, DESCRIPTORS };

static int wake = -1; /* an eventfd that the signal handler writes to */

/*
 * Wakes the event loop. The first signal does not interrupt a write in progress (SA_RESTART). A
 * second signal does: otherwise a reader that stopped reading could block the end of the run.
 */
static void on_ending_signal(int number)
{
	struct sigaction interrupt = { .sa_handler = on_ending_signal };
	uint64_t one = 1;
	int saved = errno;

	sigaction(number, &interrupt, NULL);
	(void)!write(wake, &one, sizeof(one));
	errno = saved;
}

int catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_ending_signal, .sa_flags = SA_RESTART },
			 before;
	size_t i;

	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &before))
			return -1;
		/* under nohup the run continues without its terminal */
		if (numbers[i] == SIGHUP && before.sa_handler == SIG_IGN)
			continue;
		sigaction(numbers[i], &action, NULL);
	}
	return wake;
}

static int open_timer(void)
{
	struct itimerspec every = { .it_interval.tv_nsec = TICK_NS, .it_value.tv_nsec = TICK_NS };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int open_epoll(const int fds[DESCRIPTORS])
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), i;
	struct epoll_event event;

	for (i = 0; epoll >= 0 && i < DESCRIPTORS; i++) {
		event = (struct epoll_event){ .events = EPOLLIN, .data.u32 = i };
		if (fds[i] < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event)) {
			close(epoll);
			return -1;
		}
	}
	return epoll;
}

static void handle_event(struct live *l, const int fds[DESCRIPTORS], uint32_t which)
{
	uint64_t expirations;

	switch (which) {
	case TIMER:
		if (read(fds[TIMER], &expirations, sizeof(expirations)) > 0)
			live_tick(l);
		break;
	case SIGNALS:
		l->ended = true;
		break;
	case LINKS:
		handle_link_events(l);
		break;
	}
}

int run_event_loop(struct live *l)
{
	int fds[DESCRIPTORS] = { open_timer(), wake,
				 l->link_events ? mnl_socket_get_fd(l->link_events) : -1 };
	int epoll = open_epoll(fds), status = epoll < 0 ? -1 : 0, n;
	struct epoll_event event;

	while (!status && !l->ended) {
		n = epoll_wait(epoll, &event, 1, -1);
		if (n > 0)
			handle_event(l, fds, event.data.u32);
		else if (n < 0 && errno != EINTR)
			status = -1;
	}
	if (status)
		fprintf(stderr, "probe: cannot wait for events: %s\n", strerror(errno));
	wake = -1; /* later signals write to no descriptor */
	if (fds[TIMER] >= 0)
		close(fds[TIMER]);
	close(fds[SIGNALS]);
	if (epoll >= 0)
		close(epoll);
	return status;
}
