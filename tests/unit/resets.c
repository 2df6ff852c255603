// SPDX-License-Identifier: GPL-2.0
/* RSTs of open connections: what counts, under which budget, and when they are a finding. */
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "diagnose/diagnose.h"
#include "packet_script.h"
#include "reset.h"
#include "source/offline.h"

#define SYN TCP_SYN
#define ACK TCP_ACK
#define FIN TCP_FIN
#define RST TCP_RST

static void ignore(void *context, const struct record *r)
{
	(void)context, (void)r;
}

static void play(struct offline *o, const struct tape *t)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		offline_feed(o, &(struct offline_frame){ .bytes = t->frames[i].bytes,
							 .length = t->frames[i].length,
							 .link = LINK_ETHERNET,
							 .egress = t->frames[i].egress,
							 .from_gateway = t->frames[i].egress,
							 .time = 1 + t->frames[i].at });
}

/* Plays the tape as a run of its own. Returns the most frequent server, or NULL. */
static const struct reset_server *resets_of(const struct tape *t, struct session *session)
{
	struct offline *o = offline_new(1000, NULL, ignore, NULL);

	if (!o)
		abort();
	play(o, t);
	memset(session, 0, sizeof(*session));
	session_set_resets(session, offline_resets(o), 1);
	memcpy(session->counters, offline_counters(o), sizeof(session->counters));
	offline_free(o);
	return session->reset_count ? &session->resets[0] : NULL;
}

