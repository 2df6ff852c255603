// SPDX-License-Identifier: GPL-2.0
/* Peers that fail: each way, and each fault, has one finding, and its neighbours are not accused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"

#define HOST(i) (0x0a010400u + 20 + (i)) /* 10.1.4.20 and so on */
#define SITE(i) (0xcb007100u + 10 + (i)) /* 203.0.113.10 and so on */
#define FAR(i) (0xc6120505u + (i)) /* 198.18.5.5 and so on */
#define ROUTER 0xc6336402u /* 198.51.100.2 */

static struct model *m;
static struct session session;
static struct host_facts facts;
static struct diagnosis d;
static uint64_t connects;

/* ---- connects ---- */

static struct connection served(unsigned int client, unsigned int server, unsigned int port,
				double at)
{
	uint16_t from = 40000 + ++connects % 20000;
	struct connection c =
		made_handshake(ip4_endpoint(client, from), ip4_endpoint(server, port), at);

	c.connect = connects;
	make_served(&c, 0.001, 0.004);
	return c;
}

/* SYNs at 0, 1 and 3 s, and no answer. */
static struct connection silent(unsigned int client, unsigned int server, unsigned int port,
				double at)
{
	struct connection c = served(client, server, port, at);

	c.outcome = OUTCOME_UNANSWERED;
	c.end_reason = END_TIMEOUT;
	c.syn_count = c.syn_times_count = 3;
	c.syn_times[1] = c.syn + SECONDS(1);
	c.syn_times[2] = c.syn_last = c.syn + SECONDS(3);
	c.settled = c.syn + SECONDS(10);
	c.watched = SECONDS(10);
	c.synack = c.ack = c.client_first = c.server_first = c.wait = c.answer = NEVER;
	c.server_round_trip = c.client_round_trip = NEVER;
	c.synack_count = 0;
	return c;
}

/* The SYNs left this gateway by an interface, towards this server. */
static void set_far(struct connection *c, unsigned int server, uint32_t ifindex)
{
	c->forwarded_by = ifindex;
	c->far = (struct far_side){ .seen = true,
				    .ifindex = ifindex,
				    .client = c->client,
				    .server = c->server,
				    .syn = c->syn + 20000,
				    .syn_count = c->syn_count,
				    .synack = NEVER,
				    .client_first = NEVER };
	c->far.server.address = ip4(server);
}

/* Refused `again` + 1 times, 0.5 s apart, as Windows tries it. */
static struct connection refused(unsigned int client, unsigned int server, unsigned int port,
				 double at, unsigned int again)
{
	struct connection c = silent(client, server, port, at);

	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.attempts = c.syn_count = c.syn_times_count = again + 1;
	c.refusals = again;
	c.syn_last = c.syn + again * SECONDS(0.5);
	c.rst = c.settled = c.syn_last + SECONDS(0.001);
	c.rst_from = SIDE_SERVER;
	return c;
}

/* Opened only by the third SYN, after two refusals. */
static struct connection opened_late(unsigned int client, unsigned int server, unsigned int port,
				     double at)
{
	struct connection c = served(client, server, port, at);

	c.attempts = c.syn_count = c.syn_times_count = 3;
	c.refusals = 2;
	c.syn_times[1] = c.syn + SECONDS(0.5);
	c.syn_times[2] = c.syn_last = c.syn + SECONDS(1);
	c.synack += SECONDS(1);
	c.ack += SECONDS(1);
	c.client_first += SECONDS(1);
	c.server_first += SECONDS(1);
	c.settled += SECONDS(1);
	c.server_round_trip = NEVER;
	return c;
}

static struct connection unreachable(unsigned int client, unsigned int server, unsigned int port,
				     double at, unsigned int code)
{
	struct connection c = silent(client, server, port, at);

	c.outcome = OUTCOME_UNREACHABLE;
	c.end_reason = END_TIMEOUT;
	c.syn_count = c.syn_times_count = 1;
	c.syn_last = c.syn;
	c.icmp = c.settled = c.syn + SECONDS(0.001);
	c.icmp_type = 3;
	c.icmp_code = code;
	c.icmp_hard = true;
	c.icmp_from = ip4(ROUTER);
	return c;
}

