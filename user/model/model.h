/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Clients, peers, attempts and waits, aggregated from connections. The model does not know where
 * connections come from, nor what is concluded from them or how that is printed.
 *
 * Memory is bounded, however long a run is and whoever floods it: the MAX_ constants are the
 * bounds. A full table evicts its least recently used element, and of these first what was never
 * verified: clients that finished no handshake, peers that answered nobody. The totals stay exact;
 * each detail that was dropped is counted in model.dropped_details.
 */
#pragma once

#include <sys/queue.h>

#include "connection.h"
#include "lib/hash.h"
#include "lib/histogram.h"
#include "lib/samples.h"

#define MAX_CLIENTS (1 << 17)
#define MAX_PEERS (1 << 17)
#define MAX_PAIRS (1 << 19)
#define MAX_ANOMALIES (1 << 14)
#define MAX_STALLS (1 << 17)
#define MAX_CLIENT_STALLS 128
#define MAX_PENDING_OPS (1 << 18)
#define MAX_CLIENT_PENDING 256
#define MAX_IDLE (1 << 14)
#define MAX_OPENINGS (1 << 17)
#define MAX_RECENT_CLIENTS (1 << 14) /* clients with a ring of RECENT connections */
#define RECENT 64

/* A MAC with more addresses of one family is a router's: each address behind it is a host then. */
#define MAX_HOST_IP4 2
#define MAX_HOST_IP6 16

/* A wait that goes on is reported after this time, or after --stall if that is longer. */
#define REPORT_WAITING_NS (3 * (ns_t)SECOND_NS)

struct client_key {
	struct address address;
	uint16_t vlan[2];
};

/* An established connection of a client, as far as it matters to the client's other connections. */
struct recent {
	ns_t syn;
	struct endpoint to;
	bool prompt; /* neither side delayed its first payload */
};

TAILQ_HEAD(stall_list, stall);
TAILQ_HEAD(pending_list, pending);
TAILQ_HEAD(client_list, client);
TAILQ_HEAD(peer_list, peer);
TAILQ_HEAD(pair_list, pair);
LIST_HEAD(pairs_of, pair);

/* An address on the client side. */
struct client {
	struct client_key key;
	uint32_t number; /* unique among the clients kept, below HASH_COUNT(model.clients) */
	bool has_mac;
	bool verified; /* finished a handshake */
	uint8_t mac[6];
	uint64_t connections;
	uint64_t established;
	uint64_t decided; /* established, with a first payload: it stalled or it did not */
	uint64_t stalls;
	uint64_t idle; /* still without a payload at the end of the run */
	uint32_t lost_near; /* connections with loss between the client and this gateway */
	ns_t first_syn;
	ns_t worst_wait; /* NEVER when no wait was seen */
	struct samples waits; /* of all its first payloads */
	struct samples round_trips;
	struct stall_list kept_stalls; /* the latest MAX_CLIENT_STALLS, in the order they ended */
	struct pending_list pendings; /* the latest MAX_CLIENT_PENDING, in the order they settled */
	uint32_t stall_room, pending_room; /* lengths of these lists */
	bool forgot_pending;
	struct recent *recent; /* a ring of RECENT; NULL when there was no room */
	uint32_t recent_count;
	struct pairs_of pairs;
	TAILQ_ENTRY(client) by_use;
	UT_hash_handle hh;
};

/* Symptoms of a server or of the path to it, as counts of connections. */
struct anomalies {
	uint32_t accept_queue; /* the SYN-ACK is repeated and the request is not taken */
	uint32_t deferred; /* the SYN-ACK is repeated while the client is idle */
	uint32_t black_holed_requests; /* full-size segments that are never acknowledged */
	uint32_t black_holed_answers;
	uint32_t too_big; /* black-holed, and an ICMP "too big" was seen */
	uint32_t challenged; /* the SYN was answered by a challenge ACK (RFC 5961 4.2) */
	uint32_t half_open;
	uint32_t slow_answers;
	ns_t worst_banner;
	struct samples banners; /* the late ones */
	struct samples answers; /* the slow ones */
};

