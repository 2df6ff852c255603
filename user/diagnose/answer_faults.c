// SPDX-License-Identifier: GPL-2.0
/*
 * Reports openings that fail between the client's first request and its answer: requests that are
 * not answered, reset, refused, or too large.
 */
#include <inttypes.h>

#include "diagnose/reporters.h"
#include "diagnose/requests.h"

/* ---- requests that are never answered ---- */

/* Returns how long the client waited until it gave up, or NEVER if it did not. */
static ns_t patience(const struct noted_connect *n)
{
	ns_t end;

	return connection_end(n->c, &end) == SIDE_CLIENT ? end - n->c->client_first : NEVER;
}

/* Requests that were never answered. */
struct silence {
	size_t count;
	struct durations patience; /* how long clients waited */
	struct span span;
	bool is_most; /* half or more of the requests from the first one on */
};

static struct silence silence_of(struct context *g, const struct connect_set *set)
{
	struct silence s = { .count = set->count,
			     .patience = durations_of(g, set, patience),
			     .span = span_of(g, set) };

	s.is_most = s.count >= s.span.meanwhile + s.span.after;
	return s;
}

static bool is_acked(const struct noted_connect *n)
{
	return n->c->client_payload.acked;
}

/*
 * A server that answers nobody may serve a protocol without answers. Clients that give up after the
 * same time, several seconds, did wait for an answer.
 */
#define MIN_PATIENCE_NS (4 * (ns_t)SECOND_NS)

#define NO_ANSWERS "it answered nobody in this run: its protocol may have no answers"

/*
 * Without a common timer, users may have gone on, or a long poll was ended by its client. The same
 * may be where the same hosts are served meanwhile.
 */
static struct certainty certainty_of_silence(const struct silence *s, const struct requests *r)
{
	struct certainty limit = certain();

	if (!r->served)
		limit = doubtful(s->count >= 3 && s->patience.is_timer &&
						 s->patience.median >= MIN_PATIENCE_NS
					 ? CONFIDENCE_MEDIUM
					 : CONFIDENCE_LOW,
				 NO_ANSWERS);
	else if (!s->patience.is_timer)
		limit = doubtful(
			CONFIDENCE_MEDIUM,
			"the clients gave up after different times: they may have gone on");
	else if (r->hosts_served && !s->is_most)
		limit = doubtful(CONFIDENCE_MEDIUM,
				 "the same hosts were served as well, and more often");
	return at_most(certainty_of_failures(s->count, r), limit.level, limit.reason);
}

static ns_t time_to_answer(const struct noted_connect *n)
{
	return n->c->answer;
}

/*
 * Returns true if clients gave up before these servers usually answer: a long poll holds its answer
 * back, and whoever leaves the page meanwhile ends it.
 */
static bool is_before_usual_answer(struct context *g, const struct connect_set *set)
{
	struct connect_set served = {};
	struct durations usual;
	size_t i, j, before = 0;

	for (i = 0; i < set->count;) {
		const struct server *s = next_server(g, set, &i);

		for (j = 0; j < s->count; j++)
			if (was_served(&s->connects[j]) && s->connects[j].c->answer != NEVER)
				connect_set_add(g, &served, &s->connects[j]);
	}
	usual = durations_of(g, &served, time_to_answer);
	for (i = 0; i < set->count; i++) {
		ns_t waited = patience(set->at[i]);

		before += served.count && waited != NEVER && waited < usual.median;
	}
	connect_set_free(&served);
	return before * 5 >= set->count * 4;
}

/* Returns true if clients may have had no more use for the answer, or expected none. */
static bool is_everyday(struct context *g, const struct failure_group *group,
			const struct silence *s, const struct requests *r)
{
	uint64_t others = s->span.meanwhile + s->span.after;
	/* many users who leave within a second or two look like a timer */
	bool is_timer = s->patience.is_timer && s->patience.median >= MIN_PATIENCE_NS;

	if (s->count < MIN_FAILURES)
		return true;
	return !is_timer &&
	       (!r->served || s->count * 4 < others || is_before_usual_answer(g, &group->set));
}

/*
 * Returns true if the server's accept queue is full: its kernel acknowledges requests that wait
 * there, and the clients of some give up before they are accepted. That is one fault.
 */
static bool is_queue_full(const struct failure_group *group)
{
	return group->facts.ignores_syns && group->facts.synack_repeats;
}

static void set_no_answer_text(struct context *g, struct finding *f,
			       const struct failure_group *group, const struct requests *r,
			       const struct silence *s)
{
	char servers[FORMAT_SERVERS], since[FORMAT_TIME], after[FORMAT_DURATION], end[64] = "";
	const char *some = group->servers > 1 ? "take" : "takes";

	format_with_others(servers, group);
	format_run_clock(since, &g->session->start, g->session->duration, s->span.first);
	if (s->patience.is_timer)
		snprintf(end, sizeof(end), "; clients give up after %s",
			 format_duration(after, s->patience.median));
	if (s->span.before && !s->span.meanwhile && !s->span.after)
		finding_text(f, "since %s %s %s requests and answer%s none of %zu%s", since,
			     servers, some, group->servers > 1 ? "" : "s", group->set.count, end);
	else
		finding_text(f, "%s %s requests and leave%s %zu of %" PRIu64 " unanswered%s",
			     servers, some, group->servers > 1 ? "" : "s", group->set.count, r->all,
			     end);
}

