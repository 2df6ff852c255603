/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connection attempt: client and server, outcome, and how long each side waited. All modules
 * after the source use it.
 *
 * Points in time are nanoseconds since the start of the run (of the capture); durations are in
 * nanoseconds. NEVER means "not seen" for both. Times in a capture whose clock went backwards may
 * be negative.
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

/* The VLAN tags belong to an endpoint: an address is unique only within its VLANs. */
struct endpoint {
	struct address address;
	uint16_t port;
	uint16_t vlan[2];
	/*
	 * 0 but for a resolver's answers about one zone: the number of the zone, see
	 * diagnose/zones.h. There is no padding, since endpoints are compared by memcmp().
	 */
	uint16_t zone;
};

static inline bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* An address on the client side. */
struct client_key {
	struct address address;
	uint16_t vlan[2];
};

static inline struct client_key client_key_of(const struct endpoint *e)
{
	return (struct client_key){ .address = e->address, .vlan = { e->vlan[0], e->vlan[1] } };
}

/* Compares endpoints without their VLANs, which differ between the sides of a gateway. */
static inline bool same_address_and_port(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && !memcmp(&a->address, &b->address, sizeof(a->address));
}

enum side { SIDE_NONE, SIDE_CLIENT, SIDE_SERVER, SIDES };

/* The first segment with payload from a side. */
struct payload {
	uint16_t mss; /* MSS option in the other side's SYN; 0 if not seen */
	uint16_t size; /* bytes; 0 if no payload was seen */
	unsigned int again; /* number of retransmissions */
	bool acked;
	bool has_first_byte; /* first_byte was captured */
	uint8_t first_byte;
	/* level of a TLS alert (RFC 8446 6) if first_byte is TLS_ALERT: 2 is fatal; else 0 */
	uint8_t alert_level;
};

/* Properties of the first SYN that differ between systems and between paths. */
struct syn_traits {
	uint8_t ttl; /* or hop limit, as it arrived here */
	uint8_t scale; /* window scale (RFC 7323 2); 0xff if absent */
	uint16_t window;
	uint16_t mss; /* RFC 9293 3.7.1; 0 if absent */
	uint32_t option_order; /* see SYN_OPTIONS in bpf/record.h */
	bool ecn; /* asks for ECN (RFC 3168 6.1.1) */
	bool mptcp; /* RFC 8684 3.1 */
	bool fast_open; /* RFC 7413 4.1 */
	bool has_timestamp; /* RFC 7323 3 */
	uint32_t tsval;
};

/*
 * The same attempt as seen on another interface of this gateway, where NAT may have changed
 * addresses and ports.
 */
struct far_side {
	bool seen;
	uint32_t ifindex;
	struct endpoint client;
	struct endpoint server;
	ns_t syn;
	uint32_t syn_count;
	uint32_t syn_copies;
	ns_t synack;
	ns_t client_first;
};

struct connection {
	uint64_t connect; /* number of the connect that this attempt belongs to, from 1 */
	unsigned int attempts; /* attempts joined to this connect, see model/connects.h */
	unsigned int refusals; /* such attempts before the last one that were refused by an RST */
	struct endpoint client;
	struct endpoint server;
	/*
	 * the name whose lookup the client had waited for, see model/names.h; 0 if it had not, or
	 * if its question was not seen
	 */
	uint32_t name;
	ns_t name_asked; /* the first question of that episode; else NEVER */
	/* the client's endpoint on the wire, if this host's NAT replaced it; else port is 0 */
	struct endpoint nat_endpoint;
	uint32_t ifindex;
	uint32_t client_isn;
	uint32_t server_isn; /* valid if there was a SYN-ACK */
	bool syn_egress; /* the first SYN left this host */
	bool synack_egress; /* the first SYN-ACK left this host */
	/*
	 * all its SYNs came before the last hook was attached, or after the first was detached: the
	 * other side, or the answer, may have passed unseen
	 */
	bool during_attach;
	/* the SYN's destination MAC is another machine's: a mirror port, or flooding by a switch */
	bool other_host;
	bool offloaded; /* a flowtable carries the flow: later packets may not be seen */
	bool not_forwarded; /* the SYN came in, but did not leave on any other watched interface */
	bool from_outside; /* the client is outside, and the server is an address of this host */
	/* another server answered the SYN, at the same port */
	bool elsewhere;
	struct endpoint answered_by;
	/* index of the interface on which a SYN left this gateway; 0 if none left */
	uint32_t forwarded_by;
	struct far_side far; /* filled in by model/join.h */
	bool has_mac;
	uint8_t mac[6]; /* MAC address of the client */

