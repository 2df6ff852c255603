/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which waits have which cause, how sure? A pure function of the model and of what the gateway knows:
 * no I/O, no clock, the same input gives the same findings.
 */
#pragma once

#include "model/model.h"
#include "session.h"

/* In the order of the README's table; finding_kinds[] has their stable words. */
enum finding_kind {
	/* waits of clients, and what they waited for */
	KIND_WAITS_FOR_PEER, /* a peer that does not answer: a helper that fails open after a time */
	KIND_SLOW_HELPER, /* a peer that answers late, and the wait ends when it does */
	KIND_HELD_BEFORE_CONNECT, /* the SYN itself comes a fixed time after an attempt that failed */
	KIND_FAILOVER_CHAIN, /* the first server is silent, the second is tried a fixed time later */
	KIND_BROKEN_IPV6, /* IPv6 is silent, IPv4 to the same port follows */
	KIND_TIMER_UNEXPLAINED, /* equal waits, and nothing on the wire that they waited for */
	KIND_STALLS_UNEXPLAINED,
	/* peers that fail */
	KIND_PREFIX_CUT, /* all that is behind one prefix or one route is silent */
	KIND_DROPPED_IN_GATEWAY, /* SYNs, or their answers, that come in here and do not go out */
	KIND_PEER_UNANSWERED,
	KIND_PEER_REFUSED,
	KIND_PEER_UNREACHABLE,
	KIND_SYN_FLOOD,
	/* servers */
	KIND_IDENT, /* the greeting waits for the server's question to port 113 of the client */
	KIND_LATE_BANNER,
	KIND_SLOW_SERVER,
	KIND_ACCEPT_QUEUE,
	KIND_DEFERRED_ACCEPT, /* SYN-ACKs repeat while an idle client is silent: harmless */
	/* the way */
	KIND_MTU_BLACK_HOLE,
	KIND_ONE_DIRECTION,
	KIND_LOSSY_CLIENT, /* loss between a client and this gateway */
	KIND_LOSSY_FAR_SIDE, /* loss between this gateway and the servers */
	KIND_SLOW_ACCESS, /* a long round trip between a client and this gateway */
	KIND_PORT_REUSE, /* the four-tuple is still in use at the server */
	/* what can be said of all */
	KIND_NO_VERDICT, /* the view is too poor to say anything: see the text */
	KIND_NOT_THE_NETWORK,
	KINDS,
};

extern const char *const finding_kinds[KINDS];

enum confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH, CONFIDENCES };

extern const char *const confidence_names[CONFIDENCES];

#define MAX_FINDING_HOSTS 256 /* named; the counts hold all */
#define MAX_FINDING_ALSO 8
#define MAX_FINDING_LINES 12
#define MAX_FINDINGS 64

/* A host, by the address that names it. */
struct finding_hosts {
	struct client_key *at; /* at most MAX_FINDING_HOSTS, in order of address */
	size_t named;
	size_t count;
};

struct finding_line {
	char label[16]; /* "affected", "route", "against", ...; empty: goes on */
	char text[240];
};

/* One wait, and what was pending meanwhile: what a picture is drawn from. */
struct example {
	struct endpoint client;
	struct endpoint nat_endpoint; /* see struct connection */
	struct endpoint server;
	ns_t syn;
	ns_t synack;
	ns_t ack;
	ns_t first; /* the first payload, which ended the wait */
	struct endpoint waited_for; /* port 0: nothing */
	ns_t syn_times[SYN_TIMES]; /* of the attempt that was pending */
	unsigned int syn_count; /* filled in of syn_times */
	ns_t resolved; /* when that attempt was answered or failed; NEVER */
};

struct finding {
	enum finding_kind kind;
	enum confidence confidence;
	bool has_peer;
	struct endpoint peer; /* port 0: more than one */
	unsigned int prefix_length; /* of peer.address, where the finding is about a prefix; else 0 */
	struct endpoint also[MAX_FINDING_ALSO]; /* tried in the same moments: cannot be told apart */
	size_t also_count;

	uint64_t stalls; /* that were looked at */
	uint64_t correlated; /* of them, explained by this */
	ns_t timer; /* the equal time; NEVER when there is none */
	ns_t deviation; /* median absolute, of the timer */

	size_t hosts_hurt; /* by it: the order of the findings */
	struct finding_hosts affected;
	struct finding_hosts
		unaffected; /* of those that can be compared; count 0: nobody to compare */
	struct cohort cohort;
	double p_value; /* Fisher's exact test on the cohort, two-sided; NAN: no comparison group */

	char text[240]; /* the sentence */
	struct finding_line lines[MAX_FINDING_LINES];
	size_t line_count;
	bool has_example;
	struct example example;
	size_t position; /* the diagnosis' own */
};

/* An interface at which it would be seen that a SYN leaves. */
struct watched_side {
	uint32_t ifindex;
	const char *name;
	bool is_part; /* of a bridge or bond, which forwards what comes in there */
	bool whole; /* all the time, and everything that left by it */
};

#define MAX_SIDES 64

/* What bounds the view, apart from the model. */
struct view {
	bool is_capture;
	struct timespec start; /* wall clock, for times of day */
	bool narrowed_clients; /* --client */
	bool narrowed_servers; /* --server or --port */
	uint64_t lost; /* records */
	bool outer_side; /* of a NAT: the clients are this host's own address */
	const struct nat *nat; /* or NULL */
	struct watched_side sides[MAX_SIDES];
	size_t side_count;
	const char *unwatched; /* other interfaces that packets may leave by, in words; "": none */
	bool ipsec; /* there are policies that may encrypt what leaves */
};

struct diagnosis {
	struct finding *at; /* the most hurt hosts first */
	size_t count;
	bool failed; /* out of memory: none was made */
};

#define DIAGNOSIS_VERDICT 256

/* The run in one sentence, without its full stop: the first finding's, or that nothing is wrong. */
const char *diagnosis_verdict(char out[DIAGNOSIS_VERDICT], const struct diagnosis *d,
			      const struct model *m);

/* False when out of memory. The caller frees with diagnosis_free(). */
bool diagnose(struct diagnosis *d, struct model *m, const struct view *view);

/*
 * Is there a finding that names a problem (--exit-code)? All do but three kinds: what is harmless, what
 * praises the network, and what says that nothing can be said.
 */
bool diagnosis_has_problem(const struct diagnosis *d);

/*
 * To which finding, counted from 1, does a stall belong, the wait that began at this handshake ACK, or
 * an attempt at this server? 0: to none.
 */
size_t diagnosis_of_stall(const struct diagnosis *d, const struct stall *s);
size_t diagnosis_of_wait(const struct diagnosis *d, const struct model *m,
			 const struct endpoint *client, const struct endpoint *server, ns_t start);
size_t diagnosis_of_server(const struct diagnosis *d, const struct endpoint *server);
void diagnosis_free(struct diagnosis *d);
