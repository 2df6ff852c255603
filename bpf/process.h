/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes one segment: finds its flow, applies track(), starts and settles attempts. The kernel
 * and captures share this code; only the storage below it differs.
 *
 * Before it includes this file, the including file defines the type table_ctx, struct flow_ref and
 * the functions below. This file passes its table_ctx * to them and does not access it. It is the
 * packet in the kernel, and struct offline in user space.
 *
 *	table_now		returns the time in ns; called only if a segment needs it
 *	table_filter		returns the counting filter, see flow_filter.h
 *	table_bucket		returns the bucket of a bucket_number(), or NULL
 *	table_find		looks up the opening flow of a key and fills in *found
 *	table_new		returns a zeroed flow that no lookup finds yet; without a free
 *				slot, counts the attempt as lost and returns NULL
 *	table_insert		inserts the flow if bucket_entry_sum() is unchanged; on failure
 *				frees it, counts it as lost (or as a copy, if another CPU was
 *				faster) and returns false
 *	table_lock		returns true, with the flow locked, if it is still the attempt
 *				that was found
 *	table_unlock		unlocks a flow; if the flow has settled, removes it from its
 *				bucket: the caller then owns it
 *	table_publish		publishes the record of a removed flow and frees the flow
 *	table_count		adds to a counter
 *	table_count_ethertype	counts a packet that is neither IPv4 nor IPv6
 *	table_selects		returns true if --client, --server and --port select this SYN
 *	table_reset_guard	returns the guard of reset.h
 *	table_count_reset	counts an RST that ends an open connection
 *	table_publish_synack	publishes a SYN-ACK that belongs to no opening flow
 *	table_follows_peers	returns true with --follow-peers
 *	table_forwarding	returns client flags that report whether the attempt's last SYN
 *				was seen leaving, with flow.forwarded_by in the upper byte
 *	table_saves_packets	returns true with --write
 *	table_save_packet	saves the packet of this segment if it has a role in its attempt
 *	table_read_needs	reads the part of the packet that s->needs names
 */
#pragma once

#include "bucket.h"
#include "flow_filter.h"
#include "packet_event.h"
#include "reset.h"
#include "selector.h"

/* Starts an attempt with a SYN for which process_segment() returned true. */
static __always_inline void start_attempt(table_ctx *ctx, struct segment *s)
{
	struct bucket *bucket = table_bucket(ctx, bucket_number(s->hash, s->ifindex, s->vlan));
	const struct flow_key *key = &s->key;
	__u32 hash = s->hash;
	__u64 now = s->time;
	struct flow *f;

	if (!bucket)
		return;
	if (bucket_is_last_closed(bucket, key, hash, s->seq, now)) {
		table_count(ctx, COUNT_LATE_SYN_COPIES, 1);
		return;
	}
	bucket_test_and_set_seen(bucket, hash);
	if (!table_selects(ctx, s)) {
		table_count(ctx, COUNT_NOT_SELECTED, 1);
		return;
	}
	if (!filter_has_room(table_filter(ctx), hash)) {
		table_count(ctx, COUNT_LOST_MAP, 1);
		return;
	}
	f = table_new(ctx, now);
	if (!f)
		return;
	s->needs = NEEDS_OPTIONS;
	table_read_needs(ctx, s);
	flow_start(f, s, s->from_end_1, now);
	f->hash = hash;
	if (table_saves_packets(ctx))
		table_save_packet(ctx, key, f, s, true, now);
	if (table_insert(ctx, bucket, key, f, s->entry_sum, now)) {
		filter_add(table_filter(ctx), hash, 1);
		table_count(ctx, COUNT_ATTEMPTS, 1);
	}
}

/* Settles a flow to make room for a new attempt on its four-tuple. */
static __always_inline void settle_flow(table_ctx *ctx, struct flow_ref *found, enum end_reason why,
					__u64 now)
{
	if (!table_lock(ctx, found))
		return;
	table_unlock(ctx, found, why);
	table_publish(ctx, found->flow, why, now);
}

/* Applies a segment to its flow. If that settles the flow, publishes its record. */
static __always_inline void update_flow(table_ctx *ctx, struct segment *s, struct bucket *bucket,
					__u32 hash, const struct flow_ref *found, bool from_client,
					__u64 now)
{
	struct flow *f = found->flow;
	__u16 forwarding = 0;
	enum end_reason why;

	if (table_follows_peers(ctx) && is_syn(s) && from_client)
		forwarding = table_forwarding(ctx, f);
	/* before the lock, under which no helper may be called */
	s->needs = segment_needs(f, s, from_client);
	if (*(volatile __u8 *)&s->needs)
		table_read_needs(ctx, s);
	if (!table_lock(ctx, found))
		return;
	if (forwarding) {
		f->client_flags |= forwarding & 0xff;
		f->forwarded_by = forwarding >> 8;
	}
	why = track(f, s, from_client, now);
	table_unlock(ctx, found, why);
	if (now && table_saves_packets(ctx))
		table_save_packet(ctx, &s->key, f, s, from_client, now);
	if (why != END_NONE) {
		if (!now) /* a bare ACK can settle a flow, too */
			now = table_now(ctx);
		bucket_set_last_closed(bucket, &s->key, hash, f->client_isn, why, now);
		table_publish(ctx, f, why, now);
	}
}

