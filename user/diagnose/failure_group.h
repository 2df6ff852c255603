/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connects with one kind of failure, and the parts of a finding about them: which servers and hosts
 * they belong to, how many there are, and who else was served.
 */
#pragma once

#include "diagnose/decide.h"

/* Number of servers with one failure from which they are reported together. */
#define MIN_TOGETHER 3

/* Fewer connects than this may be a scan, a health check, or a client that left. */
#define MIN_CONNECTS 3

/* Connects of one kind of failure, at one or more servers. */
struct failure_group {
	enum finding_kind kind;
	struct connect_set set; /* sorted by server, then by SYN */
	const struct server *server; /* the one with the most of them */
	size_t most; /* connects of the set at that server */
	struct server_facts facts; /* of that server */
	size_t servers;
	uint64_t connects; /* all connects to these servers */
};

/* Fills in the members of a group that follow from its kind and its set. */
void group_fill(struct context *g, struct failure_group *group);

/*
 * Calls the reporter for the connects of the set that belong to one server, for each server; or
 * once for all of them if there are many servers. The set is sorted by server.
 */
void report_by_server(struct context *g, enum finding_kind kind, const struct connect_set *set,
		      void (*report)(struct context *g, const struct failure_group *group));

/* Returns the server of set->at[*i], and advances *i beyond its connects. The set is sorted. */
const struct server *next_server(const struct context *g, const struct connect_set *set, size_t *i);

/* Returns the number of connects in the set for which is_so() returns true. */
size_t count_if(const struct connect_set *set, bool (*is_so)(const struct noted_connect *n));

/*
 * Returns true if the host failed in the same way at so many servers that it scans them, whatever
 * the servers do.
 */
bool is_scan(const struct noted_connect *n);

/* How many of the hosts in a set were served, and on how many connects. */
struct served_hosts {
	size_t hosts;
	uint64_t connects;
};

/*
 * Counts the hosts of the set that the same servers served as well; or that other servers served.
 */
struct served_hosts count_served(const struct connect_set *set, bool elsewhere);

/*
 * Begins a finding about the group: its peer, its hosts, and the connects that it explains. Returns
 * NULL if there are too many findings.
 */
struct finding *begin_finding(struct context *g, const struct failure_group *group,
			      enum finding_kind kind, struct certainty certainty);

/* ---- words ---- */

#define FORMAT_SERVERS (FORMAT_ENDPOINT + 32)
#define FORMAT_COUNTS 160
#define FORMAT_SHARE 32

/* Formats as "192.0.2.1:443", or as "3 servers (most: 192.0.2.1:443)". */
char *format_servers(char out[FORMAT_SERVERS], const struct failure_group *group);

/*
 * Formats as "6 of 9 connects of 2 hosts"; and if they failed only after others were served, as "6
 * of 6 connects of 2 hosts since 12:01:03". The hosts are those of the finding.
 */
char *format_counts(char out[FORMAT_COUNTS], struct context *g, const struct finding *f,
		    const struct failure_group *group);

/* Formats as "each of them", or as "3 of them". */
char *format_share(char out[FORMAT_SHARE], const struct connect_set *set, size_t n);
