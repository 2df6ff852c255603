// SPDX-License-Identifier: GPL-2.0
/* Creates the finding of a failover chain: its kind, its confidence, and its evidence. */
#include "diagnose/failover.h"
#include "diagnose/forwarding.h"

/*
 * After a longer gap, people and scheduled jobs start connections for other reasons, so confidence
 * is never high.
 */
#define LATE_NS (45 * (ns_t)SECOND_NS)

/* Maximum deviation of a timer; the next object of a page varies more. */
#define UNSTEADY_NS (20 * (ns_t)MILLISECOND_NS)

#define CHANCE_HIGH 1e-8 /* maximum chance for high confidence */

static void mark_explained(struct context *g, struct sequence *f, const struct recent *recent)
{
	struct explained_recent *e;

	if (is_successor_explained(f, recent))
		return;
	ADD_NEW(f->explained, recent, recent, e);
	g->out_of_memory |= !e;
}

static enum finding_kind chain_kind(const struct sequence *f, const struct span *s)
{
	if (!f->peer)
		return KIND_BROKEN_IPV6;
	return s->to_destination * 10 < s->count * 8 ? KIND_HELD_BEFORE_CONNECT
						     : KIND_FAILOVER_CHAIN;
}

/*
 * Returns true if both the attempts and the successors, to another port, may be periodic for
 * reasons of their own.
 */
static bool is_clockwork(const struct sequence *f, const struct span *s)
{
	return f->peer && s->periodic && s->destinations < 3 &&
	       s->destination->port != f->peer->server.port;
}

static enum confidence chain_confidence(const struct sequence *f, const struct span *s)
{
	const struct peer *p = f->peer;
	enum confidence confidence =
		s->chance <= CHANCE_HIGH ? confidence_by_count(s->attempts) : CONFIDENCE_LOW;

	if (is_clockwork(f, s))
		return CONFIDENCE_LOW;
	/* clients do not wait for a server that answers other clients */
	if (p && p->answered > p->failures[FAILURE_SILENT] && p->last_answer > p->first_failure)
		return CONFIDENCE_LOW;
	if ((s->median > LATE_NS || (p && s->deviation > UNSTEADY_NS)) &&
	    confidence == CONFIDENCE_HIGH)
		return CONFIDENCE_MEDIUM;
	return confidence;
}

/* Adds the hosts of the span, and marks its successors as explained. */
static void mark_span(struct context *g, struct finding *finding, struct sequence *f,
		      const struct span *s)
{
	size_t i, j;

	for (i = s->first; i < s->first + s->count; i++) {
		bool known = false;

		mark_explained(g, f, f->at[i].recent);
		for (j = s->first; j < i && !known; j++)
			known = f->at[j].after.timeline == f->at[i].after.timeline;
		if (!known)
			finding_add_host(g, &finding->affected, f->at[i].after.timeline->host);
	}
}

static void set_chain_text(struct finding *finding, const struct sequence *f, const struct span *s)
{
	char peer[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], t[FORMAT_DURATION];

	format_duration(t, s->median);
	format_endpoint(peer, &finding->peer);
	if (!f->peer)
		finding_text(finding,
			     "IPv6 does not get through for %zu host%s: each try costs %s before "
			     "IPv4 is used",
			     s->hosts, plural(s->hosts), t);
	else if (finding->kind == KIND_FAILOVER_CHAIN)
		finding_text(finding, "%s does not answer, and %s is tried only %s later", peer,
			     format_endpoint(to, s->destination), t);
	else
		finding_text(finding, "%s does not answer, and %zu host%s connect%s nowhere for %s",
			     peer, s->hosts, plural(s->hosts), s->hosts == 1 ? "s" : "", t);
}

static void add_chain_evidence(const struct context *g, struct finding *finding,
			       const struct sequence *f, const struct span *s)
{
	size_t without = f->attempts - s->attempts;
	char t[FORMAT_SPREAD];

	finding_line(finding, "",
		     "after %zu of %zu connect%s without an answer a connection to %zu server%s "
		     "began %s after the first SYN",
		     s->attempts, f->attempts, plural(f->attempts), s->destinations,
		     plural(s->destinations),
		     finding_format_spread(t, s->median, s->attempts > 1 ? s->deviation : NEVER));
	if (f->peer)
		finding_add_route(g, finding, f->peer);
	if (is_clockwork(f, s))
		finding_line(finding, "against",
			     "the attempts come at regular intervals, so the match may be chance");
	if (without)
		finding_line(finding, finding->confidence == CONFIDENCE_LOW ? "" : "against",
			     "%zu connect%s without such a connection after %s", without,
			     plural(without), without == 1 ? "it" : "them");
}

static void example_of_successor(struct example *e, const struct successor *s)
{
	*e = (struct example){
		.client = { .address = s->after.timeline->host->clients[0]->key.address },
		.server = s->recent->to,
		.syn = s->recent->syn,
		.synack = NEVER,
		.ack = NEVER,
		.first = NEVER,
	};
	example_add_attempt(e, s->after.pending);
}

void report_chain(struct context *g, struct sequence *f, const struct span *s)
{
	struct finding *finding = finding_new(g, chain_kind(f, s), chain_confidence(f, s));

	if (!finding)
		return;
	finding_set_peer(finding, f->peer ? &f->peer->server : &f->at[s->first].after.pending->to);
	finding->timer = s->median;
	finding->deviation = s->deviation;
	finding->correlated = s->attempts;
	finding->stalls = f->attempts;
	finding->hosts_hurt = s->hosts;
	mark_span(g, finding, f, s);
	set_chain_text(finding, f, s);
	add_chain_evidence(g, finding, f, s);
	finding->has_example = true;
	example_of_successor(&finding->example, &f->at[s->first + s->count / 2]);
}
