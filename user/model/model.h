/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who are the clients, the peers, the attempts, the waits, and when? Built from connections alone;
 * knows nothing of where they come from, nor of how they are printed.
 *
 * Memory is bounded, however long a run is and whoever floods it: the numbers below are the bound.
 * Where one is full, what was used least recently gives its place, and of that first what never
 * proved to be real (clients that never finished a handshake, peers that never answered). The totals
 * hold; each detail that went is counted in model.folded.
 */
#pragma once

#include <sys/queue.h>

#include "connection.h"
#include "lib/hash.h"
#include "lib/histogram.h"
#include "lib/samples.h"
#include "host/route.h"

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
#define MAX_RECENT_CLIENTS (1 << 14) /* clients whose latest connections are kept, RECENT each */
#define RECENT 64

/* A MAC with more addresses of one family than these is a router's: then each address is a host. */
#define MAX_HOST_IP4 2
#define MAX_HOST_IP6 16

/* A wait of an open connection is said once it has lasted so long, or --stall if that is longer. */
#define REPORT_WAITING_NS (3 * (ns_t)SECOND_NS)

struct client_key {
	struct address address;
	uint16_t vlan[2];
};

/* A connection of a client's that was established, as far as it matters to its other ones. */
struct recent {
	ns_t syn;
	struct endpoint to;
	bool prompt; /* nobody waited for the first payloads */
	bool explained; /* the diagnosis' own */
};

TAILQ_HEAD(stall_list, stall);
TAILQ_HEAD(pending_list, pending);
TAILQ_HEAD(client_list, client);
TAILQ_HEAD(peer_list, peer);
TAILQ_HEAD(pair_list, pair);
LIST_HEAD(pairs_of, pair);

/* One address on the client side. */
struct client {
	struct client_key key;
	bool has_mac;
	bool proven; /* finished a handshake */
	uint8_t mac[6];
	uint64_t connections;
	uint64_t established;
	uint64_t decided; /* established, and a first payload was seen: they stalled or they did not
			   */
	uint64_t stalls;
	uint64_t idle; /* still waiting at the end */
	uint32_t lost_near; /* handshakes or first payloads with loss between it and this gateway */
	ns_t first_syn;
	ns_t worst_wait; /* NEVER when none was seen */
	struct samples waits; /* of all its first payloads */
	struct samples round_trips;
	struct stall_list kept_stalls; /* the latest MAX_CLIENT_STALLS, as they ended */
	struct pending_list pendings; /* the latest MAX_CLIENT_PENDING, as they settled */
	uint32_t stall_room, pending_room; /* how many are kept */
	bool forgot_pending;
	struct recent *recent; /* a ring of RECENT; NULL when there was no room */
	uint32_t recent_count;
	struct pairs_of pairs;
	size_t host; /* index into hosts.at, once model_hosts() has been called */
	TAILQ_ENTRY(client) by_use;
	UT_hash_handle hh;
};

/* What is odd about a server. */
struct anomalies {
	uint32_t accept_queue; /* SYN-ACKs repeat while the request is not taken */
	uint32_t deferred; /* SYN-ACKs repeat while the client is idle */
	uint32_t black_holed_requests; /* full segments that are never acknowledged */
	uint32_t black_holed_answers;
	uint32_t too_big; /* of these, an ICMP "too big" was seen */
	uint32_t challenged;
	uint32_t half_open;
	uint32_t slow_answers;
	ns_t worst_banner;
	struct samples banners; /* the late ones */
	struct samples answers; /* the slow ones */
	struct route route; /* to it, when it fails */
};

