// SPDX-License-Identifier: GPL-2.0
/*
 * Reports resolvers that answer late. A resolver that gives up another one after a timer of its own
 * is late by that timer, for each name that it does not have in its cache.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/resolvers.h"

/* Minimum share of late names among those that were answered. */
#define TIMER_SHARE 0.1
#define OTHER_SHARE 0.3

/* Without a timer, so many late names are needed: some zones are slow everywhere. */
#define MIN_WITHOUT_TIMER 5

/* An answer to the last try that comes so soon shows that the tries before it were lost. */
#define PROMPT_NS (20 * (ns_t)MILLISECOND_NS)

/*
 * Above this share of names that are answered only when they are asked again, it is no random loss:
 * a forwarder that is not answered keeps silent, and asks another server only then.
 */
#define AGAIN_SHARE 0.5

#define MAX_TIMER_DEVIATION_NS (50 * (ns_t)MILLISECOND_NS)
#define MAX_CHANCE 1e-3

/* A resolver's names that were answered late. */
struct lateness {
	struct resolver *resolver;
	ns_t usual; /* median of the answers that were not late; NEVER if all were */
	size_t names, late;
	bool again; /* most names are answered only when they are asked again */
	size_t failed; /* late ones that ended with an error */
	size_t prompt_failed; /* others that did */
	bool zones_differ;
	ns_t *times; /* of the late ones */
	struct cluster timer;
	bool is_timer;
	ns_t *waits; /* from the question to the SYN, of the late ones */
	size_t wait_count;
	bool *waiting, *asking, *late_hosts; /* by index of the host */
	size_t hosts_waiting, hosts_asking, hosts_late;
	bool *lookups; /* by index of g->lookups: it is late */
};

/* ---- which answers are late ---- */

static ns_t threshold(const struct context *g)
{
	return g->session->stall > MIN_RESOLVER_WAIT_NS ? g->session->stall : MIN_RESOLVER_WAIT_NS;
}

static ns_t usual_time(const struct context *g, const struct resolver *s, ns_t *room)
{
	size_t i, n = 0;

	for (i = 0; i < s->count; i++)
		if (s->asked[i].took != NEVER && s->asked[i].took < threshold(g))
			room[n++] = s->asked[i].took;
	return n ? median(room, n) : NEVER;
}

/* Log daemons ask for names of addresses, and wait for nothing. */
static bool is_in_background(const struct asked *a)
{
	return a->is_local || (a->n->l->type == DNS_PTR && a->n->wait == NEVER);
}

/* Returns true if the tries before the last one were lost, and that one was answered as usual. */
static bool was_lost(const struct lateness *l, const struct asked *a)
{
	ns_t prompt = l->usual == NEVER ? PROMPT_NS : 2 * l->usual + PROMPT_NS;

	return a->tries > 1 && a->after_last <= prompt;
}

/* Finds out whether the resolver leaves most first questions without an answer. */
static bool answers_second_question(const struct lateness *l)
{
	const struct resolver *s = l->resolver;
	size_t i, n = 0, all = 0;

	for (i = 0; i < s->count; i++) {
		const struct asked *a = &s->asked[i];

		if (a->result != ASKED_ANSWERED || a->n->explained || is_in_background(a))
			continue;
		all++;
		n += was_lost(l, a) && a->answered - a->first >= MIN_RESOLVER_WAIT_NS;
	}
	return n >= MIN_WITHOUT_TIMER && n >= AGAIN_SHARE * all;
}

/* Returns the time from the first question to the answer, whatever try it answers. */
static ns_t time_of(const struct asked *a)
{
	return a->took == NEVER ? NEVER : a->answered - a->first;
}

static bool is_answered_late(const struct context *g, const struct lateness *l,
			     const struct asked *a)
{
	ns_t time = l->again ? time_of(a) : a->took;

	return time != NEVER && time >= threshold(g) &&
	       (l->usual == NEVER || time >= 5 * l->usual) && (l->again || !was_lost(l, a));
}

/* Returns true if a type of the same name was counted before. */
static bool is_counted(const struct resolver *s, const struct lateness *l, const struct context *g,
		       const struct asked *a, bool late)
{
	const struct asked *b;

	for (b = a; b-- > s->asked && a->first - b->first < MIN_RETRY_NS;)
		if (is_same_question(a->n, b->n) && !b->n->explained && b->took != NEVER &&
		    l->lookups[b->n - g->lookups] == late)
			return true;
	return false;
}

static void add_late(const struct context *g, struct lateness *l, const struct asked *a,
		     uint64_t *zone)
{
	uint64_t this = zone_of_lookup(g, a->n->l);

	l->late_hosts[host_index(g, a->n)] = true;
	l->times[l->late++] = l->again ? time_of(a) : a->took;
	l->failed += a->failed;
	l->zones_differ |= *zone && this && this != *zone;
	if (this)
		*zone = this;
}

