/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A network of synthetic hosts, the records of a gateway between them and their servers, and the
 * truth: which host waited for which server. A seed determines all of it. params.h has the ranges.
 */
#pragma once

#include <stdio.h>

#include "attempt.h"

enum forwarding { ANSWERS, SILENT, REFUSES, UNREACHABLE };

/* How a program tries the servers that it has. */
enum pattern {
	TRIES_ONCE, /* all of them at the same moment: the wire cannot distinguish them */
	TRIES_AGAIN, /* one attempt after another, at the same server or at all in turn */
	TRIES_NEXT, /* round robin: one attempt, each time at the next address of the name */
	TRIES_REFUSED, /* a refused attempt is repeated, until a timer ends it */
};

#define MAX_TRIED 3

#define NO_HELPER SIZE_MAX

/*
 * What a server, or the way to it, does beside all helpers: first the faults that a finding names,
 * then what looks similar.
 */
enum trouble {
	NO_TROUBLE,
	NEVER_ANSWERS, /* from some moment on; requests are acknowledged */
	CLOSES, /* instead of a greeting, from some moment on */
	RESETS_REQUESTS, /* from some moment on */
	LOSES_REQUESTS, /* packets after the SYN do not reach it */
	ANSWERS_THIRD_SYN,
	FILTERS_ECN, /* SYNs that ask for ECN vanish */
	LOSES_FIRST_SYN, /* of each host */
	FAULTS, /* end of the faults */
	RANDOM_LOSS = FAULTS, /* 1 to 5 % */
	OVERLOADED, /* late answers, so some clients give up */
	IMPATIENT_CLIENTS,
	SCANNED_HALF_OPEN,
	ONE_WAY, /* uploads */
	IDLE_SPARES, /* the server closes them after a while */
	RESTARTS,
	POLLED, /* answers are held back, and some clients leave before */
	TROUBLES,
};

/* A server, and the truth about it. */
struct server {
	struct endpoint ip4;
	struct endpoint ip6;
	bool has_ip6;
	enum forwarding forwarding; /* between the moments below; otherwise it answers */
	enum forwarding forwarding_ip6;
	ns_t forwarding_from;
	ns_t forwarding_to; /* it answers again from then on */
	ns_t round_trip;
	ns_t unreachable_after; /* time until the ICMP error */
	double answer; /* seconds, median */
	double answer_spread; /* of the logarithm */
	bool speaks_first;
	double greeting; /* seconds */

	unsigned int held; /* waits of a second or more that ended together with its attempt */
	unsigned int held_ip6; /* connects of a second or more, until the fallback to IPv4 */
	bool chained; /* programs try it and others in turn, and nobody waits for them */
	unsigned int failed; /* attempts that failed because of its state, not at random */
	unsigned int lost_in_outage; /* silent because of an outage between it and the gateway */
	unsigned int answered; /* attempts */
	unsigned int late; /* answers after a second or more */
	enum trouble trouble;
	unsigned int troubled; /* connects that failed, or were late, because of it */
	unsigned int troubled_hosts;
	size_t helper; /* index, or NO_HELPER */
};

/* A program that delays clients' connections, and the truth about it. */
struct helper {
	size_t servers[MAX_TRIED];
	unsigned int server_count;
	enum pattern pattern;
	unsigned int attempts; /* within one hold, if TRIES_AGAIN */
	double pause; /* seconds between two refused attempts */
	bool invisible; /* asks in a way that no TCP attempt shows */
	bool slow; /* it answers, but late */
	enum { HOLDS_ESTABLISHED, HOLDS_SEND, HOLDS_CONNECT } holds;
	ns_t timer; /* time after which it fails open, with all attempts */
	ns_t jitter; /* the maximum delay of the timer */
	double answer; /* seconds, median, when slow */
	double answer_spread;
	const struct schedule *schedule; /* of its SYNs; NULL for that of its host */
	bool keeps_trying; /* its attempt continues after it has failed open */
	ns_t cache; /* time without another attempt */
	bool shared; /* one attempt for all waiting sockets */
	double share; /* share of connections that it delays */
	unsigned int one_destination_in; /* it delays only one in this many destinations */
	size_t mimic; /* an innocent server that is tried with each of its attempts, or NO_HELPER */

	unsigned int hosts;
	unsigned int held; /* waits */
	unsigned int correlated; /* attempts that a wait was locked to: see count_holds() */
};

/* A host, and the truth about it. */
struct inhabitant {
	struct address ip4;
	struct address ip6; /* zero if none */
	bool lossy; /* segments are lost between it and the gateway */
	bool scans;
	unsigned int held_by; /* helpers, as bits */
	bool has_mac;
	uint8_t mac[6];
	ns_t round_trip; /* to the gateway */
};

struct population {
	uint64_t seed;
	bool impostor; /* an innocent peer looks exactly like a helper's: no observer could notice */
	ns_t end;
	unsigned int host_count;
	struct inhabitant *hosts;
	bool lossy_far_side; /* of the gateway: one segment in a thousand, or an outage */

	struct connection *connections; /* in the order of settlement */
	size_t connection_count;
	size_t connection_room;
	uint64_t fates[FATES]; /* number of connections with each fate */
	unsigned int ports; /* used by connects to servers with troubles */
	uint64_t one_way; /* connections whose client expects no answer, or does not wait for it */
	struct server *servers;
	size_t server_count;
	size_t server_room;
	struct helper helpers[4];
	size_t helper_count;
	size_t failover_dead[MAX_TRIED]; /* programs try these, and then a live server */
	unsigned int failover_dead_count;
	unsigned int failover_attempts;
	ns_t failover_total; /* the time of all attempts */
	unsigned int failovers; /* until a live server was tried */
	FILE *story; /* receives a description, unless NULL */
};

/* Aborts when out of memory. Reuses the memory of *p: zero it once, free it once. */
void population_make(struct population *p, uint64_t seed, bool impostor, FILE *story);
void population_free(struct population *p);

/* Reports whether a host really waited for it for a second or more. */
bool population_is_culprit(const struct population *p, const struct endpoint *e);

/* Reports whether it is a culprit, or programs really tried another server after it had failed. */
bool population_is_chained(const struct population *p, const struct endpoint *e);

/* Reports whether attempts there really failed in this way. port 0 means any of its ports. */
bool population_fails(const struct population *p, const struct endpoint *e,
		      enum forwarding forwarding);

/* Reports whether it really answered a request, or greeted, this late. */
bool population_answers_late(const struct population *p, const struct endpoint *e);
bool population_greets_late(const struct population *p, const struct endpoint *e);

/* Returns the server with a trouble, or NULL. port 0 means any of its ports. */
const struct server *population_trouble(const struct population *p, const struct endpoint *e);

/* Returns NULL if no host has that address. */
const struct inhabitant *population_host(const struct population *p, const struct address *a);

/*
 * Reports whether at least two servers in that prefix really failed, and none there answered all
 * the time.
 */
bool population_prefix_fails(const struct population *p, const struct address *prefix,
			     unsigned int length);
