/* SPDX-License-Identifier: GPL-2.0 */
/* The receiver of all that a source produces: connections, packets, and the progress of the run. */
#pragma once

#include "connection.h"
#include "packet_event.h"

struct sink {
	/* A capture's files are open, and no byte of them has been read. May be NULL. */
	void (*opened)(void *context);

	/* The run begins: the session is complete except for its duration and counters. */
	void (*started)(void *context);

	/*
	 * A packet of head->length bytes that decides about an attempt; it precedes the attempt's record.
	 * start is the source's clock at the start of the run, link is libpcap's DLT_..., and
	 * has_direction says that PACKET_EGRESS is valid. NULL: packets are not wanted.
	 */
	void (*packet)(void *context, const struct packet_head *head, const uint8_t *bytes,
		       uint64_t start, int link, bool has_direction);

	/* An attempt has settled: each record once. */
	void (*settled)(void *context, const struct connection *c);

	/* An attempt that is still opening: each of them at each sweep. */
	void (*opening)(void *context, const struct connection *c);

	/* A sweep is complete. Returns false to end the run. */
	bool (*swept)(void *context, ns_t now);

	/* An event of the run itself, in words. */
	void (*notice)(void *context, ns_t now, const char *text);

	/* How far a capture has been read, in words. */
	void (*progress)(void *context, const char *text);

	void *context;
};
