// SPDX-License-Identifier: GPL-2.0
/*
 * Reports stalls that no packet explains. Stalls of equal length are due to a timer; others may be
 * due to people.
 */
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"
#include "diagnose/zones.h"

#define MAX_TIMERS 4 /* maximum number of findings */
#define MAX_PENDING 3 /* maximum number of peers listed that were pending during the stalls */

/* Minimum length of a stall without a cause that is worth a finding. */
#define NOTABLE_NS (2 * (ns_t)SECOND_NS)

/* A stall that no finding explains, with its host. */
struct open_stall {
	struct noted_stall *noted;
	const struct stall *stall; /* same as noted->stall */
	struct timeline *timeline;
};

/* A peer that was tried in vain during the stalls, but does not correlate with them. */
struct pending_peer {
	struct endpoint to;
	size_t stalls;
	const struct stall *last; /* the last one that was counted */
};

static int by_wait(const void *a, const void *b)
{
	const struct open_stall *x = a, *y = b;

	if (x->stall->wait != y->stall->wait)
		return x->stall->wait < y->stall->wait ? -1 : 1;
	return memcmp(&x->stall->from, &y->stall->from, sizeof(x->stall->from));
}

/* Stores the stalls that no finding explains, sorted by length. Returns their number. */
static size_t collect_open_stalls(struct context *g, struct open_stall *stalls)
{
	size_t i, j, n = 0;

	for (i = 0; i < g->hosts->count; i++)
		for (j = 0; j < g->timelines[i].stall_count; j++) {
			struct noted_stall *noted = &g->timelines[i].stalls[j];

			if (!is_stall_explained(&g->timelines[i], noted))
				stalls[n++] = (struct open_stall){ noted, noted->stall,
								   &g->timelines[i] };
		}
	qsort(stalls, n, sizeof(*stalls), by_wait);
	return n;
}

/* ---- evidence ---- */

/* Adds a stall to the peer's count, once. Ignores further peers if there is no room. */
static void count_stall(struct pending_peer most[MAX_PENDING], size_t *n, const struct endpoint *to,
			const struct stall *s)
{
	size_t k;

	for (k = 0; k < *n && !same_endpoint(&most[k].to, to); k++)
		;
	if (k == MAX_PENDING)
		return;
	if (k == *n)
		most[(*n)++] = (struct pending_peer){ .to = *to };
	most[k].stalls += most[k].last != s;
	most[k].last = s;
}

/* Stores the first peers that were pending during stalls. Returns their number. */
static size_t count_pending(const struct open_stall *w, size_t count,
			    struct pending_peer most[MAX_PENDING])
{
	size_t i, j, n = 0;

	for (i = 0; i < count; i++) {
		const struct stall *s = w[i].stall;

		for (j = 0; j < w[i].timeline->pending_count; j++) {
			const struct pending *o = w[i].timeline->pendings[j];

			if (o->start <= stall_end(s) && o->end >= s->start &&
			    !same_endpoint(&o->to, &s->to))
				count_stall(most, &n, &o->to, s);
		}
	}
	return n;
}

static void add_checked(struct context *g, struct finding *f, const struct open_stall *w,
			size_t count)
{
	struct pending_peer most[MAX_PENDING];
	char text[FORMAT_PEER];
	size_t i, n = count_pending(w, count, most);
	const char *unseen =
		names_were_seen(&g->d->name_summary) ? "UDP packets other than DNS" : "UDP and DNS";

	if (g->session->narrowed_servers || g->session->filtered)
		finding_line(f, "not seen",
			     "%s leaves out what these hosts try elsewhere: run without it to see "
			     "what they wait for",
			     g->session->filtered ? "the filter" : "--server or --port");
	else if (!n)
		finding_line(
			f, "checked",
			"no TCP attempt of these hosts failed or was slow meanwhile; %s, and what "
			"passes elsewhere, were not looked at",
			unseen);
	for (i = 0; i < n; i++)
		finding_line(f, i ? "" : "meanwhile", "%s failed or was slow during %zu of %zu: %s",
			     format_finding_peer(text, g, &most[i].to), most[i].stalls, count,
			     most[i].stalls * 2 > count
				     ? "they do not begin and end with it often enough"
				     : "not in most of them");
	if (n)
		finding_line(f, "", "%s were not looked at", unseen);
}

