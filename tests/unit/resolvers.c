// SPDX-License-Identifier: GPL-2.0
/*
 * Findings about resolvers, each with a neighbour that looks similar and must not be accused. The
 * schedules are those of real resolvers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "name_scene.h"

/* Returns true if any finding about names was made. */
static bool accuses(void)
{
	return find(KIND_RESOLVER_UNANSWERED) || find(KIND_RESOLVER_SLOW) ||
	       find(KIND_DNS_TCP_BLOCKED) || find(KIND_DNS_ANSWERS_LOST);
}

/* ---- resolver-unanswered ---- */

static void test_dead_first(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		fail_over(asker(i % 3, SECOND, i), FIRST, 1 + 3.1 * i, 5.003);
	healthy(5, 3, FIRST);
	judge(60);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->is_problem,
	       "a dead first resolver would be missed");
	EXPECT(mentions(f, "10.0.0.54 does not answer DNS, and 3 of 6 hosts ask it first"),
	       "who waits for whom would not be said");
	EXPECT(mentions(f, "asked again of 10.0.0.53 after 5.00"), "the timer is the evidence");
	EXPECT(mentions(f, "glibc's resolver"), "whose timer it is tells where to look");
	EXPECT(f && f->affected.count == 3 && f->unaffected.count == 3, "the wrong hosts");
	EXPECT(f && says(f, "cost", "9 times"), "the cost is what the user feels");
	EXPECT(result.count == 1 || !result.at[1].is_problem, "one fault, one finding");
	EXPECT(result.state == STATE_PROBLEM, "the report would say that nothing is wrong");
	end();
}

/* musl and dnsmasq ask all resolvers at once, so a dead one costs nothing. */
static void test_parallel(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 12; i++) {
		struct asker a = asker(i % 4, SECOND, i);

		ask_pair(a, 1 + 1.1 * i);
		prompt(at_other(a, FIRST), 1.00003 + 1.1 * i, 0.0008);
	}
	judge(40);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(!f || (!f->is_problem && f->confidence <= CONFIDENCE_MEDIUM),
	       "a dead resolver that nobody waits for would be accused");
	EXPECT(!f || mentions(f, "no connection waits"), "the reader would look for a wait");
	EXPECT(result.state == STATE_FINE, "a network that is well would be a problem");
	end();
}

static void test_no_names_at_all(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 4; i++)
		give_up(asker(i % 2, FIRST, i), 1 + 4 * i);
	judge(60);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(f && f->is_problem && f->confidence == CONFIDENCE_HIGH,
	       "hosts that resolve nothing would not be reported");
	EXPECT(mentions(f, "2 of 2 hosts get no name at all"), "the consequence would be missing");
	end();

	begin();
	for (i = 0; i < 4; i++) {
		struct asker a = asker(i % 2, FIRST, i);

		ask_pair(a, 1 + 4 * i);
		ask_pair(at_other(a, SECOND), 6.005 + 4 * i);
	}
	judge(60);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(mentions(f, "10.0.0.53 and 10.0.0.54 do not answer DNS"),
	       "two dead resolvers would be two faults");
	EXPECT(f && f->also_count == 1 && result.count < 3, "one fault, one finding");
	end();
}

static void refuse(struct asker a, double at)
{
	struct dns_packet q = ask(a, DNS_A, at);

	add_packet(made_error(&q, 0.0004));
}

/* The host is up and its port is closed: clients turn to the next resolver at once. */
static void test_refused(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 8; i++) {
		struct asker a = asker(i % 3, SECOND, i);

		refuse(a, 1 + 1.1 * i);
		prompt(at_other(a, FIRST), 1.0006 + 1.1 * i, 0.0008);
	}
	judge(40);
	EXPECT(!accuses(), "a refusal that costs nothing would be a fault");
	end();

	begin();
	for (i = 0; i < 8; i++) {
		struct asker a = asker(i % 3, FIRST, i);

		refuse(a, 1 + 1.1 * i);
		refuse(a, 1.001 + 1.1 * i);
		refuse(a, 4.5 + 1.1 * i);
	}
	judge(60);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(mentions(f, "refuses DNS (ICMP port unreachable)"),
	       "a service that is down would be reported as silence on the way");
	end();
}