/*
 * Publishes a SYN-ACK that belongs to no opening flow, within a budget.
 *
 * Buys: answered-elsewhere, if a server that was not called answers the SYN.
 * Costs: a clock read and a record; none for any packet of a connection whose SYN was seen.
 */
static __always_inline void publish_synack(table_ctx *ctx, struct segment *s)
{
	s->time = table_now(ctx);
	if (budget_charge(&table_reset_guard(ctx)->synacks_alone, SYNACK_ALONE_BUDGET, s->time))
		table_publish_synack(ctx, s, s->time);
}

/* Counts a FIN or RST, or a SYN-ACK, that belongs to no opening flow. */
static __always_inline void count_control(table_ctx *ctx, struct segment *s, struct bucket *bucket)
{
	bool is_first = bucket_test_and_set_seen(bucket, s->hash);

	if ((s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK)) {
		if (is_first)
			table_count(ctx, COUNT_SYNACK_ALONE, 1);
		publish_synack(ctx, s);
		return;
	}
	/* a connection whose SYN was not seen is counted once, without a record */
	if (is_first)
		table_count(ctx, COUNT_ALREADY_OPEN, 1);
	if (!(s->flags & TCP_RST) || s->was_closing || is_refusal(s))
		return;
	s->time = table_now(ctx);
	if (budget_charge(&table_reset_guard(ctx)->resets, RESET_BUDGET, s->time))
		table_count_reset(ctx, s, !is_first, s->time);
	else
		table_count(ctx, COUNT_RESETS_NOT_COUNTED, 1);
}

/*
 * Returns true if the segment is a SYN that starts an attempt. The caller passes it to
 * start_attempt(). This function does not call it, since all functions of a call chain share a
 * stack of 512 bytes.
 */
static __always_inline bool process_segment(table_ctx *ctx, struct segment *s)
{
	bool from_client, is_opening;
	struct bucket *bucket;
	struct flow_ref found;
	enum end_reason why;
	struct flow *f;
	__u32 hash;
	__u64 now;

	if (!has_valid_addresses(s)) {
		table_count(ctx, COUNT_MALFORMED, 1);
		return false;
	}
	/*
	 * read the clock first: it waits for earlier loads, and the loads below may miss the cache
	 */
	s->time = is_syn(s) ? table_now(ctx) : 0;
	hash = s->hash;
	if (s->kind == SEGMENT_TCP && s->flags & (TCP_FIN | TCP_RST)) {
		s->was_closing = is_closing(table_reset_guard(ctx), hash);
		set_closing(table_reset_guard(ctx), hash);
	}
	is_opening = filter_may_hold(table_filter(ctx), hash);
	if (!is_opening && (s->kind != SEGMENT_TCP || !(s->flags & TCP_CONTROL)))
		return false;
	if (is_opening || is_syn(s))
		segment_set_key(s);
	bucket = table_bucket(ctx, bucket_number(hash, s->ifindex, s->vlan));
	if (!bucket)
		return false;
	s->entry_sum = is_syn(s) ? bucket_entry_sum(bucket, hash) : 0;
	if (is_opening && table_find(ctx, bucket, &s->key, hash, &found)) {
		f = found.flow;
		from_client = s->from_end_1 == !!(f->client_flags & CLIENT_IS_END_1);
		if (!s->time && segment_needs_time(f, s, from_client))
			s->time = table_now(ctx);
		now = *(volatile __u64 *)&s->time;
		if (!is_syn(s) || !starts_new_attempt(f, s, from_client, now)) {
			update_flow(ctx, s, bucket, hash, &found, from_client, now);
			return false;
		}
		why = settle_due(f, now, false) ? END_TIMEOUT : END_SUPERSEDED;
		settle_flow(ctx, &found, why, now);
		s->entry_sum -= found.entry;
	}
	if (is_syn(s))
		return true;
	if (s->kind == SEGMENT_TCP && s->flags & TCP_CONTROL)
		count_control(ctx, s, bucket);
	return false;
}

static __always_inline enum counter udp_counter(const __u8 *udp)
{
	return get_be16(udp) == 443 || get_be16(udp + 2) == 443 ? COUNT_UDP_443_BYTES
								: COUNT_UDP_BYTES;
}

/*
 * Counts a packet that is neither a TCP segment, a UDP datagram nor an ICMP error. The ethertype is
 * that of struct headers.
 */
static __always_inline void count_untracked(table_ctx *ctx, enum parse_result parsed,
					    __u16 ethertype)
{
	switch (parsed) {
	case PARSE_OTHER_PROTO:
		table_count(ctx, COUNT_IP_OTHER, 1);
		return;
	case PARSE_FRAGMENT:
		table_count(ctx, COUNT_FRAGMENTS, 1);
		return;
	case PARSE_UNKNOWN_LINK:
		table_count_ethertype(ctx, ethertype);
		table_count(ctx, COUNT_UNKNOWN_LINK, 1);
		return;
	case PARSE_MALFORMED:
		table_count(ctx, COUNT_MALFORMED, 1);
		return;
	case PARSE_TRUNCATED:
		table_count(ctx, COUNT_LOST_TRUNCATED, 1);
		return;
	default:
		return;
	}
}
