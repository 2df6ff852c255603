// SPDX-License-Identifier: GPL-2.0
#include "report/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/format.h"
#include "report/glyphs.h"

#define MAX_WAITING_BYTES (256 << 10)
#define CLEAR "\r\033[J" /* this line, and what a narrower window has wrapped of it */

static const struct paint no_paint = { "", "", "", "", "" };
static const struct paint colours = { .bold = "\033[1m",
				      .bad = "\033[31m",
				      .wait = "\033[33m",
				      .good = "\033[32m",
				      .off = "\033[0m" };

const struct paint *paint = &no_paint;

enum kind { FILE_OR_DEVICE, TERMINAL, PIPE, SOCKET };

/* Where lines go. Both streams may share one. */
struct sink {
	FILE *out;
	int fd;
	struct stat file;
	enum kind kind;
	int own; /* this terminal once more, by a description of ours that does not block; or -1 */
	char *waiting;
	size_t used, room;
	unsigned long long left_out; /* lines, since the last that was let in */
	int error;
};

static struct sink sinks[2];
static struct sink *of_output, *of_errors, *with_status; /* NULL: not open, none */
static bool waiting_bytes;
static char status[512];
static volatile sig_atomic_t is_drawn;

static struct sink *sink_of(FILE *out)
{
	return out == stdout ? of_output : out == stderr ? of_errors : NULL;
}

/* Of stderr, too, which only passes on to it: see filter_stderr(). */
static int fd_of(FILE *out)
{
	return out == stderr ? STDERR_FILENO : fileno(out);
}

int terminal_width(FILE *out)
{
	struct winsize size;

	if (ioctl(fd_of(out), TIOCGWINSZ, &size))
		return 0;
	return size.ws_col ? size.ws_col : 80; /* a serial line knows of none */
}

/* ---- writing without waiting ---- */

/*
 * O_NONBLOCK is of the open file, which we share with the shell: it must not be set there. So a
 * terminal is opened once more, a socket takes a flag, and a pipe that is ready takes PIPE_BUF bytes.
 */
