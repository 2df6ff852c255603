/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of a segment: finds its flow, lets track() change it, begins and settles attempts.
 * The one way of a segment for the kernel and for captures; only the table differs.
 *
 * The including file defines struct table and these, before it includes this file:
 *	table_now	the time, in ns; asked only when a segment needs it
 *	table_lanes	the lanes, see line.h
 *	table_line	the line of that line_number(), or NULL
 *	table_find	the flow of a key, if it is opening; fills *found: flow, and what goes with it
 *			of the line's entries, see line_entries()
 *	table_new	a zeroed flow to fill in, which nobody else finds yet; NULL when there is no
 *			place: that is counted as lost
 *	table_insert	puts it into the table, unless line_entries() has changed; false, and the place
 *			is free again, when it cannot: that is counted as lost, or as a copy where
 *			another CPU was faster
 *	table_begin	is the flow still the attempt that was found? Then it is held
 *	table_end	lets go of a flow that is held; one that has settled is nobody else's any more
 *	table_publish	publishes the record of such a flow, and frees its place
 *	table_count	adds to a counter
 *	table_count_ethertype	adds a packet to what is not understood
 *	table_wants	does --client, --server, --port ask for this SYN?
 *	table_follows	with --follow-peers
 *	table_left	was this attempt's last SYN seen leaving? Client flags, and flow.left_by above
 *	table_keeps_packets	for --write, see packet.h
 *	table_keep_packet	hands over the packet of this segment, if roles_of() names one
 */
#pragma once

#include "packet_event.h"
#include "selector.h"

#include "flow_filter.h"

/* The same four-tuple in another VLAN is another connection. */
static __always_inline __u32 remembered_tag(const struct flow_key *key, __u32 slot, __u32 isn)
{
	return slot ^ isn ^ ((__u32)key->vlan[0] << 16 | key->vlan[1]) ^ key->ifindex << 12;
}

static __always_inline void remember(struct line *line, const struct flow_key *key, __u32 slot,
				     __u32 isn, enum settled_by why, __u64 now)
{
	struct remembered *r = &line->remembered;
	__u64 until = now;

	if (why == SETTLED_PAYLOAD || why == SETTLED_ONE_SIDED)
		until += REMEMBER_NS;
	else /* the same ISN may begin another attempt: Windows tries a refused port three times */
		until += COPY_NS;
	r->tag = remembered_tag(key, slot, isn);
	r->until = (until >> REMEMBERED_SHIFT) + 1;
}

static __always_inline bool is_remembered(struct line *line, const struct flow_key *key, __u32 slot,
					  __u32 isn, __u64 now)
{
	const struct remembered *r = &line->remembered;

	return r->tag == remembered_tag(key, slot, isn) &&
	       (__s32)(r->until - (__u32)(now >> REMEMBERED_SHIFT)) > 0;
}

/* Where watch_segment() says so. */
static __always_inline void start_attempt(struct table *t, const struct segment *s)
{
	struct line *line = table_line(t, line_number(s->slot, s->ifindex, s->vlan));
	const struct flow_key *key = &s->key;
	__u32 slot = s->slot;
	__u64 now = s->time;
	struct flow *f;

	if (!line)
		return;
	if (is_remembered(line, key, slot, s->seq, now)) {
		table_count(t, COUNT_LATE_SYN_COPIES, 1);
		return;
	}
	line_know(line, slot);
	if (!table_wants(t, s)) {
		table_count(t, COUNT_NARROWED, 1);
		return;
	}
	if (!has_room(table_lanes(t), slot)) {
		table_count(t, COUNT_LOST_MAP, 1);
		return;
	}
	f = table_new(t, now);
	if (!f)
		return;
	flow_start(f, s, s->from_end_1, now);
	f->slot = slot;
	if (table_keeps_packets(t))
		table_keep_packet(t, key, f, s, true, now);
	if (table_insert(t, line, key, f, s->entries, now)) {
		count_opening(table_lanes(t), slot, 1);
		table_count(t, COUNT_ATTEMPTS, 1);
	}
}

