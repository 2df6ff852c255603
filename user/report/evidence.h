/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packets that a report can be checked by: those that decided what became of the attempts that
 * it speaks of, with the bytes from the wire.
 *
 * A source brings each such packet before its attempt's record. They are kept while it is open; when
 * it has settled, those of attempts that stalled or failed are kept to the end, the others for a
 * while longer, since a stalled client may have waited for one of them. Memory is bounded: what
 * exceeds it is counted.
 */
#pragma once

#include <stddef.h>

#include "connection.h"
#include "packet_event.h"

struct evidence;

/* Why an attempt is shown. */
enum reason {
	REASON_NONE,
	REASON_STALL,
	REASON_IDLE, /* not a byte until the end of the run */
	REASON_LATE_BANNER,
	REASON_FAILED,
	REASON_WAITED_FOR, /* answered just before a stall of the same client ended */
};

struct kept_attempt;

struct kept_packet {
	const struct kept_attempt *attempt;
	struct kept_packet *next;
	ns_t time; /* since the start of the run */
	uint32_t ifindex;
	int link; /* of the bytes: libpcap's DLT_... */
	uint32_t length;
	uint32_t wire_length;
	uint8_t roles; /* enum role */
	bool has_direction;
	bool egress;
	uint8_t bytes[];
};

/* A client's silence between its handshake and its first byte. */
struct silence {
	struct endpoint client;
	struct endpoint server;
	ns_t begin;
	ns_t end;
};

struct kept_attempt {
	struct connection connection;
	enum reason reason;
	struct silence ended; /* with REASON_WAITED_FOR: the one that its answer ended */
};

/* stall_ns as for the model; snap bytes of each packet, 0 for its headers. NULL: out of memory. */
struct evidence *evidence_new(ns_t stall_ns, uint32_t snaplen);
void evidence_free(struct evidence *e);

/*
 * A packet of head->length bytes; start is the source's clock at the start of the run. has_direction:
 * PACKET_EGRESS says something.
 */
void evidence_packet(struct evidence *e, const struct packet_head *head, const uint8_t *bytes,
		     uint64_t start, int link, bool has_direction);

void evidence_settled(struct evidence *e, const struct connection *c);

/* Another record of an attempt that was told of before, seen on another side of this gateway. */
void evidence_other_side(struct evidence *e, const struct connection *side,
			 const struct connection *told);

/* Time has passed; to be called now and then. */
void evidence_swept(struct evidence *e, ns_t now);

/*
 * At the end: all packets of what matters, in the order of time. The array is the caller's, the
 * packets are the evidence's. NULL when out of memory.
 */
const struct kept_packet **evidence_packets(struct evidence *e, size_t *count);

/* Attempts whose packets were given up for lack of room. */
uint64_t evidence_lost(const struct evidence *e);