static const char *no_answer_action(const struct requests *r)
{
	if (!r->served)
		return "find out whether this protocol has answers, then whether the application "
		       "on the server still reads its connections";
	if (!r->hosts_served)
		return "compare a request of these hosts with another that is answered; then look "
		       "for it in the log of the server, or of the proxy that answers for it";
	return "on the server, or the proxy that answers for it: look for the requests that hang, "
	       "at their time; a packet capture there shows whether an answer was sent";
}

static void add_patience(struct finding *f, const struct durations *patience)
{
	char spread[FORMAT_SPREAD];
	const char *software;

	if (!patience->is_timer)
		return;
	f->timer = patience->median;
	f->deviation = patience->deviation;
	software = known_timer(patience->median);
	finding_line(f, "", "the clients end the connection after %s%s%s: a timer of theirs",
		     finding_format_spread(spread, patience->median, patience->deviation),
		     software ? ", like " : "", software ? software : "");
}

void report_no_answer(struct context *g, const struct failure_group *group)
{
	struct silence s = silence_of(g, &group->set);
	struct requests r = requests_of(g, group);
	size_t acked = count_if(&group->set, is_acked);
	struct finding *f;

	if (is_everyday(g, group, &s, &r) || is_queue_full(group))
		return;
	f = finding_of_group(g, group, KIND_NO_ANSWER, certainty_of_silence(&s, &r), &r);
	if (!f)
		return;
	set_no_answer_text(g, f, group, &r, &s);
	finding_line(f, "",
		     "%zu of %zu requests %s acknowledged, and no byte came back before the end",
		     acked, group->set.count, were(acked));
	add_patience(f, &s.patience);
	add_hosts_line(f, &r);
	if (r.waiting)
		finding_line(f, "",
			     "%" PRIu64 " more request%s had no answer yet when the run ended",
			     r.waiting, plural(r.waiting));
	finding_add_span(g, f, &group->set);
	if (!r.served)
		finding_line(f, "against",
			     "no request was answered in this run: a protocol without answers "
			     "looks the same");
	else if (r.hosts_served && !s.is_most)
		finding_line(f, "against",
			     "most requests meanwhile were answered, of these hosts too: a long "
			     "poll that its client ends looks the same");
	finding_line(f, "action", "%s", no_answer_action(&r));
}

/* ---- requests after which the connection ends ---- */

/* Returns true if only clients that speak late fail, later than all that were served. */
static bool is_about_late_clients(const struct context *g, const struct endings *e,
				  const struct requests *r)
{
	return e->shortest_hold != NEVER && e->shortest_hold >= g->m->stall_ns && r->served >= 3 &&
	       r->longest_hold != NEVER && e->shortest_hold / 2 > r->longest_hold;
}

static void add_sender_lines(struct finding *f, const struct endings *e)
{
	if (e->by_gateway)
		finding_line(f, "", "this gateway itself sent %zu of these RSTs", e->by_gateway);
	else if (e->other_ttl)
		finding_line(f, "",
			     "%zu of %zu RSTs have another TTL than the SYN-ACK (%u, not %u): "
			     "another device may have sent them",
			     e->other_ttl, e->resets, e->rst_ttl, e->synack_ttl);
	else
		finding_line(f, "",
			     "whether the server or a device before it ends them cannot be told "
			     "from their time");
}

static void add_late_client_lines(struct finding *f, const struct failure_group *group,
				  const struct endings *e, const struct requests *r)
{
	char hold[FORMAT_DURATION];

	if (e->bare == group->set.count)
		finding_line(f, "",
			     "the RSTs acknowledge nothing, as those of a host that has forgotten "
			     "the connection (RFC 9293 3.10.7.1)");
	finding_line(f, "", "all %" PRIu64 " requests sent within %s were answered", r->served,
		     format_duration(hold, r->longest_hold));
	if (e->repeated)
		finding_line(f, "",
			     "on %zu of %zu the SYN-ACK was repeated before: the server waits for "
			     "data (deferred accept) or did not get the ACK, and gave up meanwhile",
			     e->repeated, group->set.count);
	else
		finding_line(f, "",
			     "a server or a firewall on the way gives up connections that are "
			     "idle; nothing was seen to announce it");
}

/* How requests came to their end. */
enum ending { BY_NEARER, LATE_CLIENTS, BY_GATEWAY, BY_ANYBODY };

