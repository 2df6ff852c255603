// SPDX-License-Identifier: GPL-2.0
/* Reports peers that fail: first peers with a common cause, then the others one by one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/dead_peers.h"
#include "diagnose/forwarding.h"
#include "diagnose/gateway_counters.h"

/* Minimum numbers of unfinished attempts, and of clients that they come from, for a flood. */
#define FLOOD_ATTEMPTS 1000
#define FLOOD_CLIENTS 200

/* A connect that is refused within this time delays nobody noticeably. */
#define NOTICED_NS (250 * (ns_t)MILLISECOND_NS)

/*
 * Maximum number of silent peers examined, those with the most clients first. The work grows with
 * the square.
 */
#define MAX_EXAMINED 1024

/* ---- one peer ---- */

/*
 * Returns true if other causes report the peer: clients wait for it, or this gateway drops its
 * SYNs.
 */
static bool is_peer_explained(const struct context *g, const struct peer *p)
{
	return is_dropped_here(g, p) || is_dropped_by_counters(g, p) ||
	       is_waited_for(g, &p->server);
}

/* Formats " of 3 hosts"; empty if all hosts were evicted from the model. */
static const char *format_of_hosts(char text[32], size_t hosts)
{
	text[0] = '\0';
	if (hosts)
		snprintf(text, 32, " of %zu host%s", hosts, plural(hosts));
	return text;
}

static void add_times(struct finding *f, const struct context *g, const struct peer *p)
{
	const struct session *s = g->session;
	char first[FORMAT_TIME], last[FORMAT_TIME];

	format_run_clock(first, &s->start, s->duration, p->first_failure);
	format_run_clock(last, &s->start, s->duration, p->last_failure);
	finding_line(f, "when", "%s%s%s%s", first, strcmp(first, last) ? " to " : "",
		     strcmp(first, last) ? last : "",
		     p->last_answer != NEVER && p->last_answer < p->first_failure
			     ? "; before that it answered"
			     : "");
	if (p->answered && !is_silent(p))
		finding_line(f, "against", "it answered %" PRIu64 " other connect%s", p->answered,
			     plural(p->answered));
}

/*
 * Adds the other ports of the same address, which show whether the host is down or only this port
 * is filtered.
 */
static void add_other_ports(const struct context *g, struct finding *f, const struct peer *p)
{
	const struct peer *other;
	size_t answer = 0, silent = 0;

	for (other = g->m->peers; other; other = other->hh.next) {
		if (other == p || !same_address(&other->server, &p->server))
			continue;
		answer += other->answered > 0;
		silent += !other->answered && unanswered(other);
	}
	if (answer)
		finding_line(
			f, "",
			"%zu other port%s of it answer%s: this port is filtered, the host is up",
			answer, plural(answer), answer == 1 ? "s" : "");
	else if (silent)
		finding_line(
			f, "",
			"%zu other port%s of it %s silent as well: the host is down or unreachable",
			silent, plural(silent), silent == 1 ? "is" : "are");
}

static void report_silent(struct context *g, const struct peer *p)
{
	enum confidence confidence =
		is_silent(p) ? confidence_by_count(p->failures[FAILURE_SILENT]) : CONFIDENCE_LOW;
	struct finding *f = finding_new(g, KIND_PEER_UNANSWERED, confidence);
	char peer[FORMAT_ENDPOINT], hosts[32];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->hosts_hurt = finding_add_failed_hosts(g, f, p);
	format_endpoint(peer, &p->server);
	if (!is_silent(p))
		finding_text(f, "%s did not answer %" PRIu64 " of %" PRIu64 " connect%s", peer,
			     unanswered(p), p->connections, plural(p->connections));
	else
		finding_text(f, "%s does not answer: %" PRIu64 " connect%s%s", peer, unanswered(p),
			     plural(unanswered(p)), format_of_hosts(hosts, f->hosts_hurt));
	gateway_drops_line(g, f);
	if (!p->failures[FAILURE_SILENT])
		finding_line(f, "", "%s connect was given up after one SYN, which proves little",
			     unanswered(p) == 1 ? "the" : "each");
	add_other_ports(g, f, p);
	add_times(f, g, p);
	finding_add_route(g, f, p);
}

