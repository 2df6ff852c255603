/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads a DNS message (RFC 1035 4): the question, and the addresses of the answer. The bytes come
 * from the network and may be cut. No input makes it read beyond them or work without a bound.
 *
 * The class of the question is not looked at, since other classes than IN are practically unused.
 * Records of other classes are no part of the answer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record.h"

#define MAX_DNS_NAME 255 /* bytes on the wire, the root label included (RFC 1035 2.3.4) */
#define MAX_DNS_ADDRESSES 24 /* addresses of an answer that are read */

/* Room for a name as text: each byte may become \ddd. */
#define FORMAT_DNS_NAME (4 * MAX_DNS_NAME + 1)

/*
 * A name in wire format without compression: each label behind its length, then the root label.
 * Letters are lower case, since names are compared without case (RFC 4343). Bytes after length are
 * 0, so names can be compared by memcmp().
 */
struct dns_name {
	uint8_t length; /* bytes, the root label included; 0 if there is no name */
	uint8_t wire[MAX_DNS_NAME];
};

/* Types of questions that the program distinguishes (RFC 1035, 3596, 2782, 9460). */
enum {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_HTTPS = 65,
};

enum { DNS_NOERROR = 0, DNS_FORMERR = 1, DNS_SERVFAIL = 2, DNS_NXDOMAIN = 3, DNS_REFUSED = 5 };

struct dns_address {
	struct address address;
	uint32_t ttl; /* s; of the record with the shortest time on the way from the name */
};

struct dns_message {
	bool has_id; /* false if the message was cut before it */
	uint16_t id;
	bool is_answer; /* QR */
	bool truncated; /* TC: the client asks again by TCP */
	uint8_t rcode; /* of the header; enum above and RFC 6895 2.3 */
	uint16_t answers; /* records of the answer section, by the header */
	struct dns_name name; /* of the question; length 0 if it was cut off */
	uint16_t type; /* of the question; 0 if it was cut off */
	bool has_edns; /* an OPT record was read (RFC 6891) */
	uint16_t edns_size; /* payload size of the OPT record; 0 without */
	/*
	 * A and AAAA records of the answer section, of the question's name or of a name to which
	 * earlier CNAME records lead from it. None if a record is malformed, since clients then
	 * take none.
	 */
	struct dns_address addresses[MAX_DNS_ADDRESSES];
	size_t address_count;
	/* the message goes on behind what was read: cut, too many addresses, or malformed records */
	bool more;
};

enum dns_status {
	DNS_READ, /* the header and the question were read; records may be cut or malformed */
	/*
	 * The question is not within the captured bytes, and perhaps not the whole header; or it is
	 * an answer with an error that repeats no question, as old servers give to EDNS.
	 */
	DNS_NAME_CUT,
	DNS_MALFORMED, /* a header of DNS, but no question follows */
	/* no DNS: fewer than 12 bytes on the wire, another opcode, or not one question */
	DNS_IS_OTHER,
};

/*
 * Reads the message at bytes, of which length bytes were captured; wire_length is its length on the
 * wire. Fills in *m as far as the status says; what was not read is 0.
 */
enum dns_status dns_message_read(struct dns_message *m, const uint8_t *bytes, size_t length,
				 size_t wire_length);

/*
 * Formats a name as text without the dot at its end; the root is ".". Bytes other than letters,
 * digits, '-' and '_' become \ddd (RFC 4343 2.1). Internationalised names stay as they are
 * ("xn--...").
 */
char *format_dns_name(char out[FORMAT_DNS_NAME], const struct dns_name *name);

/* Returns the name of a type, such as "AAAA", or "type 65283" in the buffer. */
const char *format_dns_type(char out[16], uint16_t type);

/* Returns the mnemonic of a response code, such as "SERVFAIL", or "rcode 17" in the buffer. */
const char *format_dns_rcode(char out[16], uint8_t rcode);

/* Returns the number of labels, without the root. */
unsigned int dns_name_labels(const struct dns_name *name);

/* Stores the name without its first n labels; the root if it has no more. */
void dns_name_parent(struct dns_name *parent, const struct dns_name *name, unsigned int n);

/* Returns true if the name is the zone or lies below it. */
bool dns_name_is_below(const struct dns_name *name, const struct dns_name *zone);

/*
 * Stores the prefix that a name of the reverse zones means (in-addr.arpa, ip6.arpa; RFC 1035 3.5,
 * 3596 2.5) and its length in bits, as for struct address. Returns false for other names.
 */
bool dns_name_is_reverse(const struct dns_name *name, struct address *prefix, unsigned int *bits);
