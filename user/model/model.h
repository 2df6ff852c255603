/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Clients, peers, attempts and waits, aggregated from connections. The model does not depend on the
 * source of the connections, on the diagnosis, or on the reports.
 *
 * Memory is bounded by the MAX_ constants, even in a long run or during a flood. A full table
 * evicts its least recently used element. Unverified elements are evicted first: clients that
 * completed no handshake, and peers that answered no client. The totals stay exact; each dropped
 * detail is counted in model.dropped_details.
 */
#pragma once

#include <sys/queue.h>

#include "connection.h"
#include "lib/hash.h"
#include "lib/histogram.h"
#include "lib/samples.h"
#include "model/join.h"
#include "model/journal.h"
#include "model/ledger.h"
#include "model/names.h"

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

/*
 * A MAC address with more IP addresses of one family, over all VLANs, is a router's: each address
 * behind it is then a host of its own.
 */
#define MAX_HOST_IP4 2
#define MAX_HOST_IP6 16

/* A wait that continues is reported after this time, or after --stall if that is longer. */
#define REPORT_WAITING_NS (3 * (ns_t)SECOND_NS)

/*
 * The properties of an established connection that matter when another connection of the client
 * stalls.
 */
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

#define CLIENT_REFUSALS 4 /* peers whose refusals are followed, for each client */

/*
 * Attempts of a client at one peer that follow each other, each of which was refused or reported
 * unreachable within a moment: the program tries again until it gives up.
 */
struct refusals {
	struct endpoint to;
	uint32_t tries; /* 0 if unused */
	ns_t start; /* of the first attempt */
	ns_t last; /* start of the last attempt */
	ns_t end; /* the last refusal */
	ns_t gap; /* from one attempt to the next; the last one */
	bool steady; /* the last two gaps are equal */
	ns_t times[SYN_TIMES]; /* start of the first attempts */
	struct pending *kept; /* the operation that they are; NULL if they are too short for one */
};

/* An address on the client side. */
struct client {
	struct client_key key;
	/* unique among the clients in the table, below HASH_COUNT(model.clients) */
	uint32_t number;
	bool has_mac;
	bool verified; /* completed a handshake */
	uint8_t mac[6];
	/* 0 if only its DNS questions were seen */
	uint64_t connections;
	uint64_t established;
	/* established connections with a first payload, which show whether the client stalled */
	uint64_t decided;
	uint64_t stalls;
	uint64_t idle; /* connections without payload at the end of the run */
	uint32_t lost_near; /* connections with loss between the client and this gateway */
	ns_t first_syn; /* NEVER if it only asked DNS */
	struct syn_traits syn_traits; /* of its first SYN */
	uint32_t way_out; /* ifindex on which its first SYN left this gateway; 0 if not seen */
	ns_t last_served; /* latest first byte of a server to this client; NEVER if there was none */
	ns_t worst_wait; /* NEVER when no wait was seen */
	struct samples waits; /* waits before the client's first payloads */
	struct samples round_trips;
	struct stall_list kept_stalls; /* the latest MAX_CLIENT_STALLS, in the order they ended */
	struct pending_list pendings; /* the latest MAX_CLIENT_PENDING, in the order they settled */
	uint32_t stall_room, pending_room; /* lengths of these lists */
	bool forgot_pending;
	struct refusals *refusals; /* CLIENT_REFUSALS elements; NULL if nothing was refused */
	struct recent *recent; /* ring buffer of RECENT elements; NULL if there was no room */
	uint32_t recent_count;
	struct pairs_of pairs;
	TAILQ_ENTRY(client) by_use;
	UT_hash_handle hh;
};

/* Symptoms of a server or of the path to it, as counts of connections. */
struct anomalies {
	/* the SYN-ACK is retransmitted, and the request is not acknowledged */
	uint32_t accept_queue;
	uint32_t deferred; /* the SYN-ACK is retransmitted while the client is idle */
	/* connections with a full-sized segment that is never acknowledged */
	uint32_t black_holed_requests;
	uint32_t black_holed_answers;
	uint32_t too_big; /* black-holed, and an ICMP "too big" was seen */
	uint32_t challenged; /* the reply to the SYN was a challenge ACK (RFC 5961 4.2) */
	uint32_t half_open;
	uint32_t slow_answers;
	ns_t worst_banner;
	struct samples banners; /* delays of late banners */
	struct samples answers; /* delays of slow answers */
};

