// SPDX-License-Identifier: GPL-2.0
#include "report/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

#define MAX_BUFFERED_BYTES (256 << 10) /* maximum bytes buffered for each stream */

/*
 * Erases from the cursor to the end of the screen: a terminal that became narrower has wrapped the
 * status line.
 */
#define CLEAR "\r\033[J"

static const struct colours no_colours = { "", "", "", "", "" };
static const struct colours ansi_colours = { .bold = "\033[1m",
					     .bad = "\033[31m",
					     .wait = "\033[33m",
					     .good = "\033[32m",
					     .reset = "\033[0m" };

enum stream_kind { FILE_OR_DEVICE, TERMINAL, PIPE, SOCKET };

/* An open file that lines are printed to. */
struct stream {
	FILE *out;
	int fd;
	struct stat file;
	enum stream_kind kind;
	int nonblocking_fd; /* this terminal, reopened with O_NONBLOCK; or -1 */
	char *buffer;
	size_t used, room; /* bytes of the buffer */
	uint64_t dropped; /* lines dropped because the buffer was full, and not reported yet */
	int error; /* errno of the first write that failed */
};

static struct stream streams[2];

/* NULL while closed. Both point to one stream if stdout and stderr are the same file. */
static struct stream *output, *errors;
static struct stream *status_stream; /* NULL if there is no status line */
static bool use_colours;
static bool blocking;
static bool held; /* another process prints: lines are buffered, and no status line is drawn */
static char status[512];
static volatile sig_atomic_t is_drawn; /* the status line is on the screen */

static struct stream *stream_of(FILE *out)
{
	return out == stdout ? output : out == stderr ? errors : NULL;
}

/*
 * Returns the stream's descriptor. After filter_stderr(), stderr is a stream without a descriptor.
 */
static int fd_of(FILE *out)
{
	return out == stderr ? STDERR_FILENO : fileno(out);
}

int terminal_width(FILE *out)
{
	struct winsize size;

	if (ioctl(fd_of(out), TIOCGWINSZ, &size))
		return 0;
	return size.ws_col ? size.ws_col : 80; /* a serial line has no size */
}

int terminal_rows(FILE *out)
{
	struct winsize size;

	if (ioctl(fd_of(out), TIOCGWINSZ, &size))
		return 0;
	return size.ws_row ? size.ws_row : 24;
}

const struct colours *terminal_colours(FILE *out)
{
	return out == stdout && use_colours ? &ansi_colours : &no_colours;
}

/* ---- writing without blocking ---- */

/*
 * Writes without blocking. O_NONBLOCK is a flag of the open file description, which the shell
 * shares, so it must not be set there. Instead a terminal is reopened, a socket is sent to with
 * MSG_DONTWAIT, and a pipe that poll() reports as ready accepts PIPE_BUF bytes (pipe(7)).
 */
