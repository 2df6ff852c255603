// SPDX-License-Identifier: GPL-2.0
#include "model/connects.h"

#include <stdlib.h>
#include <string.h>

#include "lib/address.h"
#include "lib/hash.h"

/* Maximum number of connects that are held: about 10 MiB. */
#define MAX_HELD (1 << 14)

/* Maximum number of SYN-ACKs without a SYN that are remembered: about 2 MiB. */
#define MAX_ANSWERS (1 << 14)

/* Time within which a client repeats a SYN that was refused (Windows: 0.5 s). */
#define AGAIN_NS (1500 * (ns_t)MILLISECOND_NS)

/* Maximum time between the first two SYNs of a client that was not refused. */
#define FIRST_RETRANSMIT_NS (3500 * (ns_t)MILLISECOND_NS)

/* Maximum time between a SYN and the same SYN on its way to the server it was redirected to. */
#define REDIRECT_NS (100 * (ns_t)MILLISECOND_NS)

/* The client's side of a SYN: it stays the same if the destination is replaced. */
struct held_key {
	struct address address;
	uint32_t isn;
	uint16_t port;
	uint16_t zero;
};

struct held {
	struct held_key key;
	struct connection c;
	ns_t until; /* time of the sweep that passes the connect on */
	UT_hash_handle hh;
};

/* A SYN-ACK without a SYN, by the client that it was sent to. */
struct answer {
	struct held_key key;
	struct endpoint server;
	ns_t at;
	UT_hash_handle hh;
};

struct connects {
	struct connects_events events;
	struct held *held; /* the oldest first, as uthash keeps the order of insertion */
	struct answer *answers; /* the oldest first */
	ns_t now; /* time of the last sweep */
	uint64_t count; /* connects numbered so far */
};

struct connects *connects_new(const struct connects_events *events)
{
	struct connects *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->events = *events;
	return x;
}

static void release(struct connects *x, struct held *h)
{
	HASH_DEL(x->held, h);
	free(h);
}

static void forget(struct connects *x, struct answer *a)
{
	HASH_DEL(x->answers, a);
	free(a);
}

void connects_free(struct connects *x)
{
	if (!x)
		return;
	while (x->answers)
		forget(x, x->answers);
	while (x->held)
		release(x, x->held);
	free(x);
}

/* ---- which attempts belong together ---- */

static bool is_reset_by_client(const struct connection *c)
{
	return c->outcome == OUTCOME_HALF_OPEN && c->rst_from == SIDE_CLIENT;
}

/* Returns how long after this attempt the client may send its SYN again; 0 if it does not. */
static ns_t may_continue_for(const struct connection *c)
{
	if (c->outcome == OUTCOME_REFUSED)
		return AGAIN_NS;
	/* the client's timer still runs and doubles with each SYN (RFC 6298 5.5) */
	if (is_reset_by_client(c))
		return FIRST_RETRANSMIT_NS + 2 * (c->syn_last - c->syn);
	return 0;
}

/* Returns true if one of the SYNs to a was redirected to b: seen again at once, after a hop. */
static bool is_redirected(const struct connection *a, const struct connection *b)
{
	unsigned int i;

	if (a->outcome != OUTCOME_UNANSWERED || b->outcome != OUTCOME_HALF_OPEN ||
	    a->server.port != b->server.port || a->syn_traits.ttl <= b->syn_traits.ttl)
		return false;
	for (i = 0; i < a->syn_times_count; i++)
		if (b->syn >= a->syn_times[i] && b->syn - a->syn_times[i] <= REDIRECT_NS)
			return true;
	return false;
}

/* ---- joining ---- */

/* Continues the connect so far by its next attempt at the same server. */
static void continue_connect(struct connection *so_far, const struct connection *next)
{
	struct connection c = *next;
	unsigned int i;

	c.connect = so_far->connect;
	c.attempts = so_far->attempts + 1;
	c.refusals = so_far->refusals + (so_far->outcome == OUTCOME_REFUSED);
	c.syn = so_far->syn;
	c.syn_traits = so_far->syn_traits;
	memcpy(c.syn_times, so_far->syn_times, sizeof(c.syn_times));
	c.syn_times_count = so_far->syn_times_count;
	for (i = 0; i < next->syn_times_count && c.syn_times_count < SYN_TIMES; i++)
		c.syn_times[c.syn_times_count++] = next->syn_times[i];
	c.syn_count += so_far->syn_count;
	c.syn_copies += so_far->syn_copies;
	c.watched = next->settled - so_far->syn;
	c.server_round_trip = NEVER; /* the client waited for more than this SYN-ACK */
	c.during_attach |= so_far->during_attach;
	if (next->outcome == OUTCOME_UNANSWERED && connection_failure(next) != FAILURE_SILENT &&
	    so_far->outcome != OUTCOME_UNANSWERED) {
		/* the end of the run hides the answer: that to the SYN before stands */
		c.outcome = so_far->outcome;
		c.rst = so_far->rst;
		c.rst_from = so_far->rst_from;
		c.synack = so_far->synack;
		c.synack_count = so_far->synack_count;
	}
	*so_far = c;
}