static void test_since(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 12; i++)
		prompt(asker(i % 3, FIRST, i), 1 + i, 0.0008);
	for (i = 0; i < 8; i++)
		give_up(asker(i % 3, FIRST, i), 15 + 2.0 * i);
	judge(70);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(f && f->is_problem && !strncmp(f->text, "since ", 6),
	       "since when it is silent would not be said");
	EXPECT(mentions(f, "before that, 24 lookups were answered"), "that it once worked");
	end();
}

/* Other hosts are answered meanwhile, about the same names: a filter between. */
static void test_some_hosts(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 8; i++)
		give_up(asker(i % 2, FIRST, i), 1 + 2 * i);
	healthy(5, 5, FIRST);
	judge(70);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(f && f->is_problem && mentions(f, "of some hosts"),
	       "hosts that a firewall keeps from their resolver would be missed");
	EXPECT(f && f->affected.count == 2, "the hosts without names would not be listed");
	end();
}

/* Other causes report a zone or a type that gets no answer. */
static void test_zone_or_type(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		give_up(asker(i % 3, FIRST, 3), 1 + 3 * i);
	healthy(0, 5, FIRST);
	judge(60);
	EXPECT(!find(KIND_RESOLVER_UNANSWERED), "one silent zone would be the resolver's fault");
	end();

	begin();
	for (i = 0; i < 9; i++) {
		struct asker a = asker(i % 3, FIRST, i);

		answer(a, DNS_A, 1 + 3 * i, 0.0008);
		ask(a, DNS_AAAA, 1.00004 + 3 * i);
		answer(a, DNS_A, 6.005 + 3 * i, 0.0008);
		ask(a, DNS_AAAA, 6.006 + 3 * i);
		browse(a, 11.01 + 3 * i);
	}
	judge(60);
	EXPECT(!find(KIND_RESOLVER_UNANSWERED), "one silent type would be the resolver's fault");
	end();
}

static void test_search_list(void)
{
	const struct finding *f;
	unsigned int i, j;

	begin();
	for (i = 0; i < 6; i++)
		for (j = 0; j < 3; j++) {
			static const char *const suffixed[] = { "www.example.com.lab.corp.example",
								"www.example.com.corp.example",
								"www.example.com" };
			struct asker a = asker(i % 3, SECOND, 0), b;
			double at = 1 + 7 * i + 5.0062 * j;
			struct dns_packet q;

			a.name = suffixed[j];
			ask_pair(a, at);
			b = at_other(a, FIRST);
			if (j == 2) {
				prompt(b, at + 5.005, 0.0008);
				continue;
			}
			q = ask(b, DNS_A, at + 5.005);
			add_packet(made_reply(&q, 0.0008, DNS_NXDOMAIN));
			q = ask(b, DNS_AAAA, at + 5.005);
			add_packet(made_reply(&q, 0.0008, DNS_NXDOMAIN));
		}
	healthy(5, 2, FIRST);
	judge(80);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(mentions(f, "wait 15.0"), "a wait of 15 s would be reported as one of 5 s");
	EXPECT(mentions(f, "3 names of 5.00"), "the search list, which triples it, is unnamed");
	end();
}

/* Silence that nobody waits for, or that was not silence. */
static void test_harmless_silence(void)
{
	unsigned int i;

	begin(); /* mDNS names and single labels at a resolver that drops them */
	for (i = 0; i < 9; i++) {
		struct asker a = asker(i % 3, FIRST, 0);

		a.name = i % 2 ? "printer.local" : "wpad";
		ask(a, DNS_A, 1 + i);
		ask(a, DNS_A, 2 + i);
		ask(a, DNS_A, 4 + i);
	}
	healthy(5, 2, SECOND);
	judge(40);
	EXPECT(!accuses(), "names that no resolver knows would accuse one");
	end();

	begin(); /* a log daemon */
	for (i = 0; i < 9; i++) {
		struct asker a = asker(i % 2, FIRST, 0);
		char *name = i % 2 ? "7.1.60.10.in-addr.arpa" : "8.2.60.10.in-addr.arpa";

		a.name = name;
		ask(a, DNS_PTR, 1 + i);
		ask(a, DNS_PTR, 6.005 + i);
	}
	healthy(0, 2, SECOND);
	judge(40);
	EXPECT(!accuses(), "a log daemon waits for nobody");
	end();

	begin(); /* asked once, and the end of the run */
	healthy(5, 2, SECOND);
	ask(asker(0, FIRST, 0), DNS_A, 3);
	ask_pair(asker(1, SECOND, 1), 29.5);
	ask_pair(asker(2, SECOND, 2), 29.6);
	ask_pair(asker(3, SECOND, 3), 29.7);
	judge(30);
	EXPECT(!accuses(), "a question that had no time for an answer would be silence");
	end();

	begin(); /* one direction: the answers pass elsewhere */
	for (i = 0; i < 12; i++) {
		struct asker a = asker(i % 3, FIRST, i);

		ask_pair(a, 1 + i);
		browse(a, 1.002 + i);
	}
	judge(60);
	EXPECT(!accuses(), "answers that are not seen here would be missing ones");
	end();
}

