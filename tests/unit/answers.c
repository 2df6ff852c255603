// SPDX-License-Identifier: GPL-2.0
/*
 * Findings about requests and their answers, each with a neighbour that looks similar and must not
 * be accused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"

#define SERVER(i) (0xcb007100u + 10 + (i)) /* 203.0.113.10 and so on */
#define PRIVATE 0x0a3c0950u /* 10.60.9.80 */

/* A request that is answered after 30 ms. The round trip to the server is 20 ms. */
static struct connection served(unsigned int host, unsigned int server, double at)
{
	struct connection c;

	memset(&c, 0, sizeof(c));
	c.attempts = 1;
	c.client = ip4_endpoint(0x0a010414u + host, 40000 + (unsigned int)(100 * at) % 20000);
	c.server = ip4_endpoint(server, 443);
	c.outcome = OUTCOME_ESTABLISHED;
	c.end_reason = END_PAYLOAD;
	c.syn = c.syn_last = c.syn_times[0] = SECONDS(at);
	c.syn_times_count = c.syn_count = c.synack_count = 1;
	c.synack = c.syn + SECONDS(0.02);
	c.ack = c.syn + SECONDS(0.021);
	c.client_first = c.syn + SECONDS(0.022);
	c.server_round_trip = SECONDS(0.02);
	c.client_round_trip = SECONDS(0.001);
	c.answer = SECONDS(0.03);
	c.server_first = c.settled = c.client_first + c.answer;
	c.watched = c.settled - c.syn;
	c.wait = c.client_first - c.ack;
	c.client_payload = (struct payload){
		.mss = 1460, .size = 500, .acked = true, .has_first_byte = true, .first_byte = 0x16
	};
	c.client_flight = 500;
	c.server_payload = (struct payload){ .mss = 1460, .size = 900, .acked = true };
	c.synack_window = 65160;
	c.synack_ttl = 53;
	c.syn_traits.ttl = 64;
	c.banner = c.fin = c.rst = c.icmp = NEVER;
	return c;
}

/* Makes the server answer after this time. */
static struct connection late(struct connection c, double answer)
{
	c.answer = SECONDS(answer);
	c.server_first = c.settled = c.client_first + c.answer;
	c.watched = c.settled - c.syn;
	return c;
}

static struct connection unanswered(struct connection c)
{
	c.server_first = c.answer = NEVER;
	c.server_payload = (struct payload){ .mss = 1460 };
	return c;
}

/* Ends the connection this time after its request, which was not answered. */
static struct connection ended(struct connection c, enum side by, bool by_rst, double after)
{
	c = unanswered(c);
	c.settled = c.client_first + SECONDS(after);
	c.watched = c.settled - c.syn;
	if (by_rst) {
		c.rst = c.settled;
		c.rst_from = by;
		c.rst_ttl = 53;
		c.rst_acked = c.client_flight + 1;
		c.end_reason = END_RST;
	} else {
		c.fin = c.settled;
		c.fin_from = by;
		c.end_reason = END_FIN;
	}
	return c;
}

/* Makes the client silent for this time before its request. */
static struct connection held(struct connection c, double wait)
{
	ns_t more = SECONDS(wait) - c.wait;

	c.wait += more;
	c.client_first += more;
	c.server_first += more;
	c.settled += more;
	c.watched += more;
	return c;
}

/* Makes the first flight larger than a segment. */
static struct connection large(struct connection c)
{
	c.client_flight = 1739;
	c.client_payload.size = 1448;
	c.client_segments = 2;
	return c;
}

/* ---- running a diagnosis ---- */

static struct model *model;
static struct diagnosis result;

static void begin(void)
{
	model = model_new(SECOND_NS, NULL);
	if (!model)
		abort();
}

static void add(struct connection c)
{
	model_settled(model, &c);
}

static void conclude(void)
{
	static const struct host_facts facts;
	static const struct session session;

	EXPECT(diagnose(&result, model, &session, &facts), "no diagnosis");
}

static void end(void)
{
	diagnosis_free(&result);
	model_free(model);
}

static const struct finding *find(enum finding_kind kind)
{
	return find_kind(&result, kind);
}

