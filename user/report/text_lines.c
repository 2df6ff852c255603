// SPDX-License-Identifier: GPL-2.0
/*
 * Prints a line for each event as soon as the event is certain. Columns are aligned if the terminal
 * is wide enough, and each kind of line has its own rate limit.
 */
#include "report/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "lib/format.h"

/* Nouns for lines that summarise suppressed lines. */
static const char *const line_words[LINE_KINDS] = {
	[LINE_STALL] = "stall",
	[LINE_WAITING] = "waiting",
	[LINE_GREETING] = "late greeting",
	[LINE_SILENT] = "no answer",
	[LINE_REFUSED] = "refused",
	[LINE_UNREACHABLE] = "unreachable",
	[LINE_BACK] = "answers after all",
};

struct event {
	enum line_kind kind;
	ns_t when;
	ns_t duration; /* duration of the event; NEVER if it has none */
	const struct endpoint *client;
	bool of_connection; /* print the client's port */
	const struct endpoint *server;
};

/* Widths in columns. */
#define MAX_ENDPOINT 47 /* [IPv6]:port */
#define CLIENT_COLUMNS 18
#define SERVER_COLUMNS 19
#define WHAT_COLUMNS 30
#define UNLIMITED_COLUMNS 1000 /* lines in a file are never wrapped */
#define CONTINUED "\n        " /* begins a further row of a line */

void text_init_lines(struct text_state *t)
{
	t->client_columns = CLIENT_COLUMNS;
	t->server_columns = SERVER_COLUMNS;
}

/*
 * Widens a column for a longer address, for all later lines, if enough room is left for the column
 * WHAT. room: columns right of the time.
 */
static void widen(int *column, const char *text, int room)
{
	int most = (room - 4 - WHAT_COLUMNS) / 2, wanted = strlen(text);

	if (most > MAX_ENDPOINT)
		most = MAX_ENDPOINT;
	if (wanted > *column && *column < most)
		*column = wanted < most ? wanted : most;
}

static const char *line_colour(const struct colours *colours, enum line_kind kind)
{
	switch (kind) {
	case LINE_SILENT:
	case LINE_REFUSED:
	case LINE_UNREACHABLE:
		return colours->bad;
	case LINE_BACK:
		return colours->good;
	default:
		return colours->wait;
	}
}

static void print_lines_heading(struct report *r, int clock, int room, int arrow)
{
	struct text_state *t = r->state;
	bool is_narrow = t->client_columns + arrow + t->server_columns + 5 > room;
	char text[1024];

	snprintf(text, sizeof(text), "%-*s%-*s%*s%-*s WHAT\n", clock, "TIME",
		 is_narrow ? 0 : t->client_columns, "CLIENT", arrow, "",
		 is_narrow ? 0 : t->server_columns, "SERVER");
	terminal_line(r->out, text);
	t->has_heading = true;
}

/*
 * Prints a line in one row if it fits, aligned or else without the optional part of `what` after
 * its bar. A line that does not fit continues in further rows.
 */
static void print_line(struct report *r, enum line_kind kind, ns_t when, const char *client,
		       const char *server, char *what)
{
	int width = terminal_width(r->out), total = width ? width : UNLIMITED_COLUMNS;
	int arrow = format_columns(glyphs->arrow) + 2, a, b, column, clock_columns;
	const char *before_server = "", *before_what = "";
	struct text_state *t = r->state;
	char clock[FORMAT_TIME], text[1024], *bar;

	/* the run's duration is not known yet: the date appears when the day has changed */
	format_run_clock(clock, &r->session->start, when, when);
	clock_columns = strlen(clock) + 1;
	widen(&t->client_columns, client, total - clock_columns);
	widen(&t->server_columns, server, total - clock_columns);
	a = t->client_columns;
	b = t->server_columns;
	if (!t->has_heading)
		print_lines_heading(r, clock_columns, total - clock_columns, arrow);
	if ((int)strlen(client) > a || (int)strlen(server) > b)
		a = b = 0;
	column = clock_columns + (a ? a : (int)strlen(client));
	if (column + arrow + (int)strlen(server) > total) {
		before_server = CONTINUED;
		column = strlen(CONTINUED) - 1;
	}
	column += arrow + (b ? b : (int)strlen(server)) + 1;
	bar = strchr(what, '|');
	if (bar && column + format_columns(what) - 1 > total)
		*bar = '\0';
	else if (bar)
		memmove(bar, bar + 1, strlen(bar));
	if (column + format_columns(what) > total)
		before_what = CONTINUED;
	snprintf(text, sizeof(text), "%s %-*s%s %s %-*s%s %s%s%s\n", clock, a, client,
		 before_server, glyphs->arrow, b, server, before_what,
		 line_colour(t->colours, kind), what, t->colours->reset);
	terminal_line(r->out, text);
}

static void __attribute__((format(printf, 3, 4)))
print_event(struct report *r, const struct event *e, const char *format, ...)
{
	char client[FORMAT_ENDPOINT], server[FORMAT_ENDPOINT], what[256];
	struct text_state *t = r->state;
	va_list arguments;

	if (!t || r->quiet ||
	    ratelimit_suppresses(&t->ratelimits[e->kind], t->now, e->when, e->client, e->server,
				 e->duration))
		return;
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (e->of_connection)
		format_endpoint(client, e->client);
	else
		format_address(client, &e->client->address);
	print_line(r, e->kind, e->when, client, format_endpoint(server, e->server), what);
}

