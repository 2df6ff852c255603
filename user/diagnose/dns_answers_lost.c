// SPDX-License-Identifier: GPL-2.0
/*
 * Reports answers that are lost although the resolver is well: one of two questions that a client
 * sends at once from one port, or answers that are larger than a datagram.
 *
 * Where the conntrack of a NAT sees two packets of a new flow at the same time, it may drop one of
 * them: both make an entry, and the second insertion fails.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/resolvers.h"

/* Two questions from one port within this time are sent at once. */
#define PAIR_NS (5 * (ns_t)MILLISECOND_NS)

/* The answer to the question that was sent again comes at once. */
#define PROMPT_NS (20 * (ns_t)MILLISECOND_NS)

#define MIN_LOST 3
#define MAX_CHANCE 0.01

/* Without a comparison that excludes random loss: so many, of several hosts, and this share. */
#define MIN_LOST_ALONE 5
#define MIN_SHARE_ALONE 0.04

/* Above this share of lost ones, it is no race. */
#define MAX_SHARE 0.5

/* ---- one of two questions ---- */

struct pairs {
	struct resolver *resolver;
	size_t pairs;
	size_t one_lost, both_lost;
	size_t first_lost; /* of one_lost: the question that was sent first */
	/* other exchanges: questions that are alone or sent again, SYNs and requests of the hosts */
	size_t others, others_lost;
	ns_t *gaps; /* until the lost one was sent again; then struct cluster */
	struct cluster timer;
	bool *hosts; /* by index: it lost one */
	size_t host_count;
	bool *asking; /* by index of the host */
	bool *lookups; /* by index of g->lookups: it was lost */
	bool *paired; /* by index of resolver->asked[] */
	ns_t *waits;
	size_t wait_count;
};

static const struct dns_try *first_try_at(const struct asked *a)
{
	size_t i;

	for (i = 0; i < lookup_tries(a->n->l); i++)
		if (lookup_try(a->n->l, i)->time == a->first)
			return lookup_try(a->n->l, i);
	return lookup_try(a->n->l, 0);
}

/* The first question got no answer, and the same question got one when it was sent again. */
static bool was_lost(const struct resolver *s, const struct asked *a)
{
	ns_t prompt = PROMPT_NS + (s->median == NEVER ? 0 : 2 * s->median);

	if (a->result == ASKED_SILENT)
		return a->tries == 1 && lookup_is_answered(a->n->l);
	return a->result == ASKED_ANSWERED && a->answered - a->first >= MIN_RETRY_NS &&
	       a->after_last <= prompt;
}

static bool was_answered(const struct asked *a)
{
	return a->result == ASKED_ANSWERED && a->answered - a->first < MIN_RETRY_NS;
}

static bool are_pair(const struct asked *a, const struct asked *b)
{
	return is_same_question(a->n, b->n) && a->n->l->type != b->n->l->type &&
	       first_try_at(a)->client_port == first_try_at(b)->client_port;
}

static struct asked *pair_of(const struct resolver *s, struct asked *a)
{
	struct asked *b;

	for (b = a; b-- > s->asked && a->first - b->first <= PAIR_NS;)
		if (are_pair(a, b))
			return b;
	return NULL;
}

/* Returns the time until the lost question was sent again. */
static ns_t gap_after(const struct asked *a)
{
	size_t i;

	for (i = 0; i < lookup_tries(a->n->l); i++)
		if (lookup_try(a->n->l, i)->time - a->first >= MIN_RETRY_NS)
			return lookup_try(a->n->l, i)->time - a->first;
	return 0;
}

static void add_lost(const struct context *g, struct pairs *p, const struct asked *lost,
		     bool is_first)
{
	p->first_lost += is_first;
	p->gaps[p->one_lost++] = gap_after(lost);
	p->host_count += !p->hosts[host_index(g, lost->n)];
	p->hosts[host_index(g, lost->n)] = true;
	p->lookups[lost->n - g->lookups] = true;
}

