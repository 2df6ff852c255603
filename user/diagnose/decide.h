/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decides which kind of finding explains a connect that failed or was late, by the stage that
 * failed and by what other connects to the same server show. Neighbouring kinds are told apart
 * here, and nowhere else.
 */
#pragma once

#include "diagnose/connects.h"

/* Sums over all connects to a server. */
struct server_facts {
	uint64_t served; /* in time or late */
	uint64_t failed;
	ns_t round_trip; /* the shortest from SYN to SYN-ACK; NEVER if there is none */
	/* connects answered by a SYN-ACK, and such with a retransmitted SYN before it */
	uint64_t answered;
	uint64_t answered_late;
	uint64_t silent; /* connects without an answer that counts */
	uint64_t refused;
	/* connects whose SYN-ACK repeats although it was acknowledged */
	uint64_t synack_repeats;
	bool ignores_syns; /* a SYN was left unanswered while SYN-ACKs of others repeated */
	uint64_t window_0; /* connects whose SYN-ACK has a window of 0 */
	bool speaks_first; /* it greets, or others on its port do */
	/* connects with a first flight larger than a segment, and with a smaller one */
	uint64_t large_served, large_failed;
	uint64_t small_served, small_failed;
	/*
	 * connects that failed with a full-size request that was not acknowledged, and such of them
	 * during which another one of that size passed: see has_size_passed()
	 */
	uint64_t full_failed, full_refuted;
};

/* Returns true if the client's first flight did not fit into one segment. */
bool is_larger_than_segment(const struct connection *c);

/*
 * Returns true if a first segment of at least the size of this connect's request was acknowledged
 * on a connect of the same host to the same address, at any port, that began shortly before it or
 * before its end: then the path carries such packets.
 */
bool has_size_passed(const struct noted_connect *n);

/*
 * Returns true if this gateway translated the destination of the SYNs and sent them back by the
 * interface they came in on, with the client's address and in its VLAN. The server at the new
 * address then answers the client directly, and the client refuses the answer (hairpin NAT).
 */
bool is_sent_back(const struct connection *c);

struct server_facts facts_of_server(const struct context *g, const struct server *s);

/*
 * Returns the kind that explains the connect, or KINDS if it is left to other causes. n failed, or
 * was late.
 */
enum finding_kind decide_kind(const struct context *g, const struct noted_connect *n,
			      const struct server_facts *facts);
