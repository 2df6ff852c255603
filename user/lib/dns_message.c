// SPDX-License-Identifier: GPL-2.0
#include "lib/dns_message.h"

#include <stdio.h>
#include <string.h>

#define HEADER_BYTES 12 /* RFC 1035 4.1.1 */
#define MAX_LABEL 63
#define POINTER 0xc0 /* the upper two bits of a compression pointer (RFC 1035 4.1.4) */
#define CLASS_IN 1
#define TYPE_OPT 41 /* RFC 6891 6.1.1 */

/* Bounds of the work for one name and one message. Real messages need a few of each. */
#define MAX_POINTERS 32
#define MAX_CHAIN 16 /* names of a CNAME chain */

struct cursor {
	const uint8_t *bytes;
	size_t length; /* captured */
	size_t wire_length; /* at least length */
	size_t at; /* at most wire_length */
};

struct dns_record {
	struct dns_name owner;
	uint16_t type;
	uint16_t class;
	uint32_t ttl;
	size_t data; /* offset */
	size_t length; /* of the data; at most what is left on the wire */
};

/* The name of the question, and the names to which CNAME records lead from it. */
struct chain {
	struct dns_name names[MAX_CHAIN];
	uint32_t ttl[MAX_CHAIN]; /* the shortest one on the way */
	size_t count;
};

/* Returns the reason why n bytes cannot be read, or DNS_READ. */
static enum dns_status has(const struct cursor *c, size_t n)
{
	if (c->at <= c->length && n <= c->length - c->at)
		return DNS_READ;
	return n <= c->wire_length - c->at ? DNS_NAME_CUT : DNS_MALFORMED;
}

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte;
}

/* Appends the label of n bytes at the cursor. The root label must still have room behind it. */
static enum dns_status take_label(struct dns_name *name, struct cursor *c, uint8_t n)
{
	enum dns_status status = has(c, n);
	uint8_t i;

	if (n > MAX_LABEL || name->length + 1u + n + !!n > MAX_DNS_NAME)
		return DNS_MALFORMED;
	if (status != DNS_READ)
		return status;
	name->wire[name->length++] = n;
	for (i = 0; i < n; i++)
		name->wire[name->length++] = lower(c->bytes[c->at++]);
	return DNS_READ;
}

/*
 * Reads a name and moves the cursor behind it. A pointer must lead to before the labels that it
 * continues. So the way to the root label is finite, and needs no bytes that were not captured.
 */
static enum dns_status read_name(struct cursor *c, struct dns_name *name)
{
	struct cursor part = *c;
	size_t begin = c->at, target;
	unsigned int pointers = 0;
	enum dns_status status;
	uint8_t n;

	memset(name, 0, sizeof(*name));
	for (;;) {
		status = has(&part, 1);
		if (status != DNS_READ)
			return status;
		n = part.bytes[part.at];
		if (n < POINTER) {
			part.at++;
			status = take_label(name, &part, n);
			if (status != DNS_READ)
				return status;
			if (n)
				continue;
			if (!pointers)
				c->at = part.at;
			return DNS_READ;
		}
		status = has(&part, 2);
		if (status != DNS_READ)
			return status;
		target = get_be16(part.bytes + part.at) & 0x3fff;
		if (target >= begin || target < HEADER_BYTES || pointers == MAX_POINTERS)
			return DNS_MALFORMED;
		if (!pointers++)
			c->at = part.at + 2;
		part.at = begin = target;
	}
}

/* Reads a record up to its data, and moves the cursor behind the data (RFC 1035 4.1.3). */
static enum dns_status read_record(struct cursor *c, struct dns_record *r)
{
	enum dns_status status = read_name(c, &r->owner);
	const uint8_t *p;

