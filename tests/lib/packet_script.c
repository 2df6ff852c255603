// SPDX-License-Identifier: GPL-2.0
#include "packet_script.h"

#include <assert.h>
#include <string.h>

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	return put16(put16(p, v >> 16), v);
}

void tape_start(struct tape *t)
{
	static const uint8_t client[16] = { 10, 1, 4, 23 }, server[16] = { 174, 143, 213, 184 };

	memset(t, 0, sizeof(*t));
	memcpy(t->address[CLIENT], client, 16);
	memcpy(t->address[SERVER], server, 16);
	t->port[CLIENT] = 51544;
	t->port[SERVER] = 80;
	t->isn[CLIENT] = 1000000;
	t->isn[SERVER] = 77000000;
	t->ip_id = 100;
	t->mss = 1460;
	t->ttl = 64;
	t->window = 65535;
	memset(t->payload, 'x', sizeof(t->payload));
}

void set_options(struct tape *t, const void *bytes, unsigned int length)
{
	memset(t->tcp_options, 0, sizeof(t->tcp_options));
	memcpy(t->tcp_options, bytes, length);
	t->tcp_options_length = (length + 3) / 4 * 4;
}

static struct tape_frame *next_frame(struct tape *t, double ms)
{
	struct tape_frame *f = &t->frames[t->count++];

	assert(t->count <= TAPE_FRAMES);
	f->at = (uint64_t)(1000 * MS + ms * MS);
	f->egress = t->egress;
	return f;
}

void sweep(struct tape *t, double ms)
{
	next_frame(t, ms)->sweep = true;
}

