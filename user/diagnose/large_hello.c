// SPDX-License-Identifier: GPL-2.0
/*
 * Reports requests that fail if they are larger than one segment, while smaller ones to the same
 * servers pass. Post-quantum ClientHellos are: devices that expect a ClientHello in one segment
 * reset or swallow them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/reporters.h"
#include "diagnose/requests.h"
#include "lib/stratified_test.h"

/* Failures, and requests of the other size, without which nothing is compared. */
#define MIN_COMPARED 3

#define MAX_CHANCE 0.01

#define TLS_HANDSHAKE 0x16 /* content type, RFC 8446 5.1 */

/* Requests to the servers of a group, by size and fate. */
struct sizes {
	uint64_t large_failed, large_served;
	uint64_t small_failed, small_served;
	struct stratified_test hosts; /* of the hosts that sent large requests and small ones */
};

static void add_facts(struct sizes *z, const struct server_facts *facts)
{
	z->large_failed += facts->large_failed;
	z->large_served += facts->large_served;
	z->small_failed += facts->small_failed;
	z->small_served += facts->small_served;
}

/* strata[]: by index of g->timelines[] */
static void add_observations(const struct context *g, struct stratum *strata,
			     const struct server *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct noted_connect *n = &s->connects[i];
		bool is_large = is_larger_than_segment(n->c), bad = is_failed(n);
		struct stratum *host = n->host ? &strata[n->host - g->timelines] : NULL;

		if (!host || n->c->client_first == NEVER || (!bad && !was_served(n)))
			continue;
		host->total++;
		host->bad += bad;
		host->with += is_large;
		host->bad_with += is_large && bad;
	}
}

static struct sizes sizes_of(struct context *g, const struct connect_set *set)
{
	struct stratum *strata = calloc(g->hosts->all + 1, sizeof(*strata));
	struct sizes z = {};
	size_t i;

	for (i = 0; i < set->count && strata;) {
		const struct server *s = next_server(g, set, &i);
		struct server_facts facts = facts_of_server(g, s);

		add_facts(&z, &facts);
		add_observations(g, strata, s);
	}
	if (!strata || !stratified_test(strata, g->hosts->count, &z.hosts))
		g->out_of_memory = true;
	free(strata);
	return z;
}

static bool is_size_the_reason(const struct sizes *z)
{
	return z->large_failed >= MIN_COMPARED && z->small_served >= MIN_COMPARED &&
	       fisher_exact(z->large_failed, z->large_served, z->small_failed, z->small_served) <=
		       MAX_CHANCE;
}

/*
 * Hosts that differ in the size of their requests may differ in more. Where the same hosts fail and
 * succeed, size alone decides.
 */
static struct certainty certainty_of_size(const struct sizes *z)
{
	if (z->hosts.informative >= 2 && z->hosts.within <= MAX_CHANCE)
		return certain();
	return doubtful(CONFIDENCE_MEDIUM,
			"other hosts send the small ones: they may differ in more");
}

static bool is_hello(const struct noted_connect *n)
{
	const struct payload *p = &n->c->client_payload;

	return p->has_first_byte ? p->first_byte == TLS_HANDSHAKE : n->c->server.port == 443;
}

static size_t count_manner(const struct connect_set *set, enum manner manner)
{
	size_t i, n = 0;

	for (i = 0; i < set->count; i++)
		n += set->at[i]->entry.manner == manner;
	return n;
}

static const char *fate_of(const struct connect_set *set)
{
	if (count_manner(set, MANNER_SERVER_RESET) == set->count)
		return "are reset";
	if (count_manner(set, MANNER_NEVER) == set->count)
		return "are never answered";
	if (count_manner(set, MANNER_NOT_ACKED) + count_manner(set, MANNER_TOO_LARGE) == set->count)
		return "are never acknowledged";
	return "fail";
}

static void add_passed_line(struct finding *f, const struct connect_set *set)
{
	size_t i, passed = 0;

	for (i = 0; i < set->count; i++)
		passed += has_size_passed(set->at[i]);
	if (passed)
		finding_line(
			f, "",
			"at the time of %zu of these %zu connects, other requests of that size "
			"of the same host to the same address were acknowledged: the path "
			"carries such packets",
			passed, set->count);
}

