// SPDX-License-Identifier: GPL-2.0
/*
 * Records waits of clients: stalls, connections that stayed idle, and the operations that clients
 * may have waited for.
 */
#include <stdlib.h>
#include <string.h>

#include "model/coincidence.h"
#include "model/notes.h"
#include "model/store.h"

/* ---- stalls ---- */

void stall_of(struct stall *s, struct client *client, const struct connection *c, ns_t wait)
{
	memset(s, 0, sizeof(*s));
	s->client = client;
	s->from = c->client;
	s->to = c->server;
	s->nat_endpoint = c->nat_endpoint;
	s->has_mac = c->has_mac;
	memcpy(s->mac, c->mac, sizeof(s->mac));
	s->syn = c->syn;
	s->synack = c->synack;
	s->start = c->ack;
	s->wait = wait;
	s->round_trip = c->client_round_trip;
}

void count_meanwhile(const struct client *client, struct stall *s)
{
	unsigned int i, n = client->recent_count < RECENT ? client->recent_count : RECENT;

	for (i = 0; client->recent && i < n; i++) {
		const struct recent *b = &client->recent[i];
		uint8_t *count = same_endpoint(&b->to, &s->to) ? &s->siblings : &s->passed;

		if (b->prompt && b->syn > s->start && b->syn < stall_end(s) && *count < 0xff)
			++*count;
	}
}

static void note_stall(struct model *m, struct client *client, const struct connection *c)
{
	struct stall stall;

	m->stall_count++;
	stall_of(&stall, client, c, c->wait);
	if (client) {
		client->stalls++;
		count_meanwhile(client, &stall);
	}
	store_stall(m, &stall);
	m->events->stall(m->events->context, &stall, true);
}

static void note_late_banner(struct model *m, struct peer *peer, const struct connection *c)
{
	struct anomalies *t = peer ? store_anomalies(m, peer) : NULL;

	m->late_banners++;
	if (peer)
		peer->late_banners++;
	if (t) {
		samples_add(&t->banners, c->banner);
		if (c->banner > t->worst_banner)
			t->worst_banner = c->banner;
	}
	m->events->late_banner(m->events->context, c);
}

static void keep_idle(struct model *m, const struct stall *stall)
{
	struct stalls *u = &m->idle;
	struct stall *grown;
	size_t room;

	if (u->count == u->room) {
		room = u->room ? u->room * 2 : 64;
		grown = room <= MAX_IDLE ? realloc(u->at, room * sizeof(*grown)) : NULL;
		if (!grown) {
			m->dropped_details++;
			return;
		}
		u->at = grown;
		u->room = room;
	}
	u->at[u->count++] = *stall;
}

/* Records a connection on which neither side sent payload. */
static void note_without_payload(struct model *m, struct client *client, const struct connection *c)
{
	ns_t silence = connection_silence(c);
	struct stall stall;

	if (c->fin != NEVER || c->rst != NEVER) {
		m->unused++;
	} else if (silence != NEVER && silence < m->stall_ns) {
		m->unspoken++;
	} else if (silence != NEVER &&
		   (c->end_reason == END_OF_RUN || c->end_reason == END_PRESSURE)) {
		if (client)
			client->idle++;
		stall_of(&stall, NULL, c, silence);
		keep_idle(m, &stall);
	}
}

void note_waits(struct model *m, struct peer *peer, struct client *client, struct pair *pair,
		const struct connection *c)
{
	bool is_greeted = connection_is_greeted(c);
	/* the way to the server and back is not its delay */
	ns_t on_the_way = c->server_round_trip == NEVER ? 0 : c->server_round_trip;
	bool is_late_banner = is_greeted && c->banner - on_the_way >= m->stall_ns;

	/* the first payload may have passed through the flowtable, at an unknown time */
	if (c->offloaded && (c->client_first == NEVER || c->client_gap)) {
		m->offloaded++;
		return;
	}
	histogram_add(&m->waits, c->wait);
	histogram_add(&m->answers, c->answer);
	if (client && (c->wait != NEVER || is_greeted)) {
		client->decided++;
		samples_add(&client->waits, c->wait);
		if (c->wait != NEVER && c->wait > client->worst_wait)
			client->worst_wait = c->wait;
	}
	if (peer) {
		peer->requests += c->wait != NEVER;
		peer->banners += is_greeted;
	}
	if (pair) {
		pair->banners += is_greeted;
		pair->late_banners += is_late_banner;
	}
	if (c->wait != NEVER && c->wait >= m->stall_ns)
		note_stall(m, client, c);
	if (is_late_banner)
		note_late_banner(m, peer, c);
	if (c->client_first == NEVER && c->server_first == NEVER)
		note_without_payload(m, client, c);
}

