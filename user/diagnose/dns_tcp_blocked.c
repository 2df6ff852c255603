// SPDX-License-Identifier: GPL-2.0
/*
 * Reports resolvers whose truncated answers send clients to DNS over TCP (RFC 7766), which is not
 * answered. Resolvers of clients wait in connect() then, for minutes.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/failing_servers.h"
#include "diagnose/resolvers.h"

/* A client that gets a truncated answer connects within this time. */
#define TURN_TO_TCP_NS ((ns_t)SECOND_NS)

/* Truncated answers of a resolver, and the connects that followed them. */
struct blocked {
	struct resolver *resolver;
	struct connect_set set; /* that failed */
	enum way way; /* of the first one */
	size_t truncated; /* lookups with a truncated answer */
	size_t small; /* lookups that were answered whole */
	size_t served; /* connects to the same resolver that were served after the first failure */
	bool *lookups; /* by index of g->lookups: a failed connect followed it */
};

static bool is_to_resolver(const struct connection *c, const struct resolver *s)
{
	return same_address_and_port(&c->server, &s->endpoint);
}

static bool is_in(const struct connect_set *set, const struct noted_connect *n)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (set->at[i] == n)
			return true;
	return false;
}

static bool is_blocked(const struct noted_connect *n)
{
	enum way way = way_of(n);

	return way == WAY_SILENT || way == WAY_REFUSED || way == WAY_UNREACHABLE ||
	       way == WAY_REFUSED_HERE ||
	       /* it was still going on when the run ended */
	       (n->entry.row == ROW_UNDECIDED && n->c->syn_count >= 2 && n->c->synack == NEVER);
}

/* Finds the connect by which the client asked again after a truncated answer. */
static struct noted_connect *connect_after(const struct asked *a, const struct resolver *s)
{
	const struct timeline *t = a->n->host;
	size_t i;

	if (!t)
		return NULL;
	for (i = first_connect_since(t, a->answered); i < t->connect_count; i++) {
		if (t->connects[i]->c->syn - a->answered > TURN_TO_TCP_NS)
			break;
		if (is_to_resolver(t->connects[i]->c, s))
			return t->connects[i];
	}
	return NULL;
}

static void add_truncated(struct context *g, struct blocked *b, const struct asked *a)
{
	struct noted_connect *n = connect_after(a, b->resolver);

	b->truncated++;
	if (!n || n->explained || !is_blocked(n))
		return;
	if (!b->set.count)
		b->way = way_of(n) == WAY_NONE ? WAY_SILENT : way_of(n);
	b->lookups[a->n - g->lookups] = true;
	if (!is_in(&b->set, n))
		connect_set_add(g, &b->set, n);
}

static void count_served_later(const struct context *g, struct blocked *b)
{
	size_t i;

	for (i = 0; i < g->connect_count; i++)
		b->served += is_to_resolver(g->connects[i].c, b->resolver) &&
			     was_served(&g->connects[i]) &&
			     g->connects[i].c->syn > b->set.at[0]->c->syn;
}

static ns_t time_of_connect(const struct noted_connect *n)
{
	return n->c->settled - n->c->syn;
}

static const char *words_of_way(enum way way)
{
	return way == WAY_SILENT	? "is silent"
	       : way == WAY_UNREACHABLE ? "cannot be reached (ICMP error)"
					: "is refused";
}

static ns_t longest_hang(const struct connect_set *set)
{
	ns_t most = 0;
	size_t i;

	for (i = 0; i < set->count; i++)
		if (time_of_connect(set->at[i]) > most)
			most = time_of_connect(set->at[i]);
	return most;
}

static void add_lines(struct context *g, struct finding *f, const struct blocked *b)
{
	char name[FORMAT_ENDPOINT], time[FORMAT_DURATION];

	format_resolver(name, b->resolver);
	finding_line(f, "",
		     "%zu lookup%s got a truncated answer (TC), so the client asks again by TCP "
		     "(RFC 7766)",
		     b->truncated, plural(b->truncated));
	if (b->small)
		finding_line(f, "", "%zu other lookup%s %s answered whole by UDP", b->small,
			     plural(b->small), were(b->small));
	if (b->way == WAY_SILENT)
		finding_line(f, "cost",
			     "a client waits up to %s in connect(): the time-out of its resolver "
			     "does not end that",
			     format_duration(time, longest_hang(&b->set)));
	if (b->served)
		finding_line(f, "against", "%zu later connect%s to the same port %s served",
			     b->served, plural(b->served), were(b->served));
	finding_add_span(g, f, &b->set);
	finding_line(f, "action",
		     "allow TCP port %u to %s in the firewalls on the way, and check that it "
		     "listens there: \"dig +tcp @%s .\"",
		     b->resolver->endpoint.port, name, name);
}

static void report(struct context *g, struct blocked *b)
{
	size_t hung = b->set.count;
	char name[FORMAT_ENDPOINT];
	struct finding *f =
		finding_new(g, KIND_DNS_TCP_BLOCKED,
			    b->served ? doubtful(CONFIDENCE_LOW, "later connects to it were served")
				      : certainty_by_count(hung));

	if (!f)
		return;
	finding_set_peer(f, &b->resolver->endpoint);
	finding_add_connects(g, f, &b->set);
	f->stalls = b->truncated;
	finding_text(f,
		     "large answers of %s are truncated and TCP port %u of it %s: %zu lookup%s of "
		     "%zu host%s %s",
		     format_resolver(name, b->resolver), b->resolver->endpoint.port,
		     words_of_way(b->way), hung, plural(hung), f->hosts_hurt, plural(f->hosts_hurt),
		     b->way == WAY_SILENT ? (hung == 1 ? "hangs" : "hang")
					  : (hung == 1 ? "fails" : "fail"));
	add_lines(g, f, b);
	explain_marked(g, f, b->lookups);
}

/* One SYN without an answer proves little. */
static bool is_proven(const struct blocked *b)
{
	size_t i;

	if (b->set.count > 1 || (b->set.count && b->way != WAY_SILENT))
		return true;
	for (i = 0; i < b->set.count; i++)
		if (b->set.at[i]->c->syn_count > 1)
			return true;
	return false;
}

static void examine(struct context *g, struct resolver *s)
{
	struct blocked b = { .resolver = s, .lookups = calloc(g->lookup_count + 1, sizeof(bool)) };
	size_t i;

	if (!b.lookups) {
		g->out_of_memory = true;
		return;
	}
	for (i = 0; i < s->count; i++)
		if (s->asked[i].truncated)
			add_truncated(g, &b, &s->asked[i]);
		else if (s->asked[i].result == ASKED_ANSWERED)
			b.small++;
	if (is_proven(&b)) {
		count_served_later(g, &b);
		report(g, &b);
	}
	connect_set_free(&b.set);
	free(b.lookups);
}

void cause_blocked_dns_tcp(struct context *g)
{
	const struct resolvers *r = g->resolvers;
	size_t i;

	for (i = 0; i < r->count && !g->out_of_memory; i++)
		examine(g, &r->at[i]);
}
