// SPDX-License-Identifier: GPL-2.0
/*
 * The packets that the evidence keeps, their duration, and the memory for them. If this fails,
 * --write leaves out packets that the report mentions, or a scan exhausts the gateway's memory.
 */
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "report/evidence.h"

#define SCAN 1000000 /* failing attempts of some 1.2 KB each: more than the limit */
#define CHURN 2000000 /* connections without a problem */
#define MAX_MEMORY (512L << 10) /* KiB, for all kept packets with malloc's overhead */

#define EXPECT(condition)                             \
	do {                                          \
		if (!(condition))                     \
			return "not so: " #condition; \
	} while (0)

/* Attempt number n, from its own client; the client is end 0. */
static void attempt(struct connection *c, struct packet_head *head, uint32_t n, ns_t at)
{
	memset(c, 0, sizeof(*c));
	memset(head, 0, sizeof(*head));
	c->client.address.word[2] = c->server.address.word[2] = IP4_PREFIX;
	c->client.address.word[3] = 10 | n << 8;
	c->server.address.word[3] = 0xffffffff;
	c->client.port = 1000 + n % 60000;
	c->server.port = 80;
	c->syn = at;
	c->settled = at + 4 * (ns_t)SECOND_NS;
	c->watched = 4 * (ns_t)SECOND_NS;
	c->syn_last = at;
	c->syn_count = 1;
	c->synack = c->ack = c->client_first = c->server_first = c->fin = c->rst = c->icmp = NEVER;
	c->wait = c->banner = c->answer = NEVER;
	c->outcome = OUTCOME_UNANSWERED;
	c->end_reason = END_OF_RUN;
	head->key.end[0] = c->client.address;
	head->key.end[1] = c->server.address;
	head->key.port[0] = c->client.port;
	head->key.port[1] = c->server.port;
	head->syn = head->time = at;
	head->roles = ROLE_SYN;
	head->length = head->wire_length = 54;
}

static void give(struct evidence *e, const struct packet_head *head)
{
	static const uint8_t bytes[54] = { [12] = 8, [13] = 0, [14] = 0x45, [23] = 6 };

	evidence_packet(e, head, bytes, 0, DLT_EN10MB, true);
}

static void established(struct connection *c, ns_t wait, ns_t answer)
{
	c->outcome = OUTCOME_ESTABLISHED;
	c->synack = c->syn + 1000;
	c->ack = c->syn + 2000;
	c->client_first = c->ack + wait;
	c->server_first = c->client_first + answer;
	c->wait = wait;
	c->answer = answer;
	c->settled = c->server_first;
	c->end_reason = END_PAYLOAD;
}

static size_t shown(struct evidence *e)
{
	const struct kept_packet **packets;
	size_t n = 0;

	packets = evidence_packets(e, &n);
	free(packets);
	return n;
}

static const char *check_scan(void)
{
	struct evidence *e = evidence_new(SECOND_NS, 0);
	struct packet_head head;
	struct connection c;
	struct rusage usage;
	size_t n;
	uint32_t i;

	for (i = 0; i < SCAN; i++) {
		attempt(&c, &head, i, i * 1000LL);
		give(e, &head);
		evidence_settled(e, &c);
		if (i % 1000 == 0)
			evidence_swept(e, c.settled);
	}
	n = shown(e);
	EXPECT(n > 100000 && evidence_lost(e) > 0);
	EXPECT(n + evidence_lost(e) == SCAN);
	evidence_free(e);
	getrusage(RUSAGE_SELF, &usage);
	EXPECT(usage.ru_maxrss < MAX_MEMORY);
	return NULL;
}

/*
 * Connections without a problem are forgotten. The stalled one stays, and so does the one that it
 * waited for.
 */
