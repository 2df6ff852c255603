// SPDX-License-Identifier: GPL-2.0
/*
 * Values of options: what is accepted means what its user thinks, and the selector selects as a
 * comparison of single bits does.
 */
#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "options_rules.h"
#include "options_selector.h"
#include "options_values.h"

static double seconds_of(const char *text, bool *has_unit)
{
	double seconds;

	return parse_duration(text, &seconds, has_unit) ? seconds : NAN;
}

static void test_durations(void)
{
	static const char *const wrong[] = { "",      "x",  "-1",   "+1",  " 1",   "1 s",
					     "1x",    "1S", "0x10", "inf", "nan",  "ms",
					     "1h30m", "1e", ".",    "1,5", "10mm", "1e999" };
	static const struct {
		const char *text;
		double seconds;
	} right[] = { { "10", 10 },    { "0.5", .5 },	{ ".5", .5 },	 { "1e3", 1000 },
		      { "200ms", .2 }, { "10m", 600 },	{ "8h", 28800 }, { "1d", 86400 },
		      { "90s", 90 },   { "5us", 5e-6 }, { "7ns", 7e-9 }, { "0", 0 } };
	bool has_unit;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		EXPECT(isnan(seconds_of(wrong[i], &has_unit)), wrong[i]);
	for (i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		EXPECT(fabs(seconds_of(right[i].text, &has_unit) - right[i].seconds) < 1e-12,
		       right[i].text);
		EXPECT(has_unit == !!strpbrk(right[i].text, "smhd"),
		       "a snap length is taken for a duration");
	}
}

static void test_numbers(void)
{
	static const char *const wrong[] = { "",   "-1", "+1",	" 1",
					     "1 ", "1k", "0x1", "99999999999999999999" };
	unsigned long number;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		EXPECT(!parse_whole(wrong[i], &number), wrong[i]);
	EXPECT(parse_whole("007", &number) && number == 7, "a number is refused");
}

static void test_ports(void)
{
	static const char *const wrong[] = { "",
					     "0",
					     "65536",
					     "80-",
					     "-80",
					     "8-7",
					     "80 ",
					     "+80",
					     "0-80",
					     "1-65536",
					     "80-90-100",
					     "80,90",
					     "99999999999999999999" };
	uint16_t first, last;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		EXPECT(!parse_port_range(wrong[i], &first, &last), wrong[i]);
	EXPECT(parse_port_range("1-65535", &first, &last) && first == 1 && last == 65535,
	       "a range is refused");
}

static void test_networks(void)
{
	static const char *const wrong[] = {
		"",
		"10",
		"10.1.4.",
		"10.1.4.0/33",
		"10.1.4.0/-1",
		"10.1.4.0/",
		"::/129",
		"fd00::/8/8",
		"10.1.4.0/ 8",
		"eth0",
		"fe80::1%lo",
		"!10.0.0.0/8",
		"1.2.3.4.5",
		"::ffff:255.255.255.255.255.255.255.255.255.255.255.255",
	};
	struct network n;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		EXPECT(!parse_network(wrong[i], &n), wrong[i]);
	EXPECT(parse_network("10.1.4.77/24", &n) && !n.is_ip6 && n.net.word[3] == htonl(0x0a010400),
	       "a network is refused if an address stands for it");
	EXPECT(parse_network("::/0", &n) && n.is_ip6, "::/0 contains IPv4");
	EXPECT(parse_network("::ffff:10.0.0.0/104", &n) && !n.is_ip6, "a mapped address differs");
}

/* Bit `i` of an address, from its start. */
static bool bit(const struct address *a, unsigned int i)
{
	return ((const uint8_t *)a)[i / 8] >> (7 - i % 8) & 1;
}

/* An address of a few bits, so that networks of any length contain some of them. */
static void random_text(char *text, size_t room, bool ip4)
{
	if (ip4)
		snprintf(text, room, "%d.%d.0.%d", random() % 2 ? 10 : 138,
			 (int)(random() % 4) * 64, (int)(random() % 4));
	else
		snprintf(text, room, "%x:%x::%x", random() % 2 ? 0 : 0x8000,
			 (int)(random() % 4) << 14, (int)(random() % 4));
}

struct item {
	struct address net;
	unsigned int bits;
	bool ip4, is_excluded;
};

static bool contains(const struct item *n, const struct address *a, bool ip4)
{
	unsigned int i, first = ip4 ? 96 : 0;

	for (i = 0; n->ip4 == ip4 && i < n->bits; i++)
		if (bit(&n->net, first + i) != bit(a, first + i))
			return false;
	return n->ip4 == ip4;
}

