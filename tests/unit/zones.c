// SPDX-License-Identifier: GPL-2.0
/*
 * Zones and types that a resolver does not answer, and lookups as what stalls wait for: each finding,
 * and neighbours that look similar and must not be accused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "name_scene.h"
#include "diagnose/traits.h"

static const char *const corp[] = { "wiki.corp.example", "erp.corp.example", "git.corp.example" };

static struct asker for_name(unsigned int host, const char *name)
{
	return (struct asker){ HOST(host), FIRST, name, next_port++ };
}

static bool is_accused(void)
{
	const struct finding *type = find(KIND_TYPE_UNANSWERED), *zone = find(KIND_ZONE_UNANSWERED);

	return (type && type->is_problem) || (zone && zone->is_problem);
}

/* ---- zone-unanswered ---- */

static void test_silent_zone(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(0, 5, FIRST);
	healthy(5, 5, FIRST);
	for (i = 0; i < 9; i++)
		prompt(for_name(i % 4, corp[i % 3]), 1.5 + 2 * i, 0.0008);
	for (i = 0; i < 9; i++)
		give_up(for_name(i % 4, corp[i % 3]), 21.7 + 1.1 * i);
	for (i = 0; i < 12; i++)
		prompt(asker(i % 9, FIRST, i % 3), 22 + 1.3 * i, 0.0008);
	judge(60);
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->is_problem,
	       "a zone without an answer would be missed");
	EXPECT(mentions(f, "names under corp.example get no answer from 10.0.0.53"),
	       "which zone, and at which resolver, would not be said");
	EXPECT(mentions(f, "4 hosts wait 5.005 s in vain"), "the cost would be missing");
	EXPECT(f && says(f, "when", "answered before"), "that it worked before would be missing");
	EXPECT(f && f->affected.count == 4 && f->peer.zone, "the wrong hosts, or no zone");
	EXPECT(!find(KIND_TYPE_UNANSWERED) && !find(KIND_RESOLVER_UNANSWERED),
	       "one fault, one finding");
	EXPECT(result.state == STATE_PROBLEM, "the report would say that nothing is wrong");
	end();
}

/* Two names do not make a zone in which a third one is answered. */
static void test_siblings(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(5, 5, FIRST);
	for (i = 0; i < 4; i++) {
		give_up(for_name(i, "a.example.com"), 2 + 2 * i);
		give_up(for_name(i, "b.example.com"), 3 + 2 * i);
		prompt(for_name(i, "c.example.com"), 2.5 + 2 * i, 0.0008);
	}
	judge(60);
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(f && !says(f, NULL, "names under"), "a zone that answers would be accused");
	EXPECT(mentions(f, "example.com gets no answer"), "a silent name would be missed");
	end();
}

/* Names below co.uk have different owners, so they share no zone. */
static void test_registry(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(5, 5, FIRST);
	for (i = 0; i < 4; i++) {
		give_up(for_name(i, "www.one.co.uk"), 2 + 2 * i);
		give_up(for_name(i, "www.two.co.uk"), 3 + 2 * i);
	}
	judge(60);
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(f && !says(f, NULL, "under co.uk"), "a whole registry would be accused");
	end();
}

/* A resolver without a way out still answers the names that it knows itself. */
static void test_most_names(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 20; i++)
		prompt(for_name(i % 5, corp[i % 3]), 1 + 1.1 * i, 0.0008);
	for (i = 0; i < 24; i++)
		if (i % NAMES != 3)
			give_up(asker(i % 5, FIRST, i), 1.4 + 0.7 * i);
	judge(60);
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(mentions(f, "most names get no answer from 10.0.0.53"),
	       "one fault would be as many as there are names");
	EXPECT(result.count == 1 || !result.at[1].is_problem, "one fault, one finding");
	end();
}

