// SPDX-License-Identifier: GPL-2.0
/* The row of the ledger for every way in which an opening can end, and the joining of attempts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "diagnose/diagnose.h"
#include "model/connects.h"
#include "model/ledger.h"

#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))

static const struct ledger_context plain = { .stall_ns = SECOND_NS };

static struct address ip4(unsigned int last)
{
	return (struct address){ { 0, 0, cpu_to_be32(0xffff), cpu_to_be32(0x0a000000 | last) } };
}

/* A request that is answered at once, by the second. */
static struct connection served(double at)
{
	struct connection c;

	memset(&c, 0, sizeof(c));
	c.attempts = 1;
	c.client = (struct endpoint){ .address = ip4(1), .port = 40000 };
	c.server = (struct endpoint){ .address = ip4(99), .port = 443 };
	c.client_isn = 7;
	c.outcome = OUTCOME_ESTABLISHED;
	c.end_reason = END_PAYLOAD;
	c.syn = c.syn_last = c.syn_times[0] = SECONDS(at);
	c.syn_times_count = c.syn_count = c.synack_count = 1;
	c.synack = c.syn + SECONDS(0.01);
	c.ack = c.client_first = c.syn + SECONDS(0.02);
	c.server_first = c.settled = c.syn + SECONDS(0.05);
	c.watched = c.settled - c.syn;
	c.wait = 0;
	c.answer = SECONDS(0.03);
	c.client_payload = (struct payload){ .mss = 1460, .size = 500, .acked = true };
	c.server_payload = (struct payload){ .mss = 1460, .size = 900, .acked = true };
	c.banner = c.fin = c.rst = c.icmp = NEVER;
	c.syn_traits.ttl = 64;
	c.synack_window = 64240;
	return c;
}

/* A request that is acknowledged and not answered for the time that it is watched. */
static struct connection unanswered_request(double watched)
{
	struct connection c = served(0);

	c.server_first = c.answer = NEVER;
	c.server_payload = (struct payload){ .mss = 1460 };
	c.settled = c.client_first + SECONDS(watched);
	c.watched = c.settled - c.syn;
	c.end_reason = END_OF_RUN;
	return c;
}

static struct connection without_payload(double watched)
{
	struct connection c = unanswered_request(watched);

	c.client_first = c.wait = NEVER;
	c.client_payload = (struct payload){ .mss = 1460 };
	return c;
}

static struct connection half_open(double watched)
{
	struct connection c = without_payload(watched);

	c.ack = NEVER;
	c.outcome = OUTCOME_HALF_OPEN;
	return c;
}

static struct connection silent(unsigned int syns, double watched)
{
	struct connection c = half_open(watched);

	c.outcome = OUTCOME_UNANSWERED;
	c.synack = NEVER;
	c.synack_count = 0;
	c.syn_count = c.syn_times_count = syns;
	if (syns > 1)
		c.syn_last = c.syn_times[1] = c.syn + SECONDS(1);
	c.settled = c.syn + SECONDS(watched);
	c.watched = c.settled - c.syn;
	return c;
}

static struct connection refused(double at)
{
	struct connection c = silent(1, 0.001);

	c.syn = c.syn_last = c.syn_times[0] = SECONDS(at);
	c.outcome = OUTCOME_REFUSED;
	c.end_reason = END_RST;
	c.rst = c.settled = c.syn + SECONDS(0.001);
	c.rst_from = SIDE_SERVER;
	return c;
}

static void ends(struct connection *c, enum side by, bool by_rst, double after_first)
{
	ns_t when = (c->client_first != NEVER ? c->client_first : c->synack) + SECONDS(after_first);

	if (by_rst) {
		c->rst = when;
		c->rst_from = by;
		c->end_reason = END_RST;
	} else {
		c->fin = when;
		c->fin_from = by;
		c->end_reason = END_FIN;
	}
	c->settled = when;
}

static bool is(const struct connection *c, const struct ledger_context *x, enum ledger_row row,
	       enum stage stage, enum manner manner)
{
	struct ledger_entry e = ledger_classify(c, x);

	if (e.row == row && e.stage == stage && e.manner == manner)
		return true;
	printf("row %s, stage %s, manner %s\n", ledger_row_names[e.row], stage_names[e.stage],
	       manner_names[e.manner] ? manner_names[e.manner] : "none");
	return false;
}

