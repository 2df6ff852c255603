// SPDX-License-Identifier: GPL-2.0
/*
 * DNS messages and packets: what is read from well-formed ones, from cut ones, and from those that
 * an attacker makes. Each message is read from memory that ends where its captured bytes end.
 */
#include <stdlib.h>
#include <string.h>

#include "dns_packet.h"
#include "exact.h"
#include "expect.h"
#include "made_message.h"

/* Reads the first `length` bytes of it. */
static enum dns_status read_part(struct dns_message *out, const struct made_message *m,
				 size_t length)
{
	uint8_t *exact = exact_copy(m->bytes, length);
	enum dns_status status = dns_message_read(out, exact, length, m->length);

	free(exact);
	return status;
}

static enum dns_status read_whole(struct dns_message *out, const struct made_message *m)
{
	return read_part(out, m, m->length);
}

static struct dns_name name_of(const char *text)
{
	struct made_message m = { .length = 0 };
	struct dns_name name = { 0 };

	put_name(&m, text);
	name.length = m.length;
	memcpy(name.wire, m.bytes, m.length);
	return name;
}

static bool is_named(const struct dns_message *m, const char *text)
{
	struct dns_name name = name_of(text);

	return !memcmp(&m->name, &name, sizeof(name));
}

static struct address ip4(uint32_t address)
{
	return (struct address){ { 0, 0, IP4_PREFIX, cpu_to_be32(address) } };
}

static bool has_address(const struct dns_message *m, size_t i, uint32_t address, uint32_t ttl)
{
	struct address a = ip4(address);

	return m->address_count > i && !memcmp(&m->addresses[i].address, &a, sizeof(a)) &&
	       m->addresses[i].ttl == ttl;
}

static bool formats_as(const struct dns_name *name, const char *text)
{
	char out[FORMAT_DNS_NAME];

	return !strcmp(format_dns_name(out, name), text);
}

static void test_question(void)
{
	struct made_message m = header(QUESTION, 1, 0, 0, 1);
	struct dns_message out;

	put_question(&m, "WWW.Example.COM", DNS_AAAA);
	put_opt(&m, 1232);
	EXPECT(read_whole(&out, &m) == DNS_READ, "questions are not counted");
	EXPECT(out.has_id && out.id == 0x1234 && !out.is_answer && out.type == DNS_AAAA,
	       "answers are not found for their questions");
	EXPECT(is_named(&out, "www.example.com"),
	       "clients that randomise the case have a name for each try");
	EXPECT(out.has_edns && out.edns_size == 1232 && !out.more,
	       "the report cannot say that a resolver falls back to small answers");
}

static void test_answer(void)
{
	struct made_message m = header(ANSWER | DNS_NXDOMAIN, 1, 3, 1, 1);
	struct dns_message out;
	size_t length;

	put_question(&m, "www.example.com", DNS_A);
	put_pointer(&m, QNAME);
	put_cname(&m, 60, "edge.example.net");
	put_name(&m, "edge.example.net");
	put_a(&m, 300, 0xc0000201);
	put_pointer(&m, QNAME);
	put_a(&m, 1u << 31, 0xc0000202);
	length = m.length;
	put_pointer(&m, QNAME + 4);
	put_record(&m, DNS_NS, 60, 2);
	put_pointer(&m, QNAME);
	put_opt(&m, 4096);
	EXPECT(read_whole(&out, &m) == DNS_READ && out.is_answer && out.rcode == DNS_NXDOMAIN,
	       "errors of resolvers are taken for answers");
	EXPECT(out.answers == 3 && out.address_count == 2 && !out.more,
	       "connections are not joined with the name that they waited for");
	EXPECT(has_address(&out, 0, 0xc0000201, 60),
	       "an address keeps its name longer than the alias is valid");
	EXPECT(has_address(&out, 1, 0xc0000202, 0), "a negative TTL is one of 68 years");
	EXPECT(out.has_edns && out.edns_size == 4096, "EDNS of answers is unknown");
	EXPECT(read_part(&out, &m, length) == DNS_READ && out.address_count == 2 && out.more &&
		       !out.has_edns,
	       "answers larger than the captured bytes name no address");
}

