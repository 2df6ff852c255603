/* SPDX-License-Identifier: GPL-2.0 */
/* The source that reads capture files. Its clock is that of the packets. */
#pragma once

#include "options.h"
#include "session.h"
#include "source/sink.h"

/*
 * Reads all files, or up to an error, which session->cut then names. Returns 0; or -1, after it has
 * printed why on standard error, if there was nothing to read.
 */
int capture_run(const struct options *o, struct session *session, const struct sink *sink);
