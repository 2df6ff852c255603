// SPDX-License-Identifier: GPL-2.0
/* Creates the finding of failover chains: their kind, their confidence, and their evidence. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/failover.h"
#include "diagnose/forwarding.h"
#include "diagnose/name_operations.h"
#include "diagnose/silent_zones.h"

/*
 * After a longer gap, people and scheduled jobs start connections for other reasons, so confidence
 * is never high.
 */
#define LATE_NS (45 * (ns_t)SECOND_NS)

/* Maximum deviation of a timer; the next object of a page varies more. */
#define UNSTEADY_NS (20 * (ns_t)MILLISECOND_NS)

/* Limits of the chances of the starts and the ends, the same as for a lock. */
#define MEDIUM_CHANCE 1e-3 /* maximum product */
#define HIGH_CHANCE_OF_STARTS 1e-3
#define HIGH_CHANCE_OF_ENDS 1e-6
#define HIGH_CHANCE_OF_IPV6 1e-7 /* maximum product: the family and the port agree as well */

#define MAX_MEMBERS (MAX_FINDING_ALSO + 1)

/* A peer that is part of chains. */
struct member {
	const struct endpoint *to;
	size_t chains; /* chains that it is part of */
	size_t parts; /* parts of all chains */
	ns_t duration; /* median duration of a part */
};

/* Properties that the chains of a finding share. */
struct summary {
	struct member members[MAX_MEMBERS]; /* the one in most chains first */
	size_t member_count;
	const struct endpoint *destination; /* the most frequent destination */
	size_t to_destination; /* chains that end there */
	size_t destinations;
	size_t hosts;
	size_t length; /* number of parts, if all chains have the same; or 0 */
	ns_t total; /* median */
	ns_t deviation;
	ns_t longest;
	ns_t part; /* duration of each part, if all parts are equal; or NEVER */
};

/* ---- what the chains have in common ---- */

static ns_t part_duration(const struct chain *c, size_t i)
{
	ns_t end = i + 1 < c->count ? c->parts[i + 1]->pending->start : c->end->t;

	return end - c->parts[i]->pending->start;
}

static void add_member(struct summary *s, const struct endpoint *to, bool again)
{
	size_t i;

	for (i = 0; i < s->member_count; i++)
		if (same_endpoint(s->members[i].to, to))
			break;
	if (i == MAX_MEMBERS)
		return;
	if (i == s->member_count)
		s->members[s->member_count++] = (struct member){ .to = to };
	s->members[i].chains += !again;
	s->members[i].parts++;
}

/* Orders the peers by the number of chains, then as they were seen first. */
static void sort_members(struct summary *s)
{
	struct member m;
	size_t i, j;

	for (i = 1; i < s->member_count; i++) {
		m = s->members[i];
		for (j = i; j && s->members[j - 1].chains < m.chains; j--)
			s->members[j] = s->members[j - 1];
		s->members[j] = m;
	}
}

static void find_members(struct summary *s, const struct chains *c, ns_t *times)
{
	size_t i, j, k, m, n;

	for (i = 0; i < c->count; i++)
		for (j = 0; j < c->at[i].count; j++) {
			const struct endpoint *to = &c->at[i].parts[j]->pending->to;
			bool again = false;

			for (k = 0; k < j; k++)
				again |= same_endpoint(&c->at[i].parts[k]->pending->to, to);
			add_member(s, to, again);
		}
	sort_members(s);
	for (m = 0; m < s->member_count; m++) {
		for (i = n = 0; i < c->count; i++)
			for (j = 0; j < c->at[i].count; j++)
				if (same_endpoint(&c->at[i].parts[j]->pending->to,
						  s->members[m].to))
					times[n++] = part_duration(&c->at[i], j);
		s->members[m].duration = median(times, n);
	}
}

static int by_endpoint(const void *a, const void *b)
{
	const struct endpoint *x = *(const struct endpoint *const *)a;
	const struct endpoint *y = *(const struct endpoint *const *)b;

	return memcmp(x, y, sizeof(*x));
}

/* Counts the destinations. Returns false when out of memory. */
static bool find_destination(struct summary *s, const struct chains *c)
{
	const struct endpoint **order = malloc(c->count * sizeof(*order));
	size_t i, first = 0;

	if (!order)
		return false;
	for (i = 0; i < c->count; i++)
		order[i] = c->at[i].end->to;
	qsort(order, c->count, sizeof(*order), by_endpoint);
	for (i = 0; i < c->count; i++) {
		if (!i || !same_endpoint(order[i], order[i - 1])) {
			s->destinations++;
			first = i;
		}
		if (i - first + 1 > s->to_destination) {
			s->to_destination = i - first + 1;
			s->destination = order[i];
		}
	}
	free(order);
	return true;
}