/* Answered by the n-th SYN: after 1, 3, 7, ... seconds. */
static struct connection late(unsigned int client, unsigned int server, double at, unsigned int n)
{
	struct connection c = served(client, server, 80, at);
	ns_t later = SECONDS((1 << (n - 1)) - 1);
	unsigned int i;

	for (i = 1; i < n; i++)
		c.syn_times[i] = c.syn + SECONDS((1 << i) - 1);
	c.syn_count = c.syn_times_count = n;
	c.syn_last = c.syn + later;
	c.synack += later;
	c.ack += later;
	c.client_first += later;
	c.server_first += later;
	c.settled += later;
	c.server_round_trip = NEVER;
	return c;
}

static void add(struct connection c)
{
	model_settled(m, &c);
}

/* ---- scenes ---- */

/* Four hosts use two sites, so that there is something to compare with. */
static void begin(void)
{
	unsigned int i;

	m = model_new(SECOND_NS, NULL);
	if (!m)
		abort();
	session = (struct session){};
	facts = (struct host_facts){};
	for (i = 0; i < 16; i++)
		add(served(HOST(i % 4), SITE(i % 2), 80, 2.0 * i));
}

static void judge(void)
{
	EXPECT(diagnose(&d, m, &session, &facts), "the diagnosis fails");
}

static void end(void)
{
	diagnosis_free(&d);
	model_free(m);
}

static const struct finding *find(enum finding_kind kind)
{
	return find_kind(&d, kind);
}

static size_t count(enum finding_kind kind)
{
	size_t i, n = 0;

	for (i = 0; i < d.count; i++)
		n += d.at[i].kind == kind;
	return n;
}

static bool has_label(const struct finding *f, const char *label)
{
	size_t i;

	for (i = 0; f && i < f->line_count; i++)
		if (!strcmp(f->lines[i].label, label))
			return true;
	return false;
}

/* ---- refusals ---- */

static void test_refused_again(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		add(refused(HOST(i % 4), SITE(i % 2), 443, 10 + 3 * i, 2));
	for (i = 0; i < 4; i++)
		add(opened_late(HOST(i), SITE(i % 2), 443, 11 + 3 * i));
	for (i = 0; i < 20; i++)
		add(served(HOST(i % 4), SITE(i % 2), 443, 2.0 * i));
	judge();
	f = find(KIND_PEER_REFUSED);
	EXPECT(count(KIND_PEER_REFUSED) == 1, "one fault has one finding");
	EXPECT(mentions(f, "9 of 33 connects"), "connects are counted, not SYNs");
	EXPECT(mentions(f, "fails only after 1.001 s"), "what connect() took");
	EXPECT(mentions(f, "4 more connects opened only when a refused SYN came again"),
	       "connects that opened late belong to the same fault");
	EXPECT(!mentions(f, "at once") && !mentions(f, "nobody waits"), "clients waited a second");
	EXPECT(f && f->part_count == 2 && f->correlated == 13, "the part of each server");
	EXPECT(!find(KIND_SLOW_CONNECT), "a refusal is an answer");
	EXPECT(has_label(f, "when") && has_label(f, "action"), "when, and what to do");
	end();
}

static void test_refused_at_once(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 6; i++)
		add(refused(HOST(i % 3), SITE(0), 8080, 5 * i, 0));
	judge();
	f = find(KIND_PEER_REFUSED);
	EXPECT(mentions(f, "6 connects of 3 hosts") && mentions(f, "at once"), "the refusals");
	EXPECT(mentions(f, "does not show which"), "an RST does not prove that nothing listens");
	EXPECT(!mentions(f, "its own firewall"), "this gateway is not the one that refuses");
	end();
}

/* The RSTs acknowledge the wrong number, so the clients go on as if nothing had come. */
static void test_wrong_rst(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin();
	for (i = 0; i < 4; i++) {
		c = silent(HOST(0), SITE(0), 4554, 10 * i);
		c.ignored_rst = true;
		c.rst_acked = 0;
		add(c);
	}
	judge();
	f = find(KIND_PEER_REFUSED);
	EXPECT(mentions(f, "must ignore (wrong acknowledgment)"), "a faulty stack");
	EXPECT(!find(KIND_PEER_UNANSWERED), "an RST is an answer of the host");
	EXPECT(!mentions(f, "filtered"), "nothing filters");
	end();
}

