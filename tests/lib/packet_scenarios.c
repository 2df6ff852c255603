// SPDX-License-Identifier: GPL-2.0
/* The corner cases of the semantics, one tape each, with the expected records. */
#include <string.h>

#include "connection.h"
#include "track.h"
#include "packet_script.h"

#define SYN TCP_SYN
#define ACK TCP_ACK
#define RST TCP_RST
#define FIN TCP_FIN

/* A time of the tape in the records' clock: the start is at 0 of the source's clock. */
#define AT(ms) ((ns_t)(1000 * MS + (ms) * (double)MS))

#define EXPECT(condition)                             \
	do {                                          \
		if (!(condition))                     \
			return "not so: " #condition; \
	} while (0)

#define CHECK(name) \
	static const char *name(const struct connection *c, size_t count, const uint64_t *counters)
#define UNUSED                  \
	do {                    \
		(void)c;        \
		(void)count;    \
		(void)counters; \
	} while (0)

/* Request and answer: both sides have sent payload. */
static void exchange(struct tape *t, double request, double answer)
{
	tcp(t, request, CLIENT, ACK, 1, 1, 300);
	tcp(t, answer, SERVER, ACK, 1, 301, 1400);
	tcp(t, answer + 1, CLIENT, ACK, 301, 1401, 0);
}

static void make_plain(struct tape *t)
{
	handshake(t, 0);
	exchange(t, 12, 20);
	tcp(t, 30, CLIENT, ACK | FIN, 301, 1401, 0);
	tcp(t, 31, SERVER, ACK | FIN, 1401, 302, 0);
}

CHECK(check_plain)
{
	EXPECT(count == 1);
	EXPECT(c->outcome == OUTCOME_ESTABLISHED && c->end_reason == END_PAYLOAD);
	EXPECT(c->syn == AT(0) && c->synack == AT(10) && c->ack == AT(11));
	EXPECT(c->client_first == AT(12) && c->server_first == AT(20));
	EXPECT(c->wait == 1 * (ns_t)MS && c->answer == 8 * (ns_t)MS && c->banner == NEVER);
	EXPECT(c->syn_count == 1 && c->synack_count == 1 && !c->syn_copies);
	EXPECT(c->client.port == 51544 && c->server.port == 80 && is_ip4(&c->client.address));
	EXPECT(c->server_round_trip == 10 * (ns_t)MS && c->client_round_trip == 1 * (ns_t)MS);
	EXPECT(c->has_mac && c->mac[0] == 2 && c->mac[5] == CLIENT);
	EXPECT(!counters[COUNT_ALREADY_OPEN]);
	return NULL;
}

static void make_acked(struct tape *t)
{
	handshake(t, 0);
	exchange(t, 12, 20); /* a full segment: the record waits until all of it has arrived */
	tcp(t, 21, CLIENT, ACK, 301, 1401, 0);
}

CHECK(check_acked)
{
	EXPECT(count == 1 && c->end_reason == END_PAYLOAD);
	EXPECT(c->settled == AT(21) && c->watched == 21 * (ns_t)MS);
	UNUSED;
	return NULL;
}

static void make_plain6(struct tape *t)
{
	t->ip6 = true;
	t->address[CLIENT][0] = 0xfd;
	t->address[SERVER][0] = 0x20;
	make_plain(t);
}

CHECK(check_plain6)
{
	EXPECT(count == 1 && !is_ip4(&c->client.address));
	EXPECT(c->outcome == OUTCOME_ESTABLISHED && c->client_first == AT(12) &&
	       c->server_first == AT(20));
	UNUSED;
	return NULL;
}

static void make_low_client(struct tape *t)
{
	t->address[CLIENT][0] = 250; /* sorts after the server's address */
	make_plain(t);
}

static void make_syn_again(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
	tcp(t, 3000, CLIENT, SYN, 0, 0, 0);
	tcp(t, 3010, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 3011, CLIENT, ACK, 1, 1, 0);
	exchange(t, 3012, 3020);
}

CHECK(check_syn_again)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED);
	EXPECT(c->syn_count == 3 && c->syn_times_count == 3 && !c->syn_copies);
	EXPECT(c->syn_times[1] == AT(1000) && c->syn_times[2] == AT(3000) &&
	       c->syn_last == AT(3000));
	EXPECT(c->server_round_trip == NEVER); /* unknown which SYN was answered */
	UNUSED;
	return NULL;
}

static void make_many_syns(struct tape *t)
{
	int i;

	for (i = 0; i < 11; i++)
		tcp(t, 1000 * i, CLIENT, SYN, 0, 0, 0);
}

CHECK(check_many_syns)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->end_reason == END_OF_RUN);
	EXPECT(c->syn_count == 11 && c->syn_times_count == 8 && c->syn_times[7] == AT(7000));
	EXPECT(c->syn_last == AT(10000) && connection_failure(c) == FAILURE_SILENT);
	UNUSED;
	return NULL;
}

static void make_timeout(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
	sweep(t, 130000); /* 129 s after the last SYN */
	sweep(t, 131001);
}

CHECK(check_timeout)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->end_reason == END_TIMEOUT);
	EXPECT(c->watched == 131001 * (ns_t)MS && c->syn_count == 2);
	UNUSED;
	return NULL;
}

static void make_other_isn(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	t->isn[CLIENT] += 12345;
	tcp(t, 500, CLIENT, SYN, 0, 0, 0);
	tcp(t, 510, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 511, CLIENT, ACK, 1, 1, 0);
	exchange(t, 512, 520);
}

CHECK(check_other_isn)
{
	EXPECT(count == 2);
	EXPECT(c[0].outcome == OUTCOME_UNANSWERED && c[0].end_reason == END_SUPERSEDED &&
	       c[0].syn_count == 1);
	EXPECT(c[1].outcome == OUTCOME_ESTABLISHED && c[1].syn == AT(500) && c[1].syn_count == 1);
	UNUSED;
	return NULL;
}

static void make_same_isn_after_rst(struct tape *t)
{
	int i;

	for (i = 0; i < 3; i++) { /* as Windows does */
		tcp(t, 500 * i, CLIENT, SYN, 0, 0, 0);
		tcp(t, 500 * i + 5, SERVER, RST | ACK, 0, 1, 0);
	}
}

CHECK(check_same_isn_after_rst)
{
	EXPECT(count == 3);
	EXPECT(c[0].outcome == OUTCOME_REFUSED && c[2].outcome == OUTCOME_REFUSED);
	EXPECT(c[2].syn == AT(1000) && c[2].rst == AT(1005) && c[2].rst_from == SIDE_SERVER);
	EXPECT(c[0].end_reason == END_RST && connection_failure(c) == FAILURE_REFUSED);
	UNUSED;
	return NULL;
}

static void make_simultaneous_open(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 2, SERVER, SYN, 0, 0, 0);
	tcp(t, 4, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 5, CLIENT, SYN | ACK, 0, 1, 0);
	exchange(t, 12, 20);
}

CHECK(check_simultaneous_open)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED);
	EXPECT(c->client.port == 51544 && c->syn == AT(0) && c->synack == AT(4) && c->ack == AT(5));
	EXPECT(c->client_first == AT(12) && c->server_first == AT(20));
	UNUSED;
	return NULL;
}

static void make_syn_data(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 200);
	tcp(t, 10, SERVER, SYN | ACK, 0, 201, 0);
	tcp(t, 11, CLIENT, ACK, 201, 1, 0);
	tcp(t, 3000, SERVER, ACK, 1, 201, 1000);
}

CHECK(check_syn_data)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->end_reason == END_PAYLOAD);
	EXPECT(c->wait == 0 && c->ack == AT(11) && c->banner == NEVER);
	UNUSED;
	return NULL;
}

static void make_syn_data_answered_early(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 200);
	tcp(t, 10, SERVER, SYN | ACK, 0, 201, 0);
	tcp(t, 11, SERVER, ACK, 1, 201, 1000);
	tcp(t, 20, CLIENT, ACK, 201, 1001, 0);
}

CHECK(check_syn_data_answered_early)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->wait == 0);
	EXPECT(c->end_reason == END_PAYLOAD && c->server_first == AT(11));
	UNUSED;
	return NULL;
}

static void make_syn_data_not_taken(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 200);
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, ACK, 1, 1, 200);
	tcp(t, 20, SERVER, ACK, 1, 201, 1000);
}

CHECK(check_syn_data_not_taken)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED);
	EXPECT(c->ack == AT(11) && c->client_first == AT(11) && c->wait == 0);
	UNUSED;
	return NULL;
}

static void make_data_in_ack(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	exchange(t, 11, 20);
}

CHECK(check_data_in_ack)
{
	EXPECT(count == 1 && c->ack == AT(11) && c->client_first == AT(11) && c->wait == 0);
	UNUSED;
	return NULL;
}

static void make_keep_alive(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 2000, CLIENT, ACK, 0, 1, 1); /* a probe with one byte of garbage at ISN */
	tcp(t, 2001, SERVER, ACK, 1, 1, 0);
	tcp(t, 4000, CLIENT, ACK, 0, 1, 0); /* and a probe without it */
	tcp(t, 4001, SERVER, ACK, 0, 1, 1); /* the server's probe */
	exchange(t, 5011, 5020);
}