#define IS(c, row, stage, manner) is(&(c), &plain, ROW_##row, STAGE_##stage, MANNER_##manner)

static void test_served(void)
{
	struct ledger_context spare = { .stall_ns = SECOND_NS, .is_spare = true };
	struct connection c = served(0);

	EXPECT(IS(c, IN_TIME, CONNECT, NONE), "a healthy connect would count as bad");
	c.wait = SECONDS(5);
	EXPECT(IS(c, LATE, HOLD, SLOW), "the story's wait would not count");
	EXPECT(is(&c, &spare, ROW_IN_TIME, STAGE_CONNECT, MANNER_NONE),
	       "a browser's spare socket would count as late");
	c.client_gap = true;
	EXPECT(IS(c, UNSEEN, HOLD, GAP), "a missed request would count as a silent client");
	c = served(0);
	c.synack = c.syn + SECONDS(63);
	c.ack = c.synack + SECONDS(0.01);
	EXPECT(IS(c, LATE, CONNECT, SLOW), "63 s until the SYN-ACK would not count");
	c.synack = c.syn + SECONDS(0.99995);
	c.ack = c.syn + SECONDS(1.0002);
	EXPECT(IS(c, LATE, CONNECT, SLOW), "a connect() of 1.0002 s would count as in time");
	c = served(0);
	c.answer = SECONDS(3);
	c.synack = c.syn + SECONDS(2);
	EXPECT(IS(c, LATE, ANSWER, SLOW), "the wrong stage would be called the latest");
	c = served(0);
	c.wait = c.answer = NEVER;
	c.banner = SECONDS(6);
	EXPECT(IS(c, LATE, GREETING, SLOW), "a late greeting would not count");
	c = served(0);
	c.synack = c.ack = NEVER;
	EXPECT(IS(c, IN_TIME, CONNECT, NONE), "a missed SYN-ACK would hide a prompt answer");
	c.server_first = c.syn + SECONDS(4);
	EXPECT(IS(c, UNSEEN, CONNECT, ONE_DIRECTION), "a guess about a stage that was not seen");
	c = served(0);
	c.server_payload.has_first_byte = true;
	c.server_payload.first_byte = TLS_ALERT;
	c.server_payload.alert_level = 2;
	EXPECT(IS(c, FAILED, ANSWER, ALERT), "a refusal by TLS would count as service");
	c.server_payload.alert_level = 1;
	EXPECT(IS(c, IN_TIME, CONNECT, NONE), "a warning would count as a refusal");
	c = served(0);
	c.server_payload = (struct payload){ .mss = 1460, .size = 1448, .again = 4 };
	EXPECT(IS(c, FAILED, ANSWER, TOO_LARGE), "an answer that never arrives would be service");
}

static void test_connect(void)
{
	struct ledger_context race = { .stall_ns = SECOND_NS, .won_by_sibling = true };
	struct connection c = silent(3, 7);

	EXPECT(IS(c, FAILED, CONNECT, SILENT), "a dead peer would not count");
	EXPECT(is(&c, &race, ROW_CANCELLED, STAGE_CONNECT, MANNER_RACE),
	       "the loser of a race would count as failed");
	c.elsewhere = true;
	EXPECT(IS(c, FAILED, CONNECT, ELSEWHERE), "hairpin NAT would look like a dead server");
	c = silent(3, 7);
	c.icmp = c.syn;
	c.icmp_type = 11;
	EXPECT(IS(c, FAILED, CONNECT, TIME_EXCEEDED), "a routing loop would look like silence");
	c.syn_count = c.syn_times_count = 1;
	c.syn_last = c.syn;
	EXPECT(is(&c, &race, ROW_FAILED, STAGE_CONNECT, MANNER_TIME_EXCEEDED),
	       "Linux gives up at the error, and a page elsewhere would hide the loop");
	c = silent(3, 7);
	c.ignored_synack = true;
	EXPECT(IS(c, FAILED, CONNECT, IGNORED), "an answer that counts for nothing");
	c = silent(1, 4);
	EXPECT(IS(c, FAILED, CONNECT, ONE_SYN), "a client that gave up early");
	c = silent(1, 2);
	EXPECT(IS(c, UNDECIDED, CONNECT, RUN_ENDED), "a SYN just before Ctrl-C would be a failure");
	c.end_reason = END_SUPERSEDED;
	EXPECT(IS(c, UNSEEN, CONNECT, SUPERSEDED), "the run's end would be blamed");
	c.end_reason = END_PRESSURE;
	EXPECT(IS(c, UNSEEN, CONNECT, PRESSURE), "the tool's own limit would be hidden");
	c = silent(3, 7);
	c.from_outside = true;
	EXPECT(IS(c, UNSEEN, CONNECT, OUTSIDE), "scans from outside would count as user trouble");
	c = silent(3, 7);
	c.during_attach = true;
	EXPECT(IS(c, UNSEEN, CONNECT, AT_START),
	       "an answer missed at the start would be a failure");
	c = refused(0);
	EXPECT(IS(c, FAILED, CONNECT, REFUSED), "a refusal would not count");
	c.outcome = OUTCOME_UNREACHABLE;
	c.icmp = c.syn;
	c.icmp_hard = true;
	c.icmp_type = 3;
	c.icmp_code = 1;
	EXPECT(IS(c, FAILED, CONNECT, NO_ROUTE), "host unreachable");
	c.icmp_code = 13;
	EXPECT(IS(c, FAILED, CONNECT, PROHIBITED), "a firewall would look like a missing route");
}

