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
 * Runs until a signal, until the end of --duration, or until an interface disappears. In the last
 * case session->cut gives the reason. Returns 0, or -1 after an error message.
 */
int live_run(const struct options *o, struct session *session, const struct sink *sink);
