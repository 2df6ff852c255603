// SPDX-License-Identifier: GPL-2.0
/* Reports zones and types of questions that get no answer, and what they cost. */
#include "diagnose/silent_zones.h"

#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/name_text.h"
#include "diagnose/reverse_lookups.h"

/* Limits of the chance that lost packets look like the zone. */
#define HIGH_CHANCE 1e-3
#define MEDIUM_CHANCE 1e-2

/* Answers to other names by which the resolver is known to live. */
#define MIN_OTHERS 3

/* The cost of lookups without an answer. */
struct cost {
	ns_t *waits; /* until a SYN */
	size_t wait_count;
	ns_t *vain; /* until the last try, or the error, of clients that then gave up */
	size_t vain_count;
	ns_t *prompt_waits; /* until a SYN of clients that did not wait for them */
	size_t prompt;
	struct held_greetings held; /* of a server that looks up its clients */
	size_t hosts_waiting, hosts_vain;
};

/* The lookups of a zone, or of one zone at several resolvers. */
struct silence {
	const struct zone *zone; /* at the resolver with the most lookups */
	struct asked **at; /* sorted by episode */
	size_t count;
	size_t servers;
	size_t given_up; /* lookups that failed after a time */
	size_t hosts;
	size_t episodes;
	ns_t given_up_after; /* median; NEVER if none failed so */
	ns_t until; /* the last try */
	struct cost cost;
	size_t others, others_answered; /* other lookups at these resolvers meanwhile */
	size_t before, after; /* answers about the zone */
};

/* ---- collecting ---- */

static int by_episode(const void *a, const void *b)
{
	const struct asked *x = *(struct asked *const *)a, *y = *(struct asked *const *)b;

	if (x->n->l->episode != y->n->l->episode)
		return x->n->l->episode < y->n->l->episode ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool is_same_zone(const struct zone *a, const struct zone *b)
{
	return a->type == b->type && !memcmp(&a->name, &b->name, sizeof(a->name));
}

/* Adds the lookups of the zone, and what its resolver answered meanwhile. */
static void add_lookups(struct context *g, struct silence *s, const struct zone *z)
{
	const struct resolver *r = resolver_of_zone(g, z);
	size_t i;

	for (i = 0; i < r->count; i++) {
		struct asked *a = &r->asked[i];
		bool meanwhile = a->first >= z->since && a->first <= z->until;

		if (zone_of_asked(g, a) == z->server.zone) {
			s->at[s->count++] = a;
			s->given_up += is_given_up(g, a);
		} else if (is_of_zone(g, z, a->n->l) && (z->type || z->name.length > 1)) {
			s->before += is_good_answer(a) && a->first < z->since;
			s->after += is_good_answer(a) && a->first > z->until;
		} else if (meanwhile && a->result != ASKED_UNKNOWN && !a->is_local) {
			s->others++;
			s->others_answered += is_good_answer(a);
		}
	}
	if (z->until > s->until)
		s->until = z->until;
	s->servers++;
}

static void count_hosts(struct silence *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		s->episodes += !i || s->at[i]->n->l->episode != s->at[i - 1]->n->l->episode;
		if (s->at[i]->n->host)
			s->hosts += count_once(s->at[i]->n->host, &s->hosts);
	}
}

/* ---- what it costs ---- */

