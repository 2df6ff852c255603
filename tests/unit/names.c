// SPDX-License-Identifier: GPL-2.0
/* Which packets are one lookup, what came of it, and which connection waited for it. */
#include <stdlib.h>

#include "expect.h"
#include "made_lookup.h"

#define HOST "www.example.com"
#define SILENT -1.0

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

/* The question of a type, and the answer to it after so many seconds. */
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
	a = type == DNS_A ? made_answer(&q, after, web.address) : made_reply(&q, after, 0);
	model_dns(m, &a, false);
}

static const struct lookup *lookup(const struct model *m, size_t i)
{
	return names_lookup(m->names, i);
}

static const struct dns_totals *totals(const struct model *m)
{
	return names_totals(m->names);
}

static bool about(ns_t duration, double seconds)
{
	return duration != NEVER && llabs(duration - SECONDS(seconds)) <= SECONDS(0.01);
}

static ns_t wait_of(const struct connection *c)
{
	return stage_duration(c, STAGE_NAME);
}

/* ---- schedules of resolvers ---- */

#define MAX_PACKETS 24

/* A schedule lists the questions of a resolver and their answers. */
struct scheduled {
	double at;
	unsigned int resolver; /* 1 or 2; 0 ends the list */
	uint16_t type, port, id;
	double answered; /* at this time, or SILENT */
	enum { RECORDS, NEGATIVE, SERVER_FAILED, CUT, UNREACHABLE } with;
	const char *name; /* NULL for HOST */
};

struct schedule {
	const char *who;
	struct scheduled packets[MAX_PACKETS];
	double syn; /* or SILENT; all lookups are one episode, so this is its wait */
	size_t lookups;
	/* of the last A question */
	enum lookup_result result;
	unsigned int tries;
};

#define ANSWERED(at, resolver, type, port, id, when)                    \
	{                                                               \
		at, resolver, DNS_##type, port, id, when, RECORDS, NULL \
	}
#define UNANSWERED(at, resolver, type, port, id) ANSWERED(at, resolver, type, port, id, SILENT)
#define ENDED(at, resolver, type, port, id, when, with)              \
	{                                                            \
		at, resolver, DNS_##type, port, id, when, with, NULL \
	}
#define NAMED(name, at, resolver, type, port, id, when)                  \
	{                                                                \
		at, resolver, DNS_##type, port, id, when, NEGATIVE, name \
	}