static void count_pairs(const struct context *g, struct pairs *p)
{
	struct resolver *s = p->resolver;
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct asked *b = &s->asked[i], *a = pair_of(s, b);

		if (!a || p->paired[a - s->asked] || a->n->explained || b->n->explained ||
		    a->result == ASKED_UNKNOWN || b->result == ASKED_UNKNOWN)
			continue;
		p->paired[a - s->asked] = p->paired[i] = true;
		p->pairs++;
		p->both_lost += was_lost(s, a) && was_lost(s, b);
		if (was_lost(s, a) && was_answered(b))
			add_lost(g, p, a, true);
		else if (was_lost(s, b) && was_answered(a))
			add_lost(g, p, b, false);
	}
}

static void add_exchange(struct pairs *p, bool was_lost)
{
	p->others++;
	p->others_lost += was_lost;
}

static void count_questions(const struct context *g, struct pairs *p)
{
	const struct resolver *s = p->resolver;
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct asked *a = &s->asked[i];

		p->asking[host_index(g, a->n)] = true;
		if (a->result == ASKED_UNKNOWN)
			continue;
		if (!p->paired[i])
			add_exchange(p, was_lost(s, a));
		else if (a->tries > 1 && a->result == ASKED_ANSWERED)
			add_exchange(p, !was_lost(s, a));
	}
}

/* Random loss hits SYNs and requests as often as questions. */
static void count_others(const struct context *g, struct pairs *p)
{
	size_t i;

	count_questions(g, p);
	for (i = 0; i < g->connect_count; i++) {
		const struct noted_connect *n = &g->connects[i];

		if (!n->host || !p->asking[n->host - g->timelines] || n->c->synack == NEVER)
			continue;
		add_exchange(p, n->c->syn_count > 1);
		if (n->c->client_payload.acked)
			add_exchange(p, n->c->client_payload.again > 0);
	}
}

static double chance_of(const struct pairs *p)
{
	size_t lost = p->one_lost + 2 * p->both_lost;

	return fisher_exact(lost, 2 * p->pairs - lost, p->others_lost, p->others - p->others_lost);
}

static bool is_random_loss_excluded(const struct pairs *p)
{
	return chance_of(p) <= MAX_CHANCE;
}

static bool is_race(const struct pairs *p)
{
	/* three times as often as other packets */
	if (p->one_lost < MIN_LOST || p->one_lost < 3 * p->both_lost ||
	    p->one_lost > MAX_SHARE * p->pairs ||
	    p->one_lost * p->others < 3 * p->others_lost * 2 * p->pairs)
		return false;
	return is_random_loss_excluded(p) || (p->one_lost >= MIN_LOST_ALONE && p->host_count >= 2 &&
					      p->one_lost >= MIN_SHARE_ALONE * p->pairs);
}

/* Returns how many entries this gateway's own conntrack could not insert. */
static uint64_t failed_insertions(const struct context *g)
{
	const struct host_drops *drops = &g->facts->drops;
	uint64_t n = 0;
	size_t i;

	for (i = 0; drops->is_read && i < drops->count; i++)
		if (drops->grown[i].counter == DROP_CONNTRACK_INSERT)
			n += drops->grown[i].count;
	return n;
}

static void add_race_lines(const struct context *g, struct finding *f, const struct pairs *p)
{
	char spread[FORMAT_SPREAD], time[FORMAT_DURATION];
	uint64_t insertions = failed_insertions(g);

	finding_line(f, "",
		     "two questions (A and AAAA) leave one port at the same time; one of them was "
		     "lost %zu times, both %zu times; %zu times it was the first of the two",
		     p->one_lost, p->both_lost, p->first_lost);
	finding_line(f, "",
		     "sent again after %s, they were answered: the resolver and the types are well",
		     finding_format_spread(spread, p->timer.median, p->timer.deviation));
	finding_line(f, "",
		     "of %zu other questions, SYNs and requests of these hosts %zu %s lost%s",
		     p->others, p->others_lost, were(p->others_lost),
		     is_random_loss_excluded(p) ? ": no random loss"
						: ", too few to exclude random loss");
	if (insertions)
		finding_line(f, "",
			     "conntrack of this gateway failed to insert %" PRIu64
			     " entries meanwhile (insert_failed): the race is here",
			     insertions);
	else
		finding_line(f, "",
			     "maybe the race of a NAT: conntrack makes an entry for each of two "
			     "packets of a new flow, and drops one of them%s",
			     g->facts->drops.is_read ? "; this gateway's conntrack counted none"
						     : "");
	if (p->wait_count)
		finding_line(f, "cost",
			     "the connection came %s after the question (median), %zu time%s",
			     format_duration(time, p->waits[p->wait_count / 2]), p->wait_count,
			     plural(p->wait_count));
	finding_line(f, "action",
		     "compare \"conntrack -S\" (insert_failed) on the NAT before and after; a "
		     "resolver on the host itself, or \"options single-request-reopen\" in "
		     "resolv.conf, avoids the race");
}