static enum ending ending_of(const struct context *g, const struct failure_group *group,
			     const struct requests *r, const struct endings *e)
{
	if (e->nearer * 2 > group->set.count)
		return BY_NEARER;
	if (is_about_late_clients(g, e, r))
		return LATE_CLIENTS;
	return e->by_gateway ? BY_GATEWAY : BY_ANYBODY;
}

static const char *action_of(enum ending ending)
{
	switch (ending) {
	case BY_NEARER:
		return NEARER_ACTION;
	case LATE_CLIENTS:
		return "let clients send at once, or connect only when they have something to "
		       "send; on the server, look at TCP_DEFER_ACCEPT and at timeouts for idle "
		       "connections";
	case BY_GATEWAY:
		return "look at the rules (REJECT with tcp-reset) and the proxies of this gateway";
	default:
		return "compare a request that fails with another that is served; the log of the "
		       "server, and a capture there, show whether it ends the connection";
	}
}

static void set_reset_text(struct context *g, struct finding *f, const struct failure_group *group,
			   const struct requests *r, const struct endings *e)
{
	struct durations d = durations_of(g, &group->set, time_to_end);
	char servers[FORMAT_SERVERS], after[FORMAT_DURATION], trip[FORMAT_DURATION];
	bool all_reset = e->resets == group->set.count;

	format_with_others(servers, group);
	format_duration(after, d.median);
	switch (ending_of(g, group, r, e)) {
	case BY_NEARER:
		finding_text(f,
			     "connects to %s are reset %s after the first request, %zu of %" PRIu64
			     ": by somebody nearer, since the round trip is %s",
			     servers, after, group->set.count, r->all,
			     format_duration(trip, group->facts.round_trip));
		break;
	case LATE_CLIENTS:
		finding_text(f,
			     "%s %s connections whose client speaks late, %zu of %zu that were "
			     "silent for %s or longer",
			     servers, all_reset ? "resets" : "closes", group->set.count,
			     group->set.count, format_duration(trip, e->shortest_hold));
		break;
	default:
		finding_text(f,
			     "%s: %zu of %" PRIu64 " connects are %s %s after the first request, "
			     "without an answer",
			     servers, group->set.count, r->all, all_reset ? "reset" : "closed",
			     after);
	}
}

/* A server that closes each connection in good order may serve a protocol without answers. */
static bool may_be_without_answers(const struct requests *r, const struct endings *e)
{
	return !r->served && !e->resets;
}

static struct certainty certainty_of_ending(size_t count, const struct requests *r,
					    const struct endings *e)
{
	return at_most(certainty_of_failures(count, r),
		       may_be_without_answers(r, e) ? CONFIDENCE_MEDIUM : CONFIDENCE_HIGH,
		       NO_ANSWERS);
}

void report_reset_after_request(struct context *g, const struct failure_group *group)
{
	struct requests r = requests_of(g, group);
	struct endings e = endings_of(g, &group->set);
	enum ending ending = ending_of(g, group, &r, &e);
	struct finding *f;

	if (group->set.count < MIN_FAILURES)
		return;
	f = finding_of_group(g, group, KIND_RESET_AFTER_REQUEST,
			     certainty_of_ending(group->set.count, &r, &e), &r);
	if (!f)
		return;
	set_reset_text(g, f, group, &r, &e);
	if (ending == BY_NEARER)
		add_nearer_lines(f, group, &e);
	else if (ending == LATE_CLIENTS)
		add_late_client_lines(f, group, &e, &r);
	else
		add_sender_lines(f, &e);
	add_hosts_line(f, &r);
	if (ending != LATE_CLIENTS)
		add_flights_line(f, &group->set, &r);
	finding_add_span(g, f, &group->set);
	if (may_be_without_answers(&r, &e))
		finding_line(f, "against",
			     "no request was answered in this run: a protocol without answers "
			     "looks the same");
	finding_line(f, "action", "%s", action_of(ending));
}

/* ---- requests that are refused ---- */

void report_refused_in_answer(struct context *g, const struct failure_group *group)
{
	struct requests r = requests_of(g, group);
	char servers[FORMAT_SERVERS];
	struct finding *f;

	if (group->set.count < MIN_FAILURES)
		return;
	f = finding_of_group(g, group, KIND_REFUSED_IN_ANSWER,
			     certainty_of_failures(group->set.count, &r), &r);
	if (!f)
		return;
	finding_text(f,
		     "%s refuse%s %zu of %" PRIu64 " TLS connects of %zu host%s in the first "
		     "answer: a fatal alert",
		     format_with_others(servers, group), group->servers > 1 ? "" : "s",
		     group->set.count, r.all, r.hosts, plural(r.hosts));
	add_hosts_line(f, &r);
	add_flights_line(f, &group->set, &r);
	finding_add_span(g, f, &group->set);
	finding_line(f, "not seen",
		     "what the ClientHello asks for (server name, versions, ciphers) was not "
		     "looked at");
	finding_line(f, "action",
		     "compare the ClientHello of a refused connection with another that is "
		     "served: often the server name is missing or unknown, or the versions "
		     "differ; the server's log names the alert");
}