static uint8_t *put_ethernet(const struct tape *t, uint8_t *p, enum end from)
{
	int i;

	memset(p, 0x02, 12);
	p[5] = !from;
	p[11] = from;
	p += 12;
	for (i = 0; i < 2; i++)
		if (t->vlan[i])
			p = put16(put16(p, ETHERTYPE_VLAN), t->vlan[i]);
	return put16(p, t->ip6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
}

/* Writes an IP header for this many bytes of payload. */
static uint8_t *put_ip(struct tape *t, uint8_t *p, const uint8_t *from, const uint8_t *to,
		       uint8_t protocol, uint32_t length)
{
	if (t->ip6) {
		p = put32(p, 0x60000000);
		p = put16(p, length + t->extension);
		*p++ = t->extension ? PROTOCOL_DESTINATION : protocol;
		*p++ = t->ttl;
		memcpy(p, from, 16);
		memcpy(p + 16, to, 16);
		p += 32;
		if (t->extension) {
			memset(p, 0, t->extension);
			p[0] = protocol;
			p[1] = t->extension / 8 - 1;
		}
		return p + t->extension;
	}
	*p++ = 0x45 + t->options / 4;
	*p++ = 0;
	p = put16(p, 20 + t->options + length);
	p = put16(p, t->ip_id);
	if (!t->repeat_id)
		t->ip_id++;
	p = put16(p, t->more_fragments ? 0x2000 : 0x4000);
	*p++ = t->ttl;
	*p++ = protocol;
	p = put16(p, 0);
	memcpy(p, from, 4);
	memcpy(p + 4, to, 4);
	memset(p + 8, 1, t->options); /* no operation */
	return p + 8 + t->options;
}

static uint32_t options_length(const struct tape *t, uint8_t flags)
{
	if (!(flags & TCP_SYN))
		return 0;
	return t->tcp_options_length ? t->tcp_options_length : t->mss ? 4 : 0;
}

static uint8_t *put_tcp(const struct tape *t, uint8_t *p, enum end from, uint8_t flags,
			uint32_t seq, uint32_t ack)
{
	p = put16(put16(p, t->port[from]), t->port[!from]);
	p = put32(p, t->isn[from] + seq);
	p = put32(p, flags & TCP_ACK ? t->isn[!from] + ack : 0);
	*p++ = (5 + options_length(t, flags) / 4) << 4;
	*p++ = flags;
	p = put16(p, t->window);
	p = put32(p, 0);
	if (!options_length(t, flags))
		return p;
	if (!t->tcp_options_length)
		return put16(put16(p, 0x0204), t->mss);
	memcpy(p, t->tcp_options, t->tcp_options_length);
	return p + t->tcp_options_length;
}

static void finish(struct tape *t, struct tape_frame *f, uint8_t *end, uint32_t cut)
{
	memset(end, 0, t->padding);
	f->length = end + t->padding - f->bytes;
	f->wire_length = f->length + cut;
	assert(f->length <= FRAME_BYTES);
}

void tcp(struct tape *t, double ms, enum end from, uint8_t flags, uint32_t seq, uint32_t ack,
	 uint32_t payload)
{
	uint32_t kept = payload > 64 ? 64 : payload, header = 20 + options_length(t, flags);
	struct tape_frame *f = next_frame(t, ms);
	uint8_t *p;

	p = put_ethernet(t, f->bytes, from);
	p = put_ip(t, p, t->address[from], t->address[!from], PROTOCOL_TCP, header + payload);
	p = put_tcp(t, p, from, flags, seq, ack);
	memset(p, 'x', kept);
	memcpy(p, t->payload, kept < sizeof(t->payload) ? kept : sizeof(t->payload));
	finish(t, f, p + kept, payload - kept);
}

void icmp(struct tape *t, double ms, uint8_t type, uint8_t code, uint32_t seq)
{
	static const uint8_t router[16] = { 10, 1, 4, 1 };
	struct tape_frame *f = next_frame(t, ms);
	uint32_t quote = (t->ip6 ? 40 + t->extension : 20 + t->options) + 20;
	uint8_t *p;

	p = put_ethernet(t, f->bytes, SERVER);
	p = put_ip(t, p, router, t->address[CLIENT], t->ip6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP4,
		   8 + quote);
	*p++ = type;
	*p++ = code;
	p = put32(put16(p, 0), 0);
	p = put_ip(t, p, t->address[CLIENT], t->address[SERVER], PROTOCOL_TCP, 20);
	finish(t, f, put_tcp(t, p, CLIENT, 0, seq, 0), 0);
}

static uint8_t *put_udp(const struct tape *t, uint8_t *p, enum end from, const void *payload,
			uint32_t length)
{
	p = put16(put16(p, t->port[from]), t->port[!from]);
	p = put16(put16(p, 8 + length + t->udp_excess), 0);
	memcpy(p, payload, length);
	return p + length;
}

void udp(struct tape *t, double ms, enum end from, const void *payload, uint32_t length)
{
	struct tape_frame *f = next_frame(t, ms);
	uint8_t *p;

	p = put_ethernet(t, f->bytes, from);
	p = put_ip(t, p, t->address[from], t->address[!from], PROTOCOL_UDP, 8 + length);
	finish(t, f, put_udp(t, p, from, payload, length), 0);
}

void icmp_about_udp(struct tape *t, double ms, enum end to, uint8_t type, uint8_t code,
		    const void *payload, uint32_t length)
{
	static const uint8_t router[16] = { 10, 1, 4, 1 };
	struct tape_frame *f = next_frame(t, ms);
	uint32_t quote = (t->ip6 ? 40 + t->extension : 20 + t->options) + 8 + length;
	uint8_t *p;

	p = put_ethernet(t, f->bytes, !to);
	p = put_ip(t, p, router, t->address[to], t->ip6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP4,
		   8 + quote);
	*p++ = type;
	*p++ = code;
	p = put32(put16(p, 0), 0);
	p = put_ip(t, p, t->address[to], t->address[!to], PROTOCOL_UDP, 8 + length);
	finish(t, f, put_udp(t, p, to, payload, length), 0);
}

void handshake(struct tape *t, double ms)
{
	tcp(t, ms, CLIENT, TCP_SYN, 0, 0, 0);
	tcp(t, ms + 10, SERVER, TCP_SYN | TCP_ACK, 0, 1, 0);
	tcp(t, ms + 11, CLIENT, TCP_ACK, 1, 1, 0);
}
