// SPDX-License-Identifier: GPL-2.0
/*
 * Reports faults of the path: packets that are too large, answers that take another path, long
 * round trips.
 */
#include <inttypes.h>

#include "diagnose/causes.h"

#define SLOW_ACCESS_NS (200 * (ns_t)MILLISECOND_NS)
/* factor by which a client's round trip exceeds the median of all clients */
#define SLOW_ACCESS_TIMES 10

/* ---- MTU black holes ---- */

/* Numbers of connections, summed over all peers. */
struct black_holes {
	uint32_t requests;
	uint32_t answers;
	uint32_t too_big;
	size_t peers;
	const struct peer *worst;
};

static uint32_t black_holed(const struct peer *p)
{
	return p->anomalies ? p->anomalies->black_holed_requests + p->anomalies->black_holed_answers
			    : 0;
}

static struct black_holes count_black_holes(const struct model *m)
{
	struct black_holes sum = {};
	const struct peer *p;

	for (p = m->peers; p; p = p->hh.next) {
		if (!black_holed(p))
			continue;
		sum.peers++;
		sum.requests += p->anomalies->black_holed_requests;
		sum.answers += p->anomalies->black_holed_answers;
		sum.too_big += p->anomalies->too_big;
		if (!sum.worst || black_holed(p) > black_holed(sum.worst))
			sum.worst = p;
	}
	return sum;
}

/* Formats as "3 full-size requests and 1 full-size answer". */
static const char *format_black_holed(char out[80], const struct black_holes *sum)
{
	int n = 0;

	if (sum->requests)
		n = snprintf(out, 80, "%u full-size request%s%s", sum->requests,
			     plural(sum->requests), sum->answers ? " and " : "");
	if (sum->answers)
		snprintf(out + n, 80 - n, "%u full-size answer%s", sum->answers,
			 plural(sum->answers));
	return out;
}

static void report_black_holes(struct context *g)
{
	struct black_holes sum = count_black_holes(g->m);
	char peer[FORMAT_ENDPOINT], segments[80];
	const struct peer *p;
	struct finding *f;

	f = sum.worst ? finding_new(g, KIND_MTU_BLACK_HOLE,
				    confidence_by_count(sum.requests + sum.answers))
		      : NULL;
	if (!f)
		return;
	finding_set_peer(f, &sum.worst->server);
	for (p = g->m->peers; p; p = p->hh.next)
		if (p->anomalies)
			finding_add_hosts(g, f, p, ANOMALY_BLACK_HOLE);
	f->hosts_hurt = f->affected.count;
	f->correlated = sum.requests + sum.answers;
	finding_text(f, "large packets do not get %s %s%s: an MTU black hole",
		     sum.answers > sum.requests ? "back from" : "to",
		     format_endpoint(peer, &sum.worst->server),
		     sum.peers > 1 ? " and other servers" : "");
	finding_line(f, "",
		     "%s %s retransmitted repeatedly and never acknowledged, while the handshake "
		     "and small segments pass",
		     format_black_holed(segments, &sum),
		     sum.requests + sum.answers == 1 ? "was" : "were");
	if (sum.too_big)
		finding_line(f, "",
			     "ICMP \"too big\" was seen here for %u of them: it does not reach the "
			     "sender",
			     sum.too_big);
	else
		finding_line(f, "", "no ICMP \"too big\" was seen: it is dropped on the way");
	finding_line(f, "action", "clamp the MSS at the tunnel, or let ICMP \"too big\" through");
	if (g->m->full_acked)
		finding_line(f, "against",
			     "%" PRIu64 " other full-size first segment%s acknowledged",
			     g->m->full_acked, g->m->full_acked == 1 ? " was" : "s were");
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
	report_black_holes(g);
	report_one_direction(g);
	report_slow_access(g);
}
