// SPDX-License-Identifier: GPL-2.0
#include "report/outlook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/address.h"
#include "lib/format.h"
#include "lib/hash_bytes.h"
#include "model/coincidence.h"

#define ATTEMPTS 512 /* unanswered attempts kept */
#define PLACES_TRIED 16
#define STALLS 256 /* the latest ones */
#define SAME_TIME_NS (20 * (ns_t)MILLISECOND_NS) /* between the longest and the shortest wait */
#define MIN_SHOWN 2
#define INTERVAL_NS ((ns_t)SECOND_NS)

/* When all places near its own are taken, a newer attempt takes the place of an older one. */
struct attempt {
	struct endpoint client, server; /* the port of the server is 0 if the place is free */
	ns_t syn;
	ns_t wait; /* from the SYN to the end of the wait that began with it; NEVER if none has ended */
};

static struct attempt attempts[ATTEMPTS];
static bool any; /* there is one */
static char text[FORMAT_ENDPOINT + 64];
static ns_t next;

static bool is_same_attempt(const struct attempt *a, const struct connection *c)
{
	return a->syn == c->syn && same_endpoint(&a->client, &c->client) &&
	       same_endpoint(&a->server, &c->server);
}

/* Returns the attempt's place, a free one, or one that is to be taken from another attempt. */
static struct attempt *place_of(const struct connection *c)
{
	size_t first = hash_bytes(&c->syn, sizeof(c->syn)), i;
	struct attempt *a;

	for (i = 0; i < PLACES_TRIED; i++) {
		a = &attempts[(first + i) % ATTEMPTS];
		if (!a->server.port || is_same_attempt(a, c))
			return a;
	}
	return &attempts[first % ATTEMPTS];
}

void outlook_opening(const struct connection *c)
{
	if (connection_failure(c) != FAILURE_SILENT)
		return;
	*place_of(c) = (struct attempt){ c->client, c->server, c->syn, NEVER };
	any = true;
}

static void find_wait(struct attempt *a, const struct stall *s)
{
	if (a->server.port && a->wait == NEVER && same_address(&a->client, &s->from) &&
	    a->syn >= s->start - LEAD_NS && a->syn <= s->start + LAG_NS)
		a->wait = stall_end(s) - a->syn;
}

static void find_waits(const struct model *m)
{
	const struct stall *s;
	size_t i, n = 0;

	for (i = 0; i < ATTEMPTS; i++)
		attempts[i].wait = NEVER;
	TAILQ_FOREACH_REVERSE(s, &m->stalls, stall_list, by_age)
	{
		if (++n > STALLS)
			break;
		for (i = 0; i < ATTEMPTS && !s->siblings; i++)
			find_wait(&attempts[i], s);
	}
}

/* By server, then by the length of the wait. Attempts without one come last. */
static int by_wait(const void *a, const void *b)
{
	const struct attempt *x = *(struct attempt *const *)a, *y = *(struct attempt *const *)b;
	int order = memcmp(&x->server, &y->server, sizeof(x->server));

	return order ? order : (x->wait > y->wait) - (x->wait < y->wait);
}

/* Returns the largest number of waits of equal length that began with attempts at one server. */
static size_t count_coincidences(const struct endpoint **server)
{
	const struct attempt *sorted[ATTEMPTS] = {};
	size_t i, first = 0, count = 0, most = 0;

	for (i = 0; i < ATTEMPTS; i++)
		if (attempts[i].wait != NEVER)
			sorted[count++] = &attempts[i];
	qsort(sorted, count, sizeof(sorted[0]), by_wait);
	for (i = 0; i < count; i++) {
		while (!same_endpoint(&sorted[first]->server, &sorted[i]->server) ||
		       sorted[i]->wait - sorted[first]->wait > SAME_TIME_NS)
			first++;
		if (i + 1 - first <= most)
			continue;
		most = i + 1 - first;
		*server = &sorted[i]->server;
	}
	return most;
}

const char *outlook(const struct model *m, ns_t now)
{
	const struct endpoint *server;
	char name[FORMAT_ENDPOINT];
	size_t count;

	if (!any || now < next)
		return text;
	next = now + INTERVAL_NS;
	find_waits(m);
	count = count_coincidences(&server);
	text[0] = '\0';
	if (count >= MIN_SHOWN && count <= HIGH_COINCIDENCES)
		snprintf(text, sizeof(text), "%zu of %d coincidences: %s", count, HIGH_COINCIDENCES,
			 format_endpoint(name, server));
	else if (count > HIGH_COINCIDENCES)
		snprintf(text, sizeof(text), "%zu coincidences: %s", count,
			 format_endpoint(name, server));
	return text;
}