static const struct schedule schedules[] = {
	{ .who = "glibc, first resolver silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(0, 1, AAAA, 1, 8),
		ANSWERED(5.005, 2, A, 2, 7, 5.006),
		ANSWERED(5.005, 2, AAAA, 2, 8, 5.006),
	  },
	  .syn = 5.007,
	  .lookups = 2,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "glibc, all silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(0, 1, AAAA, 1, 8),
		UNANSWERED(5.005, 1, A, 1, 7),
		UNANSWERED(5.005, 1, AAAA, 1, 8),
	  },
	  .syn = SILENT,
	  .lookups = 2,
	  .result = LOOKUP_SILENT,
	  .tries = 2 },
	{ .who = "glibc, AAAA dropped",
	  .packets = {
		ANSWERED(0, 1, A, 1, 7, 0.001),
		UNANSWERED(0, 1, AAAA, 1, 8),
		ANSWERED(5.005, 1, A, 1, 7, 5.006),
		UNANSWERED(5.005, 1, AAAA, 1, 8),
		ANSWERED(10.01, 1, A, 2, 7, 10.011),
		UNANSWERED(10.012, 1, AAAA, 3, 8),
	  },
	  .syn = 15.017,
	  .lookups = 4,
	  .result = LOOKUP_ANSWERED,
	  .tries = 1 },
	{ .who = "glibc, single-request, first resolver silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(5.005, 2, A, 2, 7, 5.006),
		UNANSWERED(5.007, 1, AAAA, 3, 8),
		ANSWERED(10.012, 2, AAAA, 4, 8, 10.013),
	  },
	  .syn = 10.014,
	  .lookups = 2,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "glibc, first resolver silent, a search list",
	  .packets = {
		NAMED(HOST ".a.example", 0, 1, A, 1, 7, SILENT),
		NAMED(HOST ".a.example", 0, 1, AAAA, 1, 8, SILENT),
		NAMED(HOST ".a.example", 5.005, 2, A, 2, 7, 5.006),
		NAMED(HOST ".a.example", 5.005, 2, AAAA, 2, 8, 5.006),
		NAMED(HOST ".example", 5.007, 1, A, 3, 9, SILENT),
		NAMED(HOST ".example", 5.007, 1, AAAA, 3, 10, SILENT),
		NAMED(HOST ".example", 10.012, 2, A, 4, 9, 10.013),
		NAMED(HOST ".example", 10.012, 2, AAAA, 4, 10, 10.013),
		UNANSWERED(10.014, 1, A, 5, 11),
		UNANSWERED(10.014, 1, AAAA, 5, 12),
		ANSWERED(15.019, 2, A, 6, 11, 15.02),
		ANSWERED(15.019, 2, AAAA, 6, 12, 15.02),
	  },
	  .syn = 15.021,
	  .lookups = 6,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "musl, one of two silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(0, 2, A, 1, 7, 0.001),
		UNANSWERED(0, 1, AAAA, 1, 8),
		ANSWERED(0, 2, AAAA, 1, 8, 0.001),
	  },
	  .syn = 0.002,
	  .lookups = 2,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "musl, all silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(0, 2, A, 1, 7),
		UNANSWERED(2.5, 1, A, 1, 7),
		UNANSWERED(2.5, 2, A, 1, 7),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_SILENT,
	  .tries = 4 },
	{ .who = "Chromium, first resolver silent",
	  .packets = {
		UNANSWERED(0, 1, HTTPS, 1, 21),
		UNANSWERED(0, 1, A, 2, 22),
		ANSWERED(1, 2, HTTPS, 3, 23, 1.001),
		ANSWERED(1, 2, A, 4, 24, 1.001),
	  },
	  .syn = 1.002,
	  .lookups = 2,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "Chromium, AAAA dropped",
	  .packets = {
		ANSWERED(0, 1, HTTPS, 1, 21, 0.001),
		UNANSWERED(0, 1, AAAA, 2, 22),
		ANSWERED(0, 1, A, 3, 23, 0.001),
		UNANSWERED(1, 1, AAAA, 4, 24),
		ANSWERED(3, 1, A, 5, 25, 3.001),
		UNANSWERED(3, 1, AAAA, 5, 26),
		ANSWERED(8.005, 1, A, 5, 25, 8.006),
		UNANSWERED(8.005, 1, AAAA, 5, 26),
		ANSWERED(13.01, 1, A, 6, 25, 13.011),
		UNANSWERED(13.012, 1, AAAA, 7, 26),
	  },
	  .syn = 18.05,
	  .lookups = 6,
	  .result = LOOKUP_ANSWERED,
	  .tries = 1 },
	{ .who = "Chromium, answers late by 3 s",
	  .packets = {
		ANSWERED(0, 1, A, 1, 21, 3),
		UNANSWERED(1, 1, A, 2, 22),
	  },
	  .syn = 3.002,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "Chromium, HTTPS dropped",
	  .packets = {
		UNANSWERED(0, 1, HTTPS, 1, 21),
		ANSWERED(0, 1, A, 2, 22, 0.001),
		UNANSWERED(1, 1, HTTPS, 3, 23),
	  },
	  .syn = 0.014,
	  .lookups = 2,
	  .result = LOOKUP_ANSWERED,
	  .tries = 1 },
	{ .who = "c-ares, first resolver silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(3, 2, A, 2, 7, 3.001),
	  },
	  .syn = 3.002,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "c-ares, all silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(3, 2, A, 2, 7),
		UNANSWERED(6, 1, A, 1, 7),
		UNANSWERED(11, 2, A, 2, 7),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_SILENT,
	  .tries = 4 },
	{ .who = "c-ares in curl, AAAA dropped",
	  .packets = {
		ANSWERED(0, 1, A, 1, 7, 0.009),
		UNANSWERED(0, 1, AAAA, 1, 8),
		UNANSWERED(5, 1, AAAA, 1, 8),
	  },
	  .syn = 5.002,
	  .lookups = 2,
	  .result = LOOKUP_ANSWERED,
	  .tries = 1 },
	{ .who = "systemd-resolved, first resolver silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(5.2, 2, A, 2, 7, 5.201),
	  },
	  .syn = 5.203,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "Windows, one resolver, silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(1, 1, A, 1, 7),
		UNANSWERED(2, 1, A, 1, 7),
		UNANSWERED(4, 1, A, 1, 7),
		UNANSWERED(8, 1, A, 1, 7),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_SILENT,
	  .tries = 5 },
	{ .who = "Windows, answers late by 3 s, same port and id",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(1, 1, A, 1, 7),
		ANSWERED(2, 1, A, 1, 7, 3.004),
	  },
	  .syn = 3.006,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 3 },
	{ .who = "Windows, two resolvers, first silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(1, 2, A, 1, 7, 1.001),
	  },
	  .syn = 1.002,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "macOS, first resolver silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(1, 1, A, 1, 7),
		ANSWERED(3, 2, A, 2, 8, 3.001),
	  },
	  .syn = 3.002,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 3 },
	{ .who = "unbound, first forwarder silent",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		UNANSWERED(0.376, 1, A, 2, 8),
		ANSWERED(0.752, 2, A, 3, 9, 0.753),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 3 },
	{ .who = "dnsmasq, asks both at once",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(0, 2, A, 1, 7, 0.001),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "the first resolver's port is closed",
	  .packets = {
		ENDED(0, 1, A, 1, 7, 0.001, UNREACHABLE),
		ANSWERED(0.002, 2, A, 2, 7, 0.003),
	  },
	  .syn = 0.004,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "the ports of both resolvers are closed",
	  .packets = {
		ENDED(0, 1, A, 1, 7, 0.001, UNREACHABLE),
		ENDED(0.002, 2, A, 2, 7, 0.003, UNREACHABLE),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_UNREACHABLE,
	  .tries = 2 },
	{ .who = "SERVFAIL after 4 s, twice",
	  .packets = {
		ENDED(0, 1, A, 1, 7, 4, SERVER_FAILED),
		ENDED(4.001, 1, A, 1, 7, 8, SERVER_FAILED),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_FAILED,
	  .tries = 2 },
	{ .who = "the first resolver refuses, the second answers",
	  .packets = {
		ENDED(0, 1, A, 1, 7, 0.001, SERVER_FAILED),
		ANSWERED(0.002, 2, A, 2, 7, 0.003),
	  },
	  .syn = 0.004,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "truncated, and TCP is dropped",
	  .packets = {
		ENDED(0, 1, A, 1, 7, 0.001, CUT),
	  },
	  .syn = SILENT,
	  .lookups = 1,
	  .result = LOOKUP_TRUNCATED,
	  .tries = 1 },
	{ .who = "the other question of a pair is lost",
	  .packets = {
		ANSWERED(0, 1, A, 1, 7, 0.001),
		UNANSWERED(0, 1, AAAA, 1, 8),
		ANSWERED(5.005, 1, A, 1, 7, 5.006),
		ANSWERED(5.005, 1, AAAA, 1, 8, 5.006),
	  },
	  .syn = 5.007,
	  .lookups = 3,
	  .result = LOOKUP_ANSWERED,
	  .tries = 1 },
	{ .who = "resolv.conf with timeout:10",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(10, 2, A, 2, 7, 10.001),
	  },
	  .syn = 10.002,
	  .lookups = 1,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
	{ .who = "one question of a pair is lost",
	  .packets = {
		UNANSWERED(0, 1, A, 1, 7),
		ANSWERED(0, 1, AAAA, 1, 8, 0.001),
		ANSWERED(5.005, 1, A, 1, 7, 5.006),
		ANSWERED(5.005, 1, AAAA, 1, 8, 5.006),
	  },
	  .syn = 5.007,
	  .lookups = 3,
	  .result = LOOKUP_ANSWERED,
	  .tries = 2 },
};

static struct dns_packet answer_of(const struct scheduled *s, const struct dns_packet *question)
{
	double after = s->answered - s->at;
	struct dns_packet p;

	switch (s->with) {
	case NEGATIVE:
		return made_reply(question, after, DNS_NXDOMAIN);
	case SERVER_FAILED:
		return made_reply(question, after, DNS_SERVFAIL);
	case CUT:
		p = made_reply(question, after, DNS_NOERROR);
		p.message.truncated = true;
		return p;
	case UNREACHABLE:
		return made_error(question, after);
	default:
		return s->type == DNS_A ? made_answer(question, after, web.address)
					: made_reply(question, after, DNS_NOERROR);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct dns_packet *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

/* Plays the packets in the order of their time, starting at this second. */
static void play(struct model *m, const struct schedule *s, double at)
{
	struct dns_packet packets[2 * MAX_PACKETS];
	const struct scheduled *p;
	struct endpoint from;
	size_t i, count = 0;

	for (p = s->packets; p < s->packets + MAX_PACKETS && p->resolver; p++) {
		from = client;
		from.port = 1000 + p->port;
		packets[count] = made_question(from, p->resolver == 1 ? first : second, p->id,
					       p->name ? p->name : HOST, p->type, at + p->at);
		packets[count].time += 1000 * (p - s->packets); /* keeps the order */
		count++;
		if (p->answered >= 0) {
			packets[count] = answer_of(p, &packets[count - 1]);
			count++;
		}
	}
	qsort(packets, count, sizeof(*packets), by_time);
	for (i = 0; i < count; i++) {
		names_swept(m->names, packets[i].time);
		model_dns(m, &packets[i], false);
	}
}

static size_t episodes(const struct model *m)
{
	size_t i, j, count = 0;

	for (i = 0; i < names_lookup_count(m->names); i++) {
		for (j = 0; j < i && lookup(m, j)->episode != lookup(m, i)->episode; j++)
			;
		count += j == i;
	}
	return count;
}

static const struct lookup *last_a(const struct model *m)
{
	size_t i = names_lookup_count(m->names);

	while (i-- > 0)
		if (lookup(m, i)->type == DNS_A)
			return lookup(m, i);
	return NULL;
}

static bool schedule_holds(const struct schedule *s, double start, double end)
{
	struct model *m = new_model();
	struct connection c = { .name_asked = NEVER };
	const struct lookup *l;
	bool holds;

	play(m, s, start);
	if (s->syn >= 0)
		c = make_connect(m, client, web, start + s->syn);
	names_end(m->names, SECONDS(start + end));
	l = last_a(m);
	holds = names_lookup_count(m->names) == s->lookups && l->result == s->result &&
		l->try_count == s->tries && episodes(m) == 1 &&
		(s->syn < 0 ? wait_of(&c) == NEVER && l->syn == NEVER
			    : about(wait_of(&c), s->syn)) &&
		!totals(m)->unmatched && !totals(m)->copies;
	if (!holds)
		printf("%s: %zu lookups, %zu episodes, %s, %u tries, waited %.3f s\n", s->who,
		       names_lookup_count(m->names), episodes(m), lookup_result_names[l->result],
		       l->try_count, (double)wait_of(&c) / SECOND_NS);
	model_free(m);
	return holds;
}

static void test_schedules(void)
{
	const struct schedule *s;

	for (s = schedules; s < schedules + sizeof(schedules) / sizeof(schedules[0]); s++) {
		EXPECT(schedule_holds(s, 0, 40), s->who);
		EXPECT(schedule_holds(s, 1000, 20), s->who);
	}
}

/* The same lookup again and again must give the same wait, not a growing one. */
static void test_again(void)
{
	const struct schedule *s;
	struct connection c;
	unsigned int i;
	struct model *m;

	for (s = schedules; s < schedules + sizeof(schedules) / sizeof(schedules[0]); s++) {
		m = new_model();
		for (i = 0; i < 3; i++) {
			play(m, s, 30.0 * i);
			if (s->syn < 0)
				continue;
			c = make_connect(m, client, web, 30.0 * i + s->syn);
			EXPECT(about(wait_of(&c), s->syn), s->who);
		}
		EXPECT(names_lookup_count(m->names) == 3 * s->lookups, s->who);
		EXPECT(episodes(m) == 3, s->who);
		model_free(m);
	}
}

/* ---- waits ---- */

static void test_cache(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, HOST, DNS_A, 1, 0.001);
	c = make_connect(m, client, web, 1.002);
	EXPECT(about(wait_of(&c), 0.002) && lookup(m, 0)->syn == c.syn,
	       "the connection would not be seen to wait for its name");
	EXPECT(c.name == lookup(m, 0)->name, "the connection would have no name");
	c = make_connect(m, client, web, 1.5);
	EXPECT(wait_of(&c) == NEVER, "a name from the cache would count as a wait");
	c = make_connect(m, ip4_endpoint(0x0a010416, 40000), web, 1.003);
	EXPECT(wait_of(&c) == NEVER, "another client would have waited");
	c = make_connect(m, client, ip4_endpoint(0xc6336402, 443), 1.003);
	EXPECT(wait_of(&c) == NEVER, "a connection to another address would have waited");
	model_free(m);
}

static void test_parallel_connections(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, SILENT);
	ask(m, second, 1001, 8, HOST, DNS_A, 5, 0.001);
	c = make_connect(m, client, web, 5.2);
	EXPECT(wait_of(&c) == NEVER, "a connection long after the answer would have waited");
	c = make_connect(m, client, web, 5.003);
	EXPECT(about(wait_of(&c), 5.003), "an attempt that settles later would not count");
	c = make_connect(m, client, web, 5.05);
	EXPECT(about(wait_of(&c), 5.05), "the second of two parallel connections did not wait");
	model_free(m);
}

/* An attempt by IPv6 of a host that asks DNS by IPv4, both by way of this MAC address. */
static ns_t wait_by_ip6(const struct address *askers, size_t count, struct address connects)
{
	struct address server = { .word = { cpu_to_be32(0x20010db8), 0, 0, cpu_to_be32(80) } };
	struct connection c;
	struct model *m = new_model();
	struct dns_packet q, a;
	size_t i;

	for (i = 0; i < count; i++) {
		struct endpoint from = { .address = askers[i], .port = 1000 };

		q = made_question(from, first, 7 + i, HOST, DNS_AAAA, 0);
		q.has_mac = true;
		memset(q.mac, 2, sizeof(q.mac));
		a = made_answer(&q, 5, server);
		model_dns(m, &q, false);
		model_dns(m, &a, false);
	}
	c = made_handshake((struct endpoint){ .address = connects, .port = 2000 },
			   (struct endpoint){ .address = server, .port = 443 }, 5.001);
	c.has_mac = true;
	memset(c.mac, 2, sizeof(c.mac));
	names_connect(m->names, &c);
	model_free(m);
	return wait_of(&c);
}

static void test_two_families(void)
{
	struct address askers[] = { ip4(0x0a010415), ip4(0x0a010416) };
	struct address ip6 = { .word = { cpu_to_be32(0x20010db8), 1, 2, 3 } };

	EXPECT(about(wait_by_ip6(askers, 1, ip6), 5.001),
	       "a host that asks by IPv4 and connects by IPv6 would not have waited");
	EXPECT(wait_by_ip6(askers, 2, ip6) == NEVER,
	       "a host behind a router would have waited for the name of another");
	EXPECT(wait_by_ip6(askers, 1, askers[1]) == NEVER,
	       "a host behind a router would have waited for the name of another");
}

/* A program without IPv6 asks for A alone while another one still waits for AAAA. */
static void test_two_programs(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, 0.001);
	ask(m, first, 1000, 8, HOST, DNS_AAAA, 0, SILENT);
	ask(m, first, 1001, 9, HOST, DNS_A, 3, 0.001);
	c = make_connect(m, client, web, 3.002);
	EXPECT(about(wait_of(&c), 0.002), "the questions of one program would delay another");
	model_free(m);
}