/* Each way has its own count and hosts. */
static void test_several_ways(void)
{
	const struct finding *silence, *refusal;
	unsigned int i;

	begin();
	for (i = 0; i < 7; i++)
		add(silent(HOST(i % 2), SITE(5), 25, 20 * i));
	for (i = 0; i < 3; i++)
		add(refused(HOST(2), SITE(5), 25, 20 * i + 5, 0));
	for (i = 0; i < 6; i++)
		add(served(HOST(3), SITE(5), 25, 20 * i + 7));
	judge();
	silence = find(KIND_PEER_UNANSWERED);
	refusal = find(KIND_PEER_REFUSED);
	EXPECT(silence && silence->correlated == 7 && silence->affected.count == 2,
	       "the unanswered ones");
	EXPECT(refusal && refusal->correlated == 3 && refusal->affected.count == 1,
	       "the refused ones");
	EXPECT(mentions(silence, "3 other connects were refused"), "refusals beside silence");
	EXPECT(mentions(refusal, "7 other connects were not answered"), "silence beside refusals");
	EXPECT(!mentions(silence, "does not answer"), "it answers by RST");
	end();
}

/* One host is always refused, the others never. */
static void test_refused_host(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 8; i++) {
		add(refused(HOST(7), SITE(0), 443, 4 * i, 0));
		add(served(HOST(i % 4), SITE(0), 443, 4 * i + 2));
	}
	judge();
	f = find(KIND_PEER_REFUSED);
	EXPECT(mentions(f, "refuses all of 10.1.4.27 and none of the others"), "who is refused");
	EXPECT(f && f->affected.count == 1, "the host");
	end();

	/* neighbour: the same hosts are refused and served */
	begin();
	for (i = 0; i < 8; i++) {
		add(refused(HOST(i % 4), SITE(0), 443, 4 * i, 0));
		add(served(HOST(i % 4), SITE(0), 443, 4 * i + 2));
	}
	judge();
	f = find(KIND_PEER_REFUSED);
	EXPECT(mentions(f, "8 of 16 connects") && !mentions(f, "refuses all of"),
	       "the hosts make no difference");
	end();
}

static void set_route(struct known_route *route, unsigned int server, unsigned int port,
		      enum route_state state)
{
	*route = (struct known_route){
		.destination = { .address = ip4(server), .port = port },
		.route = { .state = state,
			   .prefix = ip4(server & 0xfffe0000),
			   .prefix_length = 15,
			   .table = 254,
			   .device = "eth1",
			   .device_index = 3,
			   .device_exists = true,
			   .device_up = true },
	};
}

/* A closed port of this gateway proves no firewall; an RST in the name of a server does. */
static void test_refused_here(void)
{
	struct known_route route;
	struct connection c;
	unsigned int i, own;

	for (own = 0; own < 2; own++) {
		begin();
		for (i = 0; i < 4; i++) {
			c = refused(HOST(i), FAR(0), 8080, 4 * i, 0);
			c.from_gateway = true;
			add(c);
		}
		set_route(&route, FAR(0), 8080, own ? ROUTE_LOCAL : ROUTE_FOUND);
		facts = (struct host_facts){ .routes = &route, .route_count = 1 };
		judge();
		EXPECT(mentions(find(KIND_PEER_REFUSED), "this gateway refuses"), "who refuses");
		EXPECT(mentions(find(KIND_PEER_REFUSED), "nothing listens there") == own,
		       "a closed port of this gateway");
		EXPECT(mentions(find(KIND_PEER_REFUSED), "firewall or proxy does it") == !own,
		       "a filter that answers for the server");
		end();
	}
}

/* ---- networks that cannot be reached ---- */

