/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What does this segment change in its flow? Knows nothing of where flows are stored.
 *
 * A flow is *opening* from its first SYN until it settles; only opening flows exist. All sequence
 * comparisons are modulo 2^32 (RFC 9293 3.4). Each field of struct flow is written by segments of
 * one direction only, so that both directions may be at work on two CPUs without a lock; whoever
 * sees last that both sides have sent payload settles the flow, and the table hands a flow out once.
 */
#pragma once

#include "segment.h"

/* The same segment again so soon is a copy made by a SPAN port: TCP's own timers are slower. */
#define COPY_NS (10 * MILLISECOND_NS)

/* Linux waits up to 64 s between two SYNs: twice that and nothing more is to be expected. */
#define SILENCE_NS (130 * SECOND_NS)

/* Under pressure, what has been idle for so long settles early. */
#define PRESSURE_OPENING_NS (5 * SECOND_NS)
#define PRESSURE_ESTABLISHED_NS (60 * SECOND_NS)

/* An answered attempt does not give its place to a newer one before the client had time for its ACK. */
#define ANSWERED_NS SECOND_NS

/* How long a settled connection is remembered, lest a late copy of its SYN make a phantom. */
#define LAST_CLOSED_NS (2 * SECOND_NS)

/* A one-way stream leaves the slow path after so many segments with payload. */
#define ONE_SIDED_SEGMENTS 64

/*
 * A flow that is opening has moved little: what lies further from the ISN is of another connection,
 * or forged.
 */
#define OPENING_WINDOW (1U << 23)

/*
 * A segment is full when so little of the MSS is missing: options take their part of it (RFC 6691).
 * Without an MSS, what a 1280-byte packet (the least that IPv6 carries, RFC 8200 5) could not hold.
 */
#define FULL_SLACK 60
#define FULL_SIZE 1220

/* A full segment that was sent again so often without an ACK is not let through. */
#define BLACK_HOLE_RETRANSMITS 3

/* A handshake ACK may have been missed: then the client is found a little further on. */
#define ACK_WINDOW (1U << 20)

/*
 * What begins an end's speech lies so close behind its ISN: the first flight (RFC 6928) and more. A
 * blind packet hits that once in 65 536; the ends themselves are easier to hit.
 */
#define FIRST_WINDOW (1U << 16)

/* Is a within n bytes behind b? */
static __always_inline bool seq_within(__u32 a, __u32 b, __u32 n)
{
	return a - b < n;
}

static __always_inline bool is_syn(const struct segment *s)
{
	return s->kind == SEGMENT_TCP && (s->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN;
}

/*
 * Fills the segment's key, and which end of it is the source. Without a branch once it is known which
 * end is the lower one: a verifier would follow both ways from here on.
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
 * Did both sides take part in the handshake, as far as we saw? What one side alone says can be
 * forged by anybody, so it earns no lasting place in the table.
 */
static __always_inline bool is_handshake_complete(const struct flow *f)
{
	return f->synack && f->ack;
}

/* 0 when the first payload has not come. */
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

/* Four billion are the most that is counted. No branch. */
static __always_inline void count_saturating(__u32 *count)
{
	__u64 more = *count + 1ULL;

	*count = more - (more >> 32);
}

/* A new attempt, from its first SYN. The caller has zeroed *f. */
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
	if (s->has_mac && !s->egress) { /* leaving, the source MAC is this very host's */
		f->client_flags |= CLIENT_HAS_MAC;
		__builtin_memcpy(f->client_mac, s->mac, 6);
	}
}

/* Does this SYN begin another attempt, although its four-tuple is opening already? */
static __always_inline bool starts_new_attempt(const struct flow *f, const struct segment *s,
					       bool from_client, __u64 now)
{
	if ((__s64)(now - last_activity(f)) > (__s64)SILENCE_NS)
		return true;
	if (from_client)
		return s->seq != f->client_isn;
	/* the other way round: a simultaneous open while the first SYN is unanswered */
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
 * Could a RST or FIN of this sequence number be the side's own? The other end is stricter (RFC 5961
 * 3.2), but we may not have seen all that was sent.
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
 * Does the payload reach beyond ISN+1? A keep-alive probe (RFC 9293 3.8.4) does not, nor what is out of
 * window: of a side that has not spoken, what begins further on than its first flight could.
 */
