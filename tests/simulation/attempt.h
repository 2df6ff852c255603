/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Computes the record that connection_of() would make of an attempt with these events on the wire.
 * The observation lasts from the start to the end of the run. The rules of settling are those of
 * track.h.
 */
#pragma once

#include "connection.h"

#define WIRE_SYNS 16
/* The order of the first five options of a SYN, as in struct syn_traits. */
#define OPTIONS(a, b, c, d, e)                                                           \
	(SYN_OPTION_##a | SYN_OPTION_##b << SYN_OPTION_BITS |                            \
	 SYN_OPTION_##c << 2 * SYN_OPTION_BITS | SYN_OPTION_##d << 3 * SYN_OPTION_BITS | \
	 SYN_OPTION_##e << 4 * SYN_OPTION_BITS)

#define STALL_NS ((ns_t)SECOND_NS) /* --stall of these runs */

/* All events of an attempt, also after it has settled or the run has ended. */
struct wire {
	struct endpoint client;
	struct endpoint server;
	bool has_mac;
	uint8_t mac[6];
	ns_t round_trip; /* between the gateway and the client */

	ns_t syns[WIRE_SYNS];
	unsigned int syn_count;
	ns_t synack;
	ns_t synack_again; /* the repeated SYN-ACK, before the ACK */
	ns_t ack;
	ns_t client_first;
	ns_t server_first;
	unsigned int client_size;
	unsigned int server_size;
	unsigned int client_retransmits; /* the client's first payload repeated, before the answer */
	ns_t client_fin;
	ns_t server_fin;
	bool request_acked; /* although it is not answered */
	unsigned int request_segments; /* of an upload that nobody answers; else 0 */
	unsigned int synack_after_ack; /* the SYN-ACK repeated: the ACK did not reach the server */
	ns_t reset; /* an RST after the SYN-ACK */
	enum side reset_by;
	ns_t refused; /* the server's RST in answer to the SYN */
	ns_t icmp; /* quotes the SYN */
	struct address icmp_from;
	struct syn_traits syn_traits;
	uint8_t synack_ttl;
	uint16_t synack_window;
};

/*
 * How an opening really went by the end of the run. wire_fate() decides it from the events on the
 * wire alone, and does not use the record or the ledger.
 */
enum fate {
	FATE_PROMPT, /* served, and nobody took as long as a stall */
	FATE_HELD, /* served; only the client took as long as a stall, which may be idleness */
	FATE_LATE, /* served; the server or the path took as long as a stall */
	FATE_OPEN, /* connected, and not served */
	FATE_HALF_OPEN, /* a SYN-ACK, and no ACK yet */
	FATE_SILENT,
	FATE_REFUSED,
	FATE_UNREACHABLE,
	FATES,
};

enum fate wire_fate(const struct wire *w, ns_t end);

/* Sets all fields to zero, without any event. SYN and SYN-ACK are those of Linux. */
void wire_init(struct wire *w);

/* Returns false if the attempt began after the end. */
bool wire_settle(struct connection *c, const struct wire *w, ns_t end);

/* Returns the end of the time in which the client may be in connect(), according to its SYNs. */
ns_t wire_gap_bound(const struct wire *w);
