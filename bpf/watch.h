/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of a segment: finds its flow, lets track() change it, begins and settles attempts.
 * The one way of a segment for the kernel and for captures; only the table differs.
 *
 * The including file defines struct table and these, before it includes this file:
 *	table_hash	tuple_hash() with the secret of this run; 0: no segment of ours
 *	table_now	the time, in ns; asked only when a segment needs it
 *	table_traces	what is kept of connections by hash alone
 *	table_has_room	has_room() in these, of both slots of a hash
 *	table_count_opening	count_opening() likewise
 *	table_find	the flow of a key and its hash, or NULL
 *	table_new	a zeroed flow to fill in, not yet in the table
 *	table_insert	false when it has no place: then it is counted as lost, or as a copy where
 *			another CPU was faster
 *	table_begin	is the flow still this attempt, and nobody's to take out? Then it is held
 *	table_end	lets go of a flow that is held; one that has settled is ours to take out
 *	table_publish	takes such a flow out and publishes its record, once
 *	table_count	adds to a counter
 *	table_count_ethertype	adds a packet to what is not understood
 *	table_wants	does --client, --server, --port ask for this SYN?
 *	table_follows	with --follow-peers
 *	table_left	was this attempt's last SYN seen leaving? Client flags, and flow.left_by above
 *	table_keeps_packets	for --write, see packet.h
 *	table_keep_packet	hands over the packet of this segment, if roles_of() names one
 */
#pragma once

#include "packet.h"
#include "narrow.h"

#include "line.h"

/* The same four-tuple in another VLAN is another connection. */
static __always_inline __u32 remembered_tag(const struct flow_key *key, __u64 hash, __u32 isn)
{
	return (__u32)hash ^ isn ^ ((__u32)key->vlan[0] << 16 | key->vlan[1]) ^ key->ifindex << 12;
}

static __always_inline void remember(struct line *line, const struct flow_key *key, __u64 hash,
				     __u32 isn, enum settled_by why, __u64 now)
{
	struct remembered *r = line_remembered(line, hash);
	__u64 until = now;

	if (why == SETTLED_PAYLOAD || why == SETTLED_ONE_SIDED)
		until += REMEMBER_NS;
	else /* the same ISN may begin another attempt: Windows tries a refused port three times */
		until += COPY_NS;
	r->tag = remembered_tag(key, hash, isn);
	r->until = (until >> REMEMBERED_SHIFT) + 1;
}

static __always_inline bool is_remembered(struct line *line, const struct flow_key *key, __u64 hash,
					  __u32 isn, __u64 now)
{
	const struct remembered *r = line_remembered(line, hash);

	return r->tag == remembered_tag(key, hash, isn) &&
	       (__s32)(r->until - (__u32)(now >> REMEMBERED_SHIFT)) > 0;
}

static __always_inline void start_attempt(struct table *t, struct line *line,
					  const struct flow_key *key, const struct segment *s,
					  bool from_end_1, __u64 hash, __u64 now)
{
	struct flow *f;

	if (is_remembered(line, key, hash, s->seq, now)) {
		table_count(t, COUNT_LATE_SYN_COPIES, 1);
		return;
	}
	line_know(line, hash);
	if (!table_wants(t, s)) {
		table_count(t, COUNT_NARROWED, 1);
		return;
	}
	if (!table_has_room(t, hash)) {
		table_count(t, COUNT_LOST_MAP, 1);
		return;
	}
	f = table_new(t);
	if (!f)
		return;
	flow_start(f, s, from_end_1, now);
	f->slot = slot_of(hash);
	f->slot_back = slot_back_of(hash);
	if (table_keeps_packets(t))
		table_keep_packet(t, key, f, s, true, now);
	if (table_insert(t, key, f, hash, now)) {
		table_count_opening(t, hash, 1);
		table_count(t, COUNT_ATTEMPTS, 1);
	}
}

/* A flow that settles by what is no segment of its own. */
static __always_inline void settle(struct table *t, struct flow *f, __u64 identity,
				   enum settled_by why, __u64 now)
{
	if (!table_begin(t, f, identity, now))
		return;
	table_end(t, f, why, now);
	table_publish(t, f, identity, why, now);
}

static __always_inline void watch_segment(struct table *t, const struct segment *s)
{
	enum settled_by why;
	struct line *line;
	struct flow_key key;
	bool from_end_1, from_client;
	struct flow *f = NULL;
	__u64 hash, identity, now = 0;
	__u16 left = 0;

	hash = table_hash(t, s);
	if (!hash) {
		table_count(t, COUNT_MALFORMED, 1);
		return;
	}
	from_end_1 = flow_key_of(&key, s);
	line = &table_traces(t)->lines[line_of(slot_of(hash))];
	if (may_be_opening(table_traces(t), slot_of(hash)))
		f = table_find(t, &key, hash);
	if (f) {
		identity = flow_identity(f);
		from_client = from_end_1 == !!(f->client_flags & CLIENT_IS_END_1);
		if (needs_time(f, s, from_client))
			now = table_now(t);
		if (!is_syn(s) || !starts_another(f, s, from_client, now)) {
			if (table_follows(t) && is_syn(s) && from_client)
				left = table_left(t, f);
			if (!table_begin(t, f, identity, now))
				return;
			if (left) {
				f->client_flags |= left;
				f->left_by = left >> 8;
			}
			why = track(f, s, from_client, now);
			table_end(t, f, why, now);
			if (now && table_keeps_packets(t))
				table_keep_packet(t, &key, f, s, from_client, now);
			if (why != SETTLED_NOT) {
				/* a bare ACK can be what was missing */
				if (!now)
					now = table_now(t);
				table_publish(t, f, identity, why, now);
				remember(line, &key, hash, identity, why, now);
			}
			return;
		}
		why = settle_due(f, now, false) ? SETTLED_TIMEOUT : SETTLED_SUPERSEDED;
		settle(t, f, identity, why, now);
	}
	if (is_syn(s)) {
		start_attempt(t, line, &key, s, from_end_1, hash, now ? now : table_now(t));
	} else if (s->kind == SEGMENT_TCP && s->flags & (TCP_SYN | TCP_FIN | TCP_RST)) {
		/* of a connection whose SYN was not seen: counted once, no verdict is made of it */
		if (line_know(line, hash))
			table_count(t, COUNT_ALREADY_OPEN, 1);
	}
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
