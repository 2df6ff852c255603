/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The TCP options of a SYN or SYN-ACK (RFC 9293 3.2): MSS, time stamps, and the traits in which
 * systems differ.
 *
 * Buys: the MSS wherever it stands among the options, and traits of the SYNs that a path drops.
 * Costs: a helper call and a walk over some five options, for the first SYN and the first SYN-ACK
 * of an attempt. With the first bytes of payload, less than 0.2 us a connection, which is below the
 * noise of bench-cost.
 */
#pragma once

#include "record.h"

#define MAX_OPTION_BYTES 40 /* data offset of 15 words */

/* Options that are examined. Every stack in use sends fewer, including those for padding. */
#define MAX_OPTIONS 16

enum {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_MSS = 2,
	TCP_OPTION_SCALE = 3,
	TCP_OPTION_SACK_PERMITTED = 4,
	TCP_OPTION_TIMESTAMP = 8,
	TCP_OPTION_MPTCP = 30, /* RFC 8684 3 */
	TCP_OPTION_FAST_OPEN = 34, /* RFC 7413 4.1.1 */
	TCP_OPTION_EXPERIMENT = 254, /* RFC 6994 */
};

#define EXPERIMENT_FAST_OPEN 0xf989 /* RFC 7413 4.1.1 */

struct segment_options {
	__u32 syn_options; /* as in struct flow, without SYN_ECN */
	__u32 tsval; /* 0 without SYN_TIMESTAMP, as tsecr */
	__u32 tsecr;
	__u16 mss; /* 0 if absent */
	__u8 length; /* of bytes */
	__u8 at; /* of the next option in bytes */
	/* the verifier assumes offsets up to 63 in option_at(); an option is read up to 10 bytes */
	__u8 bytes[80];
};

static __always_inline const __u8 *option_at(const struct segment_options *o, __u32 at)
{
	__u64 bounded = at;

#ifdef __bpf__
	asm volatile("%0 &= 63" : "+r"(bounded)); /* see header_at() */
#endif
	return o->bytes + bounded;
}

static __always_inline __u32 option_code(__u8 kind)
{
	if (kind <= TCP_OPTION_SACK_PERMITTED) /* the codes are equal to the kinds */
		return kind;
	if (kind == TCP_OPTION_TIMESTAMP)
		return SYN_OPTION_TIMESTAMP;
	return kind == TCP_OPTION_MPTCP ? SYN_OPTION_MPTCP : SYN_OPTION_OTHER;
}

static __always_inline bool is_fast_open(const __u8 *option, __u32 size)
{
	return option[0] == TCP_OPTION_FAST_OPEN ||
	       (option[0] == TCP_OPTION_EXPERIMENT && size >= 4 &&
		get_be16(option + 2) == EXPERIMENT_FAST_OPEN);
}

/* Stores the value of an option. As in Linux, an option of a wrong size has no effect. */
static __always_inline void option_read(struct segment_options *o, const __u8 *option, __u32 size)
{
	__u32 scale;

	switch (option[0]) {
	case TCP_OPTION_MSS:
		if (size == 4)
			o->mss = get_be16(option + 2);
		break;
	case TCP_OPTION_SCALE:
		if (size != 3)
			break;
		scale = option[2] > 14 ? 14 : option[2]; /* RFC 7323 2.3 */
		o->syn_options &= ~(SYN_NO_SCALE << SYN_SCALE_SHIFT);
		o->syn_options |= scale << SYN_SCALE_SHIFT;
		break;
	case TCP_OPTION_TIMESTAMP:
		if (size != 10)
			break;
		o->syn_options |= SYN_TIMESTAMP;
		o->tsval = get_be32(option + 2);
		o->tsecr = get_be32(option + 6);
		break;
	case TCP_OPTION_MPTCP:
		o->syn_options |= SYN_MPTCP;
		break;
	default:
		if (is_fast_open(option, size))
			o->syn_options |= SYN_FAST_OPEN;
	}
}

static __always_inline void options_clear(struct segment_options *o)
{
	o->syn_options = SYN_NO_SCALE << SYN_SCALE_SHIFT;
	o->tsval = 0;
	o->tsecr = 0;
	o->mss = 0;
	o->length = 0;
	o->at = 0;
}

/*
 * Examines option i, after options_clear() and the options before it. Returns false after the last
 * one. The caller examines at most MAX_OPTIONS.
 */
static __always_inline bool option_next(struct segment_options *o, __u32 i)
{
	__u32 at = o->at, length = o->length, size;
	const __u8 *option;

	if (at >= length)
		return false;
	option = option_at(o, at);
	if (option[0] == TCP_OPTION_END)
		return false;
	/* if option[1] is beyond the length, the option is as well, whatever its size is */
	size = option[0] == TCP_OPTION_NOP ? 1 : option[1];
	if (size < 1 + (option[0] != TCP_OPTION_NOP) || at + size > length)
		return false;
	if (i < SYN_OPTIONS)
		o->syn_options |= option_code(option[0]) << i * SYN_OPTION_BITS;
	option_read(o, option, size);
	o->at = at + size;
	return true;
}
