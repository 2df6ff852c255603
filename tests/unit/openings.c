// SPDX-License-Identifier: GPL-2.0
/*
 * Openings that fail after the SYN-ACK: each scene has a cause with its finding, and beside it a
 * scene that looks similar and must not be accused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "findings.h"
#include "made_connect.h"
#include "diagnose/diagnose.h"

static const struct session session = { .is_capture = true };
static const struct host_facts facts;

static struct endpoint at(unsigned int last, uint16_t port)
{
	return ip4_endpoint(0x0a000000 | last, port);
}

/* A handshake: 10.0.0.`client` opens a connection to 10.0.0.`server`. */
static struct connection handshake(unsigned int client, unsigned int server, uint16_t port,
				   double when)
{
	struct connection c = made_handshake(at(client, 40000), at(server, port), when);

	c.end_reason = END_OF_RUN;
	c.synack_window = 65160;
	c.settled = c.syn + SECONDS(30);
	c.watched = c.settled - c.syn;
	c.client_payload.mss = c.server_payload.mss = 1460;
	return c;
}

static void sends_request(struct connection *c)
{
	c->client_first = c->ack;
	c->wait = 0;
	c->client_payload.size = c->client_flight = 300;
	c->client_segments = 1;
}

static struct connection served(unsigned int client, unsigned int server, uint16_t port,
				double when)
{
	struct connection c = handshake(client, server, port, when);

	sends_request(&c);
	c.client_payload.acked = true;
	c.server_first = c.settled = c.client_first + SECONDS(0.02);
	c.answer = SECONDS(0.02);
	c.server_payload.size = 900;
	c.end_reason = END_PAYLOAD;
	return c;
}

static struct connection greeted(unsigned int client, unsigned int server, uint16_t port,
				 double when, double after)
{
	struct connection c = handshake(client, server, port, when);

	c.banner = SECONDS(after);
	c.server_first = c.settled = c.ack + c.banner;
	c.server_payload.size = 60;
	c.server_payload.acked = true;
	c.end_reason = END_PAYLOAD;
	return c;
}

static struct connection half_open(unsigned int client, unsigned int server, double when)
{
	struct connection c = handshake(client, server, 80, when);

	c.outcome = OUTCOME_HALF_OPEN;
	c.ack = c.client_round_trip = NEVER;
	c.synack_count = 5;
	return c;
}

static void repeats_syn(struct connection *c)
{
	c->syn_count = c->syn_times_count = 2;
	c->syn_times[1] = c->syn_last = c->syn + SECONDS(1);
	c->server_round_trip = NEVER;
}

/* The request is repeated and not acknowledged, and so is the SYN-ACK. */
static struct connection not_acked(unsigned int client, unsigned int server, double when)
{
	struct connection c = handshake(client, server, 80, when);

	sends_request(&c);
	c.client_payload.again = 6;
	c.client_segments = 7;
	c.synack_after_ack = 4;
	c.synack_count = 5;
	return c;
}

static void ends(struct connection *c, enum side by, bool by_rst, double after)
{
	ns_t when = (c->ack != NEVER ? c->ack : c->synack) + SECONDS(after);

	if (by_rst) {
		c->rst = when;
		c->rst_from = by;
	} else {
		c->fin = when;
		c->fin_from = by;
	}
	c->end_reason = by_rst ? END_RST : END_FIN;
	c->settled = when;
}

/* ---- scenes ---- */

struct scene {
	struct model *m;
	struct diagnosis d;
};

static void begin(struct scene *s)
{
	s->m = model_new(SECOND_NS, NULL);
	if (!s->m)
		abort();
}

static void add(struct scene *s, struct connection c)
{
	model_settled(s->m, &c);
}

/* Hosts 1 to 3 are served by a server that is well. */
static void add_healthy(struct scene *s)
{
	unsigned int i;

	for (i = 0; i < 12; i++)
		add(s, served(1 + i % 3, 200, 443, 2 * i));
}

static void conclude(struct scene *s)
{
	EXPECT(diagnose(&s->d, s->m, &session, &facts), "a diagnosis");
}