/* The shape of the race, without the counter of a conntrack that lost it. */
static struct certainty certainty_of_race(const struct pairs *p)
{
	if (is_random_loss_excluded(p))
		return doubtful(CONFIDENCE_MEDIUM, "no counter shows where they are lost");
	return doubtful(CONFIDENCE_LOW, "random loss is not excluded");
}

static void report_race(struct context *g, struct pairs *p)
{
	bool is_here = failed_insertions(g) >= p->one_lost;
	char name[FORMAT_ENDPOINT], time[FORMAT_DURATION];
	struct finding *f =
		finding_new(g, KIND_DNS_ANSWERS_LOST, is_here ? certain() : certainty_of_race(p));

	if (!f)
		return;
	f->is_problem = p->wait_count || !g->m->connections;
	finding_set_peer(f, &p->resolver->endpoint);
	finding_add_marked_hosts(g, f, p->hosts);
	f->hosts_hurt = f->affected.count;
	p->timer = cluster_of(p->gaps, p->one_lost);
	f->timer = p->timer.median;
	f->deviation = p->timer.deviation;
	f->stalls = p->pairs;
	f->correlated = p->one_lost;
	f->p_value = chance_of(p);
	finding_text(f,
		     "one of two questions from one port to %s is lost now and then, %zu of %zu "
		     "times; each costs %s",
		     format_resolver(name, p->resolver), p->one_lost, p->pairs,
		     format_duration(time, p->timer.median));
	if (p->wait_count)
		qsort(p->waits, p->wait_count, sizeof(*p->waits), compare_ns);
	add_race_lines(g, f, p);
	explain_marked(g, f, p->lookups);
}

static void examine_pairs(struct context *g, struct resolver *s)
{
	struct pairs p = {
		.resolver = s,
		.gaps = calloc(s->count + 1, sizeof(*p.gaps)),
		.hosts = calloc(g->hosts->all + 1, sizeof(*p.hosts)),
		.asking = calloc(g->hosts->all + 1, sizeof(*p.asking)),
		.lookups = calloc(g->lookup_count + 1, sizeof(*p.lookups)),
		.paired = calloc(s->count + 1, sizeof(*p.paired)),
		.waits = calloc(g->lookup_count + 1, sizeof(*p.waits)),
	};

	if (p.gaps && p.hosts && p.asking && p.lookups && p.paired && p.waits) {
		count_pairs(g, &p);
		count_others(g, &p);
		p.wait_count = marked_waits(g, p.lookups, MIN_RESOLVER_WAIT_NS, p.waits, NULL);
		if (is_race(&p))
			report_race(g, &p);
	} else {
		g->out_of_memory = true;
	}
	free(p.gaps);
	free(p.hosts);
	free(p.asking);
	free(p.lookups);
	free(p.paired);
	free(p.waits);
}

/* ---- answers in several fragments ---- */

struct fragments {
	size_t cut; /* lookups of which only the first fragment was of use: they asked again */
	size_t whole; /* with a first fragment, and nobody asked again */
	size_t small; /* answered in one datagram */
	size_t small_again; /* of these: asked again before the answer */
	uint32_t largest; /* bytes of an answer that came in one datagram */
	ns_t *costs; /* from the first question to the last, of those that were cut */
	bool *hosts;
	bool *lookups;
	struct endpoint server; /* of the last one that was cut */
	size_t servers;
};

static const struct dns_try *first_fragment(const struct lookup *l)
{
	size_t i;

	for (i = 0; i < lookup_tries(l); i++)
		if (lookup_try(l, i)->result == TRY_FRAGMENT)
			return lookup_try(l, i);
	return NULL;
}

