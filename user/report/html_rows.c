// SPDX-License-Identifier: GPL-2.0
#include "report/html_rows.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hash_bytes.h"
#include "report/html_connects.h"

/* ---- failed attempts, collected during the run ---- */

/* The latest failed attempts of all clients that share a hash bucket. */
struct bucket {
	struct connection at[MAX_PAGE_ATTEMPTS]; /* ring buffer */
	/* number of attempts, including those that the ring buffer has overwritten */
	uint64_t seen;
};

static size_t bucket_number(const struct address *client)
{
	return hash_bytes(client, sizeof(*client)) % PAGE_BUCKETS;
}

static const struct bucket *bucket_of(const struct failed_attempts *a, const struct address *client)
{
	return a->buckets[bucket_number(client)];
}

bool attempts_add(struct failed_attempts *a, const struct connection *c)
{
	struct bucket **b = &a->buckets[bucket_number(&c->client.address)];

	if (!*b)
		*b = calloc(1, sizeof(**b));
	if (*b)
		(*b)->at[(*b)->seen++ % MAX_PAGE_ATTEMPTS] = *c;
	return *b;
}

void attempts_free(struct failed_attempts *a)
{
	size_t i;

	for (i = 0; i < PAGE_BUCKETS; i++)
		free(a->buckets[i]);
}

/* ---- selection ---- */

static enum host_kind host_kind(const struct host *h, bool has_trouble)
{
	const struct pair *pair;
	size_t i;

	if (h->stalls)
		return HOST_STALLED;
	if (has_trouble)
		return HOST_FAILED;
	for (i = 0; i < h->client_count; i++)
		LIST_FOREACH(pair, &h->clients[i]->pairs, of_client)
			if (pair->failures)
				return HOST_FAILED;
	return h->idle ? HOST_FAILED : h->decided ? HOST_WELL : HOST_SILENT;
}

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int by_latest(const void *a, const void *b)
{
	const struct stall *x = *(struct stall *const *)a, *y = *(struct stall *const *)b;

	return x->start > y->start ? -1 : x->start < y->start;
}

/* Sorts all stalls and copies at most `room` of the latest. Returns their number. */
static unsigned int select_latest(const struct stall **latest, size_t room,
				  const struct stall **all, size_t n)
{
	size_t i;

	qsort(all, n, sizeof(*all), by_latest);
	for (i = 0; i < n && i < room; i++)
		latest[i] = all[i];
	return i;
}

static void row_stalls(struct row *row, const struct model *m)
{
	const struct stall **all, *s;
	size_t i, n = 0;

	for (i = 0; i < row->host->client_count; i++)
		n += row->host->clients[i]->stall_room;
	all = calloc(n + 1, sizeof(struct stall *));
	n = 0;
	for (i = 0; all && i < row->host->client_count; i++)
		TAILQ_FOREACH(s, &row->host->clients[i]->kept_stalls, of_client)
			all[n++] = s;
	if (all)
		row->stall_count = select_latest(row->stalls, MAX_PAGE_STALLS, all, n);
	/* some stalls exceed this bound or the model's bound, or there was no memory */
	if (row->host->stalls > row->stall_count)
		row->since = row->stall_count ? row->stalls[row->stall_count - 1]->start : m->last;
	free(all);
}

static bool is_client(const struct endpoint *e, const struct client_key *key)
{
	return !memcmp(&e->address, &key->address, sizeof(key->address)) &&
	       !memcmp(e->vlan, key->vlan, sizeof(key->vlan));
}

static bool is_of_host(const struct endpoint *e, const struct host *host)
{
	size_t i;

	for (i = 0; i < host->client_count; i++)
		if (is_client(e, &host->clients[i]->key))
			return true;
	return false;
}

/*
 * Adds the host's open waits, which the model stores without their client. Waits that find no room
 * do not change row->since: they last until the end of the run, and the host's object counts them.
 */
static void row_open_waits(struct row *row, const struct model *m)
{
	const struct stall **all = calloc(m->idle.count + 1, sizeof(struct stall *));
	size_t i, n = 0;

	for (i = 0; all && i < m->idle.count; i++)
		if (is_of_host(&m->idle.at[i].from, row->host))
			all[n++] = &m->idle.at[i];
	if (all)
		row->open_count = select_latest(row->open_waits, MAX_PAGE_OPEN_WAITS, all, n);
	free(all);
}