static void test_finish(void)
{
	struct connection c = half_open(7);

	EXPECT(IS(c, FAILED, FINISH, CLIENT_SILENT), "answers that never reach the client");
	c.syn_last = c.synack + SECONDS(3);
	EXPECT(IS(c, FAILED, FINISH, SYN_AGAIN), "a client that does not take the answer");
	c = half_open(1);
	EXPECT(IS(c, UNDECIDED, FINISH, RUN_ENDED), "the run's end would be a failure");
	c = half_open(1);
	ends(&c, SIDE_SERVER, true, 0.01);
	EXPECT(IS(c, FAILED, FINISH, SERVER_RESET), "an RST behind the SYN-ACK");
	c = half_open(1);
	ends(&c, SIDE_CLIENT, true, 0.01);
	EXPECT(IS(c, CANCELLED, FINISH, PROBED), "a health check would count as failed");
	c.attempts = 2;
	EXPECT(IS(c, FAILED, FINISH, CLIENT_RESET), "a client that tries again wants to connect");
}

static void test_hold(void)
{
	struct connection c = without_payload(40);

	EXPECT(IS(c, UNDECIDED, HOLD, RUN_ENDED), "an idle socket would be a failure");
	ends(&c, SIDE_CLIENT, false, 10);
	EXPECT(IS(c, CANCELLED, HOLD, UNUSED), "an unused socket would be a failure");
	c = without_payload(40);
	ends(&c, SIDE_SERVER, false, 0.01);
	EXPECT(IS(c, FAILED, HOLD, SERVER_CLOSED), "a server that closes at once is no service");
	c = without_payload(40);
	ends(&c, SIDE_SERVER, true, 0.01);
	EXPECT(IS(c, FAILED, HOLD, SERVER_RESET), "a server that resets at once is no service");
	c.server_acks_unseen = true;
	EXPECT(IS(c, UNSEEN, HOLD, GAP), "bytes were missed, and yet a verdict");
}

static void test_answer(void)
{
	struct connection c = unanswered_request(30);

	EXPECT(IS(c, UNDECIDED, ANSWER, RUN_ENDED), "a request under way would be a failure");
	ends(&c, SIDE_CLIENT, false, 30);
	EXPECT(IS(c, FAILED, ANSWER, NEVER), "a client that gave up after 30 s");
	c = unanswered_request(30);
	ends(&c, SIDE_CLIENT, false, 0.01);
	EXPECT(IS(c, UNSEEN, ANSWER, ONE_WAY), "a client that expects no answer");
	c.client_payload.acked = false;
	EXPECT(IS(c, CANCELLED, ANSWER, UNUSED), "a client that changed its mind");
	c = unanswered_request(30);
	c.server.port = 514;
	EXPECT(IS(c, UNSEEN, ANSWER, ONE_WAY), "syslog over TCP would be a dead server");
	c = unanswered_request(30);
	ends(&c, SIDE_SERVER, true, 0.01);
	EXPECT(IS(c, FAILED, ANSWER, SERVER_RESET), "a reset in place of an answer");
	c = unanswered_request(30);
	ends(&c, SIDE_SERVER, false, 0.01);
	EXPECT(IS(c, FAILED, ANSWER, SERVER_CLOSED), "a close in place of an answer");
	c = unanswered_request(30);
	c.client_payload.acked = false;
	c.client_payload.again = 5;
	EXPECT(IS(c, FAILED, ANSWER, NOT_ACKED), "requests that do not reach the server");
	c.client_payload.size = 1448;
	EXPECT(IS(c, FAILED, ANSWER, TOO_LARGE), "a black hole for large packets");
	c = unanswered_request(30);
	c.end_reason = END_ONE_SIDED;
	EXPECT(IS(c, UNSEEN, ANSWER, ONE_WAY), "an upload would be a dead server");
	c = unanswered_request(30);
	c.synack = NEVER;
	EXPECT(IS(c, UNSEEN, CONNECT, ONE_DIRECTION), "half a view would give a verdict");
	c = unanswered_request(30);
	c.offloaded = c.client_gap = true;
	EXPECT(IS(c, UNSEEN, HOLD, OFFLOADED), "what the hardware carried was not seen");
}