CHECK(check_keep_alive)
{
	EXPECT(count == 1 && c->client_first == AT(5011) && c->server_first == AT(5020));
	EXPECT(c->wait == 5000 * (ns_t)MS);
	UNUSED;
	return NULL;
}

static void make_padding(struct tape *t)
{
	t->padding = 6; /* Ethernet's minimum: 54 bytes are sent as 60 */
	handshake(t, 0);
	t->padding = 0;
	exchange(t, 5011, 5020);
}

static void make_wrap(struct tape *t)
{
	t->isn[CLIENT] = 0xffffffff;
	t->isn[SERVER] = 0xfffffffe;
	make_plain(t);
}

CHECK(check_five_seconds)
{
	EXPECT(count == 1 && c->wait == 5000 * (ns_t)MS && c->client_first == AT(5011));
	UNUSED;
	return NULL;
}

static void make_bad_rst(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 5, SERVER, RST | ACK, 0, 999, 0); /* acknowledges what was never sent */
	tcp(t, 6, SERVER, RST, 0, 0, 0); /* no ACK at all */
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, ACK, 1, 1, 0);
	tcp(t, 11.5, SERVER, RST, 500000000, 0, 0); /* far out of window */
	exchange(t, 12, 20);
}

static void make_early_client_rst(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 5, CLIENT, RST, 1, 0, 0);
}

CHECK(check_early_client_rst)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->rst == AT(5) &&
	       c->rst_from == SIDE_CLIENT);
	UNUSED;
	return NULL;
}

static void make_syn_scan(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, RST, 1, 0, 0);
}

CHECK(check_syn_scan)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_HALF_OPEN && c->end_reason == END_RST);
	EXPECT(c->rst_from == SIDE_CLIENT && c->ack == NEVER);
	UNUSED;
	return NULL;
}

static void make_fin_without_payload(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 10000, CLIENT, ACK | FIN, 1, 1, 0);
	tcp(t, 10010, SERVER, ACK | FIN, 1, 2, 0);
}

CHECK(check_fin_without_payload)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->end_reason == END_FIN);
	EXPECT(c->fin == AT(10000) && c->fin_from == SIDE_CLIENT && c->wait == NEVER);
	EXPECT(connection_silence(c) == NEVER); /* unused, not a stall */
	UNUSED;
	return NULL;
}

static void make_one_fin(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 600000, SERVER, ACK | FIN, 1, 1, 0); /* the client never closes */
	sweep(t, 600001);
	sweep(t, 730001);
}

CHECK(check_one_fin)
{
	EXPECT(count == 1 && c->end_reason == END_TIMEOUT && c->fin == AT(600000) &&
	       c->fin_from == SIDE_SERVER);
	EXPECT(c->settled == AT(730001));
	UNUSED;
	return NULL;
}

static void make_server_first(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 5011, SERVER, ACK, 1, 1, 60);
	tcp(t, 5012, CLIENT, ACK, 1, 61, 0);
	tcp(t, 7000, CLIENT, ACK, 1, 61, 20);
}

CHECK(check_server_first)
{
	EXPECT(count == 1 && c->banner == 5000 * (ns_t)MS);
	EXPECT(c->wait == NEVER && c->answer == NEVER); /* no client delayed anything */
	UNUSED;
	return NULL;
}

static void make_server_before_ack(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 10.5, SERVER, ACK, 1, 1, 60);
	tcp(t, 11, CLIENT, ACK, 1, 1, 0);
	tcp(t, 12, CLIENT, ACK, 1, 61, 20);
}

CHECK(check_server_before_ack)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->ack == AT(11));
	EXPECT(c->banner == -(ns_t)MS / 2);
	UNUSED;
	return NULL;
}

static void make_mid_stream(struct tape *t)
{
	exchange(t, 0, 10);
	tcp(t, 20, CLIENT, ACK | FIN, 301, 1401, 0);
	tcp(t, 21, SERVER, ACK | FIN, 1401, 302, 0);
	tcp(t, 22, CLIENT, ACK, 302, 1402, 0);
}

CHECK(check_mid_stream)
{
	EXPECT(count == 0 && counters[COUNT_ALREADY_OPEN] == 1 && !counters[COUNT_SYNACK_ALONE]);
	UNUSED;
	return NULL;
}

static void make_old_resets(struct tape *t)
{
	uint16_t port;

	for (port = 50000; port < 50060; port++) {
		t->port[CLIENT] = port;
		t->address[CLIENT][3] = port % 7;
		t->egress = port % 5 == 0;
		exchange(t, 0, 10);
		if (port % 4 == 0)
			tcp(t, 15, SERVER, ACK | FIN, 1401, 301, 0);
		tcp(t, 20 * (port - 50000), port % 6 ? SERVER : CLIENT, port % 3 ? RST : RST | ACK,
		    1401, 301, 0);
		tcp(t, 20 * (port - 50000) + 1, SERVER, RST, 1402, 0, 0);
	}
}

CHECK(check_old_resets)
{
	EXPECT(count == 0 && !counters[COUNT_RESETS_NOT_COUNTED]);
	UNUSED;
	return NULL;
}

static void make_synack_again(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 1010, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 1011, CLIENT, ACK, 1, 1, 0);
	exchange(t, 1012, 1020);
}

CHECK(check_synack_again)
{
	EXPECT(count == 1 && c->synack == AT(10) && c->synack_count == 2 && c->ack == AT(1011));
	EXPECT(c->client_round_trip == NEVER);
	UNUSED;
	return NULL;
}

static void make_bad_synack(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 5, SERVER, SYN | ACK, 0, 77, 0);
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
}

CHECK(check_bad_synack)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->synack == NEVER &&
	       c->syn_count == 2);
	EXPECT(c->ignored_synack && !c->ignored_rst && !c->synack_ttl);
	UNUSED;
	return NULL;
}

static void make_icmp(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	icmp(t, 3, t->ip6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE, 1, 0);
}

CHECK(check_icmp)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNREACHABLE && c->icmp == AT(3));
	EXPECT(c->icmp_code == 1 && connection_failure(c) == FAILURE_UNREACHABLE);
	UNUSED;
	return NULL;
}

static void make_icmp6(struct tape *t)
{
	t->ip6 = true;
	t->extension = 24;
	make_icmp(t);
}

static void make_icmp_of_another(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	icmp(t, 3, ICMP4_UNREACHABLE, 1, 4711); /* quotes another sequence number */
	t->port[CLIENT]++;
	icmp(t, 4, ICMP4_UNREACHABLE, 1, 0); /* another port */
}

CHECK(check_unanswered)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->icmp == NEVER);
	UNUSED;
	return NULL;
}

static void make_icmp_then_answer(struct tape *t)
{
	make_icmp(t);
	tcp(t, 3.083, CLIENT, SYN, 0, 0, 0);
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, ACK, 1, 1, 0);
	exchange(t, 12, 20);
}

CHECK(check_icmp_then_answer)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->syn_count == 2 &&
	       c->icmp == AT(3));
	EXPECT(c->syn_times[1] == AT(3.083) && connection_failure(c) == FAILURE_NONE);
	UNUSED;
	return NULL;
}

static void make_time_exceeded(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	icmp(t, 3, ICMP4_TIME_EXCEEDED, 0, 0);
	icmp(t, 4, ICMP4_UNREACHABLE, 13, 0);
	icmp(t, 5, ICMP4_UNREACHABLE, 1, 0);
}

CHECK(check_time_exceeded)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNREACHABLE && c->icmp == AT(4) &&
	       c->icmp_code == 13);
	UNUSED;
	return NULL;
}

static void make_late_syn_copy(struct tape *t)
{
	make_plain(t);
	tcp(t, 500, CLIENT, SYN, 0, 0, 0);
	sweep(t, 900);
}

CHECK(check_late_syn_copy)
{
	EXPECT(count == 1 && counters[COUNT_LATE_SYN_COPIES] == 1);
	UNUSED;
	return NULL;
}

static void make_tuple_again(struct tape *t)
{
	make_plain(t);
	t->isn[CLIENT] += 64000;
	handshake(t, 100);
	exchange(t, 112, 120);
}

CHECK(check_tuple_again)
{
	EXPECT(count == 2 && c[0].end_reason == END_PAYLOAD && c[1].outcome == OUTCOME_ESTABLISHED);
	EXPECT(c[1].syn == AT(100) && !counters[COUNT_LATE_SYN_COPIES]);
	return NULL;
}

/* In and out again on one interface: each packet twice, with the same IP id. */
static void twice(struct tape *t, double ms, enum end from, uint8_t flags, uint32_t seq,
		  uint32_t ack, uint32_t payload)
{
	t->repeat_id = true;
	t->egress = false;
	tcp(t, ms, from, flags, seq, ack, payload);
	t->repeat_id = false;
	t->egress = true;
	tcp(t, ms + 0.05, from, flags, seq, ack, payload);
}

