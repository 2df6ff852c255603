// SPDX-License-Identifier: GPL-2.0
#include "lib/format.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

const char *were(uint64_t n)
{
	return n == 1 ? "was" : "were";
}

char *format_address(char out[FORMAT_ADDRESS], const struct address *a)
{
	if (is_ip4(a))
		inet_ntop(AF_INET, &a->word[3], out, FORMAT_ADDRESS);
	else
		inet_ntop(AF_INET6, a->word, out, FORMAT_ADDRESS);
	return out;
}

char *format_endpoint(char out[FORMAT_ENDPOINT], const struct endpoint *e)
{
	char address[FORMAT_ADDRESS];
	int n;

	format_address(address, &e->address);
	n = snprintf(out, FORMAT_ENDPOINT, is_ip4(&e->address) ? "%s:%u" : "[%s]:%u", address,
		     e->port);
	if (e->vlan[0] && e->vlan[1])
		snprintf(out + n, FORMAT_ENDPOINT - n, " vlan %u.%u", e->vlan[0], e->vlan[1]);
	else if (e->vlan[0])
		snprintf(out + n, FORMAT_ENDPOINT - n, " vlan %u", e->vlan[0]);
	return out;
}

/* Prints a value below 1000 of a unit, of `size` ns, with three significant digits. */
static void print_unit(char out[FORMAT_DURATION], const char *sign, uint64_t ns, uint64_t size,
		       const char *unit)
{
	double value = (double)ns / size;
	int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;

	/* most captures resolve microseconds: do not invent digits */
	if (size < MILLISECOND_NS && ns % size == 0)
		decimals = 0;
	snprintf(out, FORMAT_DURATION, "%s%.*f %s", sign, decimals, value, unit);
}

static uint64_t round_to(uint64_t ns, uint64_t step)
{
	return (ns + step / 2) / step * step;
}

/* Rounds before it chooses the unit: 999.6 µs is 1.00 ms, and 59.9996 s is 1 min 0 s. */
char *format_duration(char out[FORMAT_DURATION], ns_t duration)
{
	const char *sign = duration < 0 ? "-" : "";
	uint64_t ns = duration < 0 ? -(uint64_t)duration : (uint64_t)duration;
	uint64_t step = 1, fine, seconds, minutes;

	if (duration == NEVER) {
		snprintf(out, FORMAT_DURATION, "unknown");
		return out;
	}
	while (ns / step >= 1000)
		step *= 10;
	fine = round_to(ns, step);
	seconds = round_to(ns, SECOND_NS) / SECOND_NS;
	minutes = round_to(ns, 60 * SECOND_NS) / (60 * SECOND_NS);
	if (!ns)
		snprintf(out, FORMAT_DURATION, "0 µs");
	else if (fine < 1000)
		print_unit(out, sign, fine, 1, "ns");
	else if (fine < MILLISECOND_NS)
		print_unit(out, sign, fine, 1000, "µs");
	else if (fine < SECOND_NS)
		print_unit(out, sign, fine, MILLISECOND_NS, "ms");
	else if (round_to(ns, MILLISECOND_NS) < 60 * SECOND_NS)
		snprintf(out, FORMAT_DURATION, "%s%.3f s", sign,
			 round_to(ns, MILLISECOND_NS) / 1e9);
	else if (seconds < 3600)
		snprintf(out, FORMAT_DURATION, "%s%" PRIu64 " min %" PRIu64 " s", sign,
			 seconds / 60, seconds % 60);
	else
		snprintf(out, FORMAT_DURATION, "%s%" PRIu64 " h %" PRIu64 " min", sign,
			 minutes / 60, minutes % 60);
	return out;
}

static struct timespec timespec_after(const struct timespec *start, ns_t at)
{
	int64_t ns = start->tv_nsec + at % (ns_t)SECOND_NS;
	struct timespec t = { .tv_sec = start->tv_sec + at / (ns_t)SECOND_NS };

	if (ns < 0) {
		ns += SECOND_NS;
		t.tv_sec--;
	}
	t.tv_sec += ns / (int64_t)SECOND_NS;
	t.tv_nsec = ns % (int64_t)SECOND_NS;
	return t;
}

static bool local_time(struct tm *tm, const struct timespec *start, ns_t at)
{
	struct timespec t = timespec_after(start, at);

	return localtime_r(&t.tv_sec, tm);
}

char *format_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t at)
{
	struct tm tm;

	if (!local_time(&tm, start, at) || !strftime(out, FORMAT_TIME, "%H:%M:%S", &tm))
		snprintf(out, FORMAT_TIME, "?");
	return out;
}

bool format_is_same_day(const struct timespec *start, ns_t a, ns_t b)
{
	struct tm x, y;

	return !local_time(&x, start, a) || !local_time(&y, start, b) ||
	       (x.tm_year == y.tm_year && x.tm_yday == y.tm_yday);
}

char *format_run_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t duration, ns_t at)
{
	struct tm tm;

	if (format_is_same_day(start, 0, duration) && format_is_same_day(start, 0, at))
		return format_clock(out, start, at);
	if (!local_time(&tm, start, at) || !strftime(out, FORMAT_TIME, "%m-%d %H:%M:%S", &tm))
		snprintf(out, FORMAT_TIME, "?");
	return out;
}

