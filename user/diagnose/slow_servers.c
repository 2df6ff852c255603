// SPDX-License-Identifier: GPL-2.0
/* Reports servers that greet late, and servers that wait for data before they accept. */
#include <inttypes.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"
#include "diagnose/reverse_lookups.h"

#define IDENT_PORT 113

static struct cluster samples_cluster(const struct samples *s)
{
	ns_t sorted[SAMPLES];
	size_t n = s->count < SAMPLES ? s->count : SAMPLES;

	memcpy(sorted, s->at, sizeof(sorted));
	return cluster_of(sorted, n);
}

static bool is_timer(const struct cluster *c, const struct samples *s)
{
	size_t n = s->count < SAMPLES ? s->count : SAMPLES;

	return c->count >= 3 && c->count * 2 > n && c->deviation <= timer_slack(c->median);
}

/* ---- greetings ---- */

/* Greetings to clients whose port 113 the server queries in vain. */
struct ident {
	size_t queries;
	uint32_t banners;
	uint32_t late;
};

/*
 * Counts the failed ident queries of the server to this client. Queries that were refused at once,
 * which may be one operation, delay no greeting.
 */
static size_t count_ident_queries(const struct client *server, const struct client *client)
{
	const struct pending *o;
	size_t n = 0;

	TAILQ_FOREACH(o, &server->pendings, of_client)
		n += o->to.port == IDENT_PORT && o->failed && o->tries == 1 &&
		     !memcmp(&client->key.address, &o->to.address, sizeof(o->to.address));
	return n;
}

/* Returns the server as a client, or NULL if it opened no connections. */
static const struct client *as_client(const struct context *g, const struct peer *p)
{
	struct client_key key = client_key_of(&p->server);

	return model_client(g->m, &key);
}

/* Counts the greetings to such clients. */
static struct ident check_ident(const struct context *g, const struct peer *p)
{
	const struct client *server = as_client(g, p);
	struct ident ident = {};
	const struct pair *pair;
	size_t queries;

	if (!server)
		return ident;
	LIST_FOREACH(pair, &p->pairs, of_peer) {
		queries = count_ident_queries(server, pair->who.client);
		if (!queries)
			continue;
		ident.queries += queries;
		ident.banners += pair->banners;
		ident.late += pair->late_banners;
	}
	return ident;
}

/*
 * Collects the connects that the server greeted late: all of them, or those of clients whose port
 * 113 it queries in vain.
 */
static void add_late_greetings(struct context *g, struct connect_set *set, const struct peer *p,
			       bool ident_only)
{
	const struct client *server = as_client(g, p);
	struct server *s = find_server(g, &p->server);
	size_t i;

	for (i = 0; s && i < s->count; i++) {
		struct noted_connect *n = &s->connects[i];
		struct client_key key = client_key_of(&n->c->client);
		const struct client *client = model_client(g->m, &key);

		if (!connection_is_greeted(n->c) || n->c->banner < g->m->stall_ns || n->explained)
			continue;
		if (!ident_only || (server && client && count_ident_queries(server, client)))
			connect_set_add(g, set, n);
	}
}

/* Makes the finding responsible for these greetings, and adds since when they are late. */
static void explain_greetings(struct context *g, struct finding *f, const struct connect_set *set)
{
	finding_add_connects(g, f, set);
	finding_add_span(g, f, set);
}

static void report_ident(struct context *g, const struct peer *p, const struct ident *ident)
{
	struct cluster c = samples_cluster(&p->anomalies->banners);
	char peer[FORMAT_ENDPOINT], late[FORMAT_DURATION];
	bool most = ident->late * 2 > ident->banners;
	struct connect_set set = {};
	struct finding *f;

	f = finding_new(g, KIND_IDENT,
			most ? certainty_by_count(ident->late)
			     : doubtful(CONFIDENCE_LOW, "most of its greetings came in time"));
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->stalls = ident->banners;
	f->timer = c.median;
	f->deviation = c.deviation;
	finding_text(f,
		     "%s greets only after %s: it asks port 113 (ident) of these clients in vain",
		     format_endpoint(peer, &p->server), format_duration(late, c.median));
	finding_line(
		f, "",
		"%zu question%s without an answer; %u of %u greeting%s to these clients %s late",
		ident->queries, plural(ident->queries), ident->late, ident->banners,
		plural(ident->banners), were(ident->late));
	add_late_greetings(g, &set, p, true);
	explain_greetings(g, f, &set);
	connect_set_free(&set);
	finding_line(f, "action",
		     "let the questions be refused, not dropped, or turn ident off at the server");
}

