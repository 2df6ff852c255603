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
	/* first segments of other connects to these addresses: as large as the smallest of these */
	size_t full_acked;
	const struct server *counted; /* the first server of the last address that was counted */
};

static bool is_acked(const struct payload *p, uint16_t least)
{
	return payload_is_full(p) && p->acked && p->size >= least;
}

/* Counts the acknowledged first segments of least bytes or more at the address of s, once. */
static void add_full_acked(struct context *g, struct black_holes *b, const struct server *s,
			   uint16_t least)
{
	const struct endpoint *address = &s->endpoint;
	const struct server *end = g->servers + g->server_count;
	size_t i;

	while (s > g->servers && same_address(&s[-1].endpoint, address))
		s--;
	if (b->counted == s)
		return;
	b->counted = s;
	for (; s < end && same_address(&s->endpoint, address); s++)
		for (i = 0; i < s->count; i++) {
			const struct connection *c = s->connects[i].c;

			b->full_acked += is_acked(&c->client_payload, least) ||
					 is_acked(&c->server_payload, least);
		}
}

static void add_black_holes(struct context *g, struct black_holes *b, const struct server *s)
{
	struct failure_group *group = &b->group;
	size_t i, before = group->set.count;
	uint16_t least = UINT16_MAX;

	for (i = 0; i < s->count; i++) {
		struct noted_connect *n = &s->connects[i];
		bool is_answer;
		uint16_t size;

		if (!is_failed(n) || n->entry.manner != MANNER_TOO_LARGE || n->explained)
			continue;
		connect_set_add(g, &group->set, n);
		is_answer = payload_is_black_holed(&n->c->server_payload);
		size = is_answer ? n->c->server_payload.size : n->c->client_payload.size;
		least = size < least ? size : least;
		b->answers += is_answer;
		b->too_big += n->c->too_big;
	}
	if (group->set.count == before)
		return;
	add_full_acked(g, b, s, least);
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
	struct certainty certainty = certainty_by_count(b->group.set.count);
	char servers[FORMAT_SERVERS], segments[80];
	struct finding *f;

	/* such packets pass on another path, or at another time */
	if (b->full_acked)
		certainty = at_most(certainty, CONFIDENCE_MEDIUM,
				    "other full-size packets to it were acknowledged");
	f = finding_of_group(g, &b->group, KIND_MTU_BLACK_HOLE, certainty, &r);
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
			     b->group.servers > 1 ? "connects to these addresses"
						  : "connects to this address",
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
			is_usual ? certainty_by_count(m->no_synack)
				 : doubtful(CONFIDENCE_LOW, "both directions were seen of most"));
	if (!f)
		return;
	f->correlated = m->no_synack;
	finding_text(f, "%" PRIu64 " connect%s went on although no SYN-ACK was captured here",
		     m->no_synack, plural(m->no_synack));
	finding_line(f, "",
		     "either the answers take another path, or the capture misses packets: nothing "
		     "more can be said about %s",
		     m->no_synack == 1 ? "this connect" : "these connects");
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
		f = finding_new(g, KIND_SLOW_ACCESS,
				doubtful(CONFIDENCE_MEDIUM, "the host itself may answer late"));
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
		finding_line(f, "action",
			     "ping it from here, and look at the load of its link (Wi-Fi, VPN, "
			     "DSL) at that time");
	}
}

void cause_path(struct context *g)
{
	cause_black_holes(g);
	report_one_direction(g);
	report_slow_access(g);
}