/* ---- connections that a stall is judged by ---- */

void note_recent(struct model *m, struct client *client, const struct connection *c)
{
	struct recent *b = store_recent(m, client);

	if (!b)
		return;
	b->syn = c->syn;
	b->to = c->server;
	b->prompt = (c->client_first != NEVER || c->server_first != NEVER) &&
		    (c->wait == NEVER || c->wait < m->stall_ns / 2) &&
		    (c->banner == NEVER || c->banner < m->stall_ns / 2);
}

/*
 * Linux from 6.5 on sends SYNs at equal gaps first, at 0 1 2 3 4 5 s, and doubles the gap only then
 * (tcp_syn_linear_timeouts). BSD does so as well.
 */
#define LINEAR_SYNS 6

/* Returns true if the last two gaps between SYNs are equal, and the next one would be so too. */
static bool is_linear(const struct connection *c)
{
	ns_t last, before;

	if (c->syn_count < 3 || c->syn_count >= LINEAR_SYNS || c->syn_count > c->syn_times_count)
		return false;
	last = c->syn_times[c->syn_count - 1] - c->syn_times[c->syn_count - 2];
	before = c->syn_times[c->syn_count - 2] - c->syn_times[c->syn_count - 3];
	return llabs(last - before) <= before / 8;
}

/*
 * Returns the latest possible end of a failed connect(), which packets do not show: the time at
 * which the next SYN is overdue. The gap between two SYNs doubles, except at equal gaps. After a
 * single SYN the first gap is not known.
 */
static ns_t end_of_connect(const struct connection *c)
{
	ns_t gap;

	if (c->syn_count < 2)
		return c->syn + 3 * (ns_t)SECOND_NS;
	if (c->syn_count <= c->syn_times_count)
		gap = c->syn_last - c->syn_times[c->syn_count - 2];
	else
		gap = (c->syn_last - c->syn_times[c->syn_times_count - 1]) /
		      (c->syn_count - c->syn_times_count);
	return c->syn_last + (is_linear(c) ? gap + gap / 8 : 2 * gap);
}

/*
 * Returns the time that the server took. A SYN or request that was lost once is not the server's
 * fault; a SYN or request that was left unanswered twice is.
 */
static ns_t time_taken(const struct connection *c)
{
	ns_t taken = 0;

	if (c->synack != NEVER && c->syn_count != 2)
		taken = c->synack - c->syn;

	if (connection_is_greeted(c))
		taken += c->banner;
	else if (c->answer != NEVER && !c->client_payload.again)
		taken += c->answer;
	return taken;
}

/*
 * Fills in the operation from an attempt that was not established. Returns true if the client may
 * have waited for it.
 */
static bool pending_of_failure(struct pending *o, const struct connection *c, ns_t least)
{
	switch (c->outcome) {
	case OUTCOME_UNANSWERED:
		o->end = end_of_connect(c);
		o->resolved = false;
		return true;
	case OUTCOME_UNREACHABLE:
		/* the client may continue to retry in spite of the ICMP error */
		o->resolved = c->syn_last <= c->icmp;
		o->end = o->resolved ? c->icmp : end_of_connect(c);
		return o->end - o->start >= least;
	case OUTCOME_REFUSED:
		o->end = c->rst;
		return o->end - o->start >= least;
	default:
		return false;
	}
}

/*
 * Fills in the operation. Returns true if another connection of the client may have waited for it.
 */
static bool pending_of(const struct model *m, struct pending *o, const struct connection *c)
{
	ns_t least = m->stall_ns / 10 * 8;
	bool late;

	memset(o, 0, sizeof(*o));
	o->to = c->server;
	o->start = c->syn;
	o->syn_last = c->syn_last;
	o->syn_count = c->syn_count;
	o->tries = 1;
	memcpy(o->syn_times, c->syn_times, sizeof(o->syn_times));
	o->failed = true;
	o->resolved = true;
	o->answered = c->synack;
	if (c->outcome != OUTCOME_ESTABLISHED)
		return pending_of_failure(o, c, least);
	late = c->synack != NEVER && c->synack - c->syn >= least;
	o->lost_once = late && c->syn_count == 2;
	/* a request that the client itself held back does not show how fast the server is */
	if (late && ((c->wait != NEVER && c->wait > least / 8) ||
		     (c->client_first == NEVER && c->server_first == NEVER))) {
		o->failed = false;
		o->end = c->synack;
		return true;
	}
	if (c->wait != NEVER && c->wait > least / 8)
		return false;
	if (c->server_first != NEVER) {
		o->failed = false;
		o->end = c->server_first;
		o->lost_once = o->lost_once && time_taken(c) < least;
		return o->lost_once || time_taken(c) >= least;
	} else if (c->client_first == NEVER) {
		return false;
	} else if (c->fin != NEVER || c->rst != NEVER) {
		connection_end(c, &o->end);
	} else {
		o->end = c->settled;
		o->resolved = false;
	}
	return o->end - o->start >= least;
}