static void make_one_armed(struct tape *t)
{
	twice(t, 0, CLIENT, SYN, 0, 0, 0);
	twice(t, 1000, CLIENT, SYN, 0, 0, 0);
	twice(t, 1010, SERVER, SYN | ACK, 0, 1, 0);
	twice(t, 1011, CLIENT, ACK, 1, 1, 0);
	twice(t, 1012, CLIENT, ACK, 1, 1, 300);
	twice(t, 1020, SERVER, ACK, 1, 301, 1400);
}

CHECK(check_one_armed)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED);
	EXPECT(c->syn_count == 2 && c->syn_copies == 2 && c->synack_count == 1 &&
	       c->synack_copies == 1);
	EXPECT(c->syn_times[1] == AT(1000) && c->synack == AT(1010) && c->client_first == AT(1012));
	EXPECT(!counters[COUNT_ALREADY_OPEN] && c->has_mac);
	return NULL;
}

static void make_span(struct tape *t)
{
	t->repeat_id = true; /* a SPAN port that mirrors both directions: all ingress */
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 0.2, CLIENT, SYN, 0, 0, 0);
	t->ip_id++;
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 10.2, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, ACK, 1, 1, 0);
	exchange(t, 12, 20);
}

CHECK(check_span)
{
	EXPECT(count == 1 && c->syn_count == 1 && c->syn_copies == 1);
	EXPECT(c->synack_count == 1 && c->synack_copies == 1 &&
	       c->server_round_trip == 10 * (ns_t)MS);
	UNUSED;
	return NULL;
}

static void make_one_sided(struct tape *t)
{
	int i;

	handshake(t, 0);
	for (i = 0; i < 100; i++)
		tcp(t, 12 + i, SERVER, ACK, 1 + 1000 * i, 1, 1000);
}

CHECK(check_one_sided)
{
	EXPECT(count == 1 && c->end_reason == END_ONE_SIDED && c->server_first == AT(12));
	EXPECT(c->settled == AT(12 + 63));
	UNUSED;
	return NULL;
}

static void make_synack_not_seen(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 11, CLIENT, ACK, 1, 1, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 300);
}

CHECK(check_synack_not_seen)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->synack == NEVER &&
	       c->ack == NEVER);
	EXPECT(c->wait == NEVER && connection_failure(c) == FAILURE_NONE);
	UNUSED;
	return NULL;
}

static void make_challenge_ack(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 5, SERVER, ACK, 100, 200000000, 0); /* an old connection answers */
	tcp(t, 6, CLIENT, RST, 200000000, 0, 0);
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
	tcp(t, 1010, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 1011, CLIENT, ACK, 1, 1, 0);
	exchange(t, 1012, 1020);
}

CHECK(check_challenge_ack)
{
	EXPECT(count == 1 && c->syn_count == 2 && c->synack == AT(1010) &&
	       c->client_first == AT(1012));
	EXPECT(c->challenged);
	UNUSED;
	return NULL;
}

static void make_accept_queue(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 300);
	tcp(t, 220, CLIENT, ACK, 1, 1, 300);
	tcp(t, 640, CLIENT, ACK, 1, 1, 300);
	tcp(t, 641, CLIENT, ACK, 1, 1, 300);
	tcp(t, 1010, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 1011, CLIENT, ACK, 301, 1, 0);
	tcp(t, 1480, CLIENT, ACK, 1, 1, 300);
	tcp(t, 1490, SERVER, ACK, 1, 301, 100);
}

CHECK(check_accept_queue)
{
	EXPECT(count == 1 && c->ack == AT(11) && c->client_first == AT(12));
	EXPECT(c->synack_after_ack == 1 && c->client_payload.again == 3 && c->client_payload.acked);
	EXPECT(c->end_reason == END_PAYLOAD && c->settled == AT(1490));
	UNUSED;
	return NULL;
}

static void make_request_swallowed(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 2920); /* two segments merged by offload */
	tcp(t, 230, CLIENT, ACK, 1, 1, 1448);
	tcp(t, 640, CLIENT, ACK, 1, 1, 1448);
	tcp(t, 9000, CLIENT, RST, 1, 0, 0);
}

CHECK(check_request_swallowed)
{
	EXPECT(count == 1 && payload_is_black_holed(&c->client_payload));
	EXPECT(c->client_payload.mss == 1460 && c->client_payload.size == 2920);
	EXPECT(c->client_payload.again == 2 && !payload_is_black_holed(&c->server_payload));
	UNUSED;
	return NULL;
}

static void make_answer_swallowed(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 300);
	tcp(t, 20, SERVER, ACK, 1, 301, 1460);
	tcp(t, 230, SERVER, ACK, 1, 301, 1460);
	tcp(t, 640, SERVER, ACK, 1, 301, 1460);
	tcp(t, 1480, SERVER, ACK, 1, 301, 1460);
	tcp(t, 9000, CLIENT, ACK, 301, 1, 0);
}

CHECK(check_answer_swallowed)
{
	EXPECT(count == 1 && payload_is_black_holed(&c->server_payload));
	EXPECT(c->server_payload.again == 3 && c->client_payload.acked);
	EXPECT(c->end_reason == END_PAYLOAD && c->settled == AT(1480));
	UNUSED;
	return NULL;
}

/* The ACK of a large answer never passes here: the flow must not stay in the table for ever. */
static void make_answer_acked_elsewhere(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 300);
	tcp(t, 20, SERVER, ACK, 1, 301, 1460);
	sweep(t, 100000);
	sweep(t, 130100);
}

CHECK(check_answer_acked_elsewhere)
{
	EXPECT(count == 1 && c->end_reason == END_TIMEOUT && c->server_first == AT(20));
	UNUSED;
	return NULL;
}

static void make_gap(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 301, 1, 200); /* the segment before was lost */
	tcp(t, 230, CLIENT, ACK, 1, 1, 300);
	tcp(t, 240, SERVER, ACK, 1, 501, 100);
}

CHECK(check_gap)
{
	EXPECT(count == 1 && c->client_gap && c->client_first == AT(12));
	EXPECT(c->client_payload.again == 1 && c->end_reason == END_PAYLOAD);
	UNUSED;
	return NULL;
}

static void make_vlans(struct tape *t)
{
	t->vlan[0] = 10;
	t->vlan[1] = 20;
	handshake(t, 0);
	t->vlan[1] = 21; /* the same addresses and numbers, another customer */
	handshake(t, 100);
	exchange(t, 112, 120);
	t->vlan[1] = 22;
	handshake(t, 200);
	exchange(t, 212, 220);
}

CHECK(check_vlans)
{
	EXPECT(count == 3);
	EXPECT(c[0].client.vlan[0] == 10 && c[0].client.vlan[1] == 21 &&
	       c[0].end_reason == END_PAYLOAD);
	EXPECT(c[1].client.vlan[1] == 22 && c[1].end_reason == END_PAYLOAD);
	EXPECT(c[2].client.vlan[1] == 20 && c[2].end_reason == END_OF_RUN && c[2].ack == AT(11));
	UNUSED;
	return NULL;
}

static void make_options(struct tape *t)
{
	t->options = 40;
	make_plain(t);
}

static void make_extension(struct tape *t)
{
	t->extension = 24;
	make_plain6(t);
}

/* Repeats the last frame of the tape, cut to every length from 0. */
static void every_length(struct tape *t)
{
	struct tape_frame whole = t->frames[--t->count];
	uint32_t length;

	for (length = 0; length < whole.length; length++) {
		t->frames[t->count] = whole;
		t->frames[t->count++].length = length;
	}
}

/* Cut frames are counted, and do no harm. */
static void make_truncated(struct tape *t)
{
	t->options = 8;
	t->mss = 0; /* a SYN cut after its TCP header would be complete */
	t->vlan[0] = 7;
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	every_length(t);
	t->ip6 = true;
	t->extension = 24;
	tcp(t, 1, CLIENT, SYN, 0, 0, 0);
	every_length(t);
	icmp(t, 2, ICMP6_UNREACHABLE, 1, 0);
	every_length(t);
}

CHECK(check_truncated)
{
	EXPECT(count == 0);
	EXPECT(counters[COUNT_LOST_TRUNCATED] > 0);
	UNUSED;
	return NULL;
}

/* Headers with contradictory fields. */
static void make_malformed(struct tape *t)
{
	static const struct {
		unsigned int at;
		uint8_t value;
	} lies[] = {
		{ 14, 0x44 }, /* IPv4 header of 16 bytes */
		{ 14, 0x55 }, /* version 5 */
		{ 14, 0x4f }, /* header longer than the datagram */
		{ 17, 19 }, /* datagram shorter than its header */
		{ 17, 39 }, /* no room for the TCP header */
		{ 46, 4 << 4 }, /* data offset below 5 */
		{ 46, 15 << 4 }, /* data offset beyond the datagram */
		{ 21, 1 }, /* a later fragment */
	};
	unsigned int i;

	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		tcp(t, i, CLIENT, SYN, 0, 0, 0);
		t->frames[t->count - 1].bytes[lies[i].at] = lies[i].value;
	}
}