static void end(struct scene *s)
{
	diagnosis_free(&s->d);
	model_free(s->m);
}

static const struct finding *find(const struct scene *s, enum finding_kind kind)
{
	return find_kind(&s->d, kind);
}

static size_t count_problems(const struct scene *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->d.count; i++)
		n += s->d.at[i].is_problem;
	return n;
}

/* ---- handshakes that clients do not finish ---- */

static void test_syn_again(void)
{
	const struct finding *f;
	struct scene s;
	unsigned int i;

	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 6; i++) {
		struct connection c = half_open(1 + i % 3, 99, 3 * i);

		repeats_syn(&c);
		c.syn_traits.has_timestamp = c.has_tsecr = true;
		c.syn_traits.tsval = 1000;
		c.synack_tsecr = i ? 1000 : 1010; /* the second SYN's */
		c.synack = i ? c.synack : c.syn_last + SECONDS(0.01);
		add(&s, c);
	}
	conclude(&s);
	f = find(&s, KIND_HANDSHAKE_UNFINISHED);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->hosts_hurt == 3 && f->correlated == 5,
	       "answers that clients do not accept would be no finding");
	EXPECT(f && says(f, NULL, "on 5 of 6 connects of 3 hosts the SYN comes again"),
	       "the headline would not say what happens, and to whom");
	EXPECT(f && says(f, "action", "checksum") && !says(f, "", "checksum"),
	       "a checksum that was not seen would be evidence");
	EXPECT(f && !says(f, NULL, "time stamp"), "a valid time stamp would be called wrong");
	EXPECT(f && !says(f, NULL, "other host"), "no other host uses this server");
	EXPECT(f && says(f, "against", "other servers served 3 of these hosts"),
	       "the way to healthy hosts would be suspected");
	EXPECT(!find(&s, KIND_NOT_THE_NETWORK), "the network would be cleared");
	end(&s);
}

/* Two hosts do not finish handshakes with a server, others do. */
static void test_unfinished_by_some(void)
{
	const struct finding *f;
	unsigned int i, others;
	struct scene s;

	for (others = 0; others < 3; others++) {
		begin(&s);
		add_healthy(&s);
		for (i = 0; i < 4; i++) {
			struct connection c = half_open(1 + i % 2, 99, 5 * i);

			repeats_syn(&c);
			add(&s, c);
			add(&s, served(1 + i % 2, 99, 80, 5 * i + 1));
		}
		for (i = 0; i < 3 * others; i++)
			add(&s, served(3 + i % others, 99, 80, 5 * i));
		conclude(&s);
		f = find(&s, KIND_HANDSHAKE_UNFINISHED);
		EXPECT(f && says(f, "against", "other host") == (others > 0),
		       "hosts that finish the handshake would not clear the server");
		EXPECT(f && (others != 2 ||
			     says(f, "against",
				  "2 other hosts finish the handshake with this server (6 "
				  "connects)")),
		       "how many others, and how often");
		EXPECT(f && (others != 1 || says(f, "against", "1 other host finishes")),
		       "one other host");
		end(&s);
	}
}

static void test_paws(void)
{
	const struct finding *f;
	unsigned int i, wrong;
	struct scene s;

	for (wrong = 0; wrong < 2; wrong++) {
		begin(&s);
		add_healthy(&s);
		for (i = 0; i < 4; i++) {
			struct connection c = half_open(1, 99, 3 * i);

			c.attempts = 2;
			ends(&c, SIDE_CLIENT, true, 0.001);
			c.syn_traits.has_timestamp = c.has_tsecr = true;
			c.syn_traits.tsval = 5000;
			c.synack_tsecr = wrong ? 4000 : 5000;
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, KIND_HANDSHAKE_UNFINISHED);
		EXPECT(f && says(f, NULL, "the client resets the SYN-ACK"), "a reset SYN-ACK");
		EXPECT(f && says(f, NULL, "time stamp") == wrong, "time stamps as the reason");
		end(&s);
	}
}

