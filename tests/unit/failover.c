// SPDX-License-Identifier: GPL-2.0
/* Waits that lie before the SYN: each rule, with a similar scene in which nobody is to blame. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"

#define NEVER_CUT 1e6
#define DEAD 0x0ac80709 /* 10.200.7.9 */
#define SITE(i) (0xcb007100u + 10 + (i))

/* The scene under construction: connects that begin after the end of the run are left out. */
static struct model *model;
static double run_ends;
static unsigned int noise_state;

/* Returns a number from 0 to 1: times that no timer makes, the same for each scene. */
static double noise(void)
{
	noise_state = noise_state * 1103515245 + 12345;
	return (noise_state >> 8 & 0xffff) / 65536.0;
}

static struct address ip6(unsigned int a)
{
	return (struct address){ .word = { cpu_to_be32(0x20010db8), 0, 0, cpu_to_be32(a) } };
}

static void scene(double end)
{
	model = model_new(SECOND_NS, NULL);
	if (!model)
		abort();
	run_ends = end;
	noise_state = 1;
}

static struct connection from_host(unsigned int host, struct address server, unsigned int port,
				   double at)
{
	struct endpoint client = {
		.address = is_ip4(&server) ? ip4(0x0a010400 + host) : ip6(0x400 + host),
		.port = 40000,
	};
	struct connection c =
		made_handshake(client, (struct endpoint){ .address = server, .port = port }, at);

	c.has_mac = true;
	c.mac[0] = 2;
	c.mac[5] = host;
	return c;
}

static void add(struct connection *c)
{
	if (c->syn >= SECONDS(run_ends))
		return;
	if (c->settled > SECONDS(run_ends))
		c->settled = SECONDS(run_ends);
	c->watched = c->settled - c->syn;
	model_settled(model, c);
}

static void served(unsigned int host, struct address server, unsigned int port, double at)
{
	struct connection c = from_host(host, server, port, at);

	c.wait = SECONDS(0.001);
	c.client_first = c.ack + c.wait;
	c.answer = SECONDS(0.004);
	c.server_first = c.settled = c.client_first + c.answer;
	add(&c);
}

static void page(unsigned int host, unsigned int site, double at)
{
	served(host, ip4(SITE(site)), 80, at);
}

/* Opened, and closed without a byte. */
static void probe_only(unsigned int host, struct address server, unsigned int port, double at)
{
	struct connection c = from_host(host, server, port, at);

	c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.fin = c.settled = c.ack + SECONDS(0.001);
	c.end_reason = END_FIN;
	add(&c);
}

/* SYNs without an answer, at these seconds after the first; -1 ends the list. */
static void in_vain(unsigned int host, struct address server, unsigned int port, double at,
		    const double *syns)
{
	struct connection c = from_host(host, server, port, at);
	unsigned int n = 0;

	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_TIMEOUT;
	for (; n < SYN_TIMES && syns[n] >= 0 && at + syns[n] < run_ends; n++)
		c.syn_times[n] = c.syn_last = SECONDS(at + syns[n]);
	c.syn_count = c.syn_times_count = n;
	c.settled = c.syn_last + SECONDS(130);
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	add(&c);
}

/* Refused again and again, as one connect. */
static void refused(unsigned int host, struct address server, unsigned int port, double at,
		    double for_seconds)
{
	struct connection c = from_host(host, server, port, at);

	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.syn_last = c.syn_times[1] = SECONDS(at + for_seconds);
	c.syn_count = c.syn_times_count = c.attempts = 2;
	c.rst = c.settled = c.syn_last + SECONDS(0.0005);
	c.rst_from = SIDE_SERVER;
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	add(&c);
}

static const double old_windows[] = { 0, 3, 9, -1 };
static const double two_seconds[] = { 0, 1, 2, -1 };
static const double two_syns[] = { 0, 1, -1 };
static const double almost_five[] = { 0, 1.53, -1 };
static const double three_seconds[] = { 0, 1.02, 3.07, -1 };
static const double five_seconds[] = { 0, 1, 2, 3, 4, -1 };
static const double goes_on[] = { 0, 1, 2, 3, 4, 5, 7, -1 };

static struct diagnosis result;

static void run(void)
{
	struct session session = { .duration = model->last };
	struct host_facts facts = {};

	EXPECT(diagnose(&result, model, &session, &facts), "a diagnosis");
}

