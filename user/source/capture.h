/* SPDX-License-Identifier: GPL-2.0 */
/* The source that is a capture file, in its own time. Needs no rights but to read the file. */
#pragma once

#include "options.h"
#include "session.h"

/* Reads to the end. 0; or -1, said on standard error, when there was nothing to read. See run.cut. */
int capture_run(const struct options *o, struct session *session,
		const struct source_events *events);