/* A server's address and port. */
struct peer {
	struct endpoint server;
	bool verified; /* the peer answered, or two clients failed here */
	uint32_t ifindex; /* interface of the last failure */
	struct address asked_by; /* the last client that failed here */
	uint64_t connections;
	uint64_t answered; /* attempts answered by a SYN-ACK */
	uint64_t answered_late; /* attempts answered after SILENT_NS or longer */
	uint64_t window_0; /* attempts answered by a SYN-ACK with a window of 0 */
	uint64_t failures[FAILURES];
	uint64_t failed_syns;
	ns_t longest_refusal; /* from the first SYN to the last RST of a connect; 0 if none */
	uint64_t by_gateway; /* failures caused by a RST or ICMP error of this host */
	/* numbers of unanswered attempts */
	uint64_t forwarded; /* their SYNs left this gateway */
	uint64_t not_forwarded; /* their SYNs came in, but left on no watched interface */
	uint64_t answer_dropped; /* their SYN-ACKs reached this gateway, but did not leave it */
	uint64_t came_back; /* their SYNs passed again where they had left */
	uint64_t answered_beyond; /* attempts that a router beyond this gateway answered by ICMP */
	struct address router; /* the last such router */
	struct endpoint redirected_to; /* by this gateway's NAT, the last attempt; else port is 0 */
	uint32_t forwarded_by; /* ifindex of the last attempt that was forwarded */
	uint32_t in_ifindex; /* ifindex of the last attempt that was not forwarded */
	ns_t first_failure;
	ns_t last_failure;
	ns_t first_answer, last_answer;
	uint32_t clients_failed; /* clients that failed here */
	uint32_t requests; /* connections with a first payload of the client */
	uint32_t lost; /* connections whose SYN was lost behind this gateway */
	uint32_t banners; /* connections in which the server spoke first */
	uint32_t late_banners;
	/* connects without a byte whose row others decide, by the side that closed them */
	uint32_t without_byte[SIDES];
	struct pairs_of pairs; /* clients that tried this peer, the latest first */
	uint8_t icmp_type; /* type of the last ICMP error */
	uint8_t icmp_code;
	struct address icmp_from;
	struct anomalies *anomalies; /* NULL if there are none */
	/* bit mask of the kinds of failure that were reported during the run */
	unsigned int reported;
	ns_t reported_syn; /* the last SYN of the attempt that was reported */
	ns_t retracted; /* the SYN-ACK that retracted the report */
	TAILQ_ENTRY(peer) by_use;
	UT_hash_handle hh;
};

/*
 * An established connection on which the client sent nothing for the length of a stall or longer.
 */