/* An attempt that is still opening was the first: the next one did not wait since its question. */
static void test_opening(void)
{
	struct model *m = new_model();
	struct connection open, c;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, 0.001);
	ask(m, first, 1000, 8, HOST, DNS_AAAA, 0, SILENT);
	open = made_handshake(client, web, 0.01);
	open.watched = SECONDS(1);
	model_opening(m, &open);
	c = make_connect(m, client, web, 5.0);
	EXPECT(wait_of(&c) == NEVER, "a later connection would have waited since the question");
	ask(m, first, 1001, 9, HOST, DNS_A, 5.1, 0.001);
	EXPECT(lookup(m, 2)->episode != lookup(m, 0)->episode,
	       "an episode would go on after its connection");
	model_free(m);
}

/* The first connection settles after the next question: that begins a new wait. */
static void test_late_settling(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, 0.001);
	ask(m, first, 1000, 8, HOST, DNS_AAAA, 0, SILENT);
	ask(m, first, 1001, 9, HOST, DNS_A, 3, 0.001);
	ask(m, first, 1001, 10, HOST, DNS_AAAA, 3, SILENT);
	c = make_connect(m, client, web, 0.01);
	EXPECT(about(wait_of(&c), 0.01), "a connection that settles late would not have waited");
	c = make_connect(m, client, web, 3.002);
	EXPECT(about(wait_of(&c), 0.002), "the next connection would have waited since the first");
	model_free(m);
}