static bool accuses(void)
{
	size_t i;

	for (i = 0; i < result.count; i++)
		if (result.at[i].is_problem) {
			printf("accused: %s\n", result.at[i].text);
			return true;
		}
	return false;
}

/* ---- no-answer ---- */

static void test_no_answer(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 10; i++)
		add(served(i % 5, SERVER(0), i));
	for (i = 0; i < 14; i++)
		add(ended(served(i % 5, SERVER(0), 20 + i), SIDE_CLIENT, false, 30));
	conclude();
	f = find(KIND_NO_ANSWER);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->is_problem, "a server that hangs");
	EXPECT(f && strstr(f->text, "since ") && strstr(f->text, "none of 14") &&
		       llabs(f->timer - SECONDS(30)) < SECONDS(0.001),
	       "since when, how many, and how long clients wait");
	EXPECT(f && mentions(f, "14 of 14 requests were acknowledged"), "the requests arrived");
	EXPECT(f && mentions(f, "each of these hosts was served") && f->hosts_hurt == 5,
	       "the hosts are not the reason");
	EXPECT(f && has_line(f, "action") && has_line(f, "when"), "what to do");
	end();

	begin(); /* only two of five hosts */
	for (i = 0; i < 30; i++)
		add(i % 5 < 2 ? ended(served(i % 5, SERVER(0), i), SIDE_CLIENT, false, 10)
			      : served(i % 5, SERVER(0), i));
	conclude();
	f = find(KIND_NO_ANSWER);
	EXPECT(f && strstr(f->text, "12 of 30") && mentions(f, "no request of these hosts"),
	       "the others are served: the hosts' requests must be compared");
	EXPECT(!find(KIND_NOT_THE_NETWORK), "the network is not cleared");
	end();
}

static void test_no_answer_neighbours(void)
{
	unsigned int i;

	begin(); /* a protocol without answers: clients send, and close when they are done */
	for (i = 0; i < 20; i++)
		add(ended(served(i % 5, SERVER(0), i), SIDE_CLIENT, false, 1.3 + 0.9 * (i % 7)));
	conclude();
	EXPECT(!find(KIND_NO_ANSWER), "clients that expect no answer");
	end();

	begin(); /* users go on before the answer of some pages; so they end long polls */
	for (i = 0; i < 120; i++)
		add(i % 12 ? served(i % 5, SERVER(0), i)
			   : ended(served(i % 5, SERVER(0), i), SIDE_CLIENT, false,
				   1.2 + 0.03 * i * (i % 7)));
	conclude();
	EXPECT(!accuses(), "users who go on");
	end();

	begin(); /* long polls that their clients end after 30 s */
	for (i = 0; i < 120; i++)
		add(i % 4 ? served(i % 5, SERVER(0), i)
			  : ended(served(i % 5, SERVER(0), i), SIDE_CLIENT, false, 30));
	conclude();
	EXPECT(find(KIND_NO_ANSWER) && find(KIND_NO_ANSWER)->confidence == CONFIDENCE_MEDIUM,
	       "long polls look the same");
	end();

	begin(); /* one request of a hundred */
	for (i = 0; i < 99; i++)
		add(served(i % 5, SERVER(0), i));
	add(ended(served(0, SERVER(0), 99), SIDE_CLIENT, false, 30));
	conclude();
	EXPECT(!accuses(), "a single accident");
	end();

	begin(); /* a full accept queue: SYN-ACKs repeat, SYNs are ignored, and clients give up */
	for (i = 0; i < 20; i++) {
		struct connection c = served(i % 5, SERVER(0), i);

		if (i % 4 == 1) {
			c.synack_after_ack = 2;
			c.client_payload.again = 2;
		} else if (i % 4 == 2) {
			c = ended(c, SIDE_CLIENT, false, 10);
		} else if (i % 4 == 3) {
			c.syn_count = c.syn_times_count = 2;
			c.syn_last = c.syn_times[1] = c.syn + SECONDS(0.015);
		}
		add(c);
	}
	conclude();
	EXPECT(!find(KIND_NO_ANSWER), "requests that wait in the accept queue");
	end();

	begin(); /* the run ends while two requests wait */
	for (i = 0; i < 10; i++)
		add(served(i % 5, SERVER(0), i));
	for (i = 0; i < 2; i++) {
		struct connection c = ended(served(i, SERVER(0), 10), SIDE_NONE, false, 2);

		c.fin = NEVER;
		c.end_reason = END_OF_RUN;
		add(c);
	}
	conclude();
	EXPECT(!accuses(), "the end of the run is nobody's fault");
	end();
}