static const char *check_churn(void)
{
	struct evidence *e = evidence_new(SECOND_NS, 0);
	const struct kept_packet **packets;
	struct packet_head head;
	struct connection c;
	struct rusage usage;
	uint32_t i;
	size_t n;

	for (i = 0; i < CHURN; i++) {
		attempt(&c, &head, i, i * 100000LL);
		give(e, &head);
		if (i == 5000) /* stalls for 5 s */
			established(&c, 5 * (ns_t)SECOND_NS, 1000);
		else
			established(&c, 1000, 1000);
		if (i == 5001) { /* the same client's, answered when that stall is over */
			c.client.address.word[3] = head.key.end[0].word[3] = 10 | 5000 << 8;
			head.syn = head.time = c.syn += 1;
			give(e, &head);
			established(&c, 1000, 5 * (ns_t)SECOND_NS - 200000);
		}
		evidence_settled(e, &c);
		if (i % 1000 == 0)
			evidence_swept(e, c.settled);
	}
	packets = evidence_packets(e, &n);
	EXPECT(packets && n == 2 && !evidence_lost(e));
	EXPECT(packets[0]->attempt->reason == REASON_STALL);
	EXPECT(packets[1]->attempt->reason == REASON_WAITED_FOR);
	EXPECT(packets[1]->attempt->ended.server.port == 80);
	free(packets);
	evidence_free(e);
	getrusage(RUSAGE_SELF, &usage);
	EXPECT(usage.ru_maxrss < MAX_MEMORY);
	return NULL;
}

/* With a stopped clock, every packet seems to be decisive. */
static const char *check_frozen_clock(void)
{
	struct evidence *e = evidence_new(SECOND_NS, 0);
	struct packet_head head;
	struct connection c;
	uint32_t i;

	attempt(&c, &head, 1, 1000);
	for (i = 0; i < 1000; i++)
		give(e, &head);
	evidence_settled(e, &c);
	EXPECT(shown(e) == 1);
	evidence_free(e);
	return NULL;
}

/* The question number n, or its answer 1 ms later. */
static void give_dns(struct evidence *e, uint32_t n, bool is_answer)
{
	static const uint8_t bytes[90];
	struct dns_head head = { .length = sizeof(bytes), .wire_length = sizeof(bytes) };
	struct dns_packet p = { .time = n * (ns_t)SECOND_NS,
				.client = { .port = 1000 + n % 60000 },
				.server = { .port = 53 },
				.status = DNS_READ };

	p.message.id = n;
	p.message.is_answer = is_answer;
	p.time += is_answer ? MILLISECOND_NS : 0;
	evidence_dns(e, &head, bytes, &p, DLT_EN10MB, false);
}

static struct lookup lookup_of(uint32_t n)
{
	struct lookup l = { .try_count = 1, .first = n * (ns_t)SECOND_NS };

	l.tries[0] = (struct dns_try){ .time = l.first,
				       .answered = l.first + (ns_t)MILLISECOND_NS,
				       .server_port = 53,
				       .client_port = 1000 + n % 60000,
				       .id = n };
	return l;
}

/* DNS packets of a long run: the latest ones are there, and dropped ones are counted. */
static const char *check_dns(void)
{
	struct evidence *e = evidence_new(SECOND_NS, 600);
	const struct kept_packet **packets;
	uint32_t n, total = 100000;
	struct lookup l;
	size_t count;

	for (n = 0; n < total; n++) {
		give_dns(e, n, false);
		give_dns(e, n, true);
	}
	l = lookup_of(total - 2);
	evidence_lookup(e, &l, 3);
	EXPECT(!evidence_lost(e));
	l = lookup_of(5);
	evidence_lookup(e, &l, 1);
	EXPECT(evidence_lost(e) == 1);
	packets = evidence_packets(e, &count);
	EXPECT(packets && count == 2);
	EXPECT(packets[0]->time == lookup_of(total - 2).first && !packets[0]->dns.is_answer);
	EXPECT(packets[1]->dns.is_answer && packets[1]->dns.finding == 3);
	free(packets);
	evidence_free(e);

	e = evidence_new(SECOND_NS, 0);
	give_dns(e, 7, false);
	l = lookup_of(7);
	evidence_lookup(e, &l, 1);
	packets = evidence_packets(e, &count);
	EXPECT(packets && !count && !evidence_lost(e));
	free(packets);
	evidence_free(e);
	return NULL;
}

int main(void)
{
	static const struct {
		const char *name;
		const char *(*check)(void);
	} tests[] = {
		{ "a clock that stops", check_frozen_clock },
		{ "two million connections without a problem, one with a stall", check_churn },
		{ "a scan that exceeds the memory", check_scan },
		{ "questions of DNS of a long run", check_dns },
	};
	int passed = 0, failed = 0;
	const char *wrong;
	size_t i;

	for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		wrong = tests[i].check();
		printf("%s %s%s%s\n", wrong ? "FAIL " : "ok   ", tests[i].name, wrong ? ": " : "",
		       wrong ? wrong : "");
		wrong ? failed++ : passed++;
	}
	printf("evidence: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
