/* SPDX-License-Identifier: GPL-2.0 */
/* All reports of a run: opens their files, passes each event to all reports, and closes them. */
#pragma once

#include "options.h"
#include "report/report.h"

#define MAX_REPORTS 4

struct reports {
	struct report at[MAX_REPORTS];
	int count;
	bool started;
	bool ended; /* reports_ended() was called */
	int cleanup_fd; /* result of outfile_cleanup_later(), or -1 */
	/* for model_new(): callbacks that pass each event to all reports */
	struct model_events model_events;
};

/*
 * Opens the reports that the options request. evidence may be NULL without --write. Returns 0, or
 * -1 after an error message. In both cases the caller calls reports_close().
 */
int reports_open(struct reports *all, const struct options *o, const struct session *session,
		 const struct names *names, struct evidence *evidence);

/*
 * Prepares the removal of new files in case the run never starts. Call it before privileges are
 * dropped. Otherwise reports_close() removes the files itself.
 */
void reports_prepare_cleanup(struct reports *all);

/* Pass the events of the run to all reports, see struct report_format. */
void reports_started(struct reports *all);

void reports_connection(struct reports *all, const struct connection *c);
void reports_notice(struct reports *all, ns_t now, const char *text);

void reports_swept(struct reports *all, ns_t now);

/*
 * Writes buffered output. Returns false if a report can no longer be written, as on a full disk, or
 * if no report has a reader: a closed pipe ends only the report on standard output.
 */
bool reports_flush(struct reports *all);

void reports_ended(struct reports *all, struct model *m, const struct diagnosis *d);

/*
 * In the process that prints an interim report: keeps the text report, and forgets the others, whose
 * files are its parent's. Without a text report, standard error gets one.
 */
void reports_keep_screen(struct reports *all, const struct options *o,
			 const struct session *session, const struct names *names);

/* Closes all reports. Returns 0, or -1 after an error message if a report is incomplete. */
int reports_close(struct reports *all);