/* Packets were lost on their way to this program: silence proves nothing. */
static void test_gap(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		give_up(asker(i % 3, FIRST, i), 1 + 2 * i);
	play(60);
	names_gap(model->names, 0, SECONDS(40));
	names_end(model->names, SECONDS(60));
	EXPECT(diagnose(&result, model, &session, &facts), "no diagnosis");
	EXPECT(!accuses(), "packets that this program lost would accuse a resolver");
	end();
}

/* A device also asks an address that drops everything, and gets its names from another one. */
static void test_asked_beside(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(0, 3, FIRST);
	for (i = 0; i < 2; i++)
		give_up(asker(0, THIRD, i), 2 + 4 * i);
	judge(60);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(!f || !f->is_problem, "a host with all its names would be without names");
	end();
}

static void test_own_resolver(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	session.own_addresses[0] = ip4(FIRST);
	session.own_address_count = 1;
	for (i = 0; i < 8; i++) {
		struct asker a = asker(i % 3, FIRST, i), up = a;
		struct dns_packet q;
		unsigned int j;

		give_up(a, 1 + 3 * i);
		for (j = 0; j < 2; j++) {
			up.port = next_port++;
			q = made_question(ip4_endpoint(0xc0000202, up.port),
					  ip4_endpoint(0xc6336435, 53), up.port, a.name, DNS_A,
					  1.0002 + 3 * i + 5.005 * j);
			q.from_gateway = q.egress = true;
			q.ifindex = 3;
			add_packet(q);
		}
	}
	judge(60);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(mentions(f, "this gateway's own resolver"), "the own resolver would be a stranger");
	EXPECT(mentions(f, "198.51.100.53"), "the upstream that is silent would not be named");
	end();
}

/* ---- resolver-slow ---- */

/* Windows asks again with the same id and port after 1 and 2 s. */
static void windows(struct asker a, double at, double after)
{
	struct dns_packet q = ask(a, DNS_A, at), reply;
	double retry;

	for (retry = 1; retry < 3 && retry < after; retry++)
		ask(a, DNS_A, at + retry);
	reply = made_answer(&q, after, ip4(SITE(a.name[0] % 50)));
	add_packet(reply);
	browse(a, at + after + 0.001);
}

static void test_slow(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		windows(asker(i % 3, FIRST, i), 1 + 3.7 * i, 3.003 + 0.001 * (i % 3));
	healthy(5, 3, FIRST);
	judge(60);
	f = find(KIND_RESOLVER_SLOW);
	EXPECT(f && f->confidence >= CONFIDENCE_MEDIUM && f->is_problem,
	       "a silent forwarder behind the resolver would be missed");
	EXPECT(mentions(f, "a timer behind it"), "the timer tells where to look");
	EXPECT(mentions(f, "9 of 9 took 3.00"), "it would be timed from the last try");
	EXPECT(!find(KIND_RESOLVER_UNANSWERED), "it answers");
	end();
}

/* dnsmasq with --strict-order and a silent first server */
static void test_second_question(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++) {
		struct asker a = asker(i % 3, FIRST, i);

		ask_pair(a, 1 + 9 * i);
		prompt(a, 6.005 + 9 * i, 0.0008);
	}
	judge(99);
	f = find(KIND_RESOLVER_SLOW);
	EXPECT(f && f->is_problem && f->confidence >= CONFIDENCE_MEDIUM,
	       "a forwarder that tries the next server only when it is asked again is missed");
	EXPECT(mentions(f, "when it is asked again, after 5.00"), "the reason of the wait");
	EXPECT(!find(KIND_RESOLVER_UNANSWERED), "it answers");
	end();
}

