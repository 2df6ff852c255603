// SPDX-License-Identifier: GPL-2.0
#include "options_values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Parses the digits at the start of *text, and moves it behind them. */
static bool take_number(const char **text, unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return false;
	errno = 0;
	*number = strtoul(*text, &end, 10);
	*text = end;
	return !errno;
}

bool parse_whole(const char *text, unsigned long *number)
{
	return take_number(&text, number) && !*text;
}

bool parse_duration(const char *text, double *seconds, bool *has_unit)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = { { "", 1 },  { "ns", 1e-9 }, { "us", 1e-6 }, { "ms", 1e-3 },
		      { "s", 1 }, { "m", 60 },	  { "h", 3600 },  { "d", 86400 } };
	char *end;
	double number;
	size_t i;

	/* strtod() also accepts "inf", "nan", hexadecimal numbers and leading spaces */
	if (!isdigit((unsigned char)*text) && *text != '.')
		return false;
	if (text[strspn(text, "0123456789")] == 'x')
		return false;
	errno = 0;
	number = strtod(text, &end);
	if (end == text || errno || !isfinite(number))
		return false;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(end, units[i].name)) {
			*seconds = number * units[i].seconds;
			*has_unit = *end;
			return true;
		}
	return false;
}

/* Stores an address, and returns the number of its bits; 0 if it is none. */
static int parse_address(const char *text, struct address *a)
{
	struct in6_addr ip6;
	struct in_addr ip4;

	if (inet_pton(AF_INET, text, &ip4) == 1) {
		*a = (struct address){ .word = { 0, 0, IP4_PREFIX, ip4.s_addr } };
		return 32;
	}
	if (inet_pton(AF_INET6, text, &ip6) != 1)
		return 0;
	memcpy(a->word, &ip6, sizeof(a->word));
	return 128;
}

bool parse_network(const char *text, struct network *n)
{
	char address[INET6_ADDRSTRLEN + sizeof("/128")], *slash;
	unsigned long bits;
	int i, left, width;

	if (strlen(text) >= sizeof(address))
		return false;
	strcpy(address, text);
	slash = strchr(address, '/');
	if (slash)
		*slash++ = '\0';
	width = parse_address(address, &n->net);
	bits = width;
	if (!width || (slash && (!parse_whole(slash, &bits) || bits > (unsigned long)width)))
		return false;
	left = bits + 128 - width; /* the prefix of IPv4-mapped addresses is part of the network */
	n->is_ip6 = !is_mapped(&n->net) || left < 96;
	for (i = 0; i < 4; i++, left -= 32) {
		n->mask.word[i] = left >= 32 ? ~0U : left <= 0 ? 0 : htonl(~0U << (32 - left));
		n->net.word[i] &= n->mask.word[i];
	}
	return true;
}

bool parse_port_range(const char *text, uint16_t *first, uint16_t *last)
{
	unsigned long from, to;

	if (!take_number(&text, &from))
		return false;
	to = from;
	if (*text == '-') {
		text++;
		if (!take_number(&text, &to))
			return false;
	}
	if (*text || from < 1 || from > to || to > UINT16_MAX)
		return false;
	*first = from;
	*last = to;
	return true;
}