/* ---- reset-after-request ---- */

static void test_reset(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin(); /* the RST acknowledges the request 8 ms after it; the round trip is 20 ms */
	for (i = 0; i < 16; i++) {
		c = ended(served(i % 4, SERVER(0), i), SIDE_SERVER, true, 0.008);
		c.rst_ttl = 250;
		add(c);
	}
	conclude();
	f = find(KIND_RESET_AFTER_REQUEST);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && strstr(f->text, "somebody nearer") &&
		       strstr(f->text, "16 of 16") && mentions(f, "250, not 53"),
	       "a device on the way resets");
	EXPECT(f && has_line(f, "action") && !find(KIND_NOT_THE_NETWORK), "what to do");
	end();

	begin(); /* after a round trip: the server may have done it */
	for (i = 0; i < 16; i++)
		add(ended(served(i % 4, SERVER(0), i), SIDE_SERVER, true, 0.0205));
	conclude();
	f = find(KIND_RESET_AFTER_REQUEST);
	EXPECT(f && !strstr(f->text, "nearer") && !mentions(f, "another device"),
	       "the server itself may have sent it");
	end();

	begin(); /* soon after the request, but it acknowledges only the SYN: it may have crossed */
	for (i = 0; i < 16; i++) {
		c = ended(served(i % 4, SERVER(0), i), SIDE_SERVER, true, 0.004);
		c.rst_acked = 1;
		add(c);
	}
	conclude();
	f = find(KIND_RESET_AFTER_REQUEST);
	EXPECT(f && !strstr(f->text, "nearer"), "an RST that was under way already");
	end();

	begin(); /* this gateway's own rule */
	for (i = 0; i < 6; i++) {
		c = ended(served(i % 4, SERVER(0), i), SIDE_SERVER, true, 0.00001);
		c.from_gateway = true;
		add(c);
	}
	conclude();
	f = find(KIND_RESET_AFTER_REQUEST);
	EXPECT(f && mentions(f, "this gateway itself sent 6") && !strstr(f->text, "nearer"),
	       "the gateway resets");
	end();
}

static void test_late_clients(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin(); /* the server has given up deferred connections */
	for (i = 0; i < 30; i++)
		add(served(20 + i, SERVER(0), 4 * i));
	for (i = 0; i < 8; i++) {
		c = ended(held(served(i, SERVER(0), i), 66 + 5 * i), SIDE_SERVER, true, 0.02);
		c.synack_count = 5;
		c.synack_after_ack = 4;
		c.rst_acked = RST_ACKS_NOTHING;
		add(c);
	}
	conclude();
	f = find(KIND_RESET_AFTER_REQUEST);
	EXPECT(f && strstr(f->text, "8 of 8") && mentions(f, "forgotten"),
	       "late clients are reset");
	EXPECT(!find(KIND_DEFERRED_ACCEPT), "that is not harmless");
	end();

	begin(); /* late clients that are served */
	for (i = 0; i < 30; i++)
		add(served(20 + i, SERVER(0), 4 * i));
	for (i = 0; i < 8; i++) {
		c = held(served(i, SERVER(0), i), 6 + 5 * i);
		c.synack_count = 4;
		c.synack_after_ack = 3;
		add(c);
	}
	conclude();
	EXPECT(!find(KIND_RESET_AFTER_REQUEST) && find(KIND_DEFERRED_ACCEPT),
	       "a deferred accept is harmless");
	end();
}

/* ---- refused-in-answer ---- */

