// SPDX-License-Identifier: GPL-2.0
/*
 * Reports packets that this gateway drops itself, by its own counters: a full table of conntrack, a
 * queueing discipline, an interface.
 *
 * A counter does not say which packets it counted. So it explains lost packets only if they were
 * lost where it counts, if it counted enough of them, and if the loss follows neither a server nor
 * a host. A server that never answers while others do is not explained by a queue.
 */
#include "diagnose/gateway_counters.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"
#include "diagnose/forwarding.h"

/* Minimum number of connects for a finding, and for high confidence. */
#define LEAST 3
#define CERTAIN 6

/*
 * Minimum share of the connects from the first loss to the last one. What loses less is hardly a
 * full table or queue; most networks lose a few packets.
 */
#define LEAST_SHARE 0.05

/* Above this probability, chance explains that the loss prefers a server or a host. */
#define PREFERS_CHANCE 0.01

/*
 * An interface that drops a smaller share of its packets than this part of the share of connects
 * that lost one does not explain them: SYNs come in bursts, but are not that unlucky.
 */
#define SHARE_FACTOR 10

#define MAX_LISTED 4 /* counters in a line */

/* Time around a connect in which no other one may be served, if its server never answers. */
#define BLACKOUT_NS (ns_t) SECOND_NS

/* The packets that a connect lost, and how far the last of them was seen to come. */
struct loss {
	uint64_t packets; /* 0: the connect lost none */
	bool is_answer; /* SYN-ACKs are lost; else SYNs, or the request */
	uint32_t left_by; /* seen to leave by this interface; 0: only seen to come in */
	uint32_t came_by;
};

/* Facts about all connects, which are looked up for each of them. */
struct survey {
	ns_t *served; /* times of the SYNs of connects that were served, sorted */
	size_t served_count;
	bool *serves; /* for each of g->servers[]: it served a connect */
};

/* Connects that one counter may explain. */
struct suspects {
	const struct drop_growth *growth;
	struct connect_set set;
	bool *is_lost; /* for each of g->connects[]: it is in the set */
	uint64_t packets; /* that they lost */
	struct span span;
	uint64_t connects; /* within the span: those of the set, and those served without loss */
};

/* ---- the loss of a connect ---- */

/* Returns true if a SYN-ACK passed, and the client repeated its SYN all the same. */
static bool is_answer_lost(const struct connection *c)
{
	return c->synack != NEVER && c->syn_count > 1 && c->syn_last > c->synack;
}

static uint64_t lost_packets(const struct noted_connect *n)
{
	const struct connection *c = n->c;

	if (c->from_outside || c->other_host || c->during_attach || c->synack_from_gateway)
		return 0;
	if (was_served(n))
		return c->syn_count > 1 ? c->syn_count - 1 : 0;
	if (!is_failed(n))
		return 0;
	switch (n->entry.manner) {
	case MANNER_SILENT:
	case MANNER_ONE_SYN:
		return c->syn_count;
	case MANNER_SYN_AGAIN:
		return c->syn_count - 1;
	case MANNER_NOT_ACKED:
		return 1 + c->client_payload.again;
	default:
		return 0;
	}
}

static struct loss loss_of(const struct noted_connect *n)
{
	const struct connection *c = n->c;
	struct loss loss = { .packets = lost_packets(n), .came_by = c->ifindex };

	loss.is_answer = is_answer_lost(c);
	if (loss.is_answer)
		loss.left_by = c->synack_egress ? c->ifindex : 0;
	else
		loss.left_by = c->syn_egress ? c->ifindex : c->forwarded_by;
	return loss;
}

/*
 * Returns true if the counter counts packets at the place where this connect lost its. A packet is
 * seen to leave before the queueing discipline, and after conntrack.
 */
static bool is_place_of(const struct context *g, const struct drop_growth *growth,
			const struct noted_connect *n, const struct loss *loss)
{
	const struct route *r = host_facts_route(g->facts, &n->c->server);

	if (!growth->ifindex || loss->left_by)
		return growth->ifindex == loss->left_by;
	if (growth->ifindex == loss->came_by)
		return false;
	return loss->is_answer || !r || r->state != ROUTE_FOUND ||
	       r->device_index == growth->ifindex;
}

/* The other counters are too unspecific: they belong to the whole host, or to all of IP. */
static bool may_explain(const struct drop_growth *growth)
{
	return growth->counter == DROP_QDISC || growth->counter == DROP_NIC_TX ||
	       growth->counter == DROP_NIC_TX_ERRORS || growth->counter == DROP_CONNTRACK ||
	       growth->counter == DROP_CONNTRACK_CHAIN;
}

/* ---- the connects that a counter may explain ---- */

