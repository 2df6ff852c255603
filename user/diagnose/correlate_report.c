// SPDX-License-Identifier: GPL-2.0
/* Creates the finding of a correlation: the stalls that it explains, and its evidence. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/correlate.h"
#include "diagnose/forwarding.h"
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
};

/* ---- lines of evidence ---- */

/*
 * Returns the median wait of the hosts that stalled and tried the peer, or of the hosts that did
 * not stall.
 */
static ns_t median_wait(struct context *g, const struct finding *f, bool stalled)
{
	size_t room = (g->hosts->count + 1) * SAMPLES, i, j, k, n = 0;
	ns_t *waits = malloc(room * sizeof(*waits)), middle;

	if (!waits) {
		g->out_of_memory = true;
		return NEVER;
	}
	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		if ((t->stall_count > 0) != stalled || !host_is_comparable(t->host) ||
		    (stalled && t->counted != f))
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

/* Formats ", first request after 26 ms"; empty if no host sent a request. */
static void format_first_request(char out[FORMAT_DURATION + 40], ns_t wait)
{
	char text[FORMAT_DURATION];

	*out = '\0';
	if (wait != NEVER)
		snprintf(out, FORMAT_DURATION + 40, ", first request after %s",
			 format_duration(text, wait));
}

static void add_cohort(struct context *g, struct finding *f)
{
	const struct cohort *c = &f->cohort;
	size_t tried = c->tried - c->tried_stalled;
	char first[FORMAT_DURATION + 40];

	format_first_request(first, median_wait(g, f, true));
	finding_line(f, "affected", "%zu host%s that tried it%s%s", f->affected.count,
		     plural(f->affected.count), first, *first ? " (median)" : "");
	if (f->unaffected.count < 2) {
		finding_line(f, "unaffected", "no comparison group%s",
			     g->session->narrowed_clients
				     ? ": --client leaves the others out"
				     : ": fewer than two hosts without a stall");
		return;
	}
	format_first_request(first, median_wait(g, f, false));
	if (!tried)
		finding_line(f, "unaffected", "%zu hosts: none tried it%s", f->unaffected.count,
			     first);
	else
		finding_line(f, "unaffected", "%zu hosts, %zu of them tried it%s",
			     f->unaffected.count, tried, first);
	finding_line(f, "", "Fisher's exact test p = %.0e, two-sided%s", f->p_value,
		     g->session->narrowed_clients ? "; only of the hosts that --client lets in"
						  : "");
}

static void add_counter_evidence(struct context *g, struct finding *f, const struct suspect *s)
{
	size_t others = g->stall_count - s->correlated_stalls;
	const struct cohort *c = &f->cohort;
	const char *label = "against";

	if (others) {
		finding_line(f, label, "%zu other stall%s not explained by it", others,
			     others == 1 ? " is" : "s are");
		label = "";
	}
	if (s->outside) {
		finding_line(f, label,
			     "%zu stall%s the same length and began without an attempt at it",
			     s->outside, s->outside == 1 ? " has" : "s have");
		label = "";
	}
	if (c->tried > c->tried_stalled) {
		finding_line(f, label, "%zu host%s tried it and did not wait",
			     c->tried - c->tried_stalled, plural(c->tried - c->tried_stalled));
		label = "";
	}
	if (s->passed)
		finding_line(f, label,
			     "%zu connection%s of these hosts got through during the waits",
			     s->passed, plural(s->passed));
}

static void add_times(struct finding *f, const struct context *g, const struct suspect *s,
		      const struct extent *extent)
{
	const char *pending = extent->has_earlier ? ", or while it was pending," : "";
	const char *known = known_timer(s->timer);
	char timer[FORMAT_SPREAD], offset[FORMAT_DURATION];

	finding_format_spread(timer, s->timer, s->correlated > 1 ? s->deviation : NEVER);
	format_duration(offset, extent->furthest);
	if (s->by_end)
		finding_line(f, "",
			     "%zu of %zu stall%s began within %s of a SYN to it%s and ended when "
			     "%s, after %s",
			     s->correlated_stalls, g->stall_count, plural(g->stall_count), offset,
			     pending, s->failed ? "that attempt failed" : "it answered", timer);
	else
		finding_line(f, "",
			     "%zu of %zu stall%s began within %s of a SYN to it%s and ended %s "
			     "after it%s%s%s%s",
			     s->correlated_stalls, g->stall_count, plural(g->stall_count), offset,
			     pending, timer, s->correlated >= 3 ? ": a fixed timer, not load" : "",
			     known ? " (as " : "", known ? known : "", known ? ")" : "");
}

static void add_also(struct finding *f, const struct suspect *also, size_t count)
{
	char text[FORMAT_ENDPOINT];
	size_t i;

	for (i = 0; i < count; i++) {
		finding_add_also(f, &also[i].peer);
		finding_line(f, i ? "" : "or",
			     "%s, tried at the same moments: the packets cannot distinguish them",
			     format_endpoint(text, &also[i].peer));
	}
}

/* Adds the correlated match whose time is closest to the timer. */
static void add_example(struct finding *f, const struct suspect *s)
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
}

/* ---- the finding ---- */

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
	}
	return extent;
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
	if (is_dropped_here(g, p))
		return "is cut off by this gateway itself";
	return p->answered && !p->failures[FAILURE_SILENT] ? "accepts and then is silent"
							   : "does not answer";
}

void report_correlation(struct context *g, const struct suspect *s, const struct suspect *also,
			size_t count)
{
	const struct peer *p = model_peer(g->m, &s->peer);
	char peer[FORMAT_ENDPOINT];
	bool proxied = is_proxied(s);
	struct extent extent;
	struct finding *f;

	f = p ? finding_new(g, s->failed ? KIND_WAITS_FOR_PEER : KIND_SLOW_HELPER, CONFIDENCE_LOW)
	      : NULL;
	if (!f)
		return;
	finding_set_peer(f, &s->peer);
	finding_compare(g, f, p);
	correlation_confidence(s, &f->cohort, proxied, &f->confidence);
	f->stalls = g->stall_count;
	f->correlated = s->correlated_stalls;
	f->timer = s->timer;
	f->deviation = s->deviation;
	extent = mark_explained(f, s);

	finding_text(f, "%s %s, and %zu of %zu host%s wait%s for it",
		     format_endpoint(peer, &s->peer), failure_pattern(g, s, p), f->hosts_hurt,
		     g->hosts->count, plural(g->hosts->count), f->hosts_hurt == 1 ? "s" : "");
	add_times(f, g, s, &extent);
	add_also(f, also, count);
	add_cohort(g, f);
	if (proxied && !s->several_destinations)
		finding_line(f, "proxy", "these hosts use one server only: all stalls are on it");
	finding_add_route(g, f, p);
	add_counter_evidence(g, f, s);
	if (f->confidence < CONFIDENCE_HIGH)
		finding_line(f, "significance",
			     "%zu coincidence%s; by chance: starts %.0e, ends %.0e", s->correlated,
			     plural(s->correlated), s->chance_of_starts, s->chance_of_ends);
	add_example(f, s);
}