/* ---- attempts of one connect ---- */

static struct connection ended[8];
static uint64_t numbers[16];
static unsigned int connects, attempts;

static void on_connect(void *context, const struct connection *c)
{
	(void)context;
	ended[connects++ % 8] = *c;
}

static void on_attempt(void *context, const struct connection *c)
{
	(void)context;
	numbers[attempts++ % 16] = c->connect;
}

static void on_opening(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
}

static struct connects *restart(void)
{
	static const struct connects_events events = { on_attempt, on_connect, on_opening, NULL };

	connects = attempts = 0;
	return connects_new(&events);
}

static void test_connects(void)
{
	struct connection a = refused(0), b = refused(0.5), c = refused(1.0);
	struct connects *x = restart();

	connects_settled(x, &a);
	connects_settled(x, &b);
	connects_settled(x, &c);
	EXPECT(!connects && attempts == 3, "a connect would end while the client still tries");
	connects_swept(x, SECONDS(4));
	EXPECT(connects == 1 && ended[0].attempts == 3 && ended[0].syn_count == 3 &&
		       ended[0].syn == a.syn && ended[0].rst == c.rst,
	       "Windows sends a refused SYN three times: one connect");
	EXPECT(numbers[0] == 1 && numbers[1] == 1 && numbers[2] == 1,
	       "JSON would not show what belongs together");
	connects_free(x);

	x = restart();
	b = served(0.5);
	connects_settled(x, &a);
	connects_settled(x, &b);
	EXPECT(connects == 1 && ended[0].outcome == OUTCOME_ESTABLISHED && ended[0].syn == a.syn,
	       "a connect that opens at the second SYN takes 0.5 s");
	EXPECT(ended[0].server_round_trip == NEVER, "the wait would count as a round trip");
	connects_free(x);

	x = restart();
	b = refused(1.7);
	connects_settled(x, &a);
	connects_settled(x, &b);
	connects_end(x);
	EXPECT(connects == 2 && numbers[1] == 2, "a new connect would be hidden");
	b = refused(0.5);
	b.client_isn++;
	connects_settled(x, &a);
	connects_settled(x, &b);
	connects_end(x);
	EXPECT(connects == 4, "another ISN is another connect");
	connects_free(x);
}

/* The SYN to a virtual address is sent on to a server whose answer is not translated back. */
static void test_redirected(void)
{
	struct connection meant = silent(2, 7), first = half_open(1), again;
	struct connects *x = restart();

	first.syn = first.syn_last = first.syn_times[0] = meant.syn + SECONDS(0.001);
	first.synack = first.syn + SECONDS(0.001);
	first.server.address = ip4(50);
	first.syn_traits.ttl = 63;
	ends(&first, SIDE_CLIENT, true, 0.001);
	again = first;
	again.syn = again.syn_last = again.syn_times[0] = meant.syn_times[1] + SECONDS(0.001);
	again.synack = again.syn + SECONDS(0.001);
	again.rst = again.settled = again.synack + SECONDS(0.001);
	connects_settled(x, &first);
	connects_settled(x, &again);
	connects_settled(x, &meant);
	connects_end(x);
	EXPECT(connects == 1 && ended[0].elsewhere &&
		       ended[0].server.address.word[3] == ip4(99).word[3] &&
		       ended[0].answered_by.address.word[3] == ip4(50).word[3],
	       "hairpin NAT would be counted as three connects, and the server accused");
	connects_free(x);

	x = restart();
	first.syn_traits.ttl = 64; /* not forwarded: a scan of two servers */
	connects_settled(x, &first);
	connects_settled(x, &meant);
	connects_end(x);
	EXPECT(connects == 2 && !ended[0].elsewhere && !ended[1].elsewhere,
	       "a scan would be taken for NAT");
	connects_free(x);
}