/* Who is accused if one client fails everywhere, or if it scans. */
static void test_one_client(void)
{
	const struct finding *f;
	unsigned int i, servers;
	struct scene s;

	for (servers = 4; servers <= 20; servers += 16) {
		begin(&s);
		add_healthy(&s);
		for (i = 0; i < servers; i++)
			add(&s, half_open(1, 100 + i, 2 * i));
		conclude(&s);
		f = find(&s, KIND_HANDSHAKE_UNFINISHED);
		EXPECT(!f == (servers == 20), "a scanner's silence is no fault");
		EXPECT(!f || !strncmp(f->text, "10.0.0.1 does not finish its handshakes", 30),
		       "four servers would be accused for one client");
		EXPECT(!f || (!f->has_peer && f->part_count == 4), "the part of each server");
		end(&s);
	}
}

/* Forged SYNs, health checks, and two clients that left. */
static void test_no_fault_of_handshakes(void)
{
	struct scene s;
	unsigned int i;

	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 50; i++) {
		struct connection check = half_open(1, 90, i);

		add(&s, half_open(1000 + i, 99, 0.1 * i));
		ends(&check, SIDE_CLIENT, true, 0.0001);
		add(&s, check);
	}
	add(&s, half_open(1, 98, 5));
	add(&s, half_open(2, 98, 15));
	conclude(&s);
	EXPECT(!find(&s, KIND_HANDSHAKE_UNFINISHED),
	       "forged SYNs or health checks would be a fault");
	end(&s);
}

static void test_outer_side(void)
{
	const struct finding *f;
	struct scene s;
	unsigned int i;

	begin(&s);
	for (i = 0; i < 4; i++) {
		struct connection c = half_open(1, 99, 2 * i);

		repeats_syn(&c);
		c.syn_egress = true;
		add(&s, c);
	}
	add(&s, served(2, 98, 80, 1)); /* else the capture may hold only handshakes */
	conclude(&s);
	f = find(&s, KIND_HANDSHAKE_UNFINISHED);
	EXPECT(f && says(f, NULL, "this gateway itself may drop") &&
		       says(f, "action", "inner interface"),
	       "clients would be accused of what this gateway may drop");
	end(&s);
}

/* ---- servers that close ---- */

static void test_closes(void)
{
	const struct finding *f;
	unsigned int i, timed;
	struct scene s;

	for (timed = 0; timed < 2; timed++) {
		begin(&s);
		add_healthy(&s);
		for (i = 0; i < 6; i++) {
			struct connection c = handshake(1 + i % 3, 99, 21, 10 * i);

			ends(&c, SIDE_SERVER, false, timed ? 5.002 + 0.001 * (i % 2) : 0.01);
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, KIND_SERVER_CLOSES);
		EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->hosts_hurt == 3,
		       "a server that closes every connection would be no finding");
		EXPECT(f && says(f, NULL, "the time is a timer") == timed,
		       "a timer would not be told from a close at once");
		EXPECT(f && says(f, "action", "looks up") == timed, "what to check");
		end(&s);
	}
}

/* A rule about hosts 1 and 2, or a limit that everybody meets now and then. */
static void test_closes_whom(void)
{
	const struct finding *f;
	unsigned int i, limit;
	struct scene s;

	for (limit = 0; limit < 2; limit++) {
		begin(&s);
		for (i = 0; i < 40; i++) {
			unsigned int client = 1 + i % 4;
			struct connection c = handshake(client, 99, 80, i);

			if (limit ? i % 5 < 2 : client <= 2) {
				ends(&c, SIDE_SERVER, true, 0.02);
				add(&s, c);
			} else {
				add(&s, served(client, 99, 80, i));
			}
		}
		conclude(&s);
		f = find(&s, KIND_SERVER_CLOSES);
		EXPECT(f && says(f, NULL, "resets connections"), "a reset would be a close");
		EXPECT(f && says(f, "", limit ? "a limit" : "a rule about the client"),
		       "a limit would be taken for an access rule");
		end(&s);
	}
}