/* Names that programs ask to learn something about the network: nobody waits for the answer. */
static bool is_canary(const struct dns_name *name)
{
	static const char *const canaries[] = { "use-application-dns.net", "mask.icloud.com",
						"mask-h2.icloud.com", "ipv4only.arpa" };
	char text[FORMAT_DNS_NAME];
	size_t i;

	format_dns_name(text, name);
	for (i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
		if (!strcmp(text, canaries[i]))
			return true;
	return false;
}

/* Returns true if a program that asks this wants to connect. */
static bool is_for_connect(const struct context *g, const struct asked *a)
{
	return (a->n->l->type == DNS_A || a->n->l->type == DNS_AAAA) &&
	       !is_canary(names_name(g->m->names, a->n->l->name));
}

/* Returns true if the host connected to one of the addresses after it had asked. */
static bool is_used_later(const struct noted_lookup *n)
{
	const struct timeline *t = n->host;
	size_t i;
	unsigned int j;

	for (i = 0; t && i < t->connect_count; i++)
		for (j = 0; j < n->l->address_count && t->connects[i]->c->syn >= n->l->first; j++)
			if (!memcmp(&t->connects[i]->c->server.address, &n->l->addresses[j],
				    sizeof(n->l->addresses[j])))
				return true;
	return false;
}

static bool is_useful(const struct noted_lookup *n, const struct noted_lookup *of)
{
	return is_same_question(n, of) && n->l->result == LOOKUP_ANSWERED;
}

/* Returns when the episode had its first useful answer about this name; or NEVER. */
static ns_t first_answer(const struct episode *e, const struct noted_lookup *of)
{
	ns_t first = NEVER;
	size_t i;

	for (i = 0; i < e->count; i++) {
		const struct lookup *l = e->at[i]->l;

		if (is_useful(e->at[i], of) && l->end != NEVER &&
		    (first == NEVER || l->end < first))
			first = l->end;
	}
	return first;
}

/* Returns true if the host used such an answer after all. */
static bool is_any_used(const struct episode *e, const struct noted_lookup *of)
{
	size_t i;

	for (i = 0; i < e->count; i++)
		if (is_useful(e->at[i], of) && is_used_later(e->at[i]))
			return true;
	return false;
}

/* Returns the time until the client asked for the last time, or got the last error. */
static ns_t time_in_vain(const struct episode *e, const struct asked *a)
{
	ns_t end = a->last;
	size_t i;

	for (i = 0; i < e->count; i++) {
		const struct lookup *l = e->at[i]->l;

		if (l->last.time > end)
			end = l->last.time;
		if (l->result == LOOKUP_FAILED && l->last.answered != NEVER &&
		    l->last.answered > end)
			end = l->last.answered;
	}
	return end - a->n->l->episode_first;
}

static bool has_retries(const struct context *g, const struct asked *a)
{
	return a->n->l->try_count > 1 || is_given_up(g, a);
}

/* Returns true if the client asked again, got no address at all, and did not connect. */
static bool has_given_up(const struct context *g, const struct silence *s, const struct episode *e,
			 const struct asked *a)
{
	return syn_of_episode(e) == NEVER && is_for_connect(g, a) && has_retries(g, a) &&
	       (s->zone->type || first_answer(e, a->n) == NEVER) && !is_any_used(e, a->n);
}

/*
 * Adds the cost of an episode, whose first lookup of the zone this is: measured by the SYN that used
 * it, or by the questions of a client that gives up.
 */
static void add_cost(struct context *g, struct silence *s, const struct asked *a)
{
	struct episode e = episode_of(g, a->n);
	ns_t syn = syn_of_episode(&e), answer;
	struct cost *c = &s->cost;

	answer = first_answer(&e, a->n);
	if (syn != NEVER) {
		/* after the answer that it used, the client waited for the missing one */
		if (syn - a->n->l->episode_first >= g->m->stall_ns &&
		    (!s->zone->type || answer == NEVER ||
		     syn - answer >= g->m->stall_ns / 10 * 8)) {
			c->waits[c->wait_count++] = syn - a->n->l->episode_first;
			if (a->n->host)
				c->hosts_waiting += count_once(a->n->host, &c->hosts_waiting);
		} else {
			c->prompt_waits[c->prompt++] = syn - a->n->l->episode_first;
		}
	} else if (has_given_up(g, s, &e, a)) {
		c->vain[c->vain_count++] = time_in_vain(&e, a);
	}
}

/* Counts the hosts that gave up and that did not wait otherwise. */
static void count_vain_hosts(struct context *g, struct silence *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		const struct asked *a = s->at[i];
		struct episode e = episode_of(g, a->n);

		if (a->n->host && has_given_up(g, s, &e, a))
			s->cost.hosts_vain += count_once(a->n->host, &s->cost.hosts_vain);
	}
}

