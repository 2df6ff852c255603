/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fields of --json objects. Each object begins with its type, so every further field writes a comma
 * first. Unknown values are null.
 */
#pragma once

#include <stdio.h>

#include "diagnose/diagnose.h"

void field_ns(FILE *out, const char *name, ns_t value);
void field_count(FILE *out, const char *name, uint64_t value);
void field_string(FILE *out, const char *name, const char *value);
void field_flag(FILE *out, const char *name, bool value);
void field_address(FILE *out, const char *name, const struct address *a);

/* has_mac: mac[] is known, 6 bytes */
void field_mac(FILE *out, const char *name, bool has_mac, const uint8_t *mac);

/* Writes "vlans": the tags of two levels, without those that are 0. */
void field_vlans(FILE *out, const uint16_t *vlan);

/* Writes an endpoint as an object without its closing brace: the caller adds further fields. */
void begin_endpoint(FILE *out, const struct endpoint *e);

/* Writes an endpoint as an object, without a name. */
void write_endpoint(FILE *out, const struct endpoint *e);

/* e may be NULL: unknown */
void field_endpoint(FILE *out, const char *name, const struct endpoint *e);

void field_cohort(FILE *out, const struct cohort *c);
void field_comparison(FILE *out, const char *name, const struct comparison *c);