/* ---- attempts that are refused again and again ---- */

/* Maximum time from a first refused attempt to a second one that belongs to it. */
#define FIRST_GAP_NS (2 * (ns_t)SECOND_NS)

/* Maximum time from one attempt to the next in any case. */
#define LONGEST_GAP_NS (5 * (ns_t)SECOND_NS)

/*
 * Returns the time at which the next attempt is overdue: programs try again at equal times, or
 * double the time.
 */
static ns_t overdue(const struct refusals *r)
{
	ns_t gap = FIRST_GAP_NS;

	if (r->tries > 1)
		gap = r->steady ? r->gap / 2 * 3 : r->gap / 4 * 9;
	return (gap < LONGEST_GAP_NS ? gap : LONGEST_GAP_NS) + r->last;
}

/* Returns the refusals at this peer, or the place to replace. Returns NULL when out of memory. */
static struct refusals *refusals_at(struct client *client, const struct endpoint *to)
{
	struct refusals *oldest, *r;

	if (!client->refusals)
		client->refusals = calloc(CLIENT_REFUSALS, sizeof(*client->refusals));
	if (!client->refusals)
		return NULL;
	oldest = client->refusals;
	for (r = client->refusals; r < client->refusals + CLIENT_REFUSALS; r++) {
		if (r->tries && same_endpoint(&r->to, to))
			return r;
		if (!r->tries || (oldest->tries && r->end < oldest->end))
			oldest = r;
	}
	return oldest;
}

/*
 * Returns true if a wait that began with these attempts ended between the last one and this one,
 * which then belongs to another wait.
 */
static bool is_waited_for(const struct client *client, const struct refusals *r, ns_t next)
{
	const struct stall *s;

	for (s = TAILQ_LAST(&client->kept_stalls, stall_list); s && stall_end(s) > r->last;
	     s = TAILQ_PREV(s, stall_list, of_client))
		if (stall_end(s) <= next && r->start >= s->start - LAG_NS &&
		    r->start <= s->start + LEAD_NS)
			return true;
	return false;
}

/* Adds the client's attempt, which ended then, to those before it; or begins anew. */
static void add_refusal(const struct client *client, struct refusals *r, const struct connection *c,
			ns_t end)
{
	ns_t gap = c->syn - r->last;

	if (!r->tries || !same_endpoint(&r->to, &c->server) || c->syn < r->end ||
	    c->syn > overdue(r) || is_waited_for(client, r, c->syn)) {
		memset(r, 0, sizeof(*r));
		r->to = c->server;
		r->start = c->syn;
	} else {
		r->steady = r->tries > 1 && llabs(gap - r->gap) <= r->gap / 5;
		r->gap = gap;
	}
	if (r->tries < SYN_TIMES)
		r->times[r->tries] = c->syn;
	r->tries++;
	r->last = c->syn;
	r->end = end;
}

/* Fills in the operation that these attempts are. */
static void pending_of_refusals(struct pending *o, const struct refusals *r)
{
	o->tries = o->syn_count = r->tries;
	o->syn_last = r->last;
	memcpy(o->syn_times, r->times, sizeof(o->syn_times));
	o->end = overdue(r);
	o->resolved = false;
}

/*
 * Records an attempt that was refused or unreachable. Attempts that are each too short to wait for
 * are one operation if they follow each other.
 */
static void note_refusal(struct model *m, struct client *client, const struct connection *c)
{
	struct refusals *r;
	struct pending o;

	if (pending_of(m, &o, c)) {
		store_pending(m, client, &o);
		return;
	}
	r = refusals_at(client, &c->server);
	if (!r)
		return;
	add_refusal(client, r, c, c->outcome == OUTCOME_REFUSED ? c->rst : c->icmp);
	if (r->end - r->start < m->stall_ns / 10 * 8)
		return;
	o.start = r->start;
	pending_of_refusals(r->kept ? r->kept : &o, r);
	if (!r->kept)
		r->kept = store_pending(m, client, &o);
}

void note_pending(struct model *m, struct client *client, const struct connection *c)
{
	struct pending o;

	if (c->outcome == OUTCOME_REFUSED ||
	    (c->outcome == OUTCOME_UNREACHABLE && c->syn_last <= c->icmp))
		note_refusal(m, client, c);
	else if (!c->offloaded && pending_of(m, &o, c))
		store_pending(m, client, &o);
}