/* A scanner, and spare connections that a web server closes after a minute. */
static void test_closes_harmless(void)
{
	struct scene s;
	unsigned int i;

	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 20; i++) {
		struct connection scan = handshake(7, 100 + i, 22, i),
				  spare = handshake(1, 200, 443, i);

		ends(&scan, SIDE_SERVER, false, 0.01);
		ends(&spare, SIDE_SERVER, false, 60);
		add(&s, scan);
		add(&s, spare);
	}
	conclude(&s);
	EXPECT(!find(&s, KIND_SERVER_CLOSES), "a scan or spare connections would be a fault");
	end(&s);
}

/* ---- greetings ---- */

static void test_no_greeting(void)
{
	const struct finding *f;
	struct scene s;
	unsigned int i;

	begin(&s);
	for (i = 0; i < 10; i++)
		add(&s, greeted(1 + i % 3, 99, 25, i, 0.01));
	for (i = 0; i < 6; i++) {
		struct connection c = handshake(1 + i % 3, 99, 25, 20 + i);

		ends(&c, SIDE_CLIENT, false, 30);
		add(&s, c);
	}
	conclude(&s);
	f = find(&s, KIND_NO_GREETING);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH &&
		       says(f, NULL, "6 of 6 connects of 3 hosts since ") &&
		       says(f, NULL, "the clients give up after 30.000 s"),
	       "a mail server that hangs would be no finding");
	EXPECT(f && says(f, "when", "before that 10 were served"), "since when");
	EXPECT(!find(&s, KIND_SERVER_CLOSES), "the client closes, not the server");
	end(&s);

	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 6; i++) {
		struct connection spare = handshake(1, 200, 443, i);

		ends(&spare, SIDE_CLIENT, false, 30);
		add(&s, spare);
	}
	conclude(&s);
	EXPECT(!count_problems(&s), "spare connections to a web server would be a fault");
	end(&s);
}

/* Bytes that a server sends to an idle client at the end are no greeting. */
static void test_late_banner(void)
{
	const struct finding *f;
	unsigned int i, kind;
	struct scene s;

	for (kind = 0; kind < 4; kind++) {
		begin(&s);
		for (i = 0; i < 12; i++)
			if (kind != 3)
				add(&s, served(1 + i % 3, 99, 443, 2 * i));
		for (i = 0; i < 4; i++) {
			struct connection c = greeted(1 + i % 3, 99, 443, 30 * i, 5.0);

			if (kind == 0) {
				c.server_payload.has_first_byte = true;
				c.server_payload.first_byte = TLS_ALERT;
				c.server_payload.alert_level = 1;
				ends(&c, SIDE_SERVER, false, 5.001);
			} else if (kind == 1) {
				ends(&c, SIDE_CLIENT, false, 4.99);
			}
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, KIND_LATE_BANNER);
		EXPECT(!f == (kind != 3), "a TLS alert, or an idle timeout, would be a greeting");
		EXPECT(kind > 1 || !ledger_row(&s.d.ledger, ROW_LATE), "a greeting in the ledger");
		EXPECT(!f || says(f, NULL, "no question of it passed here"),
		       "questions that cannot be seen");
		end(&s);
	}
}

static void test_lookup_seen(void)
{
	const struct finding *f;
	struct scene s;
	unsigned int i;

	begin(&s);
	for (i = 0; i < 4; i++) {
		struct connection c = handshake(99, 53, 53, 10 * i);

		add(&s, greeted(1 + i % 3, 99, 25, 10 * i, 5.0));
		c.outcome = OUTCOME_UNANSWERED;
		c.synack = c.ack = c.server_round_trip = c.client_round_trip = NEVER;
		c.synack_count = 0;
		repeats_syn(&c);
		add(&s, c);
	}
	conclude(&s);
	f = find(&s, KIND_LATE_BANNER);
	EXPECT(f && says(f, NULL, "4 of its 4 connects to port 53 failed") &&
		       !says(f, NULL, "asked nobody"),
	       "questions of the server that were seen would be denied");
	end(&s);
}

/* ---- devices that answer for a server ---- */

