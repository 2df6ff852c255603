/* SPDX-License-Identifier: GPL-2.0 */
/* Builds findings, and queries those made so far. Knows no cause. */
#pragma once

#include "diagnose/context.h"
#include "lib/address.h"
#include "lib/format.h"
#include "lib/statistics.h"

/* Returns NULL when there are MAX_FINDINGS already, which it counts. */
struct finding *finding_new(struct context *g, enum finding_kind kind, enum confidence confidence);

void finding_set_peer(struct finding *f, const struct endpoint *peer);

/* Adds a peer that the finding is about as well, while there is room. */
void finding_add_also(struct finding *f, const struct endpoint *peer);

/* Sets the sentence; adds a line of evidence while there is room. The text is escaped and cut. */
void finding_text(struct finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_line(struct finding *f, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void finding_add_host(struct context *g, struct finding_hosts *hosts, const struct host *h);

/*
 * Adds the hosts that tried this peer to f->affected, each once for a finding: those with one of
 * the anomalies; with anomaly_bits 0 all.
 */
void finding_add_hosts(struct context *g, struct finding *f, const struct peer *p,
		       unsigned int anomaly_bits);

/* Likewise the hosts that failed at this peer. Returns the number of hosts added. */
size_t finding_add_failed_hosts(struct context *g, struct finding *f, const struct peer *p);

/*
 * Fills f->affected, f->unaffected, f->cohort and f->p_value: who tried this peer, who stalled. The
 * hosts that tried it are counted by f afterwards, see count_once().
 */
void finding_compare(struct context *g, struct finding *f, const struct peer *p);

void example_of_stall(struct example *e, const struct stall *s);
void example_add_attempt(struct example *e, const struct pending *o);

/* Two observations prove little, three prove much. */
enum confidence confidence_by_count(uint64_t n);

/* ---- findings made so far ---- */

bool has_finding(const struct context *g, enum finding_kind kind);

/* True if a finding names this peer, alone or among others. */
bool is_named(const struct context *g, const struct endpoint *peer);

/* True if a finding of medium or high confidence explains waits by this peer. */
bool is_waited_for(const struct context *g, const struct endpoint *peer);
