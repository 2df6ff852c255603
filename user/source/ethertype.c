// SPDX-License-Identifier: GPL-2.0
#include "source/ethertype.h"

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"

/* Fewer packets say nothing of a wire. */
#define MIN_PACKETS 20

/* IEEE's registry of ethertypes, and what to do about a wire that carries little else. */
static const struct {
	uint16_t ethertype;
	const char *name;
	const char *advice;
} ethertypes[] = {
	{ ETHERTYPE_LLC, "802.2 LLC: spanning tree, IS-IS, NetBIOS",
	  "a switch talks to itself here: the clients are on another port or VLAN" },
	{ 0x0842, "Wake-on-LAN", NULL },
	{ 0x22f3, "TRILL", NULL },
	{ 0x4305, "batman-adv", "watch the mesh's own device (bat0)" },
	{ 0x6558, "Ethernet in GRE or MPLS", NULL },
	{ 0x8035, "RARP", NULL },
	{ ETHERTYPE_VLAN, "802.1Q, more tags than are looked behind", NULL },
	{ ETHERTYPE_QINQ, "802.1ad, more tags than are looked behind", NULL },
	{ 0x809b, "AppleTalk", "all that is here is AppleTalk, which has no TCP" },
	{ 0x80f3, "AppleTalk ARP", "all that is here is AppleTalk, which has no TCP" },
	{ 0x8137, "IPX", "all that is here is IPX, which has no TCP" },
	{ 0x8808, "Ethernet flow control", NULL },
	{ 0x8809, "LACP and other slow protocols",
	  "is this the idle member of a bond? Then watch the bond itself" },
	{ ETHERTYPE_MPLS, "MPLS, no IP behind the labels",
	  "a pseudowire, or more labels than are looked behind: watch where it ends" },
	{ 0x8863, "PPPoE discovery",
	  "no PPPoE session is up on it: is the PPP daemon refused, or alone?" },
	{ ETHERTYPE_PPPOE, "PPPoE session, no IP inside",
	  "the session negotiates, or compresses or encrypts: watch its own device (ppp0)" },
	{ 0x888e, "802.1X", "this port waits for its authentication" },
	{ 0x8892, "PROFINET", NULL },
	{ 0x88a2, "ATA over Ethernet", NULL },
	{ 0x88a4, "EtherCAT", NULL },
	{ 0x88cc, "LLDP", "a switch introduces itself, and nobody else is on this wire" },
	{ 0x88e5, "MACsec", "what it carries is encrypted: watch the macsec device on top of it" },
	{ 0x88e7, "802.1ah provider backbone", NULL },
	{ 0x88f7, "PTP", NULL },
	{ 0x8902, "802.1ag connectivity fault management", NULL },
	{ 0x8906, "Fibre Channel over Ethernet", NULL },
	{ 0x8914, "Fibre Channel over Ethernet", NULL },
	{ 0x8915, "RDMA over Ethernet", NULL },
	{ 0x894f, "network service header", NULL },
	{ 0x9000, "Ethernet loopback test", NULL },
};

#define KNOWN (sizeof(ethertypes) / sizeof(ethertypes[0]))

static size_t find_ethertype(uint16_t ethertype)
{
	size_t i;

	for (i = 0; i < KNOWN && ethertypes[i].ethertype != ethertype; i++)
		;
	return i;
}

const char *ethertype_name(uint16_t ethertype)
{
	size_t i = find_ethertype(ethertype);

	return i < KNOWN ? ethertypes[i].name : NULL;
}

static void format_ethertypes(const struct session *session, uint64_t packets, char *text,
			      size_t room)
{
	const struct unknown_ethertype *most = &session->ethertypes[0];
	const char *name = ethertype_name(most->ethertype), *advice = NULL;

	if (find_ethertype(most->ethertype) < KNOWN)
		advice = ethertypes[find_ethertype(most->ethertype)].advice;
	snprintf(text, room,
		 "nothing that is understood has passed yet: %" PRIu64 " of %" PRIu64
		 " packets are of ethertype 0x%04x%s%s%s. %s",
		 most->packets, packets, most->ethertype, name ? " (" : "", name ? name : "",
		 name ? ")" : "",
		 advice ? advice : "is this the interface that the clients are on?");
}

bool explain_no_tcp(const struct session *session, uint64_t packets, uint64_t bytes, char *text,
		    size_t room)
{
	const uint64_t *c = session->counters;
	uint64_t tunnels = c[COUNT_IP_OTHER], unknown = c[COUNT_UNKNOWN_LINK];
	uint64_t udp = c[COUNT_UDP_BYTES] + c[COUNT_UDP_443_BYTES];

	if (packets < MIN_PACKETS || c[COUNT_ATTEMPTS] || c[COUNT_ALREADY_OPEN] ||
	    c[COUNT_NOT_SELECTED])
		return false;
	if (unknown >= packets / 2 && unknown >= tunnels)
		format_ethertypes(session, packets, text, room);
	else if (tunnels >= packets / 2)
		snprintf(text, room,
			 "no TCP has passed yet: %" PRIu64 " of %" PRIu64
			 " packets are of other IP protocols (tunnels such as ESP, GRE and IPIP, "
			 "or routing). Tunnels are not looked into: watch the tunnel's own device",
			 tunnels, packets);
	else if (c[COUNT_MALFORMED] >= packets / 2)
		snprintf(text, room,
			 "nothing that is understood has passed yet: %" PRIu64 " of %" PRIu64
			 " packets do not begin as the type of this interface promises. Watch the "
			 "interface below or above it",
			 c[COUNT_MALFORMED], packets);
	else if (udp >= bytes / 10 * 9 && c[COUNT_UDP_BYTES] > c[COUNT_UDP_443_BYTES])
		snprintf(
			text, room,
			"no TCP has passed yet, all is UDP. If it is a tunnel (WireGuard, VXLAN, "
			"OpenVPN, ESP in UDP), it is not looked into: watch the tunnel's own device");
	else
		return false;
	return true;
}
