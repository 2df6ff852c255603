/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracker compiled for user space, for captures and tests. It uses the parser and process.h of
 * the BPF object, with a table in memory instead of the BPF maps.
 *
 * Times are nanoseconds of a clock that the caller chooses. A record is valid only during the
 * callback. Not thread-safe.
 */
#pragma once

#include <stdint.h>

#include "dns_event.h"
#include "packet_event.h"
#include "record.h"

struct offline;
struct reset_set;
struct selector;

extern const struct hash_seed offline_seed;

typedef void (*record_fn)(void *context, const struct record *r);

/*
 * A frame to process. link is the type of the first header. ethertype is read only with
 * LINK_RAW_IP.
 */
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

/*
 * max_flows is the maximum number of attempts tracked at the same time. selector may be NULL to
 * select all attempts. publish receives every record. Returns NULL if out of memory.
 */
struct offline *offline_new(uint32_t max_flows, const struct selector *selector, record_fn publish,
			    void *context);
void offline_free(struct offline *o);

/*
 * Sets the callback for --write. offline_feed() calls it if the frame has a role in its attempt,
 * before it publishes the attempt's record. head.length is 0.
 */
typedef void (*packet_fn)(void *context, const struct packet_head *head);
void offline_save_packets(struct offline *o, packet_fn save);

/*
 * Sets the callback for DNS and the ports of DNS, which must outlive *o. offline_feed() calls it
 * with the frame, if that carries, or quotes, a DNS message.
 */
typedef void (*dns_fn)(void *context, const struct dns_head *head, const uint8_t *bytes);
void offline_follow_dns(struct offline *o, dns_fn dns, const uint16_t *ports, size_t count);

void offline_feed(struct offline *o, const struct offline_frame *frame);

/*
 * Settles the flows that are due at time now. Calls on_open (may be NULL) for every other flow,
 * with a record whose end_reason is END_NONE.
 */
void offline_sweep(struct offline *o, uint64_t now, record_fn on_open, void *context);

/* Settles all remaining flows, at the end of the run. */
void offline_end(struct offline *o, uint64_t now);

/* Returns an array of COUNTERS counters, indexed by enum counter. */
const uint64_t *offline_counters(const struct offline *o);

/* Returns an array of RESET_SETS sets of servers, see reset.h. */
const struct reset_set *offline_resets(const struct offline *o);

/* Returns 65536 packet counts, indexed by ethertype, of packets that are neither IPv4 nor IPv6. */
const uint32_t *offline_ethertypes(const struct offline *o);