/* Direct server return: another server's SYN-ACK, whose SYN was not seen. */
static void test_synack_alone(void)
{
	struct connection meant = silent(2, 7), synack = half_open(0), other;
	struct connects *x = restart();
	unsigned int i;

	synack.server.address = ip4(50);
	synack.synack = meant.syn + SECONDS(0.002);
	connects_synack_alone(x, &synack);
	connects_synack_alone(x, &synack);
	other = meant;
	other.client_isn++;
	connects_settled(x, &meant);
	connects_settled(x, &other);
	EXPECT(connects == 2 && ended[0].elsewhere &&
		       ended[0].answered_by.address.word[3] == ip4(50).word[3],
	       "the server would be accused of silence");
	EXPECT(IS(ended[0], FAILED, CONNECT, ELSEWHERE), "the row would not name the answer");
	EXPECT(!ended[1].elsewhere, "an answer to another SYN would count");
	connects_free(x);

	x = restart();
	synack.server.address = meant.server.address;
	connects_synack_alone(x, &synack);
	connects_settled(x, &meant);
	synack.client_isn = other.client_isn;
	synack.server.address = ip4(50);
	synack.synack = other.settled + SECONDS(1);
	connects_synack_alone(x, &synack);
	connects_settled(x, &other);
	EXPECT(connects == 2 && !ended[0].elsewhere && !ended[1].elsewhere,
	       "the server's own answer, or one of later, would be another server's");
	connects_free(x);

	x = restart();
	synack.synack = meant.syn + SECONDS(0.002);
	for (i = 0; i < 50000; i++) { /* only answers pass here: the oldest are forgotten */
		synack.client_isn = meant.client_isn + i;
		connects_synack_alone(x, &synack);
	}
	connects_settled(x, &meant);
	meant.client_isn += 49999;
	connects_settled(x, &meant);
	EXPECT(!ended[0].elsewhere && ended[1].elsewhere, "the newest would be forgotten");
	connects_free(x);
}

/* ---- rows that depend on other connects, and the result of a run ---- */

static bool concludes(struct model *m, enum state state, const char *headline)
{
	struct session session = { .duration = SECONDS(60) };
	struct host_facts facts = {};
	struct diagnosis d;
	bool as_expected;

	if (!diagnose(&d, m, &session, &facts))
		return false;
	as_expected = d.state == state && strstr(d.headline, headline);
	if (!as_expected)
		printf("state %s, headline: %s\n", state_names[d.state], d.headline);
	diagnosis_free(&d);
	return as_expected;
}

static uint64_t count(const struct model *m, enum ledger_row row, enum stage stage,
		      enum manner manner)
{
	struct ledger l;

	model_ledger(m, &l);
	return l.count[row][stage][manner];
}