/* A client connects before its HTTPS question is answered, and no answer names an address early. */
static void test_no_wait(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, HOST, DNS_HTTPS, 0, SILENT);
	ask(m, first, 1001, 8, HOST, DNS_A, 0, 0.001);
	ask(m, first, 1002, 9, HOST, DNS_HTTPS, 1, SILENT);
	c = make_connect(m, client, web, 3);
	EXPECT(wait_of(&c) == NEVER, "a silent HTTPS question would delay connections");
	ask(m, first, 1003, 10, "www.example.net", DNS_A, 20, 1);
	c = make_connect(m, client, web, 20.5);
	EXPECT(wait_of(&c) == NEVER, "a connection would wait for an answer that came later");
	model_free(m);
}

static void test_aaaa_of_nobody(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, 0.001);
	ask(m, first, 1000, 8, HOST, DNS_AAAA, 0, SILENT);
	c = make_connect(m, client, web, 12);
	EXPECT(wait_of(&c) == NEVER, "a connection after all timers would have waited");
	model_free(m);
}

static void test_ledger(void)
{
	struct model *m = new_model();
	struct ledger l;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, SILENT);
	ask(m, second, 1001, 7, HOST, DNS_A, 5.005, 0.001);
	make_connect(m, client, web, 5.007);
	model_ledger(m, &l);
	EXPECT(l.count[ROW_LATE][STAGE_NAME][MANNER_SLOW] == 1,
	       "a connect that waited for its name would be in time");
	EXPECT(m->longest.stage == STAGE_NAME && about(m->longest.duration, 5.007),
	       "the longest wait would not be the one for the name");
	EXPECT(about(m->slowest_service, 0.032), "the service would be slow, not the name");
	model_free(m);
}

