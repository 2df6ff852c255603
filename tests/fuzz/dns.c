// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer's target for DNS: any messages, of any client, in any order, through the reader and the
 * names of the model. If it finds a defect, a packet of DNS from anywhere can crash the probe or
 * falsify its report. glibc's own parser is the independent source for what a message says.
 */
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns_input.h"
#include "exact.h"
#include "model/names.h"

#define TAPE_BEGIN 0
#define START (1ULL << 62)

#define REQUIRE(condition)                                           \
	do {                                                         \
		if (!(condition)) {                                  \
			fprintf(stderr, "not so: %s\n", #condition); \
			abort();                                     \
		}                                                    \
	} while (0)

static const uint16_t ports[] = { 53, 5353 };

struct play {
	struct names *names;
	ns_t now;
	bool backwards; /* the clock went backwards, as in some captures */
	uint64_t packets;
	struct endpoint client; /* of the last packet */
	struct address answered; /* the last address of an answer */
};

/* ---- the reader against glibc ---- */

/* Returns true if the name is what glibc expanded, without regard to case. */
static bool same_expansion(const struct dns_name *name, const uint8_t *message, size_t length,
			   const uint8_t *at)
{
	uint8_t wire[NS_MAXCDNAME];
	size_t i;

	if (ns_name_unpack(message, message + length, at, wire, sizeof(wire)) < 0)
		return false;
	for (i = 0; i < name->length; i++) {
		uint8_t byte = wire[i];

		if (byte >= 'A' && byte <= 'Z')
			byte += 'a' - 'A';
		if (byte != name->wire[i])
			return false;
	}
	return true;
}

/* Returns true if the answer section has such an address. */
static bool is_in_answer(ns_msg *parsed, const struct address *a)
{
	const uint8_t *bytes = (const uint8_t *)a;
	ns_rr rr;
	int i;

	for (i = 0; i < ns_msg_count(*parsed, ns_s_an); i++) {
		if (ns_parserr(parsed, ns_s_an, i, &rr) || ns_rr_class(rr) != ns_c_in)
			continue;
		if (ns_rr_type(rr) == ns_t_a && ns_rr_rdlen(rr) == 4 && is_mapped(a) &&
		    !memcmp(ns_rr_rdata(rr), bytes + 12, 4))
			return true;
		if (ns_rr_type(rr) == ns_t_aaaa && ns_rr_rdlen(rr) == 16 &&
		    !memcmp(ns_rr_rdata(rr), bytes, 16))
			return true;
	}
	return false;
}

/* A message that was read from whole bytes says the same as glibc's parser finds in them. */
static void compare_with_glibc(const struct dns_message *m, const uint8_t *bytes, size_t length)
{
	ns_msg parsed;
	ns_rr question;
	size_t i;

	/* glibc takes the whole message or nothing */
	if (ns_initparse(bytes, length, &parsed) || ns_parserr(&parsed, ns_s_qd, 0, &question))
		return;
	REQUIRE(m->id == ns_msg_id(parsed) && m->is_answer == ns_msg_getflag(parsed, ns_f_qr));
	REQUIRE(m->rcode == ns_msg_getflag(parsed, ns_f_rcode));
	REQUIRE(m->truncated == ns_msg_getflag(parsed, ns_f_tc));
	REQUIRE(m->answers == ns_msg_count(parsed, ns_s_an));
	REQUIRE(m->type == ns_rr_type(question));
	REQUIRE(same_expansion(&m->name, bytes, length, bytes + NS_HFIXEDSZ));
	for (i = 0; i < m->address_count; i++)
		REQUIRE(is_in_answer(&parsed, &m->addresses[i].address));
}

/* Checks that a name is well-formed, and what is made of it. */
static void check_name(const struct dns_name *name)
{
	char text[FORMAT_DNS_NAME];
	struct address prefix;
	struct dns_name parent;
	unsigned int bits, labels = dns_name_labels(name);
	size_t at = 0, i;

	REQUIRE(labels <= 127);
	while (at < name->length && name->wire[at])
		at += 1 + name->wire[at];
	REQUIRE(!name->length || at + 1 == name->length);
	for (i = name->length; i < MAX_DNS_NAME; i++)
		REQUIRE(!name->wire[i]);
	format_dns_name(text, name);
	REQUIRE(strlen(text) < FORMAT_DNS_NAME);
	for (i = 0; text[i]; i++)
		REQUIRE(text[i] > ' ' && text[i] < 0x7f && !strchr("\"'<>&", text[i]));
	dns_name_parent(&parent, name, 1);
	REQUIRE(!labels || dns_name_labels(&parent) == labels - 1);
	REQUIRE(!name->length || dns_name_is_below(name, &parent));
	if (dns_name_is_reverse(name, &prefix, &bits))
		REQUIRE(bits && bits <= (is_mapped(&prefix) ? 32 : 128));
}

/* Reads the message by itself, from memory that ends where its captured bytes end. */
static void check_message(const uint8_t *bytes, size_t length, size_t wire_length)
{
	uint8_t *exact = exact_copy(bytes, length);
	struct dns_message m, again;
	enum dns_status status = dns_message_read(&m, exact, length, wire_length);

	REQUIRE(m.address_count <= MAX_DNS_ADDRESSES);
	check_name(&m.name);
	switch (status) {
	case DNS_READ:
		REQUIRE(m.has_id && m.name.length && (m.more || length >= wire_length));
		if (length >= wire_length)
			compare_with_glibc(&m, exact, wire_length);
		break;
	case DNS_NAME_CUT:
		REQUIRE(length < wire_length || (m.is_answer && m.rcode));
		REQUIRE(!m.name.length && !m.type && !m.address_count);
		break;
	case DNS_MALFORMED:
		REQUIRE(!m.name.length && !m.type && !m.address_count);
		break;
	case DNS_IS_OTHER:
		REQUIRE(!m.has_id && !m.id && !m.name.length);
	}
	/* what was captured does not depend on what follows on the wire */
	if (status == DNS_READ && length < wire_length) {
		status = dns_message_read(&again, exact, length, wire_length + 100);
		REQUIRE(status == DNS_READ && !memcmp(&again.name, &m.name, sizeof(m.name)));
	}
	free(exact);
}

/* ---- packets and names ---- */

static struct address address_of(uint32_t word)
{
	struct address a = { { 0, 0, IP4_PREFIX, cpu_to_be32(word) } };

	return a;
}

static void set_head(struct dns_head *head, const struct play *p, const struct head *h,
		     const uint8_t *item)
{
	bool from_server = item[0] & ITEM_FROM_SERVER;
	struct address client = address_of(0x0a000000 + (item[0] & ITEM_CLIENT));
	struct address server = address_of(0x0a000035 + ((item[0] & ITEM_SERVER) >> 3));
	uint16_t client_port = item[1] & ITEM_PORT ? 40000 + (item[1] & ITEM_PORT) : 53;
	uint16_t server_port = item[0] & ITEM_OTHER_PORT ? 5353 : 53;

	*head = (struct dns_head){
		.source = from_server ? server : client,
		.destination = from_server ? client : server,
		.source_port = from_server ? server_port : client_port,
		.destination_port = from_server ? client_port : server_port,
		.time = START + p->now,
		.ifindex = item[0] & ITEM_OTHER_IFACE ? 2 : 1,
		.vlan = { item[1] & ITEM_VLAN ? 7 : 0 },
		.flags = h->what & (DNS_CUT - 1),
		.icmp_type = 3,
		.icmp_code = item[1] & 15,
		.icmp_from = item[1] & 16 ? client : server,
	};
}

static void feed(struct play *p, const struct head *h, const uint8_t *item)
{
	const uint8_t *message = item + DNS_ITEM_BYTES;
	size_t length = h->length - DNS_ITEM_BYTES;
	struct dns_head head;
	struct dns_packet packet;
	uint8_t *exact;

	if (length > MAX_DNS_MESSAGE)
		length = MAX_DNS_MESSAGE;
	set_head(&head, p, h, item);
	head.length = length;
	head.message_length = h->length - DNS_ITEM_BYTES + (h->what & ITEM_CUT ? 1000 : 0);
	check_message(message, length, head.message_length);
	exact = exact_copy(message, length);
	dns_packet_of(&packet, &head, exact, START, ports, 2);
	free(exact);
	REQUIRE(packet.time == p->now && !(packet.is_error && packet.is_error_of_answer));
	REQUIRE(packet.status == DNS_IS_OTHER || packet.server.port == 53 ||
		packet.server.port == 5353);
	names_packet(p->names, &packet, item[1] & ITEM_TO_OWN);
	p->packets++;
	p->client = packet.client;
	if (packet.message.address_count)
		p->answered = packet.message.addresses[packet.message.address_count - 1].address;
}

static void connect_to(struct play *p, uint16_t port)
{
	struct connection c = { .client = p->client,
				.server = { .address = p->answered, .port = port },
				.name_asked = NEVER };

	c.syn = p->now;
	names_connect(p->names, &c);
	REQUIRE(!c.name || names_name(p->names, c.name)->length);
	REQUIRE(c.name_asked == NEVER || c.name);
	REQUIRE(c.name_asked == NEVER || c.name_asked <= c.syn || p->backwards);
}

static void act(struct play *p, const uint8_t *item)
{
	switch (item[0] % ITEM_ACTIONS) {
	case ITEM_SWEEP:
		names_swept(p->names, p->now);
		break;
	case ITEM_GAP:
		names_gap(p->names, p->now - (ns_t)(item[1] * MILLISECOND_NS), p->now);
		break;
	case ITEM_CONNECT:
		connect_to(p, item[1]);
	}
}

static void check_try(const struct dns_try *t)
{
	REQUIRE(t->result <= TRY_ERROR);
	REQUIRE((t->result == TRY_OPEN) == (t->answered == NEVER) || t->result == TRY_FRAGMENT);
}

static void check_lookup(const struct play *p, const struct lookup *l)
{
	unsigned int i, kept = l->try_count < MAX_TRIES ? l->try_count : MAX_TRIES;

	REQUIRE(l->try_count && l->result < LOOKUP_RESULTS && l->episode);
	REQUIRE(l->address_count <= MAX_LOOKUP_ADDRESSES);
	for (i = 0; i < kept; i++)
		check_try(&l->tries[i]);
	check_try(&l->last);
	check_name(names_name(p->names, l->name));
	if (p->backwards)
		return;
	REQUIRE(l->end == NEVER || l->end >= l->first);
	REQUIRE(l->syn == NEVER || l->syn >= l->first);
	REQUIRE(l->episode_first <= l->first && l->last.time >= l->first);
	for (i = 0; i < kept; i++)
		REQUIRE(l->tries[i].answered == NEVER || l->tries[i].answered >= l->tries[i].time);
}

static void finish(struct play *p)
{
	const struct dns_totals *t = names_totals(p->names);
	unsigned int others;
	size_t i;

	names_end(p->names, p->now);
	for (i = 0; i < names_lookup_count(p->names); i++)
		check_lookup(p, names_lookup(p->names, i));
	names_of_address(p->names, NULL, &p->answered, &others);
	REQUIRE(t->questions + t->answers + t->copies <= p->packets);
	REQUIRE(t->malformed + t->not_dns + t->names_cut <= p->packets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	struct play p = { .names = names_new() };
	struct head h;

	while (head_read(&h, &data, end)) {
		p.now += head_delay(&h);
		p.backwards |= head_delay(&h) < 0;
		if (h.length < DNS_ITEM_BYTES)
			names_swept(p.names, p.now);
		else if (h.what & ITEM_ACTION)
			act(&p, data);
		else
			feed(&p, &h, data);
		data += h.length;
	}
	if (p.names)
		finish(&p);
	names_free(p.names);
	return 0;
}

/* ---- mutation ---- */

static void turn(uint8_t *item, const struct head *h)
{
	if (h->what & ITEM_ACTION || h->length < DNS_ITEM_BYTES + 4)
		return;
	item[0] ^= ITEM_FROM_SERVER;
	item[DNS_ITEM_BYTES + 2] ^= 0x80; /* QR */
}

static void set_field(uint8_t *item, const struct head *h, unsigned int seed)
{
	static const uint8_t lengths[] = { 0, 1, 3, 62, 63, 64, 0xc0, 0xff };
	uint8_t *message = item + DNS_ITEM_BYTES;
	size_t length = h->length < DNS_ITEM_BYTES ? 0 : h->length - DNS_ITEM_BYTES;
	unsigned int value = seed / 8;

	if (length < NS_HFIXEDSZ + 4)
		return;
	switch (seed % 8) {
	case 0:
		message[1] = value % 4; /* id */
		break;
	case 1:
		message[3] = (message[3] & 0xf0) | value % 16; /* rcode */
		break;
	case 2:
		message[2] ^= 2; /* TC */
		break;
	case 3:
		message[5 + 2 * (value % 4)] = value / 4 % 4; /* a count */
		break;
	case 4:
		message[NS_HFIXEDSZ + value % (length - NS_HFIXEDSZ)] = lengths[value / 512 % 8];
		break;
	case 5: /* a pointer */
		message += NS_HFIXEDSZ + value % (length - NS_HFIXEDSZ - 1);
		message[0] = 0xc0;
		message[1] = value / 512;
		break;
	default:
		item[seed % 2] ^= 1 << value % 8; /* who */
	}
}

#include "mutate.h"