	if (status != DNS_READ)
		return status;
	status = has(c, 10);
	if (status != DNS_READ)
		return status;
	p = c->bytes + c->at;
	r->type = get_be16(p);
	r->class = get_be16(p + 2);
	r->ttl = get_be32(p + 4);
	r->length = get_be16(p + 8);
	r->data = c->at + 10;
	if (r->length > c->wire_length - r->data)
		return DNS_MALFORMED;
	c->at = r->data + r->length;
	return DNS_READ;
}

/* Returns true if both names are equal. */
static bool same_name(const struct dns_name *a, const struct dns_name *b)
{
	return a->length == b->length && !memcmp(a->wire, b->wire, a->length);
}

/* Adds the name to which a CNAME record leads. */
static enum dns_status take_cname(struct chain *chain, uint32_t ttl, const struct cursor *c,
				  const struct dns_record *r)
{
	struct cursor data = { .bytes = c->bytes,
			       .length = c->length,
			       .wire_length = r->data + r->length,
			       .at = r->data };
	enum dns_status status;

	if (chain->count == MAX_CHAIN)
		return DNS_READ;
	if (data.length > data.wire_length)
		data.length = data.wire_length;
	status = read_name(&data, &chain->names[chain->count]);
	if (status != DNS_READ)
		return status;
	if (data.at != data.wire_length)
		return DNS_MALFORMED;
	chain->ttl[chain->count++] = ttl;
	return DNS_READ;
}

/* Adds the address of an A or AAAA record. */
static enum dns_status take_address(struct dns_message *m, uint32_t ttl, const struct cursor *c,
				    const struct dns_record *r)
{
	struct dns_address *a = &m->addresses[m->address_count];
	size_t size = r->type == DNS_A ? 4 : 16;

	if (r->length != size)
		return DNS_MALFORMED;
	if (c->length < r->data + size)
		return DNS_NAME_CUT;
	if (m->address_count == MAX_DNS_ADDRESSES) {
		m->more = true;
		return DNS_READ;
	}
	if (size == 4)
		a->address.word[2] = IP4_PREFIX;
	memcpy((uint8_t *)&a->address + sizeof(a->address) - size, c->bytes + r->data, size);
	a->ttl = ttl;
	m->address_count++;
	return DNS_READ;
}

/*
 * Reads a record of the answer section. Its owner must be the name of the question, or a name to
 * which an earlier CNAME record led: as for glibc, other records do not belong to the answer.
 */
static enum dns_status take_answer(struct dns_message *m, struct chain *chain,
				   const struct cursor *c, const struct dns_record *r)
{
	uint32_t ttl = r->ttl >> 31 ? 0 : r->ttl; /* RFC 2181 8 */
	size_t i;

	if (r->class != CLASS_IN)
		return DNS_READ;
	for (i = 0; i < chain->count && !same_name(&chain->names[i], &r->owner); i++)
		;
	if (i == chain->count)
		return DNS_READ;
	if (ttl > chain->ttl[i])
		ttl = chain->ttl[i];
	if (r->type == DNS_CNAME)
		return take_cname(chain, ttl, c, r);
	if (r->type == DNS_A || r->type == DNS_AAAA)
		return take_address(m, ttl, c, r);
	return DNS_READ;
}

static void take_additional(struct dns_message *m, const struct dns_record *r)
{
	if (r->type != TYPE_OPT || r->owner.length != 1 || m->has_edns)
		return;
	m->has_edns = true;
	m->edns_size = r->class;
}

/* Reads the records behind the question, as far as they were captured. */
static enum dns_status read_records(struct dns_message *m, struct cursor *c)
{
	const uint8_t *counts = c->bytes + 6; /* of answer, authority and additional section */
	struct dns_record r;
	struct chain chain;
	enum dns_status status;
	unsigned int section, i;

	chain.names[0] = m->name;
	chain.ttl[0] = UINT32_MAX;
	chain.count = 1;
	for (section = 0; section < 3; section++) {
		for (i = get_be16(counts + 2 * (size_t)section); i; i--) {
			status = read_record(c, &r);
			if (status == DNS_READ && section == 0 && m->is_answer)
				status = take_answer(m, &chain, c, &r);
			if (status != DNS_READ)
				return status;
			if (section == 2)
				take_additional(m, &r);
		}
	}
	return DNS_READ;
}

