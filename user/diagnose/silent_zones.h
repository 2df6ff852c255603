/* SPDX-License-Identifier: GPL-2.0 */
/* The evidence for findings about a zone: the results of its lookups, and their cost. */
#pragma once

#include "diagnose/zones.h"

/*
 * Adds the evidence that the zone, and not its resolver, is silent: what was asked, what the
 * resolver answered meanwhile, and since when. The finding explains these lookups.
 */
void finding_add_zone(struct context *g, struct finding *f, const struct zone *z);

/* Adds the line "action" for such a finding. */
void finding_add_zone_action(struct context *g, struct finding *f, const struct zone *z);
