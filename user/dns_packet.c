// SPDX-License-Identifier: GPL-2.0
#include "dns_packet.h"

#define QR_END 4 /* bytes of the message up to the flags */

static bool is_dns_port(uint16_t port, const uint16_t *dns_ports, size_t count)
{
	while (count--)
		if (dns_ports[count] == port)
			return true;
	return false;
}

/* Reads the message, of which length bytes at bytes were captured. */
static void read_message(struct dns_packet *p, const uint8_t *bytes, size_t length)
{
	if (p->over_tcp) {
		if (length < 2) {
			p->status = DNS_NAME_CUT;
			return;
		}
		p->size = get_be16(bytes);
		bytes += 2;
		length -= 2;
	}
	p->status = dns_message_read(&p->message, bytes, length, p->size);
}

/* Stores in *from_server who sent the packet. Returns false if it is no packet of DNS. */
static bool find_sender(const struct dns_packet *p, const struct dns_head *head, bool has_qr,
			const uint16_t *dns_ports, size_t count, bool *from_server)
{
	bool source = is_dns_port(head->source_port, dns_ports, count);
	bool destination = is_dns_port(head->destination_port, dns_ports, count);

	*from_server = source && destination ? p->message.is_answer : source;
	return (source || destination) && (!has_qr || *from_server == p->message.is_answer);
}

static void set_endpoint(struct endpoint *e, const struct address *address, uint16_t port,
			 const struct dns_head *head)
{
	e->address = *address;
	e->port = port;
	memcpy(e->vlan, head->vlan, sizeof(e->vlan));
}

/* Sets what depends on the direction of the packet, or of the one that an ICMP error quotes. */
static void set_sides(struct dns_packet *p, const struct dns_head *head, bool from_server)
{
	bool by_client = !from_server;

	if (head->flags & DNS_ICMP_ERROR) {
		p->is_error = !from_server;
		p->is_error_of_answer = from_server;
		by_client = from_server &&
			    !memcmp(&head->icmp_from, &head->destination, sizeof(head->icmp_from));
	}
	set_endpoint(from_server ? &p->server : &p->client, &head->source, head->source_port, head);
	set_endpoint(from_server ? &p->client : &p->server, &head->destination,
		     head->destination_port, head);
	p->has_mac = by_client && head->flags & DNS_HAS_MAC;
	if (p->has_mac)
		memcpy(p->mac, head->mac, sizeof(p->mac));
}

void dns_packet_of(struct dns_packet *p, const struct dns_head *head, const uint8_t *bytes,
		   uint64_t start, const uint16_t *dns_ports, size_t count)
{
	size_t length = head->length > head->offset ? head->length - head->offset : 0;
	bool from_server, has_qr;

	if (length > head->message_length)
		length = head->message_length;
	memset(p, 0, sizeof(*p));
	p->time = (ns_t)(head->time - start);
	p->ifindex = head->ifindex;
	p->in_ifindex = head->in_ifindex;
	p->egress = head->flags & DNS_EGRESS;
	p->from_gateway = head->flags & DNS_FROM_GATEWAY;
	p->over_tcp = head->flags & DNS_OVER_TCP;
	p->first_fragment = head->flags & DNS_FIRST_FRAGMENT;
	p->icmp_type = head->icmp_type;
	p->icmp_code = head->icmp_code;
	p->icmp_from = head->icmp_from;
	p->size = head->message_length;
	read_message(p, bytes + (length ? head->offset : 0), length);
	has_qr = p->status != DNS_IS_OTHER && length >= QR_END + (p->over_tcp ? 2u : 0u);
	if (!find_sender(p, head, has_qr, dns_ports, count, &from_server))
		p->status = DNS_IS_OTHER;
	if (p->status == DNS_IS_OTHER)
		memset(&p->message, 0, sizeof(p->message));
	p->message.is_answer = from_server;
	set_sides(p, head, from_server);
}
