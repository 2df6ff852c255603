/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The path of a connection through the program: source, join, connects, model and evidence, reports. The
 * pipeline is the source's sink.
 */
#pragma once

#include "host/drop_counters.h"
#include "host/mac_vendors.h"
#include "host/services.h"
#include "model/connects.h"
#include "model/join.h"
#include "model/model.h"
#include "options.h"
#include "report/evidence.h"
#include "report/reports.h"
#include "session.h"
#include "source/sink.h"

struct pipeline {
	const struct options *options;
	struct session session;
	struct sink sink; /* callbacks for the source */
	struct join_events join_events;
	struct join *join;
	struct connects_events connects_events;
	struct connects *connects;
	struct model *model;
	struct evidence *evidence; /* with --write, else NULL */
	struct reports reports;
	struct mac_vendors *vendors; /* NULL if no registry is installed */
	struct services *services; /* NULL if there is no file of them */
	struct drop_counters *drop_counters; /* of this host; NULL with a capture */
	struct host_drops drops; /* of this host during the run */
	uint64_t settled; /* connects */
	uint64_t opening; /* opening attempts seen by the last complete sweep */
	uint64_t opening_so_far; /* opening attempts seen by the current sweep so far */
};

/*
 * Opens the reports and allocates the modules. Returns 0, or -1 after an error message. In both
 * cases the caller calls pipeline_close().
 */
int pipeline_open(struct pipeline *p, const struct options *o);

/* Call it when the source has ended: passes on the records and connects that are held back. */
void pipeline_finish(struct pipeline *p);

/*
 * Closes the reports and frees all memory. Returns -1, after an error message, if a report is
 * incomplete.
 */
int pipeline_close(struct pipeline *p);
