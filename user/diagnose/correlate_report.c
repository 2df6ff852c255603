// SPDX-License-Identifier: GPL-2.0
/* Creates the finding of a correlation: the stalls that it explains, and its evidence. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/correlate.h"
#include "diagnose/forwarding.h"
#include "diagnose/name_operations.h"
#include "diagnose/silent_zones.h"
#include "model/coincidence.h"

/*
 * A page and its follow-up requests end at most this long after the connection that was released.
 */
#define FOLLOW_UP_NS (500 * (ns_t)MILLISECOND_NS)

/* Times of the stalls that a finding explains, for its lines of evidence. */
struct extent {
	/* maximum time between the start of a stall and the attempt that began with it */
	ns_t furthest;
	bool has_earlier; /* some attempts began before their stall */
	size_t answered; /* stalls that ended when the peer answered before the timer */
	ns_t shortest, longest; /* of these, from the attempt on */
};

/* ---- comparison of hosts ---- */

/* Returns true if all attempts of the host that are kept are undecided. */
static bool is_host_undecided(const struct context *g, const struct suspect *s,
			      const struct timeline *t)
{
	bool found = false;
	size_t i;

	for (i = 0; i < t->pending_count; i++) {
		if (!is_at_suspect(s, t->pendings[i]))
			continue;
		if (!is_undecided(g, s, t, t->pendings[i]))
			return false;
		found = true;
	}
	return found;
}

/*
 * Fills in f->affected, f->unaffected, f->cohort and f->p_value from the hosts that tried the
 * suspect and the hosts that stalled. Afterwards the hosts that tried it are counted by f, see
 * count_once(). A host that tried it only in waits that still go on is in neither group.
 */
static void compare_hosts(struct context *g, struct finding *f, const struct suspect *s)
{
	struct cohort *c = &f->cohort;
	const struct pair *pair;
	const struct peer *p;
	size_t i, j;

	for (i = 0; i < s->peer_count; i++) {
		for (j = 0; is_name_peer(g, &s->peers[i]) && j < g->hosts->count; j++)
			if (has_asked(g, &s->peers[i], &g->timelines[j]))
				count_once(&g->timelines[j], f);
		p = model_peer(g->m, &s->peers[i]);
		if (!p)
			continue;
		LIST_FOREACH(pair, &p->pairs, of_peer)
			count_once(timeline_of(g, pair->who.client), f);
	}
	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];
		bool tried = t->counted == f, stalled = t->stall_count > 0;

		if (!host_is_comparable(t->host) ||
		    (tried && !stalled && is_host_undecided(g, s, t)))
			continue;
		c->tried += tried;
		c->tried_stalled += tried && stalled;
		c->others += !tried;
		c->others_stalled += !tried && stalled;
		if (tried && stalled)
			finding_add_host(g, &f->affected, t->host);
		else if (!stalled)
			finding_add_host(g, &f->unaffected, t->host);
	}
	if (f->unaffected.count >= 2)
		f->p_value = fisher_exact(c->tried_stalled, c->tried - c->tried_stalled,
					  c->others_stalled, c->others - c->others_stalled);
}

static bool was_used_promptly(const struct host *h, const struct endpoint *server)
{
	size_t i, j;

	for (i = 0; i < h->client_count; i++) {
		const struct client *c = h->clients[i];

		for (j = 0; c->recent && j < RECENT && j < c->recent_count; j++)
			if (c->recent[j].prompt && same_endpoint(&c->recent[j].to, server))
				return true;
	}
	return false;
}

/*
 * Returns true if at least two hosts used the server of the correlated stalls without a delay. The
 * timer is then not that of an application that waits like this at this server alone.
 */