/* Joins the attempts at the server that the client meant and at the server that answered. */
static void join_redirected(struct connection *meant, const struct connection *answered)
{
	meant->elsewhere = true;
	meant->answered_by = answered->server;
	meant->attempts += answered->attempts;
	meant->connect = answered->connect;
}

/* Joins c to the connect so far, if it belongs to it. Returns false if it does not. */
static bool join_attempt(struct connection *so_far, const struct connection *c)
{
	struct connection joined = *c;

	if (same_address_and_port(&so_far->server, &c->server)) {
		if (c->syn - so_far->settled > may_continue_for(so_far))
			return false;
		continue_connect(so_far, c);
		return true;
	}
	if (is_redirected(c, so_far)) {
		join_redirected(&joined, so_far);
		*so_far = joined;
		return true;
	}
	return false;
}

static struct held_key key_of(const struct connection *c)
{
	return (struct held_key){ .address = c->client.address,
				  .isn = c->client_isn,
				  .port = c->client.port };
}

/* Marks a connect that was answered only by another server, whose SYN-ACK was seen. */
static void note_answer(const struct connects *x, struct connection *c)
{
	struct held_key key;
	struct answer *a;

	if (!x->answers || c->outcome != OUTCOME_UNANSWERED || c->elsewhere)
		return;
	key = key_of(c);
	HASH_FIND(hh, x->answers, &key, sizeof(key), a);
	if (!a || a->at < c->syn || a->at > c->settled || same_address(&a->server, &c->server))
		return;
	c->elsewhere = true;
	c->answered_by = a->server;
}

void connects_synack_alone(struct connects *x, const struct connection *c)
{
	struct held_key key = key_of(c);
	struct answer *a;

	HASH_FIND(hh, x->answers, &key, sizeof(key), a);
	if (a) /* sent again, or seen at another place */
		return;
	if (x->answers && HASH_COUNT(x->answers) >= MAX_ANSWERS)
		forget(x, x->answers);
	ADD_NEW(x->answers, key, key, a);
	if (!a)
		return;
	a->server = c->server;
	a->at = c->synack;
}

static struct held *find_held(const struct connects *x, const struct connection *c)
{
	struct held_key key;
	struct held *h;

	if (!x->held) /* as most of the time: saves the hash */
		return NULL;
	key = key_of(c);
	HASH_FIND(hh, x->held, &key, sizeof(key), h);
	return h;
}

static void pass_on(struct connects *x, struct held *h)
{
	struct connection c = h->c;

	release(x, h);
	x->events.connect(x->events.context, &c);
}

/* Holds a connect. Returns false when out of memory. */
static bool hold(struct connects *x, const struct connection *c)
{
	struct held_key key = key_of(c);
	struct held *h;

	if (x->held && HASH_COUNT(x->held) >= MAX_HELD)
		pass_on(x, x->held);
	ADD_NEW(x->held, key, key, h);
	if (!h)
		return false;
	h->c = *c;
	h->until = x->now + SECOND_NS + may_continue_for(c);
	return true;
}

/* Passes the connect on, unless its client may continue it. */
static void end_connect(struct connects *x, struct connection *c)
{
	note_answer(x, c);
	if (!may_continue_for(c) || !hold(x, c))
		x->events.connect(x->events.context, c);
}

void connects_settled(struct connects *x, const struct connection *c)
{
	struct connection attempt = *c, connect;
	struct held *h = find_held(x, c);

	if (h) {
		connect = h->c;
		if (join_attempt(&connect, c)) {
			release(x, h);
			attempt.connect = connect.connect;
			x->events.attempt(x->events.context, &attempt);
			end_connect(x, &connect);
			return;
		}
		pass_on(x, h);
	}
	attempt.connect = ++x->count;
	x->events.attempt(x->events.context, &attempt);
	end_connect(x, &attempt);
}

void connects_opening(struct connects *x, const struct connection *c)
{
	struct held *h = find_held(x, c);
	struct connection connect = *c;

	if (h) {
		connect = h->c;
		if (join_attempt(&connect, c))
			h->until = x->now + 2 * SECOND_NS + may_continue_for(&h->c);
		else
			connect = *c;
	}
	x->events.opening(x->events.context, &connect);
}

void connects_swept(struct connects *x, ns_t now)
{
	struct held *h, *next;

	x->now = now;
	HASH_ITER(hh, x->held, h, next)
		if (h->until <= now)
			pass_on(x, h);
}

void connects_end(struct connects *x)
{
	while (x->held)
		pass_on(x, x->held);
}
