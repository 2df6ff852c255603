/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Applies segments to a flow, and decides when the flow settles. It does not depend on how flows
 * are stored.
 *
 * A flow is opening from its first SYN until it settles; only opening flows are stored. Sequence
 * numbers are compared modulo 2^32 (RFC 9293 3.4). Both directions of a connection may be processed
 * on two CPUs at once. The caller therefore holds the lock of the flow's bucket while one of these
 * functions changes the flow.
 */
#pragma once

#include "segment.h"

/*
 * A repeated segment within this time is a copy made by a SPAN port: all timers of TCP are longer.
 */
#define COPY_NS (10 * MILLISECOND_NS)

/*
 * A flow that was silent for this time settles. Linux waits up to 64 s between two SYNs; this is
 * twice as long.
 */
#define SILENCE_NS (130 * SECOND_NS)

/*
 * Under pressure, a flow that was idle for this time settles early, without and with a complete
 * handshake.
 */
#define PRESSURE_OPENING_NS (5 * SECOND_NS)
#define PRESSURE_ESTABLISHED_NS (60 * SECOND_NS)

/*
 * A verified client's attempt is not evicted in this time after its SYN-ACK, so that the ACK can
 * arrive.
 */
#define ANSWERED_NS SECOND_NS

/*
 * Time for which a settled connection is remembered. A late copy of its SYN is then no new attempt.
 */
#define LAST_CLOSED_NS (2 * SECOND_NS)

/* Number of segments with payload after which a one-way stream settles and leaves the slow path. */
#define ONE_SIDED_SEGMENTS 64

/*
 * Bytes that an opening flow can have transferred in one direction. A segment further from the ISN
 * belongs to another connection, or is forged.
 */
#define OPENING_WINDOW (1U << 23)

/*
 * Bytes. A segment is full-sized if its payload is at most FULL_SLACK smaller than the MSS, since
 * options use part of the MSS (RFC 6691). FULL_SIZE is used when the MSS is unknown: the payload of
 * a packet of 1280 bytes, the minimum MTU of IPv6 (RFC 8200 5).
 */
#define FULL_SLACK 60
#define FULL_SIZE 1220

/*
 * A full-sized segment that was retransmitted so often without an ACK is taken to be lost in a
 * black hole.
 */
#define BLACK_HOLE_RETRANSMITS 3

/*
 * If the ACK of the handshake was not seen, a later segment of the client stands for it. It must be
 * within this many bytes of the ISN.
 */
#define ACK_WINDOW (1U << 20)

/*
 * Bytes. The first payload of a side starts this close to its ISN: the initial window (RFC 6928)
 * and more. A blind attacker hits it once in 65 536 packets.
 */
#define FIRST_WINDOW (1U << 16)

/* Returns true if a is in the range of n sequence numbers that starts at b. */
static __always_inline bool seq_within(__u32 a, __u32 b, __u32 n)
{
	return a - b < n;
}

