/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about a run as a whole. A source fills them in; the diagnosis and the reports read them. */
#pragma once

#include <net/if.h>
#include <time.h>

#include "connection.h"
#include "dns_event.h"

#ifndef PROBE_VERSION
#define PROBE_VERSION "unknown"
#endif

#define MAX_ETHERTYPES 8
#define MAX_OWN_ADDRESSES 64
#define MAX_IFACES 16
#define MAX_RESET_SERVERS 16

/* Direction of a packet, as seen from the interface. */
enum { INGRESS, EGRESS, DIRECTIONS };

struct unknown_ethertype {
	uint16_t ethertype;
	uint64_t packets;
};

/*
 * Source NAT on this host. On its outer side all clients have this host's address, and conntrack
 * provides their own addresses.
 */
struct nat {
	bool known; /* conntrack can be read */
	/* why conntrack cannot be read; NULL if this host tracks no connections */
	const char *unknown;
	uint64_t translated; /* attempts from this host's address whose client conntrack knows */
	uint64_t own; /* attempts from this host's address that conntrack does not translate */
	uint64_t lost; /* number of overruns of conntrack's event socket */
	struct address address; /* this host's address in the latest such attempt */
	/* interfaces where the clients may be, such as "eth0 (10.1.4.1)"; "" if unknown */
	char inner[128];
};

/* An interface that is watched, or that a capture file names. */
struct session_iface {
	const char *name; /* name given by the user */
	uint32_t index; /* interface index, as in struct connection */
	const char *hook; /* "tcx" or "clsact"; NULL for a capture */
	const char *hook_reason; /* why the preferred hook is not used, or NULL */
	const char *link; /* name of the link layer, for display */
	ns_t blind[DIRECTIONS]; /* time during which packets passed that the hook did not see */
	ns_t down; /* time during which the interface was down, had no carrier, or was missing */
	bool seen[DIRECTIONS]; /* the hook saw packets */
	bool was_away; /* the interface was missing for part of the run */
	bool is_part; /* member of a bridge or bond, which forwards in its place */
};

struct reset_set;

/* Which names of DNS leave the process: only where a finding needs them, none, or all. */
enum names_mode { NAMES_EVIDENCE, NAMES_NONE, NAMES_ALL, NAMES_MODES };

extern const char *const names_mode_names[NAMES_MODES]; /* as --names has them */

struct session {
	const char *from; /* names of the interfaces or files, for display */
	bool is_capture;
	struct session_iface interfaces[MAX_IFACES];
	unsigned int interface_count; /* 0 if a capture names no interface */
	char names[MAX_IFACES * (IFNAMSIZ + 2)]; /* storage of `from` in a live run */
	const char *link; /* name of a capture's link type, for display */
	char kernel[65]; /* kernel release */
	char gateway[65]; /* host name; "" for a capture, which may be another machine's */
	struct timespec start; /* wall-clock time */
	ns_t duration;
	uint16_t dns_ports[MAX_DNS_PORTS];
	size_t dns_port_count;
	enum names_mode names_mode;
	bool numeric; /* no names and services on the screen and the page */
	ns_t stall; /* threshold of --stall, in ns */
	/* lists of --client, --server and --port, and the filter of a capture; or NULL */
	const char *client_list, *server_list, *port_list, *capture_filter;
	bool narrowed_clients; /* --client: other clients are not seen */
	bool narrowed_servers; /* --server or --port: other servers are not seen */
	bool filtered; /* a capture filter may hide any packet */
	uint64_t counters[COUNTERS];
	/* records that were joined to another record of the same attempt: see model/join.h */
	uint64_t joined;
	uint64_t ambiguous; /* records that match several attempts and were joined to none */
	struct unknown_ethertype ethertypes[MAX_ETHERTYPES]; /* the most frequent */
	/* servers with the most resets, the most frequent first; times are since the start */
	struct reset_server resets[MAX_RESET_SERVERS];
	unsigned int reset_count;
	/* why no TCP connection can be seen; "" unless that was reported */
	char no_tcp_reason[512];
	/* --follow-peers: interfaces on which SYNs that leave are recorded */
	struct session_iface *followed;
	unsigned int followed_count;
	char unwatched[128]; /* names of other interfaces on which packets may leave */
	bool ipsec; /* IPsec policies may encrypt packets that leave */
	uint64_t bytes; /* all protocols, on all watched interfaces during the run; 0 if unknown */
	struct address own_addresses[MAX_OWN_ADDRESSES]; /* addresses of this host */
	unsigned int own_address_count;
	struct nat nat;
	bool is_interim; /* the report is an interim report: the run goes on */
	const char *cut; /* why the source ended early; NULL if it did not */
};

/*
 * Returns the number of attempts, records and packets that this tool lost. Packets whose headers
 * could not be read are none of them.
 */
uint64_t session_losses(const struct session *session);

/*
 * Stores the most frequent of 65536 packet counts by ethertype. Values below 0x600 are lengths
 * (IEEE 802.3) and are counted together as ETHERTYPE_LLC.
 */
void session_set_ethertypes(struct session *session, const uint32_t *packets);

/*
 * Stores the servers with the most resets of RESET_SETS sets. A server that was seen on several
 * interfaces is stored once, with the counts of one of them: NAT changes its clients between them.
 * start is the source's clock at the start of the run.
 */
void session_set_resets(struct session *session, const struct reset_set *sets, uint64_t start);

/* Adds an interface, and its name to session->from. The caller fills in the other members. */
struct session_iface *session_add_iface(struct session *session, const char *name);

/* Returns the name of the interface with this index, or NULL if it is not part of the session. */
const char *session_iface_name(const struct session *session, uint32_t ifindex);

/* Returns the longest time that an interface was blind in this direction. */
ns_t session_blind_time(const struct session *session, int direction);

/* Returns the longest time that an interface was down. */
ns_t session_down_time(const struct session *session);

bool session_is_own_address(const struct session *session, const struct address *a);

extern const char *const counter_names[COUNTERS];