static void test_alert(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 26; i++) {
		struct connection c = served(i < 12 ? i % 3 : 3 + i % 7, SERVER(0), i);

		if (i < 12) {
			c.server_payload.has_first_byte = true;
			c.server_payload.first_byte = TLS_ALERT;
			c.server_payload.alert_level = 2;
			c.client_flight = 230;
		}
		add(c);
	}
	conclude();
	f = find(KIND_REFUSED_IN_ANSWER);
	EXPECT(f && strstr(f->text, "12 of 26") && strstr(f->text, "3 hosts"), "an alert refuses");
	EXPECT(f && mentions(f, "their requests have 230 bytes") &&
		       mentions(f, "14 requests of 7 other hosts were"),
	       "what is special about them");
	EXPECT(f && has_line(f, "not seen"), "the server name was not looked at");
	EXPECT(!find(KIND_NOT_THE_NETWORK), "a device on the way may have refused");
	end();

	begin(); /* a warning is no refusal */
	for (i = 0; i < 12; i++) {
		struct connection c = served(i % 3, SERVER(0), i);

		c.server_payload.has_first_byte = true;
		c.server_payload.first_byte = TLS_ALERT;
		c.server_payload.alert_level = 1;
		add(c);
	}
	conclude();
	EXPECT(!accuses(), "a warning refuses nothing");
	end();
}

/* ---- large-hello ---- */

static void test_large_hello(void)
{
	const struct finding *f;
	unsigned int i;

	begin();
	for (i = 0; i < 36; i++)
		add(i % 2 ? ended(large(served(i % 6, SERVER(i % 3), i)), SIDE_SERVER, true, 0.002)
			  : served(i % 5, SERVER(i % 3), i));
	conclude();
	f = find(KIND_LARGE_HELLO);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && strstr(f->text, "18 of 18") &&
		       strstr(f->text, "ClientHellos") && f->part_count == 3,
	       "large requests are reset at three servers");
	EXPECT(!find(KIND_RESET_AFTER_REQUEST) && !find(KIND_MTU_BLACK_HOLE),
	       "one fault has one finding");
	end();

	begin(); /* large ones to the same server pass, too */
	for (i = 0; i < 36; i++)
		add(i % 6 == 1 ? ended(large(served(i % 6, SERVER(0), i)), SIDE_CLIENT, false, 10)
		    : i % 2    ? large(served(i % 6, SERVER(0), i))
			       : served(i % 5, SERVER(0), i));
	conclude();
	EXPECT(!find(KIND_LARGE_HELLO) && find(KIND_NO_ANSWER), "the size is not the reason");
	end();

	begin(); /* too few to compare: the failures are reported by how they end */
	for (i = 0; i < 2; i++)
		add(ended(large(served(i, SERVER(0), i)), SIDE_SERVER, true, 0.02));
	for (i = 0; i < 2; i++)
		add(served(i, SERVER(0), 5 + i));
	conclude();
	EXPECT(!find(KIND_LARGE_HELLO) && find(KIND_RESET_AFTER_REQUEST),
	       "two of each prove nothing");
	end();
}

static void test_black_hole(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin();
	for (i = 0; i < 20; i++)
		add(served(i % 5, SERVER(0), i));
	for (i = 0; i < 12; i++) {
		c = ended(large(served(i % 4, SERVER(1), i)), SIDE_CLIENT, false, 20);
		c.client_payload.acked = false;
		c.client_payload.again = 4;
		add(c);
	}
	conclude();
	f = find(KIND_MTU_BLACK_HOLE);
	EXPECT(f && strstr(f->text, "12 of 12 requests got no answer") && f->hosts_hurt == 4,
	       "an MTU black hole");
	EXPECT(!find(KIND_LARGE_HELLO) && !find(KIND_NO_ANSWER) && !find(KIND_REQUEST_LOST),
	       "one fault has one finding");
	end();
}

/* A request in a segment of full size that is repeated and never acknowledged. */
static struct connection black_holed(unsigned int host, double at)
{
	struct connection c = ended(large(served(host, SERVER(1), at)), SIDE_CLIENT, false, 20);

	c.client_payload.acked = false;
	c.client_payload.again = 4;
	return c;
}