static void done(void)
{
	diagnosis_free(&result);
	model_free(model);
}

static const struct finding *find(enum finding_kind kind)
{
	return find_kind(&result, kind);
}

static const struct finding *find_wait(void)
{
	const struct finding *f = find(KIND_HELD_BEFORE_CONNECT);

	f = f ? f : find(KIND_FAILOVER_CHAIN);
	return f ? f : find(KIND_BROKEN_IPV6);
}

static bool is_about(ns_t t, double seconds)
{
	return llabs(t - SECONDS(seconds)) < SECONDS(0.1);
}

/* ---- a connect that is held, and what looks alike ---- */

/* A helper on two hosts holds each connect for 4 s; two hosts have none. */
static void held_office(double end)
{
	unsigned int i, host;
	double at;

	scene(end);
	for (host = 1; host < 5; host++)
		for (at = 0.3 * host, i = 0; i < 12; i++, at += 1.5 + 2 * noise()) {
			if (host < 3) {
				in_vain(host, ip4(DEAD), 5274, at, three_seconds);
				at += 4 + 0.002 * noise();
			}
			page(host, i % 4, at);
		}
}

static void test_held(void)
{
	const struct finding *f;

	held_office(NEVER_CUT);
	run();
	f = find(KIND_HELD_BEFORE_CONNECT);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 4) && f->hosts_hurt == 2,
	       "a helper that holds connect() is missed");
	EXPECT(f && has_line(f, "significance"), "the reader cannot judge the two chances");
	EXPECT(f == &result.at[0] && !find(KIND_PEER_UNANSWERED),
	       "the silence of the peer hides the wait for it");
	done();
}

/* The run may end at any time: from the third observation on, the finding is the same. */
static void test_end_of_run(void)
{
	unsigned int early = 0, changed = 0;
	const struct finding *f;
	double end;

	for (end = 12; end < 60; end += 0.1) {
		held_office(end);
		run();
		f = find_wait();
		if (!f)
			early++;
		else if (f->confidence != CONFIDENCE_HIGH || f->correlated != f->stalls)
			changed++;
		EXPECT(f || end < 20, "the end of the run hides the culprit");
		done();
	}
	EXPECT(!changed, "an attempt that still goes on counts against the culprit");
	EXPECT(early < 80, "three observations are enough");
}

/* A beacon while the host waits for something else for 5 s; its SYNs show when it gave up. */
static void beacon(const double *syns, double spread)
{
	unsigned int i;
	double at = 1;

	scene(NEVER_CUT);
	for (i = 0; i < 12; i++, at += 5.3 + 3 * noise()) {
		in_vain(1, ip4(DEAD), 443, at + spread * noise(), syns);
		page(1, i % 3, at + 5);
	}
}

static void test_given_up(void)
{
	const struct finding *f;

	beacon(two_seconds, 0);
	run();
	EXPECT(!find_wait(), "an attempt that was given up after 3 s is blamed for a wait of 5 s");
	done();
	beacon(two_syns, 0);
	run();
	EXPECT(!find_wait(), "the SYN at 3 s did not come, and the wait for it ended at 5 s");
	done();
	beacon(almost_five, 0);
	run();
	EXPECT(!find_wait(), "an attempt whose SYN was due 0.4 s before is blamed");
	done();
	beacon(five_seconds, 0);
	run();
	f = find_wait();
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 5),
	       "an attempt that was pending until then is missed");
	done();
	beacon(five_seconds, 0.3);
	run();
	EXPECT(!find_wait(), "a spread of 70 ms is taken for a timer");
	done();
	beacon(goes_on, 0);
	run();
	f = find_wait();
	EXPECT(!f || f->confidence < CONFIDENCE_HIGH,
	       "an attempt that goes on after the wait is surely blamed for it");
	done();
}

/* Pages in a rhythm of the host, and attempts that accompany some or all of them. */
static void rhythm(double period, double jitter, unsigned int one_in, const double *syns)
{
	unsigned int i, host;
	double at;

	scene(NEVER_CUT);
	for (host = 1; host < 4; host++)
		for (at = 0.2 * host, i = 0; i < 30; i++, at += period + 0.001 * noise()) {
			page(host, i % 3, at);
			if (i % one_in == 0)
				in_vain(host, ip4(DEAD), 443, at + 0.001 + jitter * noise(), syns);
		}
}

