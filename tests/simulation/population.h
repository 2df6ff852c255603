/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A network of invented hosts, what a gateway between them and their servers would have recorded of
 * it, and the truth: who waited for whom. A seed determines all of it. The ranges that it is drawn
 * from are in params.h.
 */
#pragma once

#include <stdio.h>

#include "connection.h"

enum forwarding { ANSWERS, SILENT, REFUSES, UNREACHABLE };

#define NO_HELPER SIZE_MAX

/* A server, and the truth about it. */
struct server {
	struct endpoint ip4;
	struct endpoint ip6;
	bool has_ip6;
	enum forwarding forwarding; /* from the moment below on; until then it answers */
	enum forwarding fate_ip6;
	ns_t fated_from;
	ns_t round_trip;
	ns_t unreachable_after; /* until the ICMP error */
	double answer; /* seconds, median */
	double answer_spread; /* of its logarithm */
	bool speaks_first;
	double greeting; /* seconds */

	unsigned int held; /* waits of a second or more that ended when this one was done */
	unsigned int held_ip6; /* connects a second or more, until IPv4 was tried instead */
	unsigned int failed; /* attempts that came to nothing by its fate, not by chance */
	unsigned int unheard; /* that an outage between it and the gateway kept silent */
	unsigned int answered; /* attempts */
	unsigned int late; /* answers that took a second or more */
	size_t helper; /* index, or NO_HELPER */
};

/* What clients ask before they let a connection go on, and the truth about it. */
struct helper {
	size_t servers[2]; /* tried in the same moments: on the wire they cannot be told apart */
	unsigned int server_count;
	bool invisible; /* asks in a way that no TCP attempt shows */
	bool slow; /* it answers, late */
	enum { HOLDS_ESTABLISHED, HOLDS_SEND, HOLDS_CONNECT } holds;
	ns_t timer; /* fails open after */
	ns_t jitter; /* at most so much later */
	double answer; /* seconds, median, when slow */
	double answer_spread;
	const struct schedule *schedule; /* of its SYNs; NULL: its host's */
	bool keeps_trying; /* its attempt goes on after it has failed open */
	ns_t cache; /* asks no more for so long */
	bool shared; /* one attempt for all that wait at the moment */
	double share; /* of connections that it holds */
	unsigned int one_destination_in; /* it holds only those to so many */
	size_t mimic; /* an innocent server that is tried with each of its attempts, or NO_HELPER */

	unsigned int hosts;
	unsigned int held; /* waits */
	unsigned int correlated; /* attempts that a wait was locked to: see count_holds() */
};

/* A host, and the truth about it. */
struct inhabitant {
	struct address ip4;
	struct address ip6; /* zero: none */
	bool lossy; /* segments are lost between it and the gateway */
	bool scans;
	unsigned int held_by; /* helpers, as bits */
};

struct population {
	uint64_t seed;
	bool impostor; /* an innocent peer looks just like a helper's: nobody could tell */
	ns_t end;
	unsigned int host_count;
	struct inhabitant *hosts;
	bool lossy_far_side; /* of the gateway: one segment in a thousand, or an outage */

	struct connection *connections; /* in the order in which they settled */
	size_t connection_count;
	size_t connection_room;
	struct server *servers;
	size_t server_count;
	size_t server_room;
	struct helper helpers[4];
	size_t helper_count;
	FILE *story; /* told to, when not NULL */
};

/* Aborts when out of memory. Reuses what *p holds: zero it once, free it once. */
void population_make(struct population *p, uint64_t seed, bool impostor, FILE *story);
void population_free(struct population *p);

/* Did anybody truly wait for it, a second or more? */
bool population_is_culprit(const struct population *p, const struct endpoint *e);

/* Did attempts there truly come to nothing, in this way? port 0: at any of its ports. */
bool population_fails(const struct population *p, const struct endpoint *e,
		      enum forwarding forwarding);

/* Did it truly answer a request, or greet, so late? */
bool population_answers_late(const struct population *p, const struct endpoint *e);
bool population_greets_late(const struct population *p, const struct endpoint *e);

/* NULL: nobody has that address. */
const struct inhabitant *population_host(const struct population *p, const struct address *a);

/* Two servers or more in that prefix truly failed, and none there answered all the time. */
bool population_prefix_fails(const struct population *p, const struct address *prefix,
			     unsigned int length);
