/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is known of a run as a whole, and what a source tells while it runs. A source fills the run;
 * the reports read it.
 */
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

struct evidence;
/* Of a packet, as the interface sees it. */
enum { INGRESS, EGRESS, DIRECTIONS };

struct unknown_ethertype {
	uint16_t ethertype;
	uint64_t packets;
};

/*
 * Whose address do the clients have? On the outer side of this host's NAT it is its own, and conntrack
 * knows who is behind it.
 */
struct nat {
	bool known; /* conntrack is read */
	const char *unknown; /* why it is not; NULL: nothing is tracked here */
	uint64_t translated; /* attempts from behind this host's address, whose client is known */
	uint64_t own; /* attempts from this host's address of which nothing more is known */
	uint64_t lost; /* how often conntrack told more than could be read */
	struct address address; /* the last one that was seen in a client's place */
	char inner[128]; /* "eth0 (10.1.4.1)": where the clients may be; empty: not known */
};

/* An interface that is watched, or whose packets are in captures. */
struct session_iface {
	const char *name; /* that was asked for */
	uint32_t index; /* as struct connection has it */
	const char *hook; /* "tcx", "clsact", or NULL for a capture */
	const char *hook_reason; /* why it is not the one that is tried first, or NULL */
	const char *link; /* what the frames begin with */
	ns_t blind[DIRECTIONS]; /* how long packets passed it unseen */
	bool was_away; /* for a part of the run */
	bool is_part; /* of a bridge or bond: what is forwarded is theirs to say */
};

struct session {
	const char *from; /* interfaces or files, in words */
	bool is_capture;
	struct session_iface interfaces[MAX_IFACES]; /* none for captures that nobody named one of */
	unsigned int interface_count;
	char names[MAX_IFACES * (IFNAMSIZ + 2)]; /* of the interfaces: run->from */
	const char *link; /* of a capture: what its frames begin with */
	char kernel[65];
	struct timespec start; /* wall clock */
	ns_t duration;
	ns_t stall;
	bool narrowed_clients; /* --client: other clients are not seen */
	bool narrowed_servers; /* --server or --port: other servers are not seen */
	uint64_t counters[COUNTERS];
	uint64_t joined; /* records that were another side of an attempt: see vantage.h */
	uint64_t ambiguous; /* attempts that may be another side of more than one */
	struct unknown_ethertype ethertypes[MAX_ETHERTYPES]; /* the most frequent */
	char no_tcp_reason[512]; /* why no connection can be seen here, when that was said */
	struct session_iface *followed; /* with --follow-peers: where SYNs are seen leaving */
	unsigned int followed_count;
	char unwatched[128]; /* other interfaces that packets may leave by, in words */
	bool ipsec; /* there are policies that may encrypt what leaves */
	uint64_t bytes; /* of the interface during the run, all protocols; 0 when not known */
	struct address own_addresses[MAX_OWN_ADDRESSES]; /* of this host */
	unsigned int own_address_count;
	struct nat nat;
	struct evidence *evidence; /* takes the packets that decide, or NULL */
	bool stop; /* set by the events: nobody hears the rest */
	const char *cut; /* why the source ended before its end, or NULL */
};

uint64_t session_losses(const struct session *session);

/*
 * Keeps the most frequent of 65536 packet counts by ethertype. Below 0x600 they are lengths (IEEE
 * 802.3): these count together as Linux' ETH_P_802_2, 0x0004.
 */
void session_set_ethertypes(struct session *session, const uint32_t *packets);

/* One more, which the caller fills in; run->from becomes the names of all. */
struct session_iface *session_add_iface(struct session *session, const char *name);

/* The name of the interface of this index; NULL when it is none of these. */
const char *session_iface_name(const struct session *session, uint32_t ifindex);

/* The longest time that packets of this direction passed one of the interfaces unseen. */
ns_t session_blind_time(const struct session *session, int direction);

bool session_is_own_address(const struct session *session, const struct address *a);

extern const char *const counter_names[COUNTERS];

struct source_events {
	void (*opened)(void *context); /* a capture's files are, and nothing of them was read */
	void (*started)(void *context); /* watching: run is filled but for duration and counters */
	void (*settled)(void *context, const struct connection *c); /* each attempt, once */
	void (*opening)(void *context,
			const struct connection *c); /* each that is opening, at each sweep */
	void (*swept)(void *context, ns_t now); /* the sweep is over */
	void (*notice)(void *context, ns_t now,
		       const char *text); /* something that happened to the run itself */
	void (*progress)(void *context, const char *text); /* how far a capture has been read */
	void *context;
};