static ssize_t write_nonblocking(const struct stream *s, const char *bytes, size_t n)
{
	struct pollfd ready = { .fd = s->fd, .events = POLLOUT };

	if (s->kind == SOCKET)
		return send(ready.fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (s->kind == FILE_OR_DEVICE)
		return write(ready.fd, bytes, n);
	if (s->nonblocking_fd >= 0)
		return write(s->nonblocking_fd, bytes, n);
	if (poll(&ready, 1, 0) < 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(ready.fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
}

static ssize_t write_blocking(const struct stream *s, const char *bytes, size_t n)
{
	struct pollfd ready = { .fd = s->fd, .events = POLLOUT };
	ssize_t written = write(ready.fd, bytes, n);

	if (written < 0 && errno == EAGAIN) /* the parent process has set O_NONBLOCK */
		return poll(&ready, 1, -1) < 0 ? -1 : 0;
	return written;
}

/* Writes buffered bytes. After an error other than EAGAIN the buffer is discarded. */
static void flush_buffer(struct stream *s, bool block)
{
	size_t done = 0;
	ssize_t n;

	if (held)
		return;
	while (done < s->used) {
		n = (block ? write_blocking : write_nonblocking)(s, s->buffer + done,
								 s->used - done);
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
	memmove(s->buffer, s->buffer + done, s->used);
}

static bool append(struct stream *s, const char *text)
{
	size_t n = strlen(text), room = s->room ? s->room : 4096;
	char *more;

	while (s->used + n > room)
		room *= 2;
	if (room > s->room) {
		more = realloc(s->buffer, room);
		if (!more)
			return false;
		s->buffer = more;
		s->room = room;
	}
	memcpy(s->buffer + s->used, text, n);
	s->used += n;
	return true;
}

/* ---- the status line ---- */

/* Returns true for a background job of the shell. It prints lines, but draws no status line. */
static bool is_in_background(FILE *terminal)
{
	pid_t group = tcgetpgrp(fd_of(terminal));

	return group >= 0 && group != getpgrp();
}

/*
 * Draws the status line, and returns the cursor to the first column. A terminal that becomes
 * narrower wraps the line and leaves the cursor at its start, so that CLEAR erases all its rows.
 */
static void draw_status(void)
{
	char line[sizeof(status) + 32];
	struct stream *s = status_stream;

	if (!s || held || is_drawn || s->used || !status[0] || is_in_background(s->out))
		return;
	snprintf(line, sizeof(line), CLEAR "%s%.*s%s\r", use_colours ? "\033[7m" : "",
		 (int)format_cut(status, terminal_status_columns()), status,
		 use_colours ? "\033[0m" : "");
	if (append(s, line))
		is_drawn = true;
	flush_buffer(s, blocking);
}

static void erase_status(struct stream *s)
{
	if (s == status_stream && is_drawn && append(s, CLEAR))
		is_drawn = false;
}

int terminal_status_columns(void)
{
	return status_stream ? terminal_width(status_stream->out) - 1 : 0;
}

/*
 * Erases the status line before a signal stops or ends the process, so that the shell's prompt gets
 * an empty row. After SIGCONT the next terminal_status() draws it again.
 */
static void on_fatal_signal(int number)
{
	struct sigaction stop = { .sa_handler = SIG_DFL }, catch;
	int saved = errno;
	sigset_t set;

	if (is_drawn)
		(void)!write(status_stream->nonblocking_fd >= 0 ? status_stream->nonblocking_fd
								: status_stream->fd,
			     CLEAR, strlen(CLEAR));
	sigaction(number, &stop, &catch);
	raise(number);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* the process stops here */
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

	/* live capture has its own handlers for all signals except the first */
	for (i = 0; i < (blocking ? sizeof(numbers) / sizeof(numbers[0]) : 1); i++)
		if (!sigaction(numbers[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

/* ---- lines ---- */

static void print_dropped_lines(struct stream *s)
{
	char text[128];

	if (!s->dropped)
		return;
	snprintf(text, sizeof(text),
		 "probe: %" PRIu64
		 " line%s dropped here: this output was not read; the report contains them\n",
		 s->dropped, s->dropped == 1 ? " was" : "s were");
	if (append(s, text))
		s->dropped = 0;
}

void terminal_line(FILE *out, const char *text)
{
	struct stream *s = stream_of(out);

	text = transliterate(text);
	if (!s) {
		fputs(text, out);
		fflush(out);
		return;
	}
	/* after a dropped line, no line is buffered until the buffer is empty */
	if (s->dropped ? s->used : s->used + strlen(text) > MAX_BUFFERED_BYTES) {
		s->dropped++;
		return;
	}
	erase_status(s);
	print_dropped_lines(s);
	if (!append(s, text))
		s->dropped++;
	flush_buffer(s, blocking);
	draw_status();
}

void terminal_status(const char *text)
{
	struct stream *s;
	size_t i;

	for (i = 0; i < 2; i++) {
		s = &streams[i];
		flush_buffer(s, blocking);
		if (s->dropped && !s->used) {
			erase_status(s);
			print_dropped_lines(s);
			flush_buffer(s, blocking);
		}
	}
	if (!status_stream)
		return;
	snprintf(status, sizeof(status), "%s", transliterate(text));
	if (!status_stream->used) {
		erase_status(status_stream);
		flush_buffer(status_stream, blocking);
		draw_status();
	}
}

bool terminal_hold(void)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (!blocking && streams[i].used)
			return false;

	for (i = 0; i < 2 && output; i++) {
		erase_status(&streams[i]);
		flush_buffer(&streams[i], blocking);
	}
	held = !streams[0].used && !streams[1].used;
	return held;
}

void terminal_release(void)
{
	held = false;
}

int terminal_error(void)
{
	return output ? output->error : streams[0].error;
}

/* ---- opening and closing ---- */

static void open_stream(struct stream *s, FILE *out)
{
	int fd = fd_of(out);
	char path[64];

	*s = (struct stream){ .out = out, .fd = fd, .nonblocking_fd = -1 };
	if (fstat(fd, &s->file))
		return;
	if (S_ISFIFO(s->file.st_mode))
		s->kind = PIPE;
	else if (S_ISSOCK(s->file.st_mode))
		s->kind = SOCKET;
	else if (isatty(fd))
		s->kind = TERMINAL;
	if (s->kind == TERMINAL && !blocking) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		s->nonblocking_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return S_ISCHR(a->st_mode) ? S_ISCHR(b->st_mode) && a->st_rdev == b->st_rdev
				   : a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

void terminal_open(bool wants_status, bool may_block)
{
	const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");
	bool is_dumb = !terminal || !*terminal || !strcmp(terminal, "dumb");

	blocking = may_block;
	fflush(stdout);
	open_stream(&streams[0], stdout);
	open_stream(&streams[1], stderr);
	output = errors = &streams[0];
	if (!is_same_file(&streams[0].file, &streams[1].file))
		errors = &streams[1];
	if (!is_dumb && output->kind == TERMINAL && !(no_color && *no_color))
		use_colours = true;
	if (is_dumb || !wants_status)
		return;
	/* draw no status line beside a pipe: its reader may write to the same terminal */
	if (output->kind == TERMINAL)
		status_stream = output;
	else if (output->kind == FILE_OR_DEVICE && errors->kind == TERMINAL)
		status_stream = errors;
	if (status_stream)
		install_signal_handlers(true);
}

void terminal_close(void)
{
	struct stream *s;
	size_t i;

	held = false;
	if (!output)
		return;
	if (status_stream)
		install_signal_handlers(false);
	for (i = 0; i < 2; i++) {
		s = &streams[i];
		erase_status(s);
		if (s->nonblocking_fd >= 0)
			close(s->nonblocking_fd);
		s->nonblocking_fd = -1;
		flush_buffer(s, true);
		print_dropped_lines(s);
		flush_buffer(s, true);
		free(s->buffer);
		s->buffer = NULL;
		s->used = s->room = 0;
	}
	output = errors = status_stream = NULL;
}
