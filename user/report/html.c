// SPDX-License-Identifier: GPL-2.0
#include "report/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "page_source.h" /* page_html, page_css, page_js and their hashes */
#include "report/html_connects.h"
#include "report/html_rows.h"
#include "report/json.h"
#include "report/json_fields.h"
#include "report/peer_text.h"

struct html_state {
	struct failed_attempts attempts;
	/* JSON report written into memory, since the page is written at the end */
	struct report objects;
	char *json; /* buffer of `objects`, size bytes long */
	size_t size;
	unsigned int notices;
};

/* ---- escaping ---- */

/*
 * Writes untrusted text. Invisible characters except line ends, and bytes that are not UTF-8, are
 * shown as numbers, as visible() of page/facts.js does.
 */
static void write_text(FILE *out, const char *text)
{
	unsigned int length;
	uint32_t code;

	for (; *text; text += length) {
		length = format_utf8(text, &code);
		if (!length) {
			fprintf(out, "‹%02X›", (unsigned char)*text);
			length = 1;
		} else if (code == '<') {
			fputs("&lt;", out);
		} else if (code == '&') {
			fputs("&amp;", out);
		} else if (code == '"') {
			fputs("&quot;", out);
		} else if (format_is_invisible(code) && code != '\n') {
			fprintf(out, "‹U+%04X›", code);
		} else {
			fwrite(text, 1, length, out);
		}
	}
}

/*
 * Writes JSON into a script element. In JSON "<" occurs only within strings. It is escaped, so that
 * no "</script" or "<!--" can end the element.
 */
static void write_json(FILE *out, const char *json)
{
	for (; *json; json++)
		if (*json == '<')
			fputs("\\u003c", out);
		else
			fputc(*json, out);
}

/* ---- the template ---- */

/* Returns the name of a capture without its folders; names of interfaces have no slash. */
static const char *file_name(const char *from)
{
	const char *slash = strrchr(from, '/');

	return slash && slash[1] ? slash + 1 : from;
}

/* Writes the start of the run as zone() of page/facts.js has it: "2026-01-31 12:00 UTC+05:45". */
static void write_date(FILE *out, const struct timespec *start)
{
	long offset = format_utc_offset(start) / 60, minutes = labs(offset);
	char date[FORMAT_TIME];
	struct tm tm;

	if (!localtime_r(&start->tv_sec, &tm) ||
	    !strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm))
		return;
	fprintf(out, ", %s UTC", date);
	if (offset)
		fprintf(out, "%s%02ld:%02ld", offset < 0 ? "−" : "+", minutes / 60, minutes % 60);
}

/* Writes the gateway, the interfaces or the capture, and the start of the run. */
static void write_title(FILE *out, const struct session *session)
{
	if (session->gateway[0]) {
		write_text(out, session->gateway);
		fputc(' ', out);
	}
	write_text(out, file_name(session->from));
	write_date(out, &session->start);
}

/* Writes the text report with all tables. */
static void write_report(struct report *r, const struct model *m, const struct diagnosis *d)
{
	struct report report = { .session = r->session, .quiet = true, .verbose = true };
	char *text = NULL;
	size_t size;
	bool whole;

	report.out = open_memstream(&text, &size);
	if (report.out) {
		report_text.started(&report);
		report_text.ended(&report, m, d);
		report_text.closed(&report);
		whole = !ferror(report.out) && !report.error;
		whole = !fclose(report.out) && whole && text;
		if (whole)
			write_text(r->out, text);
		free(text);
		if (whole)
			return;
	}
	r->error = ENOMEM;
}

static void write_verdict(FILE *out, const struct diagnosis *d)
{
	char text[NOTED_TEXT];

	write_text(out, note_headline(text, d, first_problem(d), d->headline));
}

