// SPDX-License-Identifier: GPL-2.0
#include "diagnose/requests.h"

#include <inttypes.h>

/* Share of the requests, one in so many, below which a few failures give a low confidence. */
#define RARE 20

/* ---- what the other requests to the same servers show ---- */

static void add_flight(struct flights *f, const struct noted_connect *n)
{
	uint16_t size = n->c->client_flight;

	if (!size)
		return;
	if (!f->most || size < f->least)
		f->least = size;
	if (size > f->most)
		f->most = size;
}

struct flights flights_of(const struct connect_set *set)
{
	struct flights f = {};
	size_t i;

	for (i = 0; i < set->count; i++)
		add_flight(&f, set->at[i]);
	return f;
}

/* marks[]: of the group, not served so far; of the group and served; of no group */
static void add_served(struct requests *r, const struct noted_connect *n, const char *marks)
{
	r->served++;
	add_flight(&r->flights, n);
	if (n->c->wait != NEVER && (r->longest_hold == NEVER || n->c->wait > r->longest_hold))
		r->longest_hold = n->c->wait;
	if (!n->host)
		return;
	if (n->host->counted == &marks[0] || n->host->counted == &marks[1]) {
		r->served_to_same++;
		r->hosts_served += count_once(n->host, &marks[1]);
	} else {
		r->other_hosts += count_once(n->host, &marks[2]);
	}
}

struct requests requests_of(const struct context *g, const struct failure_group *group)
{
	struct requests r = { .longest_hold = NEVER };
	char marks[3];
	size_t i, j;

	for (i = 0; i < group->set.count;)
		uncount_hosts(next_server(g, &group->set, &i));
	for (i = 0; i < group->set.count; i++)
		if (group->set.at[i]->host)
			r.hosts += count_once(group->set.at[i]->host, &marks[0]);
	for (i = 0; i < group->set.count;) {
		const struct server *s = next_server(g, &group->set, &i);

		for (j = 0; j < s->count; j++) {
			const struct noted_connect *n = &s->connects[j];

			if (n->c->client_first == NEVER)
				continue;
			r.all++;
			r.waiting += n->entry.row == ROW_UNDECIDED;
			if (was_served(n))
				add_served(&r, n, marks);
		}
	}
	return r;
}

/* ---- words ---- */

char *format_with_others(char out[FORMAT_SERVERS], const struct failure_group *group)
{
	char peer[FORMAT_ENDPOINT];

	format_endpoint(peer, &group->server->endpoint);
	if (group->servers > 1)
		snprintf(out, FORMAT_SERVERS, "%s and %zu other server%s", peer, group->servers - 1,
			 plural(group->servers - 1));
	else
		snprintf(out, FORMAT_SERVERS, "%s", peer);
	return out;
}

#define FORMAT_FLIGHTS 40

static char *format_flights(char out[FORMAT_FLIGHTS], struct flights f)
{
	if (f.least == f.most)
		snprintf(out, FORMAT_FLIGHTS, "%u bytes", f.most);
	else
		snprintf(out, FORMAT_FLIGHTS, "%u to %u bytes", f.least, f.most);
	return out;
}

struct finding *finding_of_group(struct context *g, const struct failure_group *group,
				 enum finding_kind kind, struct certainty certainty,
				 const struct requests *r)
{
	struct finding *f = begin_finding(g, group, kind, certainty);

	if (!f)
		return NULL;
	finding_set_peer(f, &group->server->endpoint);
	f->stalls = r->all;
	return f;
}

void add_hosts_line(struct finding *f, const struct requests *r)
{
	if (!r->served || !r->hosts)
		return;
	if (r->hosts_served == r->hosts)
		finding_line(f, "", "%s served on other connects, %" PRIu64 " in all",
			     r->hosts == 1 ? "this host was" : "each of these hosts was",
			     r->served_to_same);
	else if (r->hosts_served)
		finding_line(f, "",
			     "%zu of these %zu hosts %s served on other connects, %" PRIu64
			     " in all",
			     r->hosts_served, r->hosts, were(r->hosts_served), r->served_to_same);
	else
		finding_line(f, "",
			     "no request of %s was answered; %" PRIu64
			     " request%s of %zu other host%s %s",
			     r->hosts == 1 ? "this host" : "these hosts", r->served,
			     plural(r->served), r->other_hosts, plural(r->other_hosts),
			     were(r->served));
}

