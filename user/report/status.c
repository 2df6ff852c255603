// SPDX-License-Identifier: GPL-2.0
#include "report/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/format.h"
#include "report/glyphs.h"
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

void status_update(const struct session *session, const struct model *m, uint64_t opening, ns_t now,
		   const char *progress)
{
	const char *dot = glyphs->dot;
	char time[FORMAT_DURATION], line[512];
	int columns = terminal_status_columns();
	uint64_t lost = session_losses(session);

	if (!columns) {
		terminal_status("");
		return;
	}
	if (!progress && now < 60 * (ns_t)SECOND_NS)
		snprintf(time, sizeof(time), "%.0f s", now / 1e9);
	else if (!progress)
		format_duration(time, now);
	snprintf(line, sizeof(line),
		 "%s %s %" PRIu64 " connection%s, %" PRIu64 " opening %s %" PRIu64
		 " stall%s %s %" PRIu64 " peer%s failing %s %" PRIu64 " lost",
		 progress ? progress : time, dot, m->connections, plural(m->connections), opening,
		 dot, m->stall_count, plural(m->stall_count), dot, m->failing_now,
		 plural(m->failing_now), dot, lost);
	if (format_columns(line) > columns)
		snprintf(line, sizeof(line),
			 "%s %s %" PRIu64 " stall%s %s %" PRIu64 " failing %s %" PRIu64 " lost",
			 progress ? progress : time, dot, m->stall_count, plural(m->stall_count),
			 dot, m->failing_now, dot, lost);
	terminal_status(line);
}