static void test_lost_question(void)
{
	unsigned int i;

	begin();
	healthy(0, 10, FIRST);
	for (i = 0; i < 2; i++) {
		struct asker a = for_name(i, corp[0]);

		ask_pair(a, 5 + 3 * i);
		prompt(a, 10.005 + 3 * i, 0.0008);
	}
	judge(60);
	EXPECT(!find(KIND_ZONE_UNANSWERED) && !find(KIND_TYPE_UNANSWERED),
	       "a lost packet would be a silent zone");
	end();

	begin();
	healthy(0, 10, FIRST);
	give_up(for_name(1, corp[0]), 5);
	judge(60);
	EXPECT(!find(KIND_ZONE_UNANSWERED), "a single lookup would be a silent zone");
	end();
}

/* The run ends before anything can be said about the last lookups. */
static void test_end_of_run(void)
{
	unsigned int i;

	begin();
	healthy(0, 10, FIRST);
	for (i = 0; i < 5; i++)
		ask_pair(for_name(i, corp[i % 3]), 38.1 + 0.3 * i);
	judge(40);
	EXPECT(!find(KIND_ZONE_UNANSWERED), "the end of the run would make a fault");
	end();
}

static void fail_after(struct asker a, double at, double after)
{
	struct dns_packet q = ask(a, DNS_A, at);

	add_packet(made_reply(&q, after, DNS_SERVFAIL));
}

static void test_servfail(void)
{
	const struct finding *f;
	unsigned int i, prompt_failure;

	for (prompt_failure = 0; prompt_failure < 2; prompt_failure++) {
		begin();
		healthy(0, 10, FIRST);
		for (i = 0; i < 6; i++) {
			struct asker a = for_name(i, i % 2 ? "files.partner.example"
							   : "portal.partner.example");
			double after = prompt_failure ? 0.001 : 4;

			fail_after(a, 2 + 3 * i, after);
			a.port = next_port++;
			fail_after(a, 2.003 + 3 * i + after, after);
		}
		judge(60);
		f = find(KIND_ZONE_UNANSWERED);
		EXPECT((f == NULL) == prompt_failure,
		       "only a timer shows that something is silent");
		EXPECT(!f || mentions(f, "names under partner.example fail: 10.0.0.53 gives up "
					 "after 4.000 s (SERVFAIL), and 6 hosts wait 8.003 s in "
					 "vain"),
		       "the timer and the cost would be missing");
		end();
	}
}

/* Names that nobody expects an answer for, and lookups of programs that need none. */
static void test_harmless_names(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(5, 5, FIRST);
	for (i = 0; i < 6; i++) {
		give_up(for_name(i % 3, "printer.local"), 2 + 2 * i);
		give_up(for_name(i % 3, "use-application-dns.net"), 3 + 2 * i);
	}
	judge(60);
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(!is_accused(), "mDNS and canaries would be a fault");
	EXPECT(!mentions(f, "printer.local"), "mDNS is no name of a resolver");
	EXPECT(result.state == STATE_FINE, "a network that is well would be a problem");
	end();

	begin();
	healthy(5, 5, FIRST);
	for (i = 0; i < 8; i++) {
		char name[40];
		struct asker a;

		snprintf(name, sizeof(name), "%u.7.60.10.in-addr.arpa", 10 + i);
		a = for_name(1, name);
		ask(a, DNS_PTR, 2 + 2 * i);
		ask(a, DNS_PTR, 7 + 2 * i);
		snprintf(name, sizeof(name), "%u.1.60.10.in-addr.arpa", 10 + i);
		answer(for_name(1, name), DNS_PTR, 2.5 + 2 * i, 0.0008);
	}
	judge(60);
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(f && !f->is_problem && f->confidence <= CONFIDENCE_MEDIUM,
	       "a log daemon that nobody waits for would be a fault");
	EXPECT(mentions(f, "PTR questions about 10.60.7.0/24"), "a prefix is what engineers know");
	EXPECT(!find(KIND_TYPE_UNANSWERED), "other PTR questions are answered");
	end();
}

/* ---- type-unanswered ---- */