static bool is_prompt_otherwise(const struct context *g, const struct suspect *s)
{
	const struct endpoint *server = NULL;
	size_t i, hosts = 0;

	for (i = 0; i < s->count && !server; i++)
		if (s->matches[i].correlated)
			server = &s->matches[i].stall->to;
	for (i = 0; server && i < g->hosts->count && hosts < 2; i++)
		hosts += was_used_promptly(&g->hosts->at[i], server);
	return hosts >= 2;
}

/* ---- lines of evidence ---- */

/* Returns the median wait before the first request of the hosts that did not stall. */
static ns_t median_wait(struct context *g)
{
	size_t room = (g->hosts->count + 1) * SAMPLES, i, j, k, n = 0;
	ns_t *waits = malloc(room * sizeof(*waits)), middle;

	if (!waits) {
		g->out_of_memory = true;
		return NEVER;
	}
	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		if (t->stall_count || !host_is_comparable(t->host))
			continue;
		for (j = 0; j < t->host->client_count; j++) {
			const struct samples *s = &t->host->clients[j]->waits;

			for (k = 0; k < s->count && k < SAMPLES && n < room - SAMPLES; k++)
				waits[n++] = s->at[k];
		}
	}
	middle = n ? median(waits, n) : NEVER;
	free(waits);
	return middle;
}

/* Formats ", 18 stalls of 5.003 s (median)": those that the finding explains. */
static void format_stalls(char out[FORMAT_DURATION + 40], struct context *g,
			  const struct finding *f)
{
	ns_t *waits = calloc(g->stall_count + 1, sizeof(*waits));
	char text[FORMAT_DURATION];
	size_t i, n = 0;

	*out = '\0';
	if (!waits)
		g->out_of_memory = true;
	for (i = 0; waits && i < g->stall_count; i++)
		if (g->stalls[i].explained == f)
			waits[n++] = g->stalls[i].stall->wait;
	if (n)
		snprintf(out, FORMAT_DURATION + 40, ", %zu stall%s of %s%s", n, plural(n),
			 format_duration(text, median(waits, n)), n > 1 ? " (median)" : "");
	free(waits);
}

/* Formats ", first request after 26 ms"; empty if no host sent a request. */
static void format_first_request(char out[FORMAT_DURATION + 40], ns_t wait)
{
	char text[FORMAT_DURATION];

	*out = '\0';
	if (wait != NEVER)
		snprintf(out, FORMAT_DURATION + 40, ", first request after %s",
			 format_duration(text, wait));
}

/* Returns what hosts do with the peer of the finding, in words. */
static const char *tried_it(const struct context *g, const struct finding *f)
{
	if (f->peer.zone)
		return "asked for them";
	return is_name_peer(g, &f->peer) ? "asked it" : "tried it";
}

static void add_cohort(struct context *g, struct finding *f)
{
	const struct cohort *c = &f->cohort;
	size_t tried = c->tried - c->tried_stalled;
	char first[FORMAT_DURATION + 40];

	format_stalls(first, g, f);
	finding_line(f, "affected", "%zu host%s that %s%s", f->affected.count,
		     plural(f->affected.count), tried_it(g, f), first);
	if (f->unaffected.count < 2) {
		finding_line(f, "unaffected", "no comparison group%s",
			     g->session->narrowed_clients
				     ? ": --client leaves the others out"
				     : ": fewer than two hosts without a stall");
		return;
	}
	format_first_request(first, median_wait(g));
	if (!tried)
		finding_line(f, "unaffected", "%zu hosts: none %s%s", f->unaffected.count,
			     tried_it(g, f), first);
	else
		finding_line(f, "unaffected", "%zu hosts, %zu of them tried it%s",
			     f->unaffected.count, tried, first);
	finding_line(f, "", "Fisher's exact test p = %.1g, two-sided%s%s", f->p_value,
		     f->p_value > 0.05 ? ": too few hosts for this test alone" : "",
		     g->session->narrowed_clients ? "; only of the hosts that --client lets in"
						  : "");
}