static void test_race(void)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct connection loser = silent(1, 40), winner = served(0.25);
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i;

	loser.client.address = (struct address){ { cpu_to_be32(0x20010db8), 0, 0, 1 } };
	loser.server.address = (struct address){ { cpu_to_be32(0x20010db8), 0, 0, 2 } };
	loser.has_mac = winner.has_mac = true;
	memcpy(loser.mac, mac, sizeof(mac));
	memcpy(winner.mac, mac, sizeof(mac));
	model_settled(m, &winner);
	model_settled(m, &loser);
	EXPECT(count(m, ROW_CANCELLED, STAGE_CONNECT, MANNER_RACE) == 1,
	       "IPv6 that loses its race to IPv4 would count as failed");
	EXPECT(concludes(m, STATE_FINE, "1 of 2 connects was served, 1 was cancelled"),
	       "a race would be called a failure");
	loser.syn_last = loser.syn_times[1] = loser.syn + SECONDS(3);
	loser.syn_count = loser.syn_times_count = 2;
	model_settled(m, &loser);
	EXPECT(count(m, ROW_FAILED, STAGE_CONNECT, MANNER_SILENT) == 1,
	       "a client that still tries 3 s later has lost no race");
	model_free(m);

	/* a fail-over after 2 s is no race: the client waited */
	m = model_new(SECOND_NS, NULL);
	loser = silent(1, 40);
	winner = served(2);
	winner.server.address = ip4(98);
	model_settled(m, &winner);
	model_settled(m, &loser);
	EXPECT(count(m, ROW_FAILED, STAGE_CONNECT, MANNER_ONE_SYN) == 1, "a fail-over, not a race");
	model_free(m);

	/* behind a router's MAC there are many hosts */
	m = model_new(SECOND_NS, NULL);
	for (i = 1; i <= 4; i++) {
		winner = served(0.1);
		winner.client.address = ip4(i);
		winner.has_mac = true;
		memcpy(winner.mac, mac, sizeof(mac));
		model_settled(m, &winner);
	}
	loser.client.address = ip4(7);
	loser.has_mac = true;
	memcpy(loser.mac, mac, sizeof(mac));
	model_settled(m, &loser);
	EXPECT(count(m, ROW_FAILED, STAGE_CONNECT, MANNER_ONE_SYN) == 1,
	       "another host's success would hide a failure");
	model_free(m);
}

/* A loser stays one when its winner is long forgotten: it is marked while it is opening. */
static void test_long_race(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct connection loser = silent(1, 2), c;
	unsigned int i;

	c = served(0.2);
	model_settled(m, &c);
	model_opening(m, &loser);
	model_swept(m);
	for (i = 0; i < 100; i++) {
		c = served(20 + i);
		model_settled(m, &c);
		model_opening(m, &loser);
		model_swept(m);
	}
	loser = silent(1, 130);
	model_settled(m, &loser);
	EXPECT(count(m, ROW_CANCELLED, STAGE_CONNECT, MANNER_RACE) == 1,
	       "busy clients would seem to fail");
	model_free(m);
}

/* The first SYN looks like a lost race, the next ones show that the client has no winner. */
static void test_no_race(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct connection c = served(0.2), tried = silent(1, 1);

	model_settled(m, &c);
	model_opening(m, &tried);
	model_swept(m);
	tried = silent(2, 40);
	tried.syn_last = tried.syn_times[1] = tried.syn + SECONDS(3);
	model_opening(m, &tried);
	model_swept(m);
	model_settled(m, &tried);
	EXPECT(count(m, ROW_FAILED, STAGE_CONNECT, MANNER_SILENT) == 1,
	       "a page that loads meanwhile would hide a server that does not answer");
	model_free(m);
}

static void test_who_speaks_first(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct connection c = served(0);
	unsigned int i;

	c.server.port = 25;
	c.wait = c.answer = NEVER;
	c.banner = SECONDS(0.03);
	model_settled(m, &c);
	c = without_payload(40);
	c.server.port = 25;
	ends(&c, SIDE_CLIENT, false, 30);
	model_settled(m, &c);
	EXPECT(count(m, ROW_FAILED, STAGE_GREETING, MANNER_NEVER) == 1,
	       "a client that waits in vain for a greeting would have closed an unused socket");
	EXPECT(concludes(m, STATE_FAILURES, "1 of 2 connects failed"),
	       "what failed would be hidden");
	model_free(m);

	/* the server of a browser's spare sockets closes them after a while */
	m = model_new(SECOND_NS, NULL);
	c = served(0);
	model_settled(m, &c);
	c = without_payload(40);
	ends(&c, SIDE_SERVER, false, 20);
	model_settled(m, &c);
	EXPECT(count(m, ROW_CANCELLED, STAGE_HOLD, MANNER_UNUSED) == 1,
	       "an idle socket that the server closes would be a failure");
	for (i = 0; i < 3; i++) {
		c = without_payload(40);
		ends(&c, SIDE_SERVER, false, 0.01);
		model_settled(m, &c);
	}
	EXPECT(count(m, ROW_FAILED, STAGE_HOLD, MANNER_SERVER_CLOSED) == 3,
	       "a server that closes at once would be hidden by one that serves");
	model_free(m);
}

