/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names: which questions were asked of DNS, what came of them, and which connections waited for
 * them.
 *
 * A lookup is a question of one client for one name and type, over all its tries: clients repeat a
 * question from another port, with another id, and to another server. An answer belongs to a try
 * only if client, server, both ports, id and question are equal; any other answer is counted and
 * changes nothing (RFC 5452 9.1).
 *
 * Lookups of one client that belong together are an episode: A, AAAA and HTTPS of one name, and the
 * names that a search list makes of one. A connection waited for an episode if its SYN goes to an
 * address of an answer, right after the episode ended, or when the client may have given up a
 * question without an answer. Then its wait is the time from the first question to the SYN. Without
 * a SYN there is no wait.
 *
 *	0.000	A?    AAAA?	both to 10.0.0.53, which is silent
 *	5.005	A?    AAAA?	both to 10.0.0.54: second try of two lookups, one episode
 *	5.006	A     AAAA	the lookups end
 *	5.007	SYN		to the address of A: the wait is 5.007 s
 *
 * Memory is bounded by the MAX_ constants. What is dropped is counted.
 */
#pragma once

#include "dns_packet.h"

#define MAX_LOOKUPS (1 << 16) /* kept lookups, open or ended, the oldest go first */
#define MAX_NAMES (1 << 16) /* different names */
/* Pairs of a client, its MAC address or any client, and an address whose name is known. */
#define MAX_NAMED_ADDRESSES (1 << 16)
#define MAX_TRIES 8 /* tries of a lookup that are kept; the counts include all */
#define MAX_LOOKUP_ADDRESSES 8
#define MAX_DNS_GAPS 256

/* A SYN to an answered address belongs to the answer if it comes within this time. */
#define NAME_TO_SYN_NS (100 * (ns_t)MILLISECOND_NS)

/* Minimum time that a lookup without an answer is followed before it is silent. */
#define LOOKUP_SILENT_NS (3 * (ns_t)SECOND_NS)

enum lookup_result {
	LOOKUP_OPEN, /* not answered yet; at the end of the run: too early to say */
	LOOKUP_ANSWERED, /* with records */
	LOOKUP_EMPTY, /* NOERROR without a record of the answer section (RFC 2308 2.2) */
	LOOKUP_NXDOMAIN,
	LOOKUP_FAILED, /* SERVFAIL, REFUSED or another error was the last answer */
	LOOKUP_TRUNCATED, /* the last answer had TC, and no whole one came by TCP */
	LOOKUP_UNREACHABLE, /* all tries ended with an ICMP error */
	LOOKUP_SILENT, /* no try was answered */
	LOOKUP_RESULTS,
};

enum try_result {
	TRY_OPEN, /* no answer was seen */
	TRY_ANSWERED, /* NOERROR or NXDOMAIN, not truncated */
	TRY_FAILED, /* another rcode */
	TRY_TRUNCATED,
	TRY_FRAGMENT, /* the first fragment of an answer was seen, which is no answer yet */
	TRY_ERROR, /* an ICMP error */
};

/* One question on the wire. */
struct dns_try {
	ns_t time;
	ns_t answered; /* of the first answer or error; or NEVER */
	struct address server;
	uint16_t server_port;
	uint16_t client_port;
	uint16_t id;
	uint16_t edns_size; /* 0 without EDNS */
	uint8_t result; /* enum try_result */
	uint8_t rcode;
	uint8_t icmp_type, icmp_code;
	bool over_tcp;
	bool left; /* seen leaving this gateway on another watched interface */
	uint32_t answer_size; /* bytes; 0 without an answer */
};