static void test_ip6_and_reverse_order(void)
{
	static const uint8_t six[16] = { 0x20, 1, 0xd, 0xb8, [15] = 7 };
	struct made_message m = header(ANSWER, 1, 2, 0, 0);
	struct dns_message out;

	put_question(&m, "v6.example", DNS_AAAA);
	put_name(&m, "other.example");
	put_record(&m, DNS_AAAA, 5, 16);
	put(&m, six, 16);
	put_pointer(&m, QNAME);
	put_record(&m, DNS_AAAA, 7, 16);
	put(&m, six, 16);
	EXPECT(read_whole(&out, &m) == DNS_READ && out.address_count == 1,
	       "a record for a foreign name gives its address a false name");
	EXPECT(!memcmp(&out.addresses[0].address, six, 16) && out.addresses[0].ttl == 7,
	       "connections over IPv6 have no name");
}

static void test_many_addresses(void)
{
	struct made_message m = header(ANSWER | 0x200, 1, 40, 0, 0);
	struct dns_message out;
	unsigned int i;

	put_question(&m, "many.example", DNS_A);
	for (i = 0; i < 40; i++) {
		put_pointer(&m, QNAME);
		put_a(&m, 9, 0x0a000000 + i);
	}
	EXPECT(read_whole(&out, &m) == DNS_READ && out.address_count == MAX_DNS_ADDRESSES &&
		       out.more && out.truncated && out.answers == 40,
	       "large answers are written beyond the table");
	EXPECT(has_address(&out, MAX_DNS_ADDRESSES - 1, 0x0a000000 + MAX_DNS_ADDRESSES - 1, 9),
	       "large answers name no address");
}

static void test_chain_is_bounded(void)
{
	struct made_message m = header(ANSWER, 1, 41, 0, 0);
	char name[16], next[16];
	struct dns_message out;
	unsigned int i;

	put_question(&m, "n0", DNS_A);
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		snprintf(next, sizeof(next), "n%u", i + 1);
		put_name(&m, name);
		put_cname(&m, 100 - i, next);
	}
	put_name(&m, "n40");
	put_a(&m, 300, 1);
	EXPECT(read_whole(&out, &m) == DNS_READ && !out.address_count && out.answers == 41,
	       "a long chain of aliases is written beyond the table");

	m = header(ANSWER, 1, 3, 0, 0);
	put_question(&m, "loop", DNS_A);
	put_pointer(&m, QNAME);
	put_cname(&m, 1, "back");
	put_name(&m, "back");
	put_cname(&m, 1, "loop");
	put_pointer(&m, QNAME);
	put_a(&m, 300, 1);
	EXPECT(read_whole(&out, &m) == DNS_READ && out.address_count == 1,
	       "aliases of each other never end");
}

static void test_malformed_records(void)
{
	struct made_message good = header(ANSWER, 1, 2, 0, 0), m;
	struct dns_message out;

	put_question(&good, "a.example", DNS_A);
	put_pointer(&good, QNAME);
	put_a(&good, 60, 1);

	m = good;
	put_pointer(&m, QNAME);
	put_record(&m, DNS_A, 60, 5);
	put(&m, "12345", 5);
	EXPECT(read_whole(&out, &m) == DNS_READ && !out.address_count && out.more,
	       "an answer that clients refuse names addresses");
	m = good;
	put_pointer(&m, QNAME);
	put_record(&m, DNS_TXT, 60, 400);
	EXPECT(read_whole(&out, &m) == DNS_READ && !out.address_count,
	       "data beyond the message are read");
	m = good;
	put_pointer(&m, QNAME);
	put_record(&m, DNS_CNAME, 60, 4);
	put_name(&m, "ab");
	m.bytes[m.length - 1] = 9;
	EXPECT(read_whole(&out, &m) == DNS_READ && !out.address_count,
	       "a name beyond its record is read");
	m = good;
	EXPECT(read_whole(&out, &m) == DNS_READ && is_named(&out, "a.example") && out.more,
	       "an answer with fewer records than its header counts is no answer");
}

