// SPDX-License-Identifier: GPL-2.0
/* Reports resolvers that do not answer, and the hosts that wait for them. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/forwarding.h"
#include "diagnose/silent_resolvers.h"

#define FORMAT_SUBJECT 160
#define FORMAT_CLAUSE 160

/* ---- which resolvers belong together ---- */

/* Returns true if most lookups that ask this resolver in vain ask a member of the group as well. */
static bool belongs_to(const struct silent_group *s, const struct resolver *other)
{
	size_t i, j, k, both = 0, all = 0;

	for (i = 0; i < other->count; i++) {
		const struct asked *a = &other->asked[i];
		bool in_both = false;

		if (!a->is_marked)
			continue;
		all++;
		for (j = 0; j < lookup_tries(a->n->l); j++)
			for (k = 0; k < s->member_count; k++)
				in_both |= !memcmp(&lookup_try(a->n->l, j)->server,
						   &s->members[k]->endpoint.address,
						   sizeof(struct address));
		both += in_both;
	}
	return both * 2 >= all;
}

static void collect_members(const struct resolvers *r, struct silent_group *s, size_t first,
			    enum silence *silences)
{
	size_t i;

	s->members[s->member_count++] = &r->at[first];
	s->silence = silences[first];
	silences[first] = NOT_SILENT;
	for (i = first + 1; i < r->count && s->member_count < MAX_SILENT; i++)
		if (silences[i] == s->silence && belongs_to(s, &r->at[i])) {
			s->members[s->member_count++] = &r->at[i];
			silences[i] = NOT_SILENT;
		}
}

/* ---- words ---- */

static bool is_refused(const struct silent_group *s)
{
	return s->refused * 2 > s->lookups;
}

/* Returns true if nothing listens at the port (RFC 792, RFC 4443 3.1). */
static bool is_port_closed(const struct silent_group *s)
{
	return is_ip4(&s->members[0]->endpoint.address) ? s->icmp_type == 3 && s->icmp_code == 3
							: s->icmp_type == 1 && s->icmp_code == 4;
}

/* Formats as "10.0.0.53", or as "10.0.0.53 and 10.0.0.54". */
static char *format_members(char out[FORMAT_SUBJECT], const struct silent_group *s)
{
	char one[FORMAT_ENDPOINT], two[FORMAT_ENDPOINT];

	format_resolver(one, s->members[0]);
	if (s->member_count == 1)
		snprintf(out, FORMAT_SUBJECT, "%s%s", one,
			 s->members[0]->is_own ? " (this gateway's own resolver)" : "");
	else if (s->member_count == 2)
		snprintf(out, FORMAT_SUBJECT, "%s and %s", one,
			 format_resolver(two, s->members[1]));
	else
		snprintf(out, FORMAT_SUBJECT, "%s and %zu other resolvers", one,
			 s->member_count - 1);
	return out;
}

/* Formats as "does not answer DNS". */
static void format_fault(char out[FORMAT_CLAUSE], const struct silent_group *s)
{
	bool several = s->member_count > 1;
	const char *words =
		icmp_words(is_ip4(&s->members[0]->endpoint.address), s->icmp_type, s->icmp_code);

	if (is_refused(s) && is_port_closed(s))
		snprintf(out, FORMAT_CLAUSE, "%s DNS (ICMP port unreachable)",
			 several ? "refuse" : "refuses");
	else if (is_refused(s))
		snprintf(out, FORMAT_CLAUSE, "%s not reached (ICMP %s)", several ? "are" : "is",
			 words ? words : "error");
	else
		snprintf(out, FORMAT_CLAUSE, "%s not answer DNS%s", several ? "do" : "does",
			 s->silence == SILENT_TO_HOSTS ? " of some hosts" : "");
}

/* Formats the time for which a resolver was silent that answered otherwise, or as "". */
static void format_time(char out[FORMAT_CLAUSE], const struct context *g,
			const struct silent_group *s)
{
	char from[FORMAT_TIME], until[FORMAT_TIME];

	out[0] = '\0';
	if (s->silence != SILENT_FOR_A_TIME)
		return;
	format_clock(from, &g->session->start, s->from);
	format_clock(until, &g->session->start, s->until);
	if (s->answered_after != NEVER)
		snprintf(out, FORMAT_CLAUSE, "from %s to %s ", from, until);
	else
		snprintf(out, FORMAT_CLAUSE, "since %s ", from);
}

