/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A report presents one run in one format: text, JSON lines, HTML or pcapng. Each format is a file of
 * its own that defines a struct report_format; a run may write several reports at once.
 */
#pragma once

#include <stdio.h>

#include "diagnose/diagnose.h"
#include "report/outfile.h"
#include "session.h"

struct evidence;
struct report;

/*
 * Functions that a format defines, NULL for those it does not need. Order: started, then any number of
 * events, then ended, then closed. A run that cannot start or is aborted skips the first ones and calls
 * closed alone. Times are nanoseconds since the start of the run. On error a function sets r->error.
 */
struct report_format {
	/* The source runs: session->start, its interfaces and link types are known. Allocates r->state. */
	void (*started)(struct report *r);

	/* A connection attempt has settled; called once for each. */
	void (*connection)(struct report *r, const struct connection *c);

	/* A client was silent for a stall's length: ended, or once so far while it still is. */
	void (*stall)(struct report *r, const struct stall *s, bool ended);

	/* A server that speaks first did so a stall's length or more after the handshake. */
	void (*late_banner)(struct report *r, const struct connection *c);

	/* The first failure of its kind at a peer, and the first answer of that peer afterwards. */
	void (*failing)(struct report *r, const struct connection *c, enum failure failure);
	void (*late_answer)(struct report *r, const struct connection *c);

	/* The source has a message for the user, which standard error shows as well. */
	void (*notice)(struct report *r, ns_t now, const char *text);

	/* Some times a second, after the model has seen all attempts that are still opening. */
	void (*swept)(struct report *r, ns_t now);

	/* The run is over and diagnosed. */
	void (*ended)(struct report *r, const struct model *m, const struct diagnosis *d);

	/* Frees r->state, which may be NULL. */
	void (*closed)(struct report *r);
};

struct report {
	const struct report_format *format;
	const struct session *session;
	struct evidence *evidence; /* the packets for pcapng; NULL without --write */
	FILE *out;
	const char *out_name; /* for error messages */
	struct outfile file; /* behind out, unless that is standard output */
	off_t complete_bytes; /* size of the file after the last write that succeeded in full */
	int error; /* errno of the first failure, 0 if none */
	bool quiet; /* no lines while the run goes on, only the report at its end */
	bool verbose; /* print the tables as well */
	void *state; /* owned by the format, from started() to closed() */
};

extern const struct report_format report_text;
extern const struct report_format report_json;
extern const struct report_format report_pcapng; /* needs report.evidence */
extern const struct report_format report_html;
