/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Text for people: addresses, durations, times of day, and untrusted text made harmless. The result
 * is UTF-8 and does not depend on the locale; report/glyphs.h adapts it to a terminal.
 *
 * Each function with an `out` fills the caller's buffer and returns it, cut to its size if need be.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "connection.h"

#define FORMAT_ADDRESS 48
#define FORMAT_ENDPOINT 64
#define FORMAT_DURATION 32
#define FORMAT_TIME 64

/* The ending of a noun: "" for one, "s" otherwise. */
const char *plural(uint64_t n);

/* 192.0.2.1 or 2001:db8::1. */
char *format_address(char out[FORMAT_ADDRESS], const struct address *a);

/* 192.0.2.1:80 or [2001:db8::1]:80, followed by " vlan 7" or " vlan 7.8" where it is tagged. */
char *format_endpoint(char out[FORMAT_ENDPOINT], const struct endpoint *e);

/* 26 µs, 0.8 ms, 5.003 s, 1 min 12 s; a dash for NEVER. */
char *format_duration(char out[FORMAT_DURATION], ns_t duration);

/* 12:01:03: the local time `at` nanoseconds after start. */
char *format_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t at);

/* Seconds by which the local time of format_clock() is ahead of UTC. */
long format_utc_offset(const struct timespec *t);

/* RFC 3339 with nanoseconds, in UTC. */
char *format_rfc3339(char out[FORMAT_TIME], const struct timespec *t);

/* The columns that UTF-8 text takes, one for each code point. */
int format_columns(const char *text);

/* The number of bytes that fit into so many columns. */
size_t format_cut(const char *text, int columns);

/*
 * Decodes the first code point of the text. Returns its length in bytes, or 0 when it is not valid
 * UTF-8 (RFC 3629).
 */
unsigned int format_utf8(const char *text, uint32_t *code);

/*
 * Writes untrusted text so that it is safe on a terminal. Invisible code points are written as
 * numbers (\x1b, \u202e), as are bytes that are not UTF-8. Newlines stay.
 */
void format_text(FILE *out, const char *text);

/*
 * An untrusted name likewise, on one line; the middle of a very long name is left out. The result
 * is in a static buffer that the fourth call after this one overwrites.
 */
const char *format_name(const char *name);

/* Writes the code point as \u00b1 or \U0001f600. */
void format_code_point(FILE *out, uint32_t code);

/* True for code points that show nothing or move the text around them, as controls do. */
bool format_is_invisible(uint32_t code);

/* Writes untrusted text as the inside of a JSON string, in ASCII. */
void format_json_string(FILE *out, const char *string);
