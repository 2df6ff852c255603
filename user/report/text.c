// SPDX-License-Identifier: GPL-2.0
/*
 * The text report, for an engineer during an incident. First it prints the lines, then the findings
 * by importance, then the tables. It fits 80 columns.
 */
#include "report/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/format.h"
#include "report/peer_text.h"

/*
 * Maximum number of findings shown, and of hosts named in each finding. A last row counts the
 * others.
 */
#define MAX_FINDINGS_SHOWN 12
#define MAX_AFFECTED_NAMED 8

/* Column at which the evidence of a finding begins. */
#define LABEL_WIDTH 16

/* Limits of the report's width, and the width used for mail and files, in columns. */
#define MIN_COLUMNS 40
#define MAX_COLUMNS 110
#define FILE_COLUMNS 80

void text_wrapped(struct report *r, int column, int indent, const char *text)
{
	const struct text_state *t = r->state;
	FILE *out = r->out;
	size_t bytes;
	int columns;

	text = transliterate(text);
	for (; *text; text += bytes + strspn(text + bytes, " ")) {
		bytes = strcspn(text, " ");
		columns = format_columns(text) - format_columns(text + bytes);
		if (column + 1 + columns > t->columns && column > indent)
			column = fprintf(out, "\n%*s", indent, "") - 1;
		fprintf(out, " %.*s", (int)bytes, text);
		column += 1 + columns;
	}
	fputc('\n', out);
}

static void print_labelled(struct report *r, const char *label, const char *text)
{
	text_wrapped(r, fprintf(r->out, "   %-12s", label), LABEL_WIDTH - 1, text);
}

static void print_rule(FILE *out, int length)
{
	while (length-- > 0)
		fputs(glyphs->line, out);
}

/* Prints the attempt that the client waited for. Times are relative to `since`. */
static void print_attempts(struct report *r, const struct example *e, ns_t since)
{
	char to[FORMAT_ENDPOINT], duration[FORMAT_DURATION], text[512];
	unsigned int i;
	int n;

	if (e->asks_name && e->waited_for.port == DNS_PORT)
		format_address(to, &e->waited_for.address);
	else
		format_endpoint(to, &e->waited_for);
	n = snprintf(text, sizeof(text), "%s %s to %s at", glyphs->below,
		     e->asks_name ? "question" : "SYN", to);
	for (i = 0; i < e->syn_count && i < 3; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s %s%s", i ? "," : "",
			      e->syn_times[i] < since ? "" : "+",
			      format_duration(duration, e->syn_times[i] - since));
	if (e->syn_count > i)
		n += snprintf(text + n, sizeof(text) - n, ", ...");
	if (e->resolved == NEVER)
		snprintf(text + n, sizeof(text) - n, ": no answer");
	else
		snprintf(text + n, sizeof(text) - n, ", %s at +%s",
			 e->asks_name ? "answered" : "resolved",
			 format_duration(duration, e->resolved - since));
	text_wrapped(r, fprintf(r->out, "%*s", LABEL_WIDTH - 1, ""), LABEL_WIDTH + 1, text);
}

/*
 * Prints a wait before the first SYN: the client waited for the other server before it connected
 * here.
 */
static void print_held_connect(struct report *r, const struct example *e, ns_t start)
{
	char wait[FORMAT_DURATION];
	FILE *out = r->out;

	format_duration(wait, e->syn - start);
	fprintf(out, "%*s%s", LABEL_WIDTH, "", glyphs->from);
	print_rule(out, 16);
	fprintf(out, " %s ", wait);
	print_rule(out, 16);
	fprintf(out, "%s SYN\n", glyphs->to);
}