/* Returns false when out of memory. */
static bool find_cost(struct context *g, struct silence *s)
{
	struct address prefix;
	unsigned int bits;
	size_t i, n = 0;
	ns_t *times;

	s->cost.waits = calloc(s->count + 1, sizeof(ns_t));
	s->cost.vain = calloc(s->count + 1, sizeof(ns_t));
	s->cost.prompt_waits = calloc(s->count + 1, sizeof(ns_t));
	times = calloc(s->count + 1, sizeof(*times));
	if (s->cost.waits && s->cost.vain && s->cost.prompt_waits && times) {
		for (i = 0; i < s->count; i++) {
			if (!i || s->at[i]->n->l->episode != s->at[i - 1]->n->l->episode)
				add_cost(g, s, s->at[i]);
			if (is_given_up(g, s->at[i]))
				times[n++] = s->at[i]->took;
		}
		count_vain_hosts(g, s);
		if (dns_name_is_reverse(&s->zone->name, &prefix, &bits))
			s->cost.held = greetings_held_by(g, s->zone->server.zone);
		s->given_up_after = n ? median(times, n) : NEVER;
	}
	free(times);
	return s->cost.waits && s->cost.vain && s->cost.prompt_waits && times;
}

/* Fills in what is known of the zone, at all resolvers. Returns false when out of memory. */
static bool find_silence(struct context *g, struct silence *s, const struct zone *z)
{
	size_t i;

	*s = (struct silence){ .zone = z, .until = z->until };
	s->at = calloc(g->resolvers->asked_count + 1, sizeof(struct asked *));
	if (!s->at)
		return false;
	for (i = 0; i < g->d->zone_count; i++)
		if (is_same_zone(&g->d->zones[i], z))
			add_lookups(g, s, &g->d->zones[i]);
	qsort(s->at, s->count, sizeof(struct asked *), by_episode);
	count_hosts(s);
	return find_cost(g, s);
}

static void free_silence(struct silence *s)
{
	free(s->at);
	free(s->cost.waits);
	free(s->cost.vain);
	free(s->cost.prompt_waits);
}

/* ---- words ---- */

static void format_servers(char out[FORMAT_ENDPOINT], const struct context *g,
			   const struct silence *s)
{
	if (s->servers > 1)
		snprintf(out, FORMAT_ENDPOINT, "%zu resolvers", s->servers);
	else
		format_resolver(out, resolver_of_zone(g, s->zone));
}

/* Adds a few of the names that were asked. */
static void add_names(struct context *g, struct finding *f, const struct silence *s)
{
	char text[3 * NAME_TEXT + 16] = "", name[NAME_TEXT];
	uint32_t numbers[3];
	size_t i, j, n = 0, length = 0;

	for (i = 0; i < s->count && n < 3; i++) {
		uint32_t number = s->at[i]->n->l->name;

		for (j = 0; j < n; j++)
			if (numbers[j] == number)
				break;
		if (j < n)
			continue;
		numbers[n] = number;
		name_text(name, g->d, names_name(g->m->names, number));
		length +=
			snprintf(text + length, sizeof(text) - length, "%s%s", n ? ", " : "", name);
		n++;
	}
	if (n && !(s->zone->is_one_name && n == 1))
		finding_line(f, "names", "%s", text);
}