/* Sets the counts and hosts of the finding, and adds the lines of evidence about them. */
static void describe_stalls(struct context *g, struct finding *f, const struct open_stall *w,
			    size_t count)
{
	size_t i, tls = 0, mostly = 0;

	f->stalls = g->stall_count;
	f->correlated = count;
	for (i = 0; i < count; i++) {
		const struct host *h = w[i].timeline->host;

		tls += w[i].stall->to.port == 443;
		if (count_once(w[i].timeline, f)) {
			finding_add_host(g, &f->affected, h);
			mostly += h->stalls * 2 > h->decided;
		}
	}
	f->hosts_hurt = f->affected.count;
	if (f->affected.count == 1)
		finding_line(f, "share", "%s of this host's connects stall",
			     mostly ? "most" : "less than half");
	else
		finding_line(f, "share", "for %zu of these %zu hosts most connects stall", mostly,
			     f->affected.count);
	if (tls)
		finding_line(f, "",
			     "%zu stall%s on port 443, where a client that is silent is not normal",
			     tls, tls == 1 ? " is" : "s are");
}

/* ---- stalls of equal length ---- */

/* Returns true if the stalls are at several hosts or several servers. */
static bool is_spread(const struct open_stall *w, size_t count)
{
	size_t i;

	for (i = 1; i < count; i++)
		if (w[i].timeline != w[0].timeline ||
		    !same_endpoint(&w[i].stall->to, &w[0].stall->to))
			return true;
	return false;
}

/*
 * Finds a timer among stalls sorted by length. Returns a cluster of count 0 if there is none, or
 * when out of memory.
 */
static struct cluster find_timer(struct context *g, const struct open_stall *w, size_t count)
{
	ns_t *waits = malloc(count * sizeof(*waits));
	struct cluster c = {};
	size_t i;

	if (!waits) {
		g->out_of_memory = true;
		return c;
	}
	for (i = 0; i < count; i++)
		waits[i] = w[i].stall->wait;
	c = cluster_of(waits, count);
	free(waits);
	if (c.count < 3 || c.deviation > timer_slack(c.median) || c.chance > 1e-3 ||
	    c.median < NOTABLE_NS || !is_spread(w + c.first, c.count))
		c.count = 0;
	return c;
}

/* Reports the largest group of equal stalls. Returns true if there was one. */
static bool report_timer(struct context *g, const struct open_stall *w, size_t count)
{
	char timer[FORMAT_DURATION], spread[FORMAT_SPREAD];
	struct cluster c = find_timer(g, w, count);
	const char *known = known_timer(c.median);
	struct finding *f;
	size_t i;

	f = c.count ? finding_new(g, KIND_TIMER_UNEXPLAINED,
				  doubtful(c.chance <= 1e-4 ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW,
					   "what they wait for is not on this wire"))
		    : NULL;
	if (!f)
		return false;
	f->timer = c.median;
	f->deviation = c.deviation;
	format_duration(timer, c.median);
	finding_text(
		f, "%zu stalls last %s each: a timer, and nothing in TCP shows what they wait for",
		c.count, timer);
	finding_line(f, "", "%zu of %zu stalls lasted %s%s%s", c.count, g->stall_count,
		     finding_format_spread(spread, c.median, c.deviation), known ? ", as " : "",
		     known ? known : "");
	describe_stalls(g, f, w + c.first, c.count);
	add_checked(g, f, w + c.first, c.count);
	finding_line(f, "action",
		     "on one of these hosts, find out what the program does meanwhile: tcpdump of "
		     "all its packets (UDP too), strace -f -tt, its log");
	f->has_example = true;
	example_of_stall(&f->example, w[c.first + c.count / 2].stall);
	for (i = c.first; i < c.first + c.count; i++)
		w[i].noted->explained = f;
	return true;
}

/* ---- the others ---- */

static void report_others(struct context *g, const struct open_stall *w, size_t count)
{
	char least[FORMAT_DURATION], most[FORMAT_DURATION];
	struct finding *f;

	if (!count || w[count - 1].stall->wait < NOTABLE_NS)
		return;
	f = finding_new(g, KIND_STALLS_UNEXPLAINED,
			doubtful(CONFIDENCE_LOW, "what they wait for is not on this wire"));
	if (!f)
		return;
	finding_text(f, "the cause of %zu stall%s is not visible in TCP", count, plural(count));
	format_duration(least, w[0].stall->wait);
	format_duration(most, w[count - 1].stall->wait);
	finding_line(f, "",
		     "%s%s%s: people think, and browsers open spare sockets, just like this; "
		     "without a timer or a failing peer nobody is accused",
		     least, strcmp(least, most) ? " to " : "", strcmp(least, most) ? most : "");
	describe_stalls(g, f, w, count);
	add_checked(g, f, w, count);
}

void cause_unexplained(struct context *g)
{
	struct open_stall *w = calloc(g->stall_count + 1, sizeof(*w));
	size_t count, i;

	if (!w) {
		g->out_of_memory = true;
		return;
	}
	for (i = 0; i < MAX_TIMERS; i++) {
		count = collect_open_stalls(g, w);
		if (!count || !report_timer(g, w, count))
			break;
	}
	report_others(g, w, collect_open_stalls(g, w));
	free(w);
}