long format_utc_offset(const struct timespec *t)
{
	struct tm tm;

	return localtime_r(&t->tv_sec, &tm) ? tm.tm_gmtoff : 0;
}

char *format_rfc3339(char out[FORMAT_TIME], const struct timespec *t)
{
	char seconds[FORMAT_TIME - 16];
	struct tm tm;

	if (!gmtime_r(&t->tv_sec, &tm) ||
	    !strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(out, FORMAT_TIME, "1970-01-01T00:00:00Z");
	else
		snprintf(out, FORMAT_TIME, "%s.%09ldZ", seconds, (long)t->tv_nsec);
	return out;
}

unsigned int format_utf8(const char *text, uint32_t *code)
{
	/* minimum code point by length: smaller code points have a shorter encoding (RFC 3629 3) */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)text;
	unsigned int length, i;

	if (*p < 0x80) {
		*code = *p;
		return 1;
	}
	length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	if (*p < 0xc0 || *p >= 0xf8)
		return 0;
	*code = *p & (0x7f >> length);
	for (i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3f);
	}
	if (*code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return length;
}

/* ---- untrusted text ---- */

/*
 * Returns true for Unicode's general categories Cc, Cf, Zl, Zp and Co (private use), but not for
 * surrogates.
 */
bool format_is_invisible(uint32_t code)
{
	static const struct {
		uint32_t from, to;
	} ranges[] = {
		{ 0x00, 0x1f },	      { 0x7f, 0x9f },	    { 0xad, 0xad },
		{ 0x600, 0x605 },     { 0x61c, 0x61c },	    { 0x6dd, 0x6dd },
		{ 0x70f, 0x70f },     { 0x890, 0x891 },	    { 0x8e2, 0x8e2 },
		{ 0x180e, 0x180e },   { 0x200b, 0x200f },   { 0x2028, 0x202e },
		{ 0x2060, 0x206f },   { 0xe000, 0xf8ff },   { 0xfeff, 0xfeff },
		{ 0xfff0, 0xfffb },   { 0x110bd, 0x110cd }, { 0x13430, 0x1343f },
		{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0x10ffff },
	};
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (code >= ranges[i].from && code <= ranges[i].to)
			return true;
	return false;
}

void format_code_point(FILE *out, uint32_t code)
{
	if (code < 0x10000)
		fprintf(out, "\\u%04x", code);
	else
		fprintf(out, "\\U%08x", code);
}

static void put_text(FILE *out, const char *text, size_t length, bool keeps_lines)
{
	const char *end = text + length;
	unsigned int bytes;
	uint32_t code;

	for (; text < end; text += bytes) {
		bytes = format_utf8(text, &code);
		if (!bytes || bytes > (size_t)(end - text)) {
			fprintf(out, "\\x%02x", (unsigned char)*text);
			bytes = 1;
		} else if (code == '\n' && keeps_lines) {
			fputc('\n', out);
		} else if (code < 0x80 && format_is_invisible(code)) {
			fprintf(out, "\\x%02x", code);
		} else if (format_is_invisible(code)) {
			format_code_point(out, code);
		} else {
			fwrite(text, 1, bytes, out);
		}
	}
}

void format_text(FILE *out, const char *text)
{
	put_text(out, text, strlen(text), true);
}

#define NAMES 4 /* static buffers of format_name() */
#define LONG_NAME 200 /* bytes; the middle of a longer name is omitted */

const char *format_name(const char *name)
{
	/* an escape sequence takes at most ten bytes */
	static char names[NAMES][10 * LONG_NAME + 8];
	static unsigned int next;
	char *shown = names[next++ % NAMES];
	size_t length = strlen(name), part = length > LONG_NAME ? LONG_NAME / 2 : length;
	FILE *out = fmemopen(shown, sizeof(names[0]), "w");

	strcpy(shown, "?");
	if (!out)
		return shown;
	put_text(out, name, part, false);
	if (length > LONG_NAME) {
		fputs("...", out);
		put_text(out, name + length - part, part, false);
	}
	fclose(out);
	return shown;
}

/* Returns true for the bytes 10xxxxxx, which continue a UTF-8 sequence (RFC 3629 3). */
static bool is_continuation(char byte)
{
	return (byte & 0xc0) == 0x80;
}

int format_columns(const char *text)
{
	int columns = 0;

	for (; *text; text++)
		columns += !is_continuation(*text);
	return columns;
}

size_t format_cut(const char *text, int columns)
{
	const char *p;

	for (p = text; *p; p++)
		if (!is_continuation(*p) && columns-- <= 0)
			break;
	return p - text;
}

void format_json_string(FILE *out, const char *string)
{
	unsigned int length;
	uint32_t code;

	for (; *string; string += length) {
		length = format_utf8(string, &code);
		if (!length) { /* not UTF-8: treat the byte as Latin-1 */
			code = (unsigned char)*string;
			length = 1;
		}
		if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (char)code);
		else if (code >= 0x10000)
			fprintf(out, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
				0xdc00 + (code & 0x3ff));
		else if (code < 0x20 || code >= 0x7f)
			fprintf(out, "\\u%04x", code);
		else
			fputc((int)code, out);
	}
}
