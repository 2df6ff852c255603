// SPDX-License-Identifier: GPL-2.0
/*
 * Reports faults of the path: packets that are too large, answers that take another path, long
 * round trips.
 */
#include <inttypes.h>

#include "diagnose/causes.h"
#include "diagnose/requests.h"

#define SLOW_ACCESS_NS (200 * (ns_t)MILLISECOND_NS)
/* factor by which a client's round trip exceeds the median of all clients */
#define SLOW_ACCESS_TIMES 10

/* ---- MTU black holes ---- */

/* Connects that failed with a full-sized segment that was repeated and never acknowledged. */
struct black_holes {
	struct failure_group group;
	size_t requests;
	size_t answers;
	size_t too_big; /* an ICMP "too big" was seen */
	size_t full_acked; /* other full-sized first segments of these servers and their clients */
};

static void add_black_holes(struct context *g, struct black_holes *b, const struct server *s)
{
	struct failure_group *group = &b->group;
	size_t i, before = group->set.count, acked = 0;

	for (i = 0; i < s->count; i++) {
		struct noted_connect *n = &s->connects[i];

		acked += (payload_is_full(&n->c->client_payload) && n->c->client_payload.acked) ||
			 (payload_is_full(&n->c->server_payload) && n->c->server_payload.acked);
		if (!is_failed(n) || n->entry.manner != MANNER_TOO_LARGE || n->explained)
			continue;
		connect_set_add(g, &group->set, n);
		b->answers += payload_is_black_holed(&n->c->server_payload);
		b->too_big += n->c->too_big;
	}
	if (group->set.count == before)
		return;
	b->full_acked += acked;
	group->servers++;
	group->connects += s->count;
	if (group->set.count - before > group->most) {
		group->most = group->set.count - before;
		group->server = s;
	}
}

/* Formats as "3 full-size requests and 1 full-size answer". */
static const char *format_black_holed(char out[80], const struct black_holes *b)
{
	int n = 0;

	if (b->requests)
		n = snprintf(out, 80, "%zu full-size request%s%s", b->requests, plural(b->requests),
			     b->answers ? " and " : "");
	if (b->answers)
		snprintf(out + n, 80 - n, "%zu full-size answer%s", b->answers, plural(b->answers));
	return out;
}

static void report_black_holes(struct context *g, const struct black_holes *b)
{
	struct requests r = requests_of(g, &b->group);
	struct finding *f = finding_of_group(g, &b->group, KIND_MTU_BLACK_HOLE,
					     confidence_by_count(b->group.set.count), &r);
	char servers[FORMAT_SERVERS], segments[80];

	if (!f)
		return;
	finding_text(f,
		     "large packets do not get %s %s, an MTU black hole: %zu of %" PRIu64
		     " requests got no answer",
		     b->answers > b->requests ? "back from" : "to",
		     format_with_others(servers, &b->group), b->group.set.count, r.all);
	finding_line(f, "",
		     "%s %s retransmitted repeatedly and never acknowledged, while handshakes pass",
		     format_black_holed(segments, b), were(b->group.set.count));
	if (b->too_big)
		finding_line(
			f, "",
			"ICMP \"too big\" was seen here for %zu of them: it does not reach the "
			"sender",
			b->too_big);
	else
		finding_line(
			f, "",
			"no ICMP \"too big\" was seen here: it is dropped before, or not sent");
	add_hosts_line(f, &r);
	if (b->full_acked)
		finding_line(f, "against",
			     "%zu other full-size first segment%s of %s %s acknowledged",
			     b->full_acked, plural(b->full_acked),
			     b->group.servers > 1 ? "connects to these servers"
						  : "connects to this server",
			     were(b->full_acked));
	finding_add_span(g, f, &b->group.set);
	finding_line(f, "action", "clamp the MSS at the tunnel, or let ICMP \"too big\" through");
}

static void cause_black_holes(struct context *g)
{
	struct black_holes b = { .group.kind = KIND_MTU_BLACK_HOLE };
	size_t i;

	for (i = 0; i < g->server_count; i++)
		add_black_holes(g, &b, &g->servers[i]);
	b.requests = b.group.set.count - b.answers;
	if (b.group.set.count)
		report_black_holes(g, &b);
	connect_set_free(&b.group.set);
}

/* ---- asymmetric and slow paths ---- */

static void report_one_direction(struct context *g)
{
	const struct model *m = g->m;
	bool is_usual = m->no_synack * 2 > m->outcomes[OUTCOME_ESTABLISHED];
	struct finding *f;

	if (!m->no_synack)
		return;
	f = finding_new(g, KIND_ONE_DIRECTION,
			is_usual ? confidence_by_count(m->no_synack) : CONFIDENCE_LOW);
	if (!f)
		return;
	f->correlated = m->no_synack;
	finding_text(f, "%" PRIu64 " connection%s went on although no SYN-ACK was captured here",
		     m->no_synack, plural(m->no_synack));
	finding_line(f, "",
		     "either the answers take another path, or the capture misses packets: nothing "
		     "more can be said about %s",
		     m->no_synack == 1 ? "this connection" : "these connections");
	finding_line(f, "action",
		     "watch the way of the answers as well; check the capture's "
		     "number of dropped packets");
}

static struct samples host_round_trips(const struct host *h)
{
	struct samples all = {};
	size_t i, j;

	for (i = 0; i < h->client_count; i++)
		for (j = 0; j < h->clients[i]->round_trips.count && j < SAMPLES; j++)
			samples_add(&all, h->clients[i]->round_trips.at[j]);
	return all;
}

static void report_slow_access(struct context *g)
{
	ns_t usual = histogram_percentile(&g->m->client_round_trips, 0.5);
	char name[FORMAT_ADDRESS], is[FORMAT_DURATION], other[FORMAT_DURATION];
	size_t i;

	for (i = 0; i < g->hosts->count; i++) {
		const struct host *h = &g->hosts->at[i];
		struct samples s = host_round_trips(h);
		ns_t middle = samples_median(&s);
		struct finding *f;

		if (s.count < 3 || middle < SLOW_ACCESS_NS || middle < SLOW_ACCESS_TIMES * usual)
			continue;
		f = finding_new(g, KIND_SLOW_ACCESS, CONFIDENCE_MEDIUM);
		if (!f)
			return;
		finding_add_host(g, &f->affected, h);
		f->hosts_hurt = 1;
		finding_text(f, "the path between %s and this gateway is slow: round trip %s",
			     format_address(name, &h->clients[0]->key.address),
			     format_duration(is, middle));
		finding_line(f, "",
			     "half of all handshakes here take %s; its link is loaded or far",
			     format_duration(other, usual));
	}
}

void cause_path(struct context *g)
{
	cause_black_holes(g);
	report_one_direction(g);
	report_slow_access(g);
}