	enum outcome outcome;
	enum end_reason end_reason;
	ns_t settled; /* when the attempt settled; while it is opening, the time of the sweep */
	ns_t watched; /* time from the first SYN to settled */

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
	unsigned int synack_after_ack; /* SYN-ACKs retransmitted although the ACK had passed */
	ns_t client_first; /* time of the client's first payload */
	ns_t server_first;
	/* observed until the payload of both sides was acknowledged */
	struct payload client_payload;
	struct payload server_payload;
	/* bytes of the client's first flight, before the server's first payload; at most 65535 */
	uint16_t client_flight;
	unsigned int client_segments; /* its segments with payload, at most ONE_SIDED_SEGMENTS */
	/* a side acknowledged payload of the other side that was not seen here */
	bool client_acks_unseen;
	bool server_acks_unseen;
	struct syn_traits syn_traits;
	uint16_t synack_window;
	uint8_t synack_ttl;
	bool synack_from_gateway; /* this host sent the SYN-ACK */
	bool has_tsecr;
	uint32_t synack_tsecr; /* TSecr of the SYN-ACK (RFC 7323 3) */
	/* an RST or SYN-ACK in answer to the SYN that the client must ignore (RFC 9293 3.10.7.3) */
	bool ignored_rst;
	bool ignored_synack;
	uint8_t rst_ttl; /* of the RST, or of the ignored RST */
	/* bytes that the RST acknowledges, counting the SYN; RST_ACKS_NOTHING without an ACK */
	uint16_t rst_acked;
	bool client_gap; /* data before the client's first payload was not seen */
	bool challenged; /* the reply to the SYN was a challenge ACK (RFC 5961 4.2) */
	/* the client continued as after a SYN-ACK, but none was seen: asymmetric path */
	bool no_synack;
	ns_t fin;
	enum side fin_from;
	ns_t rst;
	enum side rst_from;
	ns_t icmp;
	uint8_t icmp_type;
	uint8_t icmp_code;
	bool icmp_hard;
	struct address icmp_from;
	bool too_big; /* an ICMP error reported that a segment exceeds the path MTU */
	bool from_gateway; /* this host sent the RST or ICMP error */

	/* from the handshake to the client's first payload; NEVER if the server sends first */
	ns_t wait;
	/* from the handshake to the server's first payload; NEVER if the client sends first */
	ns_t banner;
	ns_t answer; /* from the client's first payload to the server's */
	/*
	 * NEVER if the SYN was retransmitted: the SYN-ACK is ambiguous; or if this gateway made the
	 * SYN-ACK
	 */
	ns_t server_round_trip;
	ns_t client_round_trip; /* NEVER if the SYN-ACK was retransmitted */
	/* time inside this gateway; NEVER if only one of its sides was seen */
	ns_t syn_forwarding_delay;
	ns_t synack_forwarding_delay;
	ns_t payload_forwarding_delay; /* of the client's first payload */
};

/* Fills in *c from a record. start is the source's clock at the start of the run, in ns. */
void connection_of(struct connection *c, const struct record *r, uint64_t start);

/* Returns true if the segment is nearly as large as the MSS allows. */
bool payload_is_full(const struct payload *p);

/*
 * Returns true if the segment is full, was retransmitted at least twice, and was never
 * acknowledged.
 */
bool payload_is_black_holed(const struct payload *p);

/*
 * Number of copies of each SYN from which it goes round in a loop. Bridges, VLANs and both sides of
 * a gateway show a packet a few times, a loop until its TTL has expired.
 */
#define LOOP_COPIES 8

/* Returns how often each SYN passed one side of this gateway again, although it was sent once. */
unsigned int connection_syn_copies(const struct connection *c);

/*
 * Returns true if the connect was answered only after its SYN had been sent again. A refusal is an
 * answer as well.
 */
bool connection_answered_late(const struct connection *c);

/*
 * Return true if a packet of the opening was lost on that side of this gateway. Loss towards the
 * client shows as a gap before the first payload, or as a SYN or SYN-ACK that is retransmitted after
 * its answer has passed. Loss behind this gateway shows as a SYN that is retransmitted before any
 * answer passed, unless the answer was a challenge ACK.
 */
bool connection_lost_near(const struct connection *c);
bool connection_lost_far(const struct connection *c);

/*
 * Returns the side that sent the first FIN or RST, and stores its time in *when (may be NULL). Returns
 * SIDE_NONE if there was none.
 */
enum side connection_end(const struct connection *c, ns_t *when);

/*
 * Returns true if the server spoke first, and that was a greeting: not a TLS alert, by which it ends
 * a connection, and not sent after the client had closed.
 */
bool connection_is_greeted(const struct connection *c);

/* Returns the time since the handshake if neither side has sent payload since, else NEVER. */
ns_t connection_silence(const struct connection *c);

/* How an attempt failed, and how certain that is. */
enum failure {
	FAILURE_NONE,
	FAILURE_TOO_EARLY, /* watched for less than SILENT_NS, or not from the start */
	FAILURE_ONE_SYN, /* the client gave up after one SYN */
	FAILURE_SILENT, /* at least two SYNs, and watched for SILENT_NS or longer */
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

/*
 * Returns true for 10/8, 172.16/12, 192.168/16 (RFC 1918), 100.64/10 (RFC 6598) and fc00::/7 (RFC
 * 4193).
 */
bool is_private(const struct address *a);

/* Returns an ICMP error in words, such as "host unreachable", or NULL for other types and codes. */
const char *icmp_words(bool ip4, uint8_t type, uint8_t code);
