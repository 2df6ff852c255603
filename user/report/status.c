// SPDX-License-Identifier: GPL-2.0
#include "report/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/format.h"
#include "report/glyphs.h"
#include "report/outlook.h"
#include "report/terminal.h"

static void __attribute__((format(printf, 1, 2))) print_line(const char *format, ...)
{
	char *text, *shown = NULL;
	va_list arguments;
	size_t size;
	FILE *out;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	out = open_memstream(&shown, &size);
	if (out) {
		format_text(out, text);
		if (!fclose(out))
			terminal_line(stderr, shown);
		free(shown);
	}
	free(text);
}

void status_print_watching(const struct session *session)
{
	const struct session_iface *w;
	char text[MAX_IFACES * 160] = "";
	size_t used = 0;

	for (w = session->interfaces; w < session->interfaces + session->interface_count; w++)
		if (used < sizeof(text))
			used += snprintf(text + used, sizeof(text) - used, "%s %s (%s, %s%s%s)",
					 w == session->interfaces ? "" : ",", w->name, w->link,
					 w->hook, w->hook_reason ? ": " : "",
					 w->hook_reason ? w->hook_reason : "");
	print_line("probe: watching%s. Ctrl-C ends the run and prints the report.\n", text);
}

void status_print_notice(const char *text)
{
	print_line("probe: %s\n", text);
}

#define LINE_BYTES 512

struct status_line {
	const char *time;
	const struct model *m;
	uint64_t opening, lost;
	const char *points_to; /* see outlook.h; may be empty */
};

/*
 * Late and failed connects are those that have settled: a silent peer counts as failing long before
 * its connects count as failed.
 */
static void print_counts(FILE *out, const struct status_line *l, bool is_short)
{
	uint64_t late = ledger_row(&l->m->ledger, ROW_LATE);
	uint64_t failed = ledger_row(&l->m->ledger, ROW_FAILED), failing = l->m->failing_now;
	const char *dot = glyphs->dot;

	if (is_short)
		fprintf(out, "%s %" PRIu64 " late %s %" PRIu64 " failing ", dot, late, dot,
			failing);
	else
		fprintf(out,
			"%s %" PRIu64 " connect%s, %" PRIu64 " opening %s %" PRIu64
			" late, %" PRIu64 " failed %s %" PRIu64 " peer%s failing ",
			dot, l->m->connections, plural(l->m->connections), l->opening, dot, late,
			failed, dot, failing, plural(failing));
}

/* What a narrow terminal has no room for is left out in this order. */
enum length { WHOLE, SHORT_COUNTS, NO_COUNTS, NO_OUTLOOK, LENGTHS };

static void fill_line(char line[LINE_BYTES], const struct status_line *l, enum length length)
{
	FILE *out = fmemopen(line, LINE_BYTES, "w");

	line[0] = '\0';
	if (!out)
		return;
	fprintf(out, "%s ", l->time);
	if (length != NO_COUNTS || !*l->points_to)
		print_counts(out, l, length != WHOLE);
	fprintf(out, "%s %" PRIu64 " lost", glyphs->dot, l->lost);
	if (length != NO_OUTLOOK && *l->points_to)
		fprintf(out, " %s %s", glyphs->dot, l->points_to);
	fclose(out);
}

void status_update(const struct session *session, const struct model *m, uint64_t opening, ns_t now,
		   const char *progress)
{
	char time[FORMAT_DURATION], line[LINE_BYTES];
	struct status_line l = { progress ? progress : time, m, opening, session_losses(session),
				 "" };
	int columns = terminal_status_columns();
	enum length length;

	if (!columns) {
		terminal_status("");
		return;
	}
	if (!progress && now < 60 * (ns_t)SECOND_NS)
		snprintf(time, sizeof(time), "%.0f s", now / 1e9);
	else if (!progress)
		format_duration(time, now);
	if (!progress)
		l.points_to = outlook(m, now);
	for (length = WHOLE; length < LENGTHS; length++) {
		fill_line(line, &l, length);
		if (format_columns(line) <= columns)
			break;
	}
	terminal_status(line);
}