/* A mail server that is dead from the start greets nobody: its port says that it should. */
static void test_never_greets(void)
{
	static const uint16_t ports[] = { 25, 443 };
	struct model *m;
	struct connection c;
	unsigned int i, k;

	for (k = 0; k < 2; k++) {
		m = model_new(SECOND_NS, NULL);
		for (i = 0; i < 4; i++) {
			c = without_payload(40);
			c.server.port = ports[k];
			ends(&c, SIDE_CLIENT, false, 30);
			model_settled(m, &c);
		}
		EXPECT(count(m, ROW_FAILED, STAGE_GREETING, MANNER_NEVER) == (k ? 0 : 4),
		       "a dead mail server would be fine, or an idle socket a failure");
		model_free(m);
	}
}

/* A greeting that comes as soon as the way allows is not the server's delay. */
static void test_far_greeting(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct connection c = served(0);

	c.client_first = c.wait = c.answer = NEVER;
	c.server_round_trip = SECONDS(1.1);
	c.banner = SECONDS(1.12);
	model_settled(m, &c);
	EXPECT(!m->late_banners, "a server far away would greet late");
	c.banner = SECONDS(2.2);
	model_settled(m, &c);
	EXPECT(m->late_banners == 1, "a late greeting from far away would be missed");
	model_free(m);
}

/* A capture that a filter by flags made: what it does not hold is no failure. */
static void test_view(void)
{
	struct session session = { .stall = SECOND_NS,
				   .duration = SECONDS(100),
				   .is_capture = true };
	struct model *m = model_new(SECOND_NS, NULL);
	struct host_facts facts = { 0 };
	struct connection c;
	struct diagnosis d;
	unsigned int i;

	for (i = 0; i < 12; i++) {
		c = silent(3, 9);
		c.server.address = ip4(100 + i % 3);
		model_settled(m, &c);
	}
	diagnose(&d, m, &session, &facts);
	EXPECT(d.state == STATE_UNKNOWN && d.count == 1 && strstr(d.headline, "holds only SYNs"),
	       "servers would be dead because a filter hides their answers");
	EXPECT(ledger_row(&d.ledger, ROW_UNSEEN) == 12, "the ledger would call them failed");
	diagnosis_free(&d);
	session.is_capture = false;
	diagnose(&d, m, &session, &facts);
	EXPECT(d.state == STATE_PROBLEM, "a live run sees both directions");
	diagnosis_free(&d);
	session.is_capture = true;
	c = half_open(20);
	c.rst = NEVER;
	for (i = 0; i < 3; i++)
		model_settled(m, &c);
	diagnose(&d, m, &session, &facts);
	EXPECT(strstr(d.at[0].text, "only SYNs and SYN-ACKs"), "clients would be silent");
	diagnosis_free(&d);
	c = served(50);
	model_settled(m, &c);
	diagnose(&d, m, &session, &facts);
	EXPECT(d.state == STATE_PROBLEM, "one whole connection shows that nothing is filtered");
	diagnosis_free(&d);
	model_free(m);
}

/* Counts the journal's entries in a row of the ledger. */
static size_t journal_row(const struct model *m, enum ledger_row row)
{
	int64_t *greetings = model_greetings(m);
	size_t i, n = 0;
	int class;

	for (class = 0; class < JOURNAL_CLASSES; class ++)
		for (i = 0; i < m->journal.rings[class].count; i++)
			n += model_entry(m, greetings, &m->journal.rings[class].at[i]).row == row;
	free(greetings);
	return n;
}

