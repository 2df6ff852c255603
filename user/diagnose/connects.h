/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Single connects as the evidence of a finding: which hosts they belong to, since when they fail,
 * and which finding explains them.
 */
#pragma once

#include "diagnose/finding.h"

/* A set of connects, in the order of g->connects[]. It does not own them. */
struct connect_set {
	struct noted_connect **at;
	size_t count;
	size_t room;
};

/* Adds a connect. When out of memory, sets g->out_of_memory and leaves it out. */
void connect_set_add(struct context *g, struct connect_set *set, struct noted_connect *n);
/* Adds the connects of one set to another. */
void connect_set_join(struct context *g, struct connect_set *set, const struct connect_set *more);

void connect_set_free(struct connect_set *set);

static inline bool is_failed(const struct noted_connect *n)
{
	return n->entry.row == ROW_FAILED;
}

/* Returns true if the server's first byte arrived, whether in time or late. */
static inline bool was_served(const struct noted_connect *n)
{
	return n->entry.row == ROW_IN_TIME || n->entry.row == ROW_LATE;
}

/*
 * Returns true if no router lowered the TTL of the SYN-ACK, although the server's address is public:
 * a device on this link answers, which may be a proxy for a server far away.
 */
static inline bool is_answered_next_door(const struct connection *c)
{
	/* the initial TTL of Linux and BSD, of Windows, and of most network devices */
	return !is_private(&c->server.address) &&
	       (c->synack_ttl == 64 || c->synack_ttl == 128 || c->synack_ttl == 255);
}

/* Returns the index in t->connects[] of the first connect whose SYN came at this time or later. */
size_t first_connect_since(const struct timeline *t, ns_t syn);

/* Returns the connect that stalled, or NULL if the journal has forgotten it. */
struct noted_connect *connect_of_stall(const struct timeline *t, const struct stall *s);

/* Returns true if a finding explains the stall, or what became of its connect afterwards. */
bool is_stall_explained(const struct timeline *t, const struct noted_stall *noted);

/* Returns NULL if the journal has no connect to it. */
struct server *find_server(const struct context *g, const struct endpoint *e);

/* Returns the server of a connect. */
struct server *server_of(const struct context *g, const struct noted_connect *n);

/* Forgets who counted the hosts of a server by count_once(): it may count them again. */
void uncount_hosts(const struct server *s);

/*
 * Makes the finding responsible for these connects: later causes leave them alone. Adds their hosts
 * to f->affected, and sets hosts_hurt and correlated. If they are of several servers, adds a part
 * for each.
 */
void finding_add_connects(struct context *g, struct finding *f, const struct connect_set *set);

/* When these connects were made, and how many others to the same servers were served. */
struct span {
	ns_t first; /* the first SYN of the first one */
	ns_t last; /* of the last one */
	uint64_t before; /* connects served before the first one */
	uint64_t meanwhile;
	uint64_t after;
};

struct span span_of(struct context *g, const struct connect_set *set);

/* Adds the line "when": since when these connects fail, and what was served before and after. */
void finding_add_span(struct context *g, struct finding *f, const struct connect_set *set);

/* Durations of the connects in a set. */
struct durations {
	size_t count;
	ns_t median;
	ns_t deviation; /* median absolute deviation */
	ns_t shortest;
	ns_t longest;
	bool is_timer; /* at least three are equal, and most of them are: see timer_slack() */
};

/* duration() returns NEVER for a connect that does not count. */
struct durations durations_of(struct context *g, const struct connect_set *set,
			      ns_t (*duration)(const struct noted_connect *n));