static void add_counter_evidence(struct context *g, struct finding *f, const struct suspect *s)
{
	size_t others = g->stall_count - f->correlated;
	const struct cohort *c = &f->cohort;
	const char *label = "against";

	if (others) {
		finding_line(f, label, "%zu other stall%s not explained by it", others,
			     others == 1 ? " is" : "s are");
		label = "";
	}
	if (s->outside) {
		finding_line(f, label, "%zu stall%s the same length and began without %s",
			     s->outside, s->outside == 1 ? " has" : "s have",
			     is_name_peer(g, &f->peer) ? "such a question" : "an attempt at it");
		label = "";
	}
	if (c->tried > c->tried_stalled) {
		finding_line(f, label, "%zu host%s %s and did not wait",
			     c->tried - c->tried_stalled, plural(c->tried - c->tried_stalled),
			     tried_it(g, f));
		label = "";
	}
	if (s->passed)
		finding_line(f, label, "%zu connect%s of these hosts got through during the waits",
			     s->passed, plural(s->passed));
}

static void add_times(struct finding *f, const struct context *g, const struct suspect *s,
		      const struct extent *extent)
{
	const char *pending = extent->has_earlier ? ", or while it was pending," : "";
	const char *known = known_timer(s->timer);
	const char *what = is_name_peer(g, &s->peers[0]) ? "such a question" : "a SYN to it";
	char timer[FORMAT_SPREAD], offset[FORMAT_DURATION];

	finding_format_spread(timer, s->timer, s->correlated > 1 ? s->deviation : NEVER);
	format_duration(offset, extent->furthest);
	if (s->by_end)
		finding_line(
			f, "",
			"%zu of %zu stall%s began within %s of %s%s and ended when %s, after %s",
			s->correlated_stalls, g->stall_count, plural(g->stall_count), offset, what,
			pending, s->failed ? "that attempt failed" : "it answered", timer);
	else
		finding_line(f, "",
			     "%zu of %zu stall%s began within %s of %s%s and ended %s after "
			     "it%s%s%s%s",
			     s->correlated_stalls - s->answered_stalls, g->stall_count,
			     plural(g->stall_count), offset, what, pending, timer,
			     s->correlated >= 3 ? ": a fixed timer, not load" : "",
			     known ? " (as " : "", known ? known : "", known ? ")" : "");
	if (!extent->answered)
		return;
	format_duration(timer, extent->longest);
	format_duration(offset, extent->shortest);
	finding_line(f, "", "%zu more ended at once when it answered, after %s%s%s",
		     extent->answered, offset, strcmp(offset, timer) ? " to " : "",
		     strcmp(offset, timer) ? timer : "");
}

/* Returns true if the client's attempt that began then was answered only after this time. */
static bool is_answered_after(const struct client *c, const struct recent *attempt, ns_t time)
{
	const struct pending *o;

	TAILQ_FOREACH(o, &c->pendings, of_client)
		if (o->start == attempt->syn && same_endpoint(&o->to, &attempt->to))
			return o->answered != NEVER && o->answered > time;
	return false;
}

/* Returns true if a host got an answer from the peer between these times. */
static bool has_answered_between(const struct peer *p, ns_t from, ns_t until)
{
	const struct pair *pair;
	size_t i;

	LIST_FOREACH(pair, &p->pairs, of_peer) {
		const struct client *c = pair->who.client;

		for (i = 0; c->recent && i < RECENT && i < c->recent_count; i++)
			if (c->recent[i].syn > from && c->recent[i].syn < until &&
			    same_endpoint(&c->recent[i].to, &p->server) &&
			    !is_answered_after(c, &c->recent[i], until))
				return true;
	}
	return false;
}

