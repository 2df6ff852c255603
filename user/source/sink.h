/* SPDX-License-Identifier: GPL-2.0 */
/* The receiver of a source's output: connections, packets, and the progress of the run. */
#pragma once

#include "connection.h"
#include "dns_event.h"
#include "packet_event.h"

struct sink {
	/* All files of a capture are open, and no byte of them has been read. May be NULL. */
	void (*opened)(void *context);

	/* The run starts. The session is complete except for its duration and counters. */
	void (*started)(void *context);

	/*
	 * A packet of head->length bytes with a role in an attempt. It precedes the attempt's
	 * record. start is the source's clock at the start of the run; link is libpcap's DLT_...
	 * value. PACKET_EGRESS is valid if has_direction is true. NULL if packets are not wanted.
	 */
	void (*packet)(void *context, const struct packet_head *head, const uint8_t *bytes,
		       uint64_t start, int link, bool has_direction);

	/* An attempt has settled. Called once for each record. */
	void (*settled)(void *context, const struct connection *c);

	/* A SYN-ACK to c->client whose SYN was not seen: only endpoints, ISNs and times are set. */
	void (*synack_alone)(void *context, const struct connection *c);

	/*
	 * A DNS packet of head->length bytes, in the order of their times, before the records of
	 * connections that it precedes. start and link are those of packet().
	 */
	void (*dns)(void *context, const struct dns_head *head, const uint8_t *bytes,
		    uint64_t start, int link);

	/* DNS packets of this period may be missing. */
	void (*dns_gap)(void *context, ns_t from, ns_t until);

	/* An attempt is still opening. Called once for each such attempt in each sweep. */
	void (*opening)(void *context, const struct connection *c);

	/* A sweep is complete. Returns false to end the run. */
	bool (*swept)(void *context, ns_t now);

	/*
	 * Called after each sweep. Returns true in a copy of this process that prints an interim
	 * report: it ends as if the run ended now, and leaves maps, rings, hooks and sockets alone.
	 * May be NULL.
	 */
	bool (*is_interim)(void *context);

	/* An event of the run itself, as a sentence. */
	void (*notice)(void *context, ns_t now, const char *text);

	/* How much of a capture has been read, as text. */
	void (*progress)(void *context, const char *text);

	void *context;
};
