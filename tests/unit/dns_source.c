// SPDX-License-Identifier: GPL-2.0
/*
 * Which packets of a capture the source passes on as DNS, and what it says of them. If this fails,
 * questions are missing, or belong to the wrong host, and a resolver is accused that answered.
 *
 * The BPF object must do the same: tests/bpf compares both builds.
 */
#include <stdio.h>
#include <string.h>

#include "expect.h"
#include "packet_script.h"
#include "selector.h"
#include "source/offline.h"

#define MESSAGE 300 /* bytes */

static uint8_t question[MESSAGE], answer[MESSAGE];

struct seen {
	struct dns_head head;
	uint8_t bytes[MAX_DNS_BYTES];
};

static struct {
	struct seen at[32];
	size_t count;
} seen;

static const uint16_t port_53[] = { 53 };

static void keep_dns(void *context, const struct dns_head *head, const uint8_t *bytes)
{
	struct seen *s = &seen.at[seen.count++ % 32];

	(void)context;
	s->head = *head;
	memcpy(s->bytes, bytes, head->length);
}

static void ignore_record(void *context, const struct record *r)
{
	(void)context;
	(void)r;
}

struct narrow {
	const struct selector *selector;
	const uint16_t *ports;
	size_t port_count;
	uint32_t snap; /* 0 for all bytes */
};

static void play(const struct tape *t, const struct narrow *n)
{
	const uint16_t *ports = n && n->ports ? n->ports : port_53;
	struct offline *o = offline_new(100, n ? n->selector : NULL, ignore_record, NULL);
	size_t i;

	seen.count = 0;
	offline_follow_dns(o, keep_dns, ports, n && n->ports ? n->port_count : 1);
	for (i = 0; i < t->count; i++) {
		const struct tape_frame *f = &t->frames[i];
		struct offline_frame frame = { .bytes = f->bytes,
					       .length = f->length,
					       .wire_length = f->wire_length,
					       .link = LINK_ETHERNET,
					       .ifindex = 7,
					       .egress = f->egress,
					       .time = f->at };

		if (n && n->snap && frame.length > n->snap)
			frame.length = n->snap;
		offline_feed(o, &frame);
	}
	EXPECT(offline_counters(o)[COUNT_DNS] == seen.count, "packets are not counted");
	offline_free(o);
}

static void begin(struct tape *t)
{
	tape_start(t);
	t->port[SERVER] = 53;
	memset(question, 'q', sizeof(question));
	memset(answer, 'a', sizeof(answer));
	question[2] = 1;
	answer[2] = 0x81;
}

static bool has_message(const struct seen *s, const uint8_t *message, uint32_t length)
{
	return s->head.message_length == length && s->head.length == s->head.offset + length &&
	       !memcmp(s->bytes + s->head.offset, message, length);
}

static uint32_t client_of(const struct address *a)
{
	return be32_to_cpu(a->word[3]);
}

#define CLIENT_ADDRESS 0x0a010417
#define SERVER_ADDRESS 0xae8fd5b8

static void test_question_and_answer(void)
{
	const struct dns_head *h = &seen.at[0].head;
	static struct tape t;

	begin(&t);
	udp(&t, 0, CLIENT, question, 40);
	t.egress = true;
	udp(&t, 1, SERVER, answer, 200);
	play(&t, NULL);
	EXPECT(seen.count == 2, "a question or its answer is missing");
	EXPECT(has_message(&seen.at[0], question, 40) && has_message(&seen.at[1], answer, 200),
	       "the names are unknown");
	EXPECT(client_of(&h->source) == CLIENT_ADDRESS &&
		       client_of(&h->destination) == SERVER_ADDRESS && h->source_port == 51544 &&
		       h->destination_port == 53,
	       "an answer belongs to the wrong question");
	EXPECT(h->flags == DNS_HAS_MAC && h->mac[5] == CLIENT && h->ifindex == 7 &&
		       h->time == t.frames[0].at && h->wire_length == t.frames[0].length,
	       "the host, or the wait, is wrong");
	EXPECT(seen.at[1].head.flags == DNS_EGRESS, "the gateway's MAC address is the host's");
}