static void write_page(struct report *r, const struct model *m, const struct diagnosis *d,
		       const char *objects)
{
	const char *template = (const char *)page_html, *begin, *end;
	char name[32];

	while ((begin = strstr(template, "{{"))) {
		end = strstr(begin, "}}");
		fwrite(template, 1, begin - template, r->out);
		snprintf(name, sizeof(name), "%.*s", (int)(end - begin - 2), begin + 2);
		template = end + 2;
		if (!strcmp(name, "style"))
			fputs((const char *)page_css, r->out);
		else if (!strcmp(name, "style-hash"))
			fputs(PAGE_CSS_SHA256, r->out);
		else if (!strcmp(name, "script"))
			fputs((const char *)page_js, r->out);
		else if (!strcmp(name, "script-hash"))
			fputs(PAGE_JS_SHA256, r->out);
		else if (!strcmp(name, "title"))
			write_title(r->out, r->session);
		else if (!strcmp(name, "objects"))
			write_json(r->out, objects);
		else if (!strcmp(name, "verdict"))
			write_verdict(r->out, d);
		else if (!strcmp(name, "report"))
			write_report(r, m, d);
	}
	fputs(template, r->out);
}

/* ---- events of the run ---- */

static void html_started(struct report *r)
{
	struct html_state *page = r->state = calloc(1, sizeof(*page));

	if (page)
		page->objects.out = open_memstream(&page->json, &page->size);
	if (!page || !page->objects.out) {
		r->error = errno;
		free(page);
		r->state = NULL;
		return;
	}
	page->objects.session = r->session;
	page->objects.names = r->names;
	page->objects.numeric = r->session->numeric;
	report_json.started(&page->objects);
}

static void html_notice(struct report *r, ns_t now, const char *text)
{
	struct html_state *page = r->state;

	if (page && page->notices++ < MAX_PAGE_NOTICES)
		report_json.notice(&page->objects, now, text);
}

static void html_connection(struct report *r, const struct connection *c)
{
	struct html_state *page = r->state;

	if (page && connection_failure(c) != FAILURE_NONE && !attempts_add(&page->attempts, c))
		r->error = ENOMEM;
}

/* ---- the JSON objects ---- */

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Writes the names of the traits that the rows show, and the values and connects of each row. */
static void write_rows(FILE *out, const struct rows *rows, const struct host_connects *connects,
		       const struct diagnosis *d)
{
	enum trait traits[MAX_TRAIT_COLUMNS];
	size_t i, k, n = diagnosis_traits(d, traits);
	char value[COMMON_VALUE];

	fputs("{\"type\":\"page\",\"traits\":[", out);
	for (k = 0; k < n; k++)
		fprintf(out, "%s\"%s\"", k ? "," : "", trait_names[traits[k]]);
	fputs("],\"rows\":[", out);
	for (i = 0; i < rows->count; i++) {
		fprintf(out, "%s{\"since\":%" PRId64 ",\"traits\":[", i ? "," : "",
			rows->at[i].since);
		for (k = 0; k < n; k++) {
			fprintf(out, "%s\"", k ? "," : "");
			format_json_string(out,
					   format_trait(value, d, traits[k], rows->at[i].host));
			fputc('"', out);
		}
		fputc(']', out);
		write_connects(out, &connects[i]);
		fputc('}', out);
	}
	fputc(']', out);
}

/* Returns the number of names that the page shows: of its findings and of its connections. */
static size_t count_names(const struct report *r, const struct rows *rows,
			  const struct diagnosis *d)
{
	uint32_t numbers[MAX_PAGE_HOSTS * MAX_PAGE_ATTEMPTS], number;
	size_t count = 0;
	unsigned int i, k;

	if (r->numeric)
		return r->session->names_mode == NAMES_NONE ? 0 : d->printed_name_count;
	for (i = 0; r->session->names_mode == NAMES_ALL && i < rows->count; i++)
		for (k = 0; k < rows->at[i].attempt_count; k++) {
			number = json_name_of(r->names, rows->at[i].attempts[k]);
			if (number)
				numbers[count++] = number;
		}
	return names_shown(d, numbers, count);
}