/* A question whose name is these bytes. */
static enum dns_status read_name_of(struct dns_message *out, const void *name, size_t n)
{
	struct made_message m = header(QUESTION, 1, 0, 0, 0);

	put(&m, name, n);
	put16(&m, DNS_A);
	put16(&m, 1);
	return read_whole(out, &m);
}

static void test_hostile_names(void)
{
	uint8_t longest[258] = { 0 };
	struct dns_message out;
	unsigned int i;

	EXPECT(read_name_of(&out, "", 1) == DNS_READ && formats_as(&out.name, ".") &&
		       out.name.length == 1,
	       "questions for the root are malformed");
	EXPECT(read_name_of(&out, "\x40", 1) == DNS_MALFORMED &&
		       read_name_of(&out, "\x80", 1) == DNS_MALFORMED,
	       "labels of 64 bytes and more are read");
	EXPECT(read_name_of(&out, "\xc0\x0c", 2) == DNS_MALFORMED &&
		       read_name_of(&out, "\1a\xc0\x0c", 4) == DNS_MALFORMED,
	       "a name that leads to itself is read for ever");
	EXPECT(read_name_of(&out, "\xc0\x0e\1a", 5) == DNS_MALFORMED &&
		       read_name_of(&out, "\xff\xff", 2) == DNS_MALFORMED,
	       "a name leads forward, out of the message");
	EXPECT(read_name_of(&out, "\xc0\x04", 2) == DNS_MALFORMED, "the header is read as a name");
	EXPECT(out.has_id && !out.name.length && !out.type, "half a name is a name");

	for (i = 0; i < 256; i += 2)
		memcpy(longest + i, "\1a", 2);
	longest[254] = 0;
	EXPECT(read_name_of(&out, longest, 255) == DNS_READ && out.name.length == 255 &&
		       dns_name_labels(&out.name) == 127,
	       "the longest name is malformed");
	longest[254] = 1;
	longest[256] = 0;
	EXPECT(read_name_of(&out, longest, 257) == DNS_MALFORMED,
	       "a longer name is written beyond the table");
	memset(longest, 'a', sizeof(longest));
	longest[0] = longest[64] = longest[128] = 63;
	longest[192] = 62;
	longest[255] = 0;
	EXPECT(read_name_of(&out, longest, 256) == DNS_MALFORMED,
	       "a name of 256 bytes is written beyond the table");
	longest[192] = 61;
	longest[254] = 0;
	EXPECT(read_name_of(&out, longest, 255) == DNS_READ && out.name.length == 255,
	       "labels of 63 bytes are malformed");
}

/* Pointers that lead from one to the next, each to one byte before. */
static void test_pointer_chain(void)
{
	struct made_message m = header(ANSWER, 1, 2, 0, 0);
	struct dns_message out;
	size_t i, at;

	put_question(&m, "x", DNS_A);
	put_pointer(&m, QNAME);
	put_record(&m, DNS_TXT, 0, 600);
	at = m.length;
	put_pointer(&m, QNAME);
	for (i = 1; i < 300; i++)
		put_pointer(&m, at + 2 * (i - 1));
	put_pointer(&m, m.length - 2);
	put_a(&m, 1, 1);
	EXPECT(read_whole(&out, &m) == DNS_READ && !out.address_count && out.more,
	       "one packet costs hundreds of steps for each record");
}

static void test_other_protocols(void)
{
	struct dns_message out;
	struct made_message m;

	m = header(QUESTION, 0, 0, 0, 0);
	EXPECT(read_whole(&out, &m) == DNS_IS_OTHER, "mDNS announcements are questions");
	m = header(QUESTION, 2, 0, 0, 0);
	put_question(&m, "a", 1);
	put_question(&m, "b", 1);
	EXPECT(read_whole(&out, &m) == DNS_IS_OTHER, "one of two questions is followed");
	m = header(5 << 11, 1, 0, 0, 0);
	put_question(&m, "dynamic.update", DNS_SOA);
	EXPECT(read_whole(&out, &m) == DNS_IS_OTHER && !out.has_id && !out.type,
	       "updates of zones are lookups");
	m = header(QUESTION, 1, 0, 0, 0);
	m.length = 11;
	EXPECT(read_whole(&out, &m) == DNS_IS_OTHER, "keep-alive packets are questions");
	m = header(ANSWER | DNS_FORMERR, 0, 0, 0, 0);
	EXPECT(read_whole(&out, &m) == DNS_NAME_CUT && out.has_id && out.id == 0x1234 &&
		       out.is_answer && out.rcode == DNS_FORMERR,
	       "a server that refuses EDNS is said to be silent");
	m = header(ANSWER, 0, 0, 0, 0);
	EXPECT(read_whole(&out, &m) == DNS_IS_OTHER, "an answer to nothing is an answer");
}