static void test_what_is_no_dns(void)
{
	static struct tape t;

	begin(&t);
	udp(&t, 0, CLIENT, question, 11); /* shorter than a header */
	t.port[SERVER] = 5353;
	udp(&t, 1, CLIENT, question, 40);
	t.port[SERVER] = 443;
	udp(&t, 2, CLIENT, question, 40);
	play(&t, NULL);
	EXPECT(!seen.count, "other UDP is taken for DNS");
}

static void test_encapsulations(void)
{
	static struct tape t;

	begin(&t);
	t.vlan[0] = 7;
	t.vlan[1] = 8;
	udp(&t, 0, CLIENT, question, 40);
	t.vlan[0] = t.vlan[1] = 0;
	t.options = 8;
	udp(&t, 1, CLIENT, question, 40);
	t.options = 0;
	t.ip6 = true;
	udp(&t, 2, CLIENT, question, 40);
	t.extension = 16;
	udp(&t, 3, CLIENT, question, 40);
	t.padding = 20;
	udp(&t, 4, CLIENT, question, 40);
	play(&t, NULL);
	EXPECT(seen.count == 5, "questions of some networks are not seen");
	EXPECT(seen.at[0].head.vlan[0] == 7 && seen.at[0].head.vlan[1] == 8,
	       "two hosts in two VLANs are one");
	EXPECT(has_message(&seen.at[0], question, 40) && has_message(&seen.at[1], question, 40) &&
		       has_message(&seen.at[2], question, 40) &&
		       has_message(&seen.at[3], question, 40),
	       "the names are unknown");
	EXPECT(has_message(&seen.at[4], question, 40),
	       "the padding is read as part of the message");
}

static void test_first_fragment(void)
{
	static struct tape t;

	begin(&t);
	t.more_fragments = true;
	t.udp_excess = 1500;
	udp(&t, 0, SERVER, answer, 256);
	play(&t, NULL);
	EXPECT(seen.count == 1 && seen.at[0].head.flags & DNS_FIRST_FRAGMENT,
	       "a cut answer is taken for a malformed one");
	EXPECT(seen.at[0].head.message_length == 1756,
	       "answers that are lost in fragments seem small");
	EXPECT(!(seen.at[0].head.flags & DNS_CUT), "the snap length is blamed for a fragment");
}

static void test_wrong_length(void)
{
	static struct tape t;

	begin(&t);
	t.udp_excess = 1000; /* without a fragment: the header says more than there is */
	udp(&t, 0, CLIENT, question, 40);
	play(&t, NULL);
	EXPECT(seen.count == 1 && has_message(&seen.at[0], question, 40),
	       "a forged length is reported");
}

static void test_icmp(void)
{
	const struct dns_head *h = &seen.at[0].head;
	static struct tape t;

	begin(&t);
	icmp_about_udp(&t, 0, CLIENT, ICMP4_UNREACHABLE, 3, question, 40);
	icmp_about_udp(&t, 0, CLIENT, ICMP4_UNREACHABLE, 3, question, 0);
	icmp_about_udp(&t, 0, SERVER, ICMP4_UNREACHABLE, 3, answer, 60);
	t.port[SERVER] = 500;
	icmp_about_udp(&t, 0, CLIENT, ICMP4_UNREACHABLE, 3, question, 40);
	play(&t, NULL);
	EXPECT(seen.count == 3, "a closed port looks like silence");
	EXPECT(h->flags == DNS_ICMP_ERROR && h->icmp_type == ICMP4_UNREACHABLE &&
		       h->icmp_code == 3 && client_of(&h->icmp_from) == 0x0a010401,
	       "the wrong router is named");
	EXPECT(client_of(&h->source) == CLIENT_ADDRESS && h->destination_port == 53 &&
		       has_message(&seen.at[0], question, 40),
	       "the error belongs to no question");
	EXPECT(seen.at[1].head.length == seen.at[1].head.offset, "errors of old routers are lost");
	EXPECT(seen.at[2].head.source_port == 53, "an error about an answer accuses the resolver");
}