static void test_syn_proxy(void)
{
	const struct finding *f;
	unsigned int i, kind;
	struct scene s;

	for (kind = 0; kind < 3; kind++) {
		begin(&s);
		add_healthy(&s);
		for (i = 0; i < 4; i++) {
			struct connection c = handshake(1 + i % 3, 99, 80, 20 * i);

			if (kind == 0) {
				c.synack_window = 0;
			} else {
				sends_request(&c);
				c.client_payload.acked = kind == 1;
			}
			if (kind == 1)
				c.synack_from_gateway = true;
			if (kind == 2) {
				c.far.seen = true;
				c.far.syn = c.ack + SECONDS(0.001);
			}
			ends(&c, SIDE_CLIENT, false, 15);
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, KIND_SYN_PROXY);
		EXPECT(f && f->confidence == CONFIDENCE_HIGH && count_problems(&s) == 1,
		       "handshakes that a proxy completes would be the server's");
		EXPECT(f && says(f, NULL, "this gateway answers") == (kind > 0),
		       "who answers the handshakes");
		EXPECT(ledger_row(&s.d.ledger, ROW_FAILED) == 4, "closed unused");
		end(&s);
	}
}

/* Clients that may not send keep the connection: it is still open when the run ends. */
static void test_syn_proxy_holds(void)
{
	const struct finding *f;
	unsigned int i, kind;
	struct scene s;

	for (kind = 0; kind < 4; kind++) {
		begin(&s);
		add_healthy(&s);
		for (i = 0; i < 6; i++) {
			struct connection c = handshake(1 + i % 3, 99, 80, i);

			c.synack_window = kind == 1 ? 65160 : 0;
			c.settled = c.ack + SECONDS(kind == 2 ? 2 : 4);
			add(&s, c);
		}
		if (kind == 3) {
			struct connection c = served(1, 99, 80, 8);

			c.synack_window = 0;
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, KIND_SYN_PROXY);
		EXPECT(!f == (kind > 0) && count_problems(&s) == (kind == 0),
		       "clients that a SYN proxy holds would be undecided, or spare sockets held");
		EXPECT(ledger_row(&s.d.ledger, kind ? ROW_UNDECIDED : ROW_FAILED) == 6,
		       "which connects are still going on");
		EXPECT(!f || (f->confidence == CONFIDENCE_MEDIUM && f->correlated == 6 &&
			      says(f, "against", "keep the connections for later")),
		       "idle clients would be certain to wait");
		end(&s);
	}
}

/* The same proxy in front of a server that answers: spare connections are closed unused. */
static void test_syn_proxy_works(void)
{
	struct scene s;
	unsigned int i;

	begin(&s);
	for (i = 0; i < 8; i++) {
		struct connection c = served(1 + i % 3, 99, 80, i), spare;

		c.synack_window = 0;
		add(&s, c);
		spare = handshake(1, 99, 80, i);
		spare.synack_window = 0;
		ends(&spare, SIDE_CLIENT, false, 15);
		add(&s, spare);
	}
	conclude(&s);
	EXPECT(!count_problems(&s) && !ledger_row(&s.d.ledger, ROW_FAILED),
	       "a SYN proxy that works would be a fault");
	end(&s);
}

/* ---- requests that do not arrive ---- */

static void test_request_lost(void)
{
	const struct finding *f;
	struct scene s;
	unsigned int i;

	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 6; i++)
		add(&s, not_acked(1 + i % 3, 99, 3 * i));
	conclude(&s);
	f = find(&s, KIND_REQUEST_LOST);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && count_problems(&s) == 1,
	       "packets lost after the SYN would be a full accept queue");
	EXPECT(f && says(f, "against", "no SYN was ignored"), "what a full queue would show");
	EXPECT(f && says(f, "", "was not seen"), "where the requests are lost");
	end(&s);

	/* the path was cut for a moment */
	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 6; i++)
		add(&s, not_acked(1 + i % 3, 99, 10 + 0.01 * i));
	conclude(&s);
	EXPECT(!find(&s, KIND_REQUEST_LOST) && !find(&s, KIND_ACCEPT_QUEUE),
	       "a cable that was pulled would be a fault of the server");
	end(&s);
}

