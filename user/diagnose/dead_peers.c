// SPDX-License-Identifier: GPL-2.0
/* Peers that fail, each alone or together: by prefix, by port, by server. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/cause.h"
#include "lib/format.h"

/* So many peers must fail together before the common cause is named. */
#define MIN_PREFIX_PEERS 3

/* A flood: so many attempts that never finish, from so many clients. */
#define FLOOD_ATTEMPTS 1000
#define FLOOD_CLIENTS 200

/* A host that alone tries more failing peers than these says more of itself than of them. */
#define SCANNED 8

/* So many of those that fail are looked at, the most clients first; the rest is in the tables. */
#define MAX_EXAMINED 1024

struct failing {
	struct peer *peer;
	struct host *only; /* the one host that tried it in vain, or NULL */
	bool grouped; /* said together with others */
	bool proven; /* not by single SYNs alone */
};

bool is_waited_for(const struct diagnosing *g, const struct peer *p)
{
	size_t i, j;

	for (i = 0; i < g->d->count; i++) {
		const struct finding *f = &g->d->at[i];

		if (f->kind > KIND_BROKEN_IPV6 || f->confidence == CONFIDENCE_LOW)
			continue;
		if (f->has_peer && same_endpoint(&f->peer, &p->server))
			return true;
		for (j = 0; j < f->also_count; j++)
			if (same_endpoint(&f->also[j], &p->server))
				return true;
	}
	return false;
}

/* Lines that several findings may be about the same peer are said once: by the one that explains. */
static bool is_peer_reported(const struct diagnosing *g, const struct peer *p)
{
	return p->forwarding == FORWARDING_DROPPED || p->forwarding == FORWARDING_ANSWERS_DROPPED ||
	       is_waited_for(g, p);
}

static size_t failed_hosts(struct diagnosing *g, struct finding *f, struct peer *p)
{
	const struct pair *t;
	size_t n = 0;

	LIST_FOREACH(t, &p->pairs, of_peer) {
		struct host *h = host_of(g, t->who.client);

		if (!t->failures || h->counted == f)
			continue;
		h->counted = f;
		finding_add_host(g, &f->affected, h);
		n++;
	}
	return n;
}

/* " of 3 hosts"; nothing where a flood of other pairs took the place of all of them in memory. */
static const char *of_hosts(char text[32], size_t hosts)
{
	text[0] = '\0';
	if (hosts)
		snprintf(text, 32, " of %zu host%s", hosts, plural(hosts));
	return text;
}

/* It answers nobody any more, whatever it did before. */
static bool is_silent(const struct peer *p)
{
	return (p->failures[FAILURE_SILENT] || p->failures[FAILURE_ONE_SYN]) &&
	       (p->last_answer == NEVER || p->last_answer < p->first_failure);
}

static uint64_t unanswered(const struct peer *p)
{
	return p->failures[FAILURE_SILENT] + p->failures[FAILURE_ONE_SYN];
}

static void add_times(struct finding *f, const struct diagnosing *g, const struct peer *p)
{
	char first[FORMAT_TIME], last[FORMAT_TIME];

	format_clock(first, &g->view->start, p->first_failure);
	format_clock(last, &g->view->start, p->last_failure);
	finding_line(f, "when", "%s%s%s%s", first, strcmp(first, last) ? " to " : "",
		     strcmp(first, last) ? last : "",
		     p->last_answer != NEVER && p->last_answer < p->first_failure
			     ? "; before that it answered"
			     : "");
	if (p->answered && !is_silent(p))
		finding_line(f, "against", "it answered %llu other attempt%s",
			     (unsigned long long)p->answered, plural(p->answered));
}

