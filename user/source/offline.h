/* SPDX-License-Identifier: GPL-2.0 */
/*
 * parse and track in this process, for captures and tests: the twin of bpf/probe.bpf.c around the
 * same bpf/watch.h, with a table in memory in place of the maps.
 *
 * Times are the caller's nanoseconds. Records are handed to the callback, which must copy what it
 * keeps. Not for threads.
 */
#pragma once

#include <stdint.h>

#include "packet_event.h"
#include "record.h"

struct offline;
struct selector;

extern const struct hash_seed offline_seed;

typedef void (*record_fn)(void *context, const struct record *r);

/* A frame as it came: link says what its first byte is, ethertype is used with LINK_RAW_IP alone. */
struct offline_frame {
	const uint8_t *bytes;
	uint32_t length;
	uint32_t wire_length;
	enum link_type link;
	uint16_t ethertype;
	uint32_t ifindex;
	bool egress;
	bool from_gateway;
	uint64_t time;
};

/* max_flows attempts may be opening at once. narrow may be NULL. NULL when out of memory. */
struct offline *offline_new(uint32_t max_flows, const struct selector *selector, record_fn publish,
			    void *context);
void offline_free(struct offline *n);

/*
 * From now on keep is told, within offline_feed(), that the frame it was given decides something;
 * head.length is 0. Before the attempt's record.
 */
typedef void (*packet_fn)(void *context, const struct packet_head *head);
void offline_save_packets(struct offline *n, packet_fn save);

void offline_feed(struct offline *n, const struct offline_frame *frame);

/*
 * Settles what is due at this time, and shows every flow that is left to on_open (may be NULL), as
 * a record not settled.
 */
void offline_sweep(struct offline *n, uint64_t now, record_fn on_open, void *context);

/* Settles all that is left: the end of the run. */
void offline_end(struct offline *n, uint64_t now);

/* COUNTERS counters, see enum counter. */
const uint64_t *offline_counters(const struct offline *n);

/* 65536 packet counts, by ethertype, of what was not understood. */
const uint32_t *offline_ethertypes(const struct offline *n);