struct stall {
	struct client *client; /* NULL if the stall is not stored with its client */
	struct endpoint from;
	struct endpoint to;
	struct endpoint nat_endpoint; /* see struct connection */
	bool has_mac;
	uint8_t mac[6];
	/* connections to the same server that started and got through during the stall */
	uint8_t siblings;
	uint8_t passed; /* such connections to other servers */
	ns_t syn;
	ns_t synack;
	ns_t start; /* time of the ACK that completed the handshake */
	/* time until the client's first payload; the time so far if the client is still idle */
	ns_t wait;
	ns_t round_trip; /* the client's round-trip time; or NEVER */
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
 * A pending operation: an attempt that failed, attempts at one peer that were refused one after
 * another, or a connection that was answered slowly. A stall of the same client can have waited for
 * no other connection.
 */
struct pending {
	struct client *client;
	struct endpoint to;
	ns_t start; /* the first SYN */
	/* when it was resolved, or the latest time at which the client may have waited for it */
	ns_t end;
	ns_t syn_last;
	ns_t syn_times[SYN_TIMES];
	uint32_t syn_count;
	/* ended by an answer, a refusal, an ICMP error, or because the client gave up */
	bool resolved;
	bool failed; /* the operation was never answered */
	ns_t answered; /* the SYN-ACK; or NEVER */
	uint32_t tries; /* attempts, each refused; 1 if it is a single one */
	/* a SYN or SYN-ACK was lost, which is not the peer's fault: no evidence against it */
	bool lost_once;
	TAILQ_ENTRY(pending) of_client;
	TAILQ_ENTRY(pending) by_age;
};

/* Symptoms that a client met at a server, see struct anomalies. */
enum anomaly {
	ANOMALY_BLACK_HOLE = 1 << 0,
	ANOMALY_CHALLENGED = 1 << 1,
	ANOMALY_ACCEPT_QUEUE = 1 << 2,
	ANOMALY_SLOW = 1 << 3,
	ANOMALY_NOT_FORWARDED = 1 << 4, /* this gateway did not forward the SYNs or the SYN-ACKs */
};

#define MAX_CROSSED 32

/*
 * Attempts that came in on an interface and whose SYN-ACK left on it. A mirror port never shows
 * both.
 */
struct crossed {
	uint32_t ifindex;
	uint64_t attempts;
};

struct pair_key {
	struct client *client;
	struct peer *peer;
};

/* The attempts of one client at one peer. */
struct pair {
	struct pair_key who;
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
struct siblings;

/* The longest wait of a client for a stage of an opening. */
struct longest_wait {
	ns_t duration; /* NEVER if no client waited */
	enum stage stage;
	struct endpoint client;
	struct endpoint server;
};

/* Callbacks during the run. Each stall, and each kind of failure of a peer, is reported once. */
struct model_events {
	void (*stall)(void *context, const struct stall *s, bool ended);
	void (*late_banner)(void *context, const struct connection *c);
	void (*failing)(void *context, const struct connection *c, enum failure failure);
	void (*late_answer)(void *context, const struct connection *c); /* retracts a failing() */
	void *context;
};

struct model {
	ns_t stall_ns; /* minimum length of a stall */
	const struct model_events *events;

	struct client *clients;
	struct peer *peers;
	struct pair *pairs;
	struct stall_list stalls; /* the oldest first */
	struct pending_list pendings;
	struct stalls idle; /* connections without a payload at the end of the run */
	struct opening *openings; /* waits that continue and were reported, or may be */
	uint64_t sweep;

	struct client_list clients_by_use[2]; /* indexed by verified, least recently used first */
	struct peer_list peers_by_use[2];
	struct pair_list pairs_by_use[2]; /* indexed by whether an attempt failed */
	size_t stalls_kept, pending_kept, recent_kept, anomalies_kept;

