/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A DNS packet: who asked whom, and the message. Between the source and the model. Times are
 * nanoseconds since the start of the run, as in connection.h.
 */
#pragma once

#include "connection.h"
#include "dns_event.h"
#include "lib/dns_message.h"

struct dns_packet {
	ns_t time;
	/* vlan is that of the packet, for both; so one lookup has one VLAN */
	struct endpoint client;
	struct endpoint server;
	uint32_t ifindex;
	uint32_t in_ifindex; /* see struct dns_head */
	bool egress;
	bool from_gateway;
	/*
	 * it came in by another watched interface, and was seen there. Set by the pipeline, which
	 * knows the interfaces
	 */
	bool seen_before;
	bool over_tcp;
	bool first_fragment; /* of several, so the message is cut */
	/*
	 * An ICMP error about a packet of the client, or about an answer, from the client's side.
	 * message is the quoted one. Errors often quote no byte of it (RFC 792): then status is
	 * DNS_NAME_CUT and message.has_id is false, and only addresses and ports are known.
	 */
	bool is_error;
	bool is_error_of_answer;
	uint8_t icmp_type, icmp_code;
	struct address icmp_from;
	bool has_mac;
	uint8_t mac[6]; /* of the client; only if the client sent the packet */
	/* bytes of the message on the wire; without the two bytes before it in DNS over TCP */
	uint32_t size;
	enum dns_status status;
	/* is_answer is always known: from the ports, if it was not captured */
	struct dns_message message;
};

/*
 * Fills in *p from what the source passed on. dns_ports are the count ports of --dns-port: the side
 * that uses one of them is the server; if both do, the QR bit decides. If the QR bit contradicts
 * the ports, or neither port is one of DNS, status is DNS_IS_OTHER. start is the source's clock at
 * the start of the run.
 */
void dns_packet_of(struct dns_packet *p, const struct dns_head *head, const uint8_t *bytes,
		   uint64_t start, const uint16_t *dns_ports, size_t count);