static void count_late(const struct context *g, struct lateness *l)
{
	const struct resolver *s = l->resolver;
	uint64_t zone = 0;
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct asked *a = &s->asked[i];
		bool late = is_answered_late(g, l, a);

		if (a->n->explained || a->took == NEVER || is_in_background(a))
			continue;
		l->asking[host_index(g, a->n)] = true;
		l->lookups[a->n - g->lookups] = late;
		if (is_counted(s, l, g, a, late))
			continue;
		l->names++;
		if (late)
			add_late(g, l, a, &zone);
		else
			l->prompt_failed += a->failed;
	}
}

/* ---- the cost ---- */

static size_t count_hosts(const struct context *g, const bool *hosts)
{
	size_t i, n = 0;

	for (i = 0; i < g->hosts->all; i++)
		n += hosts[i];
	return n;
}

static void find_timer(struct lateness *l)
{
	if (!l->late)
		return;
	l->timer = cluster_of(l->times, l->late);
	l->is_timer = l->timer.count >= MIN_LOOKUPS && l->timer.count * 2 > l->late &&
		      l->timer.chance <= MAX_CHANCE && l->timer.deviation <= MAX_TIMER_DEVIATION_NS;
}

static bool measure(struct context *g, struct resolver *s, struct lateness *l)
{
	*l = (struct lateness){
		.resolver = s,
		.times = calloc(s->count + 1, sizeof(*l->times)),
		.waits = calloc(g->lookup_count + 1, sizeof(*l->waits)),
		.waiting = calloc(g->hosts->all + 1, sizeof(*l->waiting)),
		.asking = calloc(g->hosts->all + 1, sizeof(*l->asking)),
		.late_hosts = calloc(g->hosts->all + 1, sizeof(*l->late_hosts)),
		.lookups = calloc(g->lookup_count + 1, sizeof(*l->lookups)),
	};
	if (!l->times || !l->waits || !l->waiting || !l->asking || !l->late_hosts || !l->lookups) {
		g->out_of_memory = true;
		return false;
	}
	l->usual = usual_time(g, s, l->times);
	l->again = answers_second_question(l);
	count_late(g, l);
	find_timer(l);
	l->wait_count = marked_waits(g, l->lookups, threshold(g), l->waits, l->waiting);
	l->hosts_waiting = count_hosts(g, l->waiting);
	l->hosts_asking = count_hosts(g, l->asking);
	l->hosts_late = count_hosts(g, l->late_hosts);
	return true;
}

static void lateness_free(struct lateness *l)
{
	free(l->times);
	free(l->waits);
	free(l->waiting);
	free(l->asking);
	free(l->late_hosts);
	free(l->lookups);
}

/* ---- the finding ---- */

static bool is_slow(const struct lateness *l)
{
	if (l->is_timer)
		return l->late >= TIMER_SHARE * l->names;
	return l->late >= MIN_WITHOUT_TIMER && l->late >= OTHER_SHARE * l->names &&
	       l->hosts_late >= 2;
}

/* Names that nobody waits for are no problem, unless no connection passes here at all. */
static bool is_waited_for_by_anyone(const struct context *g, const struct lateness *l)
{
	return l->wait_count || !g->m->connections || l->failed * 2 > l->late;
}

static struct certainty certainty_of(const struct context *g, const struct lateness *l)
{
	if (!is_waited_for_by_anyone(g, l))
		return doubtful(CONFIDENCE_LOW, "nobody is seen to wait for these names");
	if (l->is_timer && l->hosts_waiting >= 2 && (l->zones_differ || l->again))
		return certainty_by_count(l->wait_count);
	if (l->wait_count == 1)
		return doubtful(CONFIDENCE_LOW, "one wait only");
	return doubtful(CONFIDENCE_MEDIUM,
			!l->is_timer ? "the delays are not equally long"
			: l->hosts_waiting < 2
				? "fewer than two hosts are seen to wait"
				: "all are names of one zone: its servers may be slow");
}

static const char *timer_behind(ns_t timer)
{
	ns_t three = 3 * (ns_t)SECOND_NS;
	ns_t times = (timer + three / 2) / three;

	if (times >= 1 && times <= 2 && llabs(timer - times * three) <= timer / 50)
		return times == 1 ? ", as of a Windows DNS server whose first forwarder is silent"
				  : ", as of a Windows DNS server with two silent forwarders";
	return "";
}

