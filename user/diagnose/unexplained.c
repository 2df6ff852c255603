// SPDX-License-Identifier: GPL-2.0
/* Stalls that nothing on the wire explains: equal ones have a timer behind them, the others may be people. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/cause.h"
#include "lib/format.h"

#define MAX_TIMERS 4
#define MAX_PENDING 3

/* Below it a stall without a cause is not worth a finding. */
#define NOTABLE_NS (2 * (ns_t)SECOND_NS)

struct waiting_stall {
	struct stall *stall;
	const struct host_view *view;
};

/* A peer that was tried in vain while these stalls lasted, though no lock. */
struct pending_peer {
	struct endpoint to;
	size_t stalls;
};

static int by_wait(const void *a, const void *b)
{
	const struct waiting_stall *x = a, *y = b;

	if (x->stall->wait != y->stall->wait)
		return x->stall->wait < y->stall->wait ? -1 : 1;
	return memcmp(&x->stall->from, &y->stall->from, sizeof(x->stall->from));
}

static size_t count_pending(const struct waiting_stall *w, size_t count, struct pending_peer *most)
{
	size_t i, j, k, n = 0;

	for (i = 0; i < count; i++) {
		const struct stall *s = w[i].stall;

		for (j = 0; j < w[i].view->pending_count; j++) {
			const struct pending *o = w[i].view->pendings[j];

			if (o->start > s->start + s->wait || o->end < s->start ||
			    same_endpoint(&o->to, &s->to))
				continue;
			for (k = 0; k < n && !same_endpoint(&most[k].to, &o->to); k++)
				;
			if (k == MAX_PENDING)
				continue;
			if (k == n)
				most[n++] = (struct pending_peer){ .to = o->to };
			most[k].stalls++;
		}
	}
	return n;
}

static void add_checked(struct diagnosing *g, struct finding *f, const struct waiting_stall *w,
			size_t count)
{
	struct pending_peer most[MAX_PENDING];
	char text[FORMAT_ENDPOINT];
	size_t i, n;

	n = count_pending(w, count, most);
	if (g->view->narrowed_servers) {
		finding_line(
			f, "not seen",
			"--server or --port leaves out what these hosts try elsewhere: run without "
			"it to see what they wait for");
	} else if (!n) {
		finding_line(
			f, "checked",
			"no TCP attempt of these hosts failed or was slow meanwhile; DNS and what "
			"passes elsewhere was not looked at");
	}
	for (i = 0; i < n; i++)
		finding_line(f, i ? "" : "meanwhile",
			     "%s failed or was slow during some: too seldom to blame it",
			     format_endpoint(text, &most[i].to));
}

static void example_of_wait(struct finding *f, const struct stall *s)
{
	f->has_example = true;
	f->example = (struct example){
		.client = s->from,
		.nat_endpoint = s->nat_endpoint,
		.server = s->to,
		.syn = s->syn,
		.synack = s->synack,
		.ack = s->start,
		.first = s->start + s->wait,
		.resolved = NEVER,
	};
}

static void describe(struct diagnosing *g, struct finding *f, const struct waiting_stall *w,
		     size_t count)
{
	size_t i, tls = 0, counted = 0;

	f->stalls = g->stall_count;
	f->correlated = count;
	for (i = 0; i < g->hosts.count; i++)
		g->hosts.at[i].counted = NULL;
	for (i = 0; i < count; i++) {
		struct host *h = host_of(g, w[i].stall->client);

		tls += w[i].stall->to.port == 443;
		if (h->counted != f) {
			h->counted = f;
			finding_add_host(g, &f->affected, h);
			counted += h->stalls * 2 > h->decided;
		}
	}
	f->hosts_hurt = f->affected.count;
	if (f->affected.count == 1)
		finding_line(f, "share", "%s of this host's connections stall",
			     counted ? "most" : "less than half");
	else
		finding_line(f, "share", "for %zu of these %zu hosts most connections stall",
			     counted, f->affected.count);
	if (tls)
		finding_line(f, "",
			     "%zu stall%s on port 443, where a client that is silent is not normal",
			     tls, tls == 1 ? " is" : "s are");
}

