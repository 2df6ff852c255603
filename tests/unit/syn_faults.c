// SPDX-License-Identifier: GPL-2.0
/*
 * Lost SYNs: what they have in common is found, and where they have nothing in common nothing is
 * accused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"

#define POPULATIONS 1000
#define MOST_WRONG 5

static const struct session session = { .start = { 1700000000, 0 }, .duration = SECONDS(600) };
static const struct host_facts facts;

#define HOST(i) (0x0a010000u + 10 + (unsigned int)(i))
#define SITE(i) (0xcb007100u + 10 + (unsigned int)(i))

/* A connect that is served at once. */
static struct connection served(unsigned int host, unsigned int server, unsigned int port,
				double at)
{
	struct connection c =
		made_handshake(ip4_endpoint(HOST(host), port), ip4_endpoint(SITE(server), 443), at);

	c.client_isn = host * 65536 + port;
	c.has_mac = true;
	c.mac[0] = 2;
	c.mac[4] = (uint8_t)(host >> 8);
	c.mac[5] = (uint8_t)host;
	make_served(&c, 0, 0.02);
	c.synack_window = 65535;
	c.syn_traits.ttl = 64;
	c.syn_traits.has_timestamp = true;
	return c;
}

/* Loses the first SYNs: the connect is answered by the one after them. */
static struct connection again(struct connection c, unsigned int lost)
{
	ns_t later = 0;
	unsigned int i;

	for (i = 1; i <= lost; i++) {
		later += SECONDS(1U << (i - 1));
		c.syn_times[i] = c.syn + later;
	}
	c.syn_count = c.syn_times_count = lost + 1;
	c.syn_last = c.syn + later;
	c.synack += later;
	c.ack += later;
	c.client_first += later;
	c.server_first += later;
	c.settled += later;
	c.watched += later;
	c.server_round_trip = NEVER;
	return c;
}

/* SYNs at 0, 1, 3 and 7 s, and no answer. */
static struct connection silent(struct connection c)
{
	c = again(c, 3);
	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_OF_RUN;
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.client_round_trip = NEVER;
	c.synack_count = 0;
	c.client_payload = c.server_payload = (struct payload){};
	c.settled = c.syn + SECONDS(15);
	c.watched = SECONDS(15);
	return c;
}

static struct connection refused(struct connection c)
{
	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.rst = c.settled = c.syn + SECONDS(0.01);
	c.rst_from = SIDE_SERVER;
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	c.client_payload = c.server_payload = (struct payload){};
	return c;
}

static struct connection with_ecn(struct connection c)
{
	c.syn_traits.ecn = true;
	return c;
}

static void add(struct model *m, struct connection c)
{
	static uint64_t number;

	c.connect = ++number;
	model_settled(m, &c);
}

static struct model *new_model(void)
{
	struct model *m = model_new(SECOND_NS, NULL);

	if (!m)
		abort();
	return m;
}

static bool is_hurt(const struct finding *f, unsigned int host)
{
	struct address a = ip4(HOST(host));
	size_t i;

	for (i = 0; i < f->affected.named; i++)
		if (!memcmp(&f->affected.at[i].address, &a, sizeof(a)))
			return true;
	return false;
}

/* Returns the findings of the cause, and those about loss that it must prevent. */
static size_t count_accusations(const struct diagnosis *d)
{
	static const enum finding_kind kinds[] = { KIND_SYN_FILTERED, KIND_FIRST_SYN_LOST,
						   KIND_PORT_REUSE, KIND_SOME_PATHS_FAIL,
						   KIND_DUPLICATE_ADDRESS };
	size_t i, n = 0;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		n += find_kind(d, kinds[i]) != NULL;
	return n;
}

static void conclude(struct model *m, struct diagnosis *d)
{
	EXPECT(diagnose(d, m, &session, &facts), "the diagnosis");
}

static void done(struct model *m, struct diagnosis *d)
{
	diagnosis_free(d);
	model_free(m);
}

static uint32_t state;

static double uniform(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state / 4294967296.0;
}

/* ---- syn-filtered ---- */

/* Hosts 0 to 4 ask for ECN, and the others do not. */
static void add_mixed_hosts(struct model *m, unsigned int connects, bool is_filtered)
{
	unsigned int i, j;

	for (i = 0; i < 9; i++)
		for (j = 0; j < connects; j++) {
			struct connection c = served(i, j % 2, 40000 + j, 0.7 * i + 5 * j);

			if (i < 5)
				c = with_ecn(c);
			add(m, i < 5 && is_filtered ? again(c, 1) : c);
		}
}