/* ---- answers that fit, and others ---- */

static void test_spoofed(void)
{
	struct model *m = new_model();
	struct dns_packet q, a, bad;
	struct connection c;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	a = made_answer(&q, 0.5, web.address);
	model_dns(m, &q, false);
	bad = a;
	bad.time = q.time - 1;
	model_dns(m, &bad, false);
	bad = a;
	bad.message.id ^= 1;
	model_dns(m, &bad, false);
	bad = a;
	bad.client.port ^= 1;
	model_dns(m, &bad, false);
	bad = a;
	bad.server.port ^= 1;
	model_dns(m, &bad, false);
	bad = a;
	bad.server.address = second.address;
	model_dns(m, &bad, false);
	bad = a;
	bad.client.address = ip4(0x0a010416);
	model_dns(m, &bad, false);
	bad = a;
	bad.message.name = made_name("www.example.net");
	model_dns(m, &bad, false);
	bad = a;
	bad.message.type = DNS_AAAA;
	model_dns(m, &bad, false);
	EXPECT(totals(m)->unmatched == 8 && totals(m)->answers == 8 && !totals(m)->copies,
	       "a spoofed answer would be taken");
	EXPECT(lookup(m, 0)->end == NEVER && !lookup(m, 0)->address_count,
	       "a spoofed answer would end a lookup");
	c = make_connect(m, client, web, 0.51);
	EXPECT(wait_of(&c) == NEVER, "a spoofed answer would name an address");
	model_dns(m, &a, false);
	EXPECT(lookup(m, 0)->result == LOOKUP_ANSWERED && totals(m)->unmatched == 8,
	       "the real answer would come too late");
	model_free(m);
}

static void test_copies(void)
{
	struct model *m = new_model();
	struct dns_packet q, a, copy;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	model_dns(m, &q, false);
	copy = q;
	copy.time += SECONDS(0.001);
	model_dns(m, &copy, false);
	copy.client.vlan[0] = copy.server.vlan[0] = 7;
	model_dns(m, &copy, false);
	copy = q;
	copy.ifindex = 3;
	copy.egress = true;
	model_dns(m, &copy, false);
	a = made_answer(&q, 0.01, web.address);
	a.ifindex = 3;
	a.egress = false;
	model_dns(m, &a, false);
	copy = a;
	copy.ifindex = 2;
	copy.egress = true;
	copy.time += SECONDS(0.001);
	model_dns(m, &copy, false);
	copy.client.vlan[0] = copy.server.vlan[0] = 7;
	model_dns(m, &copy, false);
	EXPECT(names_lookup_count(m->names) == 1 && lookup(m, 0)->try_count == 1,
	       "a mirrored question would be a retry");
	EXPECT(totals(m)->copies == 5 && totals(m)->questions == 1 && totals(m)->answers == 1 &&
		       !totals(m)->unmatched,
	       "a mirrored answer would count as spoofed");
	EXPECT(lookup(m, 0)->tries[0].left && lookup(m, 0)->last.left,
	       "the question would not be seen to leave this gateway");
	model_free(m);
}

/* The other VLAN alone has the answer, as on some mirror ports. */
static void test_answer_in_other_vlan(void)
{
	struct model *m = new_model();
	struct dns_packet q, a;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	q.client.vlan[0] = q.server.vlan[0] = 7;
	model_dns(m, &q, false);
	a = made_answer(&q, 0.01, web.address);
	a.client.vlan[0] = a.server.vlan[0] = 0;
	model_dns(m, &a, false);
	EXPECT(lookup(m, 0)->result == LOOKUP_ANSWERED, "a resolver would be silent in a VLAN");
	model_free(m);
}

static void test_nat(void)
{
	struct endpoint outside = ip4_endpoint(0xcb007101, 61000);
	struct model *m = new_model();
	struct dns_packet q, translated, a;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	model_dns(m, &q, false);
	translated = q;
	translated.client = outside;
	translated.ifindex = 3;
	translated.egress = true;
	translated.time += SECONDS(0.001);
	model_dns(m, &translated, false);
	a = made_answer(&translated, 0.01, web.address);
	a.egress = false;
	model_dns(m, &a, false);
	a.client = client;
	a.ifindex = 2;
	a.egress = true;
	a.time += SECONDS(0.001);
	model_dns(m, &a, false);
	EXPECT(names_lookup_count(m->names) == 1 && totals(m)->copies == 2 && !totals(m)->unmatched,
	       "NAT would double the lookups");
	EXPECT(lookup(m, 0)->result == LOOKUP_ANSWERED && lookup(m, 0)->last.left,
	       "a question behind NAT would be unanswered");

	/* on the same interface it is another client's question */
	translated = made_question(client, first, 9, HOST, DNS_A, 60);
	model_dns(m, &translated, false);
	translated.client = outside;
	translated.time += SECONDS(0.001);
	model_dns(m, &translated, false);
	EXPECT(names_lookup_count(m->names) == 3, "a client's question would be a copy");
	model_free(m);
}

static void test_seen_before(void)
{
	struct model *m = new_model();
	struct dns_packet q, out, a;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	model_dns(m, &q, false);
	out = q;
	out.client = ip4_endpoint(0xcb007101, 61000);
	out.time += SECONDS(0.1);
	out.egress = out.seen_before = true;
	out.ifindex = 3;
	model_dns(m, &out, false);
	a = made_answer(&q, 0.2, web.address);
	a.seen_before = true;
	model_dns(m, &a, false);
	EXPECT(names_lookup_count(m->names) == 1 && lookup(m, 0)->last.left,
	       "a question that leaves this gateway would be another client's");
	EXPECT(lookup(m, 0)->result == LOOKUP_ANSWERED,
	       "an answer that came in elsewhere would be missing");
	model_free(m);
}

