// SPDX-License-Identifier: GPL-2.0
#include "report/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "page_source.h" /* page_html, page_css, page_js and their hashes */
#include "report/json.h"
#include "report/terminal.h"

/* The latest attempts that failed, of the clients in one place. */
struct kept {
	struct connection at[MAX_PAGE_ATTEMPTS]; /* a ring */
	uint64_t seen;
};

struct page {
	struct kept *places[PAGE_PLACES];
	struct report objects; /* of --json, in memory: the file is written at the end */
	char *text;
	size_t size;
	unsigned int notices;
};

/* A host on the page. */
struct row {
	const struct host *host;
	const struct stall *stalls[MAX_PAGE_STALLS]; /* the latest, the latest first */
	unsigned int stall_count;
	const struct connection *attempts[MAX_PAGE_ATTEMPTS]; /* likewise */
	unsigned int attempt_count;
	ns_t since; /* from then on all its stalls and failed attempts are there */
};

struct rows {
	struct row at[MAX_PAGE_HOSTS];
	unsigned int count;
	size_t hosts[4]; /* by kind_of_host() */
	size_t shown[4];
};

/* ---- text of any origin in HTML ---- */

/* Text as text: what is invisible by its number, as the script writes it, but for line ends. */
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

/* JSON inside of a script element, which no "</script" or "<!--" may end: "<" is in strings only. */
static void write_json(FILE *out, const char *json)
{
	for (; *json; json++)
		if (*json == '<')
			fputs("\\u003c", out);
		else
			fputc(*json, out);
}

/* ---- the template ---- */

static void write_title(FILE *out, const struct session *session)
{
	char clock[FORMAT_TIME];

	write_text(out, session->from);
	fprintf(out, ", %s", format_clock(clock, &session->start, 0));
}

/* The report of the terminal, with all of its tables. */
static void write_report(struct report *r, const struct model *m, const struct diagnosis *d)
{
	static const struct paint plain = { "", "", "", "", "" };
	const struct paint *of_terminal = paint;
	struct report report = { .session = r->session, .quiet = true, .verbose = true };
	char *text = NULL;
	size_t size;
	bool whole;

	report.out = open_memstream(&text, &size);
	if (report.out) {
		paint = &plain;
		report_text.ended(&report, m, d);
		paint = of_terminal;
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

static void write_page(struct report *r, const struct model *m, const struct diagnosis *d,
		       const char *objects)
{
	const char *template = (const char *)page_html, *begin, *end;
	char verdict[DIAGNOSIS_VERDICT], name[32];

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
			write_text(r->out, diagnosis_verdict(verdict, d, m));
		else if (!strcmp(name, "report"))
			write_report(r, m, d);
	}
	fputs(template, r->out);
}

/* ---- while the run lasts ---- */

static void started(struct report *r)
{
	struct page *page = r->own = calloc(1, sizeof(*page));

	if (page)
		page->objects.out = open_memstream(&page->text, &page->size);
	if (!page || !page->objects.out) {
		r->error = errno;
		free(page);
		r->own = NULL;
		return;
	}
	page->objects.session = r->session;
	report_json.started(&page->objects);
}

static void notice(struct report *r, ns_t now, const char *text)
{
	struct page *page = r->own;

	if (page && page->notices++ < MAX_PAGE_NOTICES)
		report_json.notice(&page->objects, now, text);
}

static struct kept **place_of(struct page *page, const struct address *client)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	size_t i;

	for (i = 0; i < sizeof(*client); i++)
		hash = (hash ^ ((const uint8_t *)client)[i]) * 16777619u;
	return &page->places[hash % PAGE_PLACES];
}

static void connection(struct report *r, const struct connection *c)
{
	struct page *page = r->own;
	struct kept **kept;

	if (!page || connection_failure(c) == FAILURE_NONE)
		return;
	kept = place_of(page, &c->client.address);
	if (!*kept)
		*kept = calloc(1, sizeof(**kept));
	if (*kept)
		(*kept)->at[(*kept)->seen++ % MAX_PAGE_ATTEMPTS] = *c;
	else
		r->error = ENOMEM;
}

/* ---- which hosts are shown, and what of them ---- */

enum { HOST_STALLED, HOST_FAILED, HOST_WELL, HOST_SPEECHLESS };

