/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the diagnosis share: one file a family of causes, each called once, in the order
 * of diagnose(). What an earlier one has explained, a later one leaves alone.
 */
#pragma once

#include "diagnose/diagnose.h"
#include "lib/address.h"
#include "lib/format.h"
#include "lib/statistics.h"

/* Sockets that one thing released end their waits within this time of each other. */
#define SAME_MOMENT_NS (100 * (ns_t)MILLISECOND_NS)

/* How much later than the handshake may an attempt begin that the request waits for, and earlier? */
#define LEAD_NS (250 * (ns_t)MILLISECOND_NS)
#define LAG_NS (50 * (ns_t)MILLISECOND_NS)

/* A host's waits and operations, all its addresses together. */
struct host_view {
	const struct host *host;
	struct stall **stalls; /* by the moment they ended; spare sockets are left out */
	size_t stall_count;
	size_t groups; /* of stalls that ended together */
	struct pending **pendings; /* by start */
	size_t pending_count;
	ns_t watched; /* for so long, as far as its operations are still known */
	ns_t from; /* since when */
};

struct diagnosing {
	struct diagnosis *d;
	struct model *m;
	const struct view *view;
	struct hosts hosts;
	struct host_view *views; /* of hosts.at[], in its order */
	struct stall **stalls; /* own what the views point into */
	struct pending **pendings;
	size_t stall_count;
	bool out_of_memory;
};

/* NULL when there are MAX_FINDINGS already. */
struct finding *finding_new(struct diagnosing *g, enum finding_kind kind,
			    enum confidence confidence);
bool has_finding(const struct diagnosing *g, enum finding_kind kind);
void finding_set_peer(struct finding *f, const struct endpoint *peer);

/* The sentence; a line of evidence. */
void finding_text(struct finding *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_line(struct finding *f, const char *label, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void finding_add_host(struct diagnosing *g, struct finding_hosts *hosts, const struct host *h);

/* The hosts that tried this peer, of those with one of the oddities; of all with 0. */
void finding_add_hosts(struct diagnosing *g, struct finding *f, const struct peer *p,
		       unsigned int anomaly_bits);

/* A host that spoke, so that it can be compared: it stalled or it did not. */
bool host_is_comparable(const struct host *h);
struct host *host_of(struct diagnosing *g, const struct client *c);

/* Fills f->affected, f->unaffected, f->cohort and f->p_value by who tried this peer and who stalled. */
void finding_compare(struct diagnosing *g, struct finding *f, struct peer *p);

/* What becomes of the SYNs to a peer that does not answer, in this gateway. */
enum forwarding {
	FORWARDING_NOT_CHECKED,
	FORWARDING_OK,
	FORWARDING_DROPPED,
	FORWARDING_ANSWERS_DROPPED,
};

void finding_add_forwarding(const struct diagnosing *g, struct finding *f, const struct peer *p);

/* Is it named by a finding that says who waits for it? */
bool is_waited_for(const struct diagnosing *g, const struct peer *p);

/* "10.0.0.0/8 leaves by the default route (eth1)", where the gateway knows something worth saying. */
void finding_add_route(const struct diagnosing *g, struct finding *f, const struct peer *p);

struct peer *diagnosing_peer(struct diagnosing *g, const struct endpoint *e);

/* Is the word so, of these counts? */
enum confidence by_count(uint64_t n);

void cause_forwarding(struct diagnosing *g); /* fills peer.fate in */
void cause_correlated(struct diagnosing *g); /* waits-for-peer, slow-helper */
void cause_failover(struct diagnosing *g); /* held-before-connect, failover-chain, broken-ipv6 */
void cause_loss(struct diagnosing *g); /* lossy-client, lossy-far-side */
void cause_unexplained(struct diagnosing *g); /* timer-unexplained, stalls-unexplained */
void cause_gateway_drops(struct diagnosing *g); /* dropped-in-gateway */
void cause_dead_peers(struct diagnosing *g); /* peers that fail, alone and together */
void cause_slow_servers(struct diagnosing *g); /* ident, banners, answers, accept queues */
void cause_path(struct diagnosing *g); /* MTU, one direction, round trips, what can be said of all */