/* A server's address and port. */
struct peer {
	struct endpoint server;
	bool proven; /* answered, or failed two clients */
	uint32_t ifindex;
	struct address asked_by; /* the last client that failed here */
	uint64_t connections;
	uint64_t answered; /* by a SYN-ACK */
	uint64_t answered_late; /* so late that it had been called silent */
	uint64_t failures[FAILURES];
	uint64_t failed_syns;
	uint64_t by_gateway; /* failures that this very host made */
	uint64_t forwarded; /* unanswered attempts whose SYNs were seen to leave this gateway ... */
	uint64_t not_forwarded; /* ... and whose SYNs came in, and left by no other interface watched */
	uint64_t answer_dropped; /* whose SYN-ACKs came back to this gateway, and not to the client */
	uint32_t forwarded_by; /* ifindex, the last */
	uint32_t in_ifindex; /* ifindex of the last that stayed */
	ns_t first_failure;
	ns_t last_failure;
	ns_t last_answer;
	uint32_t clients_failed; /* how many clients failed here */
	uint32_t requests; /* with a first payload of the client's */
	uint32_t lost; /* connections whose SYN was lost behind this gateway */
	uint32_t banners; /* where it spoke first */
	uint32_t late_banners;
	struct pairs_of pairs; /* the clients that tried it, the latest first */
	uint8_t icmp_type; /* of the last ICMP error */
	uint8_t icmp_code;
	struct address icmp_from;
	struct anomalies *anomalies; /* NULL: none */
	unsigned int said; /* failures said live, as bits */
	ns_t reported_syn; /* the last SYN of the attempt they were said of */
	ns_t retracted; /* the SYN-ACK that took them back */
	int forwarding; /* the diagnosis' own */
	TAILQ_ENTRY(peer) by_use;
	UT_hash_handle hh;
};

struct stall {
	struct client *client; /* NULL when it is not kept */
	struct endpoint from;
	struct endpoint to;
	struct endpoint nat_endpoint; /* see struct connection */
	bool has_mac;
	uint8_t mac[6];
	uint8_t siblings; /* connections to the same server that began and got through meanwhile */
	uint8_t passed; /* to others */
	ns_t syn;
	ns_t synack;
	ns_t start; /* the handshake ACK */
	ns_t wait; /* so far, while undecided */
	ns_t round_trip; /* the client's; NEVER */
	const void *explained; /* the diagnosis' own, both */
	const void *held;
	TAILQ_ENTRY(stall) of_client;
	TAILQ_ENTRY(stall) by_age;
};

struct stalls {
	struct stall *at;
	size_t count;
	size_t room;
};

/*
 * Something that a client asked for and did not get at once: an attempt that failed, or a connection
 * that was slow to be answered. Only these can be what a stall waited for.
 */
struct pending {
	struct client *client;
	struct endpoint to;
	ns_t start; /* the first SYN */
	ns_t end; /* resolved, or until when the client may have gone on waiting for it */
	ns_t syn_last;
	ns_t syn_times[SYN_TIMES];
	uint32_t syn_count;
	bool resolved; /* by an answer, a refusal, an ICMP error, or the client's giving up */
	bool failed; /* no answer ever came */
	TAILQ_ENTRY(pending) of_client;
	TAILQ_ENTRY(pending) by_age;
};

/* What happened to a client at a server, see struct troubles. */
enum anomaly {
	ANOMALY_BLACK_HOLE = 1 << 0,
	ANOMALY_CHALLENGED = 1 << 1,
	ANOMALY_ACCEPT_QUEUE = 1 << 2,
	ANOMALY_SLOW = 1 << 3,
	ANOMALY_NOT_FORWARDED = 1 << 4, /* its SYNs, or their answers, did not leave this gateway */
};

#define MAX_CROSSED 32

/* Attempts that came in by an interface and whose answers left by it: no mirror port shows that. */
struct crossed {
	uint32_t ifindex;
	uint64_t attempts;
};

/* One client at one peer. */
struct pair {
	struct {
		struct client *client;
		struct peer *peer;
	} who;
	uint64_t attempts;
	uint64_t failures;
	uint32_t banners; /* where the server spoke first */
	uint32_t late_banners;
	uint32_t anomaly_bits; /* enum anomaly, as bits */
	LIST_ENTRY(pair) of_client;
	LIST_ENTRY(pair) of_peer;
	TAILQ_ENTRY(pair) by_use;
	UT_hash_handle hh;
};

struct opening; /* what was said of connections that are still opening */

struct model_events {
	void (*stall)(void *context, const struct stall *s, bool ended);
	void (*late_banner)(void *context, const struct connection *c);
	void (*failing)(void *context, const struct connection *c, enum failure failure);
	void (*late_answer)(void *context, const struct connection *c);
	void *context;
};

struct model {
	ns_t stall_ns; /* what counts as a stall */
	const struct model_events *events;