CHECK(check_malformed)
{
	EXPECT(count == 0);
	EXPECT(counters[COUNT_MALFORMED] + counters[COUNT_LOST_TRUNCATED] == 7 &&
	       counters[COUNT_FRAGMENTS] == 1);
	UNUSED;
	return NULL;
}

static void make_not_understood(struct tape *t)
{
	t->mss = 0;
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	t->frames[0].bytes[12] = 0x88;
	t->frames[0].bytes[13] = 0xcc; /* LLDP */
	tcp(t, 1, CLIENT, SYN, 0, 0, 0);
	t->frames[1].bytes[23] = PROTOCOL_UDP;
	tcp(t, 2, CLIENT, SYN, 0, 0, 0);
	t->frames[2].bytes[23] = 132; /* SCTP */
}

CHECK(check_not_understood)
{
	EXPECT(count == 0 && counters[COUNT_UNKNOWN_LINK] == 1);
	EXPECT(counters[COUNT_UDP_BYTES] == 54 && counters[COUNT_IP_OTHER] == 1);
	UNUSED;
	return NULL;
}

static void make_silence_then_syn(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 131000, CLIENT, SYN, 0, 0, 0); /* the same ISN, but too late for this attempt */
}

CHECK(check_silence_then_syn)
{
	EXPECT(count == 2 && c[0].end_reason == END_TIMEOUT && c[1].syn == AT(131000));
	EXPECT(c[0].syn_count == 1 && c[1].syn_count == 1);
	UNUSED;
	return NULL;
}

static void make_roles_swapped(struct tape *t)
{
	handshake(t, 0);
	/* The server opens a connection between the same ports: the SYN determines the roles. */
	t->isn[SERVER] += 1000000;
	tcp(t, 5000, SERVER, SYN, 0, 0, 0);
	tcp(t, 5010, CLIENT, SYN | ACK, 0, 1, 0);
	tcp(t, 5011, SERVER, ACK, 1, 1, 0);
}

CHECK(check_roles_swapped)
{
	EXPECT(count == 2 && c[0].end_reason == END_SUPERSEDED && c[0].client.port == 51544);
	EXPECT(c[1].client.port == 80 && c[1].synack == AT(5010) && c[1].ack == AT(5011));
	UNUSED;
	return NULL;
}

/*
 * ---- forged packets of an attacker who knows or guesses the four-tuple, but not the numbers ----
 */

/* Beyond the first flight, but within the data sent later. */
#define FAR 70000

static void make_forged_rst(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 100, SERVER, RST, FAR, 0, 0);
	tcp(t, 101, SERVER, RST | ACK, FAR, 1, 0);
	tcp(t, 102, CLIENT, RST, FAR, 0, 0);
	tcp(t, 103, CLIENT, RST | ACK, 500000000, 1, 0);
	/* the right number, but from the wrong side */
	tcp(t, 104, SERVER, RST, t->isn[CLIENT] + 1 - t->isn[SERVER], 0, 0);
	tcp(t, 105, CLIENT, RST, t->isn[SERVER] + 1 - t->isn[CLIENT], 0, 0);
	exchange(t, 5011, 5020);
}

static void make_forged_fin(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 100, SERVER, FIN | ACK, FAR, 1, 0);
	tcp(t, 101, CLIENT, FIN | ACK, FAR, 1, 0);
	exchange(t, 5011, 5020);
}

static void make_forged_payload(struct tape *t)
{
	int i;

	handshake(t, 0);
	for (i = 0; i < 70; i++) {
		tcp(t, 100 + i, CLIENT, ACK, FAR + 100 * i, 1, 100);
		tcp(t, 100 + i, SERVER, ACK, FAR + 100 * i, 1, 100);
	}
	exchange(t, 5011, 5020);
}

CHECK(check_stall_not_hidden)
{
	EXPECT(count == 1 && c->wait == 5000 * (ns_t)MS && c->client_first == AT(5011));
	EXPECT(c->server_first == AT(5020) && c->fin == NEVER && c->rst == NEVER);
	EXPECT(c->end_reason == END_PAYLOAD && !c->client_gap);
	UNUSED;
	return NULL;
}

static void make_forged_wrap(struct tape *t)
{
	t->isn[CLIENT] = 0xfffffff0;
	t->isn[SERVER] = 0xffffff00;
	handshake(t, 0);
	tcp(t, 100, CLIENT, ACK, 0, 1, 1); /* keep-alive probes around 0 */
	tcp(t, 101, SERVER, ACK, 0, 1, 1);
	tcp(t, 102, SERVER, RST, FAR, 0, 0);
	tcp(t, 103, CLIENT, RST, -FAR, 0, 0);
	tcp(t, 104, SERVER, FIN | ACK, -FAR, 1, 0);
	tcp(t, 105, CLIENT, FIN | ACK, FAR, 1, 0);
	tcp(t, 106, CLIENT, ACK, -FAR, 1, 100);
	tcp(t, 107, SERVER, ACK, FAR, 1, 100);
	exchange(t, 5011, 5020); /* both cross 0 */
}

static void make_forged_answers(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	tcp(t, 100, CLIENT, ACK, FAR, 1, 0);
	tcp(t, 101, CLIENT, ACK, FAR, 1, 100);
	tcp(t, 102, SERVER, ACK, 1, FAR, 0);
	tcp(t, 103, SERVER, ACK, 1, FAR, 100);
	tcp(t, 104, SERVER, SYN | ACK, 0, 2, 0);
	tcp(t, 105, SERVER, SYN | ACK, 0, 0, 0);
	tcp(t, 106, SERVER, RST | ACK, 0, 2, 0);
	tcp(t, 107, SERVER, FIN | ACK, 1, FAR, 0);
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
	tcp(t, 3000, CLIENT, SYN, 0, 0, 0);
}

CHECK(check_still_silent)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->syn_count == 3);
	EXPECT(c->synack == NEVER && c->server_first == NEVER && c->fin == NEVER &&
	       c->rst == NEVER);
	UNUSED;
	return NULL;
}

static void make_forged_simultaneous_open(struct tape *t)
{
	uint32_t isn = t->isn[SERVER];

	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	t->isn[SERVER] = 4711;
	tcp(t, 100, SERVER, SYN, 0, 0, 0);
	tcp(t, 101, SERVER, ACK, 1, FAR, 100);
	tcp(t, 102, SERVER, FIN | ACK, 1, 500000000, 0);
	tcp(t, 103, CLIENT, ACK, FAR, 1, 100);
	t->isn[SERVER] = isn;
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
	tcp(t, 3000, CLIENT, SYN, 0, 0, 0);
}

static void make_forged_then_answered(struct tape *t)
{
	make_forged_simultaneous_open(t);
	tcp(t, 3010, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 3011, CLIENT, ACK, 1, 1, 0);
	exchange(t, 3012, 3020);
}

static void make_synack_before_syn(struct tape *t)
{
	tcp(t, 0, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 1, CLIENT, RST, 1, 0, 0);
	tcp(t, 10, CLIENT, SYN, 0, 0, 0);
	tcp(t, 1010, CLIENT, SYN, 0, 0, 0);
}

CHECK(check_synack_before_syn)
{
	EXPECT(count == 1 && c->syn == AT(10) && c->synack == NEVER && c->rst == NEVER);
	EXPECT(counters[COUNT_SYNACK_ALONE] == 1 && counters[COUNT_ALREADY_OPEN] == 0);
	return NULL;
}

/* Direct server return without the virtual address: the real server answers from its own. */
static void make_answered_elsewhere(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	t->address[SERVER][3]++;
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, RST, 1, 0, 0);
	tcp(t, 500, SERVER, SYN | ACK, 0, 1, 0);
	t->address[SERVER][3]--;
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
}

static void make_answered_elsewhere6(struct tape *t)
{
	t->ip6 = true;
	t->address[CLIENT][0] = 0x20;
	t->address[SERVER][0] = 0x10; /* the client is the other end of the key */
	make_answered_elsewhere(t);
}

CHECK(check_answered_elsewhere)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->syn_count == 2);
	EXPECT(counters[COUNT_SYNACK_ALONE] == 1 && counters[COUNT_PUBLISHED] == 1);
	return NULL;
}

/* One side of an asymmetric path. */
static void make_synacks_alone(struct tape *t)
{
	int i;

	for (i = 0; i < TAPE_FRAMES; i++) {
		t->port[CLIENT] = 1024 + i;
		tcp(t, i, SERVER, SYN | ACK, 0, 1, 0);
	}
}

CHECK(check_synacks_alone)
{
	EXPECT(!count && !counters[COUNT_ATTEMPTS] && counters[COUNT_SYNACK_ALONE] > 400);
	UNUSED;
	return NULL;
}

static void make_icmp_of_others(struct tape *t)
{
	uint8_t address[16];

	make_icmp_of_another(t);
	t->port[CLIENT]--;
	t->address[SERVER][3]++; /* another server */
	icmp(t, 5, ICMP4_UNREACHABLE, 1, 0);
	t->address[SERVER][3]--;
	/* the server's segment, with the client's number */
	memcpy(address, t->address[CLIENT], 16);
	memcpy(t->address[CLIENT], t->address[SERVER], 16);
	memcpy(t->address[SERVER], address, 16);
	icmp(t, 6, ICMP4_UNREACHABLE, 1, 0);
}

