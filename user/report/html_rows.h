/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hosts on the page of --html, chosen so that each kind of host has room, each with its latest
 * stalls, open waits and failed attempts.
 */
#pragma once

#include "diagnose/diagnose.h"
#include "report/html.h"

/* The latest failed attempts, in bounded memory. All zeros is empty. */
struct failed_attempts {
	/* indexed by a hash of the client's address; NULL if empty */
	struct bucket *buckets[PAGE_BUCKETS];
};

/* Returns false when out of memory. */
bool attempts_add(struct failed_attempts *a, const struct connection *c);
void attempts_free(struct failed_attempts *a);

/* A host on the page. Each list holds the latest entries in descending order of time. */
struct row {
	const struct host *host;
	const struct stall *stalls[MAX_PAGE_STALLS]; /* stalls that have ended */
	unsigned int stall_count;
	const struct stall *open_waits[MAX_PAGE_OPEN_WAITS];
	unsigned int open_count;
	const struct connection *attempts[MAX_PAGE_ATTEMPTS];
	unsigned int attempt_count;
	/* the lists contain all stalls and failed attempts that began since this time */
	ns_t since;
};

enum host_kind {
	HOST_STALLED,
	HOST_FAILED, /* has late or failed connects, or open waits */
	HOST_WELL,
	HOST_SILENT, /* had no payload on any connection */
	HOST_KINDS,
};

struct rows {
	struct row at[MAX_PAGE_HOSTS];
	unsigned int count;
	size_t hosts[HOST_KINDS]; /* number of hosts in the run */
	size_t shown[HOST_KINDS]; /* number of hosts on the page */
};

/* Chooses the hosts and fills in the rows. Returns false when out of memory. */
bool choose_rows(struct rows *rows, const struct model *m, const struct diagnosis *d,
		 const struct failed_attempts *attempts);
