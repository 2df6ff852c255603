/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keeps the packets that decided the outcome of an attempt, as captured, so that a reader can
 * verify the report.
 *
 * A source delivers such a packet before its attempt's record. Packets are kept while the attempt
 * is open. Once it has settled, the packets of a stalled, late or failed attempt are kept to the
 * end of the run. All others are kept for another minute, since a stalled client may have waited
 * for one of these attempts. Memory is bounded, and attempts that exceed it are counted.
 *
 * The latest DNS packets are kept as well, if the snap length allows payload: a DNS packet without
 * its payload says nothing. At the end, those of lookups that a finding explains are used.
 */
#pragma once

#include <stddef.h>

#include "model/names.h"
#include "packet_event.h"

struct evidence;

/* Why the packets of an attempt are kept. */
enum reason {
	REASON_NONE,
	REASON_STALL,
	REASON_IDLE, /* there was no payload until the end of the run */
	REASON_LATE_BANNER,
	REASON_FAILED,
	REASON_LATE, /* the SYN-ACK or the answer took as long as a stall */
	REASON_WAITED_FOR, /* its answer came just before a stall of the same client ended */
};

struct kept_attempt;

/* The place of a DNS packet in a lookup that a finding explains. */
struct dns_role {
	size_t finding; /* number of the finding, from 1 */
	unsigned int number; /* of the question, from 1 */
	unsigned int count; /* of questions */
	ns_t first; /* time of the first question */
	ns_t answered; /* of this question: when the answer or error came; or NEVER */
	enum try_result result; /* of this question */
	bool is_answer;
	bool is_error; /* an ICMP error */
};

struct kept_packet {
	const struct kept_attempt *attempt; /* NULL if it is a DNS packet */
	struct dns_role dns;
	struct kept_packet *next;
	ns_t time; /* since the start of the run */
	uint32_t ifindex;
	int link; /* DLT_ value of libpcap */
	uint32_t length;
	uint32_t wire_length;
	uint8_t roles; /* enum role */
	bool has_direction;
	bool egress;
	uint8_t bytes[];
};

/* A client's silence between its handshake and its first payload byte. */
struct silence {
	struct endpoint client;
	struct endpoint server;
	ns_t begin;
	ns_t end;
};

struct kept_attempt {
	struct connection connection;
	enum reason reason;
	struct silence ended; /* for REASON_WAITED_FOR: the silence that its answer ended */
};

/*
 * stall_ns is the minimum length of a stall, as for the model. snaplen is the number of bytes kept
 * of each packet; 0 keeps its headers. Returns NULL if out of memory.
 */
struct evidence *evidence_new(ns_t stall_ns, uint32_t snaplen);
void evidence_free(struct evidence *e);

/*
 * Adds a packet of head->length bytes. start is the source's clock at the start of the run.
 * has_direction: PACKET_EGRESS in head->flags is valid.
 */
void evidence_packet(struct evidence *e, const struct packet_head *head, const uint8_t *bytes,
		     uint64_t start, int link, bool has_direction);

/* Adds a DNS packet: the frame, and what was read from it. */
void evidence_dns(struct evidence *e, const struct dns_head *head, const uint8_t *bytes,
		  const struct dns_packet *p, int link, bool has_direction);

/* Keeps the packets of a lookup that this finding explains. Call it at the end of the run. */
void evidence_lookup(struct evidence *e, const struct lookup *l, size_t finding);

/* Keeps, holds or drops the packets of an attempt that has settled. */
void evidence_settled(struct evidence *e, const struct connection *c);

/* Adds another interface's record of an attempt that was reported as `reported`. */
void evidence_other_side(struct evidence *e, const struct connection *side,
			 const struct connection *reported);

/*
 * Drops or keeps the packets of attempts that settled a minute ago. Call it several times a second.
 */
void evidence_swept(struct evidence *e, ns_t now);

/*
 * Returns all kept packets in the order of time. Call it at the end of the run. The caller frees
 * the array; the packets belong to the evidence. Returns NULL if out of memory.
 */
const struct kept_packet **evidence_packets(struct evidence *e, size_t *count);

/* Returns the number of attempts and lookups whose packets were dropped for lack of memory. */
uint64_t evidence_lost(const struct evidence *e);
