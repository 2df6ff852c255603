// SPDX-License-Identifier: GPL-2.0
#include "interim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/terminal.h"

static volatile sig_atomic_t is_wanted;
static pid_t child; /* 0 if there is none */

static void on_signal(int number)
{
	(void)number;
	is_wanted = true;
}

void interim_init(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &action, NULL);
}

bool interim_is_due(void)
{
	return is_wanted && !child;
}

/* Signals that end the run are the parent's. The child ends by itself, or when its parent ends. */
static void prepare_child(pid_t parent)
{
	static const int ignored[] = { SIGUSR1, SIGINT, SIGHUP };
	struct sigaction before;
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	if (!sigaction(SIGTSTP, NULL, &before) && before.sa_handler != SIG_IGN)
		signal(SIGTSTP, SIG_DFL); /* the parent's handler cannot stop the child */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

bool interim_fork(void)
{
	pid_t parent = getpid();

	if (!terminal_hold()) /* later, when the screen is read again */
		return false;
	is_wanted = false;
	child = fork();
	if (!child) {
		prepare_child(parent);
		terminal_release();
		return true;
	}
	if (child < 0) {
		child = 0;
		terminal_release();
		fprintf(stderr, "probe: no interim report: %s; the run goes on\n", strerror(errno));
	}
	return false;
}

static void wait_child(int flags)
{
	int status = 0;

	if (!child || !waitpid(child, &status, flags))
		return;
	child = 0;
	terminal_release();
	if (WIFSIGNALED(status))
		fprintf(stderr, "probe: the interim report was ended by signal %d (%s)%s\n",
			WTERMSIG(status), strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGKILL ? ": is memory short?" : "");
}

void interim_poll(void)
{
	wait_child(WNOHANG);
}

void interim_wait(void)
{
	wait_child(0);
}
