/* SPDX-License-Identifier: GPL-2.0 */
/* The source that reads capture files. Its clock is the time of the packets. */
#pragma once

#include "options.h"
#include "session.h"
#include "source/sink.h"

/*
 * Reads all files. If an error ends a file early, session->cut describes it. Returns 0, or -1 after
 * an error message if no packet could be read.
 */
int capture_run(const struct options *o, struct session *session, const struct sink *sink);