static void find_durations(struct summary *s, const struct chains *c, ns_t *times)
{
	ns_t middle = c->span.median;
	size_t i, j;

	s->part = middle;
	s->length = c->at[0].count;
	for (i = 0; i < c->count; i++) {
		if (c->at[i].count != s->length)
			s->length = 0;
		for (j = 0; j < c->at[i].count; j++)
			if (llabs(part_duration(&c->at[i], j) - middle) > timer_slack(middle))
				s->part = NEVER;
		times[i] = c->at[i].total;
	}
	s->total = median(times, c->count);
	s->deviation = median_absolute_deviation(times, c->count, s->total);
	s->longest = times[c->count - 1];
}

/* Fills in the summary. Returns false when out of memory. */
static bool summarize(struct summary *s, const struct chains *c)
{
	ns_t *times = malloc(c->count * MAX_PARTS * sizeof(*times));
	const struct timeline *t = NULL;
	size_t i;

	memset(s, 0, sizeof(*s));
	if (!times || !find_destination(s, c)) {
		free(times);
		return false;
	}
	find_members(s, c, times);
	find_durations(s, c, times);
	for (i = 0; i < c->count; i++) {
		s->hosts += c->at[i].parts[0]->timeline != t;
		t = c->at[i].parts[0]->timeline;
	}
	free(times);
	return true;
}

/* ---- the kind and the confidence ---- */

static enum finding_kind chain_kind(const struct summary *s, const struct chains *c)
{
	if (c->ipv6)
		return KIND_BROKEN_IPV6;
	return s->to_destination * 10 < c->count * 8 ? KIND_HELD_BEFORE_CONNECT
						     : KIND_FAILOVER_CHAIN;
}

/*
 * Returns true if both the attempts and the successors may be periodic for reasons of their own:
 * two clocks of the same period have a constant offset.
 */
static bool is_clockwork(const struct summary *s, const struct chains *c)
{
	if (c->ipv6 || !c->span.periodic)
		return false;
	return c->span.own_rhythm || (s->destinations < 3 && s->member_count &&
				      s->destination->port != s->members[0].to->port);
}

static bool is_unlikely_by_chance(const struct chains *c)
{
	const struct span *s = &c->span;

	if (c->ipv6)
		return s->chance_of_starts * s->chance_of_ends <= HIGH_CHANCE_OF_IPV6;
	return s->chance_of_starts <= HIGH_CHANCE_OF_STARTS &&
	       s->chance_of_ends <= HIGH_CHANCE_OF_ENDS;
}

static struct certainty chain_certainty(const struct context *g, const struct summary *s,
					const struct chains *c)
{
	const struct span *span = &c->span;
	const struct peer *p = peer_of(g, s->members[0].to);
	bool unsteady;

	if (is_clockwork(s, c))
		return doubtful(CONFIDENCE_LOW, "the attempts come at regular intervals");
	if (span->ambiguous)
		return doubtful(CONFIDENCE_LOW, "it may be the clients' own rhythm");
	if (span->chance_of_starts * span->chance_of_ends > MEDIUM_CHANCE)
		return doubtful(CONFIDENCE_LOW, "too few coincidences: they may be chance");
	/* clients do not wait for a server that answers other clients */
	if (!c->ipv6 && p && p->answered > p->failures[FAILURE_SILENT] &&
	    p->last_answer > p->first_failure)
		return doubtful(CONFIDENCE_LOW, "it answers other clients");
	/* the errors of the parts add up in the whole chain */
	unsteady = span->deviation > UNSTEADY_NS || (s->length == 1 && s->deviation > UNSTEADY_NS);
	if (!is_unlikely_by_chance(c))
		return doubtful(CONFIDENCE_MEDIUM, "few coincidences: more make it high");
	if (span->median > LATE_NS || span->late)
		return doubtful(CONFIDENCE_MEDIUM,
				"the connections follow the end of the attempts with a delay");
	if (!c->ipv6 && unsteady)
		return doubtful(CONFIDENCE_MEDIUM, "the waits are not equally long");
	if (!c->ipv6 && span->continues)
		return doubtful(CONFIDENCE_MEDIUM, "attempts go on after the connections begin");
	return certain();
}