/* Packets as large as those that fail are acknowledged by the same address meanwhile. */
static void test_no_black_hole(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i, kind;

	for (kind = 0; kind < 3; kind++) {
		begin();
		for (i = 0; i < 20; i++) {
			if (kind < 2)
				add(served(i % 5, SERVER(1), i));
			/* at another port, or by other hosts */
			c = large(served(kind == 2 ? 8 : i % 4, SERVER(1), i + 0.5));
			c.server.port = 80;
			if (kind == 1)
				c.client_payload.size = c.client_payload.mss = 1360;
			add(c);
		}
		for (i = 0; i < 12; i++)
			add(black_holed(i % 4, i));
		conclude();
		f = find(KIND_MTU_BLACK_HOLE);
		EXPECT(!f == !kind, "the MTU would be blamed although such packets pass");
		EXPECT(!f || (f->confidence == (kind == 1 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM) &&
			      has_line(f, "against") == (kind == 2)),
		       "other hosts may have another path, and smaller packets prove nothing");
		f = find(KIND_LARGE_HELLO);
		EXPECT(!f == (kind > 0), "what fails is large ClientHellos");
		EXPECT(!f || (f->confidence == CONFIDENCE_HIGH && f->hosts_hurt == 4 &&
			      strstr(f->text, "are never acknowledged, 12 of 12") &&
			      mentions(f, "at the time of 12 of these 12 connects")),
		       "why it is not the MTU");
		end();
	}
}

/* ---- first-visit-slow ---- */

static void test_first_visit(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin();
	for (i = 0; i < 14; i++) {
		add(late(served(i % 5, SERVER(i), 10 * i), 5 + 0.02 * (i % 5)));
		add(served((i + 1) % 5, SERVER(i), 10 * i + 7));
		c = served(i % 5, SERVER(100 + i), 10 * i + 1);
		c.server.port = 80;
		add(c);
	}
	conclude();
	f = find(KIND_FIRST_VISIT_SLOW);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && strstr(f->text, "14 of 14") &&
		       llabs(f->timer - SECONDS(5)) < SECONDS(0.1),
	       "first visits wait");
	EXPECT(f && mentions(f, "14 first connects on other ports 0 were late"), "HTTP does not");
	EXPECT(!find(KIND_SLOW_SERVER), "the servers are not slow");
	end();

	begin(); /* cold caches: each server takes another time */
	for (i = 0; i < 14; i++) {
		add(late(served(i % 5, SERVER(i), 10 * i), 1.1 + 0.6 * (i % 7)));
		add(served((i + 1) % 5, SERVER(i), 10 * i + 7));
	}
	conclude();
	EXPECT(!find(KIND_FIRST_VISIT_SLOW), "servers that are cold, each in its way");
	end();

	begin(); /* later visits are late as well */
	for (i = 0; i < 14; i++) {
		add(late(served(i % 5, SERVER(i), 20 * i), 5));
		add(late(served((i + 1) % 5, SERVER(i), 20 * i + 7), 5));
	}
	conclude();
	EXPECT(!find(KIND_FIRST_VISIT_SLOW), "every visit is late");
	end();
}

/* ---- slow-server ---- */

static void test_slow_server(void)
{
	const struct finding *f;
	struct connection c;
	unsigned int i;

	begin(); /* five requests have no answer yet */
	for (i = 0; i < 25; i++)
		add(late(served(i % 5, SERVER(0), i), 4 + 0.3 * (i % 4)));
	for (i = 0; i < 5; i++) {
		c = ended(served(i, SERVER(0), 30), SIDE_NONE, false, 2);
		c.fin = NEVER;
		c.end_reason = END_OF_RUN;
		add(c);
	}
	for (i = 0; i < 30; i++)
		add(served(i % 5, SERVER(1), i));
	conclude();
	f = find(KIND_SLOW_SERVER);
	EXPECT(f && mentions(f, "25 of 25 first answers") &&
		       mentions(f, "5 more requests had no answer"),
	       "answers that came, and requests that wait");
	EXPECT(f && mentions(f, "not the path to it") && has_line(f, "action"),
	       "the path is prompt");
	end();

	begin(); /* a proxy of this gateway shook hands */
	for (i = 0; i < 20; i++) {
		c = late(served(i % 5, SERVER(0), i), 5);
		c.synack_from_gateway = true;
		add(c);
	}
	for (i = 0; i < 30; i++)
		add(served(i % 5, SERVER(1), i));
	conclude();
	f = find(KIND_SLOW_SERVER);
	EXPECT(f && !mentions(f, "not the path") && mentions(f, "this gateway itself answered 20"),
	       "nothing is known about the way behind a proxy");
	end();

	begin(); /* a proxy on this link did */
	for (i = 0; i < 20; i++) {
		c = late(served(i % 5, SERVER(0), i), 5);
		c.synack_ttl = 64;
		add(c);
	}
	for (i = 0; i < 30; i++)
		add(served(i % 5, SERVER(1), i));
	conclude();
	f = find(KIND_SLOW_SERVER);
	EXPECT(f && !mentions(f, "not the path") && mentions(f, "no router lowered the TTL"),
	       "nothing is known about the way behind a proxy");
	end();

	begin(); /* a private server on this link is itself */
	for (i = 0; i < 20; i++) {
		c = late(served(i % 5, PRIVATE, i), 5);
		c.synack_ttl = 64;
		add(c);
	}
	for (i = 0; i < 30; i++)
		add(served(i % 5, SERVER(1), i));
	conclude();
	f = find(KIND_SLOW_SERVER);
	EXPECT(f && mentions(f, "not the path to it"), "a server on the LAN");
	end();
}

