/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests to the servers of a group of failures: what the failing ones have that others do
 * not, and the parts of sentences about them.
 */
#pragma once

#include "diagnose/failure_group.h"

/* Failures from which a pattern of requests is reported; fewer are everyday accidents. */
#define MIN_FAILURES 2

/* Bytes of the first flights of several requests; both are 0 if none is known. */
struct flights {
	uint16_t least, most;
};

struct flights flights_of(const struct connect_set *set);

/* Requests to the servers of a group. */
struct requests {
	uint64_t all;
	uint64_t served;
	uint64_t served_to_same; /* of hosts that the group is about */
	uint64_t waiting; /* not answered yet when the run ended */
	size_t hosts; /* hosts that the group is about */
	size_t hosts_served; /* of these, hosts that were served as well */
	size_t other_hosts; /* other hosts, which were served */
	ns_t longest_hold; /* before the request of a served connect; NEVER if none was served */
	struct flights flights; /* of the served ones */
};

struct requests requests_of(const struct context *g, const struct failure_group *group);

/* Returns the confidence that the number of failures gives, low if they are few among many. */
struct certainty certainty_of_failures(uint64_t failures, const struct requests *r);

/* Adds a finding about all connects of the group, at the server with the most of them. */
struct finding *finding_of_group(struct context *g, const struct failure_group *group,
				 enum finding_kind kind, struct certainty certainty,
				 const struct requests *r);

/* Adds whether the hosts of the group were served on other connects, or only other hosts were. */
void add_hosts_line(struct finding *f, const struct requests *r);

/* Adds the sizes of first flights that failed and of such that were served. */
void add_flights_line(struct finding *f, const struct connect_set *set, const struct requests *r);

/* ---- words ---- */

/* Formats as "192.0.2.1:443 and 2 other servers". */
char *format_with_others(char out[FORMAT_SERVERS], const struct failure_group *group);

/* ---- who ended the connections ---- */

/* The ends of the connections of a group. */
struct endings {
	size_t resets;
	size_t by_gateway; /* this host sent the RST */
	size_t nearer; /* somebody nearer than the server did */
	size_t other_ttl; /* the RST's TTL is not that of the SYN-ACK */
	uint8_t rst_ttl, synack_ttl; /* of the last one of these */
	size_t bare; /* the RST acknowledges nothing */
	size_t repeated; /* SYN-ACKs repeated although acknowledged */
	ns_t shortest_hold; /* before the request; NEVER if unknown */
};

struct endings endings_of(const struct context *g, const struct connect_set *set);

/* Returns the time from the request to the server's RST or FIN, or NEVER. */
ns_t time_to_end(const struct noted_connect *n);

#define NEARER_ACTION                                                                    \
	"look for a firewall, filter or proxy between this gateway and the server that " \
	"refuses these requests; a capture one hop further on shows on which side it is"

/* Adds why somebody nearer than the server must have sent the RSTs. */
void add_nearer_lines(struct finding *f, const struct failure_group *group,
		      const struct endings *e);