/* Connects of the server itself to a resolver, which it makes to look up a client's name. */
struct questions {
	size_t all;
	size_t bad; /* failed or late */
};

#define DNS_PORT 53

static struct questions count_questions(const struct context *g, const struct peer *p)
{
	const struct client *server = as_client(g, p);
	struct questions q = {};
	const struct timeline *t;
	size_t i;

	if (!server)
		return q;
	t = timeline_of(g, server);
	for (i = 0; i < t->connect_count; i++) {
		const struct noted_connect *n = t->connects[i];

		if (n->c->server.port != DNS_PORT)
			continue;
		q.all++;
		q.bad += is_failed(n) || n->entry.row == ROW_LATE;
	}
	return q;
}

/* Late greetings, by what the server asked DNS about the client before. */
struct reverse {
	size_t greetings; /* late ones */
	size_t waited; /* of these: for a PTR question that was not answered in time */
	size_t without_answer; /* of these: it got no answer at all, or an error */
	struct address resolver;
};

static struct reverse count_reverse(const struct context *g, const struct connect_set *set)
{
	struct reverse r = { .greetings = set->count };
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct noted_lookup *l = reverse_lookup_of(g, set->at[i]);

		if (!l)
			continue;
		r.waited++;
		r.without_answer += !lookup_is_answered(l->l);
		r.resolver = l->l->tries[0].server;
	}
	return r;
}

/* Returns true if the host of the server asked DNS by UDP for anything. */
static bool has_lookups(const struct context *g, const struct peer *p)
{
	const struct client *server = as_client(g, p);

	return server && timeline_of(g, server)->lookup_count;
}

static void add_lookup(const struct context *g, struct finding *f, const struct peer *p,
		       const struct reverse *r)
{
	struct questions q = count_questions(g, p);
	char resolver[FORMAT_ADDRESS];

	if (r->waited)
		finding_line(f, "",
			     "before %zu of these %zu greetings it asks %s for the name of the "
			     "client's address (PTR): %zu of these questions got no answer, the "
			     "others a late one",
			     r->waited, r->greetings, format_address(resolver, &r->resolver),
			     r->without_answer);
	else if (q.all)
		finding_line(f, "",
			     "a lookup of the client's name (reverse DNS) is the usual reason: %zu "
			     "of its %zu connect%s to port 53 failed or %s late",
			     q.bad, q.all, plural(q.all), were(q.bad));
	else if (has_lookups(g, p))
		finding_line(f, "",
			     "a lookup of the client's name (reverse DNS) is the usual reason, but "
			     "none of its questions that passed here fills these times");
	else
		finding_line(f, "",
			     "a lookup of the client's name (reverse DNS) is the usual reason: no "
			     "question of it passed here");
}

/* Most greetings must be late, unless a question of the server tells which ones are. */
static struct certainty banner_certainty(const struct peer *p, bool timer, const struct reverse *r)
{
	bool most = p->late_banners * 2 > p->banners || r->waited * 10 >= p->late_banners * 8;

	if (!most)
		return doubtful(CONFIDENCE_LOW, "most of its greetings came in time");
	return at_most(certainty_by_count(p->late_banners),
		       timer ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM,
		       "the delays are not equally long");
}

