/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The input of a diagnosis and its intermediate results, which are passed to every cause. Private
 * to the diagnosis.
 */
#pragma once

#include "diagnose/diagnose.h"

/* A stall, and the results of the diagnosis about it. */
struct noted_stall {
	const struct stall *stall;
	const struct finding *explained; /* the finding that explains it, or NULL */
	uint64_t matched; /* number of the last weighing that had a match with it */
	size_t place; /* scratch value of the correlation */
};

/* A connect of the journal, and the results of the diagnosis about it. */
struct noted_connect {
	const struct connection *c;
	struct ledger_entry entry; /* its final row in the ledger */
	struct timeline *host; /* NULL if the client was evicted from the model */
	const struct finding *explained; /* the finding that explains it, or NULL */
};

/* The connects to a server, an address and port. */
struct server {
	struct endpoint endpoint;
	const struct peer *peer; /* NULL if it was evicted from the model */
	struct noted_connect *connects; /* sorted by their SYN */
	size_t count;
};

/* A lookup, and the results of the diagnosis about it. */
struct noted_lookup {
	const struct lookup *l;
	struct timeline *host; /* NULL if the client was evicted from the model */
	/* from the first question of its episode to the SYN that waited for it; NEVER without one */
	ns_t wait;
	const struct finding *explained; /* the finding that explains it, or NULL */
};

/* The stalls and pending operations of a host, from all its addresses. */
struct timeline {
	const struct host *host;
	struct noted_stall *stalls; /* sorted by their end, without spare sockets */
	size_t stall_count;
	size_t groups; /* groups of stalls that ended at the same time */
	const struct pending **pendings; /* sorted by their start */
	size_t pending_count;
	ns_t from; /* start of the time in which all pending operations are known */
	ns_t watched; /* time from then to the end of the run */
	const ns_t *open; /* handshakes of connections that were still idle at the end of the run */
	size_t open_count;
	/* for each of pendings[]: it follows another one in a chain that a suspect explains */
	bool *follows;
	struct noted_connect **connects; /* sorted by their SYN */
	size_t connect_count;
	struct noted_lookup **lookups; /* sorted by their first question */
	size_t lookup_count;
	const void *counted; /* last counter of count_once() */
};

struct context {
	const struct model *m;
	const struct session *session;
	const struct host_facts *facts;
	struct diagnosis *d;
	const struct hosts *hosts; /* d->hosts */
	/* one for each of hosts->at[], in that order; hosts->all of them */
	struct timeline *timelines;
	struct noted_stall *stalls; /* array shared by all timelines */
	size_t stall_count;
	const struct pending **pendings; /* arrays shared by all timelines */
	bool *follows;
	ns_t *open;
	struct noted_connect *connects; /* sorted by server, then by their SYN */
	size_t connect_count;
	struct noted_connect **by_host; /* array shared by all timelines */
	int64_t *greetings; /* see model_greetings() */
	struct server *servers; /* sorted by address and port */
	size_t server_count;
	struct noted_lookup *lookups; /* sorted by their first question */
	size_t lookup_count;
	struct noted_lookup **lookups_by_host; /* array shared by all timelines */
	struct resolvers *resolvers; /* see resolvers.h */
	uint16_t *zone_of_asked; /* for each of resolvers->asked: see zones.h */
	struct name_operations *operations; /* see name_operations.h */
	uint64_t weighings; /* of suspects, see correlate.c */
	bool out_of_memory; /* diagnose() fails if this is set */
};

/*
 * Fills in the context. Returns false when out of memory. In both cases the caller frees it by
 * context_free(), which does not free d.
 */
bool context_init(struct context *g, struct diagnosis *d, const struct model *m,
		  const struct session *session, const struct host_facts *facts);
void context_free(struct context *g);

/* Returns the timeline of the host that a client belongs to. */
struct timeline *timeline_of(const struct context *g, const struct client *c);

/* Compares elements of timeline.pendings for qsort(), by their start. */
int pending_by_start(const void *a, const void *b);

/*
 * Marks the host as counted by this counter. Returns false if this counter was the last to mark it.
 */
bool count_once(struct timeline *t, const void *counter);

/* Returns true if the host can be compared: it stalled, or it sent a request and did not stall. */
bool host_is_comparable(const struct host *h);
