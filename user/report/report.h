/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A report presents a run in one format: text, JSON lines, HTML or pcapng. Each format is a file
 * that defines a struct report_format; a run may write several reports at once.
 */
#pragma once

#include <stdio.h>

#include "diagnose/diagnose.h"
#include "report/outfile.h"
#include "session.h"

struct evidence;
struct report;

/*
 * Functions of a format; NULL if it does not need one. They are called in this order: started, then
 * any number of events, then ended, then closed. If a run cannot start or is aborted, only closed
 * is called. Times are nanoseconds since the start of the run. On error a function sets r->error.
 */
struct report_format {
	/*
	 * The source has started: session->start, interfaces and link types are known. Allocates
	 * r->state.
	 */
	void (*started)(struct report *r);

	/* A connection attempt has settled. Called once for each attempt. */
	void (*connection)(struct report *r, const struct connection *c);

	/*
	 * A client was silent for the length of a stall. ended: the silence is over; otherwise it
	 * is reported once while it continues.
	 */
	void (*stall)(struct report *r, const struct stall *s, bool ended);

	/*
	 * A server that speaks first sent its banner a stall's length or more after the handshake.
	 */
	void (*late_banner)(struct report *r, const struct connection *c);

	/*
	 * A peer failed in this way for the first time; a peer that failed answers for the first
	 * time.
	 */
	void (*failing)(struct report *r, const struct connection *c, enum failure failure);
	void (*late_answer)(struct report *r, const struct connection *c);

	/* The source has a message for the user, also on standard error unless --quiet. */
	void (*notice)(struct report *r, ns_t now, const char *text);

	/* The model has seen all opening attempts. Called several times a second. */
	void (*swept)(struct report *r, ns_t now);

	/* The run is over and diagnosed. */
	void (*ended)(struct report *r, const struct model *m, const struct diagnosis *d);

	/* Frees r->state, which may be NULL. */
	void (*closed)(struct report *r);
};

struct report {
	const struct report_format *format;
	const struct session *session;
	const struct names *names; /* of the model */
	struct evidence *evidence; /* the packets for pcapng; NULL without --write */
	FILE *out;
	const char *out_name; /* for error messages */
	struct outfile file; /* file of `out`, unless it is standard output */
	off_t complete_bytes; /* size of the file, in bytes, after the last complete write */
	int error; /* errno of the first failure; 0 if there was none */
	bool quiet; /* print no lines during the run, only the report at its end */
	bool verbose; /* print the tables as well */
	bool numeric; /* -n, for JSON lines that become a page: no names of peers and services */
	void *state; /* owned by the format, from started() to closed() */
};

extern const struct report_format report_text;
extern const struct report_format report_json;
extern const struct report_format report_pcapng; /* needs report.evidence */
extern const struct report_format report_html;