/* Wherever the capture cuts a message, what was read is a prefix of the whole. */
static void test_every_cut(void)
{
	struct made_message m = header(ANSWER, 1, 2, 0, 1);
	struct dns_message whole, out;
	enum dns_status status;
	size_t i, question;

	put_question(&m, "www.example.com", DNS_A);
	question = m.length;
	put_pointer(&m, QNAME);
	put_cname(&m, 60, "edge.example.net");
	put_name(&m, "edge.example.net");
	put_a(&m, 300, 0xc0000201);
	put_opt(&m, 1232);
	read_whole(&whole, &m);
	for (i = 0; i < m.length; i++) {
		status = read_part(&out, &m, i);
		EXPECT(status == (i < question ? DNS_NAME_CUT : DNS_READ) && out.more,
		       "a short snap length makes packets malformed");
		EXPECT(out.has_id == (i >= 2) && (i < 4 || out.is_answer),
		       "cut packets have a false id");
		EXPECT(i < question ? !out.name.length && !out.type
				    : is_named(&out, "www.example.com") && out.type == DNS_A,
		       "cut names are names");
		EXPECT(out.address_count <= whole.address_count && !out.has_edns,
		       "cut records are read");
	}
	EXPECT(read_part(&out, &m, m.length) == DNS_READ && !memcmp(&out, &whole, sizeof(out)) &&
		       out.address_count == 1,
	       "whole messages are cut");
}

static void test_names(void)
{
	struct dns_name name = name_of("a_b-c.xn--mnchen-3ya.de"), zone, parent;
	struct dns_message out;
	char text[FORMAT_DNS_NAME];

	EXPECT(formats_as(&name, "a_b-c.xn--mnchen-3ya.de"), "names are unreadable");
	EXPECT(dns_name_labels(&name) == 3, "names of a zone are not found");
	dns_name_parent(&parent, &name, 1);
	EXPECT(formats_as(&parent, "xn--mnchen-3ya.de"), "a zone has a false name");
	zone = name_of("xn--mnchen-3ya.de");
	EXPECT(!memcmp(&parent, &zone, sizeof(zone)), "equal zones differ");
	dns_name_parent(&parent, &parent, 7);
	EXPECT(formats_as(&parent, ".") && parent.length == 1, "the root has a parent");
	EXPECT(dns_name_is_below(&name, &zone) && dns_name_is_below(&zone, &zone) &&
		       dns_name_is_below(&name, &parent) && !dns_name_is_below(&zone, &name),
	       "names are counted for a foreign zone");
	zone = name_of("example.com");
	name = name_of("badexample.com");
	EXPECT(!dns_name_is_below(&name, &zone), "badexample.com is below example.com");
	memset(&name, 0, sizeof(name));
	EXPECT(formats_as(&name, "") && !dns_name_labels(&name) && !dns_name_is_below(&name, &zone),
	       "a name that was cut off is the root");

	read_name_of(&out, "\x0c\x1b[31m\"<b>\\\n\xff\0\1.", 15);
	EXPECT(formats_as(&out.name, "\\027\\09131m\\034\\060b\\062\\092\\010\\255"),
	       "a name changes the terminal");
	read_name_of(&out, "\3a.b\0", 5);
	EXPECT(formats_as(&out.name, "a\\046b"), "a dot within a label divides it");
	memset(&name, 0xff, sizeof(name));
	name.wire[0] = name.wire[64] = name.wire[128] = 63;
	name.wire[192] = 61;
	name.wire[254] = 0;
	EXPECT(strlen(format_dns_name(text, &name)) == 250 * 4 + 3,
	       "the longest name is written beyond the buffer");
}