static __always_inline bool is_syn(const struct segment *s)
{
	return s->kind == SEGMENT_TCP && (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/*
 * Sets s->key and s->from_end_1. There is no branch after the two ends have been ordered: the
 * verifier would follow both branches from there on.
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

/*
 * Fills in *r from a SYN-ACK that belongs to no opening flow. Its receiver is the client. If the
 * same SYN was sent to another server, that connect is answered from an address that the client
 * did not call.
 */
static __always_inline void record_synack_alone(struct record *r, struct segment *s, __u64 now)
{
	segment_set_key(s);
	__builtin_memset(r, 0, sizeof(*r));
	r->version = RECORD_VERSION;
	r->end_reason = END_SYNACK_ALONE;
	r->settled = now;
	r->key = s->key;
	r->flow.client_flags = CLIENT_IS_END_1 * !s->from_end_1;
	r->flow.client_isn = s->ack - 1;
	r->flow.server_isn = s->seq;
	r->flow.synack = now;
	r->flow.synack_last = now;
	r->flow.synack_count = 1;
	r->flow.synack_window = s->window;
	r->flow.synack_ttl = s->ttl;
	r->flow.hash = s->hash;
}

static __always_inline bool is_handshake_done(const struct flow *f)
{
	return f->ack || f->server_flags & SERVER_IMPLIES_OPEN ||
	       f->client_flags & CLIENT_IMPLIES_SYNACK;
}

/*
 * Returns true if the SYN-ACK and the ACK were seen. Anyone can forge the segments of one side, so
 * these alone do not protect a flow from eviction.
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

/* Increments up to 2^16 - 1, without a branch. */
static __always_inline void count_saturating(__u16 *count)
{
	__u32 more = *count + 1U;

	*count = more - (more >> 16);
}

static __always_inline __u16 saturate(__u32 number)
{
	return number > 0xffff ? 0xffff : number;
}

/* Initialises a flow from the first SYN of an attempt. The caller has zeroed *f. */
static __always_inline void flow_start(struct flow *f, const struct segment *s, bool from_end_1,
				       __u64 now)
{
	f->syn_times[0] = now;
	f->syn_last = now;
	f->syn_count = 1;
	f->client_isn = s->seq;
	f->syn_ip_id = s->ip_id;
	f->syn_payload = saturate(s->payload);
	f->syn_ttl = s->ttl;
	f->syn_window = s->window;
	f->syn_options = s->options.syn_options;
	if ((s->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR))
		f->syn_options |= SYN_ECN;
	f->syn_tsval = s->options.tsval;
	f->client_mss = s->options.mss;
	if (from_end_1)
		f->client_flags |= CLIENT_IS_END_1;
	if (s->egress)
		f->client_flags |= CLIENT_EGRESS;
	if (s->other_host)
		f->client_flags |= CLIENT_OTHER_HOST;
	if (s->has_mac && !s->egress) { /* at egress the source MAC is this host's */
		f->client_flags |= CLIENT_HAS_MAC;
		__builtin_memcpy(f->client_mac, s->mac, 6);
	}
}

/* Returns true if this SYN starts a new attempt although a flow with its four-tuple is opening. */
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
		if (!f->synack && !is_handshake_done(f))
			f->server_flags |= SERVER_IGNORED_SYNACK;
		return;
	}
	if (!f->synack) {
		f->synack = now;
		f->synack_count = 1;
		f->synack_last = now;
		f->synack_ip_id = s->ip_id;
		f->server_isn = s->seq;
		f->server_mss = s->options.mss;
		f->synack_window = s->window;
		f->synack_ttl = s->ttl;
		f->synack_tsecr = s->options.tsecr;
		if (s->options.syn_options & SYN_TIMESTAMP)
			f->server_flags |= SERVER_TIMESTAMP;
		if (s->from_gateway)
			f->server_flags |= SERVER_SYNACK_GATEWAY;
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
 * Returns true if a RST or FIN with this sequence number may come from the side itself. The
 * receiver is stricter (RFC 5961 3.2), but the probe may have missed segments. first is the time of
 * the side's first payload, or 0.
 */
static __always_inline bool is_plausible_end(const struct segment *s, __u32 isn, __u64 first)
{
	return seq_within(s->seq, isn, first ? OPENING_WINDOW : FIRST_WINDOW);
}

/* Describes an RST of the server. */
static __always_inline void rst_set(struct flow *f, const struct segment *s)
{
	f->rst_ttl = s->ttl;
	f->rst_acked = s->flags & TCP_ACK ? saturate(s->ack - f->client_isn) : RST_ACKS_NOTHING;
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
			if (!(f->server_flags & SERVER_IGNORED_RST))
				rst_set(f, s);
			f->server_flags |= SERVER_IGNORED_RST;
			return END_NONE;
		}
		f->server_flags |= SERVER_REFUSED;
	} else if (f->synack && !is_plausible_end(s, f->server_isn, f->server_first) &&
		   (f->ack || !answers_syn)) {
		return END_NONE;
	}
	if (s->from_gateway)
		f->server_flags |= SERVER_RST_GATEWAY;
	rst_set(f, s);
	f->server_rst = now;
	return END_RST;
}

