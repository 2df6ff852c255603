// SPDX-License-Identifier: GPL-2.0
/* Reports loss between one client and this gateway, or between this gateway and the servers. */
#include <inttypes.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"
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

/* Established connects of a set of hosts or servers, and those on which a packet was lost. */
struct losses {
	uint64_t lost;
	uint64_t established;
};

static void add_connect(struct losses *l, const struct noted_connect *n,
			bool (*is_lost)(const struct connection *c))
{
	if (n->c->outcome != OUTCOME_ESTABLISHED)
		return;
	l->established++;
	l->lost += !n->explained && is_lost(n->c);
}

static struct losses losses_of_host(const struct timeline *t)
{
	struct losses l = {};
	size_t i;

	for (i = 0; i < t->connect_count; i++)
		add_connect(&l, t->connects[i], connection_lost_near);
	return l;
}

static struct losses losses_of_server(const struct server *s)
{
	struct losses l = {};
	size_t i;

	for (i = 0; i < s->count; i++)
		add_connect(&l, &s->connects[i], connection_lost_far);
	return l;
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

/* Reports the loss of a client if the other clients have much less loss. all is of all hosts. */
static void report_lossy_client(struct context *g, struct timeline *t, const struct losses *all)
{
	struct losses l = losses_of_host(t);
	uint64_t others = all->lost - l.lost, established = all->established - l.established;
	char name[FORMAT_ADDRESS];
	struct finding *f;
	double chance;
	size_t waits;

	if (l.lost < LOSS_LEAST || l.lost < LOSS_SHARE * l.established ||
	    (established && (double)others / established * 3 > (double)l.lost / l.established))
		return;
	chance = established ? chance_of_loss(g, l.lost, l.established, others, established)
			     : LOSS_CHANCE;
	if (chance > LOSS_CHANCE)
		return;
	f = finding_new(g, KIND_LOSSY_CLIENT,
			l.lost >= 5 && chance <= LOSS_CERTAIN
				? certain()
				: doubtful(CONFIDENCE_MEDIUM, "few losses only"));
	if (!f)
		return;
	waits = explain_short_stalls(t, f);
	finding_add_host(g, &f->affected, t->host);
	f->hosts_hurt = 1;
	f->stalls = l.established;
	f->correlated = l.lost;
	finding_text(f, "packets are lost between %s and this gateway",
		     format_address(name, &t->host->clients[0]->key.address));
	gateway_drops_line(g, f);
	finding_line(f, "",
		     "on %" PRIu64 " of %" PRIu64 " connects the handshake had to be repeated on "
		     "this side, or the first payload came with a hole before it; of the other "
		     "hosts on %" PRIu64 " of %" PRIu64,
		     l.lost, l.established, others, established);
	if (waits)
		finding_line(f, "", "%zu stall%s of up to 3 s %s such a loss: cable, Wi-Fi, duplex",
			     waits, plural(waits),
			     waits == 1 ? "has the shape of" : "have the shape of");
	finding_line(f, "action",
		     "check this host's link: errors of its switch port and its interface (ethtool "
		     "-S), cable, duplex, Wi-Fi signal");
}

static void report_lossy_clients(struct context *g)
{
	struct losses all = {};
	size_t i;

	for (i = 0; i < g->connect_count; i++)
		add_connect(&all, &g->connects[i], connection_lost_near);
	for (i = 0; all.lost && i < g->hosts->count; i++)
		report_lossy_client(g, &g->timelines[i], &all);
}

/* Adds the connects that lost their SYN to the finding, and their hosts. */
static void add_lost_connects(struct context *g, struct finding *f)
{
	struct connect_set set = {};
	size_t i;

	for (i = 0; i < g->connect_count; i++) {
		struct noted_connect *n = &g->connects[i];

		if (!n->explained && n->c->outcome == OUTCOME_ESTABLISHED &&
		    connection_lost_far(n->c))
			connect_set_add(g, &set, n);
	}
	finding_add_connects(g, f, &set);
	connect_set_free(&set);
}

/*
 * Reports loss behind this gateway: SYNs that were lost and have nothing in common. If several
 * servers have loss, the path to them is at fault; otherwise the server is.
 */
static void report_lossy_far_side(struct context *g)
{
	uint64_t established = 0, lost = 0, worst = 0;
	struct finding *f;
	size_t i, servers = 0;

	for (i = 0; i < g->server_count; i++) {
		struct losses l = losses_of_server(&g->servers[i]);

		established += l.established;
		lost += l.lost;
		servers += l.lost > 0;
		if (l.lost > worst)
			worst = l.lost;
	}
	if (lost < LOSS_LEAST || lost < LOSS_SHARE * established || servers < 2 ||
	    worst * 10 > lost * 8 || has_finding(g, KIND_GATEWAY_DROPS))
		return;
	f = finding_new(g, KIND_LOSSY_FAR_SIDE,
			servers >= 3 && lost >= 2 * LOSS_LEAST
				? certain()
				: doubtful(CONFIDENCE_MEDIUM, "few losses only"));
	if (!f)
		return;
	finding_text(f,
		     "packets are lost behind this gateway: %" PRIu64 " of %" PRIu64
		     " connects had to try again",
		     lost, established);
	gateway_drops_line(g, f);
	finding_line(
		f, "",
		"the SYN was sent again and answered then, at %zu servers; none of them alone has "
		"most of it",
		servers);
	add_lost_connects(g, f);
	finding_line(f, "action",
		     "look for losses on the way out: errors and drops of the outer interface (ip "
		     "-s link, tc -s qdisc), the line of the provider (mtr to several servers)");
	f->stalls = established;
}

void cause_loss(struct context *g)
{
	report_lossy_clients(g);
	report_lossy_far_side(g);
}
