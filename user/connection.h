/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does a record mean? One connection attempt in the terms of the field: who is the client,
 * what came of it, how long who waited. Everything behind the sources works on these alone.
 *
 * Moments are nanoseconds since the start of the run (of the capture), durations nanoseconds; NEVER
 * stands for both when not seen. Moments of a capture whose clock went backwards may be negative.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "record.h"

typedef int64_t ns_t;

#define NEVER INT64_MIN

enum outcome {
	OUTCOME_ESTABLISHED,
	OUTCOME_REFUSED,
	OUTCOME_UNREACHABLE,
	OUTCOME_UNANSWERED,
	OUTCOME_HALF_OPEN,
	OUTCOMES,
};

/* An address is only unique within its VLANs. */
struct endpoint {
	struct address address;
	uint16_t port;
	uint16_t vlan[2];
	uint16_t zero; /* no padding: endpoints are compared by bytes */
};

static inline bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return !memcmp(a, b, sizeof(*a));
}

enum side { SIDE_NONE, SIDE_CLIENT, SIDE_SERVER };

/* A side's first payload. */
struct payload {
	uint16_t mss; /* the most that it may send at once, as the other side's SYN said; 0: not said */
	uint16_t size; /* bytes; 0: none was seen */
	unsigned int again; /* how often it was sent again */
	bool acked;
};

/* The same attempt as it was seen on another side of this gateway, behind NAT if there is one. */
struct far_side {
	bool seen;
	uint32_t ifindex;
	struct endpoint client;
	struct endpoint server;
	ns_t syn;
	ns_t synack;
	ns_t client_first;
};

struct connection {
	struct endpoint client;
	struct endpoint server;
	struct endpoint
		nat_endpoint; /* what it looks like on the wire, where this host's NAT puts its own
				   address in place of the client's; port 0: like the client */
	uint32_t ifindex;
	uint32_t client_isn;
	uint32_t server_isn; /* when there was a SYN-ACK */
	bool syn_egress; /* the first SYN was seen leaving this host */
	bool synack_egress; /* the first SYN-ACK was */
	bool other_host; /* the SYN was addressed to another machine on the link: a mirror port, a flood */
	bool offloaded; /* a flowtable has taken it over: what passes may not be seen */
	bool not_forwarded; /* the SYN came in, and left by none of the other interfaces that are watched */
	uint32_t forwarded_by; /* ifindex: a SYN was seen leaving this gateway there; 0: nowhere */
	struct far_side far; /* filled in by vantage.h */
	bool has_mac;
	uint8_t mac[6]; /* the client's */

	enum outcome outcome;
	enum end_reason end_reason;
	ns_t settled; /* when it did, or when it was looked at while opening */
	ns_t watched; /* since the first SYN */

	ns_t syn_times[SYN_TIMES];
	unsigned int syn_times_count;
	ns_t syn;
	ns_t syn_last;
	uint32_t syn_count;
	uint32_t syn_copies;
	ns_t synack;
	uint32_t synack_count;
	uint32_t synack_copies;
	ns_t ack;
	unsigned int synack_after_ack; /* SYN-ACKs sent again although the ACK had passed */
	ns_t client_first;
	ns_t server_first;
	struct payload client_payload; /* what was seen until both sides' had been acknowledged */
	struct payload server_payload;
	bool client_gap; /* the client's first payload began too far on: what came before was lost */
	bool challenged; /* the SYN was answered by a bare ACK (RFC 5961 4.2) */
	bool no_synack; /* the client spoke as if answered, no SYN-ACK was seen: it passes elsewhere */
	ns_t fin;
	enum side fin_from;
	ns_t rst;
	enum side rst_from;
	ns_t icmp;
	uint8_t icmp_type;
	uint8_t icmp_code;
	bool icmp_hard;
	struct address icmp_from;
	bool too_big; /* an ICMP error said that a segment of the opening was too big to go on */
	bool from_gateway; /* the RST or ICMP error was made by the host that we run on */

	ns_t wait; /* the client held its request; NEVER where the server speaks first */
	ns_t banner; /* the server held its greeting; NEVER where the client speaks first */
	ns_t answer; /* the server held its answer */
	ns_t server_round_trip; /* NEVER when the SYN was repeated: which one was answered? */
	ns_t client_round_trip;
	ns_t syn_forwarding_delay; /* what this gateway took for the SYN; NEVER when only one side was seen */
	ns_t synack_forwarding_delay;
	ns_t payload_forwarding_delay; /* for the client's first payload */
};

/* start: the source's clock at the start of the run. */
void connection_of(struct connection *c, const struct record *r, uint64_t start);

/* As large as the MSS lets it be, nearly. */
bool payload_is_full(const struct payload *p);

/* A full segment that was sent again and again, and never acknowledged. */
bool payload_is_black_holed(const struct payload *p);

/* Handshake done and not a byte since: it may be held, or a spare socket. Time so far, or NEVER. */
ns_t connection_silence(const struct connection *c);

/* What an attempt that came to nothing says of its peer. */
enum failure {
	FAILURE_NONE,
	FAILURE_TOO_EARLY, /* watched for too short a time to say */
	FAILURE_ONE_SYN, /* the client gave up after one SYN */
	FAILURE_SILENT, /* two SYNs or more, 3 s or more */
	FAILURE_REFUSED,
	FAILURE_UNREACHABLE,
	FAILURES,
};

#define SILENT_NS (3 * (ns_t)SECOND_NS)

enum failure connection_failure(const struct connection *c);

extern const char *const outcome_names[OUTCOMES];
extern const char *const end_reason_names[END_REASONS];
extern const char *const side_names[];

bool is_ip4(const struct address *a);

/* 10/8, 172.16/12, 192.168/16, 100.64/10 (RFC 1918, RFC 6598), fc00::/7 (RFC 4193). */
bool is_private(const struct address *a);

/* "host unreachable" and the like; NULL for a code that has no words. */
const char *icmp_words(bool ip4, uint8_t type, uint8_t code);
