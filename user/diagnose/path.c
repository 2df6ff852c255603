// SPDX-License-Identifier: GPL-2.0
/* The way itself: packets that are too large, answers that pass elsewhere, loss, long round trips. */
#include <stdlib.h>
#include <string.h>

#include "diagnose/cause.h"
#include "lib/format.h"

/* Loss is worth a word from so many connections and such a share of them on. */
#define LOSS_LEAST 3
#define LOSS_SHARE 0.05

/* One of the hosts has the most of it, and so seldom by chance: to be named, to be named surely. */
#define LOSS_CHANCE 0.05
#define LOSS_SURE 0.001

/* What waits so long after a loss is a retransmission: 0.2, 0.6, 1.4 s, or the initial 1 and 3 s. */
#define LOSS_WAIT_NS (3300 * (ns_t)MILLISECOND_NS)

#define SLOW_ACCESS_NS (200 * (ns_t)MILLISECOND_NS)

/* Of the records, so many lost make every count doubtful. */
#define LOST_SHARE 0.001

static struct samples host_round_trips(const struct host *h)
{
	struct samples all = {};
	size_t i, j;

	for (i = 0; i < h->client_count; i++)
		for (j = 0; j < h->clients[i]->round_trips.count && j < SAMPLES; j++)
			all.at[all.count++ % SAMPLES] = h->clients[i]->round_trips.at[j];
	return all;
}

static uint64_t host_lost(const struct host *h)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < h->client_count; i++)
		n += h->clients[i]->lost_near;
	return n;
}

/* The probability that the worst of the hosts has so much more loss than the others by chance. */
static double chance_of_loss(const struct diagnosing *g, uint64_t lost, uint64_t of,
			     uint64_t others, uint64_t of_others)
{
	return g->hosts.count * fisher_exact(lost, of > lost ? of - lost : 0, others,
					     of_others > others ? of_others - others : 0);
}