static void report_refused(struct context *g, const struct peer *p)
{
	uint64_t refused = p->failures[FAILURE_REFUSED];
	struct finding *f = finding_new(g, KIND_PEER_REFUSED, confidence_by_count(refused));
	char peer[FORMAT_ENDPOINT], refusal[FORMAT_DURATION], hosts[32];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->hosts_hurt = finding_add_failed_hosts(g, f, p);
	format_endpoint(peer, &p->server);
	if (p->by_gateway)
		finding_text(f, "this gateway refuses connections to %s (RST): its own firewall",
			     peer);
	else
		finding_text(f, "%s refuses connections (RST): %s", peer,
			     p->answered ? "now and then" : "nothing listens there");
	finding_line(f, "", "%s %" PRIu64 " connect%s%s%s",
		     p->by_gateway ? "this gateway itself refuses" : "it refuses", refused,
		     plural(refused), format_of_hosts(hosts, f->hosts_hurt),
		     p->longest_refusal < NOTICED_NS ? " at once: nobody waits for that" : "");
	if (p->longest_refusal >= NOTICED_NS)
		finding_line(f, "",
			     "the clients send a refused SYN again: a connect fails only after %s",
			     format_duration(refusal, p->longest_refusal));
	add_times(f, g, p);
}

/*
 * A peer that answered between its failures is unreachable only now and then: packets are lost, or
 * the neighbour's address is not always resolved.
 */
static enum confidence unreachable_confidence(const struct peer *p)
{
	enum confidence confidence = confidence_by_count(p->failures[FAILURE_UNREACHABLE]);

	if (p->answered > p->failures[FAILURE_UNREACHABLE])
		return CONFIDENCE_LOW;
	if (confidence == CONFIDENCE_HIGH && p->last_answer != NEVER &&
	    p->last_answer > p->first_failure)
		return CONFIDENCE_MEDIUM;
	return confidence;
}

static void report_unreachable(struct context *g, const struct peer *p)
{
	uint64_t unreachable = p->failures[FAILURE_UNREACHABLE];
	struct finding *f = finding_new(g, KIND_PEER_UNREACHABLE, unreachable_confidence(p));
	const char *words = icmp_words(is_ip4(&p->server.address), p->icmp_type, p->icmp_code);
	char peer[FORMAT_ENDPOINT], from[FORMAT_ADDRESS], hosts[32];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	f->hosts_hurt = finding_add_failed_hosts(g, f, p);
	format_endpoint(peer, &p->server);
	format_address(from, &p->icmp_from);
	finding_text(f, "%s is unreachable: %s, reported by %s", peer, words ? words : "ICMP error",
		     p->by_gateway ? "this gateway itself" : from);
	finding_line(f, "", "%" PRIu64 " connect%s%s (ICMP type %u code %u)", unreachable,
		     plural(unreachable), format_of_hosts(hosts, f->hosts_hurt), p->icmp_type,
		     p->icmp_code);
	add_times(f, g, p);
	finding_add_route(g, f, p);
}

/* ---- floods ---- */

static size_t count_clients(const struct peer *p)
{
	const struct pair *t;
	size_t n = 0;

	LIST_FOREACH(t, &p->pairs, of_peer)
		n++;
	return n;
}

/* Returns the number of attempts that are unanswered, half open, or too recent for a verdict. */
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

static void report_flood(struct context *g, const struct peer *p)
{
	uint64_t half_open = p->anomalies ? p->anomalies->half_open : 0;
	struct finding *f = finding_new(g, KIND_SYN_FLOOD, CONFIDENCE_HIGH);
	char peer[FORMAT_ENDPOINT];

	if (!f)
		return;
	finding_set_peer(f, &p->server);
	finding_text(f, "SYN flood at %s: %" PRIu64 " connects that no client completed",
		     format_endpoint(peer, &p->server), unfinished(p));
	finding_line(f, "",
		     "from %zu and more addresses, %" PRIu64
		     " answered by a SYN-ACK and never completed",
		     count_clients(p), half_open);
	finding_line(f, "", "the sources are usually forged, so no client is accused");
}

/* ---- all peers ---- */

