// SPDX-License-Identifier: GPL-2.0
#include "report/ratelimit.h"

#include <string.h>

#include "lib/hash_bytes.h"

static void distinct_add(struct distinct *d, const void *key, size_t size)
{
	uint64_t hash = hash_bytes(key, size);
	size_t at;

	if (!hash)
		hash = 1; /* 0 marks an empty entry */
	at = hash % (2 * MAX_DISTINCT);
	if (d->count == MAX_DISTINCT)
		return;
	while (d->hashes[at] && d->hashes[at] != hash)
		at = (at + 1) % (2 * MAX_DISTINCT);
	d->count += !d->hashes[at];
	d->hashes[at] = hash;
}

static void count_suppressed(struct ratelimit *limit, ns_t when, const struct endpoint *client,
			     const struct endpoint *server, ns_t duration)
{
	if (!limit->suppressed) {
		limit->client = *client;
		limit->server = *server;
		limit->last = when;
		limit->shortest = limit->longest = duration;
	}
	limit->suppressed++;
	if (when > limit->last)
		limit->last = when;
	if (duration < limit->shortest)
		limit->shortest = duration;
	if (duration > limit->longest)
		limit->longest = duration;
	distinct_add(&limit->clients, &client->address, sizeof(client->address));
	distinct_add(&limit->servers, server, sizeof(*server));
}

bool ratelimit_suppresses(struct ratelimit *limit, ns_t now, ns_t when,
			  const struct endpoint *client, const struct endpoint *server,
			  ns_t duration)
{
	if (!limit->suppressing && now - limit->since >= (ns_t)RATELIMIT_WINDOW_NS) {
		limit->since = now;
		limit->printed = 0;
	}
	if (!limit->suppressing && limit->printed < RATELIMIT_BURST) {
		limit->printed++;
		return false;
	}
	if (!limit->suppressing) {
		limit->suppressing = true;
		limit->since = now;
	}
	count_suppressed(limit, when, client, server, duration);
	return true;
}

bool ratelimit_summary_due(const struct ratelimit *limit, ns_t now)
{
	return limit->suppressing && now - limit->since >= RATELIMIT_SUMMARY_NS;
}

void ratelimit_restart(struct ratelimit *limit, ns_t now)
{
	bool still = limit->suppressed > RATELIMIT_BURST;

	memset(limit, 0, sizeof(*limit));
	limit->suppressing = still;
	limit->since = now;
}