static void test_what_counts(void)
{
	static struct session session;
	const struct reset_server *r;
	static struct tape t;

	tape_start(&t);
	tcp(&t, 5, CLIENT, ACK, 1000, 2000, 10);
	tcp(&t, 6, SERVER, RST, 2000, 0, 0);
	tcp(&t, 7, CLIENT, ACK, 1010, 2000, 10);
	tcp(&t, 8, SERVER, RST, 2000, 0, 0);
	r = resets_of(&t, &session);
	EXPECT(r && r->resets == 1 && r->without_ack == 1 && !r->opened_here && r->port == 80,
	       "a connection counts once");
	EXPECT(r && r->first == 1006 * MS && r->last == r->first,
	       "the time is not that of the RST");

	tape_start(&t);
	tcp(&t, 5, SERVER, ACK | FIN, 2000, 1000, 0);
	tcp(&t, 6, CLIENT, ACK, 1000, 2001, 10);
	tcp(&t, 7, SERVER, RST, 2001, 0, 0);
	EXPECT(!resets_of(&t, &session), "the RST after an ordinary close counts");

	tape_start(&t);
	tcp(&t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(&t, 1, SERVER, RST | ACK, -t.isn[SERVER], 1, 0);
	tcp(&t, 2, SERVER, RST | ACK, -t.isn[SERVER], 1, 0);
	t.port[SERVER] = 81;
	tcp(&t, 3, SERVER, RST | ACK, -t.isn[SERVER], 1, 0);
	EXPECT(!resets_of(&t, &session), "a refusal counts");

	tape_start(&t);
	tcp(&t, 5, CLIENT, RST, 1000, 0, 0);
	EXPECT(!resets_of(&t, &session), "an RST of a client counts");
}

static void test_settled(void)
{
	static struct session session;
	const struct reset_server *r;
	static struct tape t;

	tape_start(&t);
	handshake(&t, 0);
	tcp(&t, 12, CLIENT, ACK, 1, 1, 20);
	tcp(&t, 20, SERVER, ACK, 1, 21, 40);
	tcp(&t, 21, CLIENT, ACK, 21, 41, 0);
	tcp(&t, 6000, CLIENT, ACK, 21, 41, 20);
	tcp(&t, 6001, SERVER, RST, 41, 0, 0);
	t.port[CLIENT]++;
	tcp(&t, 7000, SERVER, RST | ACK, 500, 500, 0);
	t.port[CLIENT]++;
	tcp(&t, 8000, CLIENT, RST, 500, 500, 0);
	t.port[CLIENT]++;
	t.egress = true;
	tcp(&t, 9000, SERVER, RST, 500, 0, 0);
	r = resets_of(&t, &session);
	EXPECT(r && r->resets == 3 && r->opened_here == 1 && r->without_ack == 2 &&
		       r->by_gateway == 1 && r->by_client == 1 && !r->closes,
	       "senders are confused");
	EXPECT(r && r->burst == 3 && r->ttl_min == 64 && r->ttl_max == 64, "an event is not seen");

	tape_start(&t);
	handshake(&t, 0);
	tcp(&t, 12, CLIENT, ACK, 1, 1, 20);
	tcp(&t, 20, SERVER, ACK, 1, 21, 40);
	tcp(&t, 21, CLIENT, ACK, 21, 41, 0);
	tcp(&t, 22, SERVER, RST | ACK, 41, 21, 0);
	r = resets_of(&t, &session);
	EXPECT(!r, "a server that closes by RST is listed");
}

/* RSTs of many connections within a second, and of more servers than there are entries. */
static void test_bounds(void)
{
	struct offline *o = offline_new(1000, NULL, ignore, NULL);
	static struct session session;
	static struct tape t;
	uint64_t kept = 0, missed;
	int i, way;

	for (i = 0; i < RESET_BUDGET + 10; i++) {
		tape_start(&t);
		t.port[CLIENT] = 20000 + i;
		tcp(&t, 1, SERVER, RST, 500, 0, 0);
		play(o, &t);
	}
	session_set_resets(&session, offline_resets(o), 1);
	missed = offline_counters(o)[COUNT_RESETS_NOT_COUNTED];
	EXPECT(session.resets[0].resets == RESET_BUDGET && missed == 10, "the budget");
	for (i = 0; i < 5000; i++) {
		tape_start(&t);
		t.address[SERVER][1] = i >> 8;
		t.address[SERVER][2] = i;
		tcp(&t, 2000 + i, SERVER, RST, 500, 0, 0);
		play(o, &t);
	}
	for (i = 0; i < RESET_SETS; i++)
		for (way = 0; way < RESET_WAYS; way++)
			kept += offline_resets(o)[i].ways[way].resets;
	missed = offline_counters(o)[COUNT_RESETS_NOT_COUNTED];
	EXPECT(kept + missed == RESET_BUDGET + 10 + 5000, "a reset is lost silently");
	session_set_resets(&session, offline_resets(o), 1);
	EXPECT(session.resets[0].resets == RESET_BUDGET,
	       "many servers displace the one that counts");
	EXPECT(session.reset_count == MAX_RESET_SERVERS, "the number of servers");
	offline_free(o);
}

/* ---- the finding ---- */

static struct reset_server some_resets(uint32_t resets, uint64_t clients)
{
	return (struct reset_server){
		.address = { .word = { 0, 0, IP4_PREFIX, cpu_to_be32(0xcb00710a) } },
		.port = 443,
		.ttl_min = 61,
		.ttl_max = 61,
		.first = 10 * SECOND_NS,
		.last = 400 * SECOND_NS,
		.burst_first = 40 * SECOND_NS,
		.burst_last = 42 * SECOND_NS,
		.burst = 2,
		.resets = resets,
		.without_ack = resets,
		.clients = { clients },
	};
}

/* Connects to the server of some_resets() that were served. Their SYN-ACKs have TTL 52. */
static struct model *model_with(unsigned int connects)
{
	struct model *m = model_new(SECOND_NS, NULL);
	unsigned int i;

	for (i = 0; i < connects; i++) {
		struct connection c = { .outcome = OUTCOME_ESTABLISHED, .end_reason = END_PAYLOAD };

		c.client.address = (struct address){ .word = { 0, 0, IP4_PREFIX, i % 5 } };
		c.client.port = 40000 + i;
		c.server.address = some_resets(0, 0).address;
		c.server.port = 443;
		c.syn = c.syn_times[0] = c.syn_last = i * MS;
		c.syn_count = c.syn_times_count = c.synack_count = 1;
		c.synack = c.syn + MS;
		c.synack_ttl = 52;
		c.ack = c.client_first = c.synack + MS;
		c.server_first = c.settled = c.ack + MS;
		c.answer = c.server_round_trip = c.client_round_trip = MS;
		c.fin = c.rst = c.icmp = c.banner = NEVER;
		model_settled(m, &c);
	}
	return m;
}

/*
 * Returns whether these resets are a finding after so many connects. With text, a line of it must
 * contain the text.
 */
static bool is_found(struct reset_server r, unsigned int connects, const char *text)
{
	static struct session session;
	struct model *m = model_with(connects);
	struct host_facts facts = {};
	bool found = false, said = !text;
	struct diagnosis d;
	size_t i, j;

	memset(&session, 0, sizeof(session));
	session.duration = 500 * SECOND_NS;
	session.resets[0] = r;
	session.reset_count = 1;
	EXPECT(diagnose(&d, m, &session, &facts), "a diagnosis");
	for (i = 0; i < d.count; i++) {
		if (d.at[i].kind != KIND_OLD_RESET)
			continue;
		found = true;
		for (j = 0; text && j < d.at[i].line_count; j++)
			said |= !!strstr(d.at[i].lines[j].text, text);
	}
	diagnosis_free(&d);
	model_free(m);
	return found && said;
}

static void test_finding(void)
{
	struct reset_server r;

	EXPECT(is_found(some_resets(20, 7), 0, "idle timeouts"), "resets are not reported");
	EXPECT(!is_found(some_resets(19, 7), 0, NULL), "few resets are reported");
	EXPECT(!is_found(some_resets(200, 3), 0, NULL), "resets of two clients are reported");
	EXPECT(is_found(some_resets(20, 7), 400, NULL), "5 % of the connects");
	EXPECT(!is_found(some_resets(20, 7), 401, NULL), "a small share is reported");
	r = some_resets(20, 7);
	r.burst = 20;
	EXPECT(is_found(r, 2000, "failed over"), "an event of few seconds is not reported");
	EXPECT(is_found(some_resets(20, 7), 5, "61, the SYN-ACKs of this server with 52"),
	       "a middlebox in front of the server is not seen");
	r.ttl_min = r.ttl_max = 53;
	EXPECT(!is_found(r, 5, "another device"), "a hop of the gateway itself is another device");
	r = some_resets(30, 7);
	r.without_ack = 0;
	r.closes = 60;
	EXPECT(!is_found(r, 100, NULL), "a server that closes by RST is reported");
	EXPECT(is_found(r, 150, NULL), "many other connections ended otherwise");
	r.resets = 61;
	EXPECT(is_found(r, 100, "why the service closed"), "its old connections are more");
	r = some_resets(30, 7);
	r.by_gateway = 30;
	EXPECT(is_found(r, 0, "by this gateway"), "the gateway's own RSTs");
	EXPECT(is_found(r, 0, "nft list ruleset"), "the gateway's own rules");
}

int main(void)
{
	test_what_counts();
	test_settled();
	test_bounds();
	test_finding();
	printf("resets: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