/* Do other ports of this server answer, or other servers on this port? */
static void add_neighbours(struct diagnosing *g, struct finding *f, const struct peer *p)
{
	size_t same_host_answers = 0, same_host_fails = 0;
	const struct peer *other;

	for (other = g->m->peers; other; other = other->hh.next) {
		if (other == p || !same_address(&other->server, &p->server))
			continue;
		same_host_answers += other->answered > 0;
		same_host_fails += !other->answered && unanswered(other);
	}
	if (same_host_answers)
		finding_line(
			f, "",
			"%zu other port%s of it answer%s: this port is filtered, the host is up",
			same_host_answers, plural(same_host_answers),
			same_host_answers == 1 ? "s" : "");
	else if (same_host_fails)
		finding_line(f, "",
			     "%zu other port%s of it %s silent as well: the host is down or cut",
			     same_host_fails, plural(same_host_fails),
			     same_host_fails == 1 ? "is" : "are");
}

static void report_silent(struct diagnosing *g, struct peer *p)
{
	enum confidence confidence =
		is_silent(p) ? by_count(p->failures[FAILURE_SILENT]) : CONFIDENCE_LOW;
	struct finding *f = finding_new(g, KIND_PEER_UNANSWERED, confidence);
	char peer[FORMAT_ENDPOINT], hosts[32];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->hosts_hurt = failed_hosts(g, f, p);
	format_endpoint(peer, &p->server);
	if (!is_silent(p))
		finding_text(f, "%s did not answer %llu of %llu attempts", peer,
			     (unsigned long long)unanswered(p), (unsigned long long)p->connections);
	else
		finding_text(f, "%s does not answer: %llu attempt%s%s", peer,
			     (unsigned long long)unanswered(p), plural(unanswered(p)),
			     of_hosts(hosts, f->hosts_hurt));
	if (!p->failures[FAILURE_SILENT])
		finding_line(f, "", "each was given up after one SYN: that proves little");
	add_neighbours(g, f, p);
	add_times(f, g, p);
	finding_add_route(g, f, p);
}

static void report_refused(struct diagnosing *g, struct peer *p)
{
	struct finding *f =
		finding_new(g, KIND_PEER_REFUSED, by_count(p->failures[FAILURE_REFUSED]));
	const char *whose = p->by_gateway ? "this gateway itself refuses" : "it refuses";
	char peer[FORMAT_ENDPOINT], hosts[32];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->hosts_hurt = failed_hosts(g, f, p);
	format_endpoint(peer, &p->server);
	if (p->by_gateway)
		finding_text(f, "this gateway refuses connections to %s (RST): its own firewall",
			     peer);
	else
		finding_text(f, "%s refuses connections (RST): %s", peer,
			     p->answered ? "now and then" : "nothing listens there");
	finding_line(f, "", "%s %llu attempt%s%s at once: nobody waits for that", whose,
		     (unsigned long long)p->failures[FAILURE_REFUSED],
		     plural(p->failures[FAILURE_REFUSED]), of_hosts(hosts, f->hosts_hurt));
	add_times(f, g, p);
}

static void report_unreachable(struct diagnosing *g, struct peer *p)
{
	struct finding *f = finding_new(g, KIND_PEER_UNREACHABLE,
					p->answered > p->failures[FAILURE_UNREACHABLE]
						? CONFIDENCE_LOW
						: by_count(p->failures[FAILURE_UNREACHABLE]));
	const char *words = icmp_words(is_ip4(&p->server.address), p->icmp_type, p->icmp_code);
	char peer[FORMAT_ENDPOINT], from[FORMAT_ADDRESS], hosts[32];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->hosts_hurt = failed_hosts(g, f, p);
	format_endpoint(peer, &p->server);
	format_address(from, &p->icmp_from);
	finding_text(f, "%s is unreachable: %s, says %s", peer, words ? words : "ICMP error",
		     p->by_gateway ? "this gateway itself" : from);
	finding_line(f, "", "%llu attempt%s%s (ICMP type %u code %u)",
		     (unsigned long long)p->failures[FAILURE_UNREACHABLE],
		     plural(p->failures[FAILURE_UNREACHABLE]), of_hosts(hosts, f->hosts_hurt),
		     p->icmp_type, p->icmp_code);
	add_times(f, g, p);
	finding_add_route(g, f, p);
}

static size_t count_clients(const struct peer *p)
{
	const struct pair *t;
	size_t n = 0;

	LIST_FOREACH(t, &p->pairs, of_peer)
		n++;
	return n;
}

