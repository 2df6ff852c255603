// SPDX-License-Identifier: GPL-2.0
/* Reports servers that delay their clients: late greetings, late answers, full accept queues. */
#include <inttypes.h>
#include <string.h>

#include "diagnose/causes.h"

#define IDENT_PORT 113

/* A server is slow if it takes at least this many times as long as the median of all servers. */
#define TIMES_SLOWER 10

/*
 * If all answers take the same time, and at least this long, the server delays them on purpose
 * (long polling).
 */
#define LONG_POLL_NS (10 * (ns_t)SECOND_NS)

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

/* Counts the greetings to such clients. Adds the clients to f->affected unless f is NULL. */
static struct ident check_ident(struct context *g, const struct peer *p, struct finding *f)
{
	struct client_key key = client_key_of(&p->server);
	const struct client *server = model_client(g->m, &key);
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
		if (f && count_once(timeline_of(g, pair->who.client), f))
			finding_add_host(g, &f->affected,
					 host_of_client(g->hosts, pair->who.client));
	}
	return ident;
}

static void report_ident(struct context *g, const struct peer *p, const struct ident *ident)
{
	struct cluster c = samples_cluster(&p->anomalies->banners);
	char peer[FORMAT_ENDPOINT], late[FORMAT_DURATION];
	bool most = ident->late * 2 > ident->banners;
	struct finding *f;

	f = finding_new(g, KIND_IDENT, most ? confidence_by_count(ident->late) : CONFIDENCE_LOW);
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	check_ident(g, p, f);
	f->hosts_hurt = f->affected.count;
	f->stalls = ident->banners;
	f->correlated = ident->late;
	f->timer = c.median;
	f->deviation = c.deviation;
	finding_text(f,
		     "%s greets only after %s: it asks port 113 (ident) of these clients in vain",
		     format_endpoint(peer, &p->server), format_duration(late, c.median));
	finding_line(
		f, "",
		"%zu question%s without an answer; %u of %u greeting%s to these clients %s late",
		ident->queries, plural(ident->queries), ident->late, ident->banners,
		plural(ident->banners), ident->late == 1 ? "was" : "were");
	finding_line(f, "action",
		     "let the questions be refused, not dropped, or turn ident off at the server");
}

static void report_banner(struct context *g, const struct peer *p)
{
	const struct anomalies *t = p->anomalies;
	char peer[FORMAT_ENDPOINT], late[FORMAT_DURATION], spread[FORMAT_DURATION];
	struct cluster c = samples_cluster(&t->banners);
	bool timer = is_timer(&c, &t->banners), most = p->late_banners * 2 > p->banners;
	struct ident ident = check_ident(g, p, NULL);
	enum confidence confidence = CONFIDENCE_LOW;
	struct finding *f;

	if (ident.late) {
		report_ident(g, p, &ident);
		if (ident.late * 2 > p->late_banners)
			return;
	}
	if (p->late_banners >= 3 && most && timer)
		confidence = CONFIDENCE_HIGH;
	else if (p->late_banners >= 2 && most)
		confidence = CONFIDENCE_MEDIUM;
	f = finding_new(g, KIND_LATE_BANNER, confidence);
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	finding_add_hosts(g, f, p, 0);
	f->hosts_hurt = f->affected.count;
	if (timer) {
		f->timer = c.median;
		f->deviation = c.deviation;
	}
	f->stalls = p->banners;
	f->correlated = p->late_banners;
	format_duration(late, timer ? c.median : t->worst_banner);
	finding_text(f, "%s greets only after %s", format_endpoint(peer, &p->server), late);
	if (timer)
		finding_line(f, "", "each time %s ± %s: a lookup by the server that times out",
			     late, format_duration(spread, c.deviation));
	if (p->banners == 1)
		finding_line(f, "", "its only greeting was late; the client held nothing back");
	else
		finding_line(f, "", "%u of its %u greetings %s late; the clients held nothing back",
			     p->late_banners, p->banners, p->late_banners == 1 ? "was" : "were");
	finding_line(f, "",
		     "its reverse DNS of the client is the usual suspect; its own questions were "
		     "not seen here");
	if (!most)
		finding_line(f, "against", "most of its greetings came in time");
}

/* ---- answers ---- */