/*
 * Returns true if the payload extends beyond ISN+1; that of a keep-alive probe (RFC 9293 3.8.4)
 * does not. Payload outside the window does not count. Before a side's first payload, the window is
 * its first flight.
 */
static __always_inline bool has_new_payload(const struct segment *s, __u32 isn, __u64 first)
{
	__u32 reach = s->seq + s->payload - isn - 1;

	return s->payload && reach && reach < (first ? 1U << 30 : FIRST_WINDOW + s->payload);
}

/*
 * Returns the number of payload bytes of the SYN that the server accepted. The client's next
 * payload starts after them.
 */
static __always_inline __u32 syn_data(const struct flow *f)
{
	return f->server_flags & SERVER_TOOK_SYN_DATA ? f->syn_payload : 0;
}

/*
 * Returns true if the segment starts with the first byte after the side's SYN, as far as the SYN
 * was seen.
 */
static __always_inline bool starts_stream(const struct flow *f, const struct segment *s,
					  bool from_client)
{
	if (from_client)
		return s->seq == f->client_isn + 1;
	return f->synack && s->seq == f->server_isn + 1;
}

/* Returns which part of the packet track() uses, as enum segment_need. */
static __always_inline __u8 segment_needs(const struct flow *f, const struct segment *s,
					  bool from_client)
{
	__u8 flags = s->flags & (TCP_SYN | TCP_RST | TCP_ACK);

	if (s->kind != SEGMENT_TCP)
		return NEEDS_NOTHING;
	if (flags == (TCP_SYN | TCP_ACK))
		return from_client || f->synack ? NEEDS_NOTHING : NEEDS_OPTIONS;
	if (flags != TCP_ACK || !s->payload || !starts_stream(f, s, from_client))
		return NEEDS_NOTHING;
	return (from_client ? f->client_flags & CLIENT_FIRST_BYTE
			    : f->server_flags & SERVER_FIRST_BYTE)
		       ? NEEDS_NOTHING
		       : NEEDS_PAYLOAD;
}

/*
 * Returns true if the segment acknowledges payload or the FIN of the other side. isn and data are
 * the other side's, where data is the number of bytes in its SYN that were accepted. Both numbers
 * must be near, so that a blind attacker hits them once in 262 144 packets.
 */
static __always_inline bool acks_payload(const struct segment *s, __u32 own_isn, __u32 isn,
					 __u32 data)
{
	return seq_within(s->ack, isn + 2 + data, OPENING_WINDOW) &&
	       seq_within(s->seq, own_isn + 1, OPENING_WINDOW);
}

/*
 * Returns true if the segment retransmits the first payload. offset is the segment's start relative
 * to that payload. A segment within COPY_NS of the last transmission is a copy. Updates
 * *retransmit_us.
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
 * Called once both sides have sent payload. Returns true if the first payload of the second side is
 * a full-sized segment that is not acknowledged. A black hole for large packets drops exactly this
 * segment, so the flow waits for its ACK.
 */
static __always_inline bool is_second_payload_unacked(const struct flow *f)
{
	if (f->client_first > f->server_first)
		return !(f->server_flags & SERVER_ACKED) &&
		       f->client_retransmits < BLACK_HOLE_RETRANSMITS &&
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
	__u32 offset = s->seq - f->client_isn - 1 - syn_data(f), reach = offset + s->payload;

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
			f->client_size = saturate(s->payload);
			if (offset && in_window)
				f->client_flags |= CLIENT_GAP;
		} else if (is_retransmission(offset, f->client_first, &f->client_retransmit_us,
					     now)) {
			if (f->client_retransmits < 0xff)
				f->client_retransmits++;
		}
		if (s->has_first_byte) {
			f->client_flags |= CLIENT_FIRST_BYTE;
			f->client_first_byte = s->first_byte;
			f->client_alert_level = s->alert_level;
		}
		if (!f->server_first && reach <= OPENING_WINDOW && reach > f->client_flight)
			f->client_flight = saturate(reach);
		if (f->client_segments < ONE_SIDED_SEGMENTS &&
		    (!f->server_first || f->client_first > f->server_first))
			f->client_segments++;
	}
	if (f->server_first && seq_within(s->ack, f->server_isn + 2, OPENING_WINDOW))
		f->client_flags |= CLIENT_ACKED;
	if (f->synack && !f->server_first && !f->server_fin &&
	    acks_payload(s, f->client_isn, f->server_isn, 0))
		f->client_flags |= CLIENT_ACKS_UNSEEN;
	if (s->flags & TCP_FIN && !f->client_fin &&
	    is_plausible_end(s, f->client_isn, f->client_first))
		f->client_fin = now;
}