/* Reads the header, as far as it was captured (RFC 1035 4.1.1). */
static enum dns_status read_header(struct dns_message *m, const struct cursor *c)
{
	const uint8_t *p = c->bytes;
	uint16_t questions;

	if (c->wire_length < HEADER_BYTES || (c->length > 2 && p[2] & 0x78))
		return DNS_IS_OTHER;
	m->has_id = c->length >= 2;
	if (m->has_id)
		m->id = get_be16(p);
	if (c->length < 4)
		return DNS_NAME_CUT;
	m->is_answer = p[2] & 0x80;
	m->truncated = p[2] & 0x02;
	m->rcode = p[3] & 0x0f;
	if (c->length < 6)
		return DNS_NAME_CUT;
	questions = get_be16(p + 4);
	if (!questions && m->is_answer && m->rcode)
		return DNS_NAME_CUT;
	if (questions != 1)
		return DNS_IS_OTHER;
	if (c->length < HEADER_BYTES)
		return DNS_NAME_CUT;
	m->answers = get_be16(p + 6);
	return DNS_READ;
}

static enum dns_status read_question(struct dns_message *m, struct cursor *c)
{
	enum dns_status status;

	c->at = HEADER_BYTES;
	status = read_name(c, &m->name);
	if (status == DNS_READ)
		status = has(c, 4);
	if (status != DNS_READ) {
		memset(&m->name, 0, sizeof(m->name));
		return status;
	}
	m->type = get_be16(c->bytes + c->at);
	c->at += 4;
	return DNS_READ;
}

enum dns_status dns_message_read(struct dns_message *m, const uint8_t *bytes, size_t length,
				 size_t wire_length)
{
	struct cursor c = { .bytes = bytes,
			    .length = length < wire_length ? length : wire_length,
			    .wire_length = wire_length };
	enum dns_status status;

	memset(m, 0, sizeof(*m));
	status = read_header(m, &c);
	if (status == DNS_IS_OTHER) {
		memset(m, 0, sizeof(*m));
		return status;
	}
	m->more = length < wire_length;
	if (status == DNS_READ)
		status = read_question(m, &c);
	if (status != DNS_READ)
		return status;
	status = read_records(m, &c);
	if (status != DNS_READ)
		m->more = true;
	if (status == DNS_MALFORMED) {
		memset(m->addresses, 0, sizeof(m->addresses));
		m->address_count = 0;
	}
	return DNS_READ;
}

/* ---- names ---- */

static bool is_plain(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
	       byte == '_';
}

char *format_dns_name(char out[FORMAT_DNS_NAME], const struct dns_name *name)
{
	unsigned int at = 0, end;
	char *p = out;

	while (at < name->length && name->wire[at]) {
		if (at)
			*p++ = '.';
		end = at + 1 + name->wire[at];
		for (at++; at < end; at++) {
			if (is_plain(name->wire[at]))
				*p++ = name->wire[at];
			else
				p += sprintf(p, "\\%03u", name->wire[at]);
		}
	}
	if (name->length == 1)
		*p++ = '.';
	*p = '\0';
	return out;
}

const char *format_dns_type(char out[16], uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} types[] = {
		{ DNS_A, "A" },	    { DNS_NS, "NS" },	    { DNS_CNAME, "CNAME" },
		{ DNS_SOA, "SOA" }, { DNS_PTR, "PTR" },	    { DNS_MX, "MX" },
		{ DNS_TXT, "TXT" }, { DNS_AAAA, "AAAA" },   { DNS_SRV, "SRV" },
		{ 35, "NAPTR" },    { 43, "DS" },	    { 48, "DNSKEY" },
		{ 64, "SVCB" },	    { DNS_HTTPS, "HTTPS" }, { 251, "IXFR" },
		{ 252, "AXFR" },    { 255, "ANY" },
	};
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return types[i].name;
	snprintf(out, 16, "type %u", type);
	return out;
}

