/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of a segment: finds its flow, lets track() change it, begins and settles attempts.
 * The one way of a segment for the kernel and for captures; only the table differs.
 *
 * The including file defines struct table and these, before it includes this file:
 *	table_now	the time, in ns; asked only when a segment needs it
 *	table_filter	the lanes, see line.h
 *	table_bucket	the line of that bucket_number(), or NULL
 *	table_find	the flow of a key, if it is opening; fills *found: flow, and what goes with it
 *			of the line's entries, see bucket_entry_sum()
 *	table_new	a zeroed flow to fill in, which nobody else finds yet; NULL when there is no
 *			place: that is counted as lost
 *	table_insert	puts it into the table, unless bucket_entry_sum() has changed; false, and the place
 *			is free again, when it cannot: that is counted as lost, or as a copy where
 *			another CPU was faster
 *	table_lock	is the flow still the attempt that was found? Then it is held
 *	table_unlock	lets go of a flow that is held; one that has settled is nobody else's any more
 *	table_publish	publishes the record of such a flow, and frees its place
 *	table_count	adds to a counter
 *	table_count_ethertype	adds a packet to what is not understood
 *	table_selects	does --client, --server, --port ask for this SYN?
 *	table_follows_peers	with --follow-peers
 *	table_forwarding	was this attempt's last SYN seen leaving? Client flags, and flow.forwarded_by above
 *	table_saves_packets	for --write, see packet.h
 *	table_save_packet	hands over the packet of this segment, if packet_roles() names one
 */
#pragma once

#include "packet_event.h"
#include "selector.h"

#include "bucket.h"

/* Where process_segment() says so. */
static __always_inline void start_attempt(table_ctx *ctx, const struct segment *s)
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
	flow_start(f, s, s->from_end_1, now);
	f->hash = hash;
	if (table_saves_packets(ctx))
		table_save_packet(ctx, key, f, s, true, now);
	if (table_insert(ctx, bucket, key, f, s->entry_sum, now)) {
		filter_add(table_filter(ctx), hash, 1);
		table_count(ctx, COUNT_ATTEMPTS, 1);
	}
}

/* A flow that settles by what is no segment of its own. */
static __always_inline void settle_flow(table_ctx *ctx, struct flow_ref *found, enum end_reason why,
					__u64 now)
{
	if (!table_lock(ctx, found))
		return;
	table_unlock(ctx, found, why);
	table_publish(ctx, found->flow, why, now);
}

/*
 * Answers whether this SYN begins an attempt: then it is for start_attempt(), which is not called from
 * here, since all that calls one another shares a small stack.
 */
static __always_inline bool process_segment(table_ctx *ctx, struct segment *s)
{
	enum end_reason why;
	struct bucket *bucket;
	struct flow_ref found;
	bool from_client, is_opening;
	struct flow *f;
	__u16 forwarding = 0;
	__u32 hash;
	__u64 now;

	if (!has_valid_addresses(s)) {
		table_count(ctx, COUNT_MALFORMED, 1);
		return false;
	}
	/* reading the clock waits for all that was read before, so it comes before what is not in the cache */
	s->time = is_syn(s) ? table_now(ctx) : 0;
	hash = s->hash;
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
			if (table_follows_peers(ctx) && is_syn(s) && from_client)
				forwarding = table_forwarding(ctx, f);
			if (!table_lock(ctx, &found))
				return false;
			if (forwarding) {
				f->client_flags |= forwarding;
				f->forwarded_by = forwarding >> 8;
			}
			why = track(f, s, from_client, now);
			table_unlock(ctx, &found, why);
			if (now && table_saves_packets(ctx))
				table_save_packet(ctx, &s->key, f, s, from_client, now);
			if (why != END_NONE) {
				/* a bare ACK can be what was missing */
				if (!now)
					now = table_now(ctx);
				bucket_set_last_closed(bucket, &s->key, hash, f->client_isn, why,
						       now);
				table_publish(ctx, f, why, now);
			}
			return false;
		}
		why = settle_due(f, now, false) ? END_TIMEOUT : END_SUPERSEDED;
		settle_flow(ctx, &found, why, now);
		s->entry_sum -= found.entry_sum;
	}
	if (is_syn(s))
		return true;
	/* of a connection whose SYN was not seen: counted once, no verdict is made of it */
	if (s->kind == SEGMENT_TCP && s->flags & TCP_CONTROL &&
	    bucket_test_and_set_seen(bucket, hash))
		table_count(ctx, COUNT_ALREADY_OPEN, 1);
	return false;
}

static __always_inline enum counter udp_counter(const __u8 *udp)
{
	return get_be16(udp) == 443 || get_be16(udp + 2) == 443 ? COUNT_UDP_443_BYTES
								: COUNT_UDP_BYTES;
}

/* A frame that is neither a TCP segment nor an ICMP error is only counted. */
static __always_inline void count_untracked(table_ctx *ctx, const struct headers *h,
					    enum parse_result parsed, __u32 bytes)
{
	switch (parsed) {
	case PARSE_UDP:
		table_count(ctx, udp_counter(h->transport), bytes);
		return;
	case PARSE_OTHER_PROTO:
		table_count(ctx, COUNT_IP_OTHER, 1);
		return;
	case PARSE_FRAGMENT:
		table_count(ctx, COUNT_FRAGMENTS, 1);
		return;
	case PARSE_UNKNOWN_LINK:
		table_count_ethertype(ctx, h->ethertype);
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
