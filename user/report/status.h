/* SPDX-License-Identifier: GPL-2.0 */
/* Output on standard error during a run: its start, notices, and the status line. */
#pragma once

#include "model/model.h"
#include "session.h"

/* Prints the interfaces that are watched, and how to end the run. */
void status_print_watching(const struct session *session);

/* Prints a notice about the run. */
void status_print_notice(const char *text);

/*
 * Updates the status line, shortened to fit a narrow terminal. opening is the number of opening
 * attempts. For a capture, progress replaces the time; otherwise it is NULL.
 */
void status_update(const struct session *session, const struct model *m, uint64_t opening, ns_t now,
		   const char *progress);