/*
 * Formats a count such as "14 clients". Returns false for a single client or server, whose name is
 * more useful.
 */
static bool format_distinct(char out[FORMAT_ENDPOINT], const struct distinct *d, const char *noun)
{
	snprintf(out, FORMAT_ENDPOINT, "%u%s %s", d->count, d->count < MAX_DISTINCT ? "" : "+",
		 noun);
	return d->count > 1;
}

static void print_summary(struct report *r, enum line_kind kind)
{
	char client[FORMAT_ENDPOINT], server[FORMAT_ENDPOINT], what[256], a[FORMAT_DURATION],
		b[FORMAT_DURATION];
	const struct text_state *t = r->state;
	const struct ratelimit *limit = &t->ratelimits[kind];
	int n;

	if (!format_distinct(client, &limit->clients, "clients"))
		format_address(client, &limit->client.address);
	if (!format_distinct(server, &limit->servers, "servers"))
		format_endpoint(server, &limit->server);
	n = snprintf(what, sizeof(what), "%s: %" PRIu64 " more in %.0f s|", line_words[kind],
		     limit->suppressed, ceil((t->now - limit->since) / 1e9));
	format_duration(a, limit->shortest);
	format_duration(b, limit->longest);
	if (limit->shortest != NEVER)
		snprintf(what + n, sizeof(what) - n, ", %s%s%s", a, strcmp(a, b) ? " to " : "",
			 strcmp(a, b) ? b : "");
	print_line(r, kind, limit->last, client, server, what);
}

static void print_summaries(struct report *r, bool all)
{
	struct text_state *t = r->state;
	int kind;

	for (kind = 0; kind < LINE_KINDS; kind++) {
		if (!all && !ratelimit_summary_due(&t->ratelimits[kind], t->now))
			continue;
		if (t->ratelimits[kind].suppressed)
			print_summary(r, kind);
		ratelimit_restart(&t->ratelimits[kind], t->now);
	}
}

void text_flush_lines(struct report *r)
{
	print_summaries(r, true);
}

void text_swept(struct report *r, ns_t now)
{
	struct text_state *t = r->state;

	if (!t)
		return;
	t->now = now;
	print_summaries(r, false);
}

/* ---- events ---- */

void text_stall(struct report *r, const struct stall *s, bool ended)
{
	const struct event e = {
		.kind = ended ? LINE_STALL : LINE_WAITING,
		.when = s->start + s->wait,
		.duration = s->wait,
		.client = &s->from,
		.of_connection = true,
		.server = &s->to,
	};
	char wait[FORMAT_DURATION];

	format_duration(wait, s->wait);
	if (ended)
		print_event(r, &e, "stall %s| after handshake", wait);
	else
		print_event(r, &e, "waiting for %s| so far", wait);
}

void text_late_banner(struct report *r, const struct connection *c)
{
	const struct event e = {
		.kind = LINE_GREETING,
		.when = c->server_first,
		.duration = c->banner,
		.client = &c->client,
		.of_connection = true,
		.server = &c->server,
	};
	char banner[FORMAT_DURATION];

	print_event(r, &e, "late greeting after %s", format_duration(banner, c->banner));
}

void text_failing(struct report *r, const struct connection *c, enum failure failure)
{
	const char *by = c->from_gateway ? "this gateway" : "the server";
	struct event e = {
		.kind = LINE_SILENT,
		.when = c->syn_last,
		.duration = NEVER,
		.client = &c->client,
		.server = &c->server,
	};
	char from[FORMAT_ADDRESS], span[FORMAT_DURATION], words[64];

	switch (failure) {
	case FAILURE_SILENT:
		if (c->end_reason == END_NONE)
			e.when = c->settled;
		if (c->syn_count == 1)
			print_event(r, &e, "no answer: 1 SYN");
		else
			print_event(r, &e, "no answer: %u SYNs| in %s", c->syn_count,
				    format_duration(span, c->syn_last - c->syn));
		break;
	case FAILURE_REFUSED:
		e.kind = LINE_REFUSED;
		e.when = c->rst;
		print_event(r, &e, "refused (RST)| by %s", by);
		break;
	case FAILURE_UNREACHABLE:
		e.kind = LINE_UNREACHABLE;
		e.when = c->icmp;
		print_event(r, &e, "%s|, reported by %s",
			    text_icmp(words, &c->server.address, c->icmp_type, c->icmp_code),
			    c->from_gateway ? by : format_address(from, &c->icmp_from));
		break;
	default:
		break;
	}
}

void text_late_answer(struct report *r, const struct connection *c)
{
	struct event e = {
		.kind = LINE_BACK,
		.when = c->synack,
		.duration = NEVER,
		.client = &c->client,
		.server = &c->server,
	};
	char span[FORMAT_DURATION];

	if (c->synack == NEVER) {
		e.when = c->settled;
		print_event(r, &e, "answers after all");
	} else if (c->synack_from_gateway) {
		print_event(r, &e, "answers after all|, through this gateway's proxy");
	} else if (c->syn_count == 1) {
		print_event(r, &e, "answers after all|: SYN-ACK %s after the SYN",
			    format_duration(span, c->synack - c->syn));
	} else {
		print_event(r, &e, "answers after all|: SYN-ACK %s after the first of %u SYNs",
			    format_duration(span, c->synack - c->syn), c->syn_count);
	}
}