/* ---- the text ---- */

/* Returns true if each connect that failed at this peer was refused. */
static bool only_refuses(const struct context *g, const struct endpoint *to)
{
	const struct peer *p = peer_of(g, to);

	return p && p->failures[FAILURE_REFUSED] && !p->failures[FAILURE_SILENT] &&
	       !p->failures[FAILURE_ONE_SYN];
}

/* Returns what the peer does to connects, in words. */
static const char *what_happens(const struct context *g, const struct endpoint *to)
{
	const struct peer *p = peer_of(g, to);

	if (to->zone)
		return zone_is_singular(zone_numbered(g, to->zone)) ? "gets no answer"
								    : "get no answer";
	if (is_name_peer(g, to))
		return "does not answer DNS";
	if (only_refuses(g, to))
		return "refuses connections";
	if (!p || p->failures[FAILURE_SILENT] || p->failures[FAILURE_ONE_SYN])
		return "does not answer";
	return p->failures[FAILURE_UNREACHABLE] ? "is unreachable" : "does not answer";
}

#define FORMAT_PARTS (FORMAT_DURATION + 32)

/* Formats " (40.0 s twice)" or " (3 x 21.0 s)"; empty for a single part. */
static void format_parts(char out[FORMAT_PARTS], const struct summary *s)
{
	char t[FORMAT_DURATION];

	*out = '\0';
	if (s->length == 1)
		return;
	if (s->part == NEVER)
		snprintf(out, FORMAT_PARTS, " (several connects in turn)");
	else if (!s->length)
		snprintf(out, FORMAT_PARTS, " (%s for each)", format_duration(t, s->part));
	else if (s->length == 2)
		snprintf(out, FORMAT_PARTS, " (%s twice)", format_duration(t, s->part));
	else
		snprintf(out, FORMAT_PARTS, " (%zu x %s)", s->length, format_duration(t, s->part));
}

static void set_text(struct context *g, struct finding *finding, const struct summary *s)
{
	char peer[FORMAT_PEER + 64], to[FORMAT_ENDPOINT], total[FORMAT_DURATION + 8];
	char parts[FORMAT_PARTS], name[FORMAT_PEER], t[FORMAT_DURATION];

	format_finding_peer(name, g, s->members[0].to);
	if (s->member_count > 1)
		snprintf(peer, sizeof(peer), "%s and %zu more do not answer", name,
			 s->member_count - 1);
	else
		snprintf(peer, sizeof(peer), "%s %s", name, what_happens(g, s->members[0].to));
	format_parts(parts, s);
	snprintf(total, sizeof(total), "%s%s", s->length ? "" : "up to ",
		 format_duration(t, s->length ? s->total : s->longest));
	if (finding->kind == KIND_BROKEN_IPV6)
		finding_text(
			finding, "IPv6 to %s %s, and %zu host%s use%s IPv4 only %s later%s", name,
			only_refuses(g, s->members[0].to) ? "is refused" : "does not get through",
			s->hosts, plural(s->hosts), s->hosts == 1 ? "s" : "", total, parts);
	else if (finding->kind == KIND_FAILOVER_CHAIN)
		finding_text(finding, "%s, and %s is used only %s later%s", peer,
			     format_endpoint(to, s->destination), total, parts);
	else
		finding_text(finding, "%s, and %zu host%s connect%s nowhere for %s%s", peer,
			     s->hosts, plural(s->hosts), s->hosts == 1 ? "s" : "", total, parts);
}

/* Adds the part of each peer, if there are several peers or parts. */
static void add_parts(struct context *g, struct finding *finding, const struct summary *s)
{
	char t[FORMAT_DURATION], name[FORMAT_PEER], times[32];
	size_t i, repeats;

	for (i = 0; i < s->member_count && (s->length != 1 || s->member_count > 1); i++) {
		const struct member *m = &s->members[i];

		repeats = (m->parts + m->chains / 2) / m->chains;
		if (repeats == 2)
			snprintf(times, sizeof(times), " twice");
		else
			snprintf(times, sizeof(times), " %zu times", repeats);
		finding_line(finding, i ? "" : "parts", "%s: %s%s, in %zu wait%s",
			     format_finding_peer(name, g, m->to), format_duration(t, m->duration),
			     repeats > 1 ? times : "", m->chains, plural(m->chains));
	}
}