/* Prints a wait after the handshake, as a line that fills the row. */
static void print_wait(struct report *r, const struct example *e)
{
	char a[FORMAT_DURATION], b[FORMAT_DURATION], wait[FORMAT_DURATION], handshake[160];
	const struct text_state *t = r->state;
	const char *dash = glyphs->line;
	FILE *out = r->out;
	int used, length;

	format_duration(wait, e->first - e->ack);
	if (e->synack == NEVER)
		snprintf(handshake, sizeof(handshake), "SYN %s%s%s ACK %s", dash,
			 format_duration(a, e->ack - e->syn), dash, glyphs->from);
	else
		snprintf(handshake, sizeof(handshake), "SYN %s%s%s SYN-ACK %s%s%s ACK %s", dash,
			 format_duration(a, e->synack - e->syn), dash, dash,
			 format_duration(b, e->ack - e->synack), dash, glyphs->from);
	used = fprintf(out, "%*s", LABEL_WIDTH, "");
	fputs(handshake, out);
	used += format_columns(handshake) + format_columns(wait) + strlen("  | first byte");
	length = used < t->columns - 2 ? (t->columns - used) / 2 : 1;
	print_rule(out, length);
	fprintf(out, " %s ", wait);
	print_rule(out, length);
	fprintf(out, "%s first byte\n", glyphs->to);
}

/* Prints a wait as a time line, with the attempt that was pending at the same time below it. */
static void print_example(struct report *r, const struct diagnosis *d, const struct finding *f)
{
	const struct example *e = &f->example;
	ns_t start = e->ack != NEVER ? e->ack : e->waited_for.port ? e->syn_times[0] : e->syn;
	char from[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], clock[FORMAT_TIME], note[PEER_NOTE];
	char text[2 * FORMAT_ENDPOINT + PEER_NOTE + FORMAT_TIME + 16];
	FILE *out = r->out;

	format_endpoint(to, &e->server);
	finding_peer_note(note, d, f, &e->server);
	format_run_clock(clock, &r->session->start, r->session->duration, start);
	if (e->client.port)
		format_endpoint(from, &e->client);
	else
		format_address(from, &e->client.address);
	snprintf(text, sizeof(text), "%s %s %s%s at %s", from, glyphs->arrow, to, note, clock);
	print_labelled(r, "example", text);
	if (e->nat_endpoint.port)
		fprintf(out, "%*sbehind %s\n", LABEL_WIDTH, "",
			format_endpoint(from, &e->nat_endpoint));
	if (e->ack == NEVER)
		print_held_connect(r, e, start);
	else
		print_wait(r, e);
	if (e->waited_for.port)
		print_attempts(r, e, start);
}

static void print_affected(struct report *r, const struct finding_hosts *hosts)
{
	char text[MAX_AFFECTED_NAMED * (FORMAT_ADDRESS + 1) + 32] = "", address[FORMAT_ADDRESS];
	size_t i, n = 0;

	for (i = 0; i < hosts->named && i < MAX_AFFECTED_NAMED; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
			      format_address(address, &hosts->at[i].address));
	if (hosts->count > i)
		snprintf(text + n, sizeof(text) - n, " and %zu more", hosts->count - i);
	if (i)
		print_labelled(r, "hosts", text);
}

#define MAX_PARTS_NAMED 4

/* Prints the servers of a finding about several, and how many of their connects it concerns. */
static void print_parts(struct report *r, const struct diagnosis *d, const struct finding *f)
{
	char text[MAX_PARTS_NAMED * (FORMAT_ENDPOINT + PEER_NOTE + 48) + 32] = "";
	char server[FORMAT_ENDPOINT], note[PEER_NOTE];
	size_t i, n = 0;

	for (i = 0; i < f->part_count && i < MAX_PARTS_NAMED; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%s%s (%" PRIu64 " of %" PRIu64 "%s)",
			      i ? ", " : "", format_endpoint(server, &f->parts[i].server),
			      finding_peer_note(note, d, f, &f->parts[i].server),
			      f->parts[i].concerned, f->parts[i].connects, i ? "" : " connects");
	if (f->part_count > i)
		snprintf(text + n, sizeof(text) - n, " and %s%zu more",
			 f->part_count == MAX_FINDING_PARTS ? "at least " : "", f->part_count - i);
	if (i)
		print_labelled(r, "servers", text);
}