/* Returns when the peer was first seen to answer a SYN again after its last failure. */
static ns_t back_since(const struct context *g, const struct suspect *s, const struct peer *p)
{
	ns_t back = NEVER;
	size_t i, j;

	for (i = 0; i < g->hosts->count; i++)
		for (j = 0; j < g->timelines[i].pending_count; j++) {
			const struct pending *o = g->timelines[i].pendings[j];

			if (same_endpoint(&o->to, &s->peers[0]) && o->answered != NEVER &&
			    o->answered > p->last_failure && (back == NEVER || o->answered < back))
				back = o->answered;
		}
	return back != NEVER ? back : p->last_failure;
}

/* Adds the time of the failure, if the peer answered before it or after it, and not meanwhile. */
static void add_when(const struct context *g, struct finding *f, const struct suspect *s,
		     const struct peer *p)
{
	char since[FORMAT_TIME], until[FORMAT_TIME];
	const struct session *session = g->session;
	bool before, after;

	if (!s->failed || p->first_failure == NEVER || p->first_answer == NEVER ||
	    has_answered_between(p, p->first_failure, p->last_failure))
		return;
	before = p->first_answer < p->first_failure;
	after = p->last_answer > p->last_failure;
	format_run_clock(since, &session->start, session->duration, p->first_failure);
	format_run_clock(until, &session->start, session->duration, back_since(g, s, p));
	if (before && after)
		finding_line(f, "when", "from %s to %s: it answered before, and does so again",
			     since, until);
	else if (before)
		finding_line(f, "when", "since %s: it answered before", since);
	else if (after)
		finding_line(f, "when", "until %s: it has answered since", until);
}

/* Adds the other addresses of the same service. */
static void add_addresses(struct context *g, struct finding *f, const struct suspect *s)
{
	char peer[FORMAT_PEER], text[MAX_FINDING_TEXT];
	size_t i, n = 0;

	for (i = 1; i < s->peer_count && n < sizeof(text); i++) {
		finding_add_also(f, &s->peers[i]);
		n += snprintf(text + n, sizeof(text) - n, "%s%s", i > 1 ? ", " : "",
			      format_finding_peer(peer, g, &s->peers[i]));
	}
	if (n)
		finding_line(f, "likewise",
			     "%s: these hosts try one of them at a time, and wait for each", text);
}

static void add_also(struct context *g, struct finding *f, const struct suspect *also, size_t count)
{
	char text[FORMAT_PEER];
	size_t i;

	for (i = 0; i < count; i++) {
		finding_add_also(f, &also[i].peers[0]);
		finding_line(f, i ? "" : "or",
			     "%s, tried at the same moments: the packets cannot distinguish them",
			     format_finding_peer(text, g, &also[i].peers[0]));
	}
}

static bool is_same_chain(const struct match *a, const struct match *b)
{
	unsigned int i;

	for (i = 0; i < a->length && a->length == b->length; i++)
		if (!same_endpoint(&a->timeline->pendings[a->chain[i]]->to,
				   &b->timeline->pendings[b->chain[i]]->to))
			return false;
	return a->length == b->length;
}

/* Returns the match whose sequence of peers is the most frequent one. */
static const struct match *most_frequent_chain(const struct suspect *s)
{
	const struct match *most = NULL;
	size_t i, j, n, best = 0;

	for (i = 0; i < s->count; i++) {
		if (!s->matches[i].correlated || (most && is_same_chain(most, &s->matches[i])))
			continue;
		for (j = i, n = 0; j < s->count; j++)
			n += s->matches[j].correlated &&
			     is_same_chain(&s->matches[i], &s->matches[j]);
		if (n > best) {
			best = n;
			most = &s->matches[i];
		}
	}
	return most;
}

/* Returns the time that the attempt at this place of a chain took. */
static ns_t part_of(const struct match *m, unsigned int place)
{
	const struct pending *const *o = (const struct pending *const *)m->timeline->pendings;
	ns_t end = place + 1 < m->length ? o[m->chain[place + 1]]->start : stall_end(m->stall);

	return end - o[m->chain[place]]->start;
}