static int by_time(const void *a, const void *b)
{
	const ns_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool survey_init(const struct context *g, struct survey *survey)
{
	size_t i, j;

	*survey = (struct survey){ .served = calloc(g->connect_count + 1, sizeof(ns_t)),
				   .serves = calloc(g->server_count + 1, sizeof(bool)) };
	if (!survey->served || !survey->serves)
		return false;
	for (i = 0; i < g->server_count; i++)
		for (j = 0; j < g->servers[i].count; j++)
			if (was_served(&g->servers[i].connects[j])) {
				survey->serves[i] = true;
				survey->served[survey->served_count++] =
					g->servers[i].connects[j].c->syn;
			}
	qsort(survey->served, survey->served_count, sizeof(ns_t), by_time);
	return true;
}

static void survey_free(struct survey *survey)
{
	free(survey->served);
	free(survey->serves);
}

/* Returns true if a connect of any host to any server was served at about that time. */
static bool was_any_served(const struct survey *survey, const struct connection *c)
{
	size_t first = 0, last = survey->served_count, middle;

	while (first < last) {
		middle = first + (last - first) / 2;
		if (survey->served[middle] < c->syn - BLACKOUT_NS)
			first = middle + 1;
		else
			last = middle;
	}
	return first < survey->served_count && survey->served[first] <= c->syn_last + BLACKOUT_NS;
}

/* Fills in the set. Returns false when out of memory. */
static bool find_suspects(struct context *g, const struct survey *survey, struct suspects *s)
{
	size_t i;

	s->is_lost = calloc(g->connect_count + 1, sizeof(*s->is_lost));
	for (i = 0; s->is_lost && i < g->connect_count; i++) {
		struct noted_connect *n = &g->connects[i];
		struct loss loss = loss_of(n);

		if (n->explained || !loss.packets || !is_place_of(g, s->growth, n, &loss) ||
		    (!survey->serves[server_of(g, n) - g->servers] && was_any_served(survey, n->c)))
			continue;
		connect_set_add(g, &s->set, n);
		s->is_lost[i] = true;
		s->packets += loss.packets;
	}
	return s->is_lost && !g->out_of_memory;
}

/* ---- does the loss follow a server or a host? ---- */

struct tally {
	size_t lost, served; /* connects within the span; served without loss */
};

/* Counts a connect that was exposed to the loss. */
static void tally_add(const struct context *g, const struct suspects *s, struct tally *t,
		      const struct noted_connect *n)
{
	if (n->c->syn < s->span.first || n->c->syn > s->span.last)
		return;
	if (s->is_lost[n - g->connects])
		t->lost++;
	else
		t->served += was_served(n);
}

static bool is_preferred(const struct tally *one, const struct tally *all, size_t candidates)
{
	size_t lost = all->lost - one->lost, served = all->served - one->served;

	if (one->lost * (lost + served) <= lost * (one->lost + one->served))
		return false;
	return candidates * fisher_exact(one->lost, one->served, lost, served) < PREFERS_CHANCE;
}

/* Returns true if the loss follows a server or a host: then its own path loses the packets. */
static bool follows_one(const struct context *g, const struct suspects *s, const struct tally *all)
{
	struct tally one;
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		one = (struct tally){};
		for (j = 0; j < g->servers[i].count; j++)
			tally_add(g, s, &one, &g->servers[i].connects[j]);
		if (is_preferred(&one, all, g->server_count))
			return true;
	}
	for (i = 0; i < g->hosts->count; i++) {
		one = (struct tally){};
		for (j = 0; j < g->timelines[i].connect_count; j++)
			tally_add(g, s, &one, g->timelines[i].connects[j]);
		if (is_preferred(&one, all, g->hosts->count))
			return true;
	}
	return false;
}

/* ---- the finding ---- */

/* Returns true if an interface drops too small a share of its packets to explain the loss. */
static bool is_share_too_small(const struct suspects *s)
{
	const struct drop_growth *growth = s->growth;
	double dropped = growth->count, lost = s->set.count;

	if (!growth->passed || !s->connects)
		return false;
	return dropped / (dropped + growth->passed) * SHARE_FACTOR < lost / s->connects;
}

static bool is_explained(struct context *g, struct suspects *s)
{
	struct tally all = {};
	size_t i;

	if (s->set.count < LEAST || s->growth->count < s->packets)
		return false;
	s->span = span_of(g, &s->set);
	for (i = 0; i < g->connect_count; i++)
		tally_add(g, s, &all, &g->connects[i]);
	s->connects = all.lost + all.served;
	return s->set.count >= LEAST_SHARE * s->connects && !is_share_too_small(s) &&
	       !follows_one(g, s, &all);
}

#define FORMAT_GROWTH 192

/* Formats as "packets dropped by the queueing discipline tbf of eth1: 214". */
static char *format_growth(char text[FORMAT_GROWTH], const struct drop_growth *growth)
{
	snprintf(text, FORMAT_GROWTH, "%s%s%s%s%s: %" PRIu64,
		 drop_counter_infos[growth->counter].text, growth->kind[0] ? " " : "", growth->kind,
		 growth->iface[0] ? " of " : "", growth->iface, growth->count);
	return text;
}

/* The kernel counts a full table, a lack of memory and some invalid packets in one counter. */
static void add_conntrack_room(const struct context *g, struct finding *f)
{
	const struct host_drops *drops = &g->facts->drops;

	if (drops->conntrack_max)
		finding_line(f, drops->conntrack_peak < drops->conntrack_max ? "against" : "",
			     "its table held up to %" PRIu64 " connections, of at most %" PRIu64,
			     drops->conntrack_peak, drops->conntrack_max);
}