static void test_journal(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct ledger l;
	struct connection c;
	unsigned int i;
	int row;

	for (i = 0; i < 5; i++) {
		c = served(i);
		c.client_first = c.wait = NEVER;
		c.banner = SECONDS(0.01);
		model_settled(m, &c);
		c = without_payload(40);
		ends(&c, i % 2 ? SIDE_SERVER : SIDE_CLIENT, false, 30);
		model_settled(m, &c);
		c = silent(3, 9);
		c.server.port = 25;
		c.client.address = ip4(2);
		model_settled(m, &c);
		/* held by a SYN proxy, for long enough to tell or not */
		c = without_payload(i < 3 ? 5 : 2);
		c.server.port = 8080;
		c.synack_window = 0;
		model_settled(m, &c);
	}
	model_ledger(m, &l);
	EXPECT(l.count[ROW_FAILED][STAGE_HOLD][MANNER_NEVER] == 3 &&
		       l.count[ROW_UNDECIDED][STAGE_HOLD][MANNER_RUN_ENDED] == 2,
	       "clients that a SYN proxy holds would be undecided");
	for (row = 0; row < LEDGER_ROWS; row++)
		EXPECT(journal_row(m, row) == ledger_row(&l, row),
		       "a finding would count other connects than the ledger");
	EXPECT(m->journal.rings[JOURNAL_UNVERIFIED].count == 5,
	       "forged SYNs would displace the failures of real clients");
	for (i = 0; i < MAX_SERVED; i++) {
		c = served(100 + i);
		model_settled(m, &c);
	}
	EXPECT(m->journal.rings[JOURNAL_SERVED].count == MAX_SERVED &&
		       m->journal.rings[JOURNAL_SERVED].dropped == 5,
	       "the journal would grow without bound, or hide what it forgets");
	EXPECT(m->journal.rings[JOURNAL_SERVED].at[0].c.syn == SECONDS(100 + MAX_SERVED - 5),
	       "the journal would forget the newest connects");
	EXPECT(m->journal.rings[JOURNAL_FAILED].count == 10,
	       "served connects would displace those that failed");
	model_free(m);
}

static void test_result(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct connection c;
	unsigned int i;

	EXPECT(concludes(m, STATE_UNKNOWN, "nothing can be said: no new connection was seen"),
	       "an empty run would acquit");
	for (i = 0; i < 3; i++) {
		c = silent(1, 1);
		model_settled(m, &c);
	}
	EXPECT(concludes(m, STATE_UNKNOWN, "3 of 3 connects were still going on"),
	       "a short run would acquit");
	for (i = 0; i < 4; i++) {
		c = served(i);
		model_settled(m, &c);
	}
	EXPECT(concludes(m, STATE_FINE,
			 "4 of 7 connects were served, 3 were undecided or not seen whole; the "
			 "slowest took 50"),
	       "a healthy run would stay unclear");
	c = served(9);
	c.synack = c.syn + SECONDS(1.5);
	c.ack = c.synack;
	model_settled(m, &c);
	EXPECT(concludes(m, STATE_FAILURES, "1 of 8 connects was late"),
	       "what is late would be fine");
	EXPECT(m->longest.stage == STAGE_CONNECT && m->longest.duration == SECONDS(1.5),
	       "the longest wait would leave out the connect");
	model_free(m);
}

/* A connect to this port whose SYN-ACK takes that long. */
static struct connection connect_in(double at, uint16_t port, double seconds)
{
	struct connection c = served(at);

	c.server.port = port;
	c.synack = c.syn + SECONDS(seconds);
	c.ack = c.synack;
	return c;
}

static void test_worst_server(void)
{
	struct model *m = model_new(SECOND_NS, NULL);
	struct connection c;
	unsigned int i;

	for (i = 0; i < 12; i++) {
		c = connect_in(2 * i, i % 3 ? 80 : 81, i % 6 ? 0.001 : 1.1 + i * 0.1);
		model_settled(m, &c);
	}
	EXPECT(concludes(m, STATE_FAILURES, "2 of 12 connects were late; no cause stands out") &&
		       !concludes(m, STATE_FAILURES, "are to"),
	       "two connects would point to a server");
	for (i = 0; i < 3; i++) {
		c = connect_in(30 + 2 * i, 81, 1.3 + i * 0.2);
		model_settled(m, &c);
	}
	EXPECT(concludes(m, STATE_FAILURES,
			 "5 of 15 connects were late; no cause stands out, but 5 of these 5 are to"),
	       "the user would not learn where most late connects went");
	for (i = 0; i < 9; i++) {
		c = connect_in(40 + 2 * i, 80, 1.3 + i * 0.2);
		model_settled(m, &c);
	}
	EXPECT(!concludes(m, STATE_FAILURES, "are to"),
	       "a server would stand out that is no worse than the others");
	model_free(m);
}

int main(void)
{
	test_served();
	test_connect();
	test_finish();
	test_hold();
	test_answer();
	test_connects();
	test_redirected();
	test_synack_alone();
	test_race();
	test_long_race();
	test_no_race();
	test_who_speaks_first();
	test_never_greets();
	test_far_greeting();
	test_view();
	test_journal();
	test_result();
	test_worst_server();
	printf("ledger: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
