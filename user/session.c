// SPDX-License-Identifier: GPL-2.0
#include "session.h"

#include <stdio.h>
#include <string.h>

#include "parse.h"
#include "reset.h"
#include "lib/ethertype.h"

const char *const counter_names[COUNTERS] = {
	[COUNT_ATTEMPTS] = "attempts",
	[COUNT_PUBLISHED] = "published",
	[COUNT_LATE_SYN_COPIES] = "late_syn_copies",
	[COUNT_ALREADY_OPEN] = "already_open",
	[COUNT_SYNACK_ALONE] = "synack_alone",
	[COUNT_RESETS_NOT_COUNTED] = "resets_not_counted",
	[COUNT_NOT_SELECTED] = "narrowed",
	[COUNT_UDP_443_BYTES] = "udp_443_bytes",
	[COUNT_UDP_DNS_BYTES] = "udp_dns_bytes",
	[COUNT_UDP_BYTES] = "udp_bytes",
	[COUNT_IP_OTHER] = "ip_other",
	[COUNT_FRAGMENTS] = "fragments",
	[COUNT_MALFORMED] = "malformed",
	[COUNT_UNKNOWN_LINK] = "unknown_link",
	[COUNT_DNS] = "dns",
	[COUNT_DNS_NOT_SAMPLED] = "dns_not_sampled",
	[COUNT_LOST_MAP] = "map_full",
	[COUNT_LOST_RING] = "ring_full",
	[COUNT_LOST_CROWDED] = "evicted",
	[COUNT_LOST_TRUNCATED] = "truncated",
	[COUNT_LOST_PACKETS] = "evidence_packets",
	[COUNT_LOST_DNS] = "dns_ring_full",
	[COUNT_LOST_DNS_BUDGET] = "dns_budget",
};

const char *const names_mode_names[NAMES_MODES] = {
	[NAMES_NONE] = "none",
	[NAMES_EVIDENCE] = "evidence",
	[NAMES_ALL] = "all",
};

uint64_t session_losses(const struct session *session)
{
	uint64_t sum = 0;
	int i;

	for (i = FIRST_LOSS; i < COUNTERS; i++)
		if (i != COUNT_LOST_TRUNCATED) /* packets that arrived cut or damaged */
			sum += session->counters[i];
	return sum;
}

static void keep_ethertype(struct unknown_ethertype *e, int type, uint64_t packets)
{
	int i;

	if (packets <= e[MAX_ETHERTYPES - 1].packets)
		return;
	for (i = MAX_ETHERTYPES - 1; i > 0 && packets > e[i - 1].packets; i--)
		e[i] = e[i - 1];
	e[i].ethertype = type;
	e[i].packets = packets;
}

void session_set_ethertypes(struct session *session, const uint32_t *packets)
{
	uint64_t without = 0;
	int type;

	memset(session->ethertypes, 0, sizeof(session->ethertypes));
	for (type = 0; type < ETHERTYPE_MIN; type++)
		without += packets[type];
	keep_ethertype(session->ethertypes, ETHERTYPE_LLC, without);
	for (; type < 65536; type++)
		keep_ethertype(session->ethertypes, type, packets[type]);
}

/* Returns the place of a server's counts, the last one if the server is new, or NULL. */
static struct reset_server *reset_place(struct session *session, const struct reset_server *r)
{
	struct reset_server *last = &session->resets[MAX_RESET_SERVERS - 1], *known;

	for (known = session->resets; known < session->resets + session->reset_count; known++)
		if (known->port == r->port &&
		    !memcmp(&known->address, &r->address, sizeof(r->address)))
			return r->resets > known->resets ? known : NULL;
	if (session->reset_count < MAX_RESET_SERVERS)
		return &session->resets[session->reset_count++];
	return r->resets > last->resets ? last : NULL;
}

static void keep_resets(struct session *session, const struct reset_server *r, uint64_t start)
{
	struct reset_server *place = reset_place(session, r), kept = *r;

	if (!place)
		return;
	kept.first -= start;
	kept.last -= start;
	kept.burst_first -= start;
	kept.burst_last -= start;
	for (; place > session->resets && place[-1].resets < kept.resets; place--)
		*place = place[-1];
	*place = kept;
}

void session_set_resets(struct session *session, const struct reset_set *sets, uint64_t start)
{
	int set, way;

	session->reset_count = 0;
	for (set = 0; set < RESET_SETS; set++)
		for (way = 0; way < RESET_WAYS; way++)
			if (sets[set].ways[way].resets)
				keep_resets(session, &sets[set].ways[way], start);
}

ns_t session_down_time(const struct session *session)
{
	ns_t longest = 0;
	unsigned int i;

	for (i = 0; i < session->interface_count; i++)
		if (session->interfaces[i].down > longest)
			longest = session->interfaces[i].down;
	return longest;
}

bool session_is_own_address(const struct session *session, const struct address *a)
{
	unsigned int i;

	for (i = 0; i < session->own_address_count; i++)
		if (!memcmp(&session->own_addresses[i], a, sizeof(*a)))
			return true;
	return false;
}

struct session_iface *session_add_iface(struct session *session, const char *name)
{
	struct session_iface *i = &session->interfaces[session->interface_count++];
	size_t used = strlen(session->names);

	*i = (struct session_iface){ .name = name };
	snprintf(session->names + used, sizeof(session->names) - used, "%s%s", used ? ", " : "",
		 name);
	session->from = session->names;
	return i;
}

const char *session_iface_name(const struct session *session, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < session->interface_count; i++)
		if (session->interfaces[i].index == ifindex)
			return session->interfaces[i].name;
	for (i = 0; i < session->followed_count; i++)
		if (session->followed[i].index == ifindex)
			return session->followed[i].name;
	/* an interface that was removed and came back has a new index */
	return session->interface_count == 1 ? session->interfaces[0].name : NULL;
}

ns_t session_blind_time(const struct session *session, int direction)
{
	ns_t longest = 0;
	unsigned int i;

	for (i = 0; i < session->interface_count; i++)
		if (session->interfaces[i].blind[direction] > longest)
			longest = session->interfaces[i].blind[direction];
	return longest;
}
