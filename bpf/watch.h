/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of a segment: finds its flow, lets track() change it, begins and settles attempts.
 * The one way of a segment for the kernel and for captures; only the table differs.
 *
 * The including file defines struct table and these, before it includes this file:
 *	table_find	the flow of a key, or NULL
 *	table_new	a zeroed flow to fill in, not yet in the table
 *	table_insert	0, or not: then the attempt is counted as lost, or as a copy where another
 *CPU was faster table_settle	takes the flow out and publishes its record, once: whoever takes it
 *out publishes table_count	adds to a counter table_count_ethertype	adds a packet to what is not
 *understood table_remembered, table_known	the slot of a hash, or NULL table_wants	does
 *--client, --server, --port ask for this SYN?
 */
#pragma once

#include "track.h"
#include "narrow.h"

/*
 * A connection that settled a moment ago. Slots are overwritten: what is lost so is a late copy's
 * silence.
 */
struct remembered {
	__u32 tag;
	__u32 until; /* in units of 2^20 ns, some ms */
};

#define REMEMBERED_SHIFT 20
#define REMEMBERED_SLOTS (1 << 16)
#define KNOWN_SLOTS (1 << 20)

/* Of the counters of openings and of what is known, 1 Mi each: the hash's upper bits are its best. */
static __always_inline __u32 slot_of(__u64 hash)
{
	return hash >> 44;
}

/* The hash is of the four-tuple alone; the same one in another VLAN is another connection. */
static __always_inline __u32 remembered_tag(const struct flow_key *key, __u64 hash, __u32 isn)
{
	return (__u32)(hash >> 8) ^ isn ^ ((__u32)key->vlan[0] << 16 | key->vlan[1]) ^
	       key->ifindex << 12;
}

static __always_inline void remember(struct table *t, const struct flow_key *key, __u64 hash,
				     __u32 isn, enum settled_by why, __u64 now)
{
	struct remembered *r;
	__u64 until = now;

	if (why == SETTLED_PAYLOAD || why == SETTLED_ONE_SIDED)
		until += REMEMBER_NS;
	else /* the same ISN may begin another attempt: Windows tries a refused port three times */
		until += COPY_NS;
	r = table_remembered(t, hash >> 48);
	if (r) {
		r->tag = remembered_tag(key, hash, isn);
		r->until = (until >> REMEMBERED_SHIFT) + 1;
	}
}

static __always_inline bool is_remembered(struct table *t, const struct flow_key *key, __u64 hash,
					  __u32 isn, __u64 now)
{
	const struct remembered *r = table_remembered(t, hash >> 48);

	return r && r->tag == remembered_tag(key, hash, isn) &&
	       (__s32)(r->until - (__u32)(now >> REMEMBERED_SHIFT)) > 0;
}

/*
 * FIN, RST or SYN-ACK of a connection whose SYN was not seen: counted once, no verdict is made of
 * it.
 */
static __always_inline void note_already_open(struct table *t, __u64 hash)
{
	__u8 *known = table_known(t, slot_of(hash));

	if (known && !*known) {
		*known = 1;
		table_count(t, COUNT_ALREADY_OPEN, 1);
	}
}

static __always_inline void start_attempt(struct table *t, const struct flow_key *key,
					  const struct segment *s, bool from_end_1, __u64 hash,
					  __u64 now)
{
	struct flow *f;
	__u8 *known;

	if (is_remembered(t, key, hash, s->seq, now)) {
		table_count(t, COUNT_LATE_SYN_COPIES, 1);
		return;
	}
	known = table_known(t, slot_of(hash));
	if (known)
		*known = 1;
	if (!table_wants(t, s)) {
		table_count(t, COUNT_NARROWED, 1);
		return;
	}
	f = table_new(t);
	if (!f)
		return;
	flow_start(f, s, from_end_1, now);
	f->slot = slot_of(hash);
	table_insert(t, key, f, now);
}

static __always_inline void watch_segment(struct table *t, const struct segment *s, __u64 hash,
					  __u64 now)
{
	enum settled_by why;
	struct flow_key key;
	bool from_end_1, from_client;
	struct flow *f;
	__u64 identity;

	from_end_1 = flow_key_of(&key, s);
	f = table_find(t, &key);
	if (f) {
		identity = flow_identity(f);
		from_client = from_end_1 == !!(f->client_flags & CLIENT_IS_END_1);
		if (!is_syn(s) || !starts_another(f, s, from_client, now)) {
			why = track(f, s, from_client, now);
			if (why != SETTLED_NOT) {
				table_settle(t, &key, f, identity, why, now);
				remember(t, &key, hash, identity, why, now);
			}
			return;
		}
		why = settle_due(f, now, false) ? SETTLED_TIMEOUT : SETTLED_SUPERSEDED;
		table_settle(t, &key, f, identity, why, now);
	}
	if (is_syn(s))
		start_attempt(t, &key, s, from_end_1, hash, now);
	else if (s->kind == SEGMENT_TCP && s->flags & (TCP_SYN | TCP_FIN | TCP_RST))
		note_already_open(t, hash);
}

static __always_inline void count_udp(struct table *t, const __u8 *udp, __u32 bytes)
{
	if (load16(udp) == 443 || load16(udp + 2) == 443)
		table_count(t, COUNT_UDP_443_BYTES, bytes);
	else
		table_count(t, COUNT_UDP_BYTES, bytes);
}

/* A frame that is neither a TCP segment nor an ICMP error is only counted. */
static __always_inline void count_other(struct table *t, const struct headers *h,
					enum parsed parsed, __u32 bytes)
{
	switch (parsed) {
	case PARSED_UDP:
		count_udp(t, h->transport, bytes);
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