static void test_windows_keeps_port(void)
{
	struct model *m = new_model();
	struct endpoint from = client;
	struct dns_packet q[3], a;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		q[i] = made_question(from, first, 7, HOST, DNS_A, i);
		model_dns(m, &q[i], false);
	}
	for (i = 0; i < 3; i++) {
		a = made_answer(&q[i], 3.004 - i, web.address);
		a.time += 1000 * i;
		model_dns(m, &a, false);
	}
	EXPECT(about(lookup(m, 0)->end, 3.004), "an answer after 3 s would have taken 1 s");
	EXPECT(lookup(m, 0)->tries[0].result == TRY_ANSWERED &&
		       lookup(m, 0)->tries[2].result == TRY_ANSWERED && !totals(m)->unmatched,
	       "answers to retries would count as spoofed");
	model_free(m);
}

/* The retry is answered at once; what was lost is the first question. */
static void test_lost_question(void)
{
	struct model *m = new_model();

	ask(m, first, 1000, 7, HOST, DNS_A, 0, SILENT);
	ask(m, first, 1000, 7, HOST, DNS_A, 5.005, 0.001);
	EXPECT(lookup(m, 0)->tries[0].result == TRY_OPEN &&
		       lookup(m, 0)->tries[1].result == TRY_ANSWERED &&
		       about(lookup(m, 0)->end, 5.006),
	       "a lost packet would be a resolver that takes 5 s");
	model_free(m);
}

/* A retry that was on its way when the answer came is no unanswered lookup. */
static void test_late_retry(void)
{
	struct model *m = new_model();
	struct dns_packet q, a;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	model_dns(m, &q, false);
	ask(m, first, 1001, 8, HOST, DNS_A, 1, SILENT);
	a = made_answer(&q, 3, web.address);
	model_dns(m, &a, false);
	names_end(m->names, SECONDS(100));
	EXPECT(names_lookup_count(m->names) == 1 && lookup(m, 0)->result == LOOKUP_ANSWERED,
	       "a retry without an answer of its own would be silence");
	model_free(m);
}

/* ---- fragments, TCP, errors, cut messages ---- */

static void test_fragments(void)
{
	struct model *m = new_model();
	struct dns_packet q, part, icmp;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	part = made_answer(&q, 0.01, web.address);
	part.first_fragment = true;
	model_dns(m, &q, false);
	model_dns(m, &part, false);
	EXPECT(lookup(m, 0)->last.result == TRY_FRAGMENT && lookup(m, 0)->result == LOOKUP_OPEN,
	       "a fragment would be a whole answer");
	icmp = part;
	icmp.first_fragment = false;
	icmp.is_error_of_answer = true;
	icmp.icmp_type = 11;
	icmp.icmp_code = 1;
	icmp.time += SECONDS(30);
	model_dns(m, &icmp, false);
	EXPECT(lookup(m, 0)->incomplete == 1, "lost fragments would not be seen");
	names_end(m->names, SECONDS(100));
	EXPECT(lookup(m, 0)->result == LOOKUP_ANSWERED && about(lookup(m, 0)->end, 0.01),
	       "a client that got its fragments would be without an answer");
	model_free(m);
}

static void test_tcp(void)
{
	struct model *m = new_model();
	struct dns_packet q, a;
	struct connection c;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	a = made_reply(&q, 0.001, DNS_NOERROR);
	a.message.truncated = true;
	model_dns(m, &q, false);
	model_dns(m, &a, false);
	q.time = SECONDS(7);
	q.client.port = 5000;
	q.message.id++;
	q.over_tcp = true;
	model_dns(m, &q, false);
	a = made_answer(&q, 0.001, web.address);
	model_dns(m, &a, false);
	c = make_connect(m, client, web, 7.002);
	EXPECT(names_lookup_count(m->names) == 1 && lookup(m, 0)->result == LOOKUP_ANSWERED &&
		       lookup(m, 0)->last.over_tcp && totals(m)->by_tcp == 2,
	       "an answer by TCP would be another lookup");
	EXPECT(about(wait_of(&c), 7.002), "the wait for DNS over TCP would be missed");
	model_free(m);
}

/* ICMP errors quote as little as the UDP header (RFC 792). */
static void test_short_error(void)
{
	struct model *m = new_model();
	struct dns_packet q, error;

	ask(m, first, 1000, 7, HOST, DNS_A, 0, SILENT);
	ask(m, first, 1000, 8, HOST, DNS_AAAA, 0, SILENT);
	q = made_question(client, first, 7, HOST, DNS_A, 0);
	q.client.port = 1000;
	error = made_error(&q, 0.001);
	memset(&error.message, 0, sizeof(error.message));
	error.status = DNS_NAME_CUT;
	model_dns(m, &error, false);
	error.time += 1000;
	model_dns(m, &error, false);
	names_end(m->names, SECONDS(100));
	EXPECT(lookup(m, 0)->result == LOOKUP_UNREACHABLE &&
		       lookup(m, 1)->result == LOOKUP_UNREACHABLE && totals(m)->icmp_errors == 2,
	       "a closed port would be silence");
	EXPECT(!totals(m)->names_cut, "an ICMP error would be a short snap length");
	model_free(m);
}

/* Old servers answer EDNS by an error that repeats no question (RFC 6891 7). */
static void test_answer_without_question(void)
{
	struct model *m = new_model();
	struct dns_packet q, a;

	q = made_question(client, first, 7, HOST, DNS_A, 0);
	a = made_reply(&q, 0.001, DNS_FORMERR);
	a.status = DNS_NAME_CUT;
	memset(&a.message.name, 0, sizeof(a.message.name));
	a.message.type = 0;
	model_dns(m, &q, false);
	a.message.id++;
	model_dns(m, &a, false);
	EXPECT(lookup(m, 0)->result == LOOKUP_OPEN, "a spoofed error would be taken");
	a.message.id--;
	model_dns(m, &a, false);
	EXPECT(lookup(m, 0)->result == LOOKUP_FAILED && lookup(m, 0)->rcode == DNS_FORMERR,
	       "a server that does not know EDNS would be silent");
	model_free(m);
}