/* ICMP errors are limited in rate: some connects get none. All of them are one fault. */
static void test_route_of_gateway(void)
{
	static const enum route_state states[] = { ROUTE_UNREACHABLE, ROUTE_PROHIBIT };
	struct known_route routes[4];
	const struct finding *f;
	struct connection c;
	unsigned int i, state;

	for (state = 0; state < 2; state++) {
		begin();
		for (i = 0; i < 12; i++) {
			c = i % 3 ? silent(HOST(i % 4), FAR(i % 4), 80, 5 * i)
				  : unreachable(HOST(i % 4), FAR(i % 4), 80, 5 * i, 1);
			c.from_gateway = c.outcome == OUTCOME_UNREACHABLE;
			add(c);
		}
		for (i = 0; i < 4; i++)
			set_route(&routes[i], FAR(i), 80, states[state]);
		facts = (struct host_facts){ .routes = routes, .route_count = 4 };
		judge();
		f = find(KIND_PEER_UNREACHABLE);
		EXPECT(count(KIND_PEER_UNREACHABLE) == 1 && !find(KIND_PEER_UNANSWERED) &&
			       !find(KIND_PREFIX_CUT),
		       "one fault has one finding");
		EXPECT(f && strstr(f->text, state ? "prohibit route to 198.18.0.0/15"
						  : "unreachable route to 198.18.0.0/15"),
		       "the headline names the route");
		EXPECT(f && f->correlated == 12 && f->affected.count == 4 && f->part_count == 4,
		       "all connects and servers");
		EXPECT(f && f->prefix_length == 15, "the network");
		end();
	}
}

/* Neighbour: SYNs that left before the route was made did not fail by it. */
static void test_route_made_later(void)
{
	struct known_route route;
	struct connection c;
	unsigned int i;

	begin();
	for (i = 0; i < 6; i++) {
		c = silent(HOST(i % 4), FAR(0), 80, 5 * i);
		c.forwarded_by = 3;
		add(c);
	}
	set_route(&route, FAR(0), 80, ROUTE_UNREACHABLE);
	facts = (struct host_facts){ .routes = &route, .route_count = 1 };
	judge();
	EXPECT(!find(KIND_PEER_UNREACHABLE) && find(KIND_PEER_UNANSWERED),
	       "a route that these SYNs did not use");
	end();
}

static void test_router_error(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		add(i == 4 ? silent(HOST(1), FAR(1), 80, 5 * i)
			   : unreachable(HOST(i % 4), FAR(i % 3), 80, 5 * i, 0));
	judge();
	f = find(KIND_PEER_UNREACHABLE);
	EXPECT(count(KIND_PEER_UNREACHABLE) == 1 && !find(KIND_PEER_UNANSWERED),
	       "one router's error is one fault");
	EXPECT(mentions(f, "3 servers in 198.18.5.0/24 are unreachable") &&
		       mentions(f, "reported by 198.51.100.2"),
	       "who reports what");
	EXPECT(mentions(f, "8 connects of 4 hosts") && mentions(f, "1 more connect got no answer"),
	       "the counts");
	end();

	/* neighbour: hosts of two networks that are down are two faults; a filter is another */
	begin();
	for (i = 0; i < 4; i++) {
		add(unreachable(HOST(i), FAR(0), 80, 5 * i, 1));
		add(unreachable(HOST(i), FAR(256), 80, 5 * i, 1));
		add(unreachable(HOST(i), FAR(1), 25, 5 * i, 13));
	}
	judge();
	EXPECT(count(KIND_PEER_UNREACHABLE) == 3, "three faults");
	for (i = 0; i < d.count; i++)
		if (mentions(&d.at[i], ":25"))
			EXPECT(mentions(&d.at[i], "are prohibited: administratively prohibited"),
			       "a filter is not a missing route");
	end();
}

/* ---- silence ---- */

/* Two hosts try once; earlier lists of servers have counted them as well. */
static void test_silent_once(void)
{
	const struct finding *f;

	begin();
	add(silent(HOST(0), SITE(9), 80, 10));
	add(silent(HOST(1), SITE(9), 80, 12));
	judge();
	f = find(KIND_PEER_UNANSWERED);
	EXPECT(f && f->affected.count == 2 && f->confidence == CONFIDENCE_MEDIUM, "the server");
	end();
}

