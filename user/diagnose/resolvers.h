/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Resolvers by what became of the questions that each was asked: the base of the findings about
 * resolvers. A resolver is an address and port; DNS over TCP is left to the causes of TCP.
 */
#pragma once

#include "diagnose/finding.h"

/* A shorter time until the next resolver is asked is no wait: they are asked at the same time. */
#define MIN_RESOLVER_WAIT_NS (300 * (ns_t)MILLISECOND_NS)

/* A question that is sent again so soon is a copy, or one of several that are sent together. */
#define MIN_RETRY_NS (100 * (ns_t)MILLISECOND_NS)

/* Fewer lookups prove nothing about a resolver that answers others. */
#define MIN_LOOKUPS 3

enum asked_result {
	ASKED_ANSWERED, /* in any way, also by an error or a part of an answer */
	ASKED_SILENT,
	ASKED_REFUSED, /* only ICMP errors came back */
	ASKED_UNKNOWN, /* too early to say, or packets may have been lost here */
};

/* The questions of a lookup to one resolver by UDP, and their result. */
struct asked {
	struct noted_lookup *n;
	struct endpoint resolver;
	unsigned int tries;
	ns_t first, last; /* tries */
	bool is_first; /* no other resolver was asked before it */
	bool is_local; /* see is_local_name() */
	uint8_t result; /* enum asked_result */
	uint8_t icmp_type, icmp_code; /* of an ICMP error; else 0 */
	ns_t answered; /* the first answer; else NEVER */
	/* from the first try to which this answer can belong, by port and id; else NEVER */
	ns_t took;
	ns_t after_last; /* from the last try before the answer to it; else NEVER */
	bool failed; /* the answer was an error */
	bool truncated;
	bool is_marked; /* by silent_resolvers.c: it shows the resolver's silence */
};

struct resolver {
	/* without VLAN if it was asked from several */
	struct endpoint endpoint;
	bool is_own; /* an address of this gateway */
	struct asked *asked; /* sorted by their first try */
	size_t count;
	size_t asked_first; /* of them */
	size_t results[ASKED_UNKNOWN + 1]; /* of those that are not local */
	ns_t median; /* of the times that its answers took; NEVER without an answer */
};

struct resolvers {
	struct resolver *at; /* the one that was asked most often first */
	size_t count;
	struct asked *asked;
	size_t asked_count;
	struct noted_lookup **by_episode; /* all lookups, by episode, name and time */
	size_t lookup_count;
	ns_t end; /* of the run */
};

/* The lookups of an episode: a part of by_episode. */
struct episode {
	struct noted_lookup **at;
	size_t count;
};

/* Fills in g->resolvers. Returns false when out of memory. */
bool resolvers_find(struct context *g);
void resolvers_free(struct context *g);

/* Returns NULL if nobody asked it. */
struct resolver *find_resolver(const struct resolvers *r, const struct address *address,
			       uint16_t port);

/* Returns the next episode, or one without lookups after the last. *i is 0 at the first call. */
struct episode next_episode(const struct resolvers *r, size_t *i);

/* Returns the SYN that waited for the episode, or NEVER. */
ns_t syn_of_episode(const struct episode *e);

/* Returns true if both are the same question of a client, perhaps of another type. */
bool is_same_question(const struct noted_lookup *a, const struct noted_lookup *b);

/*
 * Returns true if nobody expects an answer: names under .local belong to mDNS (RFC 6762 3), single
 * labels to the search list or to LLMNR.
 */
bool is_local_name(const struct context *g, const struct lookup *l);

/* Returns the last two labels of the name as a number, which is 0 if the name is not known. */
uint64_t zone_of_lookup(const struct context *g, const struct lookup *l);

/* Returns the index of the host, or g->hosts->all if it was evicted from the model. */
size_t host_index(const struct context *g, const struct noted_lookup *n);

/*
 * Makes the finding responsible for the lookups of an episode, and for the connects that are late
 * because they waited for it.
 */
void explain_episode(struct finding *f, const struct episode *e);

/* Returns the first lookup of the episode that is marked, by its index in g->lookups; or NULL. */
const struct noted_lookup *marked_lookup(const struct context *g, const struct episode *e,
					 const bool *lookups);

/* Makes the finding responsible for the episodes with a marked lookup. */
void explain_marked(const struct context *g, struct finding *f, const bool *lookups);

/*
 * Adds to waits[] the time from the first question to the SYN of each episode with a marked lookup,
 * if it is at least this long, and marks the hosts that waited; hosts may be NULL. Returns the number
 * of waits.
 */
size_t marked_waits(const struct context *g, const bool *lookups, ns_t least, ns_t *waits,
		    bool *hosts);

/* Adds the hosts that are marked, by host_index(), to f->affected. */
void finding_add_marked_hosts(struct context *g, struct finding *f, const bool *hosts);

/*
 * Returns a silent resolver that this one asks itself: its questions pass here as well, or it is
 * this gateway's own. NULL if there is none.
 */
struct resolver *silent_upstream(const struct resolvers *r, const struct resolver *of);

/* Returns the software with a resolver that goes on after this time, or NULL. */
const char *resolver_timer(ns_t timer);

/* Formats as 10.0.0.53; with the port if that is not the one of DNS. */
char *format_resolver(char out[FORMAT_ENDPOINT], const struct resolver *r);