/* A server's address and port. */
struct peer {
	struct endpoint server;
	bool verified; /* answered, or failed two clients */
	uint32_t ifindex; /* of the last failure */
	struct address asked_by; /* the last client that failed here */
	uint64_t connections;
	uint64_t answered; /* by a SYN-ACK */
	uint64_t answered_late; /* after it had been reported silent */
	uint64_t failures[FAILURES];
	uint64_t failed_syns;
	uint64_t by_gateway; /* failures that this host itself made */
	/* unanswered attempts ... */
	uint64_t forwarded; /* whose SYNs were seen to leave this gateway */
	uint64_t not_forwarded; /* whose SYNs came in and left by no watched interface */
	uint64_t answer_dropped; /* whose SYN-ACKs reached only this gateway */
	uint32_t forwarded_by; /* ifindex of the last attempt that was forwarded */
	uint32_t in_ifindex; /* ifindex of the last attempt that was not */
	ns_t first_failure;
	ns_t last_failure;
	ns_t last_answer;
	uint32_t clients_failed; /* clients that failed here */
	uint32_t requests; /* connections with a first payload of the client */
	uint32_t lost; /* connections whose SYN was lost behind this gateway */
	uint32_t banners; /* connections in which it spoke first */
	uint32_t late_banners;
	struct pairs_of pairs; /* the clients that tried it, the latest first */
	uint8_t icmp_type; /* of the last ICMP error */
	uint8_t icmp_code;
	struct address icmp_from;
	struct anomalies *anomalies; /* NULL: none */
	unsigned int reported; /* failures reported while the run lasts, as bits */
	ns_t reported_syn; /* the last SYN of the attempt that was reported */
	ns_t retracted; /* the SYN-ACK that retracted the report */
	TAILQ_ENTRY(peer) by_use;
	UT_hash_handle hh;
};

/* An established connection on which the client was silent for too long. */
struct stall {
	struct client *client; /* NULL when the stall is not kept with its client */
	struct endpoint from;
	struct endpoint to;
	struct endpoint nat_endpoint; /* see struct connection */
	bool has_mac;
	uint8_t mac[6];
	uint8_t siblings; /* connections to the same server that began and got through meanwhile */
	uint8_t passed; /* connections to other servers that did */
	ns_t syn;
	ns_t synack;
	ns_t start; /* the handshake's ACK */
	ns_t wait; /* until the client's first payload; so far, while it is idle */
	ns_t round_trip; /* the client's; or NEVER */
	TAILQ_ENTRY(stall) of_client;
	TAILQ_ENTRY(stall) by_age;
};

static inline ns_t stall_end(const struct stall *s)
{
	return s->start + s->wait;
}

struct stalls {
	struct stall *at;
	size_t count;
	size_t room;
};

/*
 * A pending operation: an attempt that failed, or a connection that was slow to be answered. A
 * stall of the same client can have waited for nothing else.
 */
struct pending {
	struct client *client;
	struct endpoint to;
	ns_t start; /* the first SYN */
	ns_t end; /* when it was resolved, or until when the client may have waited for it */
	ns_t syn_last;
	ns_t syn_times[SYN_TIMES];
	uint32_t syn_count;
	bool resolved; /* by an answer, a refusal, an ICMP error, or the client's giving up */
	bool failed; /* no answer ever came */
	TAILQ_ENTRY(pending) of_client;
	TAILQ_ENTRY(pending) by_age;
};

/* What happened to a client at a server, see struct anomalies. */
enum anomaly {
	ANOMALY_BLACK_HOLE = 1 << 0,
	ANOMALY_CHALLENGED = 1 << 1,
	ANOMALY_ACCEPT_QUEUE = 1 << 2,
	ANOMALY_SLOW = 1 << 3,
	ANOMALY_NOT_FORWARDED = 1 << 4, /* of its SYNs or of the SYN-ACKs */
};

#define MAX_CROSSED 32

/* Attempts that came in by an interface and whose SYN-ACK left by it, as on no mirror port. */
struct crossed {
	uint32_t ifindex;
	uint64_t attempts;
};

/* A client at a peer. */
struct pair {
	struct {
		struct client *client;
		struct peer *peer;
	} who;
	uint64_t attempts;
	uint64_t failures;
	uint32_t banners; /* connections in which the server spoke first */
	uint32_t late_banners;
	uint32_t anomaly_bits; /* enum anomaly */
	LIST_ENTRY(pair) of_client;
	LIST_ENTRY(pair) of_peer;
	TAILQ_ENTRY(pair) by_use;
	UT_hash_handle hh;
};

struct opening;

/* Called while the run lasts. Each stall, and each peer and failure, is reported once. */
struct model_events {
	void (*stall)(void *context, const struct stall *s, bool ended);
	void (*late_banner)(void *context, const struct connection *c);
	void (*failing)(void *context, const struct connection *c, enum failure failure);
	void (*late_answer)(void *context, const struct connection *c); /* retracts a failing() */
	void *context;
};

struct model {
	ns_t stall_ns; /* the shortest wait that is a stall */
	const struct model_events *events;