static void add_evidence(struct context *g, struct finding *finding, const struct summary *s,
			 const struct chains *c)
{
	const struct peer *p = peer_of(g, s->members[0].to);
	size_t without = c->tried - c->count;
	bool is_name = is_name_peer(g, s->members[0].to);
	char t[FORMAT_SPREAD], what[40] = "such waits";

	if (s->length == 1)
		snprintf(what, sizeof(what), "%s%s %s", is_name ? "lookup" : "connect",
			 plural(c->tried),
			 only_refuses(g, s->members[0].to) ? "that failed" : "without an answer");
	finding_line(finding, "",
		     "after %zu of %zu %s a connection to %zu server%s began %s after the first "
		     "%s",
		     c->count, c->tried, what, s->destinations, plural(s->destinations),
		     finding_format_spread(t, s->total, s->length ? s->deviation : NEVER),
		     is_name ? "question" : "SYN");
	add_parts(g, finding, s);
	if (s->members[0].to->zone)
		finding_add_zone(g, finding, zone_numbered(g, s->members[0].to->zone));
	else if (!c->ipv6 && p)
		finding_add_route(g, finding, p);
	if (s->members[0].to->zone)
		finding_add_zone_action(g, finding, zone_numbered(g, s->members[0].to->zone));
	else
		finding_line(
			finding, "action", "%s",
			finding->kind == KIND_BROKEN_IPV6
				? "repair IPv6 to these servers, or stop announcing their IPv6 addresses"
			: finding->kind == KIND_FAILOVER_CHAIN
				? "repair the first server, or take it out of the list of the clients"
				: "restore the way to it; until then let attempts at it be refused "
				  "(RST) instead of dropped");
	if (is_clockwork(s, c))
		finding_line(finding, "against",
			     "the attempts come at regular intervals, so the match may be chance");
	if (c->span.ambiguous)
		finding_line(finding, "against",
			     "the time since the connect before is as constant: it may be the "
			     "clients' own rhythm");
	if (without)
		finding_line(finding, finding->confidence == CONFIDENCE_LOW ? "" : "against",
			     "%zu %s%s without such a connection after %s", without,
			     is_name ? "lookup" : "connect", plural(without),
			     without == 1 ? "it" : "them");
	finding_line(finding, "significance",
		     "%zu coincidence%s; by chance: starts %.1g, ends %.1g", c->count,
		     plural(c->count), c->span.chance_of_starts, c->span.chance_of_ends);
}

static void example_of_chain(struct example *e, const struct chain *c)
{
	const struct attempt *first = c->parts[0];

	*e = (struct example){
		.client = { .address = first->timeline->host->clients[0]->key.address },
		.server = c->end->recent->to,
		.syn = c->end->recent->syn,
		.synack = NEVER,
		.ack = NEVER,
		.first = NEVER,
	};
	example_add_attempt(e, first->pending);
}

/* Adds the hosts of the chains, and marks the connects that end them. */
static void mark_chains(struct context *g, struct finding *finding, const struct chains *c)
{
	const struct timeline *t = NULL;
	size_t i;

	for (i = 0; i < c->count; i++) {
		c->at[i].end->explained = true;
		if (c->at[i].parts[0]->timeline != t)
			finding_add_host(g, &finding->affected, c->at[i].parts[0]->timeline->host);
		t = c->at[i].parts[0]->timeline;
	}
}

void report_chain(struct context *g, const struct chains *c)
{
	struct finding *finding;
	struct summary s;
	size_t i;

	if (!summarize(&s, c)) {
		g->out_of_memory = true;
		return;
	}
	if (!s.members[0].to)
		return; /* the analyzer does not see that each chain has a first part */
	finding = finding_new(g, chain_kind(&s, c), chain_certainty(g, &s, c));
	if (!finding)
		return;
	finding_set_peer(finding, s.members[0].to);
	for (i = 1; i < s.member_count; i++)
		finding_add_also(finding, s.members[i].to);
	finding->timer = s.total;
	finding->deviation = s.deviation;
	finding->correlated = c->count;
	finding->stalls = c->tried;
	finding->hosts_hurt = s.hosts;
	mark_chains(g, finding, c);
	set_text(g, finding, &s);
	add_evidence(g, finding, &s, c);
	finding->has_example = true;
	example_of_chain(&finding->example, &c->at[c->count / 2]);
	finding->example.asks_name = name_operation_of(g, c->at[c->count / 2].parts[0]->pending);
}