static void print_finding(struct report *r, const struct diagnosis *d, size_t number)
{
	const struct colours *colours = text_colours(r);
	const struct finding *f = &d->at[number - 1];
	char confidence[256], headline[NOTED_TEXT];
	size_t i;

	fputs(f->kind == KIND_NOT_THE_NETWORK ? colours->good : colours->bold, r->out);
	text_wrapped(r, fprintf(r->out, "\n%zu ", number) - 1, 2,
		     note_headline(headline, d, f, f->text));
	fputs(colours->reset, r->out);
	snprintf(confidence, sizeof(confidence), "%s (%s)%s%s", confidence_names[f->confidence],
		 finding_kinds[f->kind].name, f->confidence_reason ? ": " : "",
		 f->confidence_reason ? f->confidence_reason : "");
	print_labelled(r, "confidence", confidence);
	for (i = 0; i < f->line_count; i++)
		print_labelled(r, f->lines[i].label, f->lines[i].text);
	print_parts(r, d, f);
	print_affected(r, &f->affected);
	if (f->has_example)
		print_example(r, d, f);
}

/* Prints findings of low confidence or the others, as far as room is left. Returns their number. */
static size_t print_findings_of(struct report *r, const struct diagnosis *d, bool low, size_t room)
{
	size_t i, n = 0;

	for (i = 0; i < d->count && n < room; i++) {
		if ((d->at[i].confidence == CONFIDENCE_LOW) != low)
			continue;
		if (low && !n)
			text_section(r, text_colours(r)->bold, "HINTS",
				     "of low confidence: check them before you act");
		print_finding(r, d, i + 1);
		n++;
	}
	return n;
}

/* Findings of low confidence stand apart. All keep the numbers that they have in other reports. */
static void print_findings(struct report *r, const struct diagnosis *d)
{
	size_t room = r->verbose ? d->count : MAX_FINDINGS_SHOWN;
	size_t n = print_findings_of(r, d, false, room);

	n += print_findings_of(r, d, true, room - n);
	if (n < d->count)
		fprintf(r->out, "\nand %zu more finding%s, with -v or --json\n", d->count - n,
			plural(d->count - n));
}

static void print_comparison_line(void *context, const char *label, const char *text)
{
	print_labelled(context, label, text);
}

/* Prints what hosts have in common whose connects failed or were late without a finding. */
static void print_unexplained(struct report *r, const struct diagnosis *d)
{
	const struct comparison *c = &d->unexplained;

	if (!c->bad || (d->state != STATE_FAILURES && !c->common_count))
		return;
	text_heading(r, text_colours(r)->bold, "HOSTS WITHOUT A FINDING");
	if (!c->good) {
		fprintf(r->out,
			"\n   %zu host%s whose connects failed or were late, and none to compare "
			"with\n",
			c->bad, plural(c->bad));
		return;
	}
	fprintf(r->out, "\n   %zu host%s whose connects failed or were late, and %zu other%s:\n",
		c->bad, plural(c->bad), c->good, plural(c->good));
	comparison_lines(c, false, print_comparison_line, r);
}

static bool explains_stalls(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (finding_kinds[d->at[i].kind].family == FAMILY_WAIT ||
		    finding_kinds[d->at[i].kind].family == FAMILY_NAME)
			return true;
	return false;
}

static bool is_about_names(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (finding_kinds[d->at[i].kind].family == FAMILY_NAME || d->at[i].peer.zone)
			return true;
	return false;
}

/* Returns the terminal's width, limited since long rows are hard to read. */
static int report_columns(FILE *out)
{
	int columns = terminal_width(out);

	if (!columns)
		return FILE_COLUMNS;
	return columns < MIN_COLUMNS ? MIN_COLUMNS : columns > MAX_COLUMNS ? MAX_COLUMNS : columns;
}

static void print_first_line(struct report *r, const struct model *m, const struct hosts *hosts)
{
	char duration[FORMAT_DURATION];

	if (r->session->is_interim)
		fprintf(r->out, "INTERIM REPORT, the run goes on %s ", glyphs->dot);
	fprintf(r->out, "%s on %s %s %" PRIu64 " connect%s %s %zu host%s %s %" PRIu64 " lost\n",
		format_duration(duration, r->session->duration), format_name(r->session->from),
		glyphs->dot, m->connections, plural(m->connections), glyphs->dot, hosts->count,
		plural(hosts->count), glyphs->dot, session_losses(r->session));
}

