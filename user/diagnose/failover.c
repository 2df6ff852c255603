// SPDX-License-Identifier: GPL-2.0
/*
 * What begins only after an attempt has failed: connections whose very SYN was held back, the second
 * server of a chain, IPv4 after IPv6. The wait lies before the SYN, so it is no stall; it shows as a
 * constant time from one attempt's first SYN to another's.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/cause.h"
#include "lib/format.h"

/* Sooner than this nobody notices IPv6 (RFC 8305 has 250 ms between two families). */
#define MIN_IPV6_GAP_NS (300 * (ns_t)MILLISECOND_NS)

/* Sooner than this it may be the next thing that a page asks for. */
#define MIN_GAP_NS (ns_t) SECOND_NS

/* Linux' connect() gives up after 127 s. */
#define MAX_GAP_NS (130 * (ns_t)SECOND_NS)

/* Later than this a coincidence is never called certain. */
#define LATE_NS (45 * (ns_t)SECOND_NS)

/* A timer is steadier; what accompanies a page is not. */
#define UNSTEADY_NS (20 * (ns_t)MILLISECOND_NS)

#define CHANCE_HIGH 1e-8

/* A connection that began after an attempt had failed to be answered at once. */
struct sequence_step {
	const struct pending *after;
	struct recent *recent;
	const struct host_view *view;
	ns_t t;
};

struct sequence {
	struct sequence_step *at;
	ns_t *times; /* as much room, to reckon in */
	size_t count;
	size_t room; /* of both */
	size_t attempts; /* that could have been followed, those of one moment once */
	size_t pendings; /* all of them */
	const struct pending *before; /* the last of them */
	double rate; /* of any connection that could follow by chance, a second */
	struct peer *peer; /* NULL: all of IPv6 */
};

static bool sequence_add(struct sequence *f, const struct sequence_step *sequence_step)
{
	struct sequence_step *grown;
	ns_t *times;
	size_t room;

	if (f->count == f->room) {
		room = f->room ? 2 * f->room : 64;
		grown = realloc(f->at, room * sizeof(*grown));
		if (!grown)
			return false;
		f->at = grown;
		times = realloc(f->times, room * sizeof(*times));
		if (!times)
			return false;
		f->times = times;
		f->room = room;
	}
	f->at[f->count++] = *sequence_step;
	return true;
}

static bool is_broken_ipv6(const struct pending *o, const struct recent *b)
{
	return !is_ip4(&o->to.address) && is_ip4(&b->to.address) && o->to.port == b->to.port;
}

/* The moment since when all of the client's connections are still known. */
static ns_t known_since(const struct client *c)
{
	ns_t oldest = NEVER;
	unsigned int i, n = c->recent_count < RECENT ? c->recent_count : RECENT;

	if (c->recent_count <= RECENT)
		return c->first_syn;
	for (i = 0; i < n; i++)
		if (oldest == NEVER || c->recent[i].syn < oldest)
			oldest = c->recent[i].syn;
	return oldest;
}

/* Attempts of a host that begin together are one. */
static bool is_single_moment(const struct pending *a, const struct pending *b)
{
	return a == b ||
	       (a->client->host == b->client->host && llabs(a->start - b->start) < (ns_t)SECOND_NS);
}

static bool collect_sequences(struct sequence *f, const struct host_view *v,
			      const struct pending *o, bool ipv6)
{
	/* nobody waits for what has failed already */
	ns_t pending = o->end - o->start + (ns_t)SECOND_NS;
	const struct host *h = v->host;
	bool could = false;
	size_t i, j, n;

	for (i = 0; i < h->client_count; i++) {
		const struct client *c = h->clients[i];

		if (!c->recent || o->start < known_since(c))
			continue;
		could = true;
		n = c->recent_count < RECENT ? c->recent_count : RECENT;
		for (j = 0; j < n; j++) {
			struct recent *b = &c->recent[j];
			struct sequence_step sequence_step = { o, b, v, b->syn - o->start };

			if (sequence_step.t < (ipv6 ? MIN_IPV6_GAP_NS : MIN_GAP_NS) ||
			    sequence_step.t > (ipv6 ? MAX_GAP_NS : pending) ||
			    same_endpoint(&b->to, &o->to) || is_broken_ipv6(o, b) != ipv6 ||
			    b->explained)
				continue;
			if (!sequence_add(f, &sequence_step))
				return false;
		}
	}
	f->pendings += could;
	if (could && !(f->before && is_single_moment(f->before, o))) {
		f->attempts++;
		f->before = o;
	}
	return true;
}

static int by_t(const void *a, const void *b)
{
	const struct sequence_step *x = a, *y = b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return memcmp(&x->recent->to, &y->recent->to, sizeof(x->recent->to));
}

