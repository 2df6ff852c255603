/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The latest DNS packets, from which those of explained lookups are taken at the end of the run.
 * Costs up to 32 MiB, and only with --write and --snap.
 */
#pragma once

#include "model/names.h"
#include "report/evidence.h"

struct dns_evidence;

struct dns_evidence *dns_evidence_new(void);
void dns_evidence_free(struct dns_evidence *d);

/* Adds a packet and takes it over. Drops the oldest ones if there is no room. */
void dns_evidence_add(struct dns_evidence *d, struct kept_packet *kept, const struct dns_packet *p);

/* Marks the packets of a lookup as used. Returns false if some of them had been dropped. */
bool dns_evidence_use(struct dns_evidence *d, const struct lookup *l, size_t finding);

/* Stores the used packets, unless packets is NULL. Returns their number. */
size_t dns_evidence_used(const struct dns_evidence *d, const struct kept_packet **packets);