static bool is_reverse(const char *text, uint32_t word[4], unsigned int bits)
{
	struct address prefix, wanted = { { 0 } };
	struct dns_name name = name_of(text);
	unsigned int got, i;

	for (i = 0; i < 4; i++)
		wanted.word[i] = cpu_to_be32(word[i]);
	return dns_name_is_reverse(&name, &prefix, &got) && got == bits &&
	       !memcmp(&prefix, &wanted, sizeof(prefix));
}

static void test_reverse_names(void)
{
	static const char *const others[] = {
		"in-addr.arpa",
		"ip6.arpa",
		"256.2.0.192.in-addr.arpa",
		"01.0.10.in-addr.arpa",
		"1.2.3.4.5.in-addr.arpa",
		"0-25.2.0.192.in-addr.arpa",
		"10.in-addr.arpa.example",
		"g.ip6.arpa",
		"10.ip6.arpa",
		"www.example.com",
		"_dns-sd.0.0.10.in-addr.arpa",
	};
	struct address prefix;
	struct dns_name name;
	unsigned int bits;
	size_t i;

	EXPECT(is_reverse("7.2.0.192.in-addr.arpa", (uint32_t[]){ 0, 0, 0xffff, 0xc0000207 }, 32),
	       "the reverse zone of a network without answers has no prefix");
	EXPECT(is_reverse("0.10.in-addr.arpa", (uint32_t[]){ 0, 0, 0xffff, 0x0a000000 }, 16),
	       "a reverse zone is another network");
	EXPECT(is_reverse("8.b.d.0.1.0.0.2.ip6.arpa", (uint32_t[]){ 0x20010db8, 0, 0, 0 }, 32),
	       "reverse zones of IPv6 have no prefix");
	EXPECT(is_reverse("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
			  (uint32_t[]){ 0x20010db8, 0, 0, 1 }, 128),
	       "addresses of IPv6 are not found by their reverse name");
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		name = name_of(others[i]);
		EXPECT(!dns_name_is_reverse(&name, &prefix, &bits), others[i]);
	}
	memset(&name, 0, sizeof(name));
	EXPECT(!dns_name_is_reverse(&name, &prefix, &bits), "no name is a reverse one");
}

static void test_words(void)
{
	char out[16];

	EXPECT(!strcmp(format_dns_type(out, DNS_HTTPS), "HTTPS") &&
		       !strcmp(format_dns_type(out, 65283), "type 65283"),
	       "a type has a false name");
	EXPECT(!strcmp(format_dns_rcode(out, DNS_REFUSED), "REFUSED") &&
		       !strcmp(format_dns_rcode(out, 10), "NOTZONE") &&
		       !strcmp(format_dns_rcode(out, 255), "rcode 255"),
	       "an error has a false name");
}

/* ---- packets ---- */

#define CLIENT 0x0a000007u
#define SERVER 0x0a000035u
#define START 1000

static const uint16_t ports[] = { 53, 5353 };

/* A packet that the client sent from this port to this port of the server, or the reverse. */
static struct dns_head head_of(bool from_server, uint16_t client_port, uint16_t server_port)
{
	struct address client = ip4(CLIENT), server = ip4(SERVER);

	return (struct dns_head){
		.source = from_server ? server : client,
		.destination = from_server ? client : server,
		.source_port = from_server ? server_port : client_port,
		.destination_port = from_server ? client_port : server_port,
		.time = START + 5,
		.ifindex = 3,
		.in_ifindex = 2,
		.vlan = { 7, 8 },
		.mac = { 2, 0, 0, 0, 0, 1 },
		.flags = DNS_HAS_MAC,
	};
}

/* Reads it behind 28 bytes of headers; `cut` bytes at its end were not captured. */
static struct dns_packet read_packet(struct dns_head *head, const struct made_message *m,
				     size_t cut)
{
	struct dns_packet p;
	uint8_t *exact;

	head->offset = 28;
	head->length = 28 + m->length - cut;
	head->message_length = m->length;
	exact = malloc(head->length);
	memset(exact, 0xee, 28);
	memcpy(exact + 28, m->bytes, m->length - cut);
	dns_packet_of(&p, head, exact, START, ports, 2);
	free(exact);
	return p;
}