static void add_small(struct fragments *v, const struct lookup *l)
{
	const struct dns_try *t = lookup_try(l, lookup_tries(l) - 1);

	if (t->result != TRY_ANSWERED || t->over_tcp)
		return;
	v->small++;
	v->small_again += lookup_tries(l) > 1;
	if (t->answer_size > v->largest)
		v->largest = t->answer_size;
}

static void add_fragmented(struct context *g, struct fragments *v, const struct noted_lookup *n)
{
	const struct dns_try *t = first_fragment(n->l);

	if (!t)
		return;
	if (n->l->last.time - t->answered < MIN_RETRY_NS) {
		v->whole++;
		return;
	}
	v->costs[v->cut++] = n->l->last.time - n->l->first;
	v->hosts[host_index(g, n)] = true;
	v->lookups[n - g->lookups] = true;
	v->servers += memcmp(&v->server.address, &t->server, sizeof(t->server)) != 0;
	v->server = (struct endpoint){ .address = t->server, .port = t->server_port };
}

static bool are_fragments_lost(const struct fragments *v)
{
	return v->cut >= MIN_LOST && v->whole * 4 <= v->cut &&
	       fisher_exact(v->cut, v->whole, v->small_again, v->small - v->small_again) <=
		       MAX_CHANCE;
}

static void report_fragments(struct context *g, struct fragments *v)
{
	char time[FORMAT_DURATION], name[FORMAT_ADDRESS];
	struct finding *f = finding_new(g, KIND_DNS_ANSWERS_LOST,
					v->cut >= 6 ? certain()
						    : doubtful(CONFIDENCE_MEDIUM,
							       "few large answers were lost"));

	if (!f)
		return;
	finding_add_marked_hosts(g, f, v->hosts);
	f->hosts_hurt = f->affected.count;
	if (v->servers == 1)
		finding_set_peer(f, &v->server);
	f->stalls = v->cut + v->whole;
	f->correlated = v->cut;
	format_duration(time, median(v->costs, v->cut));
	finding_text(f,
		     "large DNS answers do not arrive whole: %zu of %zu came as a first fragment, "
		     "and were asked again for %s",
		     v->cut, v->cut + v->whole, time);
	if (v->servers == 1)
		finding_line(f, "", "all of them are answers of %s",
			     format_address(name, &v->server.address));
	else
		finding_line(f, "",
			     "several servers are concerned: the later fragments are lost near the "
			     "client, or at a firewall that all of them pass");
	finding_line(f, "",
		     "of %zu answers in one datagram %zu %s asked again; the largest had %" PRIu32
		     " bytes",
		     v->small, v->small_again, were(v->small_again), v->largest);
	finding_line(f, "cost", "each such lookup takes %s more (median)", time);
	finding_line(f, "action",
		     "let IP fragments pass in the firewalls on the way to the client, or limit "
		     "its EDNS buffer to 1232 bytes, so that large answers come by TCP");
	explain_marked(g, f, v->lookups);
}

static void examine_fragments(struct context *g)
{
	struct fragments v = {
		.costs = calloc(g->lookup_count + 1, sizeof(*v.costs)),
		.hosts = calloc(g->hosts->all + 1, sizeof(*v.hosts)),
		.lookups = calloc(g->lookup_count + 1, sizeof(*v.lookups)),
	};
	size_t i;

	g->out_of_memory |= !v.costs || !v.hosts || !v.lookups;
	for (i = 0; !g->out_of_memory && i < g->lookup_count; i++) {
		const struct noted_lookup *n = &g->lookups[i];

		if (n->explained || n->l->in_gap)
			continue;
		if (!first_fragment(n->l))
			add_small(&v, n->l);
		else
			add_fragmented(g, &v, n);
	}
	if (!g->out_of_memory && are_fragments_lost(&v))
		report_fragments(g, &v);
	free(v.costs);
	free(v.hosts);
	free(v.lookups);
}

void cause_lost_dns_answers(struct context *g)
{
	const struct resolvers *r = g->resolvers;
	size_t i;

	examine_fragments(g);
	for (i = 0; i < r->count && !g->out_of_memory; i++)
		examine_pairs(g, &r->at[i]);
}
