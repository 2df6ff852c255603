/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Formats addresses, durations and times of day for people, and escapes untrusted text. The result
 * is UTF-8 and does not depend on the locale; report/glyphs.h adapts it to a terminal.
 *
 * Each function with an `out` writes into the caller's buffer and returns it. Longer text is
 * truncated.
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

/* Returns the plural ending of a noun: "" for 1, else "s". */
const char *plural(uint64_t n);

/* Returns the verb that follows a number: "was" for 1, else "were". */
const char *were(uint64_t n);

/* Formats as 192.0.2.1 or 2001:db8::1. */
char *format_address(char out[FORMAT_ADDRESS], const struct address *a);

/*
 * Formats as 192.0.2.1:80 or [2001:db8::1]:80, followed by " vlan 7" or " vlan 7.8" if it is
 * tagged.
 */
char *format_endpoint(char out[FORMAT_ENDPOINT], const struct endpoint *e);

/*
 * Formats with three significant digits as 137 µs, 1.50 ms or 38.1 ms, and from one second on as
 * 5.003 s, 1 min 12 s or 2 h 1 min. Microseconds have decimals only if the duration does. NEVER is
 * "unknown": a sentence without a value for it is better.
 */
char *format_duration(char out[FORMAT_DURATION], ns_t duration);

/* Formats the local time, `at` nanoseconds after start, as 12:01:03. */
char *format_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t at);

/* Returns true if two times, in nanoseconds after start, are on the same local day. */
bool format_is_same_day(const struct timespec *start, ns_t a, ns_t b);

/*
 * Like format_clock(), but with the date, as 05-31 12:01:03, if a run of this duration crosses
 * midnight. A caller that does not know the duration yet gives `at` instead: then the date appears
 * from the second day on.
 */
char *format_run_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t duration, ns_t at);

/* Returns the number of seconds by which the local time of format_clock() is ahead of UTC. */
long format_utc_offset(const struct timespec *t);

/* Formats as in RFC 3339, in UTC with nanoseconds. */
char *format_rfc3339(char out[FORMAT_TIME], const struct timespec *t);

/* Returns the columns that UTF-8 text takes, one for each code point. */
int format_columns(const char *text);

/* Returns the number of bytes that fit into this number of columns. */
size_t format_cut(const char *text, int columns);

/*
 * Decodes the first code point of the text. Returns its length in bytes, or 0 if it is not valid
 * UTF-8 (RFC 3629).
 */
unsigned int format_utf8(const char *text, uint32_t *code);

/*
 * Writes untrusted text so that it is safe on a terminal. Invisible code points, and bytes that are
 * not UTF-8, are written as numbers (\x1b, \u202e). Newlines are kept.
 */
void format_text(FILE *out, const char *text);

/*
 * Escapes an untrusted name like format_text(), on one line, and omits the middle of a very long
 * name. Returns a static buffer that the fourth call after this one overwrites.
 */
const char *format_name(const char *name);

/* Writes the code point as \u00b1 or \U0001f600. */
void format_code_point(FILE *out, uint32_t code);

/*
 * Returns true for code points that display nothing or move the text around them, as control
 * characters do.
 */
bool format_is_invisible(uint32_t code);

/* Writes untrusted text as the contents of a JSON string, in ASCII. */
void format_json_string(FILE *out, const char *string);