static void test_names_cut(void)
{
	struct model *m = new_model();
	struct dns_packet q, a;
	struct connection c;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		q = made_question(client, first, 7 + i, HOST, i ? DNS_AAAA : DNS_A, 0);
		memset(&q.message.name, 0, sizeof(q.message.name));
		q.message.type = 0;
		q.status = DNS_NAME_CUT;
		a = made_answer(&q, 0.001, web.address);
		model_dns(m, &q, false);
		model_dns(m, &a, false);
	}
	c = make_connect(m, client, web, 0.002);
	EXPECT(names_lookup_count(m->names) == 2 && lookup(m, 0)->result == LOOKUP_ANSWERED &&
		       lookup(m, 1)->result == LOOKUP_ANSWERED && !totals(m)->unmatched,
	       "a short snap length would make resolvers silent");
	EXPECT(totals(m)->names_cut == 4 && !names_name(m->names, lookup(m, 0)->name)->length,
	       "names that were cut off would not be counted");
	EXPECT(c.name == 0, "a name that was cut off would be known");
	model_free(m);
}

static void test_not_dns(void)
{
	struct model *m = new_model();
	struct dns_packet p = made_question(client, first, 7, HOST, DNS_A, 0);

	p.status = DNS_MALFORMED;
	model_dns(m, &p, false);
	p.status = DNS_IS_OTHER;
	model_dns(m, &p, false);
	EXPECT(!names_lookup_count(m->names) && totals(m)->malformed == 1 &&
		       totals(m)->not_dns == 1,
	       "a VPN on port 53 would be a lookup");
	model_free(m);
}

/* ---- episodes ---- */

/* A loop of lookups that are answered at once must not become one long wait. */
static void test_loop(void)
{
	struct model *m = new_model();
	struct connection c;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		ask(m, first, 1000 + i, i, HOST, DNS_A, 0.02 * i, 0.001);
	c = make_connect(m, client, web, 0.02 * 999 + 0.002);
	EXPECT(about(wait_of(&c), 0.002), "a loop of lookups would be one long wait");
	EXPECT(names_lookup_count(m->names) == 1000, "lookups would be missing");
	EXPECT(lookup(m, 999)->episode_first == lookup(m, 999)->first,
	       "a loop of lookups would be one episode");
	model_free(m);
}

/* Names that share a label and are asked in parallel are no search list. */
static void test_same_label(void)
{
	struct model *m = new_model();
	struct connection c;

	ask(m, first, 1000, 7, "www.example.net", DNS_A, 0, 0.001);
	ask(m, first, 1001, 8, HOST, DNS_A, 0.01, 0.001);
	c = make_connect(m, client, web, 0.012);
	EXPECT(lookup(m, 0)->episode != lookup(m, 1)->episode && about(wait_of(&c), 0.002),
	       "the names of a page would be one search list");
	model_free(m);
}

/* The same search list again is another episode. */
static void test_search_list_again(void)
{
	struct model *m = new_model();
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct endpoint from = client;
		struct dns_packet q, a;

		from.port += i;
		q = made_question(from, first, i, i % 2 ? "host.b.example" : "host.a.example",
				  DNS_A, 0.01 * i);
		a = made_reply(&q, 0.001, DNS_NXDOMAIN);
		model_dns(m, &q, false);
		model_dns(m, &a, false);
	}
	EXPECT(lookup(m, 0)->episode == lookup(m, 1)->episode &&
		       lookup(m, 2)->episode == lookup(m, 3)->episode &&
		       lookup(m, 0)->episode != lookup(m, 2)->episode,
	       "a program that tries a dead name again and again would be one episode");
	model_free(m);
}

/* A client that asks for a dead name now and then does not wait all the time. */
static void test_dead_name_again(void)
{
	struct model *m = new_model();
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ask(m, first, 1000 + i, 7 * i, HOST, DNS_PTR, 17.0 * i, SILENT);
		ask(m, first, 1000 + i, 7 * i, HOST, DNS_PTR, 17.0 * i + 5, SILENT);
	}
	EXPECT(names_lookup_count(m->names) == 3 && lookup(m, 2)->try_count == 2,
	       "lookups of one dead name would be one");
	model_free(m);
}

/* ---- the end of the run, gaps ---- */

static enum lookup_result result_at(const double *tries, size_t count, double end)
{
	struct model *m = new_model();
	enum lookup_result result;
	size_t i;

	for (i = 0; i < count; i++)
		ask(m, first, 1000, 7, HOST, DNS_A, tries[i], SILENT);
	names_end(m->names, SECONDS(end));
	result = lookup(m, 0)->result;
	model_free(m);
	return result;
}

static void test_end_of_run(void)
{
	static const double tries[] = { 0, 5 };

	EXPECT(result_at(tries, 1, 4) == LOOKUP_OPEN, "a lookup would be silent too early");
	EXPECT(result_at(tries, 1, 16) == LOOKUP_SILENT, "a silent lookup would stay open");
	EXPECT(result_at(tries, 2, 5.1) == LOOKUP_OPEN, "the answer would be given no time");
	EXPECT(result_at(tries, 2, 7) == LOOKUP_SILENT, "two tries in 7 s would prove nothing");
	EXPECT(result_at(tries, 2, 700) == LOOKUP_SILENT, "a silent lookup would stay open");
}