/* The names of the hosts that wait. */
struct asked_names {
	size_t first; /* they ask the silent resolvers for these first */
	size_t all;
};

static struct asked_names names_of_waiting(const struct context *g, const struct silent_group *s)
{
	struct asked_names n = {};
	size_t i;

	for (i = 0; i < g->hosts->all; i++)
		if (s->hosts[i].waits) {
			n.first += s->hosts[i].here_first;
			n.all += s->hosts[i].questions;
		}
	return n;
}

static bool is_asked_first(const struct asked_names *n)
{
	return n->first * 5 >= n->all * 4;
}

static size_t hurt_hosts(const struct silent_group *s)
{
	return s->hosts_waiting + s->hosts_without_names + s->hosts_with_failures;
}

static ns_t usual_wait(const struct silent_group *s)
{
	return s->waits[s->wait_count / 2];
}

static void format_cost(char out[FORMAT_CLAUSE], const struct context *g,
			const struct silent_group *s)
{
	size_t hurt = hurt_hosts(s), without = hurt - s->hosts_waiting;
	struct asked_names names = names_of_waiting(g, s);
	bool one = hurt == 1;
	char wait[FORMAT_DURATION] = "";

	if (s->hosts_waiting)
		format_duration(wait, usual_wait(s));
	if (s->hosts_waiting && without)
		snprintf(out, FORMAT_CLAUSE,
			 "and %zu of %zu hosts ask %s: %zu wait%s %s, %zu get%s no answer", hurt,
			 s->hosts_all, s->member_count > 1 ? "them" : "it", s->hosts_waiting,
			 s->hosts_waiting == 1 ? "s" : "", wait, without, without == 1 ? "s" : "");
	else if (s->hosts_waiting && is_asked_first(&names))
		snprintf(out, FORMAT_CLAUSE, "and %zu of %zu host%s ask%s %s first and wait%s %s",
			 hurt, s->hosts_all, plural(s->hosts_all), one ? "s" : "",
			 s->member_count > 1 ? "them" : "it", one ? "s" : "", wait);
	else if (s->hosts_waiting)
		snprintf(out, FORMAT_CLAUSE, "and %zu of %zu host%s wait%s %s for some names", hurt,
			 s->hosts_all, plural(s->hosts_all), one ? "s" : "", wait);
	else if (s->hosts_without_names)
		snprintf(out, FORMAT_CLAUSE, "and %zu of %zu host%s get%s no name at all", hurt,
			 s->hosts_all, plural(s->hosts_all), one ? "s" : "");
	else
		snprintf(out, FORMAT_CLAUSE, "and %zu of %zu host%s ask%s nobody else for %s names",
			 hurt, s->hosts_all, plural(s->hosts_all), one ? "s" : "",
			 one ? "its" : "their");
}

/* ---- the finding ---- */

/* Where no connection passes, as in a capture of DNS alone, no SYN can show who waited. */
static bool is_only_dns(const struct context *g, const struct silent_group *s)
{
	return !g->m->connections && s->moved >= MIN_LOOKUPS &&
	       s->timer.median >= MIN_RESOLVER_WAIT_NS;
}

static size_t asking_hosts(const struct context *g, const struct silent_group *s)
{
	size_t i, n = 0;

	for (i = 0; i < g->hosts->all; i++)
		n += s->hosts[i].asks;
	return n;
}

static struct certainty certainty_of(const struct context *g, const struct silent_group *s)
{
	size_t hosts = hurt_hosts(s), n = s->wait_count + s->failed;

	if (!hosts)
		return doubtful(s->names >= MIN_LOOKUPS && asking_hosts(g, s) >= 2
					? CONFIDENCE_MEDIUM
					: CONFIDENCE_LOW,
				"nobody is seen to wait for it");
	if (s->wait_count && !s->failed && usual_wait(s) < g->session->stall)
		return doubtful(CONFIDENCE_LOW, "the waits are short");
	if (n >= 3 && hosts < 2)
		return doubtful(CONFIDENCE_MEDIUM, "one host only");
	return certainty_by_count(n);
}

/*
 * Returns false if clients do not miss the resolver: only a log daemon asks it, it refuses at once,
 * or only another resolver asks it, whose clients show whether that matters.
 */
static bool is_worth_a_note(const struct silent_group *s)
{
	return s->names >= MIN_LOOKUPS && s->reverse < s->lookups && s->forwarded < s->lookups &&
	       !is_refused(s);
}