void add_flights_line(struct finding *f, const struct connect_set *set, const struct requests *r)
{
	struct flights bad = flights_of(set), good = r->flights;
	char a[FORMAT_FLIGHTS], b[FORMAT_FLIGHTS];

	if (!bad.most || !good.most)
		return;
	format_flights(a, bad);
	format_flights(b, good);
	if (bad.most < good.least || bad.least > good.most)
		finding_line(f, "", "their requests have %s, those that were answered %s", a, b);
	else
		finding_line(f, "against", "requests of the same size were answered (%s; these %s)",
			     b, a);
}

struct certainty certainty_of_failures(uint64_t failures, const struct requests *r)
{
	if (failures < 10 && failures * RARE < r->all)
		return doubtful(CONFIDENCE_LOW, "it failed only now and then");
	return certainty_by_count(failures);
}

/* ---- who ended the connections ---- */

ns_t time_to_end(const struct noted_connect *n)
{
	ns_t end;

	return connection_end(n->c, &end) == SIDE_SERVER ? end - n->c->client_first : NEVER;
}

static bool is_reset(const struct noted_connect *n)
{
	ns_t end;

	return connection_end(n->c, &end) == SIDE_SERVER && n->c->rst == end;
}

static bool has_other_ttl(const struct noted_connect *n)
{
	return n->c->rst_ttl && n->c->synack_ttl && n->c->rst_ttl != n->c->synack_ttl;
}

/*
 * Returns true if the RST came too soon for the server to have sent it in reply to the request, so
 * that another device sent it. If the RST does not acknowledge the request, the server may have
 * sent it right after its SYN-ACK, unless the TTL is another one. A fifth of the round trip is the
 * margin for its variation.
 */
static bool is_from_nearer(const struct noted_connect *n, ns_t round_trip)
{
	const struct connection *c = n->c;
	bool acks_request = c->rst_acked != RST_ACKS_NOTHING && c->rst_acked > 1;
	ns_t limit = round_trip == NEVER ? NEVER : round_trip / 5 * 4;

	if (!is_reset(n) || limit == NEVER || c->from_gateway || c->synack_from_gateway)
		return false;
	if (acks_request)
		return c->rst - c->client_first < limit;
	return has_other_ttl(n) && c->ack != NEVER && c->rst - c->ack < limit;
}

struct endings endings_of(const struct context *g, const struct connect_set *set)
{
	struct endings e = { .shortest_hold = NEVER };
	const struct server *s = NULL;
	struct server_facts facts;
	size_t i;

	for (i = 0; i < set->count; i++) {
		const struct noted_connect *n = set->at[i];

		if (!s || n >= s->connects + s->count) {
			s = server_of(g, n);
			facts = facts_of_server(g, s);
		}
		e.resets += is_reset(n);
		e.by_gateway += is_reset(n) && n->c->from_gateway;
		e.nearer += is_from_nearer(n, facts.round_trip);
		e.bare += is_reset(n) && n->c->rst_acked == RST_ACKS_NOTHING;
		e.repeated += n->c->synack_count > 1 || n->c->synack_after_ack;
		if (is_reset(n) && has_other_ttl(n)) {
			e.other_ttl++;
			e.rst_ttl = n->c->rst_ttl;
			e.synack_ttl = n->c->synack_ttl;
		}
		if (n->c->wait != NEVER &&
		    (e.shortest_hold == NEVER || n->c->wait < e.shortest_hold))
			e.shortest_hold = n->c->wait;
	}
	return e;
}

void add_nearer_lines(struct finding *f, const struct failure_group *group, const struct endings *e)
{
	char trip[FORMAT_DURATION];

	finding_line(f, "",
		     "%zu of %zu came sooner than a packet takes to the server and back (%s, the "
		     "shortest of %" PRIu64 " handshakes): a device on the way sent them",
		     e->nearer, group->set.count, format_duration(trip, group->facts.round_trip),
		     group->facts.answered);
	if (e->other_ttl)
		finding_line(f, "",
			     "%zu of %zu have another TTL than the server's SYN-ACK (%u, not %u)",
			     e->other_ttl, e->resets, e->rst_ttl, e->synack_ttl);
}