/* Adds when clients ask again: their first gap, if it is that of a known resolver. */
static void add_schedule(struct finding *f, const struct silence *s)
{
	char text[FORMAT_DURATION];
	const char *software;
	size_t i, n = 0, same;
	ns_t *gaps = calloc(s->count + 1, sizeof(*gaps)), middle;

	for (i = 0; gaps && i < s->count; i++)
		if (s->at[i]->n->l->try_count > 1)
			gaps[n++] = lookup_try(s->at[i]->n->l, 1)->time - s->at[i]->n->l->first;
	if (n) {
		middle = median(gaps, n);
		for (i = same = 0; i < n; i++)
			same += llabs(gaps[i] - middle) <= timer_slack(middle);
		software = resolver_timer(middle);
		if (same == n)
			finding_line(f, "", "the clients ask again after %s%s%s%s",
				     format_duration(text, middle), software ? " (as " : "",
				     software ? software : "", software ? ")" : "");
	}
	free(gaps);
}

static void add_counts(struct context *g, struct finding *f, const struct silence *s)
{
	char server[FORMAT_ENDPOINT], late[FORMAT_DURATION];

	format_servers(server, g, s);
	if (s->given_up)
		finding_line(f, "",
			     "%zu lookup%s of %zu host%s: %zu failed after %s (median), %zu got no "
			     "answer",
			     s->count, plural(s->count), s->hosts, plural(s->hosts), s->given_up,
			     format_duration(late, s->given_up_after), s->count - s->given_up);
	else
		finding_line(f, "", "%zu lookup%s of %zu host%s got no answer", s->count,
			     plural(s->count), s->hosts, plural(s->hosts));
	finding_line(f, "", "meanwhile %s answered %zu of %zu other lookup%s", server,
		     s->others_answered, s->others, plural(s->others));
}

static void add_when(const struct context *g, struct finding *f, const struct silence *s)
{
	char since[FORMAT_TIME], until[FORMAT_TIME];
	const struct session *session = g->session;

	if (!s->before && !s->after)
		return;
	format_run_clock(since, &session->start, session->duration, s->zone->since);
	format_run_clock(until, &session->start, session->duration, s->until);
	if (s->before && s->after)
		finding_line(f, "when",
			     "from %s to %s: %zu such lookups were answered before, "
			     "%zu afterwards",
			     since, until, s->before, s->after);
	else if (s->before)
		finding_line(f, "when", "since %s: %zu such lookup%s answered before", since,
			     s->before, s->before == 1 ? " was" : "s were");
	else
		finding_line(f, "when", "until %s: %zu such lookup%s answered afterwards", until,
			     s->after, s->after == 1 ? " was" : "s were");
}

static bool has_cost(const struct silence *s)
{
	return s->cost.wait_count + s->cost.vain_count + s->cost.held.count > 0;
}

static void add_costs(struct finding *f, struct silence *s)
{
	const struct cost *c = &s->cost;
	const char *label = "cost";
	char text[FORMAT_DURATION];

	if (c->wait_count) {
		finding_line(f, label,
			     "%zu time%s the connection came only %s%s after the first question",
			     c->wait_count, plural(c->wait_count),
			     format_duration(text, median(c->waits, c->wait_count)),
			     c->wait_count > 1 ? " (median)" : "");
		label = "";
	}
	if (c->vain_count) {
		finding_line(f, label,
			     "%zu time%s the client asked for %s%s and then did not connect",
			     c->vain_count, plural(c->vain_count),
			     format_duration(text, median(c->vain, c->vain_count)),
			     c->vain_count > 1 ? " (median)" : "");
		label = "";
	}
	if (c->held.count)
		finding_line(f, label,
			     "%zu greeting%s of %zu server%s came late, up to %s, since the "
			     "server waited for the answer",
			     c->held.count, plural(c->held.count), c->held.servers,
			     plural(c->held.servers), format_duration(text, c->held.longest));
	if (!has_cost(s) && c->prompt)
		finding_line(f, label,
			     "none is seen: %zu time%s the client connected %s%s after the first "
			     "question",
			     c->prompt, plural(c->prompt),
			     format_duration(text, median(c->prompt_waits, c->prompt)),
			     c->prompt > 1 ? " (median)" : "");
}