static void test_rhythm(void)
{
	const struct finding *f;

	rhythm(2.3, 0.0005, 3, three_seconds);
	run();
	EXPECT(!find_wait(), "connects that come every 2.3 s anyway are taken for a chain");
	done();
	rhythm(2.3, 0.04, 1, three_seconds);
	run();
	EXPECT(!find_wait(), "the rhythm is steadier than the delay since the attempt");
	done();
	rhythm(2.3, 0.0005, 1, three_seconds);
	run();
	f = find_wait();
	EXPECT(!f || f->confidence == CONFIDENCE_LOW, "the attempts merely accompany the pages");
	done();
	rhythm(72, 0.0005, 1, old_windows);
	run();
	EXPECT(!find_wait(), "a clock of 72 s is taken for a wait long after the attempt failed");
	done();
}

/* A page and a dead server, each by a clock of the same period; or tried at no fixed times. */
static void two_clocks(unsigned int port, double pause)
{
	unsigned int i, host;
	double at;

	scene(NEVER_CUT);
	for (host = 1; host < 4; host++) {
		served(host, ip4(SITE(0)), 80, 0.2 * host);
		for (at = 0.2 * host, i = 0; i < 12; i++, at += 2 + pause * noise()) {
			in_vain(host, ip4(DEAD), port, at + 0.61 + 0.0005 * noise(), two_syns);
			served(host, ip4(SITE(0)), 80, at + 2 + 0.001 * noise());
		}
	}
}

static void test_two_clocks(void)
{
	const struct finding *f;

	two_clocks(80, 0);
	run();
	f = find_wait();
	EXPECT(!f || f->confidence == CONFIDENCE_LOW,
	       "two clocks at a constant offset are a chain");
	EXPECT(!f || has_line(f, "against"), "what speaks against it");
	done();
	two_clocks(443, 0);
	run();
	f = find_wait();
	EXPECT(!f || f->confidence == CONFIDENCE_LOW, "the same, for another port");
	done();
	two_clocks(80, 3);
	run();
	f = find(KIND_FAILOVER_CHAIN);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 1.39),
	       "a page that follows each attempt, whenever it comes, waits for it");
	done();
}

/* One connect comes by chance where a chain has a member. */
static void test_chain_among_others(void)
{
	const struct finding *f;
	unsigned int i, j, host;
	double at;

	scene(NEVER_CUT);
	for (host = 1; host < 4; host++)
		for (at = host, i = 0; i < 3; i++, at += 9 + 6 * noise()) {
			for (j = 0; j < 3; j++)
				in_vain(host, ip4(DEAD + j), 389, at + 1.8 * j + 0.0005 * noise(),
					two_syns);
			served(host, ip4(DEAD + 10), 389, at + 5.401);
			if (host == 1 && !i)
				page(host, i, at + 1.81);
		}
	run();
	f = find(KIND_FAILOVER_CHAIN);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 5.4) &&
		       f->also_count == 2 && f->correlated == 9,
	       "a page at the time of an attempt ends the chain");
	done();
}

/* Two attempts one after another, which the end of the run cuts off; pages come in between. */
static void test_cut_off(void)
{
	const struct finding *f;
	unsigned int host;

	scene(16);
	for (host = 1; host < 60; host++) {
		double at = 2 * noise();

		in_vain(host, ip4(DEAD), 443, at, three_seconds);
		if (host % 15 == 0)
			page(host, host % 3, at + 11.8 + 0.1 * noise());
		else
			in_vain(host, ip4(DEAD), 443, at + 11.825 + 0.003 * noise(), three_seconds);
	}
	run();
	f = find_wait();
	EXPECT(!f || f->confidence == CONFIDENCE_LOW,
	       "a few pages are taken for the end of chains that go on");
	done();
}

/* Two observations prove no timer. */
static void test_two(void)
{
	unsigned int i;

	scene(NEVER_CUT);
	for (i = 0; i < 2; i++) {
		in_vain(1, ip4(DEAD), 5274, 20 * i, three_seconds);
		page(1, i, 20 * i + 4);
	}
	run();
	EXPECT(!find_wait(), "two coincidences accuse a peer");
	done();
}

