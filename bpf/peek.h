/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads TCP options and single bytes of payload from an skb, and sends the first payload of DNS. The helpers also read outside the
 * linear part, where the stack of this host puts the payload of what it sends.
 *
 * read_needs() is global, so that the verifier examines it once, apart from its callers.
 */
#pragma once

#include "dns_send.h"
#include "maps.h"
#include "skb.h"

/*
 * Examines option i of the segment in this CPU's scratch. This function is global, so that the
 * verifier does not examine it once for each option: that costs 11 000 to 30 000 instructions.
 */
__noinline int read_option(__u32 i)
{
	struct scratch *scratch = this_cpu_scratch();

	return scratch && option_next(&scratch->segment.options, i);
}

static __always_inline void read_options(struct __sk_buff *skb, struct scratch *scratch)
{
	struct segment *s = &scratch->segment;
	__u64 length;
	__u32 i;

	options_clear(&s->options);
	length = options_available(s, scratch->tunnel_length ?: skb->len);
	if (length > MAX_OPTION_BYTES)
		length = MAX_OPTION_BYTES;
	if (length < 2) /* no option with a value */
		return;
	s->options.length = length;
	barrier_var(length); /* see slow_path_copy() */
	if (load_bytes(skb, scratch->tunnel_length, s->tcp_offset + TCP_HEADER, s->options.bytes,
		       length))
		return;
#pragma nounroll
	for (i = 0; i < MAX_OPTIONS; i++)
		if (!read_option(i))
			return;
}

/* Returns a byte of the packet, or -1 if the packet is shorter. */
static __always_inline int packet_byte(struct __sk_buff *skb, const struct scratch *scratch,
				       __u32 offset)
{
	__u8 byte = 0;

	return load_bytes(skb, scratch->tunnel_length, offset, &byte, 1) ? -1 : byte;
}

/* Reads what the segment in this CPU's scratch needs. */
__noinline int read_needs(struct __sk_buff *skb)
{
	struct scratch *scratch = this_cpu_scratch();
	struct segment *s;
	int first, level = 0;

	if (!scratch)
		return 0;
	s = &scratch->segment;
	if (s->needs == NEEDS_OPTIONS) {
		read_options(skb, scratch);
		return 0;
	}
	if (is_dns_segment(s, dns_ports, dns_port_count))
		send_dns_of_scratch(skb);
	first = packet_byte(skb, scratch, payload_offset(s));
	if (is_alert(s, first))
		level = packet_byte(skb, scratch, payload_offset(s) + TLS_ALERT_LEVEL);
	segment_set_payload(s, first, level);
	return 0;
}

/* ---- contract of process.h ---- */

static __always_inline void table_read_needs(struct __sk_buff *ctx, struct segment *s)
{
	read_needs(ctx); /* s is in the scratch */
}