static void test_silent_type(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++) {
		struct asker a = asker(i % 3, FIRST, i);
		double at = 1 + 3.3 * i;

		answer(a, DNS_A, at, 0.0008);
		ask(a, DNS_AAAA, at + 0.0001);
		ask(a, DNS_AAAA, at + 5.0);
		browse(a, at + 5.002);
	}
	for (i = 0; i < 18; i++) {
		struct asker a = asker(4 + i % 4, FIRST, i);

		answer(a, DNS_A, 1.2 + 1.7 * i, 0.0008);
		browse(a, 1.202 + 1.7 * i);
	}
	judge(60);
	f = find(KIND_TYPE_UNANSWERED);
	EXPECT(f && f->is_problem && f->confidence == CONFIDENCE_HIGH,
	       "a filter of AAAA questions would be missed");
	EXPECT(mentions(f, "AAAA questions get no answer from 10.0.0.53") &&
		       mentions(f, "3 hosts wait 5.00"),
	       "who waits how long for what");
	EXPECT(!find(KIND_ZONE_UNANSWERED) && !find(KIND_RESOLVER_UNANSWERED),
	       "one fault, one finding");
	end();
}

/* Browsers ask for HTTPS records and do not wait for them. */
static void test_type_without_cost(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 18; i++) {
		struct asker a = asker(i % 6, FIRST, i);
		double at = 1 + 1.7 * i;

		ask(a, DNS_HTTPS, at);
		answer(a, DNS_A, at + 0.0001, 0.0008);
		browse(a, at + 0.013);
		ask(at_other(a, FIRST), DNS_HTTPS, at + 1.0);
	}
	judge(60);
	f = find(KIND_TYPE_UNANSWERED);
	EXPECT(!f || (!f->is_problem && f->confidence <= CONFIDENCE_MEDIUM),
	       "silence that nobody waits for would be a fault");
	EXPECT(!f || mentions(f, "nobody is seen to wait"), "the reader would look for a wait");
	EXPECT(result.state == STATE_FINE, "a network that is well would be a problem");
	end();
}

/* ---- lookups that stalls wait for ---- */

static struct connection stalled(unsigned int host, unsigned int server, double at, double wait)
{
	struct connection c = made_handshake(ip4_endpoint(HOST(host), next_port++),
					     ip4_endpoint(server, 443), at);

	make_served(&c, wait, 0.02);
	return c;
}

/* A scanner asks for what it scans, as Windows does in vain: at 0, 1, 2 and 4 s. */
static void scan(unsigned int host, unsigned int n, double at)
{
	static const double tries[] = { 0, 1, 2, 4 };
	char name[40];
	struct asker a;
	unsigned int i;

	snprintf(name, sizeof(name), "f%u.avqs.scanner.example", n);
	a = for_name(host, name);
	for (i = 0; i < 4; i++)
		ask(a, DNS_A, at + tries[i]);
}

static void test_lock(void)
{
	const struct finding *f;
	unsigned int i, mode;

	for (mode = 0; mode < 2; mode++) {
		begin();
		session.names_mode = mode ? NAMES_NONE : NAMES_EVIDENCE;
		healthy(0, 8, FIRST);
		for (i = 0; i < 12; i++) {
			struct connection c =
				stalled(i % 4, SITE(i % 5), 3 + 4.37 * i, 5.0 + 0.001 * (i % 3));

			add_event(c.syn)->connection = c;
			scan(i % 4, i, 3.012 + 4.37 * i);
		}
		judge(80);
		f = find(KIND_WAITS_FOR_PEER);
		EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->hosts_hurt == 4,
		       "a scanner that asks DNS would not be found");
		EXPECT(mentions(f, mode ? "names under name#1 get no answer from 10.0.0.53"
					: "names under avqs.scanner.example get no answer from "
					  "10.0.0.53") &&
			       mentions(f, "4 of 8 hosts wait 5.00"),
		       "what the stalls wait for would not be named");
		EXPECT(!mode || !mentions(f, "scanner"), "a name would leave the process");
		EXPECT(f && f->example.asks_name, "questions would be shown as SYNs");
		EXPECT(!find(KIND_ZONE_UNANSWERED) && !find(KIND_TIMER_UNEXPLAINED),
		       "one fault, one finding");
		end();
	}
}