struct lookup {
	struct client_key client;
	uint32_t name; /* number of the name, see names_name(); 0 if it was cut off */
	uint16_t type;
	bool from_gateway; /* this host asked */
	bool to_gateway; /* the first server is an address of this host: its own resolver */
	uint32_t ifindex;
	unsigned int try_count; /* all tries */
	struct dns_try tries[MAX_TRIES]; /* the first ones */
	struct dns_try last; /* the last one */
	ns_t first; /* time of the first try */
	ns_t end; /* of the answer that ended it; NEVER if nothing did */
	uint8_t result; /* enum lookup_result */
	uint8_t rcode; /* of the last answer */
	struct address answered_by; /* the server of the try that was answered */
	unsigned int failures; /* answers with an error */
	/* ICMP errors of the client: fragments of an answer are missing (RFC 792, code 1 of type 11) */
	unsigned int incomplete;
	/* questions or answers may have been lost here meanwhile: silence proves nothing */
	bool in_gap;
	struct address addresses[MAX_LOOKUP_ADDRESSES]; /* of the answer */
	unsigned int address_count;
	/*
	 * The episode: all lookups with the same number belong together. Numbers are from 1 and
	 * grow with time.
	 */
	uint64_t episode;
	ns_t episode_first; /* time of the first question of the episode, over the search list */
	/* the first SYN that waited for the episode, if this lookup answered its address; or NEVER */
	ns_t syn;
};

/* What may have been lost, or was not looked at. In packets. */
struct dns_totals {
	uint64_t questions, answers; /* read */
	uint64_t copies; /* of a packet that was seen before, on another interface or VLAN */
	uint64_t unmatched; /* answers that belong to no question seen: late, spoofed, or ours lost */
	uint64_t malformed;
	uint64_t not_dns; /* on a port of DNS */
	uint64_t names_cut; /* questions and answers whose name was not captured: snap length */
	uint64_t by_tcp;
	uint64_t icmp_errors;
	uint64_t dropped_lookups; /* forgotten, or without memory */
};

/* A period in which DNS packets may have been lost on their way here. */
struct dns_gap {
	ns_t from, until;
};

struct names;

struct names *names_new(void); /* NULL when out of memory */
void names_free(struct names *n);

/* to_own: the server is an address of this host. Packets come in the order of their time. */
void names_packet(struct names *n, const struct dns_packet *p, bool to_own);

/* DNS packets of this period may be missing. */
void names_gap(struct names *n, ns_t from, ns_t until);

/* Ends the lookups that are not going to be answered any more. Call it after each sweep. */
void names_swept(struct names *n, ns_t now);

/* Call it at the end of the run. */
void names_end(struct names *n, ns_t now);

/*
 * Sets c->name and c->name_asked if the client of this connection had waited for a name. Call it
 * once for each connect, before the ledger.
 */
void names_connect(struct names *n, struct connection *c);

/* Called for each attempt that is still opening: its SYN may end an episode long before it settles. */
void names_opening(struct names *n, const struct connection *c);

/* ---- queries ---- */

const struct dns_totals *names_totals(const struct names *n);

/* The kept lookups in the order of their first try. The pointers are valid until the next packet. */
size_t names_lookup_count(const struct names *n);
const struct lookup *names_lookup(const struct names *n, size_t i);

/* Returns the number of tries that are kept, and the try with an index below that. */
unsigned int lookup_tries(const struct lookup *l);
const struct dns_try *lookup_try(const struct lookup *l, unsigned int i);

/* Returns true if records or a denial ended the lookup: NOERROR or NXDOMAIN. */
bool lookup_is_answered(const struct lookup *l);

/* Returns the name with this number, or an empty name for 0. */
const struct dns_name *names_name(const struct names *n, uint32_t number);

/*
 * Returns the number of the name by which this client knows the address, the latest one; 0 if no
 * answer named it. Stores in *others how many other names it had for it. With client NULL, as any
 * client knows it.
 */
uint32_t names_of_address(const struct names *n, const struct client_key *client,
			  const struct address *a, unsigned int *others);

size_t names_gaps(const struct names *n, const struct dns_gap **gaps);

extern const char *const lookup_result_names[LOOKUP_RESULTS]; /* stable words for JSON */