static void test_silent_host(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 9; i++)
		add(silent(HOST(i % 3), SITE(9), 80 + i % 3, 10 * i));
	judge();
	EXPECT(count(KIND_PEER_UNANSWERED) == 1 &&
		       mentions(find(KIND_PEER_UNANSWERED),
				"any of 3 ports: 9 connects of 3 hosts"),
	       "a host that is down is one fault");
	end();

	/* neighbour: another port answers by RST, so the host is up */
	begin();
	for (i = 0; i < 9; i++)
		add(silent(HOST(i % 3), SITE(9), 80 + i % 3, 10 * i));
	add(refused(HOST(0), SITE(9), 22, 95, 0));
	judge();
	EXPECT(!mentions(find(KIND_PEER_UNANSWERED), "down"), "the host is up");
	EXPECT(mentions(find(KIND_PEER_UNANSWERED), "the host is up"), "an RST is an answer");
	end();
}

/* A port that is in use at the server is not silent. */
static void test_challenged(void)
{
	struct connection c;
	unsigned int i;

	begin();
	for (i = 0; i < 3; i++) {
		c = silent(HOST(i), SITE(0), 1521, 10 * i);
		c.challenged = true;
		add(c);
		add(served(HOST(i), SITE(0), 1521, 10 * i + 5));
	}
	judge();
	EXPECT(!find(KIND_PEER_UNANSWERED), "the server answered by a challenge ACK");
	end();
}

/* A private address that leaves by the default route. */
static void test_default_route(void)
{
	struct known_route route;
	unsigned int i, scene;

	for (scene = 0; scene < 3; scene++) {
		begin();
		for (i = 0; i < 6; i++)
			add(silent(HOST(i % 4), 0x0ac80709, 5274, 5 * i));
		if (scene == 1) /* another port of it answers */
			add(served(HOST(0), 0x0ac80709, 443, 29));
		else if (scene == 2) /* this gateway stands behind another one */
			add(served(HOST(0), 0xac100101, 443, 29));
		set_route(&route, 0x0ac80709, 5274, ROUTE_FOUND);
		route.route.prefix_length = 0;
		facts = (struct host_facts){ .routes = &route, .route_count = 1 };
		judge();
		EXPECT(mentions(find(KIND_PEER_UNANSWERED), "specific route is missing") == !scene,
		       "a route that may never have been there");
		end();
	}
}

/* Whether the SYNs left this gateway. */
static void test_forwarding(void)
{
	struct known_route route;
	struct connection c;
	unsigned int i, scene;

	for (scene = 0; scene < 2; scene++) {
		begin();
		for (i = 0; i < 6; i++) {
			c = silent(HOST(i % 4), SITE(9), 5274, 5 * i);
			c.forwarded_by = scene ? 3 : 0;
			c.not_forwarded = scene && !i;
			add(c);
		}
		set_route(&route, SITE(9), 5274, ROUTE_FOUND);
		facts = (struct host_facts){ .routes = &route, .route_count = 1 };
		judge();
		EXPECT(mentions(find(KIND_PEER_UNANSWERED), "not checked: --follow-peers") ==
			       !scene,
		       "what was not checked, and how to");
		end();
	}
}

/* A finding says no more of SYNs that left this gateway than was seen. */
static void test_lost_beyond(void)
{
	enum { OUTER_SIDE, BOTH_SIDES, COPY, SOME_COPIES, TRANSLATED, EXPIRED, LOOP, SCENES };
	const struct finding *f;
	struct known_route route;
	struct connection c;
	unsigned int i, scene;

	for (scene = 0; scene < SCENES; scene++) {
		begin();
		for (i = 0; i < 6; i++) {
			c = silent(HOST(i % 4), SITE(9), 5274, 5 * i);
			if (scene == OUTER_SIDE) {
				c.syn_egress = true;
				c.ifindex = 3;
			} else if (scene == EXPIRED) {
				c.icmp = c.syn + SECONDS(0.01);
				c.icmp_type = 11;
				c.icmp_from = ip4(ROUTER);
			} else if (scene == LOOP) {
				c.syn_copies = 33 * c.syn_count;
			} else {
				set_far(&c, scene == TRANSLATED ? HOST(200) : SITE(9), 3);
				c.far.syn_copies =
					scene == COPY || (scene == SOME_COPIES && !i) ? 3 : 0;
			}
			add(c);
		}
		set_route(&route, SITE(9), 5274, ROUTE_FOUND);
		facts = (struct host_facts){ .routes = &route, .route_count = 1 };
		judge();
		f = find(scene >= EXPIRED ? KIND_ROUTING_LOOP : KIND_PEER_UNANSWERED);
		EXPECT(mentions(f, "they are lost beyond it") == (scene <= BOTH_SIDES),
		       "where the SYNs ended");
		EXPECT(mentions(f, "its SYNs left this gateway") == (scene < EXPIRED),
		       "they were seen to leave");
		EXPECT(mentions(f, "and passed it again") == (scene == COPY), "they came back");
		EXPECT(mentions(f, "translates the destination to 10.1.4.220:5274") ==
			       (scene == TRANSLATED),
		       "the server that got them");
		EXPECT(mentions(f, "leaves by") == (scene != TRANSLATED),
		       "the route to the address before NAT was not used");
		EXPECT(mentions(f, "198.51.100.2 answered them by ICMP, so they left") ==
			       (scene == EXPIRED),
		       "a router beyond this gateway got them");
		EXPECT(!mentions(f, "not checked"), "what was seen was checked");
		end();
	}
}