/* Nobody finished them: without an answer, with one in vain, or gone before one could be missed. */
static uint64_t unfinished(const struct peer *p)
{
	return unanswered(p) + p->failures[FAILURE_TOO_EARLY] +
	       (p->anomalies ? p->anomalies->half_open : 0);
}

static bool is_flooded(const struct peer *p)
{
	uint64_t n = unfinished(p);

	return n >= FLOOD_ATTEMPTS && n * 10 >= p->connections * 9 &&
	       count_clients(p) >= FLOOD_CLIENTS;
}

static void report_flood(struct diagnosing *g, struct peer *p)
{
	uint64_t half = p->anomalies ? p->anomalies->half_open : 0;
	char peer[FORMAT_ENDPOINT];
	struct finding *f;

	f = finding_new(g, KIND_SYN_FLOOD, CONFIDENCE_HIGH);
	if (!f)
		return;
	finding_set_peer(f, &p->server);
	format_endpoint(peer, &p->server);
	finding_text(f, "SYN flood at %s: %llu attempts that nobody finished", peer,
		     (unsigned long long)unfinished(p));
	finding_line(f, "", "from %zu and more addresses, %llu answered by a SYN-ACK in vain",
		     count_clients(p), (unsigned long long)half);
	finding_line(f, "", "the sources are forged as a rule: no client is accused");
}

/* ---- together ---- */

static struct host *only_host(struct diagnosing *g, const struct peer *p)
{
	struct host *only = NULL;
	const struct pair *t;

	LIST_FOREACH(t, &p->pairs, of_peer) {
		if (!t->failures || host_of(g, t->who.client) == only)
			continue;
		if (only)
			return NULL;
		only = host_of(g, t->who.client);
	}
	return only;
}

/* A scan, or peer-to-peer software: many peers that fail, all alike, and that nobody else tries. */
static void report_scanner(struct diagnosing *g, struct host *h, size_t peers,
			   enum finding_kind kind)
{
	struct finding *f = finding_new(g, kind, CONFIDENCE_LOW);
	char text[FORMAT_ADDRESS];

	if (!f)
		return;
	f->hosts_hurt = 1;
	finding_add_host(g, &f->affected, h);
	finding_text(f, "%s alone tries %zu peers that %s: a scan, or peer-to-peer",
		     format_address(text, &h->clients[0]->key.address), peers,
		     kind == KIND_PEER_REFUSED ? "refuse connections" : "do not answer");
	finding_line(f, "", "that says more of this host than of those peers");
}

/* Takes the peers that scans tried out of all. Answers how many are left. */
static size_t report_scanners(struct diagnosing *g, struct failing *all, size_t count,
			      enum finding_kind kind)
{
	size_t *tried = calloc(g->hosts.count + 1, sizeof(*tried)), i, kept = 0;

	if (!tried) {
		g->out_of_memory = true;
		return 0;
	}
	for (i = 0; i < count; i++)
		if (all[i].only)
			tried[all[i].only - g->hosts.at]++;
	for (i = 0; i < count; i++) {
		struct host *h = all[i].only;
		size_t peers = h ? tried[h - g->hosts.at] : 0;

		if (peers <= SCANNED) {
			all[kept++] = all[i];
		} else if (h->counted != all) {
			h->counted = all;
			report_scanner(g, h, peers, kind);
		}
	}
	free(tried);
	return kept;
}

static unsigned int group_bits(const struct address *a)
{
	return is_ip4(a) ? 24 : 64;
}

/*
 * The prefix that this peer fails with: the one of its route where that is narrower than all. A private
 * address that leaves by the default route had a route of its own, of a size that is not known any more.
 */
static void common_prefix(const struct peer *p, struct address *prefix, unsigned int *bits)
{
	const struct route *r = p->anomalies ? &p->anomalies->route : NULL;

	*bits = group_bits(&p->server.address);
	if (r && r->state == ROUTE_FOUND && r->table) {
		if (r->prefix_length && r->prefix_length < *bits)
			*bits = r->prefix_length;
		else if (!r->prefix_length && is_private(&p->server.address))
			*bits = is_ip4(&p->server.address) ? 16 : 48;
	}
	prefix_of(prefix, &p->server.address, *bits);
}

