/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The source that is an interface of this host: loads the BPF object, attaches it, drains and
 * sweeps on a timer, and leaves nothing behind.
 */
#pragma once

#include "options.h"
#include "session.h"

/*
 * Until a signal, the duration's end, or the interface's (see run.cut). 0; or -1, said on standard
 * error.
 */
int live_run(const struct options *o, struct session *session, const struct source_events *events);