/* ---- connects that are answered elsewhere, go round, or are answered late ---- */

static void test_elsewhere(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin();
	for (i = 0; i < 6; i++) {
		c = silent(HOST(i % 3), 0x0a67af1d, 7800, 5 * i);
		c.elsewhere = true;
		c.answered_by = c.server;
		c.answered_by.address = ip4(HOST(50));
		add(c);
	}
	judge();
	f = find(KIND_ANSWERED_ELSEWHERE);
	EXPECT(mentions(f, "10.103.175.29:7800 are answered by 10.1.4.70:7800: 6 connects of 3"),
	       "who answers");
	EXPECT(mentions(f, "hairpin"), "client and server are in one network");
	EXPECT(!find(KIND_PEER_UNANSWERED), "it was answered");
	end();
}

/* This gateway translates to a server in the LAN, which answers past the gateway. */
static void test_sent_back(void)
{
	enum { HAIRPIN, SUBNETS, MASQUERADE, DMZ, ANSWERED, SCENES };
	const unsigned int other[SCENES] = { HOST(4), 0x0a010518, HOST(4), HOST(4), HOST(4) };
	const struct finding *f;
	struct connection c;
	unsigned int i, scene;

	for (scene = 0; scene < SCENES; scene++) {
		begin();
		for (i = 0; i < 6; i++) {
			c = silent(HOST(i % 3), SITE(7), 80, 5 * i);
			c.ifindex = 2;
			set_far(&c, other[scene], scene == DMZ ? 3 : 2);
			if (scene == MASQUERADE)
				c.far.client.address = ip4(0x0a010401);
			if (scene == ANSWERED) /* it came back to this gateway, which dropped it */
				c.far.synack = c.far.syn + SECONDS(0.01);
			add(c);
		}
		judge();
		f = find(KIND_ANSWERED_ELSEWHERE);
		EXPECT(!f == (scene > SUBNETS), "who answers past the gateway");
		EXPECT(!find(KIND_PEER_UNANSWERED) == !!f, "one fault has one finding");
		if (!f) {
			end();
			continue;
		}
		EXPECT(mentions(f, "no answer passes here: 6 connects of 3 hosts"), "what is seen");
		EXPECT(mentions(f, "hairpin"), "what to do");
		EXPECT(mentions(f, "in the clients' own network") == (scene == HAIRPIN), "where");
		EXPECT(f->confidence == (scene == HAIRPIN ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW),
		       "no answer was seen");
		end();
	}
}

