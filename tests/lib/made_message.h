/* SPDX-License-Identifier: GPL-2.0 */
/* Makes DNS messages (RFC 1035 4), well-formed ones and others. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "lib/dns_message.h"

#define MAX_MESSAGE 4096

/* A message under construction. */
struct made_message {
	uint8_t bytes[MAX_MESSAGE];
	size_t length;
};

static inline void put(struct made_message *m, const void *bytes, size_t n)
{
	memcpy(m->bytes + m->length, bytes, n);
	m->length += n;
}

static inline void put16(struct made_message *m, unsigned int value)
{
	put(m, (uint8_t[]){ value >> 8, value }, 2);
}

static inline void put32(struct made_message *m, uint32_t value)
{
	put16(m, value >> 16);
	put16(m, value & 0xffff);
}

/* Appends a name such as "www.example.com" without compression. */
static inline void put_name(struct made_message *m, const char *name)
{
	while (*name) {
		uint8_t n = strcspn(name, ".");

		put(m, &n, 1);
		put(m, name, n);
		name += n + (name[n] == '.');
	}
	put(m, "", 1);
}

static inline void put_pointer(struct made_message *m, size_t target)
{
	put16(m, 0xc000 | target);
}

/* A header with these flags and counts of records. */
static inline struct made_message header(unsigned int flags, unsigned int questions,
					 unsigned int answers, unsigned int authority,
					 unsigned int additional)
{
	struct made_message m = { .length = 0 };

	put16(&m, 0x1234);
	put16(&m, flags);
	put16(&m, questions);
	put16(&m, answers);
	put16(&m, authority);
	put16(&m, additional);
	return m;
}

#define ANSWER 0x8180
#define QUESTION 0x0100
#define QNAME 12 /* offset of the question's name */

static inline void put_question(struct made_message *m, const char *name, unsigned int type)
{
	put_name(m, name);
	put16(m, type);
	put16(m, 1);
}

/* Appends a record up to the length of its data; the owner precedes it. */
static inline void put_record(struct made_message *m, unsigned int type, uint32_t ttl,
			      unsigned int length)
{
	put16(m, type);
	put16(m, 1);
	put32(m, ttl);
	put16(m, length);
}

static inline void put_a(struct made_message *m, uint32_t ttl, uint32_t address)
{
	put_record(m, DNS_A, ttl, 4);
	put32(m, address);
}

static inline void put_cname(struct made_message *m, uint32_t ttl, const char *name)
{
	put_record(m, DNS_CNAME, ttl, strlen(name) + 2);
	put_name(m, name);
}

static inline void put_opt(struct made_message *m, unsigned int size)
{
	put(m, "", 1);
	put16(m, 41);
	put16(m, size);
	put32(m, 0);
	put16(m, 0);
}