static void test_filtered(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;

	add_mixed_hosts(m, 6, true);
	conclude(m, &d);
	f = find_kind(&d, KIND_SYN_FILTERED);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH, "five hosts with ECN, four without");
	EXPECT(f && mentions(f, "ECN") && mentions(f, "30 of 30") && mentions(f, "0 of 24"),
	       "the counts");
	EXPECT(f && f->affected.count == 5 && is_hurt(f, 0) && !is_hurt(f, 5), "healthy hosts");
	EXPECT(f && f->correlated == 30, "the connects that it explains");
	EXPECT(!find_kind(&d, KIND_LOSSY_FAR_SIDE) && !find_kind(&d, KIND_SLOW_CONNECT),
	       "it is no loss");
	done(m, &d);
}

static void test_all_with_ecn(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 20; i++)
		add(m, again(with_ecn(served(i % 6, i % 3, 40000 + i, 2.5 * i)), 1));
	conclude(m, &d);
	f = find_kind(&d, KIND_SYN_FILTERED);
	EXPECT(f && mentions(f, "20 of 20") && mentions(f, "drops the first SYN of each"),
	       "two explanations, both named");
	EXPECT(f && mentions(f, "RFC 3168") && mentions(f, "0 of 20 were lost") &&
		       !mentions(f, "usually"),
	       "what the standard says, and the rate of loss");
	EXPECT(!find_kind(&d, KIND_LOSSY_FAR_SIDE), "it is no loss");
	done(m, &d);

	/* at a single server it may as well be the server */
	m = new_model();
	for (i = 0; i < 20; i++)
		add(m, again(with_ecn(served(i % 6, 0, 40000 + i, 2.5 * i)), 1));
	for (i = 0; i < 20; i++)
		add(m, with_ecn(served(i % 6, 1, 50000 + i, 2.5 * i)));
	conclude(m, &d);
	EXPECT(!find_kind(&d, KIND_SYN_FILTERED), "other servers answer SYNs with ECN");
	done(m, &d);
}

static void test_within_hosts(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i, j;

	/* a host of its own sends both kinds: programs differ */
	for (i = 0; i < 4; i++)
		for (j = 0; j < 8; j++) {
			struct connection c = served(i, 0, 40000 + j, 3 * i + 13 * j);

			c.syn_traits.mptcp = j % 2;
			add(m, j % 2 ? silent(c) : c);
		}
	conclude(m, &d);
	f = find_kind(&d, KIND_SYN_FILTERED);
	EXPECT(f && mentions(f, "MPTCP") && f->confidence == CONFIDENCE_HIGH, "within each host");
	done(m, &d);
}

static void test_one_host_refused(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 8; i++)
		add(m, refused(with_ecn(served(9, 0, 40000 + i, 2 * i))));
	for (i = 0; i < 12; i++)
		add(m, served(i % 4, 0, 40000 + i, 0.5 + 1.3 * i));
	conclude(m, &d);
	f = find_kind(&d, KIND_SYN_FILTERED);
	EXPECT(f && f->confidence == CONFIDENCE_LOW && mentions(f, "may be this host"),
	       "a trait of one host only");
	EXPECT(!f || (f->affected.count == 1 && is_hurt(f, 9)), "the host");
	done(m, &d);
}

/* Traits differ, and nothing depends on them. */
static void test_not_filtered(void)
{
	struct model *m = new_model();
	struct diagnosis d;
	unsigned int i, j;

	/* one host has a bad cable, and it is the only one with ECN */
	for (i = 0; i < 8; i++)
		for (j = 0; j < 10; j++) {
			struct connection c = served(i, j % 3, 40000 + j, 0.7 * i + 6 * j);

			if (!i)
				c = with_ecn(c);
			add(m, !i && j % 5 < 2 ? again(c, 1) : c);
		}
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "a lossy host");
	done(m, &d);

	/* a server dies, and only hosts with ECN try it */
	m = new_model();
	add_mixed_hosts(m, 6, false);
	for (i = 0; i < 10; i++)
		add(m, silent(with_ecn(served(i % 5, 7, 45000 + i, 4 * i))));
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "a dead server");
	done(m, &d);

	/* an outage of five seconds hits the hosts with ECN, which happen to be active */
	m = new_model();
	add_mixed_hosts(m, 6, false);
	for (i = 0; i < 15; i++)
		add(m, again(with_ecn(served(20 + i % 5, i % 2, 46000 + i, 60 + 0.05 * i)), 2));
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "a burst");
	done(m, &d);
}

