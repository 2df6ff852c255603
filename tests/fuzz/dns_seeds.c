// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer's first inputs of DNS packets: what resolvers and their clients do, see
 * ../unit/dns_message.c for the messages.
 */
#include "dns_input.h"
#include "made_message.h"
#include "packet_script.h"
#include "seeds.h"

struct item_tape {
	uint8_t bytes[1 << 16];
	size_t length;
};

/* Appends an item, `delay` in ms after the one before. */
static void item(struct item_tape *t, uint8_t what, uint16_t delay, uint8_t who, uint8_t port,
		 const struct made_message *m)
{
	struct head h = { what, 1 << 14 | delay, DNS_ITEM_BYTES + m->length };

	head_write(&h, t->bytes + t->length);
	t->length += HEAD_BYTES;
	t->bytes[t->length++] = who;
	t->bytes[t->length++] = port;
	memcpy(t->bytes + t->length, m->bytes, m->length);
	t->length += m->length;
}

static void action(struct item_tape *t, enum item_action what, uint16_t delay, uint8_t value)
{
	static const struct made_message none;

	item(t, ITEM_ACTION, delay, what, value, &none);
}

static struct made_message question(uint8_t id, const char *name, unsigned int type)
{
	struct made_message m = header(QUESTION, 1, 0, 0, 1);

	m.bytes[1] = id;
	put_question(&m, name, type);
	put_opt(&m, 1232);
	return m;
}

static struct made_message answer(uint8_t id, const char *name, unsigned int flags)
{
	struct made_message m = header(ANSWER | flags, 1, flags ? 0 : 2, 0, 0);

	m.bytes[1] = id;
	put_question(&m, name, DNS_A);
	if (flags)
		return m;
	put_pointer(&m, QNAME);
	put_cname(&m, 60, "edge.example.net");
	put_name(&m, "edge.example.net");
	put_a(&m, 300, 0xc0000201);
	return m;
}

#define OTHER_SERVER (1 << ITEM_SERVER_SHIFT)

/* The first resolver is silent, the second one answers after 5 s, and a connection follows. */
static void dead_first(struct item_tape *t)
{
	struct made_message a = question(1, "www.example.com", DNS_A);
	struct made_message six = question(2, "www.example.com", DNS_AAAA);
	struct made_message whole = answer(1, "www.example.com", 0);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		item(t, 0, 10, i, 1, &a);
		item(t, 0, 0, i, 1, &six);
		item(t, 0, 5005, OTHER_SERVER | i, 2, &a);
		item(t, 0, 1, OTHER_SERVER | ITEM_FROM_SERVER | i, 2, &whole);
		action(t, ITEM_CONNECT, 1, 80);
		action(t, ITEM_SWEEP, 1000, 0);
	}
}

/* A resolver that fails, one whose answer is truncated, and one whose port is closed. */
static void failures(struct item_tape *t)
{
	struct made_message a = question(1, "intern.corp.example", DNS_A);
	struct made_message failed = answer(1, "intern.corp.example", DNS_SERVFAIL);
	struct made_message none = answer(1, "intern.corp.example", DNS_NXDOMAIN);
	struct made_message cut = answer(1, "intern.corp.example", 0x200);

	item(t, 0, 0, 0, 1, &a);
	item(t, 0, 4000, ITEM_FROM_SERVER, 1, &failed);
	item(t, 0, 0, OTHER_SERVER, 2, &a);
	item(t, DNS_ICMP_ERROR, 1, OTHER_SERVER, 2, &a);
	item(t, 0, 1, 0, 3, &a);
	item(t, 0, 1, ITEM_FROM_SERVER, 3, &cut);
	item(t, DNS_FIRST_FRAGMENT | ITEM_CUT, 1, ITEM_FROM_SERVER, 3, &none);
	action(t, ITEM_GAP, 500, 200);
	item(t, 0, 1, ITEM_FROM_SERVER, 3, &none);
	item(t, 0, 1, ITEM_FROM_SERVER, 3, &none);
	action(t, ITEM_SWEEP, 4000, 0);
}

/* The question goes on to TCP, over one connection. */
static void by_tcp(struct item_tape *t)
{
	struct made_message a = question(7, "large.example", DNS_TXT), m = { .length = 0 };
	struct made_message whole = answer(7, "large.example", 0), n = { .length = 0 };

	put16(&m, a.length);
	put(&m, a.bytes, a.length);
	put16(&n, whole.length);
	put(&n, whole.bytes, whole.length);
	item(t, DNS_OVER_TCP, 1, 0, 9, &m);
	item(t, DNS_OVER_TCP, 1, ITEM_FROM_SERVER, 9, &n);
	action(t, ITEM_CONNECT, 1, 7);
}

/* Search lists, reverse names, and names that no resolver is asked for. */
static void names(struct item_tape *t)
{
	static const char *const asked[] = {
		"www.example.com.corp.example",
		"www.example.com",
		"7.2.0.192.in-addr.arpa",
		"8.b.d.0.1.0.0.2.ip6.arpa",
		"_ldap._tcp.dc._msdcs.corp.example",
		"wpad",
		"",
		"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z",
		"\x1b[31m.\"<script>&'\\.\xff\xfe",
	};
	size_t i;

	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct made_message a = question(i, asked[i], DNS_A);
		struct made_message none = answer(i, asked[i], DNS_NXDOMAIN);

		item(t, i % 2 ? DNS_EGRESS : 0, 1, i % 8, 1, &a);
		item(t, i % 2 ? DNS_EGRESS : 0, 1, ITEM_FROM_SERVER | i % 8, 1, &none);
	}
}

static void (*const tapes[])(struct item_tape *t) = { dead_first, failures, by_tcp, names };

void write_dns_seeds(const char *directory)
{
	static struct item_tape tape;
	size_t i;
	FILE *f;

	for (i = 0; i < sizeof(tapes) / sizeof(tapes[0]); i++) {
		tape.length = 0;
		tapes[i](&tape);
		f = create_seed(directory, "dns", i);
		fwrite(tape.bytes, tape.length, 1, f);
		finish_seed(f);
	}
}