static void test_loop(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i, both;

	begin(); /* two routers report it */
	for (i = 0; i < 6; i++) {
		c = silent(HOST(i % 3), FAR(i % 2), 80, 5 * i);
		c.icmp = c.syn + SECONDS(0.01);
		c.icmp_type = 11;
		c.icmp_from = ip4(ROUTER + i % 2);
		c.syn_traits.ttl = 63;
		add(c);
	}
	judge();
	f = find(KIND_ROUTING_LOOP);
	EXPECT(f && f->correlated == 6 && count(KIND_ROUTING_LOOP) == 1, "the loop");
	EXPECT(mentions(f, "198.51.100.2 and 198.51.100.3"), "its routers");
	EXPECT(!find(KIND_PEER_UNANSWERED), "one fault has one finding");
	end();

	for (both = 0; both < 2; both++) { /* it passes here; or on the far side of two */
		begin();
		for (i = 0; i < 3; i++) {
			c = silent(HOST(i), FAR(0), 80, 5 * i);
			if (both)
				set_far(&c, FAR(0), 3);
			*(both ? &c.far.syn_copies : &c.syn_copies) = 33 * c.syn_count;
			add(c);
		}
		judge();
		EXPECT(mentions(find(KIND_ROUTING_LOOP), "34 times"), "the copies");
		EXPECT(!find(KIND_PEER_UNANSWERED), "the server never got a SYN");
		end();
	}

	begin(); /* neighbours: a traceroute, and the copies of bridges and VLANs */
	for (i = 0; i < 6; i++) {
		c = silent(HOST(i % 3), FAR(0), i % 2 ? 80 : 443, 5 * i);
		c.syn_copies = 4 * c.syn_count;
		if (i % 2) {
			c.icmp = c.syn + SECONDS(0.01);
			c.icmp_type = 11;
			c.icmp_from = ip4(ROUTER);
			c.syn_traits.ttl = 1 + i;
		}
		add(c);
	}
	judge();
	EXPECT(!find(KIND_ROUTING_LOOP), "a traceroute is not a loop");
	end();
}

static void test_slow_connect(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 6; i++)
		add(late(HOST(i % 3), SITE(7), 10 * i, 7));
	judge();
	f = find(KIND_SLOW_CONNECT);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->affected.count == 3, "the server");
	EXPECT(mentions(f, "6 of 6 connects") && mentions(f, "before the 7th"), "the habit");
	EXPECT(f && llabs(f->timer - SECONDS(63.01)) < SECONDS(0.01), "the time");
	EXPECT(!mentions(f, "served"), "these connects are not others");
	end();

	begin(); /* neighbour: a filter of ECN looks the same, if hosts omit it the second time */
	for (i = 0; i < 6; i++) {
		struct connection c = late(HOST(i % 2), SITE(7), 10 * i, 2);

		c.syn_traits.ecn = true;
		add(c);
	}
	add(served(HOST(2), SITE(7), 80, 0));
	judge();
	f = find(KIND_SLOW_CONNECT);
	EXPECT(!f || (f->confidence == CONFIDENCE_LOW && mentions(f, "ask for ECN")),
	       "a server would be slow where a filter drops SYNs");
	end();

	begin(); /* neighbour: it is back after an outage, and answers all at one moment */
	for (i = 0; i < 6; i++)
		add(late(HOST(i % 3), SITE(7), 10 + 0.05 * i, 4));
	judge();
	EXPECT(!find(KIND_SLOW_CONNECT), "one outage is no habit");
	end();

	begin(); /* neighbour: some are lost */
	for (i = 0; i < 12; i++)
		add(i % 3 ? served(HOST(i % 4), SITE(7), 80, 10 * i)
			  : late(HOST(i % 4), SITE(7), 10 * i, 2));
	judge();
	EXPECT(!find(KIND_SLOW_CONNECT), "loss of single SYNs is no habit");
	end();

	begin(); /* neighbour: a path with very much loss, at which it differs */
	for (i = 0; i < 8; i++)
		add(late(HOST(i % 4), SITE(7), 40 * i, 2 + i % 4));
	judge();
	EXPECT(!find(KIND_SLOW_CONNECT), "neither the SYN nor the time is the same");
	end();
}

int main(void)
{
	test_refused_again();
	test_refused_at_once();
	test_wrong_rst();
	test_several_ways();
	test_refused_host();
	test_refused_here();
	test_route_of_gateway();
	test_route_made_later();
	test_router_error();
	test_silent_once();
	test_silent_host();
	test_challenged();
	test_default_route();
	test_forwarding();
	test_lost_beyond();
	test_elsewhere();
	test_sent_back();
	test_loop();
	test_slow_connect();
	printf("peers: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
