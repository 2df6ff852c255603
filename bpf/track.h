/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes a flow by one segment, and decides when it settles. It knows nothing of where flows are
 * stored.
 *
 * A flow is opening from its first SYN until it settles; only opening flows exist. Sequence numbers
 * are compared modulo 2^32 (RFC 9293 3.4). Both directions of a connection may be processed on two
 * CPUs at once. So the caller holds the lock of the flow's bucket while one of these functions
 * changes the flow.
 */
#pragma once

#include "segment.h"

/* The same segment within this time is a copy made by a SPAN port: TCP's own timers are slower. */
#define COPY_NS (10 * MILLISECOND_NS)

/* Linux waits up to 64 s between two SYNs. After twice that time nothing more is expected. */
#define SILENCE_NS (130 * SECOND_NS)

/* Under pressure, a flow that was idle for this time settles early. */
#define PRESSURE_OPENING_NS (5 * SECOND_NS)
#define PRESSURE_ESTABLISHED_NS (60 * SECOND_NS)

/* An answered attempt is not evicted before the client had this time to send its ACK. */
#define ANSWERED_NS SECOND_NS

/* How long a settled connection is remembered, so that a late copy of its SYN is no new attempt. */
#define LAST_CLOSED_NS (2 * SECOND_NS)

/* Segments with payload after which a one-way stream settles, and leaves the slow path. */
#define ONE_SIDED_SEGMENTS 64

/*
 * An opening flow has transferred little. A segment further from the ISN belongs to another
 * connection, or is forged.
 */
#define OPENING_WINDOW (1U << 23)

/*
 * A segment is full-sized if it lacks at most FULL_SLACK bytes of the MSS: options use part of it
 * (RFC 6691). FULL_SIZE is for an unknown MSS: the payload of a packet of 1280 bytes, the minimum
 * MTU of IPv6 (RFC 8200 5).
 */
#define FULL_SLACK 60
#define FULL_SIZE 1220

/* A full-sized segment that was retransmitted this often without an ACK does not get through. */
#define BLACK_HOLE_RETRANSMITS 3

/*
 * If the ACK of the handshake was missed, a later segment of the client within this window stands
 * for it.
 */
#define ACK_WINDOW (1U << 20)

/*
 * The first payload of a side starts this close to its ISN: the initial window (RFC 6928) and more.
 * A blind attacker hits it once in 65 536 packets.
 */
#define FIRST_WINDOW (1U << 16)

/* Is a in the range of n bytes that starts at b? */
static __always_inline bool seq_within(__u32 a, __u32 b, __u32 n)
{
	return a - b < n;
}

