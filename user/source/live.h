/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The live source: watches interfaces of this host. It loads and attaches the BPF object, reads
 * records and sweeps the flow table on a timer, and removes everything at the end.
 */
#pragma once

#include "options.h"
#include "session.h"
#include "source/sink.h"

/*
 * Runs until a signal, the end of --duration, or until an interface goes away (then session->cut
 * says so). Returns 0; or -1 after it has printed why on standard error.
 */
int live_run(const struct options *o, struct session *session, const struct sink *sink);