	ns_t last; /* the latest time seen */
	struct ledger ledger; /* provisional, see model_ledger() */
	struct journal journal;
	struct names *names;
	struct siblings *siblings;
	struct longest_wait longest;
	ns_t slowest_service; /* from the first SYN to the server's first byte; NEVER if none */
	uint64_t connections; /* connects */
	uint64_t outcomes[OUTCOMES];
	uint64_t failures[FAILURES];
	/* connections that a flowtable took over before a first payload was seen */
	uint64_t offloaded;
	uint64_t unused; /* connections that were established and closed without payload */
	/* established connections without payload at the end, for less than a stall's length */
	uint64_t unspoken;
	/* peers that were reported as failing and have answered no client since */
	uint64_t failing_now;
	uint64_t late_banners;
	uint64_t retried; /* attempts answered only after a retransmission of the SYN */
	uint64_t lost_near, lost_far; /* connections with loss on either side of this gateway */
	/* connections whose client continued as after a SYN-ACK, but none was seen */
	uint64_t no_synack;
	uint64_t full_acked; /* full-sized first payloads that were acknowledged */
	uint64_t stall_count; /* all stalls, including those that were evicted */
	uint64_t dropped_details;
	struct histogram waits;
	struct histogram answers;
	struct histogram client_round_trips;
	struct histogram server_round_trips;
	/* time between both sides of this gateway, if both were seen */
	struct histogram syn_forwarding_delays;
	struct histogram synack_forwarding_delays;
	struct histogram payload_forwarding_delays;
	struct crossed crossed[MAX_CROSSED];
	unsigned int crossed_count;
};

/*
 * events must outlive the model; with NULL there are no callbacks. Returns NULL when out of memory.
 */
struct model *model_new(ns_t stall_ns, const struct model_events *events);
void model_free(struct model *m);

/* Loads what model_settled() will need for this connect into the cache, see join_events.soon. */
void model_soon(const struct model *m, const struct connection *c, enum soon soon);

/* Adds a connect that has ended. */
void model_settled(struct model *m, const struct connection *c);

/* Adds a DNS packet. to_own: its server is an address of this host. */
void model_dns(struct model *m, const struct dns_packet *p, bool to_own);

/* A sweep passes each opening attempt once, then calls model_swept(). */
void model_opening(struct model *m, const struct connection *c);
void model_swept(struct model *m);

/* ---- queries ---- */

/* Returns NULL if the element is not in the table. */
const struct peer *model_peer(const struct model *m, const struct endpoint *server);
const struct client *model_client(const struct model *m, const struct client_key *key);
const struct pair *model_pair(const struct model *m, const struct client *client,
			      const struct peer *peer);

/*
 * Fills in the ledger of all connects so far. Where the row depends on what other connects to the
 * same server showed, such as who speaks first, this is decided here.
 */
void model_ledger(const struct model *m, struct ledger *l);

/*
 * For each port, the number of connects in which the server spoke first, less those in which the
 * client did. The caller frees the array of 65 536 elements. Returns NULL when out of memory.
 */
int64_t *model_greetings(const struct model *m);

/* Returns true if the server speaks first, as far as this server or others on its port show. */
bool peer_speaks_first(const struct peer *p, const int64_t *greetings);

/* Returns the row of a connect, decided in the same way as in model_ledger(). */
struct ledger_entry model_entry(const struct model *m, const int64_t *greetings,
				const struct journal_entry *e);

/* A user's machine: the clients that share a MAC address, unless it is a router's. */
struct host {
	/* IPv4 before IPv6; reports identify the host by the first client */
	struct client **clients;
	size_t client_count;
	size_t address_count; /* addresses; a client is an address in a VLAN */
	bool behind_router; /* its MAC address is the router's */
	uint64_t connections;
	uint64_t established;
	uint64_t decided;
	uint64_t stalls;
	uint64_t idle;
	ns_t worst_wait;
};

struct hosts {
	/* the most stalls first; hosts without a connect, which asked only DNS, last */
	struct host *at;
	size_t count; /* without these */
	size_t all; /* with these */
	size_t affected; /* hosts with a stall */
	struct client **clients; /* owns the arrays at[].clients */
	uint32_t *of_client; /* index into at[], by client.number */
	bool *seen; /* indexed by host; all false between two calls of model_cohort() */
};

/*
 * Groups the clients into hosts. The model must not change while hosts is in use. The caller frees
 * by hosts_free(). Returns false when out of memory.
 */
bool model_hosts(const struct model *m, struct hosts *hosts);
void hosts_free(struct hosts *hosts);
const struct host *host_of_client(const struct hosts *hosts, const struct client *c);

/* A 2x2 table of hosts: whether they tried a peer in vain, and whether they stalled. */
struct cohort {
	size_t tried;
	size_t tried_stalled;
	size_t others;
	size_t others_stalled;
};

struct cohort model_cohort(const struct hosts *hosts, const struct peer *p);

/* Stalls of equal length: two neighbours differ by at most 50 ms or 2 %. */
struct stall_group {
	size_t count;
	size_t hosts;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	ns_t shortest;
	ns_t longest;
};

/*
 * Returns the groups, the largest first. The caller frees. Returns NULL if there are none, or when
 * out of memory.
 */
struct stall_group *model_stall_groups(const struct model *m, const struct hosts *hosts,
				       size_t *count);

/* Returns the number of attempts at the peer that certainly failed. */
uint64_t peer_failures(const struct peer *p);

/*
 * Returns the peers with failures, those with the most clients first. The caller frees the array.
 * Returns NULL when out of memory.
 */
const struct peer **model_failing_peers(const struct model *m, size_t *count);

/*
 * Stores at most `room` pairs of the peer, those with the most failures first. Returns their
 * number.
 */
size_t peer_pairs(const struct peer *p, const struct pair **pairs, size_t room);

/* A resolver that left a first question without an answer. */
struct silent_resolver {
	struct endpoint server;
	struct address asked_by;
	uint32_t ifindex;
};

/* Stores at most `room` of them, each once. Returns their number. */
size_t model_silent_resolvers(const struct model *m, struct silent_resolver *at, size_t room);
