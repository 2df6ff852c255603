/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who are the clients, the peers, the attempts, the waits, and when? Built from connections alone;
 * knows nothing of where they come from, nor of how they are printed.
 *
 * Memory is bounded: what exceeds a bound is folded into the totals and counted in model.folded.
 */
#pragma once

#include <uthash.h>

#include "connection.h"
#include "histogram.h"

#define MAX_CLIENTS 200000
#define MAX_PEERS 200000
#define MAX_TRIALS 400000
#define MAX_STALLS 100000

/* A MAC with more addresses of one family than these is a router's: then each address is a host. */
#define MAX_HOST_IP4 2
#define MAX_HOST_IP6 16

/* A wait of an open connection is said once it has lasted so long, or --stall if that is longer. */
#define SAY_WAITING_NS (3 * (ns_t)SECOND_NS)

struct place {
	struct address address;
	uint16_t vlan[2];
};

/* One address on the client side. */
struct client {
	struct place place;
	bool has_mac;
	uint8_t mac[6];
	uint64_t connections;
	uint64_t established;
	uint64_t decided; /* established, and a first payload was seen: they stalled or they did not
			   */
	uint64_t stalls;
	uint64_t undecided; /* still waiting at the end */
	ns_t worst_wait; /* NEVER when none was seen */
	size_t host; /* index into hosts.at, once model_hosts() has been called */
	UT_hash_handle hh;
};

/* A server's address and port. */
struct peer {
	struct endpoint server;
	uint64_t connections;
	uint64_t answered; /* by a SYN-ACK */
	uint64_t answered_late; /* so late that it had been called silent */
	uint64_t failures[FAILURES];
	uint64_t failed_syns;
	uint64_t by_gateway; /* failures that this very host made */
	ns_t first_failure;
	ns_t last_failure;
	uint32_t clients_failed; /* how many clients failed here */
	struct trial *trials; /* by those clients, the latest first */
	uint8_t icmp_type; /* of the last ICMP error */
	uint8_t icmp_code;
	struct address icmp_from;
	uint64_t late_banners;
	ns_t worst_banner;
	unsigned int said; /* failures said live, as bits */
	UT_hash_handle hh;
};

struct stall {
	struct client *client; /* NULL when folded */
	struct endpoint from;
	struct endpoint to;
	bool has_mac;
	uint8_t mac[6];
	ns_t start; /* the handshake ACK */
	ns_t wait; /* so far, while undecided */
};

struct stalls {
	struct stall *at;
	size_t count;
	size_t room;
};

/* Attempts of one client at one peer that failed. */
struct trial {
	struct {
		struct client *client;
		struct peer *peer;
	} who;
	uint64_t failures;
	struct trial *next; /* at the same peer */
	UT_hash_handle hh;
};

struct opening; /* what was said of connections that are still opening */

struct model_events {
	void (*stall)(void *context, const struct stall *s, bool ended);
	void (*late_banner)(void *context, const struct connection *c);
	void (*failing)(void *context, const struct connection *c, enum failure failure);
	void (*answered_after_all)(void *context, const struct connection *c);
	void *context;
};

struct model {
	ns_t stall_ns; /* what counts as a stall */
	const struct model_events *events;

	struct client *clients;
	struct peer *peers;
	struct trial *trials;
	struct stalls stalls;
	struct stalls undecided;
	struct opening *openings;
	uint64_t sweep;

	uint64_t connections;
	uint64_t outcomes[OUTCOMES];
	uint64_t failures[FAILURES];
	uint64_t unused; /* established, closed without a byte */
	uint64_t unspoken; /* established, not a byte by the end, for less than a stall */
	uint64_t late_banners;
	uint64_t retried; /* answered only after the second SYN or later */
	uint64_t stall_count; /* all, also those that were folded */
	uint64_t folded; /* clients, peers, trials, stalls beyond the bounds */
	struct histogram waits;
	struct histogram answers;
	struct histogram client_round_trips;
	struct histogram server_round_trips;
};

/* NULL when out of memory. events must outlive the model. */
struct model *model_new(ns_t stall_ns, const struct model_events *events);
void model_free(struct model *m);

/* An attempt has settled. */
void model_settled(struct model *m, const struct connection *c);

/* An attempt is still opening; a sweep shows each of them once, then calls model_swept(). */
void model_opening(struct model *m, const struct connection *c);
void model_swept(struct model *m);

/* What users have: addresses that share a MAC, unless it is a router's. */
struct host {
	struct client **clients; /* the first one names the host: IPv4 before IPv6 */
	size_t client_count;
	uint64_t connections;
	uint64_t established;
	uint64_t decided;
	uint64_t stalls;
	uint64_t undecided;
	ns_t worst_wait;
	const struct peer *counted; /* model_cohort()'s */
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

/* Peers that failed, the most clients first. The array is the caller's, the peers are the model's. */
struct peer **model_failing_peers(const struct model *m, size_t *count);

/*
 * The trials of a peer, the most failures first, at most room of them; answers how many were filled
 * in.
 */
size_t peer_trials(const struct peer *p, const struct trial **trials, size_t room);