static __always_inline bool is_syn(const struct segment *s)
{
	return s->kind == SEGMENT_TCP && (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/*
 * Sets s->key and s->from_end_1. There is no branch once the order of both ends is known: the
 * verifier would follow both from there on.
 */
static __always_inline void segment_set_key(struct segment *s)
{
	const __u8 *source = (const __u8 *)&s->source, *destination = (const __u8 *)&s->destination;
	__u64 from[] = { LOAD(__u64, source), LOAD(__u64, source + 8), s->source_port };
	__u64 to[] = { LOAD(__u64, destination), LOAD(__u64, destination + 8),
		       s->destination_port };
	struct flow_key *key = &s->key;
	__u64 swap;
	int i;

	if (from[0] != to[0])
		s->from_end_1 = from[0] > to[0];
	else if (from[1] != to[1])
		s->from_end_1 = from[1] > to[1];
	else
		s->from_end_1 = from[2] > to[2];
	swap = -(__u64) * (volatile bool *)&s->from_end_1;
	for (i = 0; i < 3; i++) {
		__u64 differ = (from[i] ^ to[i]) & swap;

		from[i] ^= differ;
		to[i] ^= differ;
	}
	__builtin_memcpy(&key->end[0], from, sizeof(key->end[0]));
	__builtin_memcpy(&key->end[1], to, sizeof(key->end[1]));
	key->port[0] = from[2];
	key->port[1] = to[2];
	key->vlan[0] = s->vlan[0];
	key->vlan[1] = s->vlan[1];
	key->ifindex = s->ifindex;
	key->pad = 0;
}

static __always_inline bool is_handshake_done(const struct flow *f)
{
	return f->ack || f->server_flags & SERVER_IMPLIES_OPEN ||
	       f->client_flags & CLIENT_IMPLIES_SYNACK;
}

/*
 * Were the SYN-ACK and the ACK seen? Segments of one side alone can be forged by anybody, so they
 * do not protect a flow from eviction.
 */
static __always_inline bool is_handshake_complete(const struct flow *f)
{
	return f->synack && f->ack;
}

/* Returns the time of the last transmission of a side's first payload, or 0. */
static __always_inline __u64 payload_last(__u64 first, __u32 retransmit_us)
{
	return first + (__u64)retransmit_us * MICROSECOND_NS;
}

static __always_inline __u64 last_activity(const struct flow *f)
{
	const __u64 times[] = { f->synack_last,
				f->ack,
				f->icmp,
				payload_last(f->client_first, f->client_retransmit_us),
				payload_last(f->server_first, f->server_retransmit_us),
				f->client_fin,
				f->server_fin };
	__u64 last = f->syn_last;
	unsigned int i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (times[i] > last)
			last = times[i];
	return last;
}

/* Counts up to 2^32 - 1, without a branch. */
static __always_inline void count_saturating(__u32 *count)
{
	__u64 more = *count + 1ULL;

	*count = more - (more >> 32);
}

/* Starts an attempt with its first SYN. The caller has zeroed *f. */
static __always_inline void flow_start(struct flow *f, const struct segment *s, bool from_end_1,
				       __u64 now)
{
	f->syn_times[0] = now;
	f->syn_last = now;
	f->syn_count = 1;
	f->client_isn = s->seq;
	f->syn_ip_id = s->ip_id;
	f->syn_payload = s->payload > 0xffff ? 0xffff : s->payload;
	f->client_mss = s->mss;
	if (from_end_1)
		f->client_flags |= CLIENT_IS_END_1;
	if (s->egress)
		f->client_flags |= CLIENT_EGRESS;
	f->other_host = s->other_host;
	if (s->has_mac && !s->egress) { /* at egress the source MAC is that of this host */
		f->client_flags |= CLIENT_HAS_MAC;
		__builtin_memcpy(f->client_mac, s->mac, 6);
	}
}

/* Does this SYN start a new attempt, although a flow with its four-tuple is opening? */
static __always_inline bool starts_new_attempt(const struct flow *f, const struct segment *s,
					       bool from_client, __u64 now)
{
	if ((__s64)(now - last_activity(f)) > (__s64)SILENCE_NS)
		return true;
	if (from_client)
		return s->seq != f->client_isn;
	/* a SYN of the server: a simultaneous open while the first SYN is unanswered */
	return f->synack || is_handshake_done(f);
}

static __always_inline void track_syn(struct flow *f, const struct segment *s, bool from_client,
				      __u64 now)
{
	if (!from_client) {
		f->server_flags |= SERVER_SYN;
		f->server_isn = s->seq;
		return;
	}
	if (s->egress != !!(f->client_flags & CLIENT_EGRESS) ||
	    (s->ip_id == f->syn_ip_id && now - f->syn_last <= COPY_NS)) {
		count_saturating(&f->syn_copies);
		return;
	}
	if (f->syn_count < SYN_TIMES)
		f->syn_times[f->syn_count] = now;
	count_saturating(&f->syn_count);
	f->syn_last = now;
	f->syn_ip_id = s->ip_id;
}

static __always_inline void track_synack(struct flow *f, const struct segment *s, bool from_client,
					 __u64 now)
{
	__u32 syn_data_acked = s->ack - f->client_isn - 1; /* bytes of the SYN's payload */

	if (from_client) {
		if (f->server_flags & SERVER_SYN && s->ack == f->server_isn + 1 && !f->ack)
			f->ack = now;
		return;
	}
	if (syn_data_acked > f->syn_payload) {
		f->server_flags |= SERVER_UNACCEPTABLE;
		return;
	}
	if (!f->synack) {
		f->synack = now;
		f->synack_count = 1;
		f->synack_last = now;
		f->synack_ip_id = s->ip_id;
		f->server_isn = s->seq;
		f->server_mss = s->mss;
		if (s->egress)
			f->server_flags |= SERVER_EGRESS;
		if (syn_data_acked)
			f->server_flags |= SERVER_TOOK_SYN_DATA;
		return;
	}
	if (s->egress != !!(f->server_flags & SERVER_EGRESS) ||
	    (s->ip_id == f->synack_ip_id && now - f->synack_last <= COPY_NS)) {
		count_saturating(&f->synack_copies);
		return;
	}
	count_saturating(&f->synack_count);
	f->synack_last = now;
	f->synack_ip_id = s->ip_id;
	if (!f->ack)
		f->server_isn = s->seq;
	else if (f->synack_after_ack < 0xff)
		f->synack_after_ack++;
}

/*
 * May a RST or FIN with this sequence number come from the side itself? The receiver is stricter
 * (RFC 5961 3.2), but the probe may not have seen all segments. first is the time of the side's
 * first payload, or 0.
 */
static __always_inline bool is_plausible_end(const struct segment *s, __u32 isn, __u64 first)
{
	return seq_within(s->seq, isn, first ? OPENING_WINDOW : FIRST_WINDOW);
}

static __always_inline enum end_reason track_rst(struct flow *f, const struct segment *s,
						 bool from_client, __u64 now)
{
	bool answers_syn = s->flags & TCP_ACK && s->ack - f->client_isn - 1 <= f->syn_payload;

	if (from_client) {
		if (!f->synack && !is_handshake_done(f)) {
			if (!f->client_rst)
				f->client_rst = now;
			return END_NONE;
		}
		if (!is_plausible_end(s, f->client_isn, f->client_first))
			return END_NONE;
		f->client_rst = now;
		return END_RST;
	}
	if (!f->synack && !is_handshake_done(f)) {
		if (!answers_syn) {
			f->server_flags |= SERVER_UNACCEPTABLE;
			return END_NONE;
		}
		f->server_flags |= SERVER_REFUSED;
	} else if (f->synack && !is_plausible_end(s, f->server_isn, f->server_first) &&
		   (f->ack || !answers_syn)) {
		f->server_flags |= SERVER_UNACCEPTABLE;
		return END_NONE;
	}
	if (s->from_gateway)
		f->server_flags |= SERVER_RST_GATEWAY;
	f->server_rst = now;
	return END_RST;
}

/*
 * Does the payload extend beyond ISN+1? A keep-alive probe (RFC 9293 3.8.4) does not. Payload
 * outside the window does not count: before a side's first payload, the window is its first flight.
 */
static __always_inline bool has_new_payload(const struct segment *s, __u32 isn, __u64 first)
{
	__u32 reach = s->seq + s->payload - isn - 1;

	return s->payload && reach && reach < (first ? 1U << 30 : FIRST_WINDOW + s->payload);
}

/*
 * Returns the bytes of payload that the SYN carried and the server took. The client's next payload
 * starts after them.
 */
static __always_inline __u32 syn_data(const struct flow *f)
{
	return f->server_flags & SERVER_TOOK_SYN_DATA ? f->syn_payload : 0;
}

/*
 * Is this the first payload again? offset is where the segment starts, relative to that payload. A
 * segment within COPY_NS of the last transmission is a copy.
 */
static __always_inline bool is_retransmission(__u32 offset, __u64 first, __u32 *retransmit_us,
					      __u64 now)
{
	__u64 us;

	if (offset || (__s64)(now - payload_last(first, *retransmit_us)) <= (__s64)COPY_NS)
		return false;
	us = (now - first) / MICROSECOND_NS;
	*retransmit_us = us > 0xffffffff ? 0xffffffff : us;
	return true;
}

static __always_inline bool is_full_sized(__u32 size, __u32 mss)
{
	return size + FULL_SLACK >= (mss ? mss : FULL_SIZE + FULL_SLACK);
}

/*
 * Both sides have sent payload. Is the first payload of the second side a full-sized segment
 * without an ACK? A black hole for large packets drops exactly this segment, so the flow waits for
 * its ACK.
 */
static __always_inline bool is_second_payload_unacked(const struct flow *f)
{
	if (f->client_first > f->server_first)
		return !f->server_acked && f->client_retransmits < BLACK_HOLE_RETRANSMITS &&
		       f->client_segments < ONE_SIDED_SEGMENTS &&
		       is_full_sized(f->client_size, f->server_mss);
	return f->synack && !(f->client_flags & CLIENT_ACKED) &&
	       f->server_retransmits < BLACK_HOLE_RETRANSMITS &&
	       f->server_segments < ONE_SIDED_SEGMENTS &&
	       is_full_sized(f->server_size, f->client_mss);
}

static __always_inline void track_client(struct flow *f, const struct segment *s, __u64 now)
{
	bool in_window = seq_within(s->seq, f->client_isn + 1, OPENING_WINDOW);
	__u32 offset = s->seq - f->client_isn - 1 - syn_data(f);

	if (f->synack || f->server_flags & SERVER_SYN) {
		if (!f->ack && seq_within(s->ack, f->server_isn + 1, ACK_WINDOW) &&
		    seq_within(s->seq, f->client_isn + 1, f->synack ? ACK_WINDOW : FIRST_WINDOW))
			f->ack = now;
	} else if (seq_within(s->seq, f->client_isn + 1,
			      is_handshake_done(f) ? OPENING_WINDOW : FIRST_WINDOW)) {
		f->client_flags |= CLIENT_IMPLIES_SYNACK;
	} else {
		return;
	}
	if (has_new_payload(s, f->client_isn, f->client_first)) {
		if (!f->client_first) {
			f->client_first = now;
			f->client_size = s->payload > 0xffff ? 0xffff : s->payload;
			if (offset && in_window)
				f->client_flags |= CLIENT_GAP;
		} else if (is_retransmission(offset, f->client_first, &f->client_retransmit_us,
					     now)) {
			if (f->client_retransmits < 0xff)
				f->client_retransmits++;
		}
		if (f->client_segments < ONE_SIDED_SEGMENTS &&
		    (!f->server_first || f->client_first > f->server_first))
			f->client_segments++;
	}
	if (f->server_first && seq_within(s->ack, f->server_isn + 2, OPENING_WINDOW))
		f->client_flags |= CLIENT_ACKED;
	if (s->flags & TCP_FIN && !f->client_fin &&
	    is_plausible_end(s, f->client_isn, f->client_first))
		f->client_fin = now;
}

static __always_inline void track_server(struct flow *f, const struct segment *s, __u64 now)
{
	__u32 acked = s->ack - f->client_isn - 1;

	if (!f->synack) {
		/*
		 * an old connection on the same four-tuple answers like this (challenge ACK, RFC
		 * 5961), and a SYN of the server alone does not prove an open connection either
		 */
		if (acked >= (is_handshake_done(f) ? OPENING_WINDOW : FIRST_WINDOW) ||
		    (acked <= f->syn_payload && !s->payload)) {
			if (!(f->server_flags & SERVER_SYN))
				f->server_flags |= SERVER_CHALLENGED;
			return;
		}
		f->server_flags |= SERVER_IMPLIES_OPEN;
		if (s->payload && !f->server_first)
			f->server_first = now;
	} else if (has_new_payload(s, f->server_isn, f->server_first)) {
		if (!f->server_first) {
			f->server_first = now;
			f->server_size = s->payload > 0xffff ? 0xffff : s->payload;
		} else if (is_retransmission(s->seq - f->server_isn - 1, f->server_first,
					     &f->server_retransmit_us, now)) {
			if (f->server_retransmits < 0xff)
				f->server_retransmits++;
		}
		/*
		 * before the ACK of the handshake: usual with Fast Open only, else the ACK took
		 * another path
		 */
		if (!f->ack && f->synack &&
		    (!f->syn_payload || f->server_flags & SERVER_TOOK_SYN_DATA))
			f->server_flags |= SERVER_IMPLIES_OPEN;
	}
	if (f->client_first && acked > syn_data(f) && acked < OPENING_WINDOW)
		f->server_acked = 1;
	if (f->server_first && s->payload && f->server_segments < ONE_SIDED_SEGMENTS &&
	    (!f->client_first || f->client_first <= f->server_first))
		f->server_segments++;
	if (s->flags & TCP_FIN && !f->server_fin &&
	    (!f->synack || is_plausible_end(s, f->server_isn, f->server_first)))
		f->server_fin = now;
}

static __always_inline void track_icmp(struct flow *f, const struct segment *s, bool from_client,
				       __u64 now)
{
	if (s->icmp_too_big &&
	    seq_within(s->seq, (from_client ? f->client_isn : f->server_isn) + 1, OPENING_WINDOW))
		f->icmp_flags |= ICMP_TOO_BIG;
	/*
	 * only an error about this attempt's SYN: all others are about another attempt or a later
	 * segment
	 */
	if (!from_client || s->seq != f->client_isn)
		return;
	if (f->icmp_flags & ICMP_HARD || (f->icmp_flags & ICMP_SEEN && !s->icmp_hard))
		return;
	f->icmp = now;
	f->icmp_from = s->icmp_from;
	f->icmp_type = s->icmp_type;
	f->icmp_code = s->icmp_code;
	f->icmp_flags = (f->icmp_flags & ICMP_TOO_BIG) | ICMP_SEEN |
			(s->icmp_hard ? ICMP_HARD : 0) | (s->from_gateway ? ICMP_GATEWAY : 0);
}

/* Does track() need the time for this segment? Not for a bare ACK after the handshake. */
static __always_inline bool segment_needs_time(const struct flow *f, const struct segment *s,
					       bool from_client)
{
	return s->kind != SEGMENT_TCP || s->payload || s->flags & (TCP_SYN | TCP_FIN | TCP_RST) ||
	       (from_client && !f->ack);
}

/*
 * Applies a segment to its opening flow, unless starts_new_attempt(). now may be 0 if
 * segment_needs_time() is false. Returns why the flow has settled, or END_NONE.
 */
static __always_inline enum end_reason track(struct flow *f, const struct segment *s,
					     bool from_client, __u64 now)
{
	if (s->kind == SEGMENT_ICMP_ERROR) {
		track_icmp(f, s, from_client, now);
		return END_NONE;
	}
	if (s->flags & TCP_RST)
		return track_rst(f, s, from_client, now);
	if (s->flags & TCP_SYN) {
		if (s->flags & TCP_ACK)
			track_synack(f, s, from_client, now);
		else
			track_syn(f, s, from_client, now);
		return END_NONE;
	}
	if (!(s->flags & TCP_ACK))
		return END_NONE;
	if (from_client)
		track_client(f, s, now);
	else
		track_server(f, s, now);

	if (f->server_first && (f->client_first || f->server_flags & SERVER_TOOK_SYN_DATA) &&
	    !is_second_payload_unacked(f))
		return END_PAYLOAD;
	if (f->client_fin && f->server_fin)
		return END_FIN;
	if (f->client_segments >= ONE_SIDED_SEGMENTS || f->server_segments >= ONE_SIDED_SEGMENTS)
		return END_ONE_SIDED;
	return END_NONE;
}

/*
 * May this flow be evicted for a newer attempt? Any attempt of an unverified client may: a flood's
 * SYNs are answered as well.
 */
static __always_inline bool is_evictable(const struct flow *f, bool is_verified, __u64 now)
{
	if (is_handshake_complete(f))
		return false;
	return !is_verified || !f->synack || (__s64)(now - f->synack) > (__s64)ANSWERED_NS;
}

/*
 * Returns now, but never a time before the first SYN: another CPU may have read its clock before
 * this flow started.
 */
static __always_inline __u64 settled_at(const struct flow *f, __u64 now)
{
	return (__s64)(now - f->syn_times[0]) < 0 ? f->syn_times[0] : now;
}

/*
 * Has this flow settled by the passage of time? Under pressure, when the table is nearly full, idle
 * flows settle early: soon without a handshake, later with one. Returns END_NONE if not.
 */
static __always_inline enum end_reason settle_due(const struct flow *f, __u64 now,
						  bool under_pressure)
{
	__s64 idle = now - last_activity(f);

	if (under_pressure && idle > (__s64)(is_handshake_complete(f) ? PRESSURE_ESTABLISHED_NS
								      : PRESSURE_OPENING_NS))
		return END_PRESSURE;
	/*
	 * an established connection may stay idle without payload; after one side's FIN it times
	 * out
	 */
	if (is_handshake_complete(f) && !f->client_fin && !f->server_fin &&
	    !(f->client_first && f->server_first))
		return END_NONE;
	return idle > (__s64)SILENCE_NS ? END_TIMEOUT : END_NONE;
}