/* A flow that settles by what is no segment of its own. */
static __always_inline void settle(struct table *t, struct found *found, enum settled_by why,
				   __u64 now)
{
	if (!table_begin(t, found))
		return;
	table_end(t, found, why);
	table_publish(t, found->flow, why, now);
}

/*
 * Answers whether this SYN begins an attempt: then it is for start_attempt(), which is not called from
 * here, since all that calls one another shares a small stack.
 */
static __always_inline bool watch_segment(struct table *t, struct segment *s)
{
	enum settled_by why;
	struct line *line;
	struct found found;
	bool from_client, is_opening;
	struct flow *f;
	__u16 left = 0;
	__u32 slot;
	__u64 now;

	if (!has_place_on_wire(s)) {
		table_count(t, COUNT_MALFORMED, 1);
		return false;
	}
	/* reading the clock waits for all that was read before, so it comes before what is not in the cache */
	s->time = is_syn(s) ? table_now(t) : 0;
	slot = s->slot;
	is_opening = may_be_opening(table_lanes(t), slot);
	if (!is_opening && (s->kind != SEGMENT_TCP || !(s->flags & TCP_LOOK)))
		return false;
	if (is_opening || is_syn(s))
		segment_find_key(s);
	line = table_line(t, line_number(slot, s->ifindex, s->vlan));
	if (!line)
		return false;
	s->entries = is_syn(s) ? line_entries(line, slot) : 0;
	if (is_opening && table_find(t, line, &s->key, slot, &found)) {
		f = found.flow;
		from_client = s->from_end_1 == !!(f->client_flags & CLIENT_IS_END_1);
		if (!s->time && needs_time(f, s, from_client))
			s->time = table_now(t);
		now = *(volatile __u64 *)&s->time;
		if (!is_syn(s) || !starts_another(f, s, from_client, now)) {
			if (table_follows(t) && is_syn(s) && from_client)
				left = table_left(t, f);
			if (!table_begin(t, &found))
				return false;
			if (left) {
				f->client_flags |= left;
				f->left_by = left >> 8;
			}
			why = track(f, s, from_client, now);
			table_end(t, &found, why);
			if (now && table_keeps_packets(t))
				table_keep_packet(t, &s->key, f, s, from_client, now);
			if (why != SETTLED_NOT) {
				/* a bare ACK can be what was missing */
				if (!now)
					now = table_now(t);
				remember(line, &s->key, slot, f->client_isn, why, now);
				table_publish(t, f, why, now);
			}
			return false;
		}
		why = settle_due(f, now, false) ? SETTLED_TIMEOUT : SETTLED_SUPERSEDED;
		settle(t, &found, why, now);
		s->entries -= found.entries;
	}
	if (is_syn(s))
		return true;
	/* of a connection whose SYN was not seen: counted once, no verdict is made of it */
	if (s->kind == SEGMENT_TCP && s->flags & TCP_LOOK && line_know(line, slot))
		table_count(t, COUNT_ALREADY_OPEN, 1);
	return false;
}

static __always_inline enum counter udp_counter(const __u8 *udp)
{
	return load16(udp) == 443 || load16(udp + 2) == 443 ? COUNT_UDP_443_BYTES : COUNT_UDP_BYTES;
}

/* A frame that is neither a TCP segment nor an ICMP error is only counted. */
static __always_inline void count_other(struct table *t, const struct headers *h,
					enum parsed parsed, __u32 bytes)
{
	switch (parsed) {
	case PARSED_UDP:
		table_count(t, udp_counter(h->transport), bytes);
		return;
	case PARSED_OTHER:
		table_count(t, COUNT_IP_OTHER, 1);
		return;
	case PARSED_FRAGMENT:
		table_count(t, COUNT_FRAGMENTS, 1);
		return;
	case PARSED_UNKNOWN:
		table_count_ethertype(t, h->ethertype);
		table_count(t, COUNT_UNKNOWN_LINK, 1);
		return;
	case PARSED_MALFORMED:
		table_count(t, COUNT_MALFORMED, 1);
		return;
	case PARSED_SHORT:
		table_count(t, COUNT_LOST_TRUNCATED, 1);
		return;
	default:
		return;
	}
}
