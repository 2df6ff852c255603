/* SPDX-License-Identifier: GPL-2.0 */
/* Builds findings, and queries the findings made so far. It does not depend on any cause. */
#pragma once

#include "diagnose/context.h"
#include "lib/address.h"
#include "lib/format.h"
#include "lib/statistics.h"

/* Adds a finding. If there are MAX_FINDINGS already, counts it as dropped and returns NULL. */
struct finding *finding_new(struct context *g, enum finding_kind kind, struct certainty certainty);

/* ---- confidence ---- */

static inline struct certainty certain(void)
{
	return (struct certainty){ CONFIDENCE_HIGH, NULL };
}

static inline struct certainty doubtful(enum confidence level, const char *reason)
{
	return (struct certainty){ level, reason };
}

/* Lowers the confidence to `most`, for this reason, unless it is as low already. */
static inline struct certainty at_most(struct certainty certainty, enum confidence most,
				       const char *reason)
{
	return certainty.level > most ? doubtful(most, reason) : certainty;
}

/* Does the same for a finding. */
void finding_limit(struct finding *f, enum confidence most, const char *reason);

/*
 * Returns the confidence that n observations give: low for one, medium for two, high for three or
 * more.
 */
struct certainty certainty_by_count(uint64_t n);

/* ---- contents ---- */

void finding_set_peer(struct finding *f, const struct endpoint *peer);

/* Adds a further peer to the finding, while there is room. */
void finding_add_also(struct finding *f, const struct endpoint *peer);

/*
 * Set the headline, or add a line of evidence while there is room. A line is a whole sentence: the
 * reports wrap it. The text is escaped and truncated.
 */
void finding_text(struct finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_line(struct finding *f, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define FORMAT_SPREAD (2 * FORMAT_DURATION + 8)

/* Formats as "5.003 s ± 1.20 ms"; without the deviation if it is NEVER. */
char *finding_format_spread(char out[FORMAT_SPREAD], ns_t middle, ns_t deviation);

void finding_add_host(struct context *g, struct finding_hosts *hosts, const struct host *h);

/*
 * Adds the hosts that tried this peer to f->affected, each once for a finding. With anomaly_bits,
 * adds only hosts with one of these anomalies.
 */
void finding_add_hosts(struct context *g, struct finding *f, const struct peer *p,
		       unsigned int anomaly_bits);

/*
 * Like finding_add_hosts(), for the hosts that failed at this peer. Returns the number of hosts
 * added.
 */
size_t finding_add_failed_hosts(struct context *g, struct finding *f, const struct peer *p);

void example_of_stall(struct example *e, const struct stall *s);
void example_add_attempt(struct example *e, const struct pending *o);

/* ---- queries ---- */

bool has_finding(const struct context *g, enum finding_kind kind);

/* Returns true if the finding is about this peer, alone or among others. */
bool finding_names(const struct finding *f, const struct endpoint *peer);

/* Returns true if a finding is about this peer, alone or among others. */
bool is_named(const struct context *g, const struct endpoint *peer);

/*
 * Returns true if a finding of medium or high confidence reports that clients wait for this peer.
 */
bool is_waited_for(const struct context *g, const struct endpoint *peer);
