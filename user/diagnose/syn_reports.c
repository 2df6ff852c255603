// SPDX-License-Identifier: GPL-2.0
/* The findings about lost SYNs, in words. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/syn_faults.h"

/* A report has room for one set of connects and its comparison. */
struct report {
	struct finding *f;
	const struct syn_question_info *info;
	const struct syn_comparison *c;
	const struct connect_set *set;
};

/* ---- lines that several kinds share ---- */

static ns_t time_to_answer(const struct noted_connect *n)
{
	return n->c->synack == NEVER ? NEVER : n->c->synack - n->c->syn;
}

/* Adds what each lost SYN costs. */
static void add_cost(struct context *g, const struct report *r)
{
	struct durations d = durations_of(g, r->set, time_to_answer);
	size_t never = r->set->count - d.count;
	char cost[FORMAT_DURATION], longest[FORMAT_DURATION];

	format_duration(cost, d.median);
	format_duration(longest, d.longest);
	if (d.count)
		finding_line(r->f, "cost",
			     "%zu connect%s got through when the SYN was sent again: %s%s%s%s",
			     d.count, plural(d.count), d.count > 1 ? "each costs " : "it took ",
			     cost, d.longest - d.median > timer_slack(d.median) ? ", at most " : "",
			     d.longest - d.median > timer_slack(d.median) ? longest : "");
	if (never)
		finding_line(r->f, d.count ? "" : "cost", "%zu connect%s never got through", never,
			     plural(never));
}

static void add_chance(const struct syn_faults *x, const struct report *r)
{
	if (r->c->confounded || r->c->burst)
		return;
	if (r->c->p.adjusted < 0.0001)
		finding_line(r->f, "chance", "p < 0.0001 that this is random (%u propert%s tested)",
			     x->tests, x->tests == 1 ? "y" : "ies");
	else
		finding_line(r->f, "chance", "p = %.2g that this is random (%u propert%s tested)",
			     r->c->p.adjusted, x->tests, x->tests == 1 ? "y" : "ies");
}

static void add_exceptions(const struct report *r, const char *with, const char *without)
{
	const struct syn_comparison *c = r->c;
	const char *label = "against";
	uint64_t passed = c->with - c->bad_with;

	if (passed) {
		finding_line(r->f, label, "%" PRIu64 " of %" PRIu64 " SYNs %s got through", passed,
			     c->with, with);
		label = "";
	}
	if (c->bad_without)
		finding_line(r->f, label, "%" PRIu64 " of %" PRIu64 " %s were lost as well",
			     c->bad_without, c->without, without);
}

/* Names the server if there is only one. Returns " to 192.0.2.1:80" or " to 3 servers". */
static const char *set_servers(struct context *g, const struct report *r,
			       char out[FORMAT_ENDPOINT + 8])
{
	const struct endpoint *first = &r->set->at[0]->c->server;
	char peer[FORMAT_ENDPOINT];
	size_t i, servers = 1;

	for (i = 1; i < r->set->count; i++)
		servers += server_of(g, r->set->at[i]) != server_of(g, r->set->at[i - 1]);
	if (servers == 1) {
		finding_set_peer(r->f, first);
		snprintf(out, FORMAT_ENDPOINT + 8, " to %s", format_endpoint(peer, first));
	} else {
		snprintf(out, FORMAT_ENDPOINT + 8, " to %zu servers", servers);
	}
	return out;
}

/* ---- syn-filtered ---- */

static const char *how_to_turn_off(enum syn_question question)
{
	switch (question) {
	case ASK_ECN:
	case ASK_ECN_REFUSED:
		return "until then turn ECN off at the hosts (Linux: sysctl net.ipv4.tcp_ecn=2)";
	case ASK_FAST_OPEN:
	case ASK_FAST_OPEN_REFUSED:
		return "until then turn Fast Open off at the hosts (Linux: sysctl "
		       "net.ipv4.tcp_fastopen=0)";
	case ASK_MPTCP:
	case ASK_MPTCP_REFUSED:
		return "until then turn MPTCP off at the hosts (Linux: sysctl "
		       "net.mptcp.enabled=0)";
	default:
		return "a server that drops SYNs by their time stamps (Linux before 4.12: sysctl "
		       "net.ipv4.tcp_tw_recycle) must not do so";
	}
}

/* Says what the comparison cannot tell apart. */
static void add_doubts(const struct report *r)
{
	char host[FORMAT_ADDRESS];

	if (r->c->confounded) {
		format_address(host, &r->set->at[0]->c->client.address);
		finding_line(r->f, "cannot tell",
			     "all these SYNs are of %s, and no other host sends any: the reason "
			     "may be this host, or a rule about its address",
			     r->c->hosts_hit == 1 ? host : "few hosts");
	} else if (r->c->alone) {
		finding_line(r->f, "cannot tell",
			     "no connect began without it: a device that drops the first SYN of "
			     "each connection looks the same");
	} else if (r->c->also_first) {
		finding_line(r->f, "cannot tell",
			     "they are the first SYNs of their hosts as well: rules that are "
			     "installed late look the same");
	}
}