/* Attempts that run by a clock meet whatever else runs by a clock at a constant distance. */
static bool is_periodic(const struct host_view *v, const struct endpoint *to)
{
	ns_t before = NEVER, intervals[64], middle;
	size_t i, n = 0, near = 0;

	for (i = 0; i < v->pending_count && n < 64; i++) {
		const struct pending *o = v->pendings[i];

		if (!same_endpoint(&o->to, to))
			continue;
		if (before != NEVER)
			intervals[n++] = o->start - before;
		before = o->start;
	}
	if (n < 2)
		return false;
	middle = median(intervals, n);
	for (i = 0; i < n; i++)
		near += llabs(intervals[i] - middle) <= timer_slack(middle);
	return near * 10 >= n * 7;
}

/* A stretch of follows by t, and how many attempts, hosts and destinations are in it. */
struct observed_span {
	size_t first;
	size_t count;
	size_t attempts;
	size_t hosts;
	size_t destinations;
	ns_t median;
	ns_t deviation;
	double chance;
	bool periodic;
	const struct endpoint *destination; /* the most frequent one */
	size_t there; /* attempts that led to it */
};

static void measure_sequence(struct sequence *f, struct observed_span *s)
{
	size_t i, j;
	double width, hit, rate = f->rate, local = 0;

	s->attempts = s->hosts = s->destinations = 0;
	s->periodic = false;
	for (i = s->first; i < s->first + s->count; i++) {
		bool attempt = true, host = true, destination = true;

		for (j = s->first; j < i; j++) {
			attempt &= !is_single_moment(f->at[j].after, f->at[i].after);
			host &= f->at[j].view != f->at[i].view;
			destination &= !same_endpoint(&f->at[j].recent->to, &f->at[i].recent->to);
		}
		s->attempts += attempt;
		s->hosts += host;
		s->destinations += destination;
		if (host && is_periodic(f->at[i].view, &f->at[i].after->to))
			s->periodic = true;
	}
	s->there = 0;
	for (i = s->first; i < s->first + s->count; i++) {
		size_t there = 0;

		for (j = s->first; j < s->first + s->count; j++)
			there += same_endpoint(&f->at[j].recent->to, &f->at[i].recent->to);
		if (there > s->there) {
			s->there = there;
			s->destination = &f->at[i].recent->to;
		}
	}
	s->median = f->at[s->first + s->count / 2].t;
	for (i = 0; i < s->count; i++)
		f->times[i] = f->at[s->first + i].t;
	s->deviation = median_absolute_deviation(f->times, s->count, s->median);
	width = (f->at[s->first + s->count - 1].t - f->at[s->first].t) / 1e9;
	if (width < 2e-3)
		width = 2e-3;
	/* or the rate near by, where that is larger */
	for (i = 0; i < f->count; i++)
		local += f->at[i].t > s->median / 3 * 2 && f->at[i].t < s->median / 2 * 3;
	local = (local - s->count) / (s->median / 1e9 * 5 / 6 * f->pendings);
	if (local > rate)
		rate = local;
	hit = 1 - exp(-rate * width * f->pendings / f->attempts);
	s->chance = binomial_tail(s->attempts, f->attempts, hit) * (MAX_GAP_NS / 1e9) / width;
	if (s->chance > 1)
		s->chance = 1;
}

static struct observed_span densest(struct sequence *f, ns_t width, double share)
{
	struct observed_span best = {};
	size_t first = 0, last;

	for (last = 0; last < f->count; last++) {
		while (f->at[last].t - f->at[first].t > width + (ns_t)(f->at[last].t * share))
			first++;
		if (last - first + 1 > best.count) {
			best.first = first;
			best.count = last - first + 1;
		}
	}
	if (best.count)
		measure_sequence(f, &best);
	return best;
}

/*
 * The stretch that chance explains least: one timer's runs lie more or less close together, by how
 * steady a helper is. How soon IPv4 is tried is less steady.
 */
static struct observed_span steadiest(struct sequence *f)
{
	static const ns_t widths[] = { 4 * (ns_t)MILLISECOND_NS, 25 * (ns_t)MILLISECOND_NS,
				       100 * (ns_t)MILLISECOND_NS };
	struct observed_span best, s;
	size_t i;

	qsort(f->at, f->count, sizeof(*f->at), by_t);
	best = densest(f, 100 * (ns_t)MILLISECOND_NS, f->peer ? 0.04 : 0.2);
	for (i = 0; f->peer && i < sizeof(widths) / sizeof(widths[0]); i++) {
		s = densest(f, widths[i], 0);
		if (s.attempts * 2 > f->attempts && s.chance < best.chance)
			best = s;
	}
	return best;
}

