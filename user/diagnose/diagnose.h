/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds the causes of waits and failures, each with a confidence. diagnose() is a pure function of
 * the model, the session and the facts about this host. It does no I/O and reads no clock, and the
 * same input gives the same findings.
 */
#pragma once

#include "diagnose/name_summary.h"
#include "host/facts.h"
#include "model/model.h"
#include "session.h"

/* The kinds of finding; kinds.c has the table that describes them. */
enum finding_kind {
	KIND_RESOLVER_UNANSWERED,
	KIND_RESOLVER_SLOW,
	KIND_TYPE_UNANSWERED,
	KIND_ZONE_UNANSWERED,
	KIND_DNS_TCP_BLOCKED,
	KIND_DNS_ANSWERS_LOST,
	KIND_WAITS_FOR_PEER,
	KIND_SLOW_HELPER,
	KIND_HELD_BEFORE_CONNECT,
	KIND_FAILOVER_CHAIN,
	KIND_BROKEN_IPV6,
	KIND_TIMER_UNEXPLAINED,
	KIND_STALLS_UNEXPLAINED,
	KIND_PREFIX_CUT,
	KIND_DROPPED_IN_GATEWAY,
	KIND_PEER_UNANSWERED,
	KIND_PEER_REFUSED,
	KIND_PEER_UNREACHABLE,
	KIND_ROUTING_LOOP,
	KIND_ANSWERED_ELSEWHERE,
	KIND_SLOW_CONNECT,
	KIND_SYN_FLOOD,
	KIND_IDENT,
	KIND_LATE_BANNER,
	KIND_SLOW_SERVER,
	KIND_ACCEPT_QUEUE,
	KIND_DEFERRED_ACCEPT,
	KIND_SERVER_CLOSES,
	KIND_NO_GREETING,
	KIND_NO_ANSWER,
	KIND_RESET_AFTER_REQUEST,
	KIND_REFUSED_IN_ANSWER,
	KIND_REQUEST_LOST,
	KIND_SYN_PROXY,
	KIND_FIRST_VISIT_SLOW,
	KIND_MTU_BLACK_HOLE,
	KIND_LARGE_HELLO,
	KIND_HANDSHAKE_UNFINISHED,
	KIND_SYN_FILTERED,
	KIND_FIRST_SYN_LOST,
	KIND_SOME_PATHS_FAIL,
	KIND_ONE_DIRECTION,
	KIND_LOSSY_CLIENT,
	KIND_LOSSY_FAR_SIDE,
	KIND_SLOW_ACCESS,
	KIND_PORT_REUSE,
	KIND_DUPLICATE_ADDRESS,
	KIND_GATEWAY_DROPS,
	KIND_OLD_RESET,
	KIND_NO_VERDICT,
	KIND_NOT_THE_NETWORK,
	KINDS,
};

enum finding_family {
	FAMILY_NAME, /* names and resolvers */
	FAMILY_WAIT, /* waits of clients, and their causes */
	FAMILY_PEER, /* peers that fail */
	FAMILY_SERVER, /* servers that answer late or incorrectly */
	FAMILY_PATH, /* the path between clients, this gateway and servers */
	FAMILY_OVERALL, /* the run as a whole */
};

/* The order in which findings are reported. */
enum finding_rank {
	RANK_NO_VERDICT, /* the other findings are not reliable */
	RANK_CAUSE, /* explains waits; a low confidence ranks as RANK_FAULT */
	RANK_FAULT, /* something is broken */
	RANK_UNEXPLAINED,
	RANK_NOTE, /* information: no client waits because of it */
	RANK_ALL_WELL,
};

struct finding_kind_info {
	const char *name; /* stable: used in JSON lines and in the manual */
	enum finding_family family;
	enum finding_rank rank;
	bool is_problem; /* a finding of this kind says that something is wrong */
	const char *description;
};

extern const struct finding_kind_info finding_kinds[KINDS];

enum confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH, CONFIDENCES };

extern const char *const confidence_names[CONFIDENCES];

/* How far a finding can be trusted. */
struct certainty {
	enum confidence level;
	const char *reason; /* what keeps it below high, a static clause; NULL if it is high */
};

#define MAX_FINDING_HOSTS 256 /* hosts listed; the counts include all */
#define MAX_FINDING_ALSO 8
#define MAX_FINDING_PARTS 16
#define MAX_FINDING_LINES 16
#define MAX_FINDING_TEXT 512 /* bytes of a line of evidence */
#define MAX_FINDINGS 64

/* Hosts, each identified by one of its addresses. */
struct finding_hosts {
	struct client_key *at; /* at most MAX_FINDING_HOSTS, sorted by address */
	size_t named; /* number of hosts in at[] */
	size_t count;
};

/* A server's part in a finding about several servers. */
struct finding_part {
	struct endpoint server;
	uint64_t connects; /* all connects to it */
	uint64_t concerned; /* those that the finding is about */
};