static void text_started(struct report *r)
{
	struct text_state *t = r->state = calloc(1, sizeof(*t));

	if (!t) {
		r->error = errno;
		return;
	}
	t->colours = terminal_colours(r->out);
	text_init_lines(t);
}

/* Prints the final report, without the lines of events, into r->out in UTF-8. */
static void print_report(struct report *r, const struct model *m, const struct diagnosis *d)
{
	print_first_line(r, m, &d->hosts);
	text_ledger(r, m, d);
	text_notices(r);
	text_blindness(r);
	text_nat(r, m);
	if (d->failed || r->error)
		fprintf(r->out, "\nOut of memory: %s.\n",
			d->failed ? "no diagnosis was made" : "hosts could not be distinguished");
	text_result(r, d);
	print_findings(r, d);
	print_unexplained(r, d);
	text_idle(r, m);
	/* stalls that no finding explains were printed as lines: here they are summarised */
	if (m->stall_count && (r->verbose || !explains_stalls(d)))
		text_stalls(r, m, &d->hosts);
	if (r->verbose && !r->error) {
		text_peers(r, m, d);
		text_hosts(r, &d->hosts);
	}
	if (!r->error && (r->verbose || is_about_names(d)))
		text_resolvers(r, &d->name_summary);
	text_network(r, m, d);
	text_not_measured(r, d, m->dropped_details + d->dropped);
	text_losses(r);
	text_cut(r);
}

/* Prints the headline again below a report that is longer than the screen. */
static void repeat_headline(struct report *r, const struct diagnosis *d, FILE *out,
			    const char *text)
{
	const struct finding *f = first_problem(d);
	char headline[NOTED_TEXT];
	int rows = 0;

	for (; *text; text++)
		rows += *text == '\n';
	if (!terminal_rows(out) || rows < terminal_rows(out))
		return;
	r->out = out;
	fprintf(out, "\n%s", text_colours(r)->bold);
	text_wrapped(r, fprintf(out, "RESULT"), 2,
		     f ? note_headline(headline, d, f, d->headline) : d->headline);
	fputs(text_colours(r)->reset, out);
}

static void text_ended(struct report *r, const struct model *m, const struct diagnosis *d)
{
	struct text_state *t = r->state;
	FILE *out = r->out;
	char *text = NULL;
	size_t size;

	if (!t)
		return;
	if (!d->hosts.at)
		r->error = ENOMEM;
	t->columns = report_columns(out);
	text_flush_lines(r);
	if (t->has_heading || isatty(fileno(out))) /* a terminal shows ^C */
		fputc('\n', out);
	r->out = open_memstream(&text, &size);
	if (r->out) {
		print_report(r, m, d);
		if (!fclose(r->out) && text) {
			fputs(transliterate(text), out);
			repeat_headline(r, d, out, text);
		}
	}
	r->out = out;
	if (!text)
		r->error = ENOMEM;
	free(text);
}

static void text_notice(struct report *r, ns_t now, const char *text)
{
	struct text_state *t = r->state;

	if (t && t->notice_count++ < MAX_NOTICES_SHOWN)
		t->notices[t->notice_count - 1] = (struct notice){ now, strdup(text) };
}

static void text_closed(struct report *r)
{
	struct text_state *t = r->state;
	unsigned int i;

	for (i = 0; t && i < t->notice_count && i < MAX_NOTICES_SHOWN; i++)
		free(t->notices[i].text);
	free(r->state);
	r->state = NULL;
}

const struct report_format report_text = {
	.started = text_started,
	.notice = text_notice,
	.swept = text_swept,
	.stall = text_stall,
	.late_banner = text_late_banner,
	.failing = text_failing,
	.late_answer = text_late_answer,
	.ended = text_ended,
	.closed = text_closed,
};
