// SPDX-License-Identifier: GPL-2.0
/*
 * Reports first visits that are late: the first connect to each server waits a steady time for
 * its answer, later ones do not. Devices that inspect TLS do so while they fetch and judge the
 * certificate of a server they do not know yet.
 */
#include <inttypes.h>

#include "diagnose/reporters.h"
#include "diagnose/requests.h"

/* Servers whose first visit is late without which nothing is reported, and visits again. */
#define MIN_FIRST 3
#define MIN_AGAIN 3

/* The slowest first visit takes at most this many times as long as the fastest: not at random. */
#define MAX_RATIO 1.5

#define MAX_CHANCE 0.01

/* Visits to servers on the port of a group, and on others. */
struct visits {
	size_t first, first_late; /* until a server has answered for the first time */
	size_t again, again_late; /* after that */
	size_t elsewhere, elsewhere_late; /* first visits on other ports */
	size_t servers; /* that have late first visits */
};

static bool is_late(const struct context *g, const struct noted_connect *n)
{
	return n->c->answer != NEVER && n->c->answer >= g->m->stall_ns;
}

/* Adds the visits to a server. late, unless NULL, gets the late first ones. */
static void add_visits(struct context *g, struct visits *v, const struct server *s, uint16_t port,
		       struct connect_set *late)
{
	ns_t answered = NEVER;
	size_t i, before = v->first_late;

	for (i = 0; i < s->count; i++) {
		struct noted_connect *n = &s->connects[i];
		bool first, is_slow = is_late(g, n);

		if (!was_served(n) || n->c->client_first == NEVER || n->explained)
			continue;
		first = answered == NEVER || n->c->client_first < answered;
		if (answered == NEVER || n->c->server_first < answered)
			answered = n->c->server_first;
		if (s->endpoint.port != port) {
			v->elsewhere += first;
			v->elsewhere_late += first && is_slow;
			continue;
		}
		v->first += first;
		v->first_late += first && is_slow;
		v->again += !first;
		v->again_late += !first && is_slow;
		if (first && is_slow)
			connect_set_add(g, late, n);
	}
	v->servers += v->first_late > before;
}

static ns_t time_to_answer(const struct noted_connect *n)
{
	return n->c->answer;
}

/*
 * Single first visits may be slow for their own reasons: an application that is loaded on demand, a
 * cold cache. They then differ from server to server.
 */
static bool is_pattern(const struct visits *v, const struct durations *d)
{
	return v->servers >= MIN_FIRST && v->again >= MIN_AGAIN &&
	       v->first_late * 5 >= v->first * 4 && v->again_late * 5 <= v->again &&
	       d->longest <= MAX_RATIO * d->shortest &&
	       fisher_exact(v->first_late, v->first - v->first_late, v->again_late,
			    v->again - v->again_late) <= MAX_CHANCE;
}

static void report_first_visits(struct context *g, struct failure_group *group,
				const struct visits *v, const struct durations *d)
{
	struct requests r = requests_of(g, group);
	char late[FORMAT_DURATION], spread[FORMAT_SPREAD], least[FORMAT_DURATION],
		most[FORMAT_DURATION];
	struct certainty certainty =
		v->servers < 5 ? doubtful(CONFIDENCE_MEDIUM, "few servers only, five make it high")
		: !d->is_timer ? doubtful(CONFIDENCE_MEDIUM, "the waits are not equally long")
			       : certain();
	struct finding *f = finding_of_group(g, group, KIND_FIRST_VISIT_SLOW, certainty, &r);

	if (!f)
		return;
	f->timer = d->median;
	f->deviation = d->deviation;
	finding_text(f,
		     "the first connect to each server on port %u waits %s for its answer, %zu "
		     "of %zu; later ones do not",
		     group->server->endpoint.port, format_duration(late, d->median), v->first_late,
		     v->first);
	finding_line(f, "",
		     "%zu servers; the first answer took %s, %s to %s; of %zu later connects to "
		     "them %zu %s late",
		     v->servers, finding_format_spread(spread, d->median, d->deviation),
		     format_duration(least, d->shortest), format_duration(most, d->longest),
		     v->again, v->again_late, were(v->again_late));
	if (v->elsewhere)
		finding_line(f, "", "of %zu first connects on other ports %zu %s late",
			     v->elsewhere, v->elsewhere_late, were(v->elsewhere_late));
	finding_line(f, "",
		     "different servers with the same delay: something between them and the "
		     "clients that learns addresses, such as TLS inspection");
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "exempt one of these servers from inspection at the firewall or proxy and "
		     "visit it as the first one");
}

/* Returns the port with the most connects of the set. Returns 0 if the set is empty. */
static uint16_t usual_port(const struct connect_set *set)
{
	size_t i, j, most = 0;
	uint16_t port = 0;

	for (i = 0; i < set->count && i < MAX_FINDING_HOSTS; i++) {
		size_t n = 0;

		for (j = 0; j < set->count; j++)
			n += set->at[j]->c->server.port == set->at[i]->c->server.port;
		if (n > most) {
			most = n;
			port = set->at[i]->c->server.port;
		}
	}
	return port;
}

void report_first_visit_slow(struct context *g, const struct failure_group *group)
{
	uint16_t port = usual_port(&group->set);
	struct failure_group late = { .kind = group->kind };
	struct durations d;
	struct visits v = {};
	size_t i;

	for (i = 0; i < g->server_count; i++)
		add_visits(g, &v, &g->servers[i], port, &late.set);
	d = durations_of(g, &late.set, time_to_answer);
	if (late.set.count && is_pattern(&v, &d)) {
		late.server = server_of(g, late.set.at[0]);
		late.facts = facts_of_server(g, late.server);
		late.servers = v.servers;
		report_first_visits(g, &late, &v, &d);
	}
	connect_set_free(&late.set);
}