static void report_late_banner(struct context *g, const struct peer *p)
{
	const struct anomalies *t = p->anomalies;
	char peer[FORMAT_ENDPOINT], late[FORMAT_DURATION], spread[FORMAT_DURATION];
	struct cluster c = samples_cluster(&t->banners);
	bool timer = is_timer(&c, &t->banners);
	struct connect_set set = {};
	struct reverse reverse;
	struct finding *f;

	add_late_greetings(g, &set, p, false);
	reverse = count_reverse(g, &set);
	f = finding_new(g, KIND_LATE_BANNER, banner_certainty(p, timer, &reverse));
	if (!f) {
		connect_set_free(&set);
		return;
	}
	finding_set_peer(f, &p->server);
	if (timer) {
		f->timer = c.median;
		f->deviation = c.deviation;
	}
	f->stalls = p->banners;
	format_duration(late, timer ? c.median : t->worst_banner);
	finding_text(f, "%s greets only after %s%s", format_endpoint(peer, &p->server), late,
		     reverse.without_answer * 10 >= reverse.greetings * 8 && reverse.waited
			     ? ": its question for the name of the client gets no answer"
			     : "");
	if (timer)
		finding_line(f, "", "each time %s ± %s: a lookup by the server that times out",
			     late, format_duration(spread, c.deviation));
	if (p->banners == 1)
		finding_line(f, "", "its only greeting was late; the client held nothing back");
	else
		finding_line(f, "", "%u of its %u greetings %s late; the clients held nothing back",
			     p->late_banners, p->banners, were(p->late_banners));
	add_lookup(g, f, p, &reverse);
	explain_greetings(g, f, &set);
	connect_set_free(&set);
	finding_line(f, "action",
		     "on the server, check what it looks up before it greets: DNS of the client's "
		     "address, ident, a directory");
	if (p->late_banners * 2 <= p->banners && !reverse.waited)
		finding_line(f, "against", "most of its greetings came in time");
}

static void report_banner(struct context *g, const struct peer *p)
{
	struct ident ident = check_ident(g, p);

	/* what a server of requests sends to a client that is idle is no greeting */
	if (!peer_speaks_first(p, g->greetings) && p->requests)
		return;
	if (ident.late)
		report_ident(g, p, &ident);
	if (ident.late * 2 <= p->late_banners)
		report_late_banner(g, p);
}

/* ---- handshakes ---- */

/* Connects on which the SYN-ACK was repeated to a client that had sent nothing yet. */
struct deferred {
	uint64_t count;
	uint64_t served; /* the client's request came later, and was served */
	uint64_t failed; /* it was not */
};

static bool is_deferred(const struct context *g, const struct connection *c)
{
	bool idle = c->client_first == NEVER || (c->wait != NEVER && c->wait >= g->m->stall_ns / 2);

	return c->synack_after_ack && idle && !c->client_payload.again;
}

static struct deferred count_deferred(const struct context *g, const struct peer *p)
{
	const struct server *s = find_server(g, &p->server);
	struct deferred d = {};
	size_t i;

	for (i = 0; s && i < s->count; i++) {
		const struct noted_connect *n = &s->connects[i];

		if (!is_deferred(g, n->c))
			continue;
		d.count++;
		d.served += was_served(n);
		d.failed += is_failed(n);
	}
	return d;
}

/* Clients that speak late must be served: else the server forgets them, which is not harmless. */
static void report_deferred(struct context *g, const struct peer *p)
{
	struct deferred d = count_deferred(g, p);
	char peer[FORMAT_ENDPOINT];
	struct finding *f;

	if (!d.count || d.failed)
		return;
	f = finding_new(g, KIND_DEFERRED_ACCEPT, certainty_by_count(d.count));
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->correlated = d.count;
	finding_text(f,
		     "%s repeats SYN-ACKs to idle clients: %sit waits for data (deferred accept)",
		     format_endpoint(peer, &p->server), d.served ? "harmless, " : "");
	finding_line(f, "",
		     "%" PRIu64 " connect%s on which the client had sent nothing yet; %" PRIu64
		     " of them spoke later and %s served",
		     d.count, plural(d.count), d.served, were(d.served));
	if (!d.served)
		finding_line(f, "not seen",
			     "no client sent its request after that: whether it would be served");
}

void cause_slow_servers(struct context *g)
{
	const struct peer *p;

	for (p = g->m->peers; p; p = p->hh.next) {
		const struct anomalies *t = p->anomalies;

		if (!t)
			continue;
		if (p->late_banners)
			report_banner(g, p);
		if (t->deferred && !t->accept_queue)
			report_deferred(g, p);
	}
}