/* Returns the median part of an attempt, over all correlated matches with the same chain. */
static ns_t median_part(struct context *g, const struct suspect *s, const struct match *like,
			unsigned int place)
{
	ns_t *parts = malloc((s->count + 1) * sizeof(*parts)), middle;
	size_t i, n = 0;

	if (!parts) {
		g->out_of_memory = true;
		return NEVER;
	}
	for (i = 0; i < s->count; i++)
		if (s->matches[i].correlated && is_same_chain(like, &s->matches[i]))
			parts[n++] = part_of(&s->matches[i], place);
	middle = median(parts, n);
	free(parts);
	return middle;
}

/* Returns the number of attempts from this place on that are at one peer and last as long. */
static unsigned int count_alike(const struct match *m, const ns_t *parts, unsigned int place)
{
	const struct pending *const *o = (const struct pending *const *)m->timeline->pendings;
	unsigned int n = 1;

	while (place + n < m->length &&
	       llabs(parts[place + n] - parts[place]) <= parts[place] / 10 &&
	       same_endpoint(&o[m->chain[place]]->to, &o[m->chain[place + n]]->to))
		n++;
	return n;
}

/* Adds the parts of the most frequent chain, and all its peers. */
static void add_chain(struct context *g, struct finding *f, const struct suspect *s)
{
	const struct match *m = most_frequent_chain(s);
	char peer[FORMAT_PEER], part[FORMAT_DURATION], text[MAX_FINDING_TEXT];
	ns_t parts[MAX_CHAIN];
	unsigned int i, alike;
	size_t n = 0;

	if (!m || m->length < 2)
		return;
	for (i = 0; i < m->length; i++)
		parts[i] = median_part(g, s, m, i);
	for (i = 0; i < m->length && n < sizeof(text); i += alike) {
		const struct endpoint *to = &m->timeline->pendings[m->chain[i]]->to;

		alike = count_alike(m, parts, i);
		n += snprintf(text + n, sizeof(text) - n, "%s%s for ", i ? ", then " : "",
			      format_finding_peer(peer, g, to));
		format_duration(part, parts[i]);
		if (n < sizeof(text) && alike > 1)
			n += snprintf(text + n, sizeof(text) - n, "%u times %s", alike, part);
		else if (n < sizeof(text))
			n += snprintf(text + n, sizeof(text) - n, "%s", part);
		if (!finding_names(f, to))
			finding_add_also(f, to);
	}
	finding_line(f, "in turn", "%s", text);
}

/* Adds the correlated match whose time is closest to the timer. */
static void add_example(const struct context *g, struct finding *f, const struct suspect *s)
{
	const struct match *best = NULL, *m;
	size_t i;

	for (i = 0; i < s->count; i++) {
		m = &s->matches[i];
		if (m->correlated && m->strong &&
		    (!best || llabs(m->t - s->timer) < llabs(best->t - s->timer)))
			best = m;
	}
	if (!best)
		return;
	f->has_example = true;
	example_of_stall(&f->example, best->stall);
	example_add_attempt(&f->example, best->pending);
	f->example.asks_name = name_operation_of(g, best->pending);
}

/* ---- the finding ---- */

static void note_answered(struct extent *extent, ns_t t)
{
	if (!extent->answered || t < extent->shortest)
		extent->shortest = t;
	if (t > extent->longest)
		extent->longest = t;
	extent->answered++;
}

/* Returns the attempt at the suspect with which the stall began and with whose answer it ended. */
static const struct pending *answered_with(const struct suspect *s, const struct timeline *t,
					   const struct stall *stall)
{
	size_t i;

	for (i = 0; i < t->pending_count; i++) {
		const struct pending *o = t->pendings[i];

		if (o->start >= stall->start - LAG_NS && o->start <= stall->start + LEAD_NS &&
		    is_at_suspect(s, o) && ends_with_answer(o, stall_end(stall)))
			return o;
	}
	return NULL;
}