	struct client *clients;
	struct peer *peers;
	struct pair *pairs;
	struct stall_list stalls; /* the oldest first */
	struct pending_list pendings;
	struct stalls idle; /* connections without a payload at the end of the run */
	struct opening *openings; /* long waits that still go on */
	uint64_t sweep;

	struct client_list clients_by_use[2]; /* [verified], least recently used first */
	struct peer_list peers_by_use[2];
	struct pair_list pairs_by_use[2]; /* [failed] */
	size_t stalls_kept, pending_kept, recent_kept, anomalies_kept;

	ns_t last; /* the latest moment seen */
	uint64_t connections;
	uint64_t outcomes[OUTCOMES];
	uint64_t failures[FAILURES];
	uint64_t offloaded; /* taken over by a flowtable before a first payload was seen */
	uint64_t unused; /* established and closed without a payload */
	uint64_t unspoken; /* established, without a payload at the end, for less than a stall */
	uint64_t failing_now; /* peers reported to fail that have answered nobody since */
	uint64_t late_banners;
	uint64_t retried; /* answered only after the second SYN or later */
	uint64_t lost_near, lost_far; /* connections with loss on either side of this gateway */
	uint64_t no_synack; /* the client went on as if answered, but no answer was seen */
	uint64_t full_acked; /* full-size first payloads that were acknowledged */
	uint64_t stall_count; /* of all stalls, kept or not */
	uint64_t dropped_details;
	struct histogram waits;
	struct histogram answers;
	struct histogram client_round_trips;
	struct histogram server_round_trips;
	/* the delay that this gateway adds, where both of its sides were seen */
	struct histogram syn_forwarding_delays;
	struct histogram synack_forwarding_delays;
	struct histogram payload_forwarding_delays;
	struct crossed crossed[MAX_CROSSED];
	unsigned int crossed_count;
};

/* events must outlive the model; NULL: nobody is notified. Returns NULL when out of memory. */
struct model *model_new(ns_t stall_ns, const struct model_events *events);
void model_free(struct model *m);

/* Adds an attempt that has settled. */
void model_settled(struct model *m, const struct connection *c);

/* A sweep shows each attempt that is still opening once, then calls model_swept(). */
void model_opening(struct model *m, const struct connection *c);
void model_swept(struct model *m);

/* ---- queries ---- */

/* Returns NULL when the peer is not kept. */
const struct peer *model_peer(const struct model *m, const struct endpoint *server);
const struct client *model_client(const struct model *m, const struct client_key *key);

/* A user's machine: the addresses that share a MAC, unless it is a router's. */
struct host {
	struct client **clients; /* the first one names the host: IPv4 before IPv6 */
	size_t client_count;
	uint64_t connections;
	uint64_t established;
	uint64_t decided;
	uint64_t stalls;
	uint64_t idle;
	ns_t worst_wait;
};

struct hosts {
	struct host *at; /* the most stalls first */
	size_t count;
	size_t affected; /* hosts with a stall */
	struct client **clients; /* owns the arrays at[].clients */
	uint32_t *of_client; /* index into at[], by client.number */
	bool *seen; /* by host; all false between two calls of model_cohort() */
};

/*
 * The model must not change while hosts is in use. The caller frees. Returns false when out of
 * memory.
 */
bool model_hosts(const struct model *m, struct hosts *hosts);
void hosts_free(struct hosts *hosts);
const struct host *host_of_client(const struct hosts *hosts, const struct client *c);

/* A 2x2 table of hosts: tried a peer in vain or not, stalled or not. */
struct cohort {
	size_t tried;
	size_t tried_stalled;
	size_t others;
	size_t others_stalled;
};

struct cohort model_cohort(const struct hosts *hosts, const struct peer *p);

/* Stalls of equal length: neighbours differ by at most 50 ms or 2 %. */
struct stall_group {
	size_t count;
	size_t hosts;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	ns_t shortest;
	ns_t longest;
};

/* The largest group first. The caller frees. Returns NULL when there is none or out of memory. */
struct stall_group *model_stall_groups(const struct model *m, const struct hosts *hosts,
				       size_t *count);

/* Attempts at the peer that certainly failed. */
uint64_t peer_failures(const struct peer *p);

/*
 * Peers with failures, the most clients first. The caller frees. Returns NULL when out of memory.
 */
const struct peer **model_failing_peers(const struct model *m, size_t *count);

/*
 * Fills pairs with those of the peer, the most failures first. Returns their number, at most room.
 */
size_t peer_pairs(const struct peer *p, const struct pair **pairs, size_t room);