static bool is_from_client(const struct dns_packet *p, uint16_t client_port, uint16_t server_port)
{
	struct address client = ip4(CLIENT), server = ip4(SERVER);
	struct endpoint c = { .address = client, .port = client_port, .vlan = { 7, 8 } };
	struct endpoint s = { .address = server, .port = server_port, .vlan = { 7, 8 } };

	return same_endpoint(&p->client, &c) && same_endpoint(&p->server, &s);
}

static struct made_message message(unsigned int flags)
{
	struct made_message m = header(flags, 1, 0, 0, 0);

	put_question(&m, "www.example.com", DNS_A);
	return m;
}

static void test_packets(void)
{
	struct made_message question = message(QUESTION), answer = message(ANSWER);
	struct dns_head head = head_of(false, 40000, 53);
	struct dns_packet p;

	head.flags |= DNS_EGRESS | DNS_FROM_GATEWAY;
	p = read_packet(&head, &question, 0);
	EXPECT(p.status == DNS_READ && is_from_client(&p, 40000, 53) && !p.message.is_answer,
	       "the resolver is taken for the client");
	EXPECT(p.time == 5 && p.ifindex == 3 && p.in_ifindex == 2 && p.egress && p.from_gateway &&
		       p.size == question.length,
	       "the report cannot say where and when a question passed");
	EXPECT(p.has_mac && p.mac[5] == 1, "hosts that only ask DNS have no MAC address");

	head = head_of(true, 40000, 53);
	p = read_packet(&head, &answer, 0);
	EXPECT(p.status == DNS_READ && is_from_client(&p, 40000, 53) && p.message.is_answer,
	       "answers are not found for their questions");
	EXPECT(!p.has_mac, "the client has the MAC address of the next router");

	head = head_of(true, 5353, 53);
	p = read_packet(&head, &answer, 0);
	EXPECT(p.status == DNS_READ && is_from_client(&p, 5353, 53),
	       "servers that ask from a port of DNS are taken for the resolver");
	head = head_of(false, 53, 5353);
	p = read_packet(&head, &question, 0);
	EXPECT(p.status == DNS_READ && is_from_client(&p, 53, 5353),
	       "servers that ask from port 53 are taken for the resolver");
}

static void test_packets_of_others(void)
{
	struct made_message question = message(QUESTION), answer = message(ANSWER);
	struct dns_head head = head_of(true, 40000, 53);
	struct dns_packet p = read_packet(&head, &question, 0);

	EXPECT(p.status == DNS_IS_OTHER && !p.message.name.length,
	       "a question from port 53 to a high port is one of the receiver");
	head = head_of(false, 40000, 53);
	p = read_packet(&head, &answer, 0);
	EXPECT(p.status == DNS_IS_OTHER, "a reflected answer is a question");
	head = head_of(false, 40000, 4000);
	p = read_packet(&head, &question, 0);
	EXPECT(p.status == DNS_IS_OTHER, "packets of other ports are DNS");
	head = head_of(false, 40000, 53);
	question.length = 5;
	p = read_packet(&head, &question, 0);
	EXPECT(p.status == DNS_IS_OTHER, "keep-alive packets to port 53 are questions");
}

static void test_cut_packets(void)
{
	struct made_message question = message(QUESTION), answer = message(ANSWER);
	struct dns_head head = head_of(true, 40000, 53);
	struct dns_packet p = read_packet(&head, &answer, answer.length - 2);

	EXPECT(p.status == DNS_NAME_CUT && p.message.has_id && p.message.is_answer,
	       "cut answers are questions of the resolver");
	p = read_packet(&head, &answer, answer.length);
	EXPECT(p.status == DNS_NAME_CUT && !p.message.has_id && p.message.is_answer,
	       "cut answers have the id 0");
	head = head_of(false, 40000, 53);
	head.flags |= DNS_FIRST_FRAGMENT;
	question.length += 2000; /* the rest is in later fragments */
	p = read_packet(&head, &question, 2000);
	EXPECT(p.status == DNS_READ && p.first_fragment && p.message.more &&
		       p.size == question.length,
	       "answers whose fragments are lost are not found");
	head = head_of(false, 40000, 53);
	head.offset = 99;
	head.length = 28;
	head.message_length = 40;
	dns_packet_of(&p, &head, (const uint8_t *)"", START, ports, 2);
	EXPECT(p.status == DNS_NAME_CUT && !p.message.has_id, "bytes behind the frame are read");
}