static void add_against(struct finding *f, const struct silence *s)
{
	const char *label = "against";

	if (s->cost.prompt && (s->cost.wait_count || s->cost.vain_count)) {
		finding_line(f, label, "%zu time%s the client connected without such a wait",
			     s->cost.prompt, plural(s->cost.prompt));
		label = "";
	}
	if (s->others > s->others_answered)
		finding_line(f, label, "%zu other lookup%s got no answer either, or failed",
			     s->others - s->others_answered,
			     plural(s->others - s->others_answered));
}

static void explain_lookups(struct context *g, struct finding *f, const struct silence *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct episode e = episode_of(g, s->at[i]->n);

		explain_episode(f, &e);
	}
}

void finding_add_zone(struct context *g, struct finding *f, const struct zone *z)
{
	struct silence s;

	if (find_silence(g, &s, z)) {
		add_counts(g, f, &s);
		add_names(g, f, &s);
		add_when(g, f, &s);
		explain_lookups(g, f, &s);
	} else {
		g->out_of_memory = true;
	}
	free_silence(&s);
}

/* ---- the findings ---- */

static struct certainty zone_certainty(const struct silence *s)
{
	const struct zone *z = s->zone;
	bool is_high = z->chance <= HIGH_CHANCE && s->episodes >= 3 &&
		       s->others_answered >= MIN_OTHERS &&
		       (s->hosts >= 2 || s->before || s->cost.held.count >= 3);

	if (is_high && has_cost(s) &&
	    (s->cost.held.count >= 3 || s->cost.prompt <= s->cost.wait_count + s->cost.vain_count))
		return certain();
	if (z->chance > MEDIUM_CHANCE)
		return doubtful(CONFIDENCE_LOW, "few questions only: random loss is not excluded");
	if (!s->others_answered)
		return doubtful(CONFIDENCE_LOW, "no other names were asked meanwhile");
	return doubtful(CONFIDENCE_MEDIUM, is_high	     ? "most of these lookups cost nothing"
					   : s->episodes < 3 ? "fewer than three lookups"
					   : s->hosts < 2    ? "one host only"
							     : "few questions only");
}

/* Formats " and 8 hosts wait 5.0 s", or what the lookups cost otherwise. */
static void format_cost(char *out, size_t room, struct silence *s)
{
	char text[FORMAT_DURATION], server[FORMAT_ENDPOINT];
	struct cost *c = &s->cost;

	if (c->held.count)
		snprintf(out, room, ", and %s greets up to %s later for that",
			 c->held.servers == 1 ? format_endpoint(server, &c->held.server)
					      : "a server that looks up its clients",
			 format_duration(text, c->held.longest));
	else if (c->wait_count)
		snprintf(out, room, ", and %zu host%s wait%s %s", c->hosts_waiting,
			 plural(c->hosts_waiting), c->hosts_waiting == 1 ? "s" : "",
			 format_duration(text, median(c->waits, c->wait_count)));
	else if (c->vain_count)
		snprintf(out, room, ", and %zu host%s wait%s %s in vain", c->hosts_vain,
			 plural(c->hosts_vain), c->hosts_vain == 1 ? "s" : "",
			 format_duration(text, median(c->vain, c->vain_count)));
	else
		snprintf(out, room, ": nobody is seen to wait for that");
}

static void set_zone_text(struct context *g, struct finding *f, struct silence *s)
{
	char server[FORMAT_ENDPOINT], cost[160], late[FORMAT_DURATION];
	const char *zone = zone_text(g, s->zone->server.zone);

	format_servers(server, g, s);
	format_cost(cost, sizeof(cost), s);
	if (s->given_up * 2 > s->count)
		finding_text(f, "%s fail%s: %s gives up after %s (SERVFAIL)%s", zone,
			     zone_is_singular(s->zone) ? "s" : "", server,
			     format_duration(late, s->given_up_after), cost);
	else
		finding_text(f, "%s get%s no answer from %s (others do)%s", zone,
			     zone_is_singular(s->zone) ? "s" : "", server, cost);
}