/* ---- first-syn-lost ---- */

static void add_new_hosts(struct model *m, unsigned int hosts, double every)
{
	unsigned int i, j;

	for (i = 0; i < hosts; i++)
		for (j = 0; j < 3; j++) {
			struct connection c = served(i, i % 3, 40000 + j, every * i + 3 * j);

			add(m, j ? c : again(c, 1));
		}
}

static void test_first(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	add_new_hosts(m, 22, 3);
	conclude(m, &d);
	f = find_kind(&d, KIND_FIRST_SYN_LOST);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && mentions(f, "22 of 22") &&
		       mentions(f, "0 of 44"),
	       "the first SYN of each host");
	EXPECT(count_accusations(&d) == 1 && !find_kind(&d, KIND_LOSSY_FAR_SIDE), "one finding");
	done(m, &d);

	/* old hosts beside the new ones */
	m = new_model();
	for (i = 0; i < 60; i++)
		add(m, served(100 + i % 15, i % 3, 40000 + i, 0.1 + 0.5 * i));
	for (i = 0; i < 36; i++) {
		struct connection c =
			served(i / 3, i % 3, 40000 + i, 15 + 4 * (i / 3) + 1.5 * (i % 3));

		add(m, i % 3 ? c : again(c, 1));
	}
	conclude(m, &d);
	f = find_kind(&d, KIND_FIRST_SYN_LOST);
	EXPECT(f && f->affected.count == 12 && mentions(f, "12 of 12"),
	       "new hosts beside old ones");
	done(m, &d);

	/* the way loses others as well */
	m = new_model();
	for (i = 0; i < 22 * 7; i++) {
		struct connection c = served(i / 7, i % 3, 40000 + i, 3 * (i / 7) + 4 * (i % 7));

		add(m, i % 7 == 0 || i % 7 == 1 + i / 7 % 8 ? again(c, 1) : c);
	}
	conclude(m, &d);
	f = find_kind(&d, KIND_FIRST_SYN_LOST);
	EXPECT(f && f->confidence == CONFIDENCE_LOW, "later SYNs are lost as well");
	done(m, &d);

	/* all hosts arrive during one outage */
	m = new_model();
	add_new_hosts(m, 22, 0.02);
	conclude(m, &d);
	f = find_kind(&d, KIND_FIRST_SYN_LOST);
	EXPECT(count_accusations(&d) == 1 && f && f->confidence == CONFIDENCE_LOW &&
		       mentions(f, "an outage"),
	       "an outage and rules that come late look the same");
	EXPECT(!find_kind(&d, KIND_LOSSY_FAR_SIDE), "what is left is no loss");
	done(m, &d);
}

/* ---- port-reuse ---- */

/* Every fifth connect uses the four-tuple of the first one again. */
static void add_reuse(struct model *m, bool is_dropped, double dies)
{
	unsigned int i, j;

	for (i = 0; i < 5; i++) {
		add(m, served(i, 0, 800, i));
		for (j = 0; j < 10; j++) {
			bool reused = j % 5 == 4;
			struct connection c =
				served(i, 0, reused ? 800 : 40000 + j, i + (5 + i) * (j + 1));

			add(m, (reused && is_dropped) || c.syn > SECONDS(dies) ? silent(c) : c);
		}
	}
}

static void test_reuse(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	add_reuse(m, true, 1000);
	conclude(m, &d);
	f = find_kind(&d, KIND_PORT_REUSE);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && mentions(f, "10 of 10") &&
		       mentions(f, "0 of 45"),
	       "reused four-tuples");
	EXPECT(count_accusations(&d) == 1, "one finding");
	done(m, &d);

	m = new_model();
	add_reuse(m, false, 40);
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "the server dies");
	done(m, &d);

	m = new_model();
	for (i = 0; i < 3; i++) {
		struct connection c = silent(served(i, 0, 45000, 5 * i));

		c.challenged = true;
		add(m, c);
		add(m, served(3 + i, 0, 46000, 4 * i));
	}
	conclude(m, &d);
	f = find_kind(&d, KIND_PORT_REUSE);
	EXPECT(f && f->affected.count == 3 && mentions(f, "bare ACK"), "challenge ACKs");
	done(m, &d);
}

/* ---- some-paths-fail ---- */