/* Properties by which hosts, connects and SYNs are compared; traits.c has their names. */
enum trait {
	/* of hosts, fixed by their first SYN */
	TRAIT_VLAN,
	TRAIT_SUBNET, /* /24 or /64 */
	TRAIT_VENDOR, /* of the MAC address, or "private" (locally administered) */
	TRAIT_SYSTEM, /* coarse class by the SYN */
	TRAIT_MSS,
	TRAIT_IPV6, /* uses IPv6 */
	TRAIT_ACTIVITY, /* number of connects: a check for confounding */
	TRAIT_WAY_OUT, /* interface by which its SYNs leave */
	TRAIT_RESOLVER, /* the resolver that it asks first */
	/* of connects */
	TRAIT_SERVER,
	TRAIT_PORT,
	TRAIT_PREFIX,
	TRAIT_FAMILY, /* IPv4 or IPv6 */
	TRAIT_FIRST_OF_HOST,
	TRAIT_REUSED_PORT, /* the four-tuple was used shortly before */
	TRAIT_FIRST_OF_SERVER, /* of this host at this server */
	TRAIT_BURST, /* other connects of the host in the last second */
	TRAIT_FLIGHT, /* size of the first flight: one segment or more */
	TRAIT_BACKEND, /* by TTL and window of the SYN-ACK */
	/* of SYNs */
	TRAIT_ECN,
	TRAIT_MPTCP,
	TRAIT_FAST_OPEN,
	TRAIT_TIMESTAMPS,
	TRAIT_NTH_SYN, /* of its connect */
	TRAITS,
};

extern const char *const trait_names[TRAITS]; /* for people: "VLAN", "MAC vendor", ... */
extern const char *const trait_words[TRAITS]; /* stable, for JSON lines: "vlan", "mac_vendor", ... */

#define MAX_COMMON_TRAITS 4
#define COMMON_VALUE 96

/* A trait that separates the hosts (or connects) of a finding from the others. */
struct common_trait {
	enum trait trait;
	bool of_connects; /* the counts are of connects of these hosts; else of hosts */
	char value[COMMON_VALUE]; /* in words, such as "20" or "10.2.0.0/24" */
	size_t bad_with, bad; /* of the hosts that wait or fail: with the value; all */
	size_t good_with, good; /* of those that do not */
	double p; /* adjusted for all traits tested in the report */
	bool is_same_split; /* it divides the hosts as the trait listed before it */
};

/* The result of comparing the hosts of a finding with others, see comparison.h. */
struct comparison {
	unsigned int tests; /* comparisons in the whole report; 0 if these were not compared */
	size_t bad, good; /* hosts that wait or fail, and others */
	bool are_late; /* no connect failed: all bad ones were served late */
	struct common_trait common[MAX_COMMON_TRAITS]; /* the best split first */
	size_t common_count;
	uint32_t spread; /* bit mask of traits: both kinds of hosts occur in each value */
	uint32_t same; /* all hosts are alike, so the trait cannot tell */
};

/* A line of evidence. */
struct finding_line {
	/* "affected", "route", "against", ...; empty if it belongs to the label before */
	char label[16];
	char text[MAX_FINDING_TEXT]; /* a whole sentence; UTF-8, escaped */
};

/* A wait and the attempt that was pending at the same time, for a time line. */
struct example {
	struct endpoint client;
	struct endpoint nat_endpoint; /* see struct connection */
	struct endpoint server;
	ns_t syn;
	ns_t synack;
	ns_t ack;
	ns_t first; /* time of the first payload, which ended the wait */
	struct endpoint waited_for; /* port 0 if there was no such attempt */
	ns_t syn_times[SYN_TIMES]; /* SYN times of the pending attempt */
	unsigned int syn_count; /* number of elements in syn_times */
	ns_t resolved; /* time when the pending attempt was answered or failed; or NEVER */
	bool asks_name; /* waited_for is a resolver, and syn_times are those of questions to it */
};

struct finding {
	enum finding_kind kind;
	enum confidence confidence;
	const char *confidence_reason; /* see struct certainty */
	bool is_problem; /* it says that something is wrong, see struct finding_kind_info */
	bool has_peer;
	struct endpoint peer; /* port 0 stands for several ports */
	/* length of the prefix of peer.address that the finding is about; else 0 */
	unsigned int prefix_length;
	struct endpoint
		also[MAX_FINDING_ALSO]; /* peers tried at the same times, which are suspects too */
	size_t also_count;
	struct finding_part parts[MAX_FINDING_PARTS]; /* the largest first */
	size_t part_count; /* 0 if the finding is about a single server, or about none */

	uint64_t stalls; /* observations considered */
	uint64_t correlated; /* observations that this finding explains */
	ns_t timer; /* duration that the stalls have in common; NEVER if there is none */
	ns_t deviation; /* median absolute deviation from timer; or NEVER */

	size_t hosts_hurt;
	struct finding_hosts affected;
	struct finding_hosts unaffected; /* the comparison group; its count is 0 if there is none */
	struct cohort cohort;
	/* Fisher's exact test on the cohort, two-sided; NAN without a comparison group */
	double p_value;

