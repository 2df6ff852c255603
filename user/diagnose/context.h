/* SPDX-License-Identifier: GPL-2.0 */
/* The input of a diagnosis and its notes, as every cause gets them. Private to the diagnosis. */
#pragma once

#include "diagnose/diagnose.h"

/* A stall and the diagnosis' notes on it. */
struct noted_stall {
	const struct stall *stall;
	const struct finding *explained; /* by this finding; or NULL */
	const void *matched; /* by this suspect, see correlate.c */
};

/* A host's stalls and pending operations, those of all its addresses together. */
struct timeline {
	const struct host *host;
	struct noted_stall *stalls; /* by the moment they ended, without spare sockets */
	size_t stall_count;
	size_t groups; /* of stalls that ended in the same moment */
	const struct pending **pendings; /* by their start */
	size_t pending_count;
	ns_t from; /* since when its pending operations are known */
	ns_t watched; /* from then to the end of the run */
	const void *counted; /* see count_once() */
};

struct context {
	const struct model *m;
	const struct session *session;
	const struct host_facts *facts;
	struct diagnosis *d;
	const struct hosts *hosts; /* d->hosts */
	struct timeline *timelines; /* of hosts->at[], in that order */
	struct noted_stall *stalls; /* of all timelines */
	size_t stall_count;
	const struct pending **pendings; /* of all timelines */
	bool out_of_memory; /* makes diagnose() fail */
};

/* Returns false when out of memory. The caller frees in any case, but not d. */
bool context_init(struct context *g, struct diagnosis *d, const struct model *m,
		  const struct session *session, const struct host_facts *facts);
void context_free(struct context *g);

/* The timeline of the host that a client belongs to. */
struct timeline *timeline_of(const struct context *g, const struct client *c);

/* Marks the host as counted by this counter. Returns false if it was marked by it already. */
bool count_once(struct timeline *t, const void *counter);

/* A host can be compared if it stalled, or if it sent a request and did not stall. */
bool host_is_comparable(const struct host *h);