static void make_isn_from_elsewhere(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	t->address[CLIENT][3]++;
	tcp(t, 1, CLIENT, SYN, 0, 0, 0);
	t->address[CLIENT][3]--;
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	tcp(t, 11, CLIENT, ACK, 1, 1, 0);
	exchange(t, 12, 20);
}

CHECK(check_isn_from_elsewhere)
{
	EXPECT(count == 2 && c[0].outcome == OUTCOME_ESTABLISHED && c[0].syn == AT(0));
	EXPECT(c[1].outcome == OUTCOME_UNANSWERED && c[1].syn == AT(1) && !c[1].syn_copies);
	UNUSED;
	return NULL;
}

/* ---- similar ends ---- */

static void make_same_ports(struct tape *t)
{
	t->port[CLIENT] = t->port[SERVER] = 51544;
	make_plain(t);
}

static void make_same_address(struct tape *t)
{
	memcpy(t->address[SERVER], t->address[CLIENT], 16);
	make_plain(t);
}

static void make_port_0(struct tape *t)
{
	t->port[CLIENT] = t->port[SERVER] = 0;
	make_plain(t);
}

CHECK(check_alike)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_ESTABLISHED && c->ack == AT(11));
	EXPECT(c->client_first == AT(12) && c->server_first == AT(20));
	EXPECT(cpu_to_be32(c->client.address.word[3]) == 0x0a010417);
	UNUSED;
	return NULL;
}

static void make_ports_swapped(struct tape *t)
{
	uint16_t port = t->port[CLIENT];

	handshake(t, 0);
	t->port[CLIENT] = t->port[SERVER];
	t->port[SERVER] = port;
	handshake(t, 100);
	exchange(t, 112, 120);
	t->port[SERVER] = t->port[CLIENT];
	t->port[CLIENT] = port;
	exchange(t, 5011, 5020);
}

CHECK(check_ports_swapped)
{
	EXPECT(count == 2 && c[0].client.port == 80 && c[0].wait == 1 * (ns_t)MS);
	EXPECT(c[1].client.port == 51544 && c[1].wait == 5000 * (ns_t)MS);
	UNUSED;
	return NULL;
}

/* IPv6 headers with ::ffff:a.b.c.d of an IPv4 connection. */
static void make_mapped(struct tape *t)
{
	uint8_t ip4[2][16];
	int i;

	handshake(t, 0);
	memcpy(ip4, t->address, sizeof(ip4));
	for (i = 0; i < 2; i++) {
		memset(t->address[i], 0, 16);
		memset(t->address[i] + 10, 0xff, 2);
		memcpy(t->address[i] + 12, ip4[i], 4);
	}
	t->ip6 = true;
	tcp(t, 100, CLIENT, RST, 1, 0, 0);
	tcp(t, 101, CLIENT, SYN, 4711, 0, 0);
	tcp(t, 102, CLIENT, ACK, 1, 1, 100);
	icmp(t, 103, ICMP6_UNREACHABLE, 1, 0);
	t->ip6 = false;
	memcpy(t->address, ip4, sizeof(ip4));
	exchange(t, 5011, 5020);
}

CHECK(check_mapped)
{
	EXPECT(!check_stall_not_hidden(c, count, counters));
	EXPECT(counters[COUNT_MALFORMED] >= 3);
	return NULL;
}

/* ---- excess ---- */

#define ENDLESS 400

static void make_endless_syns(struct tape *t)
{
	int i;

	for (i = 0; i < ENDLESS; i++)
		tcp(t, 64000.0 * i, CLIENT, SYN, 0, 0, 0);
	sweep(t, 64000.0 * (ENDLESS - 1) + 129000);
	sweep(t, 64000.0 * (ENDLESS - 1) + 131000);
}

CHECK(check_endless_syns)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_UNANSWERED && c->syn_count == ENDLESS);
	EXPECT(c->end_reason == END_TIMEOUT && connection_failure(c) == FAILURE_SILENT);
	EXPECT(c->syn_times_count == 8 && c->syn_last == AT(64000.0 * (ENDLESS - 1)));
	UNUSED;
	return NULL;
}

static void make_endless_synacks(struct tape *t)
{
	int i;

	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	for (i = 1; i <= ENDLESS; i++)
		tcp(t, 64000.0 * i, SERVER, SYN | ACK, 0, 1, 0);
	sweep(t, 64000.0 * ENDLESS + 131000);
}

CHECK(check_endless_synacks)
{
	EXPECT(count == 1 && c->outcome == OUTCOME_HALF_OPEN && c->synack_count == ENDLESS);
	EXPECT(c->end_reason == END_TIMEOUT && c->synack == AT(64000));
	UNUSED;
	return NULL;
}

#define CUSTOMERS 80

/* One four-tuple in many VLANs: the fast path does not distinguish them. */
static void make_crowded(struct tape *t)
{
	int i;

	for (i = 1; i <= CUSTOMERS; i++) {
		t->vlan[0] = i;
		handshake(t, 1000.0 * i / CUSTOMERS);
	}
	for (i = 1; i <= CUSTOMERS; i++) {
		t->vlan[0] = i;
		exchange(t, 5000 + i, 5000.5 + i);
	}
}

/* A flow with an entry keeps it until its end; flows without one are counted. */
CHECK(check_crowded)
{
	size_t i;

	EXPECT(count >= 8 && count < CUSTOMERS);
	EXPECT(count + counters[COUNT_LOST_MAP] == CUSTOMERS);
	for (i = 0; i < count; i++)
		EXPECT(c[i].end_reason == END_PAYLOAD &&
		       c[i].client_first == AT(5000 + c[i].client.vlan[0]));
	return NULL;
}

/* ---- a clock that goes backwards, as in merged captures ---- */

static void make_backwards(struct tape *t)
{
	handshake(t, 1000);
	tcp(t, 900, CLIENT, ACK, 1, 1, 300);
	tcp(t, 800, CLIENT, ACK, 1, 1, 300);
	sweep(t, 0);
	tcp(t, 500, SERVER, ACK, 1, 301, 100);
	tcp(t, 400, CLIENT, SYN, 0, 0, 0);
}

CHECK(check_backwards)
{
	EXPECT(count >= 1 && c->outcome == OUTCOME_ESTABLISHED && c->end_reason == END_PAYLOAD);
	EXPECT(c->client_payload.again == 0 && c->watched >= 0);
	UNUSED;
	return NULL;
}

/* ---- options and other traits of SYN and SYN-ACK ---- */

/* Like Linux: MSS, SACK permitted, time stamps (TSval 0x01020304), NOP, window scale 7. */
#define LINUX_OPTIONS "\x02\x04\x05\xb4\x04\x02\x08\x0a\x01\x02\x03\x04\0\0\0\0\x01\x03\x03\x07"

static uint32_t order_of(const enum syn_option *options, unsigned int count)
{
	uint32_t order = 0;

	while (count--)
		order = order << SYN_OPTION_BITS | options[count];
	return order;
}

#define ORDER(...)                                         \
	order_of((const enum syn_option[]){ __VA_ARGS__ }, \
		 sizeof((const enum syn_option[]){ __VA_ARGS__ }) / sizeof(enum syn_option))

static void make_traits(struct tape *t)
{
	set_options(t, LINUX_OPTIONS, 20);
	t->ttl = 57;
	t->window = 64240;
	tcp(t, 0, CLIENT, SYN | TCP_ECE | TCP_CWR, 0, 0, 0);
	set_options(t, "\x02\x04\x05\x78\x01\x01\x08\x0a\x0a\x0b\x0c\x0d\x01\x02\x03\x04", 16);
	t->ttl = 64;
	t->window = 65160;
	t->egress = true;
	tcp(t, 10, SERVER, SYN | ACK, 0, 1, 0);
	t->ttl = 3; /* of a retransmission: not recorded */
	t->egress = false;
	set_options(t, "", 1);
	tcp(t, 1000, CLIENT, SYN, 0, 0, 0);
	tcp(t, 1010, SERVER, SYN | ACK, 0, 1, 0);
}

CHECK(check_traits)
{
	const struct syn_traits *s = &c->syn_traits;

	EXPECT(count == 1 && c->syn_count == 2 && c->client_payload.mss == 1400);
	EXPECT(c->server_payload.mss == 1460);
	EXPECT(s->ttl == 57 && s->window == 64240 && s->scale == 7);
	EXPECT(s->has_timestamp && s->tsval == 0x01020304);
	EXPECT(s->ecn && !s->mptcp && !s->fast_open);
	EXPECT(s->option_order == ORDER(SYN_OPTION_MSS, SYN_OPTION_SACK, SYN_OPTION_TIMESTAMP,
					SYN_OPTION_NOP, SYN_OPTION_SCALE));
	EXPECT(c->synack_ttl == 64 && c->synack_window == 65160 && c->synack_from_gateway);
	EXPECT(c->has_tsecr && c->synack_tsecr == 0x01020304);
	UNUSED;
	return NULL;
}

