// SPDX-License-Identifier: GPL-2.0
/* Reports loss between one client and this gateway, or between this gateway and the servers. */
#include <inttypes.h>

#include "diagnose/causes.h"
#include "diagnose/gateway_counters.h"

/* Minimum number and share of connections with loss for a finding. */
#define LOSS_LEAST 3
#define LOSS_SHARE 0.05

/* Maximum probability that chance explains a host's loss, for a finding and for high confidence. */
#define LOSS_CHANCE 0.05
#define LOSS_CERTAIN 0.001

/*
 * Maximum wait that retransmissions explain: timeouts of 0.2, 0.6 and 1.4 s, or the initial 1 and 3
 * s.
 */
#define LOSS_WAIT_NS (3300 * (ns_t)MILLISECOND_NS)

static uint64_t host_lost(const struct host *h)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < h->client_count; i++)
		n += h->clients[i]->lost_near;
	return n;
}

/*
 * Returns the p-value of Fisher's exact test, multiplied by the number of hosts since the worst
 * host is tested (Bonferroni).
 */
static double chance_of_loss(const struct context *g, uint64_t lost, uint64_t of, uint64_t others,
			     uint64_t of_others)
{
	return g->hosts->count * fisher_exact(lost, of > lost ? of - lost : 0, others,
					      of_others > others ? of_others - others : 0);
}

/* Marks the host's short stalls as explained by the finding. Returns their number. */
static size_t explain_short_stalls(struct timeline *t, const struct finding *f)
{
	size_t i, n = 0;

	for (i = 0; i < t->stall_count; i++) {
		struct noted_stall *noted = &t->stalls[i];

		if (!noted->explained && noted->stall->wait <= LOSS_WAIT_NS) {
			noted->explained = f;
			n++;
		}
	}
	return n;
}

/* Reports the loss of a client if the other clients have much less loss. */
static void report_lossy_client(struct context *g, struct timeline *t)
{
	const struct host *h = t->host;
	uint64_t lost = host_lost(h), others = g->m->lost_near - lost, established;
	char name[FORMAT_ADDRESS];
	struct finding *f;
	double chance;
	size_t waits;

	established = g->m->outcomes[OUTCOME_ESTABLISHED] - h->established;
	if (lost < LOSS_LEAST || lost < LOSS_SHARE * h->established ||
	    (established && (double)others / established * 3 > (double)lost / h->established))
		return;
	chance = established ? chance_of_loss(g, lost, h->established, others, established)
			     : LOSS_CHANCE;
	if (chance > LOSS_CHANCE)
		return;
	f = finding_new(g, KIND_LOSSY_CLIENT,
			lost >= 5 && chance <= LOSS_CERTAIN ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM);
	if (!f)
		return;
	waits = explain_short_stalls(t, f);
	finding_add_host(g, &f->affected, h);
	f->hosts_hurt = 1;
	f->stalls = h->established;
	f->correlated = lost;
	finding_text(f, "packets are lost between %s and this gateway",
		     format_address(name, &h->clients[0]->key.address));
	gateway_drops_line(g, f);
	finding_line(f, "",
		     "on %" PRIu64 " of %" PRIu64
		     " connections the handshake had to be repeated on "
		     "this side, or the first payload came with a hole before it; of the other "
		     "hosts on %" PRIu64 " of %" PRIu64,
		     lost, h->established, others, established);
	if (waits)
		finding_line(f, "", "%zu stall%s of up to 3 s %s such a loss: cable, Wi-Fi, duplex",
			     waits, plural(waits),
			     waits == 1 ? "has the shape of" : "have the shape of");
}

/*
 * Reports loss behind this gateway. If several servers have loss, the path to them is at fault;
 * otherwise the server is.
 */
static void report_lossy_far_side(struct context *g)
{
	uint64_t established = g->m->outcomes[OUTCOME_ESTABLISHED], lost = g->m->lost_far;
	const struct peer *p, *worst = NULL;
	struct finding *f;
	size_t servers = 0;

	if (lost < LOSS_LEAST || lost < LOSS_SHARE * established)
		return;
	for (p = g->m->peers; p; p = p->hh.next) {
		servers += p->lost > 0;
		if (!worst || p->lost > worst->lost)
			worst = p;
	}
	if (servers < 2 || worst->lost * 10 > lost * 8 || has_finding(g, KIND_GATEWAY_DROPS))
		return;
	f = finding_new(g, KIND_LOSSY_FAR_SIDE,
			servers >= 3 && lost >= 2 * LOSS_LEAST ? CONFIDENCE_HIGH
							       : CONFIDENCE_MEDIUM);
	if (!f)
		return;
	for (p = g->m->peers; p; p = p->hh.next)
		if (p->lost)
			finding_add_hosts(g, f, p, 0);
	f->hosts_hurt = f->affected.count;
	f->stalls = established;
	f->correlated = lost;
	finding_text(f,
		     "packets are lost behind this gateway: %" PRIu64 " of %" PRIu64
		     " connections had to try again",
		     lost, established);
	gateway_drops_line(g, f);
	finding_line(
		f, "",
		"the SYN was sent again and answered then, at %zu servers; none of them alone has "
		"most of it",
		servers);
}

void cause_loss(struct context *g)
{
	size_t i;

	for (i = 0; i < g->hosts->count; i++)
		if (host_lost(&g->hosts->at[i]))
			report_lossy_client(g, &g->timelines[i]);
	report_lossy_far_side(g);
}
