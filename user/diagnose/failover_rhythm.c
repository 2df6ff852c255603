// SPDX-License-Identifier: GPL-2.0
/* The rhythm of a host: when its connects began, established and failed ones. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/failover.h"
#include "diagnose/name_operations.h"

size_t rhythm_find(const struct rhythm *r, ns_t t)
{
	size_t low = 0, high = r->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->at[middle].t < t)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static ns_t client_known_since(const struct client *c, const struct timeline *t)
{
	ns_t oldest = NEVER;
	unsigned int i;

	if (c->recent_count <= RECENT)
		return t->from;
	for (i = 0; i < RECENT; i++)
		if (oldest == NEVER || c->recent[i].syn < oldest)
			oldest = c->recent[i].syn;
	return oldest;
}

ns_t known_since(const struct attempt *a, bool ipv6)
{
	const struct host *h = a->timeline->host;
	ns_t since = NEVER, t;
	size_t i;

	if (!ipv6 && a->pending->client->recent)
		return client_known_since(a->pending->client, a->timeline);
	for (i = 0; i < h->client_count; i++) {
		const struct client *c = h->clients[i];

		if (!c->recent || (ipv6 && !is_ip4(&c->key.address)))
			continue;
		t = client_known_since(c, a->timeline);
		if (since == NEVER || t > since)
			since = t;
	}
	return since;
}

static int by_time(const void *a, const void *b)
{
	const struct begin *x = a, *y = b;
	int order;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	order = memcmp(x->to, y->to, sizeof(*x->to));
	/* a connection whose request was never answered is both: established first */
	return order ? order : (x->attempt != NULL) - (y->attempt != NULL);
}

/* Appends the begins of a host, whose attempts are a range. Returns the number of begins. */
static size_t fill_rhythm(struct begin *at, const struct timeline *t, struct attempt *attempts,
			  size_t count)
{
	size_t i, j, n = 0;

	for (i = 0; i < t->host->client_count; i++) {
		const struct client *c = t->host->clients[i];
		size_t kept = c->recent_count < RECENT ? c->recent_count : RECENT;

		for (j = 0; c->recent && j < kept; j++)
			at[n++] = (struct begin){ .t = c->recent[j].syn,
						  .to = &c->recent[j].to,
						  .recent = &c->recent[j],
						  .explained = waited_for_own_name(
							  t, c->recent[j].syn, &c->recent[j].to) };
	}
	for (i = 0; i < count; i++)
		at[n++] = (struct begin){ .t = attempts[i].pending->start,
					  .to = &attempts[i].pending->to,
					  .attempt = &attempts[i] };
	qsort(at, n, sizeof(*at), by_time);
	return n;
}

static size_t count_peers(const struct rhythm *r)
{
	size_t i, j, n = 0;

	for (i = 0; i < r->count; i++) {
		if (!r->at[i].attempt)
			continue;
		for (j = 0; j < i; j++)
			if (r->at[j].attempt && same_endpoint(r->at[j].to, r->at[i].to))
				break;
		n += j == i;
	}
	return n;
}

void fill_rhythms(const struct context *g, struct rhythm *rhythms, struct begin *begins,
		  struct attempt *failed, size_t n)
{
	size_t first, i;

	for (first = 0; first < n; first = i) {
		const struct timeline *t = failed[first].timeline;
		struct rhythm *r = &rhythms[t - g->timelines];

		for (i = first; i < n && failed[i].timeline == t; i++)
			;
		r->at = begins;
		r->count = fill_rhythm(begins, t, &failed[first], i - first);
		r->peers = count_peers(r);
		begins += r->count;
	}
}