static void add_size_lines(struct finding *f, const struct failure_group *group,
			   const struct sizes *z, const struct requests *r)
{
	char after[FORMAT_DURATION], trip[FORMAT_DURATION];

	finding_line(f, "",
		     "%" PRIu64 " of %" PRIu64 " requests larger than the MSS fail, and %" PRIu64
		     " of %" PRIu64 " smaller ones to the same servers",
		     z->large_failed, z->large_failed + z->large_served, z->small_failed,
		     z->small_failed + z->small_served);
	add_passed_line(f, &group->set);
	if (f->timer != NEVER && group->facts.round_trip != NEVER)
		finding_line(f, "",
			     "the end comes %s after the first segment; the round trip is %s",
			     format_duration(after, f->timer),
			     format_duration(trip, group->facts.round_trip));
	if (z->hosts.informative)
		finding_line(f, "",
			     "%u of the %zu host%s sent both: size decides, not the host (within "
			     "hosts p = %.2g)",
			     z->hosts.informative, r->hosts, plural(r->hosts), z->hosts.within);
}

static void report_size(struct context *g, const struct failure_group *group, const struct sizes *z)
{
	struct endings e = endings_of(g, &group->set);
	struct requests r = requests_of(g, group);
	struct durations d = durations_of(g, &group->set, time_to_end);
	struct finding *f = finding_of_group(g, group, KIND_LARGE_HELLO, certainty_of_size(z), &r);
	bool are_hellos = count_if(&group->set, is_hello) == group->set.count;
	bool is_nearer = e.nearer * 2 > group->set.count;
	char servers[FORMAT_SERVERS];

	if (!f)
		return;
	finding_text(f,
		     "%s larger than one segment to %s %s, %" PRIu64 " of %" PRIu64
		     "; smaller ones pass, %" PRIu64 " of %" PRIu64,
		     are_hellos ? "ClientHellos" : "requests", format_with_others(servers, group),
		     fate_of(&group->set), z->large_failed, z->large_failed + z->large_served,
		     z->small_served, z->small_failed + z->small_served);
	if (d.count == group->set.count && d.is_timer) {
		f->timer = d.median;
		f->deviation = d.deviation;
	}
	add_size_lines(f, group, z, &r);
	if (is_nearer)
		add_nearer_lines(f, group, &e);
	if (!z->hosts.informative)
		finding_line(f, "against",
			     "no host sent both to these servers: the hosts may differ in more "
			     "than the size");
	finding_add_span(g, f, &group->set);
	finding_line(
		f, "action", "%s",
		is_nearer ? NEARER_ACTION
			  : "look for a firewall, load balancer or server that expects the whole "
			    "request in one segment; as a test, turn post-quantum key exchange "
			    "off at one client");
}

/* ---- size is not the reason ---- */

/* Reports the connects of the group that ended in these manners as another kind. */
static void report_manners(struct context *g, const struct failure_group *group, enum manner manner,
			   enum manner other,
			   void (*report)(struct context *g, const struct failure_group *group))
{
	struct failure_group part = *group;
	size_t i;

	memset(&part.set, 0, sizeof(part.set));
	part.servers = part.connects = 0;
	for (i = 0; i < group->set.count; i++)
		if (group->set.at[i]->entry.manner == manner ||
		    group->set.at[i]->entry.manner == other)
			connect_set_add(g, &part.set, group->set.at[i]);
	for (i = 0; i < part.set.count;) {
		part.server = next_server(g, &part.set, &i);
		part.servers++;
		part.connects += part.server->count;
	}
	if (part.set.count) {
		part.facts = facts_of_server(g, part.server);
		report(g, &part);
	}
	connect_set_free(&part.set);
}

void report_large_hello(struct context *g, const struct failure_group *group)
{
	struct sizes z = sizes_of(g, &group->set);

	if (is_size_the_reason(&z)) {
		report_size(g, group, &z);
		return;
	}
	report_manners(g, group, MANNER_SERVER_RESET, MANNER_SERVER_CLOSED,
		       report_reset_after_request);
	report_manners(g, group, MANNER_NEVER, MANNER_NEVER, report_no_answer);
	report_manners(g, group, MANNER_NOT_ACKED, MANNER_TOO_LARGE, report_request_lost);
}