static void test_tcp(void)
{
	struct made_message m = { .length = 0 }, question = message(QUESTION);
	struct dns_head head = head_of(false, 40000, 53);
	struct dns_packet p;

	put16(&m, question.length);
	put(&m, question.bytes, question.length);
	put(&m, "\0\1x", 3);
	head.flags |= DNS_OVER_TCP;
	p = read_packet(&head, &m, 0);
	EXPECT(p.status == DNS_READ && p.over_tcp && p.size == question.length && !p.message.more,
	       "questions by TCP are not read");
	m.length = 30;
	p = read_packet(&head, &m, 0);
	EXPECT(p.status == DNS_NAME_CUT && p.message.id == 0x1234 && p.size == question.length,
	       "a message over two segments is malformed");
	m.length = 2;
	p = read_packet(&head, &m, 0);
	EXPECT(p.status == DNS_NAME_CUT && !p.message.has_id && p.size == question.length,
	       "clients that send the length alone ask nothing");
	m.length = 1;
	p = read_packet(&head, &m, 0);
	EXPECT(p.status == DNS_NAME_CUT && !p.message.has_id, "half a length is one");
	m.length = 0;
	put16(&m, 3);
	put(&m, "SSH-2.0", 7);
	p = read_packet(&head, &m, 0);
	EXPECT(p.status == DNS_IS_OTHER, "another protocol on port 53 is DNS");
}

static void test_icmp_errors(void)
{
	struct made_message question = message(QUESTION), answer = message(ANSWER);
	struct dns_head head = head_of(false, 40000, 53);
	struct dns_packet p;

	head.flags |= DNS_ICMP_ERROR;
	head.icmp_type = 3;
	head.icmp_code = 3;
	head.icmp_from = ip4(SERVER);
	p = read_packet(&head, &question, 0);
	EXPECT(p.is_error && !p.is_error_of_answer && is_from_client(&p, 40000, 53) &&
		       p.status == DNS_READ && p.icmp_type == 3 && p.icmp_code == 3,
	       "a closed port of DNS is a silent resolver");
	EXPECT(!memcmp(&p.icmp_from, &p.server.address, sizeof(p.icmp_from)) && !p.has_mac,
	       "the client has the MAC address of the host that sent an error");
	p = read_packet(&head, &question, question.length);
	EXPECT(p.is_error && p.status == DNS_NAME_CUT && !p.message.has_id &&
		       is_from_client(&p, 40000, 53),
	       "errors that quote 8 bytes are lost");

	head = head_of(true, 40000, 53);
	head.flags |= DNS_ICMP_ERROR;
	head.icmp_from = ip4(CLIENT);
	p = read_packet(&head, &answer, answer.length);
	EXPECT(p.is_error_of_answer && !p.is_error && is_from_client(&p, 40000, 53) &&
		       p.message.is_answer,
	       "a client that has closed its port makes the resolver unreachable");
	EXPECT(p.has_mac, "a client that answers with an error has no MAC address");
	head.icmp_from = ip4(0x0a000001);
	p = read_packet(&head, &answer, answer.length);
	EXPECT(!p.has_mac, "the client has the MAC address of a router");
}

int main(void)
{
	test_question();
	test_answer();
	test_ip6_and_reverse_order();
	test_many_addresses();
	test_chain_is_bounded();
	test_malformed_records();
	test_hostile_names();
	test_pointer_chain();
	test_other_protocols();
	test_every_cut();
	test_names();
	test_reverse_names();
	test_words();
	test_packets();
	test_packets_of_others();
	test_cut_packets();
	test_tcp();
	test_icmp_errors();
	printf("dns_message: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
