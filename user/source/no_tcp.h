/* SPDX-License-Identifier: GPL-2.0 */
/* Explains why no TCP connection can be seen on an interface although packets pass. */
#pragma once

#include <stddef.h>

#include "session.h"

/*
 * packets and bytes are the interface's counts since the start; session->counters and
 * session->ethertypes describe their contents. Returns false if connections may still be seen
 * there. Otherwise stores one or two sentences in text: which traffic passes, and which interface
 * to watch instead.
 */
bool explain_no_tcp(const struct session *session, uint64_t packets, uint64_t bytes, char *text,
		    size_t room);
