/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of --json one by one, a line each, for a report that takes some of them: the page. The
 * other objects are what report_json's functions of the same name write.
 */
#pragma once

#include "report/report.h"

void json_stall(struct report *r, const struct stall *s, bool ended);
void json_peer(FILE *out, const struct hosts *hosts, const struct peer *p);
void json_host(FILE *out, const struct host *h);
void json_finding(FILE *out, const struct finding *f, size_t number); /* from 1 */
void json_summary(struct report *r, const struct model *m, const struct diagnosis *d);
