// SPDX-License-Identifier: GPL-2.0
#include "source/no_tcp.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/ethertype.h"
#include "parse.h"

/* Minimum number of packets for a conclusion. */
#define MIN_PACKETS 20

/* Advice for an interface that carries hardly any other ethertype. */
static const struct {
	uint16_t ethertype;
	const char *text;
} advices[] = {
	{ ETHERTYPE_LLC, "only a switch sends here: the clients are on another port or VLAN" },
	{ 0x4305, "watch the mesh's own device (bat0)" },
	{ 0x809b, "all that is here is AppleTalk, which has no TCP" },
	{ 0x80f3, "all that is here is AppleTalk, which has no TCP" },
	{ 0x8137, "all that is here is IPX, which has no TCP" },
	{ 0x8809, "is this the idle member of a bond? Then watch the bond itself" },
	{ ETHERTYPE_MPLS, "a pseudowire, or more labels than are parsed: watch where it ends" },
	{ 0x8863, "no PPPoE session is up on it: does the peer refuse PPPoE, or not answer?" },
	{ ETHERTYPE_PPPOE,
	  "the session negotiates, or compresses or encrypts: watch its own device (ppp0)" },
	{ 0x888e, "this port waits for its authentication" },
	{ 0x88cc, "a switch announces itself, and no other device sends here" },
	{ 0x88e5, "what it carries is encrypted: watch the macsec device on top of it" },
};

static const char *advice_for(uint16_t ethertype)
{
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		if (advices[i].ethertype == ethertype)
			return advices[i].text;
	return "is this the interface that the clients are on?";
}

static void explain_ethertype(const struct session *session, uint64_t packets, char *text,
			      size_t room)
{
	const struct unknown_ethertype *most = &session->ethertypes[0];
	const char *name = ethertype_name(most->ethertype);

	snprintf(text, room,
		 "no supported protocol has passed yet: %" PRIu64 " of %" PRIu64
		 " packets are of ethertype 0x%04x%s%s%s. %s",
		 most->packets, packets, most->ethertype, name ? " (" : "", name ? name : "",
		 name ? ")" : "", advice_for(most->ethertype));
}

bool explain_no_tcp(const struct session *session, uint64_t packets, uint64_t bytes, char *text,
		    size_t room)
{
	const uint64_t *c = session->counters;
	uint64_t tunnels = c[COUNT_IP_OTHER], unknown = c[COUNT_UNKNOWN_LINK];
	uint64_t udp = c[COUNT_UDP_BYTES] + c[COUNT_UDP_443_BYTES] + c[COUNT_UDP_DNS_BYTES];

	if (packets < MIN_PACKETS || c[COUNT_ATTEMPTS] || c[COUNT_ALREADY_OPEN] ||
	    c[COUNT_SYNACK_ALONE] || c[COUNT_NOT_SELECTED])
		return false;
	if (unknown >= packets / 2 && unknown >= tunnels)
		explain_ethertype(session, packets, text, room);
	else if (tunnels >= packets / 2)
		snprintf(text, room,
			 "no TCP has passed yet: %" PRIu64 " of %" PRIu64
			 " packets are of other IP protocols (tunnels such as ESP, GRE and IPIP, "
			 "or routing). Tunnels are not decoded: watch the tunnel's own device",
			 tunnels, packets);
	else if (c[COUNT_MALFORMED] >= packets / 2)
		snprintf(text, room,
			 "no supported protocol has passed yet: %" PRIu64 " of %" PRIu64
			 " packets do not match the link type of this interface. Watch the "
			 "interface below or above it",
			 c[COUNT_MALFORMED], packets);
	else if (udp >= bytes / 10 * 9 && c[COUNT_DNS])
		snprintf(text, room,
			 "no TCP has passed yet, all is UDP, with %" PRIu64
			 " packets of DNS among it. Do the clients' connections take another "
			 "interface?",
			 c[COUNT_DNS]);
	else if (udp >= bytes / 10 * 9 && c[COUNT_UDP_BYTES] > c[COUNT_UDP_443_BYTES])
		snprintf(text, room,
			 "no TCP has passed yet, all is UDP. If it is a tunnel (WireGuard, VXLAN, "
			 "OpenVPN, ESP in UDP), it is not decoded: watch the tunnel's own device");
	else
		return false;
	return true;
}