/* Connections a second of the hosts that the follows are of. */
static double rate_of(const struct sequence *f)
{
	const struct host_view *v = NULL;
	double connections = 0, seconds = 0;
	size_t i, j;

	for (i = 0; i < f->count; i++) {
		if (f->at[i].view == v)
			continue;
		v = f->at[i].view;
		for (j = 0; j < v->host->client_count; j++) {
			const struct client *c = v->host->clients[j];

			connections += c->recent_count < RECENT ? c->recent_count : RECENT;
		}
		seconds += v->watched / 1e9;
	}
	return seconds > 0 ? connections / seconds : 1;
}

static void example_of_sequence(struct finding *f, const struct sequence_step *sequence_step)
{
	const struct pending *o = sequence_step->after;

	f->has_example = true;
	f->example = (struct example){
		.client = { .address = sequence_step->view->host->clients[0]->key.address },
		.server = sequence_step->recent->to,
		.syn = sequence_step->recent->syn,
		.synack = NEVER,
		.ack = NEVER,
		.first = NEVER,
		.waited_for = o->to,
		.resolved = o->resolved ? o->end : NEVER,
		.syn_count = o->syn_count < SYN_TIMES ? o->syn_count : SYN_TIMES,
	};
	memcpy(f->example.syn_times, o->syn_times, sizeof(o->syn_times));
}

static void report_chain(struct diagnosing *g, struct sequence *f, const struct observed_span *s)
{
	char peer[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], t[FORMAT_DURATION],
		spread[FORMAT_DURATION];
	const struct host_view *v = NULL;
	enum confidence confidence;
	enum finding_kind kind;
	struct finding *finding;
	bool clockwork; /* another server's port, and all by the clock */
	size_t i, j;

	if (!f->peer)
		kind = KIND_BROKEN_IPV6;
	else
		kind = s->there * 10 < s->count * 8 ? KIND_HELD_BEFORE_CONNECT
						    : KIND_FAILOVER_CHAIN;
	confidence = s->chance <= CHANCE_HIGH ? by_count(s->attempts) : CONFIDENCE_LOW;
	/* that late, people and clocks begin things of their own */
	if ((s->median > LATE_NS || (f->peer && s->deviation > UNSTEADY_NS)) &&
	    confidence == CONFIDENCE_HIGH)
		confidence = CONFIDENCE_MEDIUM;
	clockwork = f->peer && s->periodic && s->destinations < 3 &&
		    s->destination->port != f->peer->server.port;
	if (clockwork)
		confidence = CONFIDENCE_LOW;
	/* a server that answers others is not what the chain is about */
	if (f->peer && f->peer->answered > f->peer->failures[FAILURE_SILENT] &&
	    f->peer->last_answer > f->peer->first_failure)
		confidence = CONFIDENCE_LOW;
	finding = finding_new(g, kind, confidence);
	if (!finding)
		return;
	finding->timer = s->median;
	finding->deviation = s->deviation;
	finding->correlated = s->attempts;
	finding->stalls = f->attempts;
	finding->hosts_hurt = s->hosts;
	for (i = s->first; i < s->first + s->count; i++) {
		bool known = false;

		f->at[i].recent->explained = true;
		v = f->at[i].view;
		for (j = s->first; j < i && !known; j++)
			known = f->at[j].view == v;
		if (!known)
			finding_add_host(g, &finding->affected, v->host);
	}
	format_duration(t, s->median);
	format_duration(spread, s->deviation);
	format_endpoint(to, s->destination);
	if (f->peer) {
		finding_set_peer(finding, &f->peer->server);
		format_endpoint(peer, &f->peer->server);
	}
	if (kind == KIND_BROKEN_IPV6) {
		finding_set_peer(finding, &f->at[s->first].after->to);
		finding_text(
			finding,
			"IPv6 does not get through for %zu host%s: each try costs %s before IPv4 "
			"is used",
			s->hosts, plural(s->hosts), t);
	} else if (kind == KIND_FAILOVER_CHAIN) {
		finding_text(finding, "%s does not answer, and %s is tried only %s later", peer, to,
			     t);
	} else {
		finding_text(finding, "%s does not answer, and %zu host%s connect%s nowhere for %s",
			     peer, s->hosts, plural(s->hosts), s->hosts == 1 ? "s" : "", t);
	}
	finding_line(finding, "",
		     "after %zu of %zu attempts without an answer a connection to %zu server%s",
		     s->attempts, f->attempts, s->destinations, plural(s->destinations));
	finding_line(finding, "", "began %s ± %s after the first SYN", t, spread);
	if (f->peer)
		finding_add_route(g, finding, f->peer);
	if (clockwork)
		finding_line(
			finding, "against",
			"the attempts come at regular intervals: so may the others, by chance");
	if (f->attempts > s->attempts)
		finding_line(finding, finding->confidence == CONFIDENCE_LOW ? "" : "against",
			     "%zu attempt%s without such a connection after %s",
			     f->attempts - s->attempts, plural(f->attempts - s->attempts),
			     f->attempts - s->attempts == 1 ? "it" : "them");
	example_of_sequence(finding, &f->at[s->first + s->count / 2]);
}

