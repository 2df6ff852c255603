/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How do people read addresses, durations and times of day? Each function fills the caller's buffer
 * and answers it, cut to its size if need be.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "connection.h"

#define FORMAT_ADDRESS 48
#define FORMAT_ENDPOINT 64
#define FORMAT_DURATION 32
#define FORMAT_TIME 64

/* Characters beyond ASCII are used where the locale's encoding is UTF-8. */
struct glyphs {
	const char *arrow;
	const char *dot;
	const char *plus_minus;
	const char *micro;
	const char *dash;
	const char *line; /* a time line: this long, from here, to there, and what hangs below */
	const char *from;
	const char *to;
	const char *below;
};

extern const struct glyphs *glyphs;

/* Chooses the glyphs by the locale, which the caller has set. */
void format_init(void);

/* The ending of a noun: "" for one, "s" otherwise. */
const char *plural(uint64_t n);

/* 192.0.2.1 or 2001:db8::1. */
char *format_address(char out[FORMAT_ADDRESS], const struct address *a);

/* 192.0.2.1:80 or [2001:db8::1]:80, with "vlan 7" behind it where there is one. */
char *format_endpoint(char out[FORMAT_ENDPOINT], const struct endpoint *e);

/* 0.8 ms, 5.003 s, 1 min 12 s. */
char *format_duration(char out[FORMAT_DURATION], ns_t duration);

/* 12:01:03, local time, at so many ns behind start. */
char *format_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t at);

/* How many seconds the local time of format_clock() is ahead of UTC. */
long format_utc_offset(const struct timespec *t);

/* RFC 3339 with nanoseconds, in UTC. */
char *format_rfc3339(char out[FORMAT_TIME], const struct timespec *t);

/* Columns that a text of UTF-8 takes, and the bytes of its first so many columns. */
int format_columns(const char *text);
size_t format_cut(const char *text, int columns);

/*
 * The code point that text begins with, and of how many bytes it is; 0 when they are not UTF-8 (RFC
 * 3629). The locale does not matter.
 */
unsigned int format_utf8(const char *text, uint32_t *code);

/*
 * Text from outside, as a terminal may see it: what would move the cursor or what stands around it,
 * shows nothing or is not UTF-8, by its number (\x1b, \u202e); in a locale of ASCII all but ASCII.
 * Line ends stay.
 */
void format_text(FILE *out, const char *text);

/*
 * A name from outside likewise, on one line, and of a very long one its begin and its end. Valid until
 * the fourth call from this one on.
 */
const char *format_name(const char *name);

/* From now on all that is printed to stderr goes through format_text(), messages of libraries too. */
void format_errors(void);

/* Does it show nothing, or move what stands around it? */
bool format_is_invisible(uint32_t code);

/* A string from outside as the inside of a JSON string: ASCII, without a control character. */
void format_json_string(FILE *out, const char *string);