/*
 * Returns true if the peer is worth a finding: a client may give up after a single SYN, but three
 * SYNs are significant.
 */
static bool is_worth_reporting(const struct peer *p)
{
	return p->failures[FAILURE_SILENT] || p->failures[FAILURE_ONE_SYN] >= 3;
}

/* Returns true if the peer refused attempts and answered none: it may be the target of a scan. */
static bool only_refuses(const struct context *g, const struct peer *p)
{
	return p->failures[FAILURE_REFUSED] && !p->failures[FAILURE_UNREACHABLE] && !p->answered &&
	       !is_flooded(p) && !is_peer_explained(g, p);
}

/*
 * Removes peers that failed less than three times and whose clients were all evicted: they may have
 * been tried by a scan.
 */
static size_t remove_forgotten(const struct peer **peers, size_t count)
{
	size_t i, kept = 0;

	for (i = 0; i < count; i++)
		if (!LIST_EMPTY(&peers[i]->pairs) || peer_failures(peers[i]) >= 3)
			peers[kept++] = peers[i];
	return kept;
}

static void report_silent_peers(struct context *g, const struct peer **peers, size_t count,
				struct failing_list *list)
{
	struct failing *at = list->at;
	size_t i;

	/* peers that clients wait for count for a prefix as well, but are not reported alone */
	for (i = 0; i < count; i++)
		if (is_silent(peers[i]) && !is_flooded(peers[i]) &&
		    (!is_dropped_here(g, peers[i]) || is_waited_for(g, &peers[i]->server)))
			at[list->count++] = (struct failing){
				.peer = peers[i],
				.only = only_host(g, peers[i]),
				.proven = peers[i]->failures[FAILURE_SILENT] > 0,
			};
	report_scanners(g, list, KIND_PEER_UNANSWERED);
	if (list->count > MAX_EXAMINED)
		list->count = MAX_EXAMINED;
	for (i = 0; i < list->count; i++)
		if (!at[i].grouped && at[i].proven)
			report_prefix(g, list, at[i].peer);
	for (i = 0; i < list->count; i++)
		if (!at[i].grouped && at[i].proven && !is_peer_explained(g, at[i].peer))
			report_port(g, list, at[i].peer);
	for (i = 0; i < list->count; i++)
		if (!at[i].grouped && is_worth_reporting(at[i].peer) &&
		    !is_peer_explained(g, at[i].peer))
			report_silent(g, at[i].peer);
}

static void report_mixed_failures(struct context *g, const struct peer **peers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const struct peer *p = peers[i];

		if (is_flooded(p) || is_peer_explained(g, p))
			continue;
		if (p->failures[FAILURE_UNREACHABLE])
			report_unreachable(g, p);
		else if (p->failures[FAILURE_REFUSED] && !only_refuses(g, p))
			report_refused(g, p);
		else if (!is_silent(p) && p->failures[FAILURE_SILENT])
			report_silent(g, p);
	}
}

static void report_refusing_peers(struct context *g, const struct peer **peers, size_t count,
				  struct failing_list *list)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (only_refuses(g, peers[i]))
			list->at[list->count++] =
				(struct failing){ .peer = peers[i],
						  .only = only_host(g, peers[i]) };
	report_scanners(g, list, KIND_PEER_REFUSED);
	for (i = 0; i < list->count; i++)
		report_refused(g, list->at[i].peer);
}

void cause_dead_peers(struct context *g)
{
	size_t count;
	const struct peer **peers = model_failing_peers(g->m, &count), *p;
	struct failing_list silent = { calloc(count + 1, sizeof(*silent.at)), 0 };
	struct failing_list refusing = { calloc(count + 1, sizeof(*refusing.at)), 0 };

	if (peers && silent.at && refusing.at) {
		count = remove_forgotten(peers, count);
		for (p = g->m->peers; p; p = p->hh.next)
			if (is_flooded(p))
				report_flood(g, p);
		report_silent_peers(g, peers, count, &silent);
		report_mixed_failures(g, peers, count);
		report_refusing_peers(g, peers, count, &refusing);
	} else {
		g->out_of_memory = true;
	}
	free(refusing.at);
	free(silent.at);
	free(peers);
}