/* Inserts an attempt by its time. A full row drops its earliest attempt. */
static void row_add_attempt(struct row *row, const struct connection *c)
{
	unsigned int i;

	if (row->attempt_count < MAX_PAGE_ATTEMPTS)
		row->attempt_count++;
	else if (row->attempts[row->attempt_count - 1]->syn >= c->syn)
		return;
	for (i = row->attempt_count - 1; i > 0 && row->attempts[i - 1]->syn < c->syn; i--)
		row->attempts[i] = row->attempts[i - 1];
	row->attempts[i] = c;
}

/*
 * Adds the attempts of a client in the ring buffer, and returns their number. Advances *since past
 * attempts that were overwritten.
 */
static uint64_t row_add_attempts(struct row *row, const struct bucket *b,
				 const struct client_key *key, ns_t *since)
{
	unsigned int i, filled = min_size(b->seen, MAX_PAGE_ATTEMPTS);
	const struct connection *first = &b->at[b->seen % MAX_PAGE_ATTEMPTS];
	uint64_t n = 0;

	for (i = 0; i < filled; i++)
		if (is_client(&b->at[i].client, key)) {
			row_add_attempt(row, &b->at[i]);
			n++;
		}
	if (b->seen > MAX_PAGE_ATTEMPTS && first->syn > *since)
		*since = first->syn;
	return n;
}

static void row_attempts(struct row *row, const struct failed_attempts *attempts)
{
	const struct bucket *b;
	uint64_t found = 0;
	ns_t since = 0;
	size_t i;

	for (i = 0; i < row->host->client_count; i++) {
		b = bucket_of(attempts, &row->host->clients[i]->key.address);
		if (b)
			found += row_add_attempts(row, b, &row->host->clients[i]->key, &since);
	}
	if (found > row->attempt_count && row->attempts[row->attempt_count - 1]->syn > since)
		since = row->attempts[row->attempt_count - 1]->syn;
	if (since > row->since)
		row->since = since;
}

static void row_fill(struct row *row, const struct host *host, const struct model *m,
		     const struct failed_attempts *attempts)
{
	*row = (struct row){ .host = host };
	row_stalls(row, m);
	row_open_waits(row, m);
	row_attempts(row, attempts);
}

/*
 * Divides MAX_PAGE_HOSTS among the kinds of hosts, in the order of the kinds. Each later kind keeps
 * a minimum.
 */
static void share_rows(struct rows *rows)
{
	const size_t *of = rows->hosts;
	size_t *shown = rows->shown, others, room = MAX_PAGE_HOSTS;

	others = of[HOST_FAILED] + of[HOST_WELL] + of[HOST_SILENT];
	shown[HOST_STALLED] = min_size(of[HOST_STALLED], room - min_size(others, MIN_PAGE_OTHERS));
	room -= shown[HOST_STALLED];
	others = of[HOST_WELL] + of[HOST_SILENT];
	shown[HOST_FAILED] = min_size(of[HOST_FAILED], room - min_size(others, MIN_PAGE_WELL));
	room -= shown[HOST_FAILED];
	shown[HOST_WELL] = min_size(of[HOST_WELL], room);
	room -= shown[HOST_WELL];
	shown[HOST_SILENT] = min_size(of[HOST_SILENT], room);
}

bool choose_rows(struct rows *rows, const struct model *m, const struct diagnosis *d,
		 const struct failed_attempts *attempts)
{
	const struct hosts *hosts = &d->hosts;
	bool *has_trouble = hosts_with_trouble(m, d);
	size_t i, n[HOST_KINDS] = {};
	int kind;

	memset(rows, 0, sizeof(*rows));
	for (i = 0; has_trouble && i < hosts->count; i++)
		rows->hosts[host_kind(&hosts->at[i], has_trouble[i])]++;
	share_rows(rows);
	for (kind = 0; has_trouble && kind < HOST_KINDS; kind++)
		for (i = 0; i < hosts->count && n[kind] < rows->shown[kind]; i++)
			if ((int)host_kind(&hosts->at[i], has_trouble[i]) == kind) {
				row_fill(&rows->at[rows->count++], &hosts->at[i], m, attempts);
				n[kind]++;
			}
	free(has_trouble);
	return has_trouble;
}