static int kind_of_host(const struct host *h)
{
	const struct pair *t;
	size_t i;

	if (h->stalls)
		return HOST_STALLED;
	for (i = 0; i < h->client_count; i++)
		LIST_FOREACH(t, &h->clients[i]->pairs, of_client)
			if (t->failures)
				return HOST_FAILED;
	return h->idle ? HOST_FAILED : h->decided ? HOST_WELL : HOST_SPEECHLESS;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int by_latest(const void *a, const void *b)
{
	const struct stall *x = *(struct stall *const *)a, *y = *(struct stall *const *)b;

	return x->start > y->start ? -1 : x->start < y->start;
}

static void row_stalls(struct row *row, const struct model *m)
{
	size_t i, n = 0, room = m->idle.count;
	const struct stall **all, *s;

	for (i = 0; i < row->host->client_count; i++)
		room += row->host->clients[i]->stall_room;
	all = calloc(room + 1, sizeof(struct stall *));
	if (!all) { /* they are left out, as if there were no room for them */
		row->since = m->last;
		return;
	}
	for (i = 0; i < row->host->client_count; i++)
		TAILQ_FOREACH(s, &row->host->clients[i]->kept_stalls, of_client)
			all[n++] = s;
	qsort(all, n, sizeof(struct stall *), by_latest);
	row->stall_count = least(n, MAX_PAGE_STALLS);
	for (i = 0; i < row->stall_count; i++)
		row->stalls[i] = all[i];
	if (row->host->stalls + row->host->idle > row->stall_count)
		row->since = row->stall_count ? all[row->stall_count - 1]->start : m->last;
	free(all);
}

static bool is_same_place(const struct endpoint *e, const struct client_key *p)
{
	return !memcmp(&e->address, &p->address, sizeof(p->address)) &&
	       !memcmp(e->vlan, p->vlan, sizeof(p->vlan));
}

/* In its place among the latest; the earliest gives way. */
static void row_add_attempt(struct row *row, const struct connection *c)
{
	unsigned int i;

	if (row->attempt_count < MAX_PAGE_ATTEMPTS)
		row->attempt_count++;
	else if (row->attempts[row->attempt_count - 1]->syn >= c->syn)
		return;
	for (i = row->attempt_count - 1; i > 0 && row->attempts[i - 1]->syn < c->syn; i--)
		row->attempts[i] = row->attempts[i - 1];
	row->attempts[i] = c;
}

static void row_attempts(struct row *row, struct page *page)
{
	unsigned int i, j, of_client;
	uint64_t seen = 0;
	ns_t since = 0;

	for (i = 0; i < row->host->client_count; i++) {
		const struct client_key *key = &row->host->clients[i]->key;
		const struct kept *kept = *place_of(page, &key->address);

		if (!kept)
			continue;
		of_client = least(kept->seen, MAX_PAGE_ATTEMPTS);
		for (j = 0; j < of_client; j++)
			if (is_same_place(&kept->at[j].client, key)) {
				row_add_attempt(row, &kept->at[j]);
				seen++;
			}
		/* what gave its place in the ring was earlier */
		if (kept->seen > MAX_PAGE_ATTEMPTS &&
		    kept->at[kept->seen % MAX_PAGE_ATTEMPTS].syn > since)
			since = kept->at[kept->seen % MAX_PAGE_ATTEMPTS].syn;
	}
	if (seen > row->attempt_count && row->attempts[row->attempt_count - 1]->syn > since)
		since = row->attempts[row->attempt_count - 1]->syn;
	if (since > row->since)
		row->since = since;
}

static void row_fill(struct row *row, const struct host *host, const struct model *m,
		     struct page *page)
{
	*row = (struct row){ .host = host };
	row_stalls(row, m);
	row_attempts(row, page);
}

static void choose_rows(struct rows *rows, const struct hosts *hosts, const struct model *m,
			struct page *page)
{
	size_t i, n[4] = {}, *of = rows->hosts, *shown = rows->shown;
	int kind;

	memset(rows, 0, sizeof(*rows));
	for (i = 0; i < hosts->count; i++)
		of[kind_of_host(&hosts->at[i])]++;
	shown[0] = least(of[0], MAX_PAGE_HOSTS - least(of[1] + of[2] + of[3], MIN_PAGE_OTHERS));
	shown[1] = least(of[1], MAX_PAGE_HOSTS - shown[0] - least(of[2] + of[3], MIN_PAGE_WELL));
	shown[2] = least(of[2], MAX_PAGE_HOSTS - shown[0] - shown[1]);
	shown[3] = least(of[3], MAX_PAGE_HOSTS - shown[0] - shown[1] - shown[2]);
	for (kind = 0; kind < 4; kind++)
		for (i = 0; i < hosts->count && n[kind] < shown[kind]; i++)
			if (kind_of_host(&hosts->at[i]) == kind) {
				row_fill(&rows->at[rows->count++], &hosts->at[i], m, page);
				n[kind]++;
			}
}

/* ---- the objects ---- */

static void write_left_out(struct report *r, const struct rows *rows, const struct page *page,
			   const struct diagnosis *d, size_t peers)
{
	unsigned int i;

	fputs("{\"type\":\"page\",\"rows\":[", r->out);
	for (i = 0; i < rows->count; i++)
		fprintf(r->out, "%s{\"since\":%" PRId64 "}", i ? "," : "", rows->at[i].since);
	fprintf(r->out,
		"],\"hosts_more\":{\"stalled\":%zu,\"failed\":%zu,\"well\":%zu,\"speechless\":%zu}",
		rows->hosts[0] - rows->shown[0], rows->hosts[1] - rows->shown[1],
		rows->hosts[2] - rows->shown[2], rows->hosts[3] - rows->shown[3]);
	fprintf(r->out, ",\"findings_more\":%zu", d->count - least(d->count, MAX_PAGE_FINDINGS));
	fprintf(r->out, ",\"peers_more\":%zu", peers - least(peers, MAX_PAGE_PEERS));
	fprintf(r->out, ",\"notices_more\":%zu}\n",
		page->notices - least(page->notices, MAX_PAGE_NOTICES));
}

static bool is_idle(const struct model *m, const struct stall *s)
{
	return m->idle.count && s >= m->idle.at && s < m->idle.at + m->idle.count;
}

static void write_row(struct report *r, const struct row *row, const struct model *m)
{
	unsigned int i;

	json_host(r->out, row->host);
	for (i = row->stall_count; i-- > 0;)
		if (row->stalls[i]->start >= row->since)
			json_stall(r, row->stalls[i], !is_idle(m, row->stalls[i]));
	for (i = row->attempt_count; i-- > 0;)
		if (row->attempts[i]->syn >= row->since)
			report_json.connection(r, row->attempts[i]);
}

static void write_objects(struct report *r, const struct model *m, const struct diagnosis *d,
			  struct page *page)
{
	const struct peer **peers;
	struct rows *rows = calloc(1, sizeof(*rows));
	size_t count, i;

	peers = model_failing_peers(m, &count);
	if (!rows || !peers || !d->hosts.at)
		r->error = ENOMEM;
	if (rows) {
		choose_rows(rows, &d->hosts, m, page);
		write_left_out(r, rows, page, d, count);
		for (i = 0; i < rows->count; i++)
			write_row(r, &rows->at[i], m);
	}
	for (i = 0; i < least(count, MAX_PAGE_PEERS) && d->hosts.count; i++)
		json_peer(r->out, &d->hosts, peers[i]);
	for (i = 0; i < least(d->count, MAX_PAGE_FINDINGS); i++)
		json_finding(r->out, &d->at[i], i + 1);
	json_summary(r, m, d);
	free(rows);
	free(peers);
}

static void ended(struct report *r, const struct model *m, const struct diagnosis *d)
{
	struct page *page = r->own;

	if (!page)
		return;
	write_objects(&page->objects, m, d, page);
	if (fflush(page->objects.out) || ferror(page->objects.out) || page->objects.error)
		r->error = ENOMEM;
	else
		write_page(r, m, d, page->text);
}

static void closed(struct report *r)
{
	struct page *page = r->own;
	size_t i;

	if (!page)
		return;
	fclose(page->objects.out);
	free(page->text);
	for (i = 0; i < PAGE_PLACES; i++)
		free(page->places[i]);
	free(page);
	r->own = NULL;
}

const struct report_format report_page = {
	.started = started,
	.connection = connection,
	.notice = notice,
	.ended = ended,
	.closed = closed,
};