/* Returns whether the items select the address. */
static bool selects(const struct item *items, unsigned int count, const struct address *a, bool ip4)
{
	bool any = false, in = false, out = false;
	unsigned int i;

	for (i = 0; i < count; i++) {
		bool inside = contains(&items[i], a, ip4);

		any |= !items[i].is_excluded;
		in |= !items[i].is_excluded && inside;
		out |= items[i].is_excluded && inside;
	}
	return (in || !any) && !out;
}

static void test_selection(void)
{
	char list[64 * MAX_NETWORKS], text[64], error[SELECTOR_ERROR];
	unsigned int round, i, j, wrong = 0, selected = 0;

	for (round = 0; round < 1000; round++) {
		struct item items[MAX_NETWORKS];
		struct network_list l = {};
		unsigned int count = 1 + random() % (round % 8 ? 4 : MAX_NETWORKS);
		struct network n;

		*list = '\0';
		for (i = 0; i < count; i++) {
			struct item *m = &items[i];

			m->ip4 = random() % 2;
			m->is_excluded = random() % 2;
			m->bits = random() % (m->ip4 ? 33 : 129);
			random_text(text, sizeof(text), m->ip4);
			parse_network(text, &n);
			m->net = n.net;
			sprintf(list + strlen(list), "%s%s%s/%u", i ? "," : "",
				m->is_excluded ? "!" : "", text, m->bits);
		}
		if (!selector_add_networks(&l, list, error))
			wrong++;
		for (j = 0; j < 50; j++) {
			bool ip4 = random() % 2, expected;

			random_text(text, sizeof(text), ip4);
			parse_network(text, &n);
			expected = selects(items, count, &n.net, ip4);
			wrong += networks_select(&l, &n.net) != expected;
			selected += expected;
		}
	}
	EXPECT(!wrong, "connections of other clients are in the report, or own ones are missing");
	EXPECT(selected > 10000 && selected < 40000, "the test compares nothing");
}

static void test_lists(void)
{
	struct selector_options s = {};
	char error[SELECTOR_ERROR], list[10 * (MAX_NETWORKS + 1)] = "";
	static struct selector n;
	int i;

	EXPECT(!selector_add_networks(&s.clients, "10.0.0.0/8,", error), "an empty item");
	s = (struct selector_options){};
	EXPECT(selector_add_ports(&s, "80,8000-8100", error) &&
		       selector_add_ports(&s, "!8050", error) && !selector_finish(&n, &s),
	       error);
	EXPECT(n.by_port && n.ports[10] == 1 && !(n.ports[8050 >> 3] & 1 << (8050 & 7)) &&
		       n.ports[8051 >> 3] & 1 << (8051 & 7) && !(n.ports[55] & 8),
	       "other ports are watched");
	s = (struct selector_options){};
	EXPECT(selector_add_ports(&s, "!80", error) && !selector_finish(&n, &s) && n.by_port &&
		       !(n.ports[10] & 1) && n.ports[55] & 8,
	       "an exclusion alone leaves out all");
	s = (struct selector_options){};
	EXPECT(selector_add_ports(&s, "80,!1-1000", error) && selector_finish(&n, &s),
	       "a run that can see nothing goes on");
	s = (struct selector_options){};
	EXPECT(selector_add_networks(&s.servers, "10.1.0.0/16,!10.0.0.0/8", error) &&
		       selector_finish(&n, &s),
	       "a run that can see nothing goes on");
	s = (struct selector_options){};
	EXPECT(selector_add_networks(&s.servers, "10.0.0.0/8,!10.1.0.0/16,!::/0", error) &&
		       !selector_finish(&n, &s),
	       "a useful selection is refused");
	for (i = 0; i <= MAX_NETWORKS; i++)
		sprintf(list + strlen(list), "%s10.0.0.%d", i ? "," : "", i);
	s = (struct selector_options){};
	EXPECT(!selector_add_networks(&s.clients, list, error) && strstr(error, "10.0.0.16"),
	       "the last network is silently ignored");
}

/* Every letter of tcpdump(1) that is no option here has an explanation. */
static void test_tcpdump(void)
{
	static const char letters[] = "AbBCeEFGIJKLMOQRtTuUWxXyzZ";
	size_t i;

	for (i = 0; letters[i]; i++)
		EXPECT(tcpdump_option(letters[i]), "a habit ends at \"invalid option\"");
	EXPECT(!tcpdump_option('k'), "any letter is tcpdump's");
}

int main(void)
{
	test_durations();
	test_numbers();
	test_ports();
	test_networks();
	test_selection();
	test_lists();
	test_tcpdump();
	printf("options: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
