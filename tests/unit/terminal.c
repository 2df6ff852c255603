// SPDX-License-Identifier: GPL-2.0
/*
 * Checks that a reader that stops reading never blocks the run, and that a flood of lines stays
 * readable.
 */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "expect.h"
#include "report/ratelimit.h"
#include "report/terminal.h"

#define LINES \
	40000 /* more than the capacity of a pipe, a socket, a terminal and the screen together */

/*
 * The lines that a reader received, the number reported as dropped, and whether any line was
 * damaged.
 */
struct got {
	unsigned long lines, left_out;
	bool torn, ended;
};

static int read_byte(int fd, int timeout)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&ready, 1, timeout) == 1 && read(fd, &byte, 1) == 1 ? byte : -1;
}

static void write_lines(int end, int ready, int asked, bool may_wait)
{
	char line[128];
	int i;

	signal(SIGPIPE, SIG_IGN);
	dup2(end, STDOUT_FILENO);
	terminal_open(false, may_wait);
	for (i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "line %d of those that come whole or not at all\n", i);
		terminal_line(stdout, line);
	}
	if (write(ready, "x", 1) != 1)
		_exit(1);
	read_byte(asked, 60000);
	for (i = 0; i < 20; i++) { /* at the pace of a run */
		terminal_status("");
		poll(NULL, 0, 10);
	}
	terminal_line(stdout, "the end\n");
	terminal_close();
	_exit(0);
}

static void look_at(struct got *got, const char *line)
{
	static unsigned long last;
	unsigned long n;
	int end = 0;

	if (got->lines == 0)
		last = 0;
	if (sscanf(line, "line %lu of those that come whole or not at all%n", &n, &end) == 1 &&
	    end && !line[end]) {
		got->torn |= got->lines && n <= last;
		last = n;
		got->lines++;
	} else if (sscanf(line, "probe: %lu lines were dropped here%n", &n, &end) == 1 && end) {
		got->left_out += n;
	} else if (!strcmp(line, "the end")) {
		got->ended = true;
	} else {
		got->torn = true;
	}
}

/*
 * Runs a writer to `end` while `reader` is not read for this long. Reports whether the writer
 * finished without a reader.
 */
static bool stand_still(int end, int reader, bool may_wait, int patience, struct got *got)
{
	int ready[2], asked[2];
	char line[256];
	bool done;
	pid_t child;
	FILE *f;

	memset(got, 0, sizeof(*got));
	if (pipe(ready) || pipe(asked))
		abort();
	child = fork();
	if (!child) {
		close(reader);
		write_lines(end, ready[1], asked[0], may_wait);
	}
	close(end);
	done = read_byte(ready[0], patience) == 'x';
	if (write(asked[1], "y", 1) != 1)
		abort();
	f = fdopen(reader, "r");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		look_at(got, line);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fclose(f);
	close(ready[0]), close(ready[1]), close(asked[0]), close(asked[1]);
	return done;
}

static void test_standing_still(void)
{
	struct got got;
	int ends[2];

	if (pipe(ends))
		abort();
	EXPECT(stand_still(ends[1], ends[0], false, 60000, &got),
	       "a pager blocks the run, and records are lost");
	EXPECT(!got.torn && got.ended, "lines are incomplete");
	EXPECT(got.left_out > 0 && got.lines + got.left_out == LINES,
	       "lines are missing without a message");

	if (openpty(&ends[0], &ends[1], NULL, NULL, NULL))
		abort();
	EXPECT(stand_still(ends[1], ends[0], false, 60000, &got), "Ctrl-S blocks the run");
	EXPECT(!got.torn && got.ended, "lines are incomplete after Ctrl-Q");
	EXPECT(got.left_out > 0 && got.lines + got.left_out == LINES,
	       "lines are missing after Ctrl-Q without a message");

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		abort();
	EXPECT(stand_still(ends[1], ends[0], false, 60000, &got),
	       "a slow ssh blocks the run, and records are lost");
	EXPECT(!got.torn && got.ended && got.left_out > 0 && got.lines + got.left_out == LINES,
	       "a slow ssh breaks lines");

	if (pipe(ends))
		abort();
	EXPECT(!stand_still(ends[1], ends[0], true, 300, &got),
	       "reading of a capture continues although its lines are not read");
	EXPECT(!got.torn && got.ended && got.left_out == 0 && got.lines == LINES,
	       "lines of a capture are missing, although there was time");
}

static void test_gone_reader(void)
{
	int ends[2], status;
	pid_t child;

	if (pipe(ends))
		abort();
	close(ends[0]);
	child = fork();
	if (!child) {
		signal(SIGPIPE, SIG_IGN);
		dup2(ends[1], STDOUT_FILENO);
		terminal_open(false, false);
		terminal_line(stdout, "into the void\n");
		_exit(terminal_error() == EPIPE ? 0 : 1);
	}
	close(ends[1]);
	waitpid(child, &status, 0);
	EXPECT(status == 0, "the run continues without a reader");
}

static struct endpoint endpoint(unsigned int n, unsigned int port)
{
	return (struct endpoint){ .address = { .word = { 0, 0, IP4_PREFIX, n } }, .port = port };
}

static void test_fold(void)
{
	static struct ratelimit f;
	struct endpoint client, server = endpoint(1, 80);
	ns_t now = 0;
	unsigned int i, printed = 0, lines = 0;

	for (i = 0; i < RATELIMIT_BURST; i++)
		printed += !ratelimit_suppresses(&f, now, now, &server, &server, NEVER);
	EXPECT(printed == RATELIMIT_BURST && !ratelimit_summary_due(&f, 100 * (ns_t)SECOND_NS),
	       "a few simultaneous stalls are not shown one by one");

	/* three hundred a second for a minute, from a hundred clients */
	for (i = 0; i < 300 * 60; i++) {
		now = (ns_t)SECOND_NS * i / 300;
		client = endpoint(i % 100, 1000 + i);
		printed += !ratelimit_suppresses(&f, now, now, &client, &server, SECOND_NS + i);
		if (!ratelimit_summary_due(&f, now))
			continue;
		EXPECT(f.suppressed > 1000 && f.clients.count == 100 && f.servers.count == 1,
		       "the line for many events does not name their client");
		EXPECT(f.longest - f.shortest == (ns_t)f.suppressed - 1, "... or their duration");
		printed += f.suppressed;
		ratelimit_restart(&f, now);
		lines++;
	}
	printed += f.suppressed;
	EXPECT(printed == RATELIMIT_BURST + 300 * 60, "some events are in no line");
	EXPECT(lines >= 10 && lines <= 13, "a flood scrolls everything else away");

	/* after the flood, a single event is a line again */
	for (i = 0; i < 3; i++) {
		now += 6 * (ns_t)SECOND_NS;
		if (ratelimit_summary_due(&f, now))
			ratelimit_restart(&f, now);
	}
	EXPECT(!ratelimit_suppresses(&f, now, now, &client, &server, NEVER),
	       "after a flood nothing is shown");

	memset(&f, 0, sizeof(f));
	for (i = 0; i < 3 * MAX_DISTINCT; i++) {
		client = endpoint(i, 1);
		ratelimit_suppresses(&f, 0, 0, &client, &client, NEVER);
	}
	EXPECT(f.clients.count == MAX_DISTINCT && f.shortest == NEVER,
	       "endless forged addresses break the counting");
}

int main(void)
{
	test_standing_still();
	test_gone_reader();
	test_fold();
	printf("terminal: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
