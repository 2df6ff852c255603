// SPDX-License-Identifier: GPL-2.0
#include "lib/ethertype.h"

#include <stddef.h>

#include "parse.h"

static const struct {
	uint16_t ethertype;
	const char *name;
} ethertypes[] = {
	{ ETHERTYPE_LLC, "802.2 LLC: spanning tree, IS-IS, NetBIOS" },
	{ 0x0842, "Wake-on-LAN" },
	{ 0x22f3, "TRILL" },
	{ 0x4305, "batman-adv" },
	{ 0x6558, "Ethernet in GRE or MPLS" },
	{ 0x8035, "RARP" },
	{ ETHERTYPE_VLAN, "802.1Q, more tags than are parsed" },
	{ ETHERTYPE_QINQ, "802.1ad, more tags than are parsed" },
	{ 0x809b, "AppleTalk" },
	{ 0x80f3, "AppleTalk ARP" },
	{ 0x8137, "IPX" },
	{ 0x8808, "Ethernet flow control" },
	{ 0x8809, "LACP and other slow protocols" },
	{ ETHERTYPE_MPLS, "MPLS, no IP behind the labels" },
	{ 0x8863, "PPPoE discovery" },
	{ ETHERTYPE_PPPOE, "PPPoE session, no IP inside" },
	{ 0x888e, "802.1X" },
	{ 0x8892, "PROFINET" },
	{ 0x88a2, "ATA over Ethernet" },
	{ 0x88a4, "EtherCAT" },
	{ 0x88cc, "LLDP" },
	{ 0x88e5, "MACsec" },
	{ 0x88e7, "802.1ah provider backbone" },
	{ 0x88f7, "PTP" },
	{ 0x8902, "802.1ag connectivity fault management" },
	{ 0x8906, "Fibre Channel over Ethernet" },
	{ 0x8914, "Fibre Channel over Ethernet" },
	{ 0x8915, "RDMA over Ethernet" },
	{ 0x894f, "network service header" },
	{ 0x9000, "Ethernet loopback test" },
};

const char *ethertype_name(uint16_t ethertype)
{
	size_t i;

	for (i = 0; i < sizeof(ethertypes) / sizeof(ethertypes[0]); i++)
		if (ethertypes[i].ethertype == ethertype)
			return ethertypes[i].name;
	return NULL;
}