static void make_traits6(struct tape *t)
{
	t->ip6 = true;
	make_traits(t);
}

static void syn_with(struct tape *t, const void *options, unsigned int length)
{
	set_options(t, options, length);
	t->port[CLIENT]++;
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
}

static void make_many_options(struct tape *t)
{
	/* the MSS is third; MPTCP; nine options, Fast Open is the last */
	syn_with(t,
		 "\x01\x01\x02\x04\x05\xb4\x1e\x04\x01\x81\x13\x02\x01\x01\x04\x02\x22\x06\x01\x02"
		 "\x03\x04",
		 22);
	/* the experimental kind of Fast Open, and a scale that is too large */
	syn_with(t, "\xfe\x04\xf9\x89\x03\x03\xff", 7);
	syn_with(t, "\xfe\x04\xf9\x8a", 4); /* another experiment */
}

CHECK(check_many_options)
{
	EXPECT(count == 3 && c[0].server_payload.mss == 1460);
	EXPECT(c[0].syn_traits.mptcp && c[0].syn_traits.fast_open &&
	       !c[0].syn_traits.has_timestamp);
	EXPECT(c[0].syn_traits.scale == 0xff);
	EXPECT(c[0].syn_traits.option_order ==
	       ORDER(SYN_OPTION_NOP, SYN_OPTION_NOP, SYN_OPTION_MSS, SYN_OPTION_MPTCP,
		     SYN_OPTION_OTHER, SYN_OPTION_NOP, SYN_OPTION_NOP, SYN_OPTION_SACK));
	EXPECT(c[1].syn_traits.fast_open && c[1].syn_traits.scale == 14);
	EXPECT(c[1].syn_traits.option_order == ORDER(SYN_OPTION_OTHER, SYN_OPTION_SCALE));
	EXPECT(!c[2].syn_traits.fast_open && !c[2].server_payload.mss);
	UNUSED;
	return NULL;
}

static void make_bad_options(struct tape *t)
{
	static const uint8_t nops[40] = { [0 ... 35] = 1, 2, 4, 5, 0xb4 };

	syn_with(t, "\x01\x02\x00\x05\xb4\x03\x03\x07", 8); /* size 0 */
	syn_with(t, "\x01\x02\x01\x05\xb4\x03\x03\x07", 8); /* size 1 */
	syn_with(t, "\x03\x03\x07\x02\x06\x05\xb4\x01", 8); /* beyond the header */
	syn_with(t, "\x03\x03\x07\x02\xff\x05\xb4\x01", 8);
	syn_with(t, "\x01\x03\x03\x07\x01\x01\x01\x08", 8); /* no room for a size */
	syn_with(t, "\x01\x00\x02\x04\x05\xb4\x00\x00", 8); /* after the end of the list */
	syn_with(t, "\x02\x03\x05\x04\x03\xb4\x08\x03\x01\x03\x04\x07\x07\0\0\0", 16);
	syn_with(t, nops, sizeof(nops)); /* the MSS is option 37 */
}

CHECK(check_bad_options)
{
	size_t i;

	EXPECT(count == 8);
	for (i = 0; i < 8; i++)
		EXPECT(!c[i].server_payload.mss && !c[i].syn_traits.has_timestamp);
	EXPECT(c[0].syn_traits.option_order == SYN_OPTION_NOP && c[0].syn_traits.scale == 0xff);
	EXPECT(c[1].syn_traits.option_order == SYN_OPTION_NOP && c[1].syn_traits.scale == 0xff);
	EXPECT(c[2].syn_traits.option_order == SYN_OPTION_SCALE && c[2].syn_traits.scale == 7);
	EXPECT(c[3].syn_traits.option_order == SYN_OPTION_SCALE && c[3].syn_traits.scale == 7);
	EXPECT(c[4].syn_traits.option_order == ORDER(SYN_OPTION_NOP, SYN_OPTION_SCALE,
						     SYN_OPTION_NOP, SYN_OPTION_NOP,
						     SYN_OPTION_NOP));
	EXPECT(c[5].syn_traits.option_order == SYN_OPTION_NOP);
	/* wrong sizes: in the order, but without a value */
	EXPECT(c[6].syn_traits.option_order ==
	       ORDER(SYN_OPTION_MSS, SYN_OPTION_SACK, SYN_OPTION_TIMESTAMP, SYN_OPTION_SCALE));
	EXPECT(c[6].syn_traits.scale == 0xff);
	EXPECT(c[7].syn_traits.option_order == 0x249249);
	UNUSED;
	return NULL;
}

/* A snap length that ends within the options. */
static void make_cut_options(struct tape *t)
{
	uint32_t cut;

	for (cut = 1; cut <= 20; cut++) {
		syn_with(t, LINUX_OPTIONS, 20);
		t->frames[t->count - 1].length -= cut;
	}
}

CHECK(check_cut_options)
{
	EXPECT(count == 20);
	EXPECT(c[0].server_payload.mss == 1460 && c[0].syn_traits.scale == 0xff);
	EXPECT(c[2].syn_traits.option_order ==
	       ORDER(SYN_OPTION_MSS, SYN_OPTION_SACK, SYN_OPTION_TIMESTAMP, SYN_OPTION_NOP));
	EXPECT(c[3].syn_traits.has_timestamp && !c[4].syn_traits.has_timestamp);
	EXPECT(!c[5].syn_traits.has_timestamp &&
	       c[5].syn_traits.option_order == ORDER(SYN_OPTION_MSS, SYN_OPTION_SACK));
	EXPECT(c[15].server_payload.mss == 1460 && !c[16].server_payload.mss);
	EXPECT(!c[16].syn_traits.option_order && c[19].syn_traits.ttl == 64);
	UNUSED;
	return NULL;
}

/* ---- the first bytes of a payload ---- */

static void set_payload(struct tape *t, uint8_t first, uint8_t sixth)
{
	t->payload[0] = first;
	t->payload[5] = sixth;
}

static void make_alert(struct tape *t)
{
	handshake(t, 0);
	set_payload(t, 0x16, 1);
	tcp(t, 12, CLIENT, ACK, 1, 1, 517);
	set_payload(t, TLS_ALERT, 2);
	tcp(t, 20, SERVER, ACK, 1, 518, 7);
}

CHECK(check_alert)
{
	EXPECT(count == 1 && c->end_reason == END_PAYLOAD);
	EXPECT(c->client_payload.has_first_byte && c->client_payload.first_byte == 0x16 &&
	       !c->client_payload.alert_level);
	EXPECT(c->server_payload.has_first_byte && c->server_payload.first_byte == TLS_ALERT &&
	       c->server_payload.alert_level == 2);
	UNUSED;
	return NULL;
}

static void make_alert6(struct tape *t)
{
	t->ip6 = true;
	t->extension = 24; /* not in the linear path */
	t->vlan[0] = 5;
	make_alert(t);
}

static void make_cut_payload(struct tape *t)
{
	handshake(t, 0);
	set_payload(t, TLS_ALERT, 1);
	tcp(t, 12, CLIENT, ACK, 1, 1, 7);
	t->frames[t->count - 1].length -= 2; /* the level is not captured */
	tcp(t, 20, SERVER, ACK, 1, 8, 7);
	t->frames[t->count - 1].length -= 7;
	/* the padding of Ethernet is no payload */
	t->port[CLIENT]++;
	handshake(t, 100);
	t->padding = 6;
	tcp(t, 112, CLIENT, ACK, 1, 1, 1);
	t->frames[t->count - 1].bytes[14 + 40 + 5] = 2;
	set_payload(t, 0, 0);
	tcp(t, 120, SERVER, ACK, 1, 2, 1);
}

CHECK(check_cut_payload)
{
	EXPECT(count == 2);
	EXPECT(c[0].client_payload.has_first_byte && c[0].client_payload.first_byte == TLS_ALERT &&
	       !c[0].client_payload.alert_level);
	EXPECT(!c[0].server_payload.has_first_byte && c[0].server_payload.size == 7);
	EXPECT(c[1].client_payload.first_byte == TLS_ALERT && !c[1].client_payload.alert_level);
	EXPECT(c[1].server_payload.has_first_byte && !c[1].server_payload.first_byte);
	UNUSED;
	return NULL;
}

/* A segment in the middle of the stream begins with any byte. */
static void make_middle_byte(struct tape *t)
{
	handshake(t, 0);
	set_payload(t, TLS_ALERT, 2);
	tcp(t, 12, CLIENT, ACK, 101, 1, 100);
	t->payload[0] = 'G';
	tcp(t, 13, CLIENT, ACK, 1, 1, 100); /* the first segment arrives later */
	set_payload(t, TLS_ALERT, 2);
	tcp(t, 20, SERVER, ACK, 101, 201, 100);
}

CHECK(check_middle_byte)
{
	EXPECT(count == 1 && c->end_reason == END_PAYLOAD && c->client_gap);
	EXPECT(c->client_payload.has_first_byte && c->client_payload.first_byte == 'G');
	EXPECT(!c->server_payload.has_first_byte);
	UNUSED;
	return NULL;
}

