/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The common properties of a population's hosts, and the simulation of one host from start to end.
 */
#pragma once

#include <stdlib.h>

#include "rng.h"
#include "population.h"

#define MAX_GATES 4
#define MAX_WAITING 6
#define MAX_TELEMETRY 8
#define SECONDS(s) ((ns_t)((s) * (double)SECOND_NS))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NONE UINT32_MAX

struct site {
	size_t document;
	size_t resources[8];
	unsigned int resource_count;
	unsigned int preconnects;
};

struct telemetry {
	size_t servers[MAX_TRIED];
	unsigned int server_count;
	enum pattern pattern;
	unsigned int attempts;
	double pause;
	double every;
	bool on_the_dot;
	double gives_up;
	double hosts; /* share */
	bool at_pages; /* instead of by the clock */
	bool as_page_starts; /* otherwise with its resources */
};

struct idle_app {
	size_t server;
	double idle;
	double jitter;
	double spread; /* nonzero: the pause is a user's, not a timer's */
	double every;
	double hosts;
	size_t with; /* a dead peer, tried at the same moment; or NO_HELPER */
	unsigned int attempts; /* at that peer, one after another */
};

/* The common properties of the hosts of one population. */
struct world {
	struct population *p;
	struct draw draw;
	double planned; /* seconds; the run may end earlier */
	struct site *sites;
	size_t site_count;
	struct telemetry telemetry[MAX_TELEMETRY];
	size_t telemetry_count;
	struct idle_app idle_apps[3];
	size_t idle_app_count;
	double helper_hosts[MAX_GATES];
	double spares; /* mean number for each page */
	double far_loss;
	ns_t outage_from;
	ns_t outage_to;
	size_t poll_server;
	double poll_time;
	size_t pool_server;
	size_t health_server;
	size_t health_dead; /* tried at the period of the health checks; or NO_HELPER */
	size_t greeter;
	size_t late_greeter;
	size_t refuser;
	size_t unreachable;
	size_t failover; /* the live server */
	double failover_after;
	double ip4_after;
	bool eyes_mixed;
	size_t cut[6];
	size_t cut_count;
	size_t scanned; /* the first of scanned_count servers */
	size_t scanned_count;
	bool no_mac;
	unsigned int behind_router; /* this many of the first hosts */
	double dual_stack;
	double lossy;
	uint32_t next_address;
};

static inline void *grow(void *at, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return at;
	*room = *room ? *room * 2 : 256;
	at = realloc(at, *room * size);
	if (!at)
		abort();
	return at;
}

#define GROW(at, count, room) ((at) = grow(at, count, &(room), sizeof(*(at))))

static inline struct endpoint endpoint4(uint32_t ip, uint16_t port)
{
	return (struct endpoint){ .address = { { 0, 0, IP4_PREFIX, cpu_to_be32(ip) } },
				  .port = port };
}

struct host; /* It keeps its memory from one run to the next. */
struct host *host_new(struct world *w);
void host_free(struct host *h);
/* Runs one of the hosts, by its number: adds to the population's connections, and to the truth. */
void host_runs(struct host *h, unsigned int number);

/* Adds the wire to the population's connections, and its fate to the truth. */
void population_publish(struct population *p, const struct wire *w);

/* Adds servers with troubles, and the connects of the population's hosts to them. */
void population_gets_troubles(struct population *p);
