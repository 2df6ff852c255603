// SPDX-License-Identifier: GPL-2.0
#include "format.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <langinfo.h>
#include <string.h>

static const struct glyphs ascii = { .arrow = "->",
				     .dot = "|",
				     .plus_minus = "+-",
				     .micro = "us",
				     .dash = "-",
				     .line = "-",
				     .from = "|",
				     .to = "|",
				     .below = "`" };
static const struct glyphs utf8 = { .arrow = "→",
				    .dot = "·",
				    .plus_minus = "±",
				    .micro = "µs",
				    .dash = "–",
				    .line = "─",
				    .from = "├",
				    .to = "┤",
				    .below = "└" };

const struct glyphs *glyphs = &ascii;

void format_init(void)
{
	if (!strcmp(nl_langinfo(CODESET), "UTF-8"))
		glyphs = &utf8;
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

char *format_duration(char out[FORMAT_DURATION], ns_t duration)
{
	const char *sign = duration < 0 ? "-" : "";
	uint64_t ns = duration < 0 ? -(uint64_t)duration : (uint64_t)duration;
	uint64_t seconds = ns / SECOND_NS;

	if (duration == NEVER)
		snprintf(out, FORMAT_DURATION, "%s", glyphs->dash);
	else if (ns < 100000)
		snprintf(out, FORMAT_DURATION, "%s%" PRIu64 " %s", sign, (ns + 500) / 1000,
			 glyphs->micro);
	else if (ns < 10 * MILLISECOND_NS)
		snprintf(out, FORMAT_DURATION, "%s%.1f ms", sign, ns / 1e6);
	else if (ns < 999500000)
		snprintf(out, FORMAT_DURATION, "%s%.0f ms", sign, ns / 1e6);
	else if (ns < 60 * SECOND_NS)
		snprintf(out, FORMAT_DURATION, "%s%.3f s", sign, ns / 1e9);
	else if (ns < 3600 * SECOND_NS)
		snprintf(out, FORMAT_DURATION, "%s%" PRIu64 " min %" PRIu64 " s", sign,
			 seconds / 60, seconds % 60);
	else
		snprintf(out, FORMAT_DURATION, "%s%" PRIu64 " h %" PRIu64 " min", sign,
			 seconds / 3600, seconds / 60 % 60);
	return out;
}

static struct timespec later(const struct timespec *start, ns_t at)
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

char *format_clock(char out[FORMAT_TIME], const struct timespec *start, ns_t at)
{
	struct timespec t = later(start, at);
	struct tm tm;

	if (!localtime_r(&t.tv_sec, &tm) || !strftime(out, FORMAT_TIME, "%H:%M:%S", &tm))
		snprintf(out, FORMAT_TIME, "?");
	return out;
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

void format_json_string(FILE *out, const char *string)
{
	const unsigned char *p;

	for (p = (const unsigned char *)string; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20 ||
			 *p >= 0x7f) /* bytes that need not be valid UTF-8: as Latin-1 */
			fprintf(out, "\\u%04x", *p);
		else
			fputc(*p, out);
	}
}