static void make_flight(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 1400);
	tcp(t, 13, CLIENT, ACK, 1401, 1, 100);
	tcp(t, 300, CLIENT, ACK, 1, 1, 1400); /* again */
	tcp(t, 301, CLIENT, ACK, 1, 1, 1500);
	tcp(t, 310, SERVER, ACK, 1, 1501, 1460); /* full: the record waits for its ACK */
	tcp(t, 311, CLIENT, ACK, 1501, 1, 500);
	tcp(t, 312, CLIENT, ACK, 2001, 1461, 0);
	t->port[CLIENT]++;
	handshake(t, 1000);
	tcp(t, 1012, CLIENT, ACK, 1, 1, 50000);
	tcp(t, 1013, CLIENT, ACK, 50001, 1, 50000);
	tcp(t, 1014, CLIENT, ACK, OPENING_WINDOW + 1, 1, 100); /* too far away */
	tcp(t, 1020, SERVER, ACK, 1, 100001, 10);
}

CHECK(check_flight)
{
	EXPECT(count == 2 && c[0].end_reason == END_PAYLOAD && c[1].end_reason == END_PAYLOAD);
	EXPECT(c[0].client_flight == 1500 && c[0].client_segments == 4);
	EXPECT(c[1].client_flight == 0xffff);
	UNUSED;
	return NULL;
}

/* ---- the server's RST, and what was not seen ---- */

static void make_rsts(struct tape *t)
{
	tcp(t, 0, CLIENT, SYN, 0, 0, 0);
	t->ttl = 61;
	tcp(t, 5, SERVER, RST | ACK, 0, 999, 0); /* ignored: the first is recorded */
	t->ttl = 62;
	tcp(t, 6, SERVER, RST, 0, 0, 0);
	t->port[CLIENT]++;
	tcp(t, 100, CLIENT, SYN, 0, 0, 0);
	t->ttl = 61;
	tcp(t, 105, SERVER, RST, 0, 0, 0);
	t->ttl = 63;
	tcp(t, 106, SERVER, RST | ACK, 0, 1, 0); /* but the RST that counts replaces it */
	t->port[CLIENT]++;
	handshake(t, 200);
	tcp(t, 212, CLIENT, ACK, 1, 1, 300);
	tcp(t, 213, SERVER, RST | ACK, 1, 301, 0);
	t->port[CLIENT]++;
	handshake(t, 300);
	tcp(t, 313, SERVER, RST, 1, 0, 0);
	t->port[CLIENT]++;
	handshake(t, 400);
	tcp(t, 413, SERVER, RST | ACK, 1, 70000, 0);
}

CHECK(check_rsts)
{
	EXPECT(count == 5);
	/* the records settle in this order; the first attempt stays until the end */
	EXPECT(c[0].outcome == OUTCOME_REFUSED && c[0].ignored_rst && c[0].rst_ttl == 63 &&
	       c[0].rst_acked == 1);
	EXPECT(!c[1].ignored_rst && c[1].rst_ttl == 63 && c[1].rst_acked == 301);
	EXPECT(c[2].rst_acked == RST_ACKS_NOTHING && c[2].rst == AT(313));
	EXPECT(c[3].rst_acked == RST_ACKS_NOTHING && c[3].rst == AT(413));
	EXPECT(c[4].outcome == OUTCOME_UNANSWERED && c[4].ignored_rst && c[4].rst == NEVER);
	EXPECT(c[4].rst_ttl == 61 && c[4].rst_acked == 999 && !c[4].ignored_synack);
	UNUSED;
	return NULL;
}

static void make_acks_unseen(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 20, SERVER, ACK, 1, 301, 0); /* the request passed elsewhere */
	t->port[CLIENT]++;
	handshake(t, 100);
	tcp(t, 112, CLIENT, ACK, 1, 1, 300);
	tcp(t, 120, CLIENT, ACK, 301, 501, 0); /* the answer passed elsewhere */
	t->port[CLIENT]++;
	handshake(t, 200);
	tcp(t, 220, SERVER, ACK, 1, 2, 0); /* payload, or a FIN that was not seen */
	t->port[CLIENT]++;
	handshake(t, 300);
	tcp(t, 320, SERVER, ACK, 1, OPENING_WINDOW + 2, 0); /* forged */
	tcp(t, 321, CLIENT, ACK, 1, OPENING_WINDOW + 2, 0);
}

CHECK(check_acks_unseen)
{
	EXPECT(count == 4);
	EXPECT(c[0].server_acks_unseen && !c[0].client_acks_unseen);
	EXPECT(!c[1].server_acks_unseen && c[1].client_acks_unseen);
	EXPECT(c[2].server_acks_unseen && !c[2].client_acks_unseen);
	EXPECT(!c[3].server_acks_unseen && !c[3].client_acks_unseen);
	UNUSED;
	return NULL;
}

static void make_acks_seen(struct tape *t)
{
	handshake(t, 0);
	tcp(t, 12, CLIENT, ACK, 1, 1, 300);
	tcp(t, 20, SERVER, ACK, 1, 301, 0);
	t->port[CLIENT]++;
	handshake(t, 100);
	tcp(t, 112, CLIENT, FIN | ACK, 1, 1, 0);
	tcp(t, 120, SERVER, ACK, 1, 2, 0); /* the FIN takes a number */
	t->port[CLIENT]++;
	handshake(t, 200);
	tcp(t, 212, SERVER, FIN | ACK, 1, 1, 0);
	tcp(t, 220, CLIENT, ACK, 1, 2, 0);
	t->port[CLIENT]++;
	tcp(t, 300, CLIENT, SYN, 0, 0, 100); /* Fast Open */
	tcp(t, 310, SERVER, SYN | ACK, 0, 101, 0);
	tcp(t, 311, CLIENT, ACK, 101, 1, 0);
	tcp(t, 320, SERVER, ACK, 1, 101, 0);
	t->port[CLIENT]++;
	handshake(t, 400);
	tcp(t, 413, SERVER, ACK, 1, 301, 0); /* reordered, as in merged captures */
	tcp(t, 414, CLIENT, ACK, 1, 1, 300);
}

CHECK(check_acks_seen)
{
	size_t i;

	EXPECT(count == 5);
	for (i = 0; i < count; i++)
		EXPECT(!c[i].server_acks_unseen && !c[i].client_acks_unseen);
	UNUSED;
	return NULL;
}

static void add_dns(struct tape *t)
{
	static const uint8_t question[40] = { 1, 2, 1, 0, 0, 1 }, answer[200] = { 1, 2, 0x81 };

	udp(t, 0, CLIENT, question, sizeof(question));
	udp(t, 1, SERVER, answer, sizeof(answer));
	udp(t, 2, CLIENT, question, 11);
	udp(t, 2, CLIENT, question, 12);
	udp(t, 3, SERVER, answer, 86); /* frames at the edges of the sizes in which they are sent */
	udp(t, 3, SERVER, answer, 87);
	icmp_about_udp(t, 4, CLIENT, t->ip6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE, 3, question,
		       sizeof(question));
	icmp_about_udp(t, 5, SERVER, t->ip6 ? ICMP6_TIME_EXCEEDED : ICMP4_TIME_EXCEEDED, 0,
		       question, 0);
}

/* A resolver, behind all kinds of headers. Both builds must pass on the same packets. */
static void make_dns(struct tape *t)
{
	t->port[SERVER] = 53;
	t->ip6 = false;
	add_dns(t);
	t->more_fragments = true;
	t->udp_excess = 1000;
	add_dns(t);
	t->more_fragments = false;
	add_dns(t);
	t->udp_excess = 0;
	t->options = 12;
	add_dns(t);
	t->options = 0;
	t->vlan[0] = 7;
	t->egress = true;
	add_dns(t);
	t->vlan[1] = 8;
	add_dns(t);
	t->ip6 = true;
	add_dns(t);
	t->extension = 16;
	t->padding = 9;
	add_dns(t);
	t->port[CLIENT] = 5353; /* both ends use a port of DNS */
	add_dns(t);
	handshake(t, 10);
	tcp(t, 30, CLIENT, TCP_ACK, 1, 1, 42);
	tcp(t, 31, CLIENT, TCP_ACK, 1, 1, 42);
	tcp(t, 40, SERVER, TCP_ACK, 1, 43, 1000);
}

static const char *check_dns(const struct connection *c, size_t count, const uint64_t *counters)
{
	(void)counters;
	return count == 1 && c->outcome == OUTCOME_ESTABLISHED ? NULL : "the connection";
}