static void test_paths(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i, j;

	/* every fourth port takes a dead next hop; the program tries another port at once */
	for (i = 0; i < 6; i++)
		for (j = 0; j < 12; j++) {
			struct connection c = served(i, j % 2, 40000 + j, 0.3 * i + 2.1 * j);

			add(m, (i + j) % 4 ? c : silent(c));
		}
	conclude(m, &d);
	f = find_kind(&d, KIND_SOME_PATHS_FAIL);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && mentions(f, "18 of 36 connects"),
	       "a dead next hop, by four-tuple");
	done(m, &d);

	/* one next hop is chosen by the addresses alone */
	m = new_model();
	for (i = 0; i < 8; i++)
		for (j = 0; j < 24; j++) {
			struct connection c = served(i, j % 6, 40000 + j, 0.3 * i + 5.1 * j);

			add(m, (i + j % 6) % 4 ? c : silent(c));
		}
	conclude(m, &d);
	f = find_kind(&d, KIND_SOME_PATHS_FAIL);
	EXPECT(f && mentions(f, "12 pairs"), "a dead next hop, by addresses");
	done(m, &d);

	/* a dead server, a host that is cut off, and a server that is closed to three hosts */
	m = new_model();
	for (i = 0; i < 8; i++)
		for (j = 0; j < 24; j++) {
			struct connection c = served(i, j % 6, 40000 + j, 0.3 * i + 5.1 * j);

			add(m, j % 6 == 0 || i == 0 || (j % 6 == 1 && i < 4) ? silent(c) : c);
		}
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "whole servers and whole hosts");
	done(m, &d);
}

/* Each host opens four connects at a time, and half of all ports take a dead next hop. */
static void test_parallel(void)
{
	struct model *m = new_model();
	unsigned int i, j, port, seed = 1;
	const struct finding *f;
	struct diagnosis d;

	for (i = 0; i < 3; i++)
		for (j = 0; j < 4; j++)
			for (port = 0; port < 4; port++) {
				double at = 0.1 * i + 3.8 * j + 0.001 * port;
				struct connection c = served(i, 0, 40000 + 4 * j + port, at);

				seed = seed * 1103515245 + 12345;
				add(m, seed >> 16 & 1 ? silent(c) : c);
				/* what got through comes again at once */
				add(m, served(i, 0, 50000 + 4 * j + port, at + 1.5));
			}
	conclude(m, &d);
	f = find_kind(&d, KIND_SOME_PATHS_FAIL);
	EXPECT(f && f->confidence >= CONFIDENCE_MEDIUM, "connects in parallel are few moments");
	EXPECT(!find_kind(&d, KIND_PEER_UNANSWERED), "one fault, one finding");
	done(m, &d);
}

/* Loss without a path: 1 to 60 % at random, all the time or in a part of the run. */
static void test_no_paths(void)
{
	unsigned int trial, i, j, wrong = 0;
	struct diagnosis d;
	struct model *m;

	for (trial = 0; trial < 400; trial++) {
		double loss = trial % 4 ? 0.3 + 0.1 * (trial % 4) : 0.01 * (1 + trial / 4 % 5);
		double from = trial & 1 ? 40 : 0, to = trial & 1 ? 60 : 1000;

		state = trial * 2654435761u + 1;
		m = new_model();
		for (i = 0; i < 6; i++)
			for (j = 0; j < 100; j++) {
				double at = 0.17 * i + 1.3 * j;
				struct connection c = served(i, j % 2, 40000 + j, at);
				unsigned int lost = 0;

				while (at >= from && at < to && lost < 4 && uniform() < loss)
					lost++;
				add(m, lost == 4 ? silent(c) : lost ? again(c, lost) : c);
			}
		conclude(m, &d);
		wrong += find_kind(&d, KIND_SOME_PATHS_FAIL) || find_kind(&d, KIND_FIRST_SYN_LOST);
		done(m, &d);
	}
	printf("%u of 400 runs with loss accuse a path\n", wrong);
	EXPECT(wrong <= MOST_WRONG, "random loss is no path");

	/* all servers are out for eight seconds, while programs try one port after the other */
	m = new_model();
	for (i = 0; i < 6; i++)
		for (j = 0; j < 100; j++) {
			double at = 0.17 * i + 0.7 * j;
			struct connection c = served(i, j % 2, 40000 + j, at);

			add(m, at >= 20 && at < 28 ? at < 21 ? silent(c) : again(c, at < 25 ? 3 : 2)
						   : c);
		}
	conclude(m, &d);
	EXPECT(!find_kind(&d, KIND_SOME_PATHS_FAIL) && !find_kind(&d, KIND_FIRST_SYN_LOST),
	       "an outage");
	done(m, &d);
}