/*
 * A few stalls are no evidence against the peer, because a single lost SYN explains them as well.
 * If the peer is known to fail, they are explained by it.
 */
static void mark_answered(struct finding *f, const struct suspect *s, struct extent *extent)
{
	const struct timeline *t = NULL;
	const struct pending *o;
	size_t i, j;

	for (i = 0; i < s->count; i++) {
		if (s->matches[i].timeline == t || !s->matches[i].correlated)
			continue;
		t = s->matches[i].timeline;
		for (j = 0; j < t->stall_count; j++) {
			struct noted_stall *noted = &t->stalls[j];

			o = noted->explained ? NULL : answered_with(s, t, noted->stall);
			if (!o)
				continue;
			noted->explained = f;
			f->correlated++;
			note_answered(extent, stall_end(noted->stall) - o->start);
		}
	}
}

/* Marks the correlated stalls, and the stalls that ended shortly after the same release. */
static struct extent mark_explained(struct finding *f, const struct suspect *s)
{
	ns_t follow_up = s->timer / 4 > FOLLOW_UP_NS ? s->timer / 4 : FOLLOW_UP_NS;
	const struct timeline *t = NULL;
	struct extent extent = {};
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct match *m = &s->matches[i];

		if (m->t >= s->timer && m->t <= s->timer + follow_up)
			m->noted->explained = f;
		if (!m->correlated)
			continue;
		m->noted->explained = f;
		f->hosts_hurt += m->timeline != t;
		t = m->timeline;
		if (!m->strong)
			extent.has_earlier = true;
		else if (llabs(m->pending->start - m->stall->start) > extent.furthest)
			extent.furthest = llabs(m->pending->start - m->stall->start);
		if (m->answered)
			note_answered(&extent, m->t);
	}
	if (f->confidence > CONFIDENCE_LOW && !s->by_end)
		mark_answered(f, s, &extent);
	return extent;
}

/* Returns how often the peer is tried in a wait, which is more than once if it refuses at once. */
static unsigned int median_tries(const struct suspect *s)
{
	ns_t tries[64];
	size_t i, n = 0;

	for (i = 0; i < s->count && n < sizeof(tries) / sizeof(tries[0]); i++)
		if (s->matches[i].correlated)
			tries[n++] = s->matches[i].pending->tries;
	return n ? (unsigned int)median(tries, n) : 1;
}

/* Describes how the peer fails its clients. */
static const char *failure_pattern(const struct context *g, const struct suspect *s,
				   const struct peer *p)
{
	if (!s->failed)
		return "answers late";
	if (p->failures[FAILURE_UNREACHABLE] && s->by_end)
		return "is unreachable";
	if (p->failures[FAILURE_REFUSED] && s->by_end)
		return "refuses late";
	if (median_tries(s) > 1)
		return p->failures[FAILURE_UNREACHABLE] ? "is unreachable each time"
							: "refuses each time";
	if (is_dropped_here(g, p))
		return "is cut off by this gateway itself";
	return p->answered && !p->failures[FAILURE_SILENT] ? "accepts and then is silent"
							   : "does not answer";
}

static void add_action(struct context *g, struct finding *f, const struct suspect *s,
		       const struct peer *p)
{
	if (f->peer.zone)
		finding_add_zone_action(g, f, zone_numbered(g, f->peer.zone));
	else if (!s->failed)
		finding_line(
			f, "action",
			"find out on it why it answers late: its load, its log, and what it asks "
			"in turn (a name server, a database)");
	else if (is_dropped_here(g, p))
		finding_line(
			f, "action",
			"check what drops its packets on this gateway: nft list ruleset, ip rule, "
			"ip route get ADDRESS, rp_filter");
	else if (s->by_end || median_tries(s) > 1)
		finding_line(f, "action",
			     "restore it, or have the programs of these hosts stop asking it");
	else
		finding_line(f, "action",
			     "restore the way to it; until then let attempts at it be refused "
			     "(RST) instead of dropped, so that programs do not wait");
}

