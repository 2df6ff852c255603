/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Made DNS packets, as the source would have passed them on: the base of the scenes of unit tests.
 * Times are in seconds; endpoints are those of made_connect.h.
 *
 *	struct dns_packet question = made_question(client, resolver, 7, "www.example.com", DNS_A, 0);
 *	struct dns_packet answer = made_answer(&question, 0.001, ip4(0xc6336401));
 *
 *	model_dns(m, &question, false);
 *	model_dns(m, &answer, false);
 */
#pragma once

#include "made_connect.h"
#include "model/model.h"

/* Returns a name; the text has no escapes, and no dot at its end. */
static inline struct dns_name made_name(const char *text)
{
	struct dns_name name = {};

	while (*text) {
		size_t length = strcspn(text, ".");

		name.wire[name.length++] = length;
		memcpy(name.wire + name.length, text, length);
		name.length += length;
		text += length + (text[length] == '.');
	}
	name.length++;
	return name;
}

static inline struct dns_packet made_question(struct endpoint client, struct endpoint resolver,
					      uint16_t id, const char *name, uint16_t type,
					      double at)
{
	struct dns_packet p = { .time = SECONDS(at),
				.client = client,
				.server = resolver,
				.ifindex = 2,
				.size = 40,
				.status = DNS_READ };

	p.message.has_id = true;
	p.message.id = id;
	p.message.name = made_name(name);
	p.message.type = type;
	return p;
}

/* An answer to the question, after so many seconds, without a record. */
static inline struct dns_packet made_reply(const struct dns_packet *question, double after,
					   uint8_t rcode)
{
	struct dns_packet p = *question;

	p.time += SECONDS(after);
	p.egress = true;
	p.size = 100;
	p.message.is_answer = true;
	p.message.rcode = rcode;
	return p;
}

static inline void made_add_address(struct dns_packet *answer, struct address a)
{
	struct dns_message *m = &answer->message;

	m->addresses[m->address_count++] = (struct dns_address){ .address = a, .ttl = 300 };
	m->answers++;
}

/* An answer to the question, after so many seconds, with this address. */
static inline struct dns_packet made_answer(const struct dns_packet *question, double after,
					    struct address a)
{
	struct dns_packet p = made_reply(question, after, DNS_NOERROR);

	made_add_address(&p, a);
	return p;
}

/* An ICMP error about the question, after so many seconds: port unreachable. */
static inline struct dns_packet made_error(const struct dns_packet *question, double after)
{
	struct dns_packet p = *question;

	p.time += SECONDS(after);
	p.egress = true;
	p.is_error = true;
	p.icmp_type = 3;
	p.icmp_code = 3;
	p.icmp_from = question->server.address;
	return p;
}

/*
 * A lookup that is answered after so many seconds with this address. The client's port and the id
 * are from the time, so that they differ.
 */
static inline void make_lookup(struct model *m, struct endpoint client, struct endpoint resolver,
			       const char *name, uint16_t type, double at, double after,
			       struct address a)
{
	struct dns_packet question, answer;

	client.port = 20000 + (uint64_t)(at * 1000) % 40000;
	question = made_question(client, resolver, client.port ^ type, name, type, at);
	answer = made_answer(&question, after, a);
	model_dns(m, &question, false);
	model_dns(m, &answer, false);
}

/*
 * A lookup that is not answered: `count` tries at the given seconds after the first one, each from
 * a port and with an id of its own.
 */
static inline void make_silent_lookup(struct model *m, struct endpoint client,
				      struct endpoint resolver, const char *name, uint16_t type,
				      double at, const double *after, size_t count)
{
	struct dns_packet question;
	size_t i;

	for (i = 0; i < count; i++) {
		client.port = 20000 + (uint64_t)((at + after[i]) * 1000) % 40000;
		question = made_question(client, resolver, client.port ^ type, name, type,
					 at + after[i]);
		model_dns(m, &question, false);
	}
}

/*
 * A connection whose SYN comes at this second, which was served at once: passed to the names and to
 * the model, as the pipeline does. Returns it.
 */
static inline struct connection make_connect(struct model *m, struct endpoint client,
					     struct endpoint server, double at)
{
	struct connection c = made_handshake(client, server, at);

	make_served(&c, 0.001, 0.02);
	names_connect(m->names, &c);
	model_settled(m, &c);
	return c;
}
