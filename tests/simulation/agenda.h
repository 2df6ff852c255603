/* SPDX-License-Identifier: GPL-2.0 */
/* The events of a simulated host, in the order of their time. */
#pragma once

#include "connection.h"

enum event_kind {
	PAGE_STARTS,
	PAGE_FOLLOWS, /* its document has arrived */
	PASSES_GATES,
	WANTS_TO_SEND,
	TELEMETRY_DUE,
	BACKGROUND_DUE,
	IDLE_APP_DUE,
	POLL_DUE,
	POOL_DUE,
	HEALTH_DUE,
	HEALTH_DEAD_DUE,
	SCAN_DUE,
	GREETER_DUE,
	REFUSER_DUE,
	CUT_DUE,
	FAILOVER_DUE,
};

struct event {
	ns_t at;
	uint32_t order; /* of events at the same moment */
	enum event_kind kind;
	uint32_t a;
	uint32_t b;
};

/* Zero it before the first use; the caller frees at[]. */
struct agenda {
	struct event *at; /* a heap */
	size_t count;
	size_t room;
	uint32_t order;
};

/* Aborts when out of memory. Events at the same moment keep their order. */
void agenda_add(struct agenda *agenda, ns_t at, enum event_kind kind, uint32_t a, uint32_t b);

/* Removes the earliest event. Returns false if there is none. */
bool agenda_next(struct agenda *agenda, struct event *next);