/* All SYNs had the property: the only ones to compare with are those that were sent again. */
static void add_omitted(const struct report *r)
{
	const struct syn_comparison *c = r->c;
	uint64_t lost = c->sent_again - c->again;

	finding_line(r->f, "", "%s", r->info->omitted_again);
	finding_line(r->f, "", "of the SYNs sent again %" PRIu64 " of %" PRIu64 " were lost", lost,
		     c->sent_again);
	if (lost * 5 <= c->sent_again)
		finding_line(r->f, "",
			     "that %" PRIu64 " of %" PRIu64
			     " first SYNs are lost is no chance at this rate",
			     c->bad_with, c->with);
}

static void report_filtered(struct context *g, const struct syn_faults *x, const struct report *r,
			    enum syn_question question)
{
	const struct syn_comparison *c = r->c;
	bool refused = r->info->bad == SYN_REFUSED;
	char to[FORMAT_ENDPOINT + 8], without[64];

	set_servers(g, r, to);
	finding_text(r->f, "SYNs %s are %s: %" PRIu64 " of %" PRIu64 " connects%s", r->info->with,
		     refused ? "refused" : "lost", c->bad_with, c->with, to);
	if (c->alone)
		add_omitted(r);
	else
		finding_line(r->f, "",
			     "of SYNs without, to the same server%s: %" PRIu64 " of %" PRIu64 " %s",
			     plural(c->servers), c->bad_without, c->without,
			     refused ? "refused" : "lost");
	if (!refused)
		add_cost(g, r);
	add_chance(x, r);
	add_doubts(r);
	snprintf(without, sizeof(without), "SYNs without");
	add_exceptions(r, r->info->with, without);
	finding_add_span(g, r->f, r->set);
	finding_line(r->f, "action",
		     "find what %s such SYNs (a firewall or load balancer on the way, or the "
		     "server itself); %s",
		     refused ? "refuses" : "drops", how_to_turn_off(question));
}

/* ---- first-syn-lost ---- */

/* Says that an outage looks the same. */
static void add_burst(const struct report *r)
{
	ns_t first = r->set->at[0]->c->syn, last = first;
	char within[FORMAT_DURATION];
	size_t i;

	for (i = 1; i < r->set->count; i++) {
		ns_t syn = r->set->at[i]->c->syn;

		first = syn < first ? syn : first;
		last = syn > last ? syn : last;
	}
	format_duration(within, last - first);
	finding_line(
		r->f, "cannot tell",
		"these hosts appeared within %s: an outage of that time behind this gateway looks "
		"the same",
		within);
}

static void report_first(struct context *g, const struct syn_faults *x, const struct report *r)
{
	const struct syn_comparison *c = r->c;
	bool only_new = r->info == &syn_questions[ASK_FIRST_OF_NEW_HOST];
	char to[FORMAT_ENDPOINT + 8];

	set_servers(g, r, to);
	finding_text(r->f, "the first SYNs of new hosts are lost: %zu of %zu hosts%s", c->hosts_hit,
		     c->hosts_with, to);
	finding_line(r->f, "",
		     "SYNs in the first second of a host: %" PRIu64 " of %" PRIu64
		     " lost; its later ones to the same servers: %" PRIu64 " of %" PRIu64,
		     c->bad_with, c->with, c->bad_without, c->without);
	add_cost(g, r);
	add_chance(x, r);
	if (c->burst)
		add_burst(r);
	if (only_new)
		finding_line(r->f, c->burst ? "" : "cannot tell",
			     "hosts seen in the first 10 s of the run do not count: they may have "
			     "been active before");
	else
		finding_line(r->f, c->burst ? "" : "cannot tell",
			     "whether a host was active before the run was not seen");
	add_exceptions(r, "of this kind", "later SYNs");
	finding_add_span(g, r->f, r->set);
	finding_line(r->f, "action",
		     "look for what is installed only after a host has appeared: filter rules of "
		     "a network policy, routes, NAT, neighbour entries");
}

/* ---- port-reuse ---- */

/* Returns the shortest and the longest time since the last use of these four-tuples. */
static void find_pauses(const struct context *g, const struct syn_faults *x,
			const struct connect_set *set, ns_t *shortest, ns_t *longest)
{
	size_t i;

	*shortest = *longest = NEVER;
	for (i = 0; i < set->count; i++) {
		ns_t reused = syn_of(g, x, set->at[i])->reused;

		if (*shortest == NEVER || reused < *shortest)
			*shortest = reused;
		if (*longest == NEVER || reused > *longest)
			*longest = reused;
	}
}