static void set_headline(struct finding *f, const struct lateness *l)
{
	char name[FORMAT_ENDPOINT], time[FORMAT_DURATION], wait[FORMAT_DURATION];
	const char *own = l->resolver->is_own ? " (this gateway's own resolver)" : "";

	format_resolver(name, l->resolver);
	format_duration(time, l->timer.median);
	if (l->failed * 2 > l->late)
		finding_text(f, "%s%s fails to answer %zu of %zu names, after %s each", name, own,
			     l->late, l->names, time);
	else if (l->wait_count)
		finding_text(f,
			     "%s%s answers %zu of %zu names only after %s, and %zu of %zu host%s "
			     "wait%s %s",
			     name, own, l->late, l->names, time, l->hosts_waiting, l->hosts_asking,
			     plural(l->hosts_asking), l->hosts_waiting == 1 ? "s" : "",
			     format_duration(wait, l->waits[l->wait_count / 2]));
	else
		finding_text(f, "%s%s answers %zu of %zu names only after %s", name, own, l->late,
			     l->names, time);
}

static void add_timer_line(struct finding *f, const struct lateness *l)
{
	char spread[FORMAT_SPREAD], least[FORMAT_DURATION], most[FORMAT_DURATION];

	if (l->again)
		finding_line(f, "",
			     "it answers when it is asked again, after %s: it forwards to a server "
			     "that is silent, and tries the next one only then, as dnsmasq does "
			     "with --strict-order",
			     finding_format_spread(spread, l->timer.median, l->timer.deviation));
	else if (l->is_timer)
		finding_line(f, "", "%zu of %zu took %s: a timer behind it%s", l->timer.count,
			     l->late,
			     finding_format_spread(spread, l->timer.median, l->timer.deviation),
			     timer_behind(l->timer.median));
	else
		finding_line(f, "", "they took %s to %s: no timer, but load or a slow way to it",
			     format_duration(least, l->times[0]),
			     format_duration(most, l->times[l->late - 1]));
}

static void add_lines(const struct context *g, struct finding *f, const struct lateness *l)
{
	const struct resolver *upstream = silent_upstream(g->resolvers, l->resolver);
	char time[FORMAT_DURATION], name[FORMAT_ENDPOINT];
	size_t prompt = l->names - l->late;

	add_timer_line(f, l);
	if (prompt && l->usual != NEVER)
		finding_line(f, "", "it answers %zu other name%s in %s (median): %s", prompt,
			     plural(prompt), format_duration(time, l->usual),
			     l->is_timer ? "they are its own, or in its cache"
					 : "it is up, and the way to it is short");
	if (!l->zones_differ && !l->again && !upstream)
		finding_line(f, "against",
			     "the late names are of one zone, so the servers of that zone may be "
			     "the cause");
	if (upstream)
		finding_line(f, "",
			     "%s, which it asks itself, answers none of its %zu questions: look "
			     "there first",
			     format_resolver(name, upstream), upstream->results[ASKED_SILENT]);
	if (l->wait_count)
		finding_line(f, "cost",
			     "the connection came %s after the question (median), %zu time%s",
			     format_duration(time, l->waits[l->wait_count / 2]), l->wait_count,
			     plural(l->wait_count));
	else if (g->m->connections)
		finding_line(f, "cost", "no connection was seen to wait for these names");
	finding_line(f, "action",
		     "look at the list of forwarders of %s, and ask each of them from there: one "
		     "that does not answer delays each name that is not in the cache",
		     format_resolver(name, l->resolver));
}

static void add_hosts(struct context *g, struct finding *f, const struct lateness *l)
{
	finding_add_marked_hosts(g, f, l->wait_count ? l->waiting : l->late_hosts);
	f->hosts_hurt = l->wait_count || f->is_problem ? f->affected.count : 0;
}

static void report(struct context *g, struct lateness *l)
{
	struct finding *f = finding_new(g, KIND_RESOLVER_SLOW, certainty_of(g, l));

	if (!f)
		return;
	if (l->wait_count)
		qsort(l->waits, l->wait_count, sizeof(*l->waits), compare_ns);
	f->is_problem = is_waited_for_by_anyone(g, l);
	finding_set_peer(f, &l->resolver->endpoint);
	f->stalls = l->names;
	f->correlated = l->late;
	if (l->is_timer) {
		f->timer = l->timer.median;
		f->deviation = l->timer.deviation;
	}
	add_hosts(g, f, l);
	set_headline(f, l);
	add_lines(g, f, l);
	explain_marked(g, f, l->lookups);
}

void cause_slow_resolvers(struct context *g)
{
	const struct resolvers *r = g->resolvers;
	size_t i;

	for (i = 0; i < r->count && !g->out_of_memory; i++) {
		struct lateness l;

		if (measure(g, &r->at[i], &l) && is_slow(&l))
			report(g, &l);
		lateness_free(&l);
	}
}
