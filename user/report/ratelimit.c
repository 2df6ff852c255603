// SPDX-License-Identifier: GPL-2.0
#include "report/ratelimit.h"

#include <string.h>

/* FNV-1a; 0 marks a free place. */
static uint64_t hash_of(const void *data, size_t size)
{
	const uint8_t *byte = data;
	uint64_t hash = 0xcbf29ce484222325;

	while (size--)
		hash = (hash ^ *byte++) * 0x100000001b3;
	return hash ? hash : 1;
}

static void count_distinct(struct distinct *d, uint64_t hash)
{
	size_t at = hash % (2 * MAX_DISTINCT);

	if (d->count == MAX_DISTINCT)
		return;
	while (d->hashes[at] && d->hashes[at] != hash)
		at = (at + 1) % (2 * MAX_DISTINCT);
	d->count += !d->hashes[at];
	d->hashes[at] = hash;
}

static void add(struct ratelimit *f, ns_t when, const struct endpoint *client,
		const struct endpoint *server, ns_t duration)
{
	if (!f->count) {
		f->client = *client;
		f->server = *server;
		f->last = when;
		f->shortest = f->longest = duration;
	}
	f->count++;
	if (when > f->last)
		f->last = when;
	if (duration < f->shortest)
		f->shortest = duration;
	if (duration > f->longest)
		f->longest = duration;
	count_distinct(&f->clients, hash_of(&client->address, sizeof(client->address)));
	count_distinct(&f->servers, hash_of(server, sizeof(*server)));
}

bool ratelimit_suppresses(struct ratelimit *f, ns_t now, ns_t when, const struct endpoint *client,
			  const struct endpoint *server, ns_t duration)
{
	if (!f->suppressing && now - f->since >= (ns_t)RATELIMIT_WINDOW_NS) {
		f->since = now;
		f->printed = 0;
	}
	if (!f->suppressing && f->printed < RATELIMIT_BURST) {
		f->printed++;
		return false;
	}
	if (!f->suppressing) {
		f->suppressing = true;
		f->since = now;
	}
	add(f, when, client, server, duration);
	return true;
}

bool ratelimit_summary_due(const struct ratelimit *f, ns_t now)
{
	return f->suppressing && now - f->since >= RATELIMIT_SUMMARY_NS;
}

void ratelimit_restart(struct ratelimit *f, ns_t now)
{
	bool still = f->count > RATELIMIT_BURST;

	memset(f, 0, sizeof(*f));
	f->suppressing = still;
	f->since = now;
}