static void test_tcp(void)
{
	static struct tape t;

	begin(&t);
	handshake(&t, 0);
	tcp(&t, 12, CLIENT, TCP_ACK, 1, 1, 40);
	tcp(&t, 13, CLIENT, TCP_ACK, 1, 1, 40); /* again */
	tcp(&t, 14, CLIENT, TCP_ACK, 41, 1, 40);
	tcp(&t, 20, SERVER, TCP_ACK, 1, 81, 60);
	tcp(&t, 21, SERVER, TCP_ACK, 61, 81, 60);
	play(&t, NULL);
	EXPECT(seen.count == 2, "questions by TCP are not seen, or twice");
	EXPECT(seen.at[0].head.flags & DNS_OVER_TCP && seen.at[0].head.message_length == 40 &&
		       seen.at[0].head.destination_port == 53 &&
		       seen.at[0].head.time == t.frames[3].at,
	       "a question by TCP belongs to nobody");
	EXPECT(seen.at[1].head.source_port == 53 && seen.at[1].head.message_length == 60,
	       "an answer by TCP belongs to nobody");
}

static void test_ports(void)
{
	static const uint16_t ports[] = { 5353, 5300 };
	struct narrow n = { .ports = ports, .port_count = 2 };
	static struct tape t;

	begin(&t);
	udp(&t, 0, CLIENT, question, 40);
	t.port[SERVER] = 5300;
	udp(&t, 1, CLIENT, question, 41);
	t.port[SERVER] = 5353;
	udp(&t, 2, SERVER, answer, 42);
	play(&t, &n);
	EXPECT(seen.count == 2 && seen.at[0].head.destination_port == 5300 &&
		       seen.at[1].head.source_port == 5353,
	       "a resolver at another port is not seen");
}

static struct network_list one_address(uint32_t ip4)
{
	struct network_list l = { .included = 1, .count = 1 };

	l.at[0].net = (struct address){ .word = { 0, 0, IP4_PREFIX, cpu_to_be32(ip4) } };
	memset(&l.at[0].mask, 0xff, sizeof(l.at[0].mask));
	return l;
}

static void test_selection(void)
{
	static struct selector selector;
	struct narrow n = { .selector = &selector };
	static struct tape t;

	begin(&t);
	memset(&selector, 0, sizeof(selector));
	selector.servers = one_address(0x01020304);
	selector.by_port = 1;
	udp(&t, 0, CLIENT, question, 40);
	play(&t, &n);
	EXPECT(seen.count == 1, "waits for names are not seen with --port");

	memset(&selector, 0, sizeof(selector));
	selector.clients = one_address(CLIENT_ADDRESS);
	udp(&t, 1, SERVER, answer, 40);
	t.port[CLIENT] = 53;
	udp(&t, 2, CLIENT, question, 40);
	udp(&t, 3, SERVER, answer, 40);
	play(&t, &n);
	EXPECT(seen.count == 4, "a watched host's questions are missing");
	selector.clients = one_address(SERVER_ADDRESS);
	play(&t, &n);
	EXPECT(!seen.count, "questions of other hosts are in the report");
}

static void test_snap_length(void)
{
	struct narrow n = { .snap = 96 };
	static struct tape t;

	begin(&t);
	udp(&t, 0, CLIENT, question, 40);
	udp(&t, 1, SERVER, answer, 200);
	play(&t, &n);
	EXPECT(!(seen.at[0].head.flags & DNS_CUT) && has_message(&seen.at[0], question, 40),
	       "the report warns of a snap length in vain");
	EXPECT(seen.at[1].head.flags & DNS_CUT && seen.at[1].head.length == 96 &&
		       seen.at[1].head.message_length == 200,
	       "names that were cut off are taken for malformed ones");
}

int main(void)
{
	test_question_and_answer();
	test_what_is_no_dns();
	test_encapsulations();
	test_first_fragment();
	test_wrong_length();
	test_icmp();
	test_tcp();
	test_ports();
	test_selection();
	test_snap_length();
	printf("dns_source: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