static bool is_spread(const struct waiting_stall *w, size_t count)
{
	size_t i;

	for (i = 1; i < count; i++)
		if (w[i].view != w[0].view || !same_endpoint(&w[i].stall->to, &w[0].stall->to))
			return true;
	return false;
}

/* Names the largest timer among what is not explained; answers whether there was one. */
static bool report_timer(struct diagnosing *g, struct waiting_stall *w, size_t count)
{
	ns_t *waits = malloc(count * sizeof(*waits));
	char timer[FORMAT_DURATION], spread[FORMAT_DURATION];
	struct cluster c;
	struct finding *f;
	size_t i;

	if (!waits) {
		g->out_of_memory = true;
		return false;
	}
	qsort(w, count, sizeof(*w), by_wait);
	for (i = 0; i < count; i++)
		waits[i] = w[i].stall->wait;
	c = cluster_of(waits, count);
	free(waits);
	if (c.count < 3 || c.deviation > timer_slack(c.median) || c.chance > 1e-3 ||
	    c.median < NOTABLE_NS || !is_spread(w + c.first, c.count))
		return false;
	f = finding_new(g, KIND_TIMER_UNEXPLAINED,
			c.chance <= 1e-4 ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW);
	if (!f)
		return false;
	f->timer = c.median;
	f->deviation = c.deviation;
	format_duration(timer, c.median);
	finding_text(f,
		     "%zu stalls last %s each: a timer, and nothing on the wire that they wait for",
		     c.count, timer);
	finding_line(f, "", "%zu of %zu stalls lasted %s ± %s%s%s", c.count, g->stall_count, timer,
		     format_duration(spread, c.deviation), known_timer(c.median) ? ", as " : "",
		     known_timer(c.median) ? known_timer(c.median) : "");
	describe(g, f, w + c.first, c.count);
	add_checked(g, f, w + c.first, c.count);
	example_of_wait(f, w[c.first + c.count / 2].stall);
	for (i = c.first; i < c.first + c.count; i++)
		w[i].stall->explained = f;
	return true;
}

static size_t unexplained(struct diagnosing *g, struct waiting_stall *w)
{
	size_t i, j, n = 0;

	for (i = 0; i < g->hosts.count; i++)
		for (j = 0; j < g->views[i].stall_count; j++)
			if (!g->views[i].stalls[j]->explained)
				w[n++] = (struct waiting_stall){ g->views[i].stalls[j],
								 &g->views[i] };
	return n;
}

void cause_unexplained(struct diagnosing *g)
{
	struct waiting_stall *w = calloc(g->stall_count + 1, sizeof(*w));
	char least[FORMAT_DURATION], most[FORMAT_DURATION];
	size_t n, i, notable = 0;
	struct finding *f;

	if (!w) {
		g->out_of_memory = true;
		return;
	}
	for (i = 0; i < MAX_TIMERS; i++) {
		n = unexplained(g, w);
		if (!n || !report_timer(g, w, n))
			break;
	}
	n = unexplained(g, w);
	qsort(w, n, sizeof(*w), by_wait);
	for (i = 0; i < n; i++)
		notable += w[i].stall->wait >= NOTABLE_NS;
	f = notable ? finding_new(g, KIND_STALLS_UNEXPLAINED, CONFIDENCE_LOW) : NULL;
	if (f) {
		finding_text(f, "the cause of %zu stall%s is not visible on the wire", n,
			     plural(n));
		format_duration(least, w[0].stall->wait);
		format_duration(most, w[n - 1].stall->wait);
		finding_line(f, "",
			     "%s%s%s: people think, and browsers open spare sockets, just like "
			     "this; without a timer or a failing peer nobody is accused",
			     least, strcmp(least, most) ? " to " : "",
			     strcmp(least, most) ? most : "");
		describe(g, f, w, n);
		add_checked(g, f, w, n);
	}
	free(w);
}