	struct client *clients;
	struct peer *peers;
	struct pair *pairs;
	struct stall_list stalls; /* the oldest first */
	struct pending_list pendings;
	struct stalls idle;
	struct opening *openings;
	uint64_t sweep;

	struct client_list clients_by_use[2]; /* [proven] */
	struct peer_list peers_by_use[2];
	struct pair_list pairs_by_use[2]; /* [failed] */
	size_t stalls_kept, pending_kept, recent_kept, anomalies_kept;

	ns_t last; /* the latest moment of what was seen */
	uint64_t connections;
	uint64_t outcomes[OUTCOMES];
	uint64_t failures[FAILURES];
	uint64_t offloaded; /* taken over by a flowtable before a first payload was seen */
	uint64_t unused; /* established, closed without a byte */
	uint64_t unspoken; /* established, not a byte by the end, for less than a stall */
	uint64_t failing_now; /* peers that were said to fail, and have answered nobody since */
	uint64_t late_banners;
	uint64_t retried; /* answered only after the second SYN or later */
	uint64_t lost_near, lost_far; /* connections with loss on either side of this gateway */
	uint64_t no_synack; /* the client spoke as if answered, no answer was seen */
	uint64_t full_acked; /* full-size first payloads that were acknowledged */
	uint64_t stall_count; /* all, also those that were folded */
	uint64_t dropped_details; /* details that gave their place */
	struct histogram waits;
	struct histogram answers;
	struct histogram client_round_trips;
	struct histogram server_round_trips;
	struct histogram
		syn_forwarding_delays; /* what this gateway takes for each, where both sides show */
	struct histogram synack_forwarding_delays;
	struct histogram payload_forwarding_delays;
	struct crossed crossed[MAX_CROSSED];
	unsigned int crossed_count;
};

/* NULL when out of memory. events must outlive the model; NULL: nobody wants to hear of any. */
struct model *model_new(ns_t stall_ns, const struct model_events *events);
void model_free(struct model *m);

/* An attempt has settled. */
void model_settled(struct model *m, const struct connection *c);

/* An attempt is still opening; a sweep shows each of them once, then calls model_swept(). */
void model_opening(struct model *m, const struct connection *c);
void model_swept(struct model *m);

/* For the route to be filled in; NULL when out of memory. */
struct anomalies *peer_anomalies(struct model *m, struct peer *p);

/* What users have: addresses that share a MAC, unless it is a router's. */
struct host {
	struct client **clients; /* the first one names the host: IPv4 before IPv6 */
	size_t client_count;
	uint64_t connections;
	uint64_t established;
	uint64_t decided;
	uint64_t stalls;
	uint64_t idle;
	ns_t worst_wait;
	const void *counted; /* by whom it was counted last: the counter's own */
};

struct hosts {
	struct host *at; /* the most stalls first */
	size_t count;
	size_t affected; /* with a stall */
	struct client **clients; /* owns what at[].clients point into */
};

/* False when out of memory. The caller frees with hosts_free(). */
bool model_hosts(struct model *m, struct hosts *hosts);
void hosts_free(struct hosts *hosts);

/* Did who tried this peer stall, and who did not, not? Counts alone: the verdict is the reader's. */
struct cohort {
	size_t tried; /* hosts that failed at the peer */
	size_t tried_stalled;
	size_t others;
	size_t others_stalled;
};

struct cohort model_cohort(struct hosts *hosts, const struct peer *p);

/* Waits that are equal, within 50 ms or 2 %. */
struct stall_group {
	size_t count;
	size_t hosts;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	ns_t shortest;
	ns_t longest;
};

/*
 * After model_hosts(). The largest group first. NULL when there is none or out of memory; the
 * caller frees.
 */
struct stall_group *model_stall_groups(const struct model *m, size_t *count);

/* How many attempts at it failed for certain. */
uint64_t peer_failures(const struct peer *p);

/* Peers that failed, the most clients first. The array is the caller's, the peers are the model's. */
struct peer **model_failing_peers(const struct model *m, size_t *count);

/*
 * The trials of a peer, the most failures first, at most room of them; answers how many were filled
 * in.
 */
size_t peer_pairs(const struct peer *p, const struct pair **pairs, size_t room);