/* Loss of a client, where the other clients have much less of it. */
static void report_lossy_client(struct diagnosing *g, size_t index)
{
	const struct host *h = &g->hosts.at[index];
	uint64_t lost = host_lost(h), others = g->m->lost_near - lost, established;
	char name[FORMAT_ADDRESS];
	struct finding *f;
	size_t i, waits = 0;
	double chance;

	established = g->m->outcomes[OUTCOME_ESTABLISHED] - h->established;
	if (lost < LOSS_LEAST || lost < LOSS_SHARE * h->established ||
	    (established && (double)others / established * 3 > (double)lost / h->established))
		return;
	chance = established ? chance_of_loss(g, lost, h->established, others, established)
			     : LOSS_CHANCE;
	if (chance > LOSS_CHANCE)
		return;
	f = finding_new(g, KIND_LOSSY_CLIENT,
			lost >= 5 && chance <= LOSS_SURE ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
	if (!f)
		return;
	for (i = 0; i < g->views[index].stall_count; i++) {
		struct stall *s = g->views[index].stalls[i];

		if (!s->explained && s->wait <= LOSS_WAIT_NS) {
			s->explained = f;
			waits++;
		}
	}
	finding_add_host(g, &f->affected, h);
	f->hosts_hurt = 1;
	f->stalls = h->established;
	f->correlated = lost;
	finding_text(f, "packets are lost between %s and this gateway",
		     format_address(name, &h->clients[0]->key.address));
	finding_line(
		f, "",
		"on %llu of %llu connections the handshake had to be repeated on this side, or the "
		"first payload came with a hole before it; of the other hosts on %llu of %llu",
		(unsigned long long)lost, (unsigned long long)h->established,
		(unsigned long long)others, (unsigned long long)established);
	if (waits)
		finding_line(f, "", "%zu stall%s of up to 3 s %s such a loss: cable, Wi-Fi, duplex",
			     waits, plural(waits),
			     waits == 1 ? "has the shape of" : "have the shape of");
}

/* Loss at one server alone is that server's. */
static void report_lossy_far_side(struct diagnosing *g)
{
	uint64_t established = g->m->outcomes[OUTCOME_ESTABLISHED];
	struct peer *p, *worst = NULL;
	struct finding *f;
	size_t servers = 0;

	if (g->m->lost_far < LOSS_LEAST || g->m->lost_far < LOSS_SHARE * established)
		return;
	for (p = g->m->peers; p; p = p->hh.next) {
		servers += p->lost > 0;
		if (!worst || p->lost > worst->lost)
			worst = p;
	}
	if (servers < 2 || worst->lost * 10 > g->m->lost_far * 8)
		return;
	f = finding_new(g, KIND_LOSSY_FAR_SIDE,
			servers >= 3 && g->m->lost_far >= 2 * LOSS_LEAST ? CONFIDENCE_HIGH
									 : CONFIDENCE_MEDIUM);
	if (!f)
		return;
	for (p = g->m->peers; p; p = p->hh.next)
		if (p->lost)
			finding_add_hosts(g, f, p, 0);
	f->hosts_hurt = f->affected.count;
	f->stalls = established;
	f->correlated = g->m->lost_far;
	finding_text(
		f,
		"packets are lost behind this gateway: %llu of %llu connections had to try again",
		(unsigned long long)g->m->lost_far, (unsigned long long)established);
	finding_line(
		f, "",
		"the SYN was sent again and answered then, at %zu servers; none of them alone has "
		"most of it",
		servers);
}

void cause_loss(struct diagnosing *g)
{
	size_t i;

	for (i = 0; i < g->hosts.count; i++)
		if (host_lost(&g->hosts.at[i]))
			report_lossy_client(g, i);
	report_lossy_far_side(g);
}

static void report_black_hole(struct diagnosing *g)
{
	uint32_t requests = 0, answers = 0, too_big = 0;
	struct peer *p, *worst = NULL;
	char peer[FORMAT_ENDPOINT];
	struct finding *f;
	size_t peers = 0;

	for (p = g->m->peers; p; p = p->hh.next) {
		struct anomalies *t = p->anomalies;

		if (!t || !(t->black_holed_requests + t->black_holed_answers))
			continue;
		peers++;
		requests += t->black_holed_requests;
		answers += t->black_holed_answers;
		too_big += t->too_big;
		if (!worst || t->black_holed_requests + t->black_holed_answers >
				      worst->anomalies->black_holed_requests +
					      worst->anomalies->black_holed_answers)
			worst = p;
	}
	if (!worst)
		return;
	f = finding_new(g, KIND_MTU_BLACK_HOLE, by_count(requests + answers));
	if (!f)
		return;
	finding_set_peer(f, &worst->server);
	for (p = g->m->peers; p; p = p->hh.next)
		if (p->anomalies)
			finding_add_hosts(g, f, p, ANOMALY_BLACK_HOLE);
	f->hosts_hurt = f->affected.count;
	f->correlated = requests + answers;
	format_endpoint(peer, &worst->server);
	finding_text(f, "large packets do not get %s %s%s: an MTU black hole",
		     answers > requests ? "back from" : "to", peer,
		     peers > 1 ? " and other servers" : "");
	finding_line(
		f, "",
		"%u full-size request%s and %u answer%s sent again and again, never acknowledged,",
		requests, plural(requests), answers, plural(answers));
	finding_line(f, "", "while the handshake and small segments pass");
	if (too_big)
		finding_line(f, "",
			     "ICMP \"too big\" was seen here for %u: it does not reach the sender",
			     too_big);
	else
		finding_line(f, "", "no ICMP \"too big\" was seen: it is dropped on the way");
	finding_line(f, "do", "clamp the MSS at the tunnel, or let ICMP \"too big\" through");
	if (g->m->full_acked)
		finding_line(f, "against", "%llu other full-size first segments were acknowledged",
			     (unsigned long long)g->m->full_acked);
}

static bool is_one_direction(const struct model *m)
{
	return m->no_synack * 2 > m->outcomes[OUTCOME_ESTABLISHED];
}

static void report_one_direction(struct diagnosing *g)
{
	struct finding *f;

	if (!g->m->no_synack)
		return;
	f = finding_new(g, KIND_ONE_DIRECTION,
			is_one_direction(g->m) ? by_count(g->m->no_synack) : CONFIDENCE_LOW);
	if (!f)
		return;
	f->correlated = g->m->no_synack;
	finding_text(f, "only one direction passes here: %llu connections without a SYN-ACK",
		     (unsigned long long)g->m->no_synack);
	finding_line(f, "",
		     "the clients go on as if answered: the answers take another way. Of these");
	finding_line(f, "", "connections nothing more can be said; watch the other way as well");
}

static void report_slow_access(struct diagnosing *g)
{
	ns_t usual = histogram_percentile(&g->m->client_round_trips, 0.5);
	char name[FORMAT_ADDRESS], is[FORMAT_DURATION], other[FORMAT_DURATION];
	size_t i;

	for (i = 0; i < g->hosts.count; i++) {
		const struct host *h = &g->hosts.at[i];
		struct samples s = host_round_trips(h);
		ns_t middle = samples_median(&s);
		struct finding *f;

		if (s.count < 3 || middle < SLOW_ACCESS_NS || middle < 10 * usual)
			continue;
		f = finding_new(g, KIND_SLOW_ACCESS, CONFIDENCE_MEDIUM);
		if (!f)
			return;
		finding_add_host(g, &f->affected, h);
		f->hosts_hurt = 1;
		finding_text(f, "the way between %s and this gateway is slow: %s a round trip",
			     format_address(name, &h->clients[0]->key.address),
			     format_duration(is, middle));
		finding_line(f, "",
			     "half of all handshakes here take %s; its link is loaded or far",
			     format_duration(other, usual));
	}
}

static void report_no_verdict(struct diagnosing *g)
{
	const struct model *m = g->m;
	struct finding *f;
	size_t i;
	bool lossy = g->view->lost > LOST_SHARE * (m->connections + g->view->lost);

	if (!lossy && !g->view->outer_side && !(m->no_synack && is_one_direction(m)))
		return;
	for (i = 0; i < g->d->count; i++)
		if (g->d->at[i].kind != KIND_ONE_DIRECTION)
			g->d->at[i].confidence = CONFIDENCE_LOW;
	f = finding_new(g, KIND_NO_VERDICT, CONFIDENCE_HIGH);
	if (!f)
		return;
	if (g->view->outer_side) {
		finding_text(f,
			     "this is the outer side of a NAT: the clients cannot be told apart");
		if (g->view->nat && g->view->nat->unknown)
			finding_line(f, "", "%s", g->view->nat->unknown);
		finding_line(f, "do", "watch %s",
			     g->view->nat && g->view->nat->inner[0]
				     ? g->view->nat->inner
				     : "the interface that the clients are on");
	} else if (lossy) {
		finding_text(f, "%llu attempts of %llu were lost by this tool: no verdict holds",
			     (unsigned long long)g->view->lost,
			     (unsigned long long)m->connections + g->view->lost);
		finding_line(f, "", "the reasons are below; narrow the view by --client or --port");
	} else {
		finding_text(f, "most connections show one direction only: no verdict holds");
	}
	finding_line(f, "", "every confidence below is set to low");
}

static bool is_path_at_fault(const struct diagnosing *g)
{
	return has_finding(g, KIND_PREFIX_CUT) || has_finding(g, KIND_DROPPED_IN_GATEWAY) ||
	       has_finding(g, KIND_MTU_BLACK_HOLE) || has_finding(g, KIND_LOSSY_CLIENT) ||
	       has_finding(g, KIND_LOSSY_FAR_SIDE) || has_finding(g, KIND_SLOW_ACCESS) ||
	       has_finding(g, KIND_ONE_DIRECTION) || has_finding(g, KIND_NO_VERDICT);
}

/* Prompt and without loss, both ways: whoever is slow, it is not what lies between. */
static void report_not_the_network(struct diagnosing *g)
{
	const struct model *m = g->m;
	const struct histogram *near = &m->client_round_trips, *far = &m->server_round_trips;
	uint64_t established = m->outcomes[OUTCOME_ESTABLISHED],
		 prompt = established - m->lost_near;
	char a[FORMAT_DURATION], b[FORMAT_DURATION], c[FORMAT_DURATION], d[FORMAT_DURATION];
	struct finding *f;

	if (near->count < 10 || far->count < 10 || is_path_at_fault(g) ||
	    histogram_percentile(near, 0.99) >= m->stall_ns ||
	    histogram_percentile(far, 0.99) >= m->stall_ns ||
	    (m->lost_near + m->lost_far) * 50 > established)
		return;
	f = finding_new(g, KIND_NOT_THE_NETWORK,
			established >= 100 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
	if (!f)
		return;
	finding_text(f, "the network that passes here is not the problem: it is prompt both ways");
	finding_line(f, "", "round trip to the clients p50 %s p99 %s, to the servers p50 %s p99 %s",
		     format_duration(a, histogram_percentile(near, 0.5)),
		     format_duration(b, histogram_percentile(near, 0.99)),
		     format_duration(c, histogram_percentile(far, 0.5)),
		     format_duration(d, histogram_percentile(far, 0.99)));
	finding_line(f, "", "%llu of %llu handshakes without a loss on the way",
		     (unsigned long long)(prompt - (m->lost_far < prompt ? m->lost_far : prompt)),
		     (unsigned long long)established);
}

void cause_path(struct diagnosing *g)
{
	report_black_hole(g);
	report_one_direction(g);
	report_slow_access(g);
	report_no_verdict(g);
	report_not_the_network(g);
}