static void report_reused(struct context *g, const struct syn_faults *x, const struct report *r)
{
	const struct syn_comparison *c = r->c;
	char to[FORMAT_ENDPOINT + 8], least[FORMAT_DURATION], most[FORMAT_DURATION];
	ns_t shortest, longest;

	set_servers(g, r, to);
	find_pauses(g, x, r->set, &shortest, &longest);
	format_duration(least, shortest);
	format_duration(most, longest);
	finding_text(r->f,
		     "SYNs on ports used shortly before are lost: %" PRIu64 " of %" PRIu64
		     " connects%s",
		     c->bad_with, c->with, to);
	finding_line(r->f, "",
		     "the same client port had been connected to the server %s%s%s before; of SYNs "
		     "on new ports %" PRIu64 " of %" PRIu64 " were lost",
		     least, strcmp(least, most) ? " to " : "", strcmp(least, most) ? most : "",
		     c->bad_without, c->without);
	add_cost(g, r);
	add_chance(x, r);
	add_exceptions(r, "on such ports", "SYNs on new ports");
	finding_add_span(g, r->f, r->set);
	finding_line(r->f, "action",
		     "a firewall or NAT on the way, or the server, still holds the old connection: "
		     "look for it there (conntrack -L, ss -tan); let clients use new ports");
}

static void report_challenged(struct context *g, const struct report *r)
{
	char to[FORMAT_ENDPOINT + 8];
	size_t n = r->set->count;

	r->f->confidence = certainty_by_count(n).level;
	r->f->confidence_reason = certainty_by_count(n).reason;
	set_servers(g, r, to);
	/* without " to " */
	finding_text(r->f,
		     "%s still hold%s old connections on ports that clients reuse: %zu connect%s",
		     to + strlen(" to "), r->f->has_peer ? "s" : "", n, plural(n));
	finding_line(
		r->f, "",
		"%zu SYN%s answered by a bare ACK (RFC 5961), and the client had to try again: a NAT "
		"or a client that runs out of ports, or a server that was cut off",
		n, n == 1 ? " was" : "s were");
	add_cost(g, r);
	finding_add_span(g, r->f, r->set);
	finding_line(r->f, "action",
		     "compare the connections that the server holds with those of the client and "
		     "of a NAT between them (ss -tan, conntrack -L)");
}

/* ---- some-paths-fail ---- */

static void report_tuples(struct context *g, const struct syn_faults *x, const struct report *r)
{
	const struct syn_comparison *c = r->c;
	char to[FORMAT_ENDPOINT + 8];

	set_servers(g, r, to);
	finding_text(r->f,
		     "some paths fail: %zu of %" PRIu64
		     " connects%s were never answered, and other ports of these hosts got through",
		     r->set->count, c->without, to);
	finding_line(r->f, "",
		     "of %" PRIu64
		     " of them all SYNs were lost while another port of the same host "
		     "got through",
		     c->bad_with);
	if (c->again)
		finding_line(r->f, "against",
			     "%" PRIu64 " lost SYN%s came again on the same port, and got through",
			     c->again, plural(c->again));
	add_cost(g, r);
	add_chance(x, r);
	finding_line(r->f, "cannot tell",
		     "an old connection that a firewall holds on these ports since before the run "
		     "looks the same");
	finding_add_span(g, r->f, r->set);
	finding_line(r->f, "action",
		     "one of several ways fails: check each next hop of a multipath route (ECMP), "
		     "each link of a LAG, both firewalls of a pair, each server behind a load "
		     "balancer");
}

static void report_pairs(struct context *g, const struct syn_faults *x, const struct report *r)
{
	const struct syn_comparison *c = r->c;
	char to[FORMAT_ENDPOINT + 8];

	set_servers(g, r, to);
	finding_text(r->f,
		     "some paths fail: %zu pairs of client and server never connect, and others "
		     "always do",
		     c->episodes);
	finding_line(r->f, "",
		     "%" PRIu64 " connects of these pairs were never answered; meanwhile these "
		     "clients reached others of these servers, and these servers answered other "
		     "clients",
		     c->bad_with);
	finding_line(r->f, "", "%" PRIu64 " of %" PRIu64 " pairs connect now and then", c->without,
		     c->with);
	add_chance(x, r);
	finding_line(r->f, "cannot tell",
		     "filters that close servers to some clients, each to others, look the same");
	finding_add_span(g, r->f, r->set);
	finding_line(r->f, "action",
		     "one of several ways fails: check each next hop of a multipath route (ECMP), "
		     "each link of a LAG, both firewalls of a pair");
}

/* ---- all kinds ---- */

void report_lost_syns(struct context *g, const struct syn_faults *x, enum syn_question question,
		      const struct connect_set *set)
{
	struct report r = { .info = &syn_questions[question],
			    .c = &x->comparisons[question],
			    .set = set };

	r.f = finding_new(g, r.info->kind, r.c->certainty);
	if (!r.f)
		return;
	r.f->stalls = r.info->with ? r.c->with + r.c->without : set->count;
	r.f->p_value = r.c->p.adjusted;
	switch (r.info->kind) {
	case KIND_SYN_FILTERED:
		report_filtered(g, x, &r, question);
		break;
	case KIND_FIRST_SYN_LOST:
		report_first(g, x, &r);
		break;
	case KIND_PORT_REUSE:
		if (question == ASK_CHALLENGED)
			report_challenged(g, &r);
		else
			report_reused(g, x, &r);
		break;
	default:
		if (question == ASK_PAIR)
			report_pairs(g, x, &r);
		else
			report_tuples(g, x, &r);
		break;
	}
	finding_add_connects(g, r.f, set);
}