static void add_hosts(struct context *g, struct finding *f, const struct silent_group *s)
{
	size_t i;

	for (i = 0; i < g->hosts->all; i++) {
		const struct host_part *h = &s->hosts[i];
		bool hurt = is_hurt(h);

		if (hurt)
			finding_add_host(g, &f->affected, &g->hosts->at[i]);
		else if (h->questions && !h->asks)
			finding_add_host(g, &f->unaffected, &g->hosts->at[i]);
		f->cohort.tried += h->asks;
		f->cohort.tried_stalled += h->asks && hurt;
		f->cohort.others += h->questions && !h->asks;
	}
	f->hosts_hurt = f->affected.count;
	if (f->cohort.others)
		f->p_value = fisher_exact(f->cohort.tried_stalled,
					  f->cohort.tried - f->cohort.tried_stalled,
					  f->cohort.others_stalled, f->cohort.others);
}

static void add_silence_lines(const struct context *g, struct finding *f,
			      const struct silent_group *s)
{
	char at[FORMAT_TIME], name[FORMAT_ENDPOINT];
	const struct resolver *upstream = silent_upstream(g->resolvers, s->members[0]);

	finding_line(f, "", "none of %zu question%s about %zu name%s was answered", s->tries,
		     plural(s->tries), s->names, plural(s->names));
	if (s->silence == SILENT_FOR_A_TIME && s->before)
		finding_line(f, "", "before that, %zu lookup%s %s answered, the last at %s",
			     s->before, plural(s->before), were(s->before),
			     format_clock(at, &g->session->start, s->answered_before));
	if (s->silence == SILENT_TO_HOSTS)
		finding_line(f, "",
			     "meanwhile other hosts got answers of it about the same zones: a "
			     "filter or a route between these hosts and the resolver");
	if (upstream)
		finding_line(f, "",
			     "%s, which it asks itself, answers none of its %zu questions: look "
			     "there first",
			     format_resolver(name, upstream), upstream->results[ASKED_SILENT]);
}

static void add_next_lines(struct finding *f, const struct silent_group *s)
{
	char next[FORMAT_ENDPOINT], spread[FORMAT_SPREAD], median[FORMAT_DURATION];
	const char *software;
	bool is_timer;

	if (s->moved && s->next) {
		is_timer = s->timer.count >= MIN_LOOKUPS && s->timer.count * 2 > s->moved;
		software = is_timer ? resolver_timer(s->timer.median) : NULL;
		finding_line(f, "", "%zu of %zu were asked again of %s after %s%s%s%s%s",
			     is_timer ? s->timer.count : s->moved, s->names,
			     format_resolver(next, s->next),
			     finding_format_spread(spread, s->timer.median, s->timer.deviation),
			     is_timer ? ": a fixed timer" : "", software ? " (as " : "",
			     software ? software : "", software ? ")" : "");
		if (s->next->median != NEVER)
			finding_line(f, "", "%s answers in %s (median)", next,
				     format_duration(median, s->next->median));
	}
	if (s->at_once)
		finding_line(f, "", "%zu of %zu were asked of another resolver at the same time",
			     s->at_once, s->names);
}

static void add_cost_lines(const struct context *g, struct finding *f, const struct silent_group *s)
{
	struct asked_names names = names_of_waiting(g, s);
	char total[FORMAT_DURATION], each[FORMAT_DURATION];

	if (s->wait_count)
		finding_line(f, "cost",
			     "the connection came %s after the question (median), %zu time%s",
			     format_duration(total, s->totals[s->wait_count / 2]), s->wait_count,
			     plural(s->wait_count));
	if (s->chained * 2 > s->wait_count)
		finding_line(f, "", "%zu names of %s each: the search list", s->chain,
			     format_duration(each, s->timer.median));
	if (s->wait_count && !is_asked_first(&names))
		finding_line(f, "", "%zu of %zu names of these hosts are asked of it first",
			     names.first, names.all);
	if (hurt_hosts(s) && s->failed)
		finding_line(f, s->wait_count ? "" : "cost",
			     "nobody answered %zu lookup%s, although %s repeated", s->failed,
			     plural(s->failed), s->failed == 1 ? "it was" : "they were");
}

