/* SPDX-License-Identifier: GPL-2.0 */
/* All reports of a run: opens their files, hands each event to all of them, and closes them. */
#pragma once

#include "options.h"
#include "report/report.h"

#define MAX_REPORTS 4

struct reports {
	struct report at[MAX_REPORTS];
	int count;
	bool started;
	int cleanup_fd; /* of outfile_cleanup_later(), or -1 */
	struct model_events model_events; /* for model_new(): hands them to all reports */
};

/*
 * Opens the reports that the options ask for. evidence may be NULL without --write. Returns 0; or -1
 * after it has printed why on standard error. In both cases the caller calls reports_close().
 */
int reports_open(struct reports *all, const struct options *o, const struct session *session,
		 struct evidence *evidence);

/*
 * Before privileges are dropped: prepares for the removal of new files in case the run never starts.
 * Without it reports_close() removes them itself.
 */
void reports_prepare_cleanup(struct reports *all);

/* The run has started. */
void reports_started(struct reports *all);

void reports_connection(struct reports *all, const struct connection *c);
void reports_notice(struct reports *all, ns_t now, const char *text);

void reports_swept(struct reports *all, ns_t now);

/*
 * Writes what is buffered. Returns false if a report can be written no further: a full disk, or a
 * reader that has closed its pipe.
 */
bool reports_flush(struct reports *all);

void reports_ended(struct reports *all, struct model *m, const struct diagnosis *d);

/* Returns 0; or -1, after it has printed why, if not all of a report could be written. */
int reports_close(struct reports *all);