/* ---- chains ---- */

/* Three dead addresses of 21 s each, then one that lives. */
static void dead_addresses(bool rotates, double end)
{
	unsigned int i, j, host;
	double at;

	scene(end);
	for (host = 1; host < 4; host++)
		for (at = host, i = 0; i < 5; i++, at += 70 + 20 * noise()) {
			for (j = 0; j < 3; j++)
				in_vain(host, ip4(DEAD + (rotates ? (i + j) % 3 : j)), 389,
					at + 21 * j + 0.002 * noise(), old_windows);
			served(host, ip4(DEAD + 10), 389, at + 63.003);
			page(host, i, at + 64 + noise());
		}
}

static void test_dead_addresses(void)
{
	const struct finding *f;
	double end;

	dead_addresses(false, NEVER_CUT);
	run();
	f = find(KIND_FAILOVER_CHAIN);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 63) &&
		       f->also_count == 2 && f->correlated == 15,
	       "only the last attempt of the chain is reported");
	EXPECT(f && mentions(f, "(3 x 21.00"), "what the total consists of");
	EXPECT(f && has_line(f, "parts"), "the part of each address");
	EXPECT(result.count && f == &result.at[0] && !find(KIND_PEER_UNANSWERED),
	       "the members of the chain are reported once more");
	done();

	dead_addresses(true, NEVER_CUT);
	run();
	f = find(KIND_FAILOVER_CHAIN);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 63) &&
		       f->also_count == 2,
	       "addresses in rotation are judged one by one");
	done();

	for (end = 260; end < 400; end += 7.7) {
		dead_addresses(false, end);
		run();
		f = find(KIND_FAILOVER_CHAIN);
		EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 63) &&
			       f->also_count == 2,
		       "the end of the run changes the chain");
		done();
	}
}

/* Three dead peers and pages, all independent of each other. */
static void test_independent(void)
{
	unsigned int i, j, host;
	double at;

	scene(NEVER_CUT);
	for (host = 1; host < 4; host++) {
		for (j = 0; j < 3; j++)
			for (at = 30 * noise(), i = 0; i < 12; i++, at += 20 + 40 * noise())
				in_vain(host, ip4(DEAD + j), 389, at, old_windows);
		for (at = 0, i = 0; i < 60; i++, at += 20 * noise())
			page(host, i % 5, at);
	}
	run();
	EXPECT(!find_wait(), "three dead peers that nobody waits for are taken for a chain");
	done();
}

/* A dead proxy is tried twice; meanwhile the next one is only probed. */
static void test_same_peer_twice(void)
{
	const struct finding *f;
	unsigned int i, host;
	double at;

	scene(NEVER_CUT);
	for (host = 1; host < 5; host++)
		for (at = 11 * host, i = 0; i < 2; i++, at += 230) {
			in_vain(host, ip4(DEAD), 8080, at, old_windows);
			probe_only(host, ip4(DEAD + 1), 8080, at + 39.98);
			in_vain(host, ip4(DEAD), 8080, at + 40, old_windows);
			served(host, ip4(DEAD + 1), 8080, at + 80);
			served(host, ip4(DEAD + 1), 8080, at + 91 + noise());
		}
	run();
	f = find_wait();
	EXPECT(f && f->confidence >= CONFIDENCE_MEDIUM && is_about(f->timer, 80) &&
		       f->correlated == 8 && f->hosts_hurt == 4,
	       "the wait is twice as long as it is said to be");
	EXPECT(f && mentions(f, "(40.000 s twice)") && f == &result.at[0], "its parts");
	done();
}

/* A helper that holds connect() tries its server twice, or two servers with timers of their own. */
static void test_helper_in_parts(void)
{
	static const double one_second[] = { 0, 1, -1 };
	const struct finding *f;
	unsigned int i, host, two;
	double at;

	for (two = 0; two < 2; two++) {
		scene(NEVER_CUT);
		for (host = 1; host < 4; host++)
			for (at = host, i = 0; i < 6; i++, at += 9 + 6 * noise()) {
				in_vain(host, ip4(DEAD), 5274, at, one_second);
				in_vain(host, ip4(DEAD + two), 5274, at + 2.5,
					two ? three_seconds : one_second);
				page(host, i % 4, at + (two ? 6.5 : 5) + 0.002 * noise());
			}
		run();
		f = find(KIND_HELD_BEFORE_CONNECT);
		EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, two ? 6.5 : 5) &&
			       f->correlated == 18 && f->also_count == two,
		       "a part of the wait is taken for the whole");
		EXPECT(f && mentions(f, two ? "(several connects in turn)" : "(2.500 s twice)"),
		       "its parts");
		done();
	}
}

