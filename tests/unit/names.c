// SPDX-License-Identifier: GPL-2.0
/* Which packets are one lookup, what came of it, and which connection waited for it. */
#include <stdlib.h>

#include "expect.h"
#include "made_lookup.h"

static const struct model_events no_events;

static struct endpoint client, first, second, web;

static void begin_constants(void)
{
	client = ip4_endpoint(0x0a010415, 40000);
	first = ip4_endpoint(0x0a000035, 53);
	second = ip4_endpoint(0x0a000036, 53);
	web = ip4_endpoint(0xc6336401, 443);
}

static struct model *new_model(void)
{
	return model_new(SECOND_NS, &no_events);
}

static void ask(struct model *m, struct endpoint resolver, uint16_t port, uint16_t id,
		const char *name, uint16_t type, double at, double after)
{
	struct endpoint from = client;
	struct dns_packet q, a;

	from.port = port;
	q = made_question(from, resolver, id, name, type, at);
	model_dns(m, &q, false);
	if (after < 0)
		return;
	a = type == DNS_AAAA ? made_reply(&q, after, DNS_NOERROR)
			     : made_answer(&q, after, web.address);
	model_dns(m, &a, false);
}

#define SILENT -1.0

static const struct lookup *lookup(const struct model *m, size_t i)
{
	return names_lookup(m->names, i);
}

static bool about(ns_t duration, double seconds)
{
	return llabs(duration - SECONDS(seconds)) <= SECONDS(0.01);
}

static ns_t wait_of(const struct connection *c)
{
	return stage_duration(c, STAGE_NAME);
}

static void test_prompt(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, "www.example.com", DNS_A, 1, 0.001);
	c = make_connect(m, client, web, 1.002);
	names_end(m->names, SECONDS(2));
	EXPECT(names_lookup_count(m->names) == 1 && lookup(m, 0)->result == LOOKUP_ANSWERED,
	       "an answered question would count as silent");
	EXPECT(about(wait_of(&c), 0.002) && lookup(m, 0)->syn == c.syn,
	       "the connection would not be seen to wait for its name");
	c = make_connect(m, client, web, 1.5);
	EXPECT(wait_of(&c) == NEVER, "a name from the cache would count as a wait");
	model_free(m);
}

static void test_glibc_dead_first(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, "www.example.com", DNS_A, 0, SILENT);
	ask(m, first, 1000, 8, "www.example.com", DNS_AAAA, 0, SILENT);
	ask(m, second, 1001, 7, "www.example.com", DNS_A, 5.005, 0.001);
	ask(m, second, 1001, 8, "www.example.com", DNS_AAAA, 5.005, 0.001);
	c = make_connect(m, client, web, 5.007);
	names_end(m->names, SECONDS(6));
	EXPECT(names_lookup_count(m->names) == 2 && lookup(m, 0)->try_count == 2 &&
		       lookup(m, 0)->result == LOOKUP_ANSWERED &&
		       lookup(m, 1)->result == LOOKUP_EMPTY,
	       "tries at two resolvers would be two lookups");
	EXPECT(lookup(m, 0)->episode == lookup(m, 1)->episode && about(wait_of(&c), 5.007),
	       "the wait for a dead first resolver would be missed");
	model_free(m);
}

static void test_glibc_aaaa_dropped(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, "www.example.com", DNS_A, 0, 0.001);
	ask(m, first, 1000, 8, "www.example.com", DNS_AAAA, 0.0001, SILENT);
	ask(m, first, 1000, 7, "www.example.com", DNS_A, 5.005, 0.001);
	ask(m, first, 1000, 8, "www.example.com", DNS_AAAA, 5.0051, SILENT);
	ask(m, first, 1001, 7, "www.example.com", DNS_A, 10.01, 0.001);
	ask(m, first, 1002, 8, "www.example.com", DNS_AAAA, 10.012, SILENT);
	c = make_connect(m, client, web, 15.015);
	names_end(m->names, SECONDS(16));
	EXPECT(about(wait_of(&c), 15.015), "15 s for a dropped AAAA would be missed");
	model_free(m);
}

int main(void)
{
	begin_constants();
	test_prompt();
	test_glibc_dead_first();
	test_glibc_aaaa_dropped();
	printf("names: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