static __always_inline void track_server(struct flow *f, const struct segment *s, __u64 now)
{
	__u32 acked = s->ack - f->client_isn - 1;

	if (!f->synack) {
		/*
		 * a challenge ACK of an old connection on the same four-tuple (RFC 5961) looks like
		 * this; a SYN of the server alone does not prove an open connection either
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
			f->server_size = saturate(s->payload);
		} else if (is_retransmission(s->seq - f->server_isn - 1, f->server_first,
					     &f->server_retransmit_us, now)) {
			if (f->server_retransmits < 0xff)
				f->server_retransmits++;
		}
		if (s->has_first_byte) {
			f->server_flags |= SERVER_FIRST_BYTE;
			f->server_first_byte = s->first_byte;
			f->server_alert_level = s->alert_level;
		}
		/*
		 * payload before the ACK of the handshake is usual with Fast Open only; otherwise
		 * the ACK took another path
		 */
		if (!f->ack && f->synack &&
		    (!f->syn_payload || f->server_flags & SERVER_TOOK_SYN_DATA))
			f->server_flags |= SERVER_IMPLIES_OPEN;
	}
	if (f->client_first && acked > syn_data(f) && acked < OPENING_WINDOW)
		f->server_flags |= SERVER_ACKED;
	if (f->synack && !f->client_first && !f->client_fin &&
	    acks_payload(s, f->server_isn, f->client_isn, syn_data(f)))
		f->server_flags |= SERVER_ACKS_UNSEEN;
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
	/* ignore errors about another attempt or about a later segment */
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

/*
 * Returns true if track() needs the time for this segment. A bare ACK after the handshake does not.
 */
static __always_inline bool segment_needs_time(const struct flow *f, const struct segment *s,
					       bool from_client)
{
	return s->kind != SEGMENT_TCP || s->payload || s->flags & (TCP_SYN | TCP_FIN | TCP_RST) ||
	       (from_client && !f->ack);
}

/*
 * Applies a segment to its opening flow. The caller has checked starts_new_attempt(). now is in ns,
 * or 0 if segment_needs_time() is false. Returns why the flow has settled, or END_NONE.
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
 * Returns true if this flow may be evicted for a newer attempt. Any attempt of an unverified client
 * may be evicted: a flood's SYNs are answered as well.
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
 * Returns why the flow has settled by the passage of time, or END_NONE. Under pressure, when the
 * table is nearly full, idle flows settle early: soon without a handshake, later with one.
 */
static __always_inline enum end_reason settle_due(const struct flow *f, __u64 now,
						  bool under_pressure)
{
	__s64 idle = now - last_activity(f);

	if (under_pressure && idle > (__s64)(is_handshake_complete(f) ? PRESSURE_ESTABLISHED_NS
								      : PRESSURE_OPENING_NS))
		return END_PRESSURE;
	/*
	 * an established connection may stay idle without payload; after the FIN of one side it
	 * times out
	 */
	if (is_handshake_complete(f) && !f->client_fin && !f->server_fin &&
	    !(f->client_first && f->server_first))
		return END_NONE;
	return idle > (__s64)SILENCE_NS ? END_TIMEOUT : END_NONE;
}