/* A fixed time after the attempt, most of the times. */
static bool is_chain(struct sequence *f, struct observed_span *s)
{
	if (!f->count)
		return false;
	f->rate = rate_of(f);
	*s = steadiest(f);
	if (s->attempts < 2 || s->attempts * 2 <= f->attempts || s->chance > 1e-2)
		return false;
	return true;
}

static bool is_explained(const struct diagnosing *g, const struct endpoint *peer)
{
	size_t i, j;

	for (i = 0; i < g->d->count; i++) {
		const struct finding *f = &g->d->at[i];

		if (f->has_peer && same_endpoint(&f->peer, peer))
			return true;
		for (j = 0; j < f->also_count; j++)
			if (same_endpoint(&f->also[j], peer))
				return true;
	}
	return false;
}

static int by_to(const void *a, const void *b)
{
	const struct pending *x = *(struct pending *const *)a, *y = *(struct pending *const *)b;
	int order = memcmp(&x->to, &y->to, sizeof(x->to));

	if (order)
		return order;
	if (x->client->host != y->client->host)
		return x->client->host < y->client->host ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* A peer's failed attempts, of all of them, and how likely its chain is by chance. */
struct candidate_chain {
	size_t first;
	size_t count;
	double chance;
};

static int by_chance(const void *a, const void *b)
{
	const struct candidate_chain *x = a, *y = b;

	if (x->chance != y->chance)
		return x->chance < y->chance ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static void forget_explained(struct diagnosing *g)
{
	struct client *c;
	size_t i;

	for (c = g->m->clients; c; c = c->hh.next)
		for (i = 0; c->recent && i < RECENT; i++)
			c->recent[i].explained = false;
}

/* Answers whether there is a chain behind these attempts. */
static bool examine_host(struct diagnosing *g, struct sequence *f, struct pending **failed,
			 size_t count, bool ipv6, struct observed_span *s)
{
	size_t i;

	f->count = f->attempts = f->pendings = 0;
	f->before = NULL;
	f->peer = ipv6 ? NULL : diagnosing_peer(g, &failed[0]->to);
	if (!ipv6 && (!f->peer || is_explained(g, &failed[0]->to)))
		return false;
	for (i = 0; i < count; i++)
		if (!(ipv6 && is_ip4(&failed[i]->to.address)) &&
		    !collect_sequences(f, &g->views[failed[i]->client->host], failed[i], ipv6))
			g->out_of_memory = true;
	return is_chain(f, s);
}

/*
 * The least likely chain is named first, and what it explains is taken away: attempts that were made
 * in the same moments as the true ones have the same followers.
 */
void cause_failover(struct diagnosing *g)
{
	struct candidate_chain *chains;
	struct pending **failed, *o;
	size_t i, n = 0, count = 0;
	struct sequence f = {};
	struct observed_span s;

	forget_explained(g);
	failed = calloc(g->m->pending_kept + 1, sizeof(*failed));
	chains = calloc(g->m->pending_kept + 1, sizeof(*chains));
	if (!failed || !chains) {
		g->out_of_memory = true;
		goto out;
	}
	TAILQ_FOREACH(o, &g->m->pendings, by_age)
		if (o->failed)
			failed[n++] = o;
	qsort(failed, n, sizeof(*failed), by_to);
	for (i = 0; i < n; i++) {
		if (!i || !same_endpoint(&failed[i]->to, &failed[i - 1]->to))
			chains[count++].first = i;
		chains[count - 1].count++;
	}
	for (i = 0; i < count; i++) {
		chains[i].chance = 1;
		if (examine_host(g, &f, failed + chains[i].first, chains[i].count, false, &s))
			chains[i].chance = s.chance;
	}
	qsort(chains, count, sizeof(*chains), by_chance);
	if (examine_host(g, &f, failed, n, true, &s))
		report_chain(g, &f, &s);
	for (i = 0; i < count && chains[i].chance < 1; i++)
		if (examine_host(g, &f, failed + chains[i].first, chains[i].count, false, &s))
			report_chain(g, &f, &s);
out:
	free(f.at);
	free(f.times);
	free(chains);
	free(failed);
}
