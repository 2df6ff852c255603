// SPDX-License-Identifier: GPL-2.0
/*
 * Reports servers that accept a connection and do not use it: they close it before a byte was sent,
 * or are expected to speak first and do not.
 */
#include <inttypes.h>

#include "diagnose/failure_group.h"
#include "diagnose/reporters.h"

/* ---- servers that close ---- */

/* Returns the time from the handshake to its end; from the SYN-ACK if there was no ACK. */
static ns_t time_to_close(const struct noted_connect *n)
{
	ns_t end, from = n->c->ack != NEVER ? n->c->ack : n->c->synack;

	if (connection_end(n->c, &end) == SIDE_NONE || from == NEVER)
		return NEVER;
	return end - from;
}

static bool is_ended_by_rst(const struct noted_connect *n)
{
	return n->entry.manner == MANNER_SERVER_RESET;
}

/* Returns true if the end comes too soon after the ACK to be the server's reaction to it. */
static bool is_end_too_soon(const struct noted_connect *n)
{
	return n->c->ack != NEVER && n->c->server_round_trip != NEVER && is_ended_by_rst(n) &&
	       time_to_close(n) < n->c->server_round_trip / 2;
}

/* Adds a line that tells a rule about the client from a limit. */
static void add_who_is_served(struct finding *f, const struct failure_group *group)
{
	struct served_hosts same;

	if (!group->facts.served || group->servers > 1)
		return;
	same = count_served(&group->set, false);
	if (same.hosts)
		finding_line(f, "",
			     "it serves %zu of these hosts on other connects: a limit or its load "
			     "is more likely than a rule about the client",
			     same.hosts);
	else
		finding_line(f, "",
			     "it serves %" PRIu64 " connect%s, all of other hosts: a rule about "
			     "the client is likely",
			     group->facts.served, plural(group->facts.served));
}

/* Returns true if the server waits for a timer before it closes. */
static bool is_timed(const struct durations *d)
{
	return d->is_timer && d->median >= (ns_t)SECOND_NS;
}

static void add_end_evidence(struct finding *f, const struct connect_set *set,
			     const struct durations *d)
{
	size_t resets = count_if(set, is_ended_by_rst), soon = count_if(set, is_end_too_soon);
	char a[FORMAT_DURATION], b[FORMAT_DURATION];
	const char *software = known_timer(d->median);

	finding_line(f, "",
		     "%zu ended by FIN, %zu by RST, from %s to %s after the handshake; neither "
		     "side had sent a byte",
		     set->count - resets, resets, format_duration(a, d->shortest),
		     format_duration(b, d->longest));
	if (is_timed(d))
		finding_line(f, "",
			     "the time is a timer%s%s: the server waits for something, such as a "
			     "lookup of the client, before it closes",
			     software ? ", as that of " : "", software ? software : "");
	if (soon && soon == resets)
		finding_line(f, "",
			     "the RSTs come sooner after the ACK than the server's round trip "
			     "allows: it did not wait for the ACK, or a device nearer sent them");
}

static void add_close_action(struct finding *f, const struct durations *d)
{
	finding_line(f, "action",
		     is_timed(d) ? "on the server, check what it looks up about a client before it "
				   "speaks (reverse DNS, ident), then its access rules "
				   "(hosts.allow, hosts.deny) and its log"
				 : "on the server, check its log, its access rules (hosts.allow, "
				   "hosts.deny), its connection limits, and, if it is a proxy, "
				   "whether what is behind it runs");
}

static void report_closes(struct context *g, const struct failure_group *group)
{
	struct durations d = durations_of(g, &group->set, time_to_close);
	bool resets = count_if(&group->set, is_ended_by_rst) == group->set.count;
	struct certainty certainty = certainty_by_count(group->set.count);
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS], after[FORMAT_SPREAD];
	struct finding *f;

	/* one connect in a hundred may be a client's own mistake */
	if (group->set.count < MIN_CONNECTS || group->set.count * 100 < group->connects || !d.count)
		return;
	if (group->set.count * 2 < group->connects)
		certainty = at_most(certainty, CONFIDENCE_MEDIUM,
				    "it serves more connects than it closes");
	f = begin_finding(g, group, KIND_SERVER_CLOSES, certainty);
	if (!f)
		return;
	if (d.is_timer) {
		f->timer = d.median;
		f->deviation = d.deviation;
	}
	finding_text(f, "%s %s%s connections without a byte: %s, %s after the handshake",
		     format_servers(servers, group), resets ? "reset" : "close",
		     group->servers > 1 ? "" : "s", format_counts(counts, g, f, group),
		     d.is_timer ? finding_format_spread(after, d.median, d.deviation)
				: format_duration(after, d.median));
	add_end_evidence(f, &group->set, &d);
	add_who_is_served(f, group);
	finding_add_span(g, f, &group->set);
	add_close_action(f, &d);
}

static void add_unless_scan(struct context *g, struct connect_set *out,
			    const struct connect_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (!is_scan(set->at[i]))
			connect_set_add(g, out, set->at[i]);
}

void report_server_closes(struct context *g, const struct failure_group *group)
{
	struct failure_group part = { .kind = group->kind };

	add_unless_scan(g, &part.set, &group->set);
	group_fill(g, &part);
	report_closes(g, &part);
	connect_set_free(&part.set);
}

/* ---- servers that do not greet ---- */

void report_no_greeting(struct context *g, const struct failure_group *group)
{
	const struct peer *p = group->server->peer;
	bool has_greeted = group->servers == 1 && p && p->banners;
	char servers[FORMAT_SERVERS], counts[FORMAT_COUNTS], gave_up[FORMAT_SPREAD];
	struct durations d = durations_of(g, &group->set, time_to_close);
	struct span span = span_of(g, &group->set);
	struct certainty certainty = certainty_by_count(group->set.count);
	struct finding *f;

	if (!d.count || group->set.count < (has_greeted ? 2 : MIN_CONNECTS))
		return;
	/* other servers on its port greet: it may speak another protocol there */
	if (!has_greeted)
		certainty = doubtful(CONFIDENCE_LOW, "it was never seen to greet: it may speak "
						     "another protocol on this port");
	if (span.meanwhile)
		certainty =
			at_most(certainty, CONFIDENCE_MEDIUM, "it served other connects meanwhile");
	f = begin_finding(g, group, KIND_NO_GREETING, certainty);
	if (!f)
		return;
	finding_text(f,
		     "%s accept%s connections and never greet%s: %s; the clients give up after %s",
		     format_servers(servers, group), group->servers > 1 ? "" : "s",
		     group->servers > 1 ? "" : "s", format_counts(counts, g, f, group),
		     d.is_timer ? finding_format_spread(gave_up, d.median, d.deviation)
				: format_duration(gave_up, d.median));
	if (has_greeted)
		finding_line(f, "", "it greeted on %u other connect%s of this run", p->banners,
			     plural(p->banners));
	else
		finding_line(f, "", "others on port %u greet", group->server->endpoint.port);
	finding_line(f, "",
		     "the handshake alone shows only that its kernel runs: the program behind the "
		     "port may hang, or wait for something");
	finding_add_span(g, f, &group->set);
	finding_line(f, "action",
		     "on the server, check the program (ss -ltn: is Recv-Q above 0? its log), and "
		     "what it looks up before it greets (DNS, ident, a directory)");
	if (span.meanwhile)
		finding_line(f, "against", "it greets others meanwhile");
}