/* ---- duplicate-address ---- */

static void from_mac(struct model *m, unsigned int host, unsigned int port, double at, uint8_t mac,
		     bool fails)
{
	struct connection c = served(host, 0, port, at);

	c.mac[3] = mac;
	c.syn_traits.ttl = mac ? 128 : 64;
	add(m, fails ? silent(c) : c);
}

static void test_duplicate(void)
{
	struct model *m = new_model();
	const struct finding *f;
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 12; i++)
		from_mac(m, 1, 40000 + i, 5 * i, i % 3 == 1, i % 4 == 1);
	conclude(m, &d);
	f = find_kind(&d, KIND_DUPLICATE_ADDRESS);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && mentions(f, "02:00:00:01:00:01"),
	       "two hosts with one address");
	done(m, &d);

	m = new_model();
	for (i = 0; i < 12; i++)
		from_mac(m, 1, 40000 + i, 5 * i, i >= 6, false);
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "a fail-over");
	done(m, &d);

	/* two routers in front of many hosts */
	m = new_model();
	for (i = 0; i < 60; i++) {
		struct connection c = served(i % 5, 0, 40000 + i, 2 * i);

		memset(c.mac, 0, sizeof(c.mac));
		c.mac[5] = (uint8_t)(i / 5 % 2 + 1);
		add(m, c);
	}
	conclude(m, &d);
	EXPECT(!count_accusations(&d), "two routers");
	done(m, &d);
}

/* ---- calibration ---- */

static struct connection random_connect(double loss, struct connection c)
{
	unsigned int lost = 0;

	while (lost < 4 && uniform() < loss)
		lost++;
	return lost == 4 ? silent(c) : lost ? again(c, lost) : c;
}

/* Hosts differ in activity, loss and traits; ports are reused now and then. */
static void make_population(struct model *m, uint32_t seed)
{
	unsigned int hosts, servers, i, j, connects;
	double far, loss;

	state = seed * 2654435761u + 1;
	hosts = 3 + (unsigned int)(uniform() * 40);
	servers = 1 + (unsigned int)(uniform() * 6);
	far = uniform() < 0.5 ? 0.05 : uniform() * 0.3;
	for (i = 0; i < hosts; i++) {
		bool ecn = uniform() < 0.3, mptcp = uniform() < 0.1;

		loss = far + (uniform() < 0.1 ? uniform() * 0.4 : 0);
		connects = 1 + (unsigned int)(40 * uniform() * uniform());
		for (j = 0; j < connects; j++) {
			unsigned int port = uniform() < 0.1 ? 800 : 40000 + j;
			struct connection c = served(i, (unsigned int)(uniform() * servers), port,
						     j * 7 + uniform() * 5);

			c.syn_traits.ecn = ecn && uniform() < 0.9;
			c.syn_traits.mptcp = mptcp;
			c.syn_traits.fast_open = uniform() < 0.05;
			c.syn_traits.has_timestamp = i % 3;
			add(m, random_connect(loss, c));
		}
	}
}

static void test_calibration(void)
{
	unsigned int wrong = 0, high = 0;
	struct diagnosis d;
	struct model *m;
	uint32_t seed;
	size_t i;

	for (seed = 1; seed <= POPULATIONS; seed++) {
		m = new_model();
		make_population(m, seed);
		conclude(m, &d);
		for (i = 0; i < d.count && count_accusations(&d); i++)
			if (d.at[i].kind == KIND_SYN_FILTERED ||
			    d.at[i].kind == KIND_FIRST_SYN_LOST ||
			    d.at[i].kind == KIND_PORT_REUSE ||
			    d.at[i].kind == KIND_SOME_PATHS_FAIL) {
				high += d.at[i].confidence == CONFIDENCE_HIGH;
				if (getenv("VERBOSE"))
					printf("seed %u: %s: %s\n", seed,
					       confidence_names[d.at[i].confidence], d.at[i].text);
			}
		wrong += count_accusations(&d) > 0;
		done(m, &d);
	}
	printf("%u of %u populations of random loss accuse a property, %u with high confidence\n",
	       wrong, POPULATIONS, high);
	EXPECT(wrong <= MOST_WRONG && !high, "random loss has no property in common");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	test_filtered();
	test_all_with_ecn();
	test_within_hosts();
	test_one_host_refused();
	test_not_filtered();
	test_first();
	test_reuse();
	test_paths();
	test_parallel();
	test_no_paths();
	test_duplicate();
	test_calibration();
	printf("syn_faults: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
