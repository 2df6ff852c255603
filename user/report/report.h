/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The same run in several formats: one file a format, each a struct report_format. A report is told
 * what happens while it happens, and the whole at the end.
 */
#pragma once

#include <stdio.h>

#include "diagnose/diagnose.h"
#include "report/outfile.h"
#include "session.h"

struct report;

struct report_format {
	void (*started)(struct report *r);
	void (*connection)(struct report *r, const struct connection *c);
	void (*stall)(struct report *r, const struct stall *s, bool ended);
	void (*late_banner)(struct report *r, const struct connection *c);
	void (*failing)(struct report *r, const struct connection *c, enum failure failure);
	void (*late_answer)(struct report *r, const struct connection *c);
	void (*notice)(struct report *r, ns_t now, const char *text);
	void (*swept)(struct report *r, ns_t now); /* some times a second; the run's clock */
	void (*ended)(struct report *r, const struct model *m, const struct diagnosis *d);
	void (*closed)(
		struct report *r); /* frees what is its own, also of a run that did not end well */
};

struct report {
	const struct report_format *format;
	const struct session *session;
	FILE *out;
	const char *out_name; /* for error messages */
	struct outfile file; /* behind out, when that is not standard output */
	off_t complete_bytes; /* so much of a file was whole when all of it was written */
	int error; /* errno of the first write that failed, as far as that was seen */
	bool quiet; /* no lines while it runs, only the report */
	bool verbose; /* the tables as well */
	bool has_heading;
	void *own; /* the format's, from started() to closed() */
	int client_columns, server_columns; /* of the lines */
	ns_t now;
};

extern const struct report_format report_text;
extern const struct report_format report_json;
extern const struct report_format report_pcapng; /* of run->evidence */

/* How a peer fails, in a word: "no answer", "refused", ... */
extern const char *const failure_words[FAILURES];