/* Selects the connects of the rows, and writes the rows. */
static void write_rows_of(struct report *r, const struct rows *rows, const struct model *m,
			  const struct diagnosis *d)
{
	struct host_connects *connects = calloc(rows->count + 1, sizeof(*connects));
	const struct host *hosts[MAX_PAGE_HOSTS];
	unsigned int i;

	for (i = 0; i < rows->count; i++)
		hosts[i] = rows->at[i].host;
	if (connects && select_connects(connects, hosts, rows->count, m, d))
		write_rows(r->out, rows, connects, d);
	else
		r->error = ENOMEM;
	free(connects);
}

static void write_left_out(struct report *r, const struct rows *rows, const struct html_state *page,
			   const struct diagnosis *d, size_t peers)
{
	field_string(r->out, "gateway", r->session->gateway[0] ? r->session->gateway : NULL);
	fprintf(r->out,
		",\"hosts_more\":{\"stalled\":%zu,\"failed\":%zu,\"well\":%zu,\"speechless\":%zu}",
		rows->hosts[HOST_STALLED] - rows->shown[HOST_STALLED],
		rows->hosts[HOST_FAILED] - rows->shown[HOST_FAILED],
		rows->hosts[HOST_WELL] - rows->shown[HOST_WELL],
		rows->hosts[HOST_SILENT] - rows->shown[HOST_SILENT]);
	fprintf(r->out, ",\"names\":{\"mode\":\"%s\",\"count\":%zu}",
		names_mode_names[r->session->names_mode], count_names(r, rows, d));
	fprintf(r->out, ",\"findings_more\":%zu", d->count - min_size(d->count, MAX_PAGE_FINDINGS));
	fprintf(r->out, ",\"peers_more\":%zu", peers - min_size(peers, MAX_PAGE_PEERS));
	fprintf(r->out, ",\"notices_more\":%zu}\n",
		page->notices - min_size(page->notices, MAX_PAGE_NOTICES));
}

static void write_row(struct report *r, const struct row *row)
{
	unsigned int i;

	json_host(r->out, row->host);
	for (i = row->stall_count; i-- > 0;)
		if (row->stalls[i]->start >= row->since)
			json_stall(r, row->stalls[i], true);
	for (i = row->open_count; i-- > 0;)
		json_stall(r, row->open_waits[i], false);
	for (i = row->attempt_count; i-- > 0;)
		if (row->attempts[i]->syn >= row->since)
			report_json.connection(r, row->attempts[i]);
}

static void write_objects(struct report *r, const struct model *m, const struct diagnosis *d,
			  struct html_state *page)
{
	const struct peer **peers;
	struct rows *rows = calloc(1, sizeof(*rows));
	size_t count, i;

	peers = model_failing_peers(m, &count);
	if (!rows || !peers || !d->hosts.at) {
		r->error = ENOMEM;
	} else {
		if (!choose_rows(rows, m, d, &page->attempts))
			r->error = ENOMEM;
		write_rows_of(r, rows, m, d);
		write_left_out(r, rows, page, d, count);
		for (i = 0; i < rows->count; i++)
			write_row(r, &rows->at[i]);
		for (i = 0; i < min_size(count, MAX_PAGE_PEERS); i++)
			json_peer(r, d, peers[i]);
	}
	for (i = 0; i < min_size(d->count, MAX_PAGE_FINDINGS); i++)
		json_finding(r, d, i + 1);
	json_summary(r, m, d);
	free(rows);
	free(peers);
}

static void html_ended(struct report *r, const struct model *m, const struct diagnosis *d)
{
	struct html_state *page = r->state;

	if (!page)
		return;
	write_objects(&page->objects, m, d, page);
	if (fflush(page->objects.out) || ferror(page->objects.out) || page->objects.error)
		r->error = ENOMEM;
	else
		write_page(r, m, d, page->json);
}

static void html_closed(struct report *r)
{
	struct html_state *page = r->state;

	if (!page)
		return;
	fclose(page->objects.out);
	free(page->json);
	attempts_free(&page->attempts);
	free(page);
	r->state = NULL;
}

const struct report_format report_html = {
	.started = html_started,
	.connection = html_connection,
	.notice = html_notice,
	.ended = html_ended,
	.closed = html_closed,
};