static void report_slow_answers(struct context *g, const struct peer *p)
{
	const struct anomalies *t = p->anomalies;
	ns_t usual = histogram_percentile(&g->m->answers, 0.5), slow = samples_median(&t->answers);
	char peer[FORMAT_ENDPOINT], late[FORMAT_DURATION], others[FORMAT_DURATION];
	struct cluster c = samples_cluster(&t->answers);
	bool most = t->slow_answers * 2 > p->requests;
	struct finding *f;

	if (is_timer(&c, &t->answers) && c.median >= LONG_POLL_NS)
		return;
	/* a single late answer may have been lost and retransmitted */
	if (t->slow_answers < 2 ||
	    ((t->slow_answers < 3 || has_finding(g, KIND_LOSSY_FAR_SIDE)) && !most))
		return;
	if (usual == NEVER || (slow / TIMES_SLOWER < usual && !most))
		return;
	f = finding_new(g, KIND_SLOW_SERVER,
			most ? confidence_by_count(t->slow_answers) : CONFIDENCE_LOW);
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	finding_add_hosts(g, f, p, ANOMALY_SLOW);
	f->hosts_hurt = f->affected.count;
	f->stalls = p->requests;
	f->correlated = t->slow_answers;
	finding_text(f, "%s is slow: it answers %s after the request has arrived",
		     format_endpoint(peer, &p->server), format_duration(late, slow));
	finding_line(f, "",
		     "%u of %u first answers took %g s or more; half of all servers' take %s",
		     t->slow_answers, p->requests, g->m->stall_ns / 1e9,
		     format_duration(others, usual));
	finding_line(f, "", "the handshake was prompt: the server is slow, not the path to it");
	if (!most)
		finding_line(f, "against", "most of its answers came in time");
}

/* ---- handshakes ---- */

static void report_full_queue(struct context *g, const struct peer *p)
{
	uint64_t established = g->m->outcomes[OUTCOME_ESTABLISHED];
	uint32_t n = p->anomalies->accept_queue;
	char peer[FORMAT_ENDPOINT];
	struct finding *f;

	/*
	 * a lost ACK behind us looks the same, so compare with the rate of loss at the other
	 * servers
	 */
	if (n * (established - p->answered) <= 3 * p->connections * (g->m->lost_far - p->lost))
		return;
	f = finding_new(g, KIND_ACCEPT_QUEUE, confidence_by_count(n));
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	finding_add_hosts(g, f, p, ANOMALY_ACCEPT_QUEUE);
	f->hosts_hurt = f->affected.count;
	f->stalls = p->connections;
	f->correlated = p->anomalies->accept_queue;
	finding_text(f, "%s does not accept its connections: its accept queue is full",
		     format_endpoint(peer, &p->server));
	finding_line(f, "",
		     "on %u of %" PRIu64 " connection%s it repeats the SYN-ACK although the ACK "
		     "has passed, and accepts no request: its application is too slow, or its "
		     "backlog too short (on the server: ss -ltn, nstat -az TcpExtListenOverflows)",
		     p->anomalies->accept_queue, p->connections, plural(p->connections));
}

static void report_deferred(struct context *g, const struct peer *p)
{
	struct finding *f =
		finding_new(g, KIND_DEFERRED_ACCEPT, confidence_by_count(p->anomalies->deferred));
	char peer[FORMAT_ENDPOINT];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->correlated = p->anomalies->deferred;
	finding_text(f,
		     "%s repeats SYN-ACKs to idle clients: harmless, it waits for data (deferred "
		     "accept)",
		     format_endpoint(peer, &p->server));
	finding_line(f, "", "%u connection%s on which the client had sent nothing yet",
		     p->anomalies->deferred, plural(p->anomalies->deferred));
}

static void report_port_reuse(struct context *g, const struct peer *p)
{
	struct finding *f =
		finding_new(g, KIND_PORT_REUSE, confidence_by_count(p->anomalies->challenged));
	char peer[FORMAT_ENDPOINT];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	finding_add_hosts(g, f, p, ANOMALY_CHALLENGED);
	f->hosts_hurt = f->affected.count;
	f->correlated = p->anomalies->challenged;
	finding_text(f, "%s still holds old connections on ports that clients reuse",
		     format_endpoint(peer, &p->server));
	finding_line(
		f, "",
		"%u SYN%s answered by a bare ACK (RFC 5961), and the client had to try again: a NAT "
		"or a client that runs out of ports, or a server that was cut off",
		p->anomalies->challenged, p->anomalies->challenged == 1 ? " was" : "s were");
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
		if (t->accept_queue)
			report_full_queue(g, p);
		if (t->deferred && !t->accept_queue)
			report_deferred(g, p);
		if (t->slow_answers)
			report_slow_answers(g, p);
		if (t->challenged)
			report_port_reuse(g, p);
	}
}