/* A dead peer is tried by the clock, and people open pages. */
static void test_by_the_clock(void)
{
	unsigned int i, host;
	double at;

	scene(NEVER_CUT);
	for (host = 1; host < 9; host++) {
		for (at = 5 * noise(), i = 0; i < 40; i++, at += 18.85)
			in_vain(host, ip4(DEAD), 8913, at, old_windows);
		for (at = 0, i = 0; i < 60; i++, at += 25 * noise())
			page(host, i % 5, at);
	}
	run();
	EXPECT(!find_wait(), "a peer that is tried by the clock is taken for a chain");
	done();
}

/* ---- refusals ---- */

static void test_refused(void)
{
	const struct finding *f;
	unsigned int i;
	double at;

	scene(NEVER_CUT);
	for (at = 0, i = 0; i < 6; i++, at += 17 + noise()) {
		refused(1, ip4(DEAD), 389, at, 1);
		served(1, ip4(DEAD + 1), 389, at + 1.52);
	}
	run();
	f = find_wait();
	EXPECT(f && mentions(f, "refuses connections") && !mentions(f, "does not answer"),
	       "a host that refuses connects is said to be silent");
	done();
}

/* ---- IPv6 ---- */

/* Hosts 1 and 2 race both families, host 3 waits for IPv6 for 5 s. */
static void dual_stack(bool one_waits)
{
	unsigned int i, host;
	double at, delay;

	scene(NEVER_CUT);
	for (host = 1; host < 4; host++)
		for (at = 0.1 * host, i = 0; i < 8; i++, at += 1 + noise()) {
			bool waits = one_waits && host == 3;

			delay = waits ? 5 + 0.01 * noise() : 0.2;
			in_vain(host, ip6(i % 2), 80, at,
				waits ? five_seconds : (double[]){ 0, -1 });
			at += delay;
			served(host, ip4(SITE(i % 2)), 80, at);
		}
}

static void test_ipv6(void)
{
	const struct finding *f;

	dual_stack(true);
	run();
	f = find(KIND_BROKEN_IPV6);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 5) && f->hosts_hurt == 1,
	       "hosts that fall back fast hide the host that waits");
	EXPECT(f && f->also_count == 1 && f == &result.at[0], "both addresses");
	done();
	dual_stack(false);
	run();
	EXPECT(!find(KIND_BROKEN_IPV6), "nobody waits for IPv6");
	done();
}

/* A refused IPv6 address costs as long as the client repeats its SYN, and a moment. */
static void test_ipv6_refused(void)
{
	const struct finding *f;
	unsigned int i, host;

	scene(NEVER_CUT);
	for (i = 0; i < 14; i++) {
		host = 1 + i % 4;
		refused(host, ip6(7), 8080, 5 * i, 1.5);
		served(host, ip4(SITE(7)), 8080, 5 * i + 2.02);
	}
	run();
	f = find(KIND_BROKEN_IPV6);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && is_about(f->timer, 2.02) &&
		       f->correlated == 14 && mentions(f, "is refused, and"),
	       "a refused IPv6 address that costs 2 s is missed");
	done();

	scene(NEVER_CUT);
	for (i = 0; i < 14; i++) {
		host = 1 + i % 4;
		refused(host, ip6(7), 8080, 5 * i, 0.85);
		served(host, ip4(SITE(7)), 8080, 5 * i + 0.9);
	}
	run();
	EXPECT(!find(KIND_BROKEN_IPV6), "a refusal that costs less than a stall is harmless");
	done();
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_held();
	test_end_of_run();
	test_given_up();
	test_rhythm();
	test_two_clocks();
	test_two();
	test_dead_addresses();
	test_independent();
	test_chain_among_others();
	test_cut_off();
	test_same_peer_twice();
	test_helper_in_parts();
	test_by_the_clock();
	test_refused();
	test_ipv6();
	test_ipv6_refused();
	printf("failover: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
