// SPDX-License-Identifier: GPL-2.0
#include "report/reports.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/format.h"
#include "report/terminal.h"

#define BUFFER_BYTES (64 << 10) /* bytes of a file's stdio buffer */

static char buffers[MAX_REPORTS][BUFFER_BYTES];

/* Calls a function of all formats that define it. */
#define FOR_EACH_REPORT(all, event, ...)                                                \
	do {                                                                            \
		struct reports *each = (all);                                           \
		for (int i = 0; i < each->count; i++)                                   \
			if (each->at[i].format->event)                                  \
				each->at[i].format->event(&each->at[i], ##__VA_ARGS__); \
	} while (0)

/* ---- open ---- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return S_ISREG(a->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Returns the capture or earlier report that writing to this file would destroy, or NULL. */
static const char *find_overwritten(const struct reports *all, const struct options *o,
				    const char *file)
{
	const struct report *other;
	struct stat own, st;
	size_t i;

	if (stat(file, &own))
		return NULL;
	for (i = 0; i < o->read_count; i++)
		if (!stat(o->reads[i], &st) && is_same_file(&own, &st))
			return o->reads[i];
	for (other = all->at; other < all->at + all->count; other++)
		if (!fstat(fileno(other->out), &st) && is_same_file(&own, &st))
			return other->out_name;
	return NULL;
}

static int open_file(struct reports *all, struct report *r, const struct options *o,
		     const char *file)
{
	const char *victim = find_overwritten(all, o, file);

	if (victim) {
		fprintf(stderr, "probe: cannot write %s: that would overwrite %s\n",
			format_name(file), format_name(victim));
		return -1;
	}
	outfile_open(&r->file, file, o->force);
	r->out = r->file.stream;
	r->out_name = file;
	if (!r->out) {
		fprintf(stderr, "probe: cannot write %s: %s\n", format_name(file), r->file.why);
		return -1;
	}
	setvbuf(r->out, buffers[r - all->at], _IOFBF, BUFFER_BYTES);
	return 0;
}

/* Adds a report. file is NULL for standard output. */
static int add_report(struct reports *all, const struct report_format *format,
		      const struct options *o, const struct session *session, const char *file)
{
	struct report *r = &all->at[all->count];

	*r = (struct report){ .format = format,
			      .session = session,
			      .quiet = o->quiet,
			      .verbose = o->verbose,
			      .out = stdout,
			      .out_name = "standard output" };
	if (file && open_file(all, r, o, file))
		return -1;
	all->count++;
	return 0;
}

/* ---- events of the model ---- */

static void on_stall(void *context, const struct stall *s, bool ended)
{
	FOR_EACH_REPORT(context, stall, s, ended);
}

static void on_late_banner(void *context, const struct connection *c)
{
	FOR_EACH_REPORT(context, late_banner, c);
}

static void on_failing(void *context, const struct connection *c, enum failure failure)
{
	FOR_EACH_REPORT(context, failing, c, failure);
}

static void on_late_answer(void *context, const struct connection *c)
{
	FOR_EACH_REPORT(context, late_answer, c);
}

int reports_open(struct reports *all, const struct options *o, const struct session *session,
		 const struct names *names, struct evidence *evidence)
{
	int i;

	*all = (struct reports){ .cleanup_fd = -1,
				 .model_events = { .stall = on_stall,
						   .late_banner = on_late_banner,
						   .failing = on_failing,
						   .late_answer = on_late_answer,
						   .context = all } };
	if (o->json && add_report(all, &report_json, o, session, o->json_file))
		return -1;
	/* JSON on standard output replaces the text */
	if ((!o->json || o->json_file) && add_report(all, &report_text, o, session, NULL))
		return -1;
	if (o->html_file && add_report(all, &report_html, o, session, o->html_file))
		return -1;
	if (o->write_file && add_report(all, &report_pcapng, o, session, o->write_file))
		return -1;
	if (o->write_file)
		all->at[all->count - 1].evidence = evidence;
	for (i = 0; i < all->count; i++)
		all->at[i].names = names;
	return 0;
}

/* ---- during the run ---- */

void reports_prepare_cleanup(struct reports *all)
{
	const char *names[MAX_REPORTS];
	size_t count = 0;
	int i;

	for (i = 0; i < all->count; i++)
		if (all->at[i].file.is_new)
			names[count++] = all->at[i].out_name;
	if (count)
		all->cleanup_fd = outfile_cleanup_later(names, count);
}

void reports_started(struct reports *all)
{
	int i;

	all->started = true;
	outfile_cleanup(all->cleanup_fd, true);
	all->cleanup_fd = -1;
	for (i = 0; i < all->count; i++)
		outfile_begin(&all->at[i].file);
	FOR_EACH_REPORT(all, started);
}

/*
 * Writes buffered output. A flush always ends at a line end: a file that cannot grow is truncated
 * there, and a reader of JSON lines never sees part of a line.
 */
static bool flush_report(struct report *r)
{
	if (fflush(r->out) || ferror(r->out)) {
		if (!r->error)
			r->error = errno;
		return false;
	}
	r->complete_bytes = ftello(r->out); /* -1 for a pipe */
	return true;
}

/*
 * Returns false if output cannot be written. It also detects a reader that closed its pipe before
 * further output.
 */
static bool is_writable(struct report *r)
{
	struct pollfd reader = { .fd = fileno(r->out) };

	return flush_report(r) &&
	       !(poll(&reader, 1, 0) > 0 && reader.revents & (POLLERR | POLLHUP));
}

void reports_connection(struct reports *all, const struct connection *c)
{
	int i;

	FOR_EACH_REPORT(all, connection, c);
	for (i = 0; i < all->count; i++)
		if (__fpending(all->at[i].out) > BUFFER_BYTES / 2)
			flush_report(&all->at[i]);
}

void reports_notice(struct reports *all, ns_t now, const char *text)
{
	FOR_EACH_REPORT(all, notice, now, text);
}

void reports_swept(struct reports *all, ns_t now)
{
	FOR_EACH_REPORT(all, swept, now);
}

/*
 * Returns true if the reader of standard output has closed its pipe. It has all that it wanted, as
 * with `head`: that is no error.
 */
static bool has_left(const struct report *r)
{
	struct pollfd reader = { .fd = STDOUT_FILENO };

	return r->out == stdout && (r->error == EPIPE || terminal_error() == EPIPE ||
				    (poll(&reader, 1, 0) > 0 && reader.revents & POLLERR));
}

bool reports_flush(struct reports *all)
{
	int i, read = 0;

	for (i = 0; i < all->count; i++) {
		if (has_left(&all->at[i]))
			continue;
		if (!is_writable(&all->at[i]))
			return false;
		read++;
	}
	return read && (!terminal_error() || terminal_error() == EPIPE);
}

void reports_ended(struct reports *all, struct model *m, const struct diagnosis *d)
{
	FOR_EACH_REPORT(all, ended, m, d);
	all->ended = true;
}

void reports_keep_screen(struct reports *all, const struct options *o,
			 const struct session *session, const struct names *names)
{
	int i;

	for (i = 0; i < all->count; i++)
		if (all->at[i].format == &report_text)
			break;
	if (i < all->count) {
		all->at[0] = all->at[i];
		all->count = 1;
		return;
	}
	all->count = 0;
	add_report(all, &report_text, o, session, NULL);
	all->at[0].out = stderr;
	all->at[0].out_name = "standard error";
	all->at[0].names = names;
	FOR_EACH_REPORT(all, started);
}

/* ---- close ---- */

static int close_report(struct report *r, bool remove)
{
	bool failed = ferror(r->out);

	if (remove)
		unlink(r->out_name);
	if (r->format->closed)
		r->format->closed(r);
	if ((fflush(r->out) || failed) && !r->error)
		r->error = failed ? EIO : errno;
	if (r->error && r->format == &report_json && r->complete_bytes > 0)
		(void)!ftruncate(fileno(r->out), r->complete_bytes);
	if (fclose(r->out) && !r->error)
		r->error = errno;
	if (r->out == stdout && terminal_error())
		r->error = terminal_error();
	if (!r->error || (r->error == EPIPE && r->out == stdout))
		return 0;
	fprintf(stderr, "probe: could not write all of the report to %s: %s\n",
		format_name(r->out_name), strerror(r->error));
	return -1;
}

/* Tells a user at a terminal that a file is complete. pcapng.c does it for --write. */
static void print_written(const struct report *r)
{
	if (r->file.stream && r->format != &report_pcapng && !r->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "probe: wrote %s\n", format_name(r->out_name));
}

int reports_close(struct reports *all)
{
	int status = 0, i;

	for (i = 0; i < all->count; i++) {
		struct report *r = &all->at[i];

		if (close_report(r, r->file.is_new && !all->started && all->cleanup_fd < 0))
			status = -1;
		else if (all->ended)
			print_written(r);
	}
	outfile_cleanup(all->cleanup_fd, false);
	return status;
}