static void add_evidence(struct context *g, struct finding *f, const struct suspects *s)
{
	const struct drop_growth *growth = s->growth;
	char text[FORMAT_GROWTH];

	finding_line(f, "counter", "%s during the run (%s in the JSON summary)",
		     format_growth(text, growth), drop_counter_infos[growth->counter].name);
	if (growth->passed)
		finding_line(f, "", "%" PRIu64 " packets passed there meanwhile", growth->passed);
	finding_line(f, "",
		     "meanwhile %zu of %" PRIu64 " connects lost %" PRIu64
		     " packets here or beyond; the loss follows no server and no host",
		     s->set.count, s->connects, s->packets);
	if (growth->counter == DROP_CONNTRACK)
		add_conntrack_room(g, f);
	finding_add_span(g, f, &s->set);
	finding_line(f, "against",
		     "a counter does not tell which packets it counted: these may be others");
	finding_line(f, "action", "%s", drop_counter_infos[growth->counter].action);
}

static void report(struct context *g, const struct suspects *s)
{
	const struct drop_growth *growth = s->growth;
	/* conntrack drops cannot be compared with the packets of an interface: a flood counts too */
	struct certainty certainty =
		growth->counter != DROP_QDISC
			? doubtful(CONFIDENCE_MEDIUM, "the counter counts other packets as well")
		: s->set.count < CERTAIN ? doubtful(CONFIDENCE_MEDIUM, "few connects only")
					 : certain();
	struct finding *f = finding_new(g, KIND_GATEWAY_DROPS, certainty);
	char where[2 * IFNAMSIZ + 64];

	if (!f)
		return;
	if (growth->iface[0])
		snprintf(where, sizeof(where), "on %s", growth->iface);
	else
		snprintf(where, sizeof(where), "in connection tracking");
	finding_add_connects(g, f, &s->set);
	f->stalls = s->connects;
	finding_text(f,
		     "this gateway itself drops packets %s: %" PRIu64
		     " during the run, while %zu of %" PRIu64 " connects lost packets",
		     where, growth->count, s->set.count, s->connects);
	add_evidence(g, f, s);
}

static void examine(struct context *g, const struct survey *survey,
		    const struct drop_growth *growth)
{
	struct suspects s = { .growth = growth };

	if (!find_suspects(g, survey, &s))
		g->out_of_memory = true;
	else if (is_explained(g, &s))
		report(g, &s);
	connect_set_free(&s.set);
	free(s.is_lost);
}

void cause_gateway_counters(struct context *g)
{
	const struct host_drops *drops = &g->facts->drops;
	struct survey survey;
	size_t i;

	if (!drops->is_read || !drops->count || session_losses(g->session))
		return;
	if (!survey_init(g, &survey))
		g->out_of_memory = true;
	for (i = 0; i < drops->count && !g->out_of_memory; i++)
		if (may_explain(&drops->grown[i]))
			examine(g, &survey, &drops->grown[i]);
	survey_free(&survey);
}

/* ---- for other findings ---- */

bool is_dropped_by_counters(const struct context *g, const struct peer *p)
{
	struct noted_connect like = { .c = &(struct connection){ .server = p->server } };
	const struct server *s = server_of(g, &like);
	bool explained = false;
	size_t i;

	for (i = 0; s && i < s->count; i++) {
		const struct noted_connect *n = &s->connects[i];

		if (n->explained && n->explained->kind == KIND_GATEWAY_DROPS)
			explained = true;
		else if (is_failed(n))
			return false;
	}
	return explained;
}

/* Counters of interfaces that are neither watched nor a way out concern other traffic. */
static bool is_of_interest(const struct context *g, const struct drop_growth *growth)
{
	size_t i;

	if (!drop_counter_infos[growth->counter].is_loss)
		return false;
	if (!growth->ifindex || watched_iface(g->session, growth->ifindex))
		return true;
	for (i = 0; i < g->facts->route_count; i++)
		if (g->facts->routes[i].route.device_index == growth->ifindex)
			return true;
	return false;
}

void gateway_drops_line(const struct context *g, struct finding *f)
{
	const struct host_drops *drops = &g->facts->drops;
	char growth[FORMAT_GROWTH], list[MAX_LISTED * (FORMAT_GROWTH + 2)] = "";
	size_t i, listed = 0, used = 0;

	if (!drops->is_read)
		return;
	for (i = 0; i < drops->count && listed < MAX_LISTED; i++)
		if (is_of_interest(g, &drops->grown[i]))
			used += snprintf(list + used, sizeof(list) - used, "%s%s",
					 listed++ ? "; " : "",
					 format_growth(growth, &drops->grown[i]));
	if (listed)
		finding_line(
			f, "",
			"this gateway itself dropped packets during the run, perhaps others: %s",
			list);
	else
		finding_line(f, "",
			     "the drop counters of this gateway (%sqdiscs, interfaces, IP) did not "
			     "grow during the run",
			     drops->available[DROP_CONNTRACK] ? "conntrack, " : "");
}