static void test_accept_queue(void)
{
	const struct finding *f;
	struct scene s;
	unsigned int i;

	begin(&s);
	add_healthy(&s);
	for (i = 0; i < 6; i++) {
		struct connection ignored = handshake(1 + i % 3, 99, 80, 3 * i + 1);

		add(&s, not_acked(1 + i % 3, 99, 3 * i));
		ignored.outcome = OUTCOME_UNANSWERED;
		ignored.synack = ignored.ack = ignored.server_round_trip = NEVER;
		ignored.client_round_trip = NEVER;
		ignored.synack_count = 0;
		repeats_syn(&ignored);
		add(&s, ignored);
	}
	conclude(&s);
	f = find(&s, KIND_ACCEPT_QUEUE);
	EXPECT(f && f->confidence == CONFIDENCE_HIGH && f->correlated == 12,
	       "a full accept queue would be no finding");
	EXPECT(!find(&s, KIND_REQUEST_LOST) && !find(&s, KIND_PEER_UNANSWERED),
	       "one fault would have several findings");
	end(&s);
}

/* Both sides of this gateway: by a second interface, or in a capture of all interfaces. */
static void test_where_lost(void)
{
	const struct finding *f;
	unsigned int i, kind;
	struct scene s;

	for (kind = 0; kind < 4; kind++) {
		bool left = kind & 1, copies = kind & 2;

		begin(&s);
		for (i = 0; i < 6; i++) {
			struct connection c = served(1 + i % 3, 200, 443, 2 * i);

			c.syn_copies = c.synack_copies = copies;
			c.client_segments = copies ? 2 : 1;
			add(&s, c);
		}
		for (i = 0; i < 6; i++) {
			struct connection c = not_acked(1 + i % 3, 99, 3 * i);

			c.syn_copies = c.synack_copies = copies;
			c.client_segments *= copies && left ? 2 : 1;
			if (!copies) {
				c.far.seen = true;
				c.far.syn = c.syn + 1000;
				c.far.synack = c.synack - 1000;
				c.far.client_first = left ? c.client_first + 1000 : NEVER;
			}
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, left ? KIND_REQUEST_LOST : KIND_DROPPED_IN_GATEWAY);
		EXPECT(f && f->confidence == CONFIDENCE_HIGH && count_problems(&s) == 1,
		       "the server would be accused of what this gateway drops");
		EXPECT(f && says(f, NULL, left ? "left this gateway" : "do not leave"),
		       "where the requests are lost");
		end(&s);
	}
}

/* ---- deferred accept ---- */

static void test_deferred(void)
{
	const struct finding *f;
	unsigned int i, kind;
	struct scene s;

	for (kind = 0; kind < 3; kind++) {
		begin(&s);
		for (i = 0; i < 4; i++) {
			struct connection c = kind ? served(1 + i, 99, 80, 50 * i)
						   : handshake(1 + i, 99, 80, 50 * i);

			c.synack_after_ack = 3;
			c.synack_count = 4;
			if (kind) {
				c.wait = SECONDS(20);
				c.client_first = c.ack + c.wait;
				c.server_first = c.settled = c.client_first + SECONDS(0.02);
			}
			if (kind == 2) {
				c.server_first = c.answer = NEVER;
				c.client_payload.acked = false;
				ends(&c, SIDE_SERVER, true, 20.01);
			}
			add(&s, c);
		}
		conclude(&s);
		f = find(&s, KIND_DEFERRED_ACCEPT);
		EXPECT(!f == (kind == 2), "requests that are reset would be harmless");
		EXPECT(!f || says(f, NULL, "harmless") == (kind == 1),
		       "harmless, although no late request was seen");
		end(&s);
	}
}

int main(void)
{
	test_syn_again();
	test_unfinished_by_some();
	test_paws();
	test_one_client();
	test_no_fault_of_handshakes();
	test_outer_side();
	test_closes();
	test_closes_whom();
	test_closes_harmless();
	test_no_greeting();
	test_late_banner();
	test_lookup_seen();
	test_syn_proxy();
	test_syn_proxy_holds();
	test_syn_proxy_works();
	test_request_lost();
	test_accept_queue();
	test_where_lost();
	test_deferred();
	printf("openings: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
