/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the text report: text_lines.c prints events during the run, text.c prints
 * the findings at its end, and text_tables.c prints the tables around them.
 */
#pragma once

#include "lib/format.h"
#include "report/glyphs.h"
#include "report/ratelimit.h"
#include "report/report.h"
#include "report/terminal.h"

enum line_kind {
	LINE_STALL,
	LINE_WAITING,
	LINE_GREETING,
	LINE_SILENT,
	LINE_REFUSED,
	LINE_UNREACHABLE,
	LINE_BACK,
	LINE_KINDS,
};

#define MAX_NOTICES_SHOWN 20

/* An event of the run itself. */
struct notice {
	ns_t when;
	char *text; /* NULL when out of memory */
};

/* r->state of a text report. */
struct text_state {
	const struct colours *colours;
	struct ratelimit ratelimits[LINE_KINDS];
	ns_t now; /* time of the last sweep */
	int client_columns, server_columns; /* widths of columns in the lines */
	bool has_heading; /* the heading of the lines has been printed */
	struct notice notices[MAX_NOTICES_SHOWN];
	unsigned int notice_count; /* of all, also of those that are not kept */
	int columns; /* width of the final report, in columns */
};

static inline const struct colours *text_colours(const struct report *r)
{
	return ((const struct text_state *)r->state)->colours;
}

/*
 * Writes the name of an ICMP error into out and returns it: "host unreachable", or "ICMP type 3
 * code 13".
 */
const char *text_icmp(char out[64], const struct address *about, uint8_t type, uint8_t code);

/* ---- text.c ---- */

/* Prints text from a column on and wraps it between words. Further rows are indented. */
void text_wrapped(struct report *r, int column, int indent, const char *text);

/* ---- text_ledger.c ---- */

void text_ledger(struct report *r, const struct model *m, const struct diagnosis *d);

/* Prints the headline, unless it is a finding's sentence, and what it does not cover. */
void text_result(struct report *r, const struct diagnosis *d);

/* ---- text_lines.c ---- */

void text_init_lines(struct text_state *t);

/* Prints the summaries of lines that were suppressed and not summarised yet. */
void text_flush_lines(struct report *r);

/* Members of report_text, see struct report_format. */
void text_swept(struct report *r, ns_t now);
void text_stall(struct report *r, const struct stall *s, bool ended);
void text_late_banner(struct report *r, const struct connection *c);
void text_failing(struct report *r, const struct connection *c, enum failure failure);
void text_late_answer(struct report *r, const struct connection *c);

/*
 * ---- text_tables.c: sections of the final report; a section without contents prints nothing ----
 */

void text_heading(struct report *r, const char *colour, const char *words);

/* Prints what befell the interfaces and the run. */
void text_notices(struct report *r);

/* Prints a heading and a sentence, which begins in the same row. */
void text_section(struct report *r, const char *colour, const char *heading, const char *format,
		  ...) __attribute__((format(printf, 4, 5)));

/* Prints a sentence in rows of its own, wrapped and indented. */
void text_item(struct report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

void text_blindness(struct report *r);
void text_nat(struct report *r, const struct model *m);
void text_idle(struct report *r, const struct model *m);
void text_stalls(struct report *r, const struct model *m, const struct hosts *hosts);
void text_peers(struct report *r, const struct model *m, const struct diagnosis *d);
void text_hosts(struct report *r, const struct hosts *hosts);
void text_network(struct report *r, const struct model *m, const struct diagnosis *d);

/* unlisted: number of details and findings that found no room in memory */
void text_not_measured(struct report *r, const struct diagnosis *d, uint64_t unlisted);

void text_losses(struct report *r);

/* Prints a row of percentiles, or nothing for an empty histogram. */
void text_percentiles(FILE *out, const char *name, const struct histogram *h);

/*
 * Returns the field width for printf(), which counts bytes: width columns, plus one for each UTF-8
 * continuation byte.
 */
int text_field_width(int width, const char *text);

/* Prints "3 packets of ...", or nothing for 0. */
void text_count(struct report *r, uint64_t n, const char *noun, const char *words);
void text_cut(struct report *r);

/* ---- text_names.c: parts of sections ---- */

void text_resolvers(struct report *r, const struct name_summary *s);

/* Print rows of the network section: its first ones, and sentences at its end. */
void text_stages(struct report *r, const struct model *m, const struct name_summary *s);
void text_names(struct report *r, const struct name_summary *s);

/* Prints what DNS packets were not read, for the section of what was not measured. */
void text_names_not_read(struct report *r, const struct name_summary *s);
