/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about a run as a whole. A source fills them in; the diagnosis and the reports read them. */
#pragma once

#include <net/if.h>
#include <time.h>

#include "connection.h"

#ifndef PROBE_VERSION
#define PROBE_VERSION "unknown"
#endif

#define MAX_ETHERTYPES 8
#define MAX_OWN_ADDRESSES 64
#define MAX_IFACES 16

/* Direction of a packet, as seen from the interface. */
enum { INGRESS, EGRESS, DIRECTIONS };

struct unknown_ethertype {
	uint16_t ethertype;
	uint64_t packets;
};

/* Source NAT on this host: on its outer side clients have this host's address, and conntrack maps them back. */
struct nat {
	bool known; /* conntrack can be read */
	const char *unknown; /* why not; NULL: this host tracks no connections */
	uint64_t translated; /* attempts from this host's address with a client known by conntrack */
	uint64_t own; /* attempts from this host's address without one */
	uint64_t lost; /* number of overruns of conntrack's event socket */
	struct address address; /* this host's address in the latest such attempt */
	char inner[128]; /* "eth0 (10.1.4.1)": interfaces where the clients may be; "": not known */
};

/* An interface that is watched, or that a capture names. */
struct session_iface {
	const char *name; /* as requested */
	uint32_t index; /* as in struct connection */
	const char *hook; /* "tcx" or "clsact"; NULL for a capture */
	const char *hook_reason; /* why the preferred hook is not used, or NULL */
	const char *link; /* link layer, in words */
	ns_t blind[DIRECTIONS]; /* for how long packets passed that the hook did not see */
	bool was_away; /* for a part of the run */
	bool is_part; /* member of a bridge or bond, which does the forwarding */
};

struct session {
	const char *from; /* the interfaces or files, in words */
	bool is_capture;
	struct session_iface interfaces[MAX_IFACES];
	unsigned int interface_count; /* 0 for captures that name no interface */
	char names[MAX_IFACES * (IFNAMSIZ + 2)]; /* of the interfaces: storage of `from` */
	const char *link; /* a capture's link type, in words */
	char kernel[65]; /* its release */
	struct timespec start; /* wall clock */
	ns_t duration;
	ns_t stall; /* threshold of --stall */
	bool narrowed_clients; /* --client: other clients are not seen */
	bool narrowed_servers; /* --server or --port: other servers are not seen */
	bool filtered; /* a capture filter may hide any packet */
	uint64_t counters[COUNTERS];
	uint64_t joined; /* records that were another side of an attempt: see model/join.h */
	uint64_t ambiguous; /* attempts that may be another side of more than one */
	struct unknown_ethertype ethertypes[MAX_ETHERTYPES]; /* the most frequent */
	char no_tcp_reason[512]; /* why no connection can be seen, once that was reported */
	struct session_iface *followed; /* --follow-peers: where SYNs are seen leaving */
	unsigned int followed_count;
	char unwatched[128]; /* other interfaces by which packets may leave, in words */
	bool ipsec; /* IPsec policies may encrypt packets that leave */
	uint64_t bytes; /* on all interfaces during the run, all protocols; 0: not known */
	struct address own_addresses[MAX_OWN_ADDRESSES]; /* of this host */
	unsigned int own_address_count;
	struct nat nat;
	const char *cut; /* why the source ended early, or NULL */
};

/* Number of records that were lost, for any reason. */
uint64_t session_losses(const struct session *session);

/*
 * Keeps the most frequent of 65536 packet counts by ethertype. Values below 0x600 are lengths
 * (IEEE 802.3) and count together as ETHERTYPE_LLC.
 */
void session_set_ethertypes(struct session *session, const uint32_t *packets);

/* Adds an interface, for the caller to fill in, and its name to session->from. */
struct session_iface *session_add_iface(struct session *session, const char *name);

/* The name of the interface with this index; NULL if it is not one of the session's. */
const char *session_iface_name(const struct session *session, uint32_t ifindex);

/* The maximum over the interfaces of the time that they were blind in this direction. */
ns_t session_blind_time(const struct session *session, int direction);

bool session_is_own_address(const struct session *session, const struct address *a);

extern const char *const counter_names[COUNTERS];
