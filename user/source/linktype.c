// SPDX-License-Identifier: GPL-2.0
#include "source/linktype.h"

#include <pcap/pcap.h>

#define NFLOG_HEADER 4
#define NFLOG_PAYLOAD 9 /* NFULA_PAYLOAD of linux/netfilter/nfnetlink_log.h */

static uint16_t ethertype_of_ip(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
}

/*
 * Maps the address family in BSD's loopback header, whose value depends on the capturing host's
 * system.
 */
static uint16_t ethertype_of_family(uint32_t family)
{
	switch (family) {
	case 2:
		return ETHERTYPE_IP4;
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return ETHERTYPE_IP6;
	default:
		return 0;
	}
}

/*
 * Returns the ethertype of a PPP frame that starts *skip bytes into the frame. Advances *skip past
 * the protocol number.
 */
static uint16_t ethertype_of_ppp(const uint8_t *bytes, uint32_t *skip)
{
	const uint8_t *ppp = bytes + *skip;
	uint16_t protocol;

	if (ppp[0] == 0xff && ppp[1] == 0x03) { /* address and control field (RFC 1662) */
		ppp += 2;
		*skip += 2;
	}
	if (ppp[0] & 1) {
		protocol = ppp[0];
		*skip += 1;
	} else {
		protocol = get_be16(ppp);
		*skip += 2;
	}
	switch (protocol) {
	case PPP_IP4:
		return ETHERTYPE_IP4;
	case PPP_IP6:
		return ETHERTYPE_IP6;
	case PPP_MPLS:
		return ETHERTYPE_MPLS;
	default:
		return 0;
	}
}

/*
 * Finds the packet in a netfilter log message. The message consists of fields: length (including
 * four bytes of length and type), type and value, padded to four bytes. libpcap converts both
 * numbers to this host's byte order.
 */
static uint16_t ethertype_of_nflog(struct offline_frame *f, uint32_t *skip)
{
	uint32_t at = NFLOG_HEADER, length;

	while (at + 5 <= f->length) {
		length = LOAD(uint16_t, f->bytes + at);
		if (length < 4)
			break;
		if ((LOAD(uint16_t, f->bytes + at + 2) & 0x7fff) == NFLOG_PAYLOAD) {
			*skip = at + 4;
			return ethertype_of_ip(f->bytes + at + 4);
		}
		at += (length + 3) & ~3U;
	}
	return 0;
}

/*
 * Returns the number of bytes needed to parse a link-layer header; for raw IP, the first byte of
 * IP.
 */
static uint32_t min_length(int link)
{
	switch (link) {
	case DLT_LINUX_SLL2:
		return 20;
	case DLT_LINUX_SLL:
		return 16;
	case DLT_PPP_ETHER:
		return 10;
	case DLT_NULL:
	case DLT_LOOP:
	case DLT_C_HDLC:
	case DLT_PPP:
	case DLT_PPP_SERIAL:
	case DLT_NFLOG:
		return 4;
	default:
		return 1;
	}
}

void linktype_strip(int link, struct offline_frame *f)
{
	uint32_t skip = 0, family;

	if (link == DLT_EN10MB) {
		f->link = LINK_ETHERNET;
		return;
	}
	f->link = LINK_RAW_IP;
	f->ethertype = 0;
	if (f->length < min_length(link))
		return;
	switch (link) {
	case DLT_NULL:
	case DLT_LOOP:
		skip = 4;
		family = get_be32(f->bytes);
		f->ethertype = ethertype_of_family(family < 256 ? family : cpu_to_be32(family));
		break;
	case DLT_LINUX_SLL:
		skip = 16;
		f->ethertype = get_be16(f->bytes + 14);
		break;
	case DLT_LINUX_SLL2:
		skip = 20;
		f->ethertype = get_be16(f->bytes);
		break;
	case DLT_C_HDLC:
		skip = 4;
		f->ethertype = get_be16(f->bytes + 2);
		break;
	case DLT_NFLOG:
		f->ethertype = ethertype_of_nflog(f, &skip);
		break;
	case DLT_PPP_ETHER: /* six bytes of PPPoE session header (RFC 2516) */
		skip = 6;
		f->ethertype = ethertype_of_ppp(f->bytes, &skip);
		break;
	case DLT_PPP_SERIAL:
		/* DLT_PPP_SERIAL may contain Cisco HDLC */
		if (f->bytes[0] == 0x0f || f->bytes[0] == 0x8f) {
			skip = 4;
			f->ethertype = get_be16(f->bytes + 2);
			break;
		}
		/* fall through */
	case DLT_PPP:
		f->ethertype = ethertype_of_ppp(f->bytes, &skip);
		break;
	default: /* raw IP */
		f->ethertype = ethertype_of_ip(f->bytes);
		break;
	}
	f->bytes += skip;
	f->length -= skip;
	f->wire_length -= skip;
}

/*
 * Raw IP has several numbers: DLT_RAW is 12, or 14 in files from OpenBSD; LINKTYPE_RAW is 101. The
 * numbers 228 and 229 are for a single IP version.
 */
const int linktypes_known[LINKTYPES_KNOWN] = { DLT_EN10MB,     DLT_NULL,   DLT_LOOP,
					       DLT_RAW,	       14,	   101,
					       DLT_IPV4,       DLT_IPV6,   DLT_LINUX_SLL,
					       DLT_LINUX_SLL2, DLT_PPP,	   DLT_PPP_SERIAL,
					       DLT_PPP_ETHER,  DLT_C_HDLC, DLT_NFLOG };

bool linktype_is_known(int link)
{
	size_t i;

	for (i = 0; i < LINKTYPES_KNOWN; i++)
		if (linktypes_known[i] == link)
			return true;
	return false;
}
