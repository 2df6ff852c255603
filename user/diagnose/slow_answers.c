// SPDX-License-Identifier: GPL-2.0
/* Reports servers that answer requests late. */
#include <inttypes.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"

/* A server is slow if it takes at least this many times as long as the median of all servers. */
#define TIMES_SLOWER 10

/*
 * If all answers take the same time, and at least this long, the server delays them on purpose
 * (long polling).
 */
#define LONG_POLL_NS (10 * (ns_t)SECOND_NS)

/* The handshakes were prompt if none took more than this share of the delay. */
#define PROMPT_SHARE 10

/* The requests to a server. */
struct answers {
	struct connect_set late; /* answered late, and not explained yet */
	size_t came; /* requests that were answered */
	size_t never; /* failed */
	size_t waiting; /* undecided when the run ended */
	struct durations delays; /* of the late ones */
	ns_t longest_trip; /* of their handshakes; NEVER if one is unknown */
	size_t by_gateway; /* this host answered the handshake */
	size_t next_door; /* a device without a router between answered it */
};

static ns_t delay(const struct noted_connect *n)
{
	return n->c->answer;
}

/*
 * A request that was repeated may have been lost. If the SYN-ACK was repeated, although the client
 * was not idle, the connection waited in an accept queue.
 */
static bool is_slow(const struct context *g, const struct noted_connect *n)
{
	const struct connection *c = n->c;
	bool is_queued = c->synack_after_ack && (c->wait == NEVER || c->wait < g->m->stall_ns / 2);

	return c->answer != NEVER && c->answer >= g->m->stall_ns && !n->explained && !is_queued &&
	       !c->client_payload.again;
}

static void add_handshake(struct answers *a, const struct noted_connect *n)
{
	ns_t trip = n->c->server_round_trip;
	bool is_known = !a->late.count || a->longest_trip != NEVER;

	if (trip == NEVER || (is_known && trip > a->longest_trip))
		a->longest_trip = trip;
	a->by_gateway += n->c->synack_from_gateway;
	a->next_door += is_answered_next_door(n->c);
}

static struct answers answers_of(struct context *g, const struct server *s)
{
	struct answers a = { .longest_trip = NEVER };
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct noted_connect *n = &s->connects[i];

		if (n->c->client_first == NEVER)
			continue;
		a.came += n->c->answer != NEVER;
		a.never += n->c->answer == NEVER && is_failed(n);
		a.waiting += n->c->answer == NEVER && n->entry.row == ROW_UNDECIDED;
		if (is_slow(g, n)) {
			add_handshake(&a, n);
			connect_set_add(g, &a.late, n);
		}
	}
	a.delays = durations_of(g, &a.late, delay);
	return a;
}

/* Says what the handshakes prove about the path. */
static void add_path_line(struct finding *f, const struct answers *a)
{
	char trip[FORMAT_DURATION];

	if (a->by_gateway) {
		finding_line(f, "",
			     "this gateway itself answered %zu of the handshakes: the delay is in "
			     "its proxy or behind it",
			     a->by_gateway);
		return;
	}
	if (a->longest_trip == NEVER || a->longest_trip > a->delays.shortest / PROMPT_SHARE)
		return;
	format_duration(trip, a->longest_trip);
	if (a->next_door)
		finding_line(f, "",
			     "the handshakes are prompt (at most %s), but a device next to this "
			     "gateway answers them (no router lowered the TTL): a proxy, or the "
			     "server itself; the way behind a proxy was not seen",
			     trip);
	else
		finding_line(f, "",
			     "the handshakes were prompt (at most %s): the server is slow, or "
			     "what it waits for, not the path to it",
			     trip);
}

static void add_lines(struct context *g, struct finding *f, const struct answers *a, ns_t usual)
{
	char others[FORMAT_DURATION], spread[FORMAT_SPREAD];

	finding_line(f, "",
		     "%zu of %zu first answers took %g s or more; the median of all servers is %s",
		     a->late.count, a->came, g->m->stall_ns / 1e9, format_duration(others, usual));
	if (a->waiting)
		finding_line(f, "", "%zu more request%s had no answer yet when the run ended",
			     a->waiting, plural(a->waiting));
	if (a->never)
		finding_line(f, "", "%zu more request%s never answered", a->never,
			     a->never == 1 ? " was" : "s were");
	if (a->delays.is_timer) {
		f->timer = a->delays.median;
		f->deviation = a->delays.deviation;
		finding_line(f, "", "each time %s: a timer in the server or behind it",
			     finding_format_spread(spread, a->delays.median, a->delays.deviation));
	}
	add_path_line(f, a);
	finding_add_span(g, f, &a->late);
	if (a->late.count * 2 <= a->came)
		finding_line(f, "against", "most of its answers came in time");
	finding_line(
		f, "action", "%s",
		a->delays.is_timer
			? "look for what the server, or a proxy in front of it, waits for that "
			  "long: a name server, a database or a host that does not answer"
			: "look at the load and the log of the server, or of the proxy in front "
			  "of it, at these times");
}

static void report_slow_answers(struct context *g, const struct server *s, const struct answers *a)
{
	ns_t usual = histogram_percentile(&g->m->answers, 0.5);
	bool most = a->late.count * 2 > a->came;
	char peer[FORMAT_ENDPOINT], late[FORMAT_DURATION];
	struct finding *f;

	if (a->delays.is_timer && a->delays.median >= LONG_POLL_NS)
		return;
	/* a single late answer may have been lost and retransmitted */
	if (a->late.count < 2 ||
	    ((a->late.count < 3 || has_finding(g, KIND_LOSSY_FAR_SIDE)) && !most))
		return;
	if (usual == NEVER || (a->delays.median / TIMES_SLOWER < usual && !most))
		return;
	f = finding_new(g, KIND_SLOW_SERVER,
			most ? certainty_by_count(a->late.count)
			     : doubtful(CONFIDENCE_LOW, "most of its answers came in time"));
	if (!f)
		return;
	finding_set_peer(f, &s->endpoint);
	finding_add_connects(g, f, &a->late);
	f->stalls = a->came;
	finding_text(f, "%s is slow: it answers %s after the request",
		     format_endpoint(peer, &s->endpoint), format_duration(late, a->delays.median));
	add_lines(g, f, a, usual);
}

void cause_slow_answers(struct context *g)
{
	size_t i;

	for (i = 0; i < g->server_count; i++) {
		struct answers a = answers_of(g, &g->servers[i]);

		if (a.late.count)
			report_slow_answers(g, &g->servers[i], &a);
		connect_set_free(&a.late);
	}
}