	struct comparison comparison;

	char text[240]; /* the headline of the finding; UTF-8, escaped */
	struct finding_line lines[MAX_FINDING_LINES];
	size_t line_count;
	bool has_example;
	struct example example;
};

/*
 * Names for which a resolver gives no answer although it answers others. The number of a zone is
 * its place in diagnosis.zones, from 1.
 */
struct zone {
	/* the resolver; server.zone is the number */
	struct endpoint server;
	struct dns_name name; /* the names at and below it; the root stands for most names */
	bool is_one_name; /* no other name below it was asked */
	uint16_t type; /* only questions of this type; 0 stands for all types */
	ns_t since, until; /* the first and the last try without an answer */
	double chance; /* probability that lost packets look like it */
	/* in words, as "names under corp.example"; empty until a finding needs it; not escaped */
	char text[160];
};

/* A stall of the model and the finding that explains it. */
struct explained_stall {
	const struct stall *stall;
	size_t finding; /* number of the finding, from 1 */
};

/* The same for a lookup. */
struct explained_lookup {
	const struct lookup *lookup;
	size_t finding;
};

/* The result of the run as a whole. It follows from the findings and the ledger. */
enum state {
	STATE_PROBLEM, /* a finding names a problem */
	STATE_FAILURES, /* connects failed or were late, and no finding names a problem */
	STATE_FINE, /* all connects that were seen whole were served in time, or cancelled */
	STATE_UNKNOWN, /* too little was seen, or too much was not seen whole */
	STATE_COUNT,
};

extern const char *const state_names[STATE_COUNT];

/*
 * Writes a comparison in words: calls add() for each line, with its label. Returns the number of
 * lines. is_wait: the hosts wait; else they fail.
 */
size_t comparison_lines(const struct comparison *r, bool is_wait,
			void (*add)(void *context, const char *label, const char *text),
			void *context);

#define DIAGNOSIS_HEADLINE 320
#define MAX_TRAIT_COLUMNS 3

struct diagnosis {
	const struct session *session;
	const struct host_facts *facts;
	const struct names *names; /* of the model; NULL if nothing is known about names */
	struct dns_name *printed_names; /* those that findings print, see name_text.h */
	size_t printed_name_count;
	struct name_summary name_summary;
	struct ledger ledger;
	struct host_drops drops; /* packets that this host dropped during the run */
	enum state state;
	/* the result in one sentence without a full stop, for all reports; UTF-8, escaped */
	char headline[DIAGNOSIS_HEADLINE];
	struct finding *at; /* sorted by importance */
	size_t count;
	size_t dropped; /* findings beyond MAX_FINDINGS */
	struct comparison unexplained; /* of hosts whose connects no finding explains */
	/* the server of most connects that failed or were late, and their number; 0 if none stands out */
	struct endpoint worst_server;
	uint64_t worst_count;
	struct hosts hosts; /* hosts of the model; count is 0 when out of memory */
	/* the resolver that each of hosts.at[] asked first, all zeros if it asked none; or NULL */
	struct address *first_resolvers;
	struct zone *zones;
	size_t zone_count;
	struct explained_stall *explained; /* sorted by the address of the stall */
	size_t explained_count;
	struct explained_lookup *lookups; /* sorted by their first question */
	size_t lookup_count;
	bool failed; /* out of memory: there are no findings */
};

/*
 * Fills in the diagnosis. It points to the model, the session and the facts, which must not change
 * while the diagnosis is in use. Returns false when out of memory. The caller frees in any case.
 */
bool diagnose(struct diagnosis *d, const struct model *m, const struct session *session,
	      const struct host_facts *facts);
void diagnosis_free(struct diagnosis *d);

/*
 * Return the number, from 1, of the finding that explains a stall, a wait since this handshake ACK,
 * or an attempt at this server. Return 0 if there is none.
 */
size_t diagnosis_of_stall(const struct diagnosis *d, const struct stall *s);
size_t diagnosis_of_wait(const struct diagnosis *d, const struct model *m,
			 const struct endpoint *client, const struct endpoint *server, ns_t start);
size_t diagnosis_of_server(const struct diagnosis *d, const struct endpoint *server);

/* Returns the first finding that names a problem, which the headline quotes; or NULL. */
const struct finding *first_problem(const struct diagnosis *d);

/* Stores the traits that a list of hosts shows, the best split first. Returns their number. */
size_t diagnosis_traits(const struct diagnosis *d, enum trait at[MAX_TRAIT_COLUMNS]);

/* Formats the value of a trait as that host has it, such as "20" or "10.2.0.0/24". Unescaped. */
char *format_trait(char out[COMMON_VALUE], const struct diagnosis *d, enum trait trait,
		   const struct host *h);

#define FORMAT_PEER 256

/*
 * Formats the peer of a finding: an endpoint, or names at a resolver, such as "names under
 * corp.example at 10.0.0.53". Unescaped.
 */
char *format_peer(char out[FORMAT_PEER], const struct diagnosis *d, const struct endpoint *e);