static void mark_explained(struct context *g, struct finding *f, const struct silence *s)
{
	size_t i;

	explain_lookups(g, f, s);
	for (i = 0; i < s->count; i++)
		if (s->at[i]->n->host && count_once(s->at[i]->n->host, f))
			finding_add_host(g, &f->affected, s->at[i]->n->host->host);
}

/* Adds the hosts that asked for nothing of the zone. Those that did have been counted by f. */
static void add_unaffected(struct context *g, struct finding *f)
{
	size_t i;

	for (i = 0; i < g->hosts->count; i++)
		if (g->timelines[i].counted != f)
			finding_add_host(g, &f->unaffected, g->timelines[i].host);
	if (f->unaffected.count)
		finding_line(f, "unaffected", "%zu host%s: none asked for these names meanwhile",
			     f->unaffected.count, plural(f->unaffected.count));
}

static void add_servers(struct context *g, struct finding *f, const struct silence *s)
{
	size_t i;

	finding_set_peer(f, &s->zone->server);
	for (i = 0; i < g->d->zone_count; i++)
		if (&g->d->zones[i] != s->zone && is_same_zone(&g->d->zones[i], s->zone))
			finding_add_also(f, &g->d->zones[i].server);
}

static void add_action(struct context *g, struct finding *f, const struct silence *s)
{
	char server[FORMAT_ENDPOINT];

	format_servers(server, g, s);
	if (s->zone->type)
		finding_line(f, "action",
			     "%slook for a filter of such questions or answers between the clients "
			     "and %s, or behind it%s",
			     f->is_problem ? "" : "none is needed; ", server,
			     f->is_problem ? "; an empty answer costs nothing, silence does" : "");
	else if (!f->is_problem)
		finding_line(f, "action",
			     "let such names be refused (NXDOMAIN) if they are not wanted");
	else
		finding_line(f, "action",
			     "check where %s forwards these names, and the way from there to the "
			     "servers of the zone",
			     server);
}

void finding_add_zone_action(struct context *g, struct finding *f, const struct zone *z)
{
	add_action(g, f, &(struct silence){ .zone = z, .servers = 1 });
}

static void report_zone(struct context *g, const struct zone *z)
{
	bool is_type = z->type;
	struct finding *f;
	struct silence s;

	if (!find_silence(g, &s, z)) {
		g->out_of_memory = true;
		free_silence(&s);
		return;
	}
	f = finding_new(g, is_type ? KIND_TYPE_UNANSWERED : KIND_ZONE_UNANSWERED,
			zone_certainty(&s));
	if (f) {
		f->is_problem = has_cost(&s);
		f->stalls = s.count;
		f->correlated = s.cost.wait_count + s.cost.vain_count;
		f->hosts_hurt = s.cost.wait_count ? s.cost.hosts_waiting : s.cost.hosts_vain;
		add_servers(g, f, &s);
		set_zone_text(g, f, &s);
		add_counts(g, f, &s);
		add_schedule(f, &s);
		add_names(g, f, &s);
		add_when(g, f, &s);
		add_costs(f, &s);
		mark_explained(g, f, &s);
		add_unaffected(g, f);
		add_action(g, f, &s);
		add_against(f, &s);
	}
	free_silence(&s);
}

/* Returns true if an earlier zone is the same one, at another resolver. */
static bool is_repeated(const struct context *g, size_t i)
{
	size_t j;

	for (j = 0; j < i; j++)
		if (is_same_zone(&g->d->zones[i], &g->d->zones[j]))
			return true;
	return false;
}

void cause_silent_zones(struct context *g)
{
	size_t i;

	for (i = 0; i < g->d->zone_count; i++)
		if (!is_repeated(g, i) && !is_waited_for(g, &g->d->zones[i].server))
			report_zone(g, &g->d->zones[i]);
}
