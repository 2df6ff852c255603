/* SPDX-License-Identifier: GPL-2.0 */
/* Explains why no TCP connection can be seen on an interface although packets pass. */
#pragma once

#include <stddef.h>

#include "session.h"

/*
 * packets and bytes are counts of the interface since the start; session->counters and
 * session->ethertypes say what they contained. Returns false if connections may still be seen there;
 * otherwise text says in a sentence or two what passes and which interface to watch instead.
 */
bool explain_no_tcp(const struct session *session, uint64_t packets, uint64_t bytes, char *text,
		    size_t room);