/* ---- not-the-network ---- */

/* Forty connects; those of the second half begin with a silent client. */
static void add_idle_clients(double round_trip, bool by_gateway)
{
	unsigned int i;

	for (i = 0; i < 40; i++) {
		struct connection c = served(i % 5, SERVER(i % 2), 5 * i);

		if (i >= 20)
			c = held(c, 1.2 + 0.37 * (i - 20) + 0.013 * (i - 20) * (i - 20));
		c.server_round_trip = SECONDS(round_trip);
		c.synack_from_gateway = by_gateway;
		add(c);
	}
}

/* Adds a connect that is refused at once. */
static void add_refused(unsigned int host, uint16_t port, double at, uint8_t ttl)
{
	struct connection c = unanswered(served(host, SERVER(0), at));

	c.server.port = port;
	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.synack = c.ack = c.client_first = c.wait = NEVER;
	c.synack_count = c.synack_ttl = c.client_flight = 0;
	c.client_payload = (struct payload){ .mss = 1460 };
	c.server_round_trip = c.client_round_trip = NEVER;
	c.rst = c.settled = c.syn + SECONDS(0.02);
	c.rst_from = SIDE_SERVER;
	c.rst_ttl = ttl;
	add(c);
}

/* A refusal is an answer, unless a device on the way may have given it. */
static void test_refused_on_the_way(void)
{
	static const struct {
		unsigned int host;
		uint16_t port;
		uint8_t ttl;
		bool is_well;
		const char *claim;
	} cells[] = {
		{ 7, 25, 53, true, "a closed port would make the network suspect" },
		{ 7, 25, 0, true, "an RST whose TTL is unknown would make it suspect" },
		{ 2, 443, 53, true, "a server that restarts would make it suspect" },
		{ 7, 443, 53, false, "a firewall that refuses one host would be cleared" },
		{ 7, 25, 60, false, "an RST with another TTL than the SYN-ACKs would be its own" },
	};
	unsigned int i, j;

	for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		begin();
		for (j = 0; j < 40; j++)
			add(served(j % 5, SERVER(j % 2), j));
		for (j = 0; j < 3; j++)
			add_refused(cells[i].host, cells[i].port, 10 * j, cells[i].ttl);
		conclude();
		EXPECT(find(KIND_PEER_REFUSED) && !find(KIND_NOT_THE_NETWORK) == !cells[i].is_well,
		       cells[i].claim);
		end();
	}
}

static void test_not_the_network(void)
{
	begin();
	add_idle_clients(0.02, false);
	conclude();
	EXPECT(find(KIND_NOT_THE_NETWORK), "a prompt network would not be cleared");
	end();

	begin();
	add_idle_clients(0.606, false);
	conclude();
	EXPECT(!find(KIND_NOT_THE_NETWORK), "606 ms are not prompt");
	end();

	begin();
	add_idle_clients(0.02, true);
	conclude();
	EXPECT(!find(KIND_NOT_THE_NETWORK), "these are round trips to a proxy on this gateway");
	end();
}

int main(void)
{
	test_no_answer();
	test_no_answer_neighbours();
	test_reset();
	test_late_clients();
	test_alert();
	test_large_hello();
	test_black_hole();
	test_no_black_hole();
	test_first_visit();
	test_slow_server();
	test_refused_on_the_way();
	test_not_the_network();
	printf("answers: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