static void test_gap(void)
{
	struct model *m = new_model();
	const struct dns_gap *gaps;

	ask(m, first, 1000, 1, "a.example", DNS_A, 0, 0.001);
	ask(m, first, 1000, 2, "b.example", DNS_A, 9.5, SILENT);
	ask(m, first, 1000, 3, "c.example", DNS_A, 9.9, 0.2);
	names_gap(m->names, SECONDS(10), SECONDS(10.2));
	ask(m, first, 1000, 4, "d.example", DNS_A, 11, SILENT);
	EXPECT(!lookup(m, 0)->in_gap && lookup(m, 1)->in_gap && lookup(m, 2)->in_gap &&
		       !lookup(m, 3)->in_gap,
	       "an answer that this tool lost would make a resolver silent");
	names_gap(m->names, SECONDS(10.2), SECONDS(10.4));
	EXPECT(names_gaps(m->names, &gaps) == 1 && gaps[0].until == SECONDS(10.4),
	       "one long gap would fill the list");
	model_free(m);
}

/* ---- names of addresses ---- */

static void test_names_of_addresses(void)
{
	struct client_key key = client_key_of(&client), other = key;
	struct model *m = new_model();
	unsigned int others;
	uint32_t name;

	other.address = ip4(0x0a010416);
	ask(m, first, 1000, 7, HOST, DNS_A, 0, 0.001);
	ask(m, first, 1001, 8, "cdn.example.net", DNS_A, 1, 0.001);
	name = names_of_address(m->names, &key, &web.address, &others);
	EXPECT(name == lookup(m, 1)->name && others == 1, "the latest name would not be shown");
	EXPECT(!names_of_address(m->names, &other, &web.address, &others) && others == 0,
	       "a client would know names that it never asked for");
	EXPECT(names_of_address(m->names, NULL, &web.address, &others) == name && others == 1,
	       "a peer would have no name");
	ask(m, first, 1002, 9, HOST, DNS_A, 2, 0.001);
	EXPECT(names_of_address(m->names, &key, &web.address, &others) == lookup(m, 0)->name &&
		       others == 1,
	       "a name that is asked again would count twice");
	model_free(m);
}

/* ---- bounds ---- */

static void test_many_names(void)
{
	struct model *m = new_model();
	const struct lookup *l;
	char name[32];
	bool whole = true;
	unsigned int i;

	for (i = 0; i < MAX_LOOKUPS + 5000; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		ask(m, first, 1000, 7, name, DNS_A, 1 + i * 1e-5, i % 2 ? 1e-6 : SILENT);
	}
	EXPECT(names_lookup_count(m->names) == MAX_LOOKUPS && totals(m)->dropped_lookups == 5000,
	       "memory would grow with the questions");
	for (i = 0; i < names_lookup_count(m->names); i++) {
		struct dns_name expected;

		l = lookup(m, i);
		snprintf(name, sizeof(name), "n%u.example", i + 5000);
		expected = made_name(name);
		whole &= !memcmp(names_name(m->names, l->name), &expected, sizeof(expected)) &&
			 (l->result == LOOKUP_ANSWERED) == (i % 2);
	}
	EXPECT(whole, "a kept lookup would lose its name or answer");
	model_free(m);
}

/* Each client asks for one name with the same id: a flood. */
static void test_many_clients(void)
{
	struct model *m = new_model();
	struct address last = ip4(0xc6000000 + 3 * MAX_NAMED_ADDRESSES - 1);
	unsigned int i, others;

	for (i = 0; i < 3 * MAX_NAMED_ADDRESSES; i++) {
		struct dns_packet q, a;

		q = made_question(ip4_endpoint(0x0b000000 + i, 1000), first, 7, HOST, DNS_A,
				  i * 1e-5);
		a = made_answer(&q, 1e-6, ip4(0xc6000000 + i));
		model_dns(m, &q, false);
		model_dns(m, &a, false);
	}
	EXPECT(!totals(m)->unmatched && names_lookup_count(m->names) == MAX_LOOKUPS,
	       "a flood would break the matching");
	EXPECT(names_of_address(m->names, NULL, &last, &others),
	       "the latest answer would be forgotten");
	model_free(m);
}

/* One client, one name, one id, one port, without an end. */
static void test_many_tries(void)
{
	struct model *m = new_model();
	unsigned int i, tries = 0;

	for (i = 0; i < 100000; i++)
		ask(m, first, 1000, 7, HOST, DNS_A, 0.01 * i, SILENT);
	for (i = 0; i < names_lookup_count(m->names); i++)
		tries += lookup(m, i)->try_count;
	EXPECT(tries == 100000 && names_lookup_count(m->names) < 20 &&
		       names_lookup_count(m->names) > 10 && lookup(m, 0)->try_count > MAX_TRIES,
	       "tries would be lost from the counts");
	ask(m, first, 1000, 7, HOST, DNS_A, 1000, 0.001);
	EXPECT(lookup(m, names_lookup_count(m->names) - 1)->result == LOOKUP_ANSWERED &&
		       lookup(m, names_lookup_count(m->names) - 1)->last.result == TRY_ANSWERED,
	       "the answer to a later try would be lost");
	model_free(m);
}

int main(void)
{
	begin_constants();
	test_schedules();
	test_again();
	test_cache();
	test_parallel_connections();
	test_two_families();
	test_two_programs();
	test_opening();
	test_late_settling();
	test_no_wait();
	test_aaaa_of_nobody();
	test_ledger();
	test_spoofed();
	test_copies();
	test_answer_in_other_vlan();
	test_nat();
	test_seen_before();
	test_windows_keeps_port();
	test_lost_question();
	test_late_retry();
	test_fragments();
	test_tcp();
	test_short_error();
	test_answer_without_question();
	test_names_cut();
	test_not_dns();
	test_loop();
	test_same_label();
	test_search_list_again();
	test_dead_name_again();
	test_end_of_run();
	test_gap();
	test_names_of_addresses();
	test_many_names();
	test_many_clients();
	test_many_tries();
	printf("names: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