static bool is_cut_with(const struct failing *other, const struct peer *p,
			const struct address *prefix, unsigned int bits)
{
	const struct endpoint *server = &other->peer->server;

	return !other->grouped && in_prefix(&server->address, prefix, bits) &&
	       !memcmp(server->vlan, p->server.vlan, sizeof(server->vlan));
}

static void report_prefix(struct diagnosing *g, struct failing *all, size_t count, size_t first)
{
	struct peer *p = all[first].peer, *q;
	size_t i, j, addresses = 0, attempts = 0, answered = 0;
	char text[FORMAT_ADDRESS], since[FORMAT_TIME];
	ns_t start = p->first_failure;
	struct address prefix;
	struct finding *f;
	unsigned int bits;

	common_prefix(p, &prefix, &bits);
	for (i = 0; i < count; i++) {
		bool known = false;

		if (!all[i].proven || !is_cut_with(&all[i], p, &prefix, bits))
			continue;
		for (j = 0; j < i && !known; j++)
			known = same_address(&all[j].peer->server, &all[i].peer->server);
		addresses += !known;
		attempts += unanswered(all[i].peer);
		if (all[i].peer->first_failure < start)
			start = all[i].peer->first_failure;
	}
	if (addresses < MIN_PREFIX_PEERS)
		return;
	/* one that still answers contradicts it */
	for (q = g->m->peers; q; q = q->hh.next)
		if (in_prefix(&q->server.address, &prefix, bits)) {
			if (q->last_answer != NEVER && q->last_answer > start)
				return;
			answered += q->answered;
		}
	f = finding_new(g, KIND_PREFIX_CUT, CONFIDENCE_LOW);
	if (!f)
		return;
	f->has_peer = true;
	f->peer.address = prefix;
	f->prefix_length = bits;
	for (i = 0; i < count; i++)
		if (is_cut_with(&all[i], p, &prefix, bits)) {
			all[i].grouped = true;
			if (all[i].proven) /* whose attempts were counted above */
				f->hosts_hurt += failed_hosts(g, f, all[i].peer);
		}
	if (f->hosts_hurt > 1)
		f->confidence =
			attempts >= 2 * MIN_PREFIX_PEERS ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	format_address(text, &prefix);
	finding_text(f, "nothing in %s/%u answers: %zu servers, %zu attempts of %zu host%s", text,
		     bits, addresses, attempts, f->hosts_hurt, plural(f->hosts_hurt));
	finding_line(f, "when", "since %s%s", format_clock(since, &g->view->start, start),
		     answered ? "; before that it answered: a tunnel or a route was cut"
			      : "; it never answered in this run");
	finding_add_route(g, f, p);
}

/* The same port, on servers that have nothing else in common. */
static void report_port(struct diagnosing *g, struct failing *all, size_t count, size_t first)
{
	const struct peer *p = all[first].peer, *q;
	size_t i, n = 0, answer = 0;
	struct finding *f;

	for (i = 0; i < count; i++)
		n += !all[i].grouped && all[i].proven && all[i].peer->server.port == p->server.port;
	if (n < MIN_PREFIX_PEERS)
		return;
	for (q = g->m->peers; q; q = q->hh.next)
		if (q->server.port == p->server.port && q->answered)
			return; /* then it is not the port */
	f = finding_new(g, KIND_PEER_UNANSWERED, CONFIDENCE_MEDIUM);
	if (!f)
		return;
	for (i = 0; i < count; i++) {
		struct peer *other = all[i].peer;

		if (all[i].grouped || other->server.port != p->server.port)
			continue;
		all[i].grouped = true;
		f->hosts_hurt += failed_hosts(g, f, other);
		if (f->also_count < MAX_FINDING_ALSO)
			f->also[f->also_count++] = other->server;
		for (q = g->m->peers; q; q = q->hh.next)
			if (q->answered && same_address(&q->server, &other->server))
				break;
		answer += q != NULL;
	}
	finding_set_peer(f, &p->server);
	finding_text(f, "port %u is silent on %zu servers for %zu host%s, and answers nowhere",
		     p->server.port, n, f->hosts_hurt, plural(f->hosts_hurt));
	if (answer)
		finding_line(f, "",
			     "other ports of %zu of them answer: this port is filtered on the way",
			     answer);
	finding_add_route(g, f, p);
}

