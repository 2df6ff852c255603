// SPDX-License-Identifier: GPL-2.0
/* What this host does to the packets: forwarding, connection tracking, NAT, IPsec. */
#include <string.h>

#include "doctor/advice.h"
#include "doctor/checks.h"
#include "host/ipsec.h"
#include "lib/format.h"

#define SETTINGS "/proc/sys/net/"
#define ALMOST_FULL 90 /* percent of the table of conntrack */

static void check_forwarding(struct sheet *s, const struct link *l)
{
	bool ip4 = read_number(SETTINGS "ipv4/ip_forward") > 0;
	bool ip6 = read_number(SETTINGS "ipv6/conf/all/forwarding") > 0;

	if (ip4 || ip6) {
		sheet_remark(s, LEVEL_OK, "this host forwards %s: a gateway",
			     ip4 && ip6 ? "IPv4 and IPv6"
			     : ip4	? "IPv4, not IPv6"
					: "IPv6, not IPv4");
		return;
	}
	if (l->master || !strcmp(l->kind, "bridge")) {
		sheet_remark(s, LEVEL_OK, "this host forwards no IP, but may be a bridge");
		return;
	}
	sheet_remark(
		s, LEVEL_NOTE,
		"this host forwards neither IPv4 nor IPv6: connections of others are seen only "
		"on a bridge or a mirror port");
}

static void check_conntrack(struct sheet *s, const struct link *l, const struct links *all)
{
	long count = read_number(SETTINGS "netfilter/nf_conntrack_count");
	long most = read_number(SETTINGS "netfilter/nf_conntrack_max");
	const struct link *best = best_link(all);

	if (count < 0) {
		sheet_remark(s, LEVEL_OK, "nf_conntrack is not loaded: this host does no NAT");
		return;
	}
	if (most > 0 && count >= most / 100 * ALMOST_FULL) {
		sheet_remark(s, LEVEL_WARNING,
			     "nf_conntrack: %ld of %ld entries are in use; new connections are "
			     "dropped when it is full",
			     count, most);
		sheet_action(s, "raise net.netfilter.nf_conntrack_max, or see who opens so many "
				"connections (conntrack -L)");
	} else {
		sheet_remark(s, LEVEL_OK, "nf_conntrack is loaded: %ld of %ld entries are in use",
			     count, most);
	}
	if (!read_number(SETTINGS "netfilter/nf_conntrack_events")) {
		sheet_remark(s, LEVEL_WARNING,
			     "conntrack reports no new connections: clients behind NAT have no "
			     "names on the outer side");
		sheet_action(s,
			     "sysctl net.netfilter.nf_conntrack_events=1, or watch the LAN side");
	}
	if (l->has_default_route && best && best->index != l->index)
		sheet_remark(s, LEVEL_NOTE,
			     "%s has a default route: if this host does NAT, this is its outer "
			     "side, where only conntrack knows the clients. The other side is "
			     "better: probe -i %s",
			     format_name(l->name), format_name(best->name));
}

void check_nat(struct sheet *s, const struct link *l, const struct links *all)
{
	sheet_section(s, "Forwarding and NAT");
	check_forwarding(s, l);
	check_conntrack(s, l, all);
	if (ipsec_is_used())
		sheet_remark(s, LEVEL_NOTE,
			     "IPsec policies are installed: packets may leave encrypted, and are "
			     "then not recognised as connections on the outer side");
}