/* Lookups in vain at other times, and people who think: they have nothing to do with each other. */
static void test_no_lock(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	healthy(0, 8, FIRST);
	for (i = 0; i < 12; i++) {
		struct connection c =
			stalled(i % 4, SITE(i % 5), 3 + 5.17 * i, 1.3 + 0.61 * ((i * 7) % 11));

		add_event(c.syn)->connection = c;
		scan(i % 4, i, 1 + 4.9 * i);
	}
	judge(80);
	f = find(KIND_WAITS_FOR_PEER);
	EXPECT(!f || f->confidence == CONFIDENCE_LOW, "chance would be a lock");
	EXPECT(!find(KIND_HELD_BEFORE_CONNECT), "chance would hold connects");
	end();
}

/* A connect that waits for the name of its server is not held by another lookup. */
static void test_own_name(void)
{
	struct asker a;
	unsigned int i;

	begin();
	for (i = 0; i < 12; i++) {
		fail_over(asker(i % 4, SECOND, i), FIRST, 1 + 6.1 * i, 5.003);
		/* names that the browser fetches ahead, which nobody uses */
		a = asker(i % 4, SECOND, i + 1);
		ask_pair(a, 1.01 + 6.1 * i);
		answer(at_other(a, FIRST), DNS_A, 6.015 + 6.1 * i, 0.0008);
	}
	healthy(5, 5, FIRST);
	judge(90);
	EXPECT(find(KIND_RESOLVER_UNANSWERED), "a dead first resolver would be missed");
	EXPECT(!find(KIND_HELD_BEFORE_CONNECT) && !find(KIND_WAITS_FOR_PEER),
	       "one fault would be two");
	end();
}

/* ---- greetings ---- */

static void test_greeting(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 12; i++) {
		bool late = i % 2;
		unsigned int client = (late ? 0x0a3c0700u : 0x0a3c0100u) + 10 + i / 2;
		struct connection c = made_handshake(ip4_endpoint(client, next_port++),
						     ip4_endpoint(HOST(99), 25), 2 + 11.3 * i);
		struct asker a;
		char name[40];

		snprintf(name, sizeof(name), "%u.%u.60.10.in-addr.arpa", 10 + i / 2, late ? 7 : 1);
		a = for_name(99, name);
		if (late) {
			ask(a, DNS_PTR, 2.0112 + 11.3 * i);
			ask(a, DNS_PTR, 7.0162 + 11.3 * i);
		} else {
			answer(a, DNS_PTR, 2.0112 + 11.3 * i, 0.0008);
		}
		c.banner = SECONDS(late ? 10.01 : 0.006);
		c.server_first = c.settled = c.ack + c.banner;
		c.watched = c.settled - c.syn;
		c.server_payload = (struct payload){ .mss = 1460, .size = 60, .acked = true };
		c.server_payload.has_first_byte = true;
		c.server_payload.first_byte = '2';
		add_event(c.syn)->connection = c;
	}
	judge(160);
	f = find(KIND_LATE_BANNER);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH,
	       "half of the greetings are late for a reason");
	EXPECT(mentions(f, "its question for the name of the client gets no answer"),
	       "the reason would be a guess");
	f = find(KIND_ZONE_UNANSWERED);
	EXPECT(f && f->is_problem && mentions(f, "about 10.60.7.0/24") &&
		       mentions(f, "greets up to 10.0"),
	       "which zone is silent, and what it costs");
	EXPECT(!find(KIND_TYPE_UNANSWERED), "other PTR questions are answered");
	end();
}

/* ---- the first resolver ---- */

static void test_trait(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 18; i++)
		fail_over(asker(i % 9, SECOND, i), FIRST, 1 + 3.1 * i, 5.003);
	healthy(20, 12, FIRST);
	judge(90);
	f = find(KIND_RESOLVER_UNANSWERED);
	EXPECT(f && f->comparison.common_count && f->comparison.common[0].trait == TRAIT_RESOLVER &&
		       !strcmp(f->comparison.common[0].value, "10.0.0.54"),
	       "what the hosts that wait have in common would be missing");
	end();
}

int main(void)
{
	test_silent_zone();
	test_siblings();
	test_registry();
	test_most_names();
	test_lost_question();
	test_end_of_run();
	test_servfail();
	test_harmless_names();
	test_silent_type();
	test_type_without_cost();
	test_lock();
	test_no_lock();
	test_own_name();
	test_greeting();
	test_trait();
	printf("zones: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