/* One SYN alone may be a client that changed its mind; three are worth a line. */
static bool is_worth_reporting(const struct peer *p)
{
	return p->failures[FAILURE_SILENT] || p->failures[FAILURE_ONE_SYN] >= 3;
}

static bool is_refused_alone(const struct diagnosing *g, const struct peer *p)
{
	return p->failures[FAILURE_REFUSED] && !p->failures[FAILURE_UNREACHABLE] && !p->answered &&
	       !is_flooded(p) && !is_peer_reported(g, p);
}

/* The refusals that are said one by one, once those of scans are said together. */
static void report_refusals(struct diagnosing *g, struct peer **peers, size_t count,
			    struct failing *refused)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (is_refused_alone(g, peers[i]))
			refused[n++] = (struct failing){ .peer = peers[i],
							 .only = only_host(g, peers[i]) };
	n = report_scanners(g, refused, n, KIND_PEER_REFUSED);
	for (i = 0; i < n; i++)
		report_refused(g, refused[i].peer);
}

/*
 * Without those who failed less than three times and whose clients are all forgotten: they may be of a
 * scan, which cannot be told any more.
 */
static size_t without_forgotten(struct peer **peers, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		if (!LIST_EMPTY(&peers[i]->pairs) || peer_failures(peers[i]) >= 3)
			peers[kept++] = peers[i];
	return kept;
}

void cause_dead_peers(struct diagnosing *g)
{
	struct failing *silent, *refused;
	struct peer **peers, *p;
	size_t count, i, n = 0;

	peers = model_failing_peers(g->m, &count);
	silent = calloc(count + 1, sizeof(*silent));
	refused = calloc(count + 1, sizeof(*refused));
	if (!peers || !silent || !refused) {
		g->out_of_memory = true;
		goto out;
	}
	count = without_forgotten(peers, count);
	for (p = g->m->peers; p; p = p->hh.next)
		if (is_flooded(p))
			report_flood(g, p);
	for (i = 0; i < count; i++)
		if (is_silent(peers[i]) && !is_flooded(peers[i]) &&
		    (!is_peer_reported(g, peers[i]) || is_waited_for(g, peers[i])))
			silent[n++] = (struct failing){
				.peer = peers[i],
				.only = only_host(g, peers[i]),
				.proven = peers[i]->failures[FAILURE_SILENT] > 0,
			};
	n = report_scanners(g, silent, n, KIND_PEER_UNANSWERED);
	if (n > MAX_EXAMINED)
		n = MAX_EXAMINED;
	for (i = 0; i < n; i++)
		if (!silent[i].grouped && silent[i].proven)
			report_prefix(g, silent, n, i);
	for (i = 0; i < n; i++)
		if (!silent[i].grouped && silent[i].proven && !is_peer_reported(g, silent[i].peer))
			report_port(g, silent, n, i);
	for (i = 0; i < n; i++)
		if (!silent[i].grouped && is_worth_reporting(silent[i].peer) &&
		    !is_peer_reported(g, silent[i].peer))
			report_silent(g, silent[i].peer);
	for (i = 0; i < count; i++) {
		p = peers[i];
		if (is_flooded(p) || is_peer_reported(g, p))
			continue;
		if (p->failures[FAILURE_UNREACHABLE])
			report_unreachable(g, p);
		else if (p->failures[FAILURE_REFUSED] && !is_refused_alone(g, p))
			report_refused(g, p);
		else if (!is_silent(p) && p->failures[FAILURE_SILENT])
			report_silent(g, p);
	}
	report_refusals(g, peers, count, refused);
out:
	free(refused);
	free(silent);
	free(peers);
}