static void test_slow_neighbours(void)
{
	unsigned int i;

	begin(); /* one slow answer */
	healthy(0, 3, FIRST);
	windows(asker(1, FIRST, 2), 20, 3.003);
	judge(60);
	EXPECT(!accuses(), "one slow answer is nothing");
	end();

	begin(); /* far away */
	for (i = 0; i < 12; i++)
		prompt(asker(i % 3, FIRST, i), 1 + 2 * i, 0.08);
	judge(60);
	EXPECT(!accuses(), "a far resolver would be slow");
	end();

	begin(); /* less than --stall */
	for (i = 0; i < 12; i++)
		prompt(asker(i % 3, FIRST, i), 1 + 2 * i, i % 2 ? 0.6 : 0.001);
	judge(60);
	EXPECT(!accuses(), "answers within the time that the user set would be late");
	end();

	begin(); /* the first question was lost, the second one answered at once */
	healthy(0, 3, FIRST);
	for (i = 0; i < 5; i++)
		windows(asker(i % 3, FIRST, i), 20 + 2.7 * i, 1.0008);
	judge(60);
	EXPECT(!find(KIND_RESOLVER_SLOW), "a lost question would be a slow resolver");
	end();
}

/* ---- dns-tcp-blocked ---- */

static void truncate_answer(struct asker a, double at)
{
	struct dns_packet q = ask(a, DNS_A, at), reply = made_reply(&q, 0.0008, DNS_NOERROR);

	reply.message.truncated = true;
	add_packet(reply);
}

static void silent_connect(unsigned int host, unsigned int server, double at)
{
	struct connection c =
		made_handshake(ip4_endpoint(host, next_port++), ip4_endpoint(server, 53), at);

	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_TIMEOUT;
	c.syn_count = c.syn_times_count = 3;
	c.syn_times[1] = c.syn + SECONDS(1);
	c.syn_times[2] = c.syn_last = c.syn + SECONDS(3);
	c.settled = c.syn + SECONDS(10);
	c.watched = SECONDS(10);
	c.synack = c.ack = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	add_event(c.syn)->connection = c;
}

static void test_tcp_blocked(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(3, 4, FIRST);
	for (i = 0; i < 3; i++) {
		truncate_answer(asker(i, FIRST, i), 2 + 3 * i);
		silent_connect(HOST(i), FIRST, 2.0013 + 3 * i);
	}
	judge(60);
	f = find(KIND_DNS_TCP_BLOCKED);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH, "lookups that hang would be missed");
	EXPECT(mentions(f, "TCP port 53 of it is silent: 3 lookups of 3 hosts hang"),
	       "what hangs would not be said");
	EXPECT(!find(KIND_PEER_UNANSWERED) && !find(KIND_RESOLVER_UNANSWERED),
	       "one fault, one finding");
	end();

	begin(); /* TCP works */
	healthy(3, 4, FIRST);
	for (i = 0; i < 3; i++) {
		truncate_answer(asker(i, FIRST, i), 2 + 3 * i);
		connect_to(HOST(i), FIRST, 53, 2.0013 + 3 * i);
	}
	judge(60);
	EXPECT(!accuses(), "truncation that TCP repairs would be a fault");
	end();

	begin(); /* nothing is truncated */
	healthy(3, 4, FIRST);
	for (i = 0; i < 3; i++)
		silent_connect(HOST(i), FIRST, 2.0013 + 3 * i);
	judge(60);
	EXPECT(!find(KIND_DNS_TCP_BLOCKED), "a scan of port 53 would be a blocked resolver");
	end();
}

/* ---- dns-answers-lost ---- */

/* glibc: one of the two is lost; 5 s later both are asked again from the same port. */
static void lose_one(struct asker a, uint16_t lost, double at)
{
	uint16_t kept = lost == DNS_A ? DNS_AAAA : DNS_A;

	ask(a, lost, at);
	answer(a, kept, at + 0.00003, 0.0008);
	answer(a, DNS_A, at + 5.005, 0.0008);
	answer(a, DNS_AAAA, at + 5.00504, 0.0008);
	browse(a, at + 5.007);
}