static ssize_t write_now(const struct sink *s, const char *bytes, size_t n)
{
	struct pollfd ready = { .fd = s->fd, .events = POLLOUT };

	if (s->kind == SOCKET)
		return send(ready.fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->kind == FILE_OR_DEVICE)
		return write(ready.fd, bytes, n);
	if (s->own >= 0)
		return write(s->own, bytes, n);
	if (poll(&ready, 1, 0) < 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(ready.fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
}

static ssize_t write_waiting(const struct sink *s, const char *bytes, size_t n)
{
	struct pollfd ready = { .fd = s->fd, .events = POLLOUT };
	ssize_t written = write(ready.fd, bytes, n);

	if (written < 0 && errno == EAGAIN) /* who started us has set O_NONBLOCK */
		return poll(&ready, 1, -1) < 0 ? -1 : 0;
	return written;
}

/* What cannot be written at all is gone; the first reason is kept. */
static void push(struct sink *s, bool wait)
{
	size_t done = 0;
	ssize_t n;

	while (done < s->used) {
		n = (wait ? write_waiting : write_now)(s, s->waiting + done, s->used - done);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			if (!s->error)
				s->error = errno;
			done = s->used;
			break;
		}
		done += n;
	}
	if (!done)
		return;
	s->used -= done;
	memmove(s->waiting, s->waiting + done, s->used);
}

static bool append(struct sink *s, const char *text)
{
	size_t n = strlen(text), room = s->room ? s->room : 4096;
	char *more;

	while (s->used + n > room)
		room *= 2;
	if (room > s->room) {
		more = realloc(s->waiting, room);
		if (!more)
			return false;
		s->waiting = more;
		s->room = room;
	}
	memcpy(s->waiting + s->used, text, n);
	s->used += n;
	return true;
}

/* ---- the status line ---- */

/* Of a job that the shell has put into the background only the lines are wanted. */
static bool is_in_background(FILE *terminal)
{
	pid_t group = tcgetpgrp(fd_of(terminal));

	return group >= 0 && group != getpgrp();
}

/*
 * The cursor goes back to the line's begin: a terminal that wraps long lines anew when it becomes
 * narrower leaves it there, so that CLEAR finds all of them.
 */
static void draw(void)
{
	char line[sizeof(status) + 32];
	struct sink *s = with_status;

	if (!s || is_drawn || s->used || !status[0] || is_in_background(s->out))
		return;
	snprintf(line, sizeof(line), CLEAR "%s%.*s%s\r", paint == &colours ? "\033[7m" : "",
		 (int)format_cut(status, terminal_status_columns()), status,
		 paint == &colours ? "\033[0m" : "");
	if (append(s, line))
		is_drawn = true;
	push(s, waiting_bytes);
}

static void undraw(struct sink *s)
{
	if (s == with_status && is_drawn && append(s, CLEAR))
		is_drawn = false;
}

int terminal_status_columns(void)
{
	return with_status ? terminal_width(with_status->out) - 1 : 0;
}

/*
 * Ctrl-Z, and Ctrl-C where nobody else catches it: the shell's prompt gets the line. After a stop the
 * status is drawn again, wherever that has led to.
 */
static void on_fatal_signal(int number)
{
	struct sigaction stop = { .sa_handler = SIG_DFL }, catch;
	int saved = errno;
	sigset_t set;

	if (is_drawn)
		(void)!write(with_status->own >= 0 ? with_status->own : with_status->fd, CLEAR,
			     strlen(CLEAR));
	sigaction(number, &stop, &catch);
	raise(number);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stand still */
	sigaction(number, &catch, NULL);
	is_drawn = false;
	errno = saved;
}

static void install_signal_handlers(bool catch)
{
	static const int numbers[] = { SIGTSTP, SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = catch ? on_fatal_signal : SIG_DFL,
				    .sa_flags = SA_RESTART },
			 before;
	size_t i;

	/* those that end it a live run catches by itself */
	for (i = 0; i < (waiting_bytes ? sizeof(numbers) / sizeof(numbers[0]) : 1); i++)
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

/* ---- lines ---- */

static void print_dropped_lines(struct sink *s)
{
	char text[128];

	if (!s->left_out)
		return;
	snprintf(
		text, sizeof(text),
		"probe: %llu line%s left out here: this output stood still; the report has it all\n",
		s->left_out, s->left_out == 1 ? " is" : "s are");
	if (append(s, text))
		s->left_out = 0;
}

void terminal_line(FILE *out, const char *text)
{
	struct sink *s = sink_of(out);

	text = transliterate(text);
	if (!s) {
		fputs(text, out);
		fflush(out);
		return;
	}
	/* once some are left out, no other one comes before all that waits is written */
	if (s->left_out ? s->used : s->used + strlen(text) > MAX_WAITING_BYTES) {
		s->left_out++;
		return;
	}
	undraw(s);
	print_dropped_lines(s);
	if (!append(s, text))
		s->left_out++;
	push(s, waiting_bytes);
	draw();
}

void terminal_status(const char *text)
{
	struct sink *s;
	size_t i;

	for (i = 0; i < 2; i++) {
		s = &sinks[i];
		push(s, waiting_bytes);
		if (s->left_out && !s->used) {
			undraw(s);
			print_dropped_lines(s);
			push(s, waiting_bytes);
		}
	}
	if (!with_status)
		return;
	snprintf(status, sizeof(status), "%s", transliterate(text));
	if (!with_status->used) {
		undraw(with_status);
		push(with_status, waiting_bytes);
		draw();
	}
}

int terminal_error(void)
{
	return of_output ? of_output->error : sinks[0].error;
}

/* ---- from the begin to the end ---- */

static void open_sink(struct sink *s, FILE *out)
{
	int fd = fd_of(out);
	char path[64];

	*s = (struct sink){ .out = out, .fd = fd, .own = -1 };
	if (fstat(fd, &s->file))
		return;
	if (S_ISFIFO(s->file.st_mode))
		s->kind = PIPE;
	else if (S_ISSOCK(s->file.st_mode))
		s->kind = SOCKET;
	else if (isatty(fd))
		s->kind = TERMINAL;
	if (s->kind == TERMINAL && !waiting_bytes) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		s->own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return S_ISCHR(a->st_mode) ? S_ISCHR(b->st_mode) && a->st_rdev == b->st_rdev
				   : a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

void terminal_open(bool wants_status, bool may_wait)
{
	const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool is_dumb = !terminal || !*terminal || !strcmp(terminal, "dumb");

	waiting_bytes = may_wait;
	fflush(stdout);
	open_sink(&sinks[0], stdout);
	open_sink(&sinks[1], stderr);
	of_output = of_errors = &sinks[0];
	if (!is_same_file(&sinks[0].file, &sinks[1].file))
		of_errors = &sinks[1];
	if (!is_dumb && of_output->kind == TERMINAL && !(no_color && *no_color))
		paint = &colours;
	if (is_dumb || !wants_status)
		return;
	/* what a pipe leads to may write to the same terminal: there is no line that could be ours */
	if (of_output->kind == TERMINAL)
		with_status = of_output;
	else if (of_output->kind == FILE_OR_DEVICE && of_errors->kind == TERMINAL)
		with_status = of_errors;
	if (with_status)
		install_signal_handlers(true);
}

void terminal_close(void)
{
	struct sink *s;
	size_t i;

	if (!of_output)
		return;
	if (with_status)
		install_signal_handlers(false);
	for (i = 0; i < 2; i++) {
		s = &sinks[i];
		undraw(s);
		if (s->own >= 0)
			close(s->own);
		s->own = -1;
		push(s, true);
		print_dropped_lines(s);
		push(s, true);
		free(s->waiting);
		s->waiting = NULL;
		s->used = s->room = 0;
	}
	of_output = of_errors = with_status = NULL;
}
