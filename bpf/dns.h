/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decides which packets are DNS, and describes them for user space. Shared by the kernel and by
 * captures; dns_send.h and user/source/offline.c send it.
 *
 * Only ports and lengths are checked here: user space reads the message, and counts what is none.
 */
#pragma once

#include "dns_event.h"
#include "segment.h"
#include "selector.h"
#include "shared.h"

#define DNS_HEADER 12 /* RFC 1035 4.1.1 */

/* Maximum number of packets that the host passes to user space in 2^30 ns (about 1 s). */
#define DNS_BUDGET 20000
#define MAX_DNS_SAMPLE_SHIFT 12 /* one host in 4096 */

/* ports and count are constants in the kernel: the verifier drops the ports that are not used. */
static __always_inline bool is_dns_port(__u16 port, const volatile __u16 *ports, __u32 count)
{
	__u32 i;

#ifdef __bpf__
#pragma unroll
#endif
	for (i = 0; i < MAX_DNS_PORTS; i++)
		if (i < count && port == ports[i])
			return true;
	return false;
}

/* transport points to a UDP or TCP header. */
static __always_inline bool has_dns_port(const __u8 *transport, const volatile __u16 *ports,
					 __u32 count)
{
	return is_dns_port(get_be16(transport), ports, count) ||
	       is_dns_port(get_be16(transport + 2), ports, count);
}

/*
 * Returns true if the segment carries, or quotes, a DNS message. Of an error, a part of the UDP
 * header is enough: it has the ports.
 */
static __always_inline bool is_dns_segment(const struct segment *s, const volatile __u16 *ports,
					   __u32 count)
{
	if (!is_dns_port(s->source_port, ports, count) &&
	    !is_dns_port(s->destination_port, ports, count))
		return false;
	return s->kind == SEGMENT_UDP_ERROR ||
	       s->payload >= (s->kind == SEGMENT_UDP ? DNS_HEADER : 1);
}

/*
 * Fills in *d from a segment for which is_dns_segment() is true, except for what only the source
 * knows: incoming interface, lengths of the frame and the tag in the skb's metadata.
 */
static __always_inline void dns_head_of(struct dns_head *d, const struct segment *s)
{
	bool is_error = s->kind == SEGMENT_UDP_ERROR;

	d->source = s->source;
	d->destination = s->destination;
	d->source_port = s->source_port;
	d->destination_port = s->destination_port;
	d->vlan[0] = s->vlan[0];
	d->vlan[1] = s->vlan[1];
	d->ifindex = s->ifindex;
	d->time = s->time;
	d->message_length = s->payload;
	d->offset = payload_offset(s);
	d->flags = (s->egress ? DNS_EGRESS : 0) | (s->from_gateway ? DNS_FROM_GATEWAY : 0) |
		   (s->kind == SEGMENT_TCP ? DNS_OVER_TCP : 0) | (is_error ? DNS_ICMP_ERROR : 0) |
		   (s->fragment ? DNS_FIRST_FRAGMENT : 0);
	/* at egress the source MAC is this host's, and the sender of an error is not the host's */
	if (s->has_mac && !s->egress && !is_error) {
		d->flags |= DNS_HAS_MAC;
		__builtin_memcpy(d->mac, s->mac, sizeof(d->mac));
	} else {
		__builtin_memset(d->mac, 0, sizeof(d->mac));
	}
	if (is_error) {
		d->icmp_from = s->icmp_from;
		d->icmp_type = s->icmp_type;
		d->icmp_code = s->icmp_code;
	} else {
		__builtin_memset(&d->icmp_from, 0, sizeof(d->icmp_from));
		d->icmp_type = 0;
		d->icmp_code = 0;
	}
	__builtin_memset(d->pad, 0, sizeof(d->pad));
}

/*
 * Sets d->length to the number of bytes of the frame that are passed on, where the frame has this
 * many, and keeps d->offset within them. Returns true if the frame has fewer bytes than wanted.
 */
static __always_inline bool dns_set_length(struct dns_head *d, __u32 available)
{
	__u32 message = d->message_length < MAX_DNS_MESSAGE ? d->message_length : MAX_DNS_MESSAGE;
	__u32 wanted = d->offset + message, length;

	if (wanted > MAX_DNS_BYTES)
		wanted = MAX_DNS_BYTES;
	length = wanted < available ? wanted : available;
	d->length = length;
	if (d->offset > length)
		d->offset = length;
	return length < wanted;
}

/* Returns the offset of the byte that has the QR bit (RFC 1035 4.1.1). */
static __always_inline __u32 dns_flags_offset(const struct dns_head *d)
{
	return d->offset + 2 + (d->flags & DNS_OVER_TCP ? 2 : 0);
}

#define DNS_QR 0x80

/* Returns true if both ends use a port of DNS: then only the QR bit shows which one asks. */
static __always_inline bool is_dns_between_servers(const struct dns_head *d,
						   const volatile __u16 *ports, __u32 count)
{
	return is_dns_port(d->source_port, ports, count) &&
	       is_dns_port(d->destination_port, ports, count);
}

/* is_answer is read only if is_dns_between_servers(). */
static __always_inline const struct address *dns_client(const struct dns_head *d, bool is_answer,
							const volatile __u16 *ports, __u32 count)
{
	bool from_client = is_dns_port(d->destination_port, ports, count);

	if (is_dns_between_servers(d, ports, count))
		from_client = !is_answer;
	return from_client ? &d->source : &d->destination;
}

/*
 * Returns true if --client selects the host that asks. --server and --port do not narrow DNS: a
 * host may wait for the name of a server that is watched at any resolver.
 */
static __always_inline bool dns_client_is_selected(const volatile struct selector *n,
						   const struct address *client)
{
	return networks_select(&n->clients, client);
}

/*
 * Returns true if the host is in the sample of one host in 2^shift. A larger shift is a part of the
 * same sample.
 */
static __always_inline bool dns_is_sampled(const struct address *client, __u32 shift,
					   const volatile struct hash_seed *seed)
{
	return !(client_hash(client, seed) << shift >> 16);
}
