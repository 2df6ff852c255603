/* SPDX-License-Identifier: GPL-2.0 */
/* Writes single --json objects, one line each, which the HTML report embeds as well. */
#pragma once

#include "report/report.h"

/* ended: the client sent payload; otherwise the wait was still open at the end of the run. */
void json_stall(struct report *r, const struct stall *s, bool ended);
void json_peer(struct report *r, const struct diagnosis *d, const struct peer *p);
void json_host(FILE *out, const struct host *h);
void json_finding(struct report *r, const struct diagnosis *d, size_t number); /* from 1 */
/*
 * Returns the number of the name that the client had asked for, or else of that by which it knows
 * the server; 0 if no answer named it.
 */
uint32_t json_name_of(const struct names *names, const struct connection *c);

/* A field of the summary. */
void field_names(FILE *out, const struct diagnosis *d);
void json_summary(struct report *r, const struct model *m, const struct diagnosis *d);
