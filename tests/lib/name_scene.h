/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scenes of unit tests about names: DNS packets and connections of hosts, in any order, which are
 * then judged. One test program has one scene at a time.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_lookup.h"
#include "diagnose/diagnose.h"

#define HOST(i) (0x0a010414u + (i))
#define SITE(i) (0xcb007100u + 10 + (i)) /* 203.0.113.10 and so on */
#define FIRST 0x0a000035u /* 10.0.0.53 */
#define SECOND 0x0a000036u /* 10.0.0.54 */
#define THIRD 0x0a000037u
#define NAMES 6

static const char *const names[NAMES] = { "www.example.com",   "shop.example.net",
					  "news.example.org",  "cdn.corp.example",
					  "img.pictures.test", "api.partner.test" };

/* ---- scenes: packets and connections in any order ---- */

#define MAX_EVENTS 4096

struct event {
	ns_t time;
	unsigned int order;
	bool is_packet, to_own;
	struct dns_packet packet;
	struct connection connection;
};

static struct event events[MAX_EVENTS];
static unsigned int event_count;
static uint16_t next_port;
static struct model *model;
static struct diagnosis result;
static struct host_facts facts;
static struct session session;

static inline void begin(void)
{
	event_count = 0;
	next_port = 20000;
	facts = (struct host_facts){};
	session = (struct session){ .stall = SECOND_NS, .names_mode = NAMES_EVIDENCE };
}

static inline struct event *add_event(ns_t time)
{
	struct event *e = &events[event_count];

	if (event_count == MAX_EVENTS)
		abort();
	*e = (struct event){ .time = time, .order = event_count++ };
	return e;
}

static inline void add_packet(struct dns_packet p)
{
	struct event *e = add_event(p.time);

	e->is_packet = true;
	e->packet = p;
}

static inline int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static inline void play(double seconds)
{
	unsigned int i;

	session.duration = SECONDS(seconds);
	model = model_new(SECOND_NS, NULL);
	if (!model)
		abort();
	qsort(events, event_count, sizeof(events[0]), by_time);
	for (i = 0; i < event_count && events[i].time <= SECONDS(seconds); i++) {
		struct event *e = &events[i];

		if (e->is_packet) {
			model_dns(model, &e->packet,
				  session_is_own_address(&session, &e->packet.server.address));
		} else {
			names_connect(model->names, &e->connection);
			model_settled(model, &e->connection);
		}
	}
}

static inline void judge(double seconds)
{
	play(seconds);
	names_end(model->names, SECONDS(seconds));
	EXPECT(diagnose(&result, model, &session, &facts), "no diagnosis");
}

static inline void print_findings(void)
{
	size_t i, j;

	for (i = 0; i < result.count; i++) {
		printf("%s %s: %s\n", finding_kinds[result.at[i].kind].name,
		       confidence_names[result.at[i].confidence], result.at[i].text);
		for (j = 0; j < result.at[i].line_count; j++)
			printf("    %-10s %s\n", result.at[i].lines[j].label,
			       result.at[i].lines[j].text);
	}
}

static inline void end(void)
{
	if (getenv("SHOW"))
		print_findings();
	diagnosis_free(&result);
	model_free(model);
}

static inline const struct finding *find(enum finding_kind kind)
{
	return find_kind(&result, kind);
}

/* ---- questions and answers ---- */

struct asker {
	unsigned int host, resolver;
	const char *name;
	uint16_t port;
};

static inline struct asker asker(unsigned int host, unsigned int resolver, unsigned int name)
{
	return (struct asker){ HOST(host), resolver, names[name % NAMES], next_port++ };
}

static inline struct dns_packet ask(struct asker a, uint16_t type, double at)
{
	struct dns_packet p =
		made_question(ip4_endpoint(a.host, a.port), ip4_endpoint(a.resolver, 53),
			      a.port ^ type, a.name, type, at);

	add_packet(p);
	return p;
}

static inline void answer(struct asker a, uint16_t type, double at, double after)
{
	struct dns_packet q = ask(a, type, at);

	add_packet(type == DNS_A ? made_answer(&q, after, ip4(SITE(a.name[0] % 50)))
				 : made_reply(&q, after, DNS_NOERROR));
}

static inline void connect_to(unsigned int host, unsigned int server, uint16_t port, double at)
{
	struct connection c =
		made_handshake(ip4_endpoint(host, next_port++), ip4_endpoint(server, port), at);

	make_served(&c, 0.001, 0.02);
	add_event(c.syn)->connection = c;
}

static inline void browse(struct asker a, double at)
{
	connect_to(a.host, SITE(a.name[0] % 50), 443, at);
}

static inline struct asker at_other(struct asker a, unsigned int resolver)
{
	a.resolver = resolver;
	a.port = next_port++;
	return a;
}

/* A and AAAA from one port, and the connection. */
static inline void prompt(struct asker a, double at, double after)
{
	answer(a, DNS_A, at, after);
	answer(a, DNS_AAAA, at + 0.00004, after);
	browse(a, at + after + 0.001);
}

static inline void ask_pair(struct asker a, double at)
{
	ask(a, DNS_A, at);
	ask(a, DNS_AAAA, at + 0.00004);
}

/* glibc: the second resolver after 5 s, and the connection. */
static inline void fail_over(struct asker a, unsigned int second, double at, double after)
{
	ask_pair(a, at);
	prompt(at_other(a, second), at + after, 0.0008);
}

/* glibc: twice in vain. */
static inline void give_up(struct asker a, double at)
{
	ask_pair(a, at);
	ask_pair(at_other(a, a.resolver), at + 5.005);
}

static inline void healthy(unsigned int first_host, unsigned int hosts, unsigned int resolver)
{
	unsigned int i;

	for (i = 0; i < 3 * hosts; i++)
		prompt(asker(first_host + i % hosts, resolver, i), 2 + 1.3 * i, 0.0008);
}
