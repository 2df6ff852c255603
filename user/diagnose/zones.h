/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Zones: names for which a resolver gives no answer, or fails only after a time, although it
 * answers others; and types of questions of which it answers none. They are numbered for the run,
 * see struct zone. An endpoint with such a number stands for the resolver's answers about the zone.
 */
#pragma once

#include "diagnose/resolvers.h"

#define MAX_ZONES 1024

/* Fills in g->zone_of_asked and g->d->zones. Returns false when out of memory. */
bool zones_find(struct context *g);

/* Returns the number of the zone that explains why this got no answer; 0 if there is none. */
static inline uint16_t zone_of_asked(const struct context *g, const struct asked *a)
{
	return g->zone_of_asked[a - g->resolvers->asked];
}

/* Returns NULL for 0. */
struct zone *zone_numbered(const struct context *g, uint16_t number);

/* Returns the resolver of the zone. */
const struct resolver *resolver_of_zone(const struct context *g, const struct zone *z);

/* Returns true if the resolver gave up: it answered with an error, but only after a time. */
bool is_given_up(const struct context *g, const struct asked *a);

/* Returns true if the lookup got no answer that is any use: none, or a late error. */
bool is_in_vain(const struct context *g, const struct asked *a);

/* Returns true if the resolver answered, also that there is no such name. */
bool is_good_answer(const struct asked *a);

/* Returns the lookups of the same episode. */
struct episode episode_of(const struct context *g, const struct noted_lookup *n);

/* Returns true if the lookup is of the zone: by its name and its type. */
bool is_of_zone(const struct context *g, const struct zone *z, const struct lookup *l);

/*
 * Returns the zone in words, such as "names under corp.example", "AAAA questions" or "PTR questions
 * about 10.60.7.0/24". Unescaped.
 */
const char *zone_text(struct context *g, uint16_t number);

/* Returns true if the words of zone_text() take a verb in the singular. */
bool zone_is_singular(const struct zone *z);

/* Like format_peer(). Names that have not been printed yet are counted as printed. */
char *format_finding_peer(char out[FORMAT_PEER], struct context *g, const struct endpoint *e);