/* Sets the headline of a finding about names: "names under corp.example get no answer from ...". */
static void set_name_text(struct context *g, struct finding *f, const struct suspect *s)
{
	char server[FORMAT_ENDPOINT], wait[FORMAT_DURATION];
	const struct resolver *r = find_resolver(g->resolvers, &f->peer.address, f->peer.port);
	const char *what = f->peer.zone ? zone_text(g, f->peer.zone) : "";

	format_resolver(server, r);
	format_duration(wait, s->timer);
	if (f->peer.zone)
		finding_text(f,
			     "%s get%s no answer from %s, and %zu of %zu host%s wait%s %s for that",
			     what, zone_is_singular(zone_numbered(g, f->peer.zone)) ? "s" : "",
			     server, f->hosts_hurt, g->hosts->count, plural(g->hosts->count),
			     f->hosts_hurt == 1 ? "s" : "", wait);
	else
		finding_text(f, "%s %s, and %zu of %zu host%s wait%s %s for it", server,
			     s->failed ? "does not answer DNS" : "answers DNS late", f->hosts_hurt,
			     g->hosts->count, plural(g->hosts->count),
			     f->hosts_hurt == 1 ? "s" : "", wait);
}

static void set_text(struct context *g, struct finding *f, const struct suspect *s,
		     const struct peer *p)
{
	char peer[FORMAT_ENDPOINT];

	if (is_name_peer(g, &f->peer))
		set_name_text(g, f, s);
	else
		finding_text(f, "%s %s, and %zu of %zu host%s wait%s for it",
			     format_endpoint(peer, &s->peers[0]), failure_pattern(g, s, p),
			     f->hosts_hurt, g->hosts->count, plural(g->hosts->count),
			     f->hosts_hurt == 1 ? "s" : "");
}

void report_correlation(struct context *g, const struct suspect *s, const struct suspect *also,
			size_t count)
{
	const struct peer *p = peer_of(g, &s->peers[0]);
	struct certainty certainty = doubtful(CONFIDENCE_LOW, "");
	bool proxied = is_proxied(s);
	struct extent extent;
	struct finding *f;

	f = p ? finding_new(g, s->failed ? KIND_WAITS_FOR_PEER : KIND_SLOW_HELPER, certainty)
	      : NULL;
	if (!f)
		return;
	finding_set_peer(f, &s->peers[0]);
	compare_hosts(g, f, s);
	correlation_confidence(s, &f->cohort, proxied, is_prompt_otherwise(g, s), &certainty);
	f->confidence = certainty.level;
	f->confidence_reason = certainty.reason;
	f->stalls = g->stall_count;
	f->correlated = s->correlated_stalls;
	f->timer = s->timer;
	f->deviation = s->deviation;
	extent = mark_explained(f, s);

	set_text(g, f, s, p);
	add_times(f, g, s, &extent);
	if (median_tries(s) > 1)
		finding_line(f, "", "they try it %u times in a row, as it fails at once each time",
			     median_tries(s));
	if (f->peer.zone)
		finding_add_zone(g, f, zone_numbered(g, f->peer.zone));
	else
		add_when(g, f, s, p);
	add_addresses(g, f, s);
	add_chain(g, f, s);
	add_also(g, f, also, count);
	add_cohort(g, f);
	if (proxied && !s->several_destinations)
		finding_line(f, "proxy", "these hosts use one server only: all stalls are on it");
	finding_add_route(g, f, p);
	add_action(g, f, s, p);
	add_counter_evidence(g, f, s);
	if (f->confidence < CONFIDENCE_HIGH)
		finding_line(f, "significance",
			     "%zu coincidence%s; by chance: starts %.1g, ends %.1g", s->correlated,
			     plural(s->correlated), s->chance_of_starts, s->chance_of_ends);
	add_example(g, f, s);
}