static __always_inline bool has_new_payload(const struct segment *s, __u32 isn, __u64 first)
{
	__u32 reach = s->seq + s->payload - isn - 1;

	return s->payload && reach && reach < (first ? 1U << 30 : FIRST_WINDOW + s->payload);
}

/* Bytes of payload that the handshake itself carried: the first to come begins behind them. */
static __always_inline __u32 syn_data(const struct flow *f)
{
	return f->server_flags & SERVER_TOOK_SYN_DATA ? f->syn_payload : 0;
}

/*
 * Was the first payload sent again? behind is how far behind it the segment begins; what comes
 * within COPY_NS of the last time is a copy.
 */
static __always_inline bool is_retransmission(__u32 behind, __u64 first, __u32 *retransmit_us,
					      __u64 now)
{
	__u64 us;

	if (behind || (__s64)(now - payload_last(first, *retransmit_us)) <= (__s64)COPY_NS)
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
 * Both sides have spoken. Is the second one's first payload a full segment that nobody has
 * acknowledged yet? A black hole for large packets swallows just that one, so it is waited for.
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
	__u32 behind = s->seq - f->client_isn - 1 - syn_data(f);

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
			if (behind && in_window)
				f->client_flags |= CLIENT_GAP;
		} else if (is_retransmission(behind, f->client_first, &f->client_retransmit_us,
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
		 * an old connection of the same four-tuple answers like this (challenge ACK, RFC
		 * 5961); nor does a SYN of the server's alone prove anything
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
		/* before the handshake ACK: usual with Fast Open only, else the ACK passed elsewhere */
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
	/* "it quotes this attempt's SYN": anything else is about another attempt or a later segment
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

/* Does anything that this segment may do need the time: a field, another attempt, the end? */
static __always_inline bool segment_needs_time(const struct flow *f, const struct segment *s,
					       bool from_client)
{
	return s->kind != SEGMENT_TCP || s->payload || s->flags & (TCP_SYN | TCP_FIN | TCP_RST) ||
	       (from_client && !f->ack);
}

/*
 * A segment of a flow that is opening, unless starts_new_attempt(); now may be 0 where segment_needs_time() says
 * so. Answers whether the flow has
 * settled, and by what.
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
 * May this flow give its place to a newer attempt, when there is no other? Of a client that has
 * never been seen to complete a handshake, any attempt may: a flood's SYNs are answered as well.
 */
static __always_inline bool is_evictable(const struct flow *f, bool proven_client, __u64 now)
{
	if (is_handshake_complete(f))
		return false;
	return !proven_client || !f->synack || (__s64)(now - f->synack) > (__s64)ANSWERED_NS;
}

/* Another CPU may have read its clock before this flow's SYN came, and look at the flow after it. */
static __always_inline __u64 settled_at(const struct flow *f, __u64 now)
{
	return (__s64)(now - f->syn_times[0]) < 0 ? f->syn_times[0] : now;
}

/*
 * Has this flow settled by the passing of time? Under pressure (the table is nearly full) what is
 * idle gives its place: soon without a handshake, later with one.
 */
static __always_inline enum end_reason settle_due(const struct flow *f, __u64 now,
						  bool under_pressure)
{
	__s64 idle = now - last_activity(f);

	if (under_pressure && idle > (__s64)(is_handshake_complete(f) ? PRESSURE_ESTABLISHED_NS
								      : PRESSURE_OPENING_NS))
		return END_PRESSURE;
	/* an established connection without payload may stay idle; one side gone, it is left to die */
	if (is_handshake_complete(f) && !f->client_fin && !f->server_fin &&
	    !(f->client_first && f->server_first))
		return END_NONE;
	return idle > (__s64)SILENCE_NS ? END_TIMEOUT : END_NONE;
}