const char *format_dns_rcode(char out[16], uint8_t rcode)
{
	static const char *const names[] = {
		"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",
	};

	if (rcode < sizeof(names) / sizeof(names[0]))
		return names[rcode];
	snprintf(out, 16, "rcode %u", rcode);
	return out;
}

unsigned int dns_name_labels(const struct dns_name *name)
{
	unsigned int count = 0, at;

	for (at = 0; at < name->length && name->wire[at]; at += 1 + name->wire[at])
		count++;
	return count;
}

void dns_name_parent(struct dns_name *parent, const struct dns_name *name, unsigned int n)
{
	unsigned int at = 0;
	struct dns_name out = { 0 };

	for (; n && at < name->length && name->wire[at]; n--)
		at += 1 + name->wire[at];
	out.length = name->length - at;
	memcpy(out.wire, name->wire + at, out.length);
	*parent = out;
}

bool dns_name_is_below(const struct dns_name *name, const struct dns_name *zone)
{
	unsigned int labels = dns_name_labels(name), zone_labels = dns_name_labels(zone);
	struct dns_name parent;

	if (!name->length || !zone->length || labels < zone_labels)
		return false;
	dns_name_parent(&parent, name, labels - zone_labels);
	return same_name(&parent, zone);
}

/* ---- reverse zones ---- */

/* Stores the number that a label of 1 to 3 digits means, in its usual form. */
static bool octet_of(const uint8_t *label, uint8_t *octet)
{
	unsigned int i, value = 0;

	if (!label[0] || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return false;
	for (i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
		value = 10 * value + label[i] - '0';
	}
	*octet = value;
	return value <= 255;
}

static bool nibble_of(const uint8_t *label, uint8_t *nibble)
{
	uint8_t digit = label[1];

	if (label[0] != 1)
		return false;
	if (digit >= '0' && digit <= '9')
		*nibble = digit - '0';
	else if (digit >= 'a' && digit <= 'f')
		*nibble = digit - 'a' + 10;
	else
		return false;
	return true;
}

/* The labels before the reverse zone are in reverse order: the first one is the last part. */
static bool octets_of(const struct dns_name *name, unsigned int count, struct address *prefix)
{
	uint8_t *bytes = (uint8_t *)&prefix->word[3];
	unsigned int at = 0, i;

	if (!count || count > 4)
		return false;
	prefix->word[2] = IP4_PREFIX;
	for (i = count; i--; at += 1 + name->wire[at])
		if (!octet_of(name->wire + at, &bytes[i]))
			return false;
	return true;
}

static bool nibbles_of(const struct dns_name *name, unsigned int count, struct address *prefix)
{
	uint8_t *bytes = (uint8_t *)prefix, nibble;
	unsigned int at = 0, i;

	if (!count || count > 32)
		return false;
	for (i = count; i--; at += 2) {
		if (!nibble_of(name->wire + at, &nibble))
			return false;
		bytes[i / 2] |= i % 2 ? nibble : nibble << 4;
	}
	return true;
}

bool dns_name_is_reverse(const struct dns_name *name, struct address *prefix, unsigned int *bits)
{
	static const struct dns_name ip4 = { 14, "\7in-addr\4arpa" }, ip6 = { 10, "\3ip6\4arpa" };
	unsigned int labels = dns_name_labels(name);

	memset(prefix, 0, sizeof(*prefix));
	if (dns_name_is_below(name, &ip4)) {
		*bits = 8 * (labels - 2);
		return octets_of(name, labels - 2, prefix);
	}
	if (dns_name_is_below(name, &ip6)) {
		*bits = 4 * (labels - 2);
		return nibbles_of(name, labels - 2, prefix);
	}
	return false;
}