static void add_other_hosts(struct finding *f, const struct silent_group *s)
{
	size_t hurt = hurt_hosts(s);
	size_t others = f->unaffected.count, asking = f->cohort.tried;

	if (hurt && others && s->silence == SILENT_TO_HOSTS)
		finding_line(f, "unaffected", "%zu host%s that it answers, or that ask another one",
			     others, plural(others));
	else if (hurt && others)
		finding_line(f, "unaffected", "%zu host%s: none asked %s meanwhile", others,
			     plural(others), s->member_count > 1 ? "them" : "it");
	if (hurt && asking > hurt)
		finding_line(f, "against",
			     "%zu host%s ask%s it as well, and no connection of %s was seen to "
			     "wait for it",
			     asking - hurt, plural(asking - hurt), asking - hurt == 1 ? "s" : "",
			     asking - hurt == 1 ? "it" : "them");
}

static void add_action(struct finding *f, const struct silent_group *s)
{
	char name[FORMAT_ENDPOINT];

	format_resolver(name, s->members[0]);
	if (!f->is_problem)
		finding_line(
			f, "action",
			"repair %s, or take it off the list that DHCP hands out: if the others "
			"fail, it is no replacement",
			name);
	else if (s->members[0]->is_own)
		finding_line(f, "action",
			     "look at the resolver of this gateway and at what it asks; until it "
			     "answers, give another one to the hosts by DHCP");
	else
		finding_line(f, "action",
			     "ask it from an affected host, as by \"dig @%s .\"; capture in front "
			     "of it: do questions arrive? Until it answers, take it out of the "
			     "list that DHCP hands out",
			     name);
}

static void set_headline(struct context *g, struct finding *f, const struct silent_group *s)
{
	char subject[FORMAT_SUBJECT], fault[FORMAT_CLAUSE], when[FORMAT_CLAUSE],
		cost[FORMAT_CLAUSE], after[FORMAT_DURATION];

	format_members(subject, s);
	format_fault(fault, s);
	format_time(when, g, s);
	if (hurt_hosts(s)) {
		format_cost(cost, g, s);
		finding_text(f, "%s%s %s, %s", when, subject, fault, cost);
	} else if (f->is_problem) {
		finding_text(f, "%s%s %s, and the next resolver is asked %s later", when, subject,
			     fault, format_duration(after, s->timer.median));
		finding_line(f, "", "no TCP passed here, so what waited for it was not seen");
	} else {
		finding_text(f, "%s%s %s; no connection waits for that", when, subject, fault);
	}
}

static void report(struct context *g, const struct silent_group *s)
{
	bool is_problem = hurt_hosts(s) || is_only_dns(g, s);
	struct finding *f;
	size_t i;

	if (!is_problem && !is_worth_a_note(s))
		return;
	f = finding_new(g, KIND_RESOLVER_UNANSWERED, certainty_of(g, s));
	if (!f)
		return;
	f->is_problem = is_problem;
	finding_set_peer(f, &s->members[0]->endpoint);
	for (i = 1; i < s->member_count; i++)
		finding_add_also(f, &s->members[i]->endpoint);
	add_hosts(g, f, s);
	f->stalls = s->wait_count + s->failed;
	f->correlated = f->stalls;
	if (s->moved) {
		f->timer = s->timer.median;
		f->deviation = s->timer.deviation;
	}
	set_headline(g, f, s);
	add_silence_lines(g, f, s);
	add_next_lines(f, s);
	add_cost_lines(g, f, s);
	add_other_hosts(f, s);
	finding_add_resolver_route(g, f, &s->members[0]->endpoint);
	add_action(f, s);
	explain_marked(g, f, s->marked);
}

/* The silence of what a silent resolver asks itself is part of that resolver's finding. */
static void leave_out_upstreams(const struct resolvers *r, enum silence *silences)
{
	struct resolver *upstream;
	size_t i;

	for (i = 0; i < r->count; i++) {
		upstream = silences[i] ? silent_upstream(r, &r->at[i]) : NULL;
		if (upstream)
			silences[upstream - r->at] = NOT_SILENT;
	}
}

static void report_groups(struct context *g, enum silence *silences)
{
	const struct resolvers *r = g->resolvers;
	size_t i;

	leave_out_upstreams(r, silences);
	for (i = 0; i < r->count && !g->out_of_memory; i++) {
		struct silent_group s = {};

		if (silences[i] == NOT_SILENT)
			continue;
		collect_members(r, &s, i, silences);
		if (measure_silence(g, &s))
			report(g, &s);
		silent_group_free(&s);
	}
}

void cause_silent_resolvers(struct context *g)
{
	enum silence *silences = calloc(g->resolvers->count + 1, sizeof(*silences));

	if (silences && find_silent(g, silences))
		report_groups(g, silences);
	g->out_of_memory |= !silences;
	free(silences);
}