const struct scenario scenarios[] = {
	{ "plain connection", "every number", make_plain, check_plain },
	{ "plain connection over IPv6", "half of the users would be missing", make_plain6,
	  check_plain6 },
	{ "client with the higher address", "the roles would be exchanged", make_low_client,
	  check_plain },
	{ "SYN sent three times, then answered", "the peer would be reported as dead",
	  make_syn_again, check_syn_again },
	{ "SYN sent eleven times", "the shape of the timeout would be unknown", make_many_syns,
	  check_many_syns },
	{ "never answered", "attempts would stay for ever", make_timeout, check_timeout },
	{ "another ISN on the same four-tuple", "an attempt", make_other_isn, check_other_isn },
	{ "same ISN again after a RST", "two of the three attempts of Windows",
	  make_same_isn_after_rst, check_same_isn_after_rst },
	{ "simultaneous open", "the roles of the ends", make_simultaneous_open,
	  check_simultaneous_open },
	{ "data in the SYN", "fast open would be reported as a stall", make_syn_data,
	  check_syn_data },
	{ "data in the SYN, answered before the ACK", "fast open would be half open",
	  make_syn_data_answered_early, check_syn_data_answered_early },
	{ "data in the SYN, not taken", "the handshake", make_syn_data_not_taken,
	  check_syn_data_not_taken },
	{ "data in the handshake ACK", "the wait would be missing", make_data_in_ack,
	  check_data_in_ack },
	{ "keep-alive probes before any data", "the stall would be cut short", make_keep_alive,
	  check_keep_alive },
	{ "padded short frames", "padding would end the stall", make_padding, check_five_seconds },
	{ "sequence numbers that wrap", "connections would be lost at random", make_wrap,
	  check_plain },
	{ "RST that is not acceptable", "forged RSTs would hide connections", make_bad_rst,
	  check_plain },
	{ "client resets before any answer", "it would be reported as refused",
	  make_early_client_rst, check_early_client_rst },
	{ "SYN scan", "scans would count as connections", make_syn_scan, check_syn_scan },
	{ "FIN before any payload", "spare sockets would be reported as stalls",
	  make_fin_without_payload, check_fin_without_payload },
	{ "only one side closes", "half-closed connections would fill the map", make_one_fin,
	  check_one_fin },
	{ "server speaks first, late", "a late greeting would be attributed to the client",
	  make_server_first, check_server_first },
	{ "server speaks before the handshake ACK", "a negative time would be lost",
	  make_server_before_ack, check_server_before_ack },
	{ "connection open before the start", "verdicts without evidence", make_mid_stream,
	  check_mid_stream },
	{ "RSTs of old connections", "a server that lost them is not listed", make_old_resets,
	  check_old_resets },
	{ "SYN-ACK lost and repeated", "the round trip would be wrong", make_synack_again,
	  check_synack_again },
	{ "SYN-ACK with a wrong number", "a forged answer would count", make_bad_synack,
	  check_bad_synack },
	{ "ICMP unreachable", "the reason of the failure", make_icmp, check_icmp },
	{ "the reason of the failure", "the reason, for IPv6", make_icmp6, check_icmp },
	{ "ICMP that quotes another attempt", "the wrong peer would be accused",
	  make_icmp_of_another, check_unanswered },
	{ "ICMP, then another SYN is answered", "a working peer would be accused",
	  make_icmp_then_answer, check_icmp_then_answer },
	{ "time exceeded, then unreachable", "the hard error", make_time_exceeded,
	  check_time_exceeded },
	{ "a full answer settles with the bare ACK for it",
	  "the time of the end, and the record after late copies", make_acked, check_acked },
	{ "late copy of a SYN after both payloads", "a false report of an unanswered attempt",
	  make_late_syn_copy, check_late_syn_copy },
	{ "the same four-tuple again", "connections of fast clients", make_tuple_again,
	  check_tuple_again },
	{ "one-armed gateway", "copies would be reported as losses", make_one_armed,
	  check_one_armed },
	{ "SPAN port with copies", "copies would be reported as losses", make_span, check_span },
	{ "payload from one side only", "a download would stay on the slow path", make_one_sided,
	  check_one_sided },
	{ "SYN-ACK passes elsewhere", "a working peer would be reported as silent",
	  make_synack_not_seen, check_synack_not_seen },
	{ "challenge ACK of an old connection", "the retry would be lost", make_challenge_ack,
	  check_challenge_ack },
	{ "accept queue overflows", "a server that is too slow to accept", make_accept_queue,
	  check_accept_queue },
	{ "full-size request dropped", "an MTU black hole", make_request_swallowed,
	  check_request_swallowed },
	{ "full-size answer dropped", "an MTU black hole", make_answer_swallowed,
	  check_answer_swallowed },
	{ "large answer, its ACK passes elsewhere", "settled flows would fill the map",
	  make_answer_acked_elsewhere, check_answer_acked_elsewhere },
	{ "first payload with a gap before it", "loss before the gateway", make_gap, check_gap },
	{ "same addresses in two VLANs", "two customers would be mixed", make_vlans, check_vlans },
	{ "IPv4 options", "connections with options", make_options, check_plain },
	{ "IPv6 extension header", "connections with extensions", make_extension, check_plain6 },
	{ "frames cut at every length", "a crash, or invented numbers", make_truncated,
	  check_truncated },
	{ "contradictory headers", "a crash, or invented numbers", make_malformed,
	  check_malformed },
	{ "packets other than TCP", "the share of unmeasured packets", make_not_understood,
	  check_not_understood },
	{ "same ISN after two minutes of silence", "a new attempt would be reported as a retry",
	  make_silence_then_syn, check_silence_then_syn },
	{ "roles swapped on one four-tuple", "the roles of the ends", make_roles_swapped,
	  check_roles_swapped },
	{ "forged RSTs while a client waits", "anybody could hide a stall", make_forged_rst,
	  check_stall_not_hidden },
	{ "forged FINs while a client waits", "anybody could hide a stall", make_forged_fin,
	  check_stall_not_hidden },
	{ "forged payload while a client waits", "anybody could hide a stall", make_forged_payload,
	  check_stall_not_hidden },
	{ "forged packets where numbers wrap", "anybody could hide some stalls", make_forged_wrap,
	  check_stall_not_hidden },
	{ "forged answers of a silent peer", "anybody could hide a dead peer", make_forged_answers,
	  check_still_silent },
	{ "forged SYN of a silent peer", "anybody could hide a dead peer",
	  make_forged_simultaneous_open, check_still_silent },
	{ "forged SYN of a peer that answers", "the times of its answers",
	  make_forged_then_answered, check_syn_again },
	{ "SYN answered from another address", "direct server return", make_answered_elsewhere,
	  check_answered_elsewhere },
	{ "SYN answered from another address, IPv6", "direct server return",
	  make_answered_elsewhere6, check_answered_elsewhere },
	{ "SYN-ACKs alone", "invented attempts", make_synacks_alone, check_synacks_alone },
	{ "SYN-ACK before any SYN", "an invented answer", make_synack_before_syn,
	  check_synack_before_syn },
	{ "ICMP about others' segments", "the wrong peer would be accused", make_icmp_of_others,
	  check_unanswered },
	{ "the same ISN from elsewhere", "two clients would be one", make_isn_from_elsewhere,
	  check_isn_from_elsewhere },
	{ "the same port at both ends", "peers that use one port for everything", make_same_ports,
	  check_alike },
	{ "the same address at both ends", "a crash, or invented numbers", make_same_address,
	  check_alike },
	{ "port 0 at both ends", "a crash, or invented numbers", make_port_0, check_alike },
	{ "exchanged ports", "two connections would be mixed", make_ports_swapped,
	  check_ports_swapped },
	{ "IPv4 addresses in IPv6 headers", "an IPv6 packet could end an IPv4 connection's record",
	  make_mapped, check_mapped },
	{ "a client that never stops its attempts", "its record", make_endless_syns,
	  check_endless_syns },
	{ "a server that never stops answering", "its record", make_endless_synacks,
	  check_endless_synacks },
	{ "one four-tuple in many VLANs",
	  "the counters of the fast path would overflow: false stalls", make_crowded,
	  check_crowded },
	{ "traits of SYN and SYN-ACK", "which SYNs a path drops", make_traits, check_traits },
	{ "traits over IPv6", "the same, for IPv6", make_traits6, check_traits },
	{ "options in any order", "MPTCP and Fast Open, which some paths drop", make_many_options,
	  check_many_options },
	{ "malformed options", "a crash, or invented numbers", make_bad_options,
	  check_bad_options },
	{ "cut options", "a crash, or invented numbers", make_cut_options, check_cut_options },
	{ "TLS alert as the first answer", "a refusal would count as an answer", make_alert,
	  check_alert },
	{ "TLS alert behind other headers", "a refusal would count as an answer", make_alert6,
	  check_alert },
	{ "cut payload", "a byte of the padding would be an answer", make_cut_payload,
	  check_cut_payload },
	{ "first segment seen is not the first", "a byte of a file would be a refusal",
	  make_middle_byte, check_middle_byte },
	{ "first flight of the client", "the size of its request", make_flight, check_flight },
	{ "RSTs of the server", "who sent the RST, and in reply to what", make_rsts, check_rsts },
	{ "acknowledged payload that was not seen", "a busy connection would seem silent",
	  make_acks_unseen, check_acks_unseen },
	{ "acknowledged payload and FINs that were seen", "they would count as not seen",
	  make_acks_seen, check_acks_seen },
	{ "DNS", "questions would belong to nobody", make_dns, check_dns },
	{ "time goes backwards", "a crash, or invented numbers", make_backwards, check_backwards },
};

const size_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