static void many_pairs(void)
{
	unsigned int i;

	for (i = 0; i < 80; i++)
		prompt(asker(i % 10, FIRST, i), 1 + 0.9 * i, 0.0008);
}

static void test_race(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	many_pairs();
	for (i = 0; i < 9; i++)
		lose_one(asker(20 + i % 4, FIRST, i), i % 2 ? DNS_A : DNS_AAAA, 3 + 6.7 * i);
	judge(90);
	f = find(KIND_DNS_ANSWERS_LOST);
	EXPECT(f && f->is_problem, "the race of a NAT would be missed");
	EXPECT(mentions(f, "9 of 89 times"), "how often would not be said");
	EXPECT(mentions(f, "maybe the race of a NAT"), "a guess would be a claim");
	EXPECT(!find(KIND_RESOLVER_UNANSWERED) && !find(KIND_RESOLVER_SLOW),
	       "the resolver would be accused");
	end();

	begin();
	many_pairs();
	for (i = 0; i < 9; i++)
		lose_one(asker(20 + i % 4, FIRST, i), DNS_AAAA, 3 + 6.7 * i);
	facts.drops.is_read = true;
	facts.drops.count = 1;
	facts.drops.grown[0] =
		(struct drop_growth){ .counter = DROP_CONNTRACK_INSERT, .count = 11 };
	judge(90);
	f = find(KIND_DNS_ANSWERS_LOST);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && mentions(f, "insert_failed"),
	       "this gateway's own counter would be left out");
	end();
}

static void test_race_neighbours(void)
{
	unsigned int i;

	begin(); /* one lost */
	many_pairs();
	lose_one(asker(20, FIRST, 0), DNS_A, 33);
	judge(90);
	EXPECT(!accuses(), "one lost question is nothing");
	end();

	begin(); /* questions that are alone, and SYNs, are lost as often */
	many_pairs();
	for (i = 0; i < 5; i++)
		lose_one(asker(20 + i % 4, FIRST, i), DNS_AAAA, 3 + 6.7 * i);
	for (i = 0; i < event_count; i++)
		if (!events[i].is_packet && i % 7 == 0)
			events[i].connection.syn_count = 2;
	judge(90);
	EXPECT(!find(KIND_DNS_ANSWERS_LOST), "loss on the way would be a race of two questions");
	end();
}

static void fragment(struct asker a, double at, bool lost)
{
	static const double retries[] = { 0, 0.376, 1.128 };
	unsigned int i;

	for (i = 0; i < (lost ? 3 : 1); i++) {
		struct dns_packet q, reply;

		a.port = next_port++;
		q = ask(a, DNS_A, at + retries[i]);
		reply = made_reply(&q, 0.02, DNS_NOERROR);
		reply.first_fragment = true;
		reply.size = 1800;
		add_packet(reply);
	}
	if (lost) {
		a.port = next_port++;
		truncate_answer(a, at + 1.9);
	}
}

static void test_fragments(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(0, 4, FIRST);
	for (i = 0; i < 6; i++)
		fragment(asker(20, i % 2 ? FIRST : SECOND, i), 2 + 3 * i, true);
	judge(60);
	f = find(KIND_DNS_ANSWERS_LOST);
	EXPECT(f && mentions(f, "6 of 6 came as a first fragment"),
	       "fragments that are dropped would be missed");
	EXPECT(!find(KIND_RESOLVER_UNANSWERED), "the resolver answered");
	end();

	begin(); /* the others of the fragments come, and are never shown here */
	healthy(0, 4, FIRST);
	for (i = 0; i < 6; i++)
		fragment(asker(20, FIRST, i), 2 + 3 * i, false);
	judge(60);
	EXPECT(!accuses(), "answers in several fragments would be lost ones");
	end();
}

int main(void)
{
	test_dead_first();
	test_parallel();
	test_no_names_at_all();
	test_refused();
	test_since();
	test_some_hosts();
	test_zone_or_type();
	test_search_list();
	test_harmless_silence();
	test_gap();
	test_asked_beside();
	test_own_resolver();
	test_slow();
	test_second_question();
	test_slow_neighbours();
	test_tcp_blocked();
	test_race();
	test_race_neighbours();
	test_fragments();
	printf("resolvers: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
