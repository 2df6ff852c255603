// SPDX-License-Identifier: GPL-2.0
/*
 * Compares the connects of hosts that wait or fail with other connects of the same hosts. Each host
 * is a stratum: how hosts differ decides nothing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/comparison.h"
#include "diagnose/decide.h"

/* A value separates if at least this share of its connects is bad, and the rest is good. */
#define SPLIT_SHARE 0.8

/* Minimum number of bad connects with a value, and of other bad and good ones. */
#define MIN_CONNECTS 3

/* ---- values ---- */

/* Traits that say which server: not tested for a finding about a server. */
static bool is_about_server(enum trait trait)
{
	return trait == TRAIT_SERVER || trait == TRAIT_PORT || trait == TRAIT_PREFIX ||
	       trait == TRAIT_FAMILY;
}

/*
 * Traits that a connect has or has not. Only having them can be a reason: later connects are not
 * first ones, so whatever begins during the run hits connects without these traits.
 */
static bool is_binary(enum trait trait)
{
	return trait == TRAIT_FIRST_OF_HOST || trait == TRAIT_FIRST_OF_SERVER ||
	       trait == TRAIT_BURST || trait == TRAIT_FLIGHT;
}

/* Returns the connect's place among those of its host. */
static size_t place_of(const struct noted_connect *n)
{
	size_t first = 0, last = n->host->connect_count;

	while (first < last) {
		size_t middle = first + (last - first) / 2;

		if (n->host->connects[middle]->c->syn < n->c->syn)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

/* Returns true if the host made another connect within a second before this one. */
static bool is_in_burst(const struct noted_connect *n)
{
	size_t i = place_of(n);

	return i && n->c->syn - n->host->connects[i - 1]->c->syn < (ns_t)SECOND_NS;
}

bool traits_of_connects(struct connect_traits *known, const struct context *g)
{
	struct address prefix = {};
	size_t i, j;

	known->server = calloc(g->server_count + 1, sizeof(*known->server));
	known->prefix = calloc(g->server_count + 1, sizeof(*known->prefix));
	known->first_at_server = calloc(g->connect_count + 1, sizeof(*known->first_at_server));
	if (!known->server || !known->prefix || !known->first_at_server)
		return false;
	for (i = 0; i < g->server_count; i++) {
		const struct address *a = &g->servers[i].endpoint.address;
		struct server *s = &g->servers[i];

		/* servers are sorted by address, then by port */
		known->server[i] = i && same_address_and_port(&s->endpoint, &s[-1].endpoint)
					   ? known->server[i - 1]
					   : i;
		known->prefix[i] =
			i && in_prefix(a, &prefix, network_bits(a)) ? known->prefix[i - 1] : i;
		prefix_of(&prefix, a, network_bits(a));
		for (j = 0; j < s->count; j++)
			known->first_at_server[&s->connects[j] - g->connects] =
				s->connects[j].host && count_once(s->connects[j].host, s);
	}
	return true;
}

void connect_traits_free(struct connect_traits *known)
{
	free(known->server);
	free(known->prefix);
	free(known->first_at_server);
}

static uint32_t value_of(const struct context *g, const struct connect_traits *known,
			 const struct noted_connect *n, enum trait trait)
{
	switch (trait) {
	case TRAIT_SERVER:
		return known->server[server_of(g, n) - g->servers];
	case TRAIT_PORT:
		return n->c->server.port;
	case TRAIT_PREFIX:
		return known->prefix[server_of(g, n) - g->servers];
	case TRAIT_FAMILY:
		return is_ip4(&n->c->server.address) ? 4 : 6;
	case TRAIT_FIRST_OF_HOST:
		return !place_of(n);
	case TRAIT_FIRST_OF_SERVER:
		return known->first_at_server[n - g->connects];
	case TRAIT_BURST:
		return is_in_burst(n);
	case TRAIT_FLIGHT:
		return n->c->client_first == NEVER ? TRAIT_UNKNOWN : is_larger_than_segment(n->c);
	case TRAIT_BACKEND:
		return n->c->synack == NEVER
			       ? TRAIT_UNKNOWN
			       : (uint32_t)n->c->synack_ttl << 16 | n->c->synack_window;
	default: /* reused ports have a finding of their own */
		return TRAIT_UNKNOWN;
	}
}

char *format_connect_trait(char out[COMMON_VALUE], const struct context *g, enum trait trait,
			   uint32_t value)
{
	char text[FORMAT_ENDPOINT];
	struct address prefix;

	switch (trait) {
	case TRAIT_SERVER:
		format_endpoint(text, &g->servers[value].endpoint);
		snprintf(out, COMMON_VALUE, "%s", text);
		break;
	case TRAIT_PREFIX:
		prefix_of(&prefix, &g->servers[value].endpoint.address,
			  network_bits(&g->servers[value].endpoint.address));
		snprintf(out, COMMON_VALUE, "%s/%u", format_address(text, &prefix),
			 network_bits(&prefix));
		break;
	case TRAIT_PORT:
		snprintf(out, COMMON_VALUE, "%u", value);
		break;
	case TRAIT_FAMILY:
		snprintf(out, COMMON_VALUE, "IPv%u", value);
		break;
	case TRAIT_FLIGHT:
		snprintf(out, COMMON_VALUE, "larger than a segment");
		break;
	case TRAIT_BACKEND:
		snprintf(out, COMMON_VALUE, "with TTL %u and window %u", value >> 16,
			 value & 0xffff);
		break;
	default:
		out[0] = '\0'; /* the name of the trait says it */
	}
	return out;
}

/* ---- the connects that are compared ---- */

struct sample {
	const struct noted_connect *n;
	uint32_t value;
	bool bad;
};

struct samples_of_hosts {
	struct sample *at; /* the connects of a host together */
	size_t count;
	size_t bad;
};

static bool is_sample(const struct context *g, const struct comparison_group *group,
		      const struct noted_connect *n, bool any_server)
{
	if (group->connects[n - g->connects])
		return true;
	return n->entry.row == ROW_IN_TIME && n->c->syn >= group->first - PERIOD_NS &&
	       n->c->syn <= group->last + PERIOD_NS &&
	       (any_server || group->servers[server_of(g, n) - g->servers]);
}

static void collect(const struct context *g, const struct comparison_group *group,
		    struct samples_of_hosts *all, enum trait trait)
{
	size_t i, j;

	all->count = all->bad = 0;
	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		if (group->unit[i] != UNIT_BAD)
			continue;
		for (j = 0; j < t->connect_count; j++) {
			const struct noted_connect *n = t->connects[j];
			struct sample *s = &all->at[all->count];

			if (!is_sample(g, group, n, is_about_server(trait)))
				continue;
			s->n = n;
			s->value = value_of(g, group->known, n, trait);
			s->bad = group->connects[n - g->connects];
			all->count += s->value != TRAIT_UNKNOWN;
			all->bad += s->bad && s->value != TRAIT_UNKNOWN;
		}
	}
}

/* ---- tests ---- */

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * Returns the value with the most bad connects, and stores how many values have MIN_CONNECTS bad
 * ones: any of them could have been the one.
 */
static uint32_t worst_value(const struct samples_of_hosts *all, uint32_t *values,
			    size_t *candidates)
{
	uint32_t worst = TRAIT_UNKNOWN;
	size_t i, n = 0, start, most = 0;

	for (i = 0; i < all->count; i++)
		if (all->at[i].bad)
			values[n++] = all->at[i].value;
	qsort(values, n, sizeof(*values), by_value);
	*candidates = 0;
	for (start = 0; start < n; start = i) {
		for (i = start; i < n && values[i] == values[start]; i++)
			;
		*candidates += i - start >= MIN_CONNECTS;
		if (i - start > most) {
			most = i - start;
			worst = values[start];
		}
	}
	return worst;
}

static void count_value(struct connect_test *t, const struct samples_of_hosts *all)
{
	size_t i;

	for (i = 0; i < all->count; i++) {
		bool with = all->at[i].value == t->value;

		t->bad += all->at[i].bad;
		t->good += !all->at[i].bad;
		t->bad_with += with && all->at[i].bad;
		t->good_with += with && !all->at[i].bad;
	}
	t->splits = t->bad_with >= SPLIT_SHARE * (t->bad_with + t->good_with) &&
		    t->bad - t->bad_with <=
			    (1 - SPLIT_SHARE) * (t->bad - t->bad_with + t->good - t->good_with);
}

/* Fills in a stratum for each host. Returns their number. */
static size_t strata_of(struct stratum *strata, const struct samples_of_hosts *all, uint32_t value)
{
	const struct timeline *host = NULL;
	struct stratum *s = NULL;
	size_t i, n = 0;

	for (i = 0; i < all->count; i++) {
		bool with = all->at[i].value == value;

		if (!s || all->at[i].n->host != host) {
			host = all->at[i].n->host;
			s = &strata[n++];
			*s = (struct stratum){};
		}
		s->total++;
		s->with += with;
		s->bad += all->at[i].bad;
		s->bad_with += with && all->at[i].bad;
	}
	return n;
}

static void test_connects(struct context *g, struct connect_test *t,
			  const struct samples_of_hosts *all, struct stratum *strata,
			  size_t candidates)
{
	struct p_value *p = &t->test.result;

	count_value(t, all);
	if (t->bad_with < MIN_CONNECTS || t->good < MIN_CONNECTS ||
	    t->bad_with + t->good_with == t->bad + t->good)
		return;
	if (!stratified_test(strata, strata_of(strata, all, t->value), &t->test)) {
		g->out_of_memory = true;
		return;
	}
	if (!t->test.informative)
		return;
	t->is_tested = true;
	/* one host could decide alone: its connects are not independent */
	if (t->test.between > p->p)
		p->p = t->test.between;
	if (!t->test.more)
		p->p = 1;
	p->p = fmin(p->p * candidates, 1);
	p->p_min = fmin(p->p_min, p->p);
}

/* Returns true if the finding itself says that connects have this trait. */
static bool is_said(const struct finding *f, enum trait trait)
{
	if (!f)
		return false;
	if (is_about_server(trait))
		return f->has_peer && finding_kinds[f->kind].family != FAMILY_WAIT;
	switch (f->kind) {
	case KIND_FIRST_SYN_LOST:
		return trait == TRAIT_FIRST_OF_HOST || trait == TRAIT_FIRST_OF_SERVER;
	case KIND_FIRST_VISIT_SLOW:
		return trait == TRAIT_FIRST_OF_SERVER;
	case KIND_LARGE_HELLO:
	case KIND_MTU_BLACK_HOLE:
		return trait == TRAIT_FLIGHT;
	default:
		return false;
	}
}

void compare_connects(struct context *g, struct comparison_group *group)
{
	struct samples_of_hosts all = { calloc(g->connect_count + 1, sizeof(*all.at)), 0, 0 };
	struct stratum *strata = calloc(g->hosts->count + 1, sizeof(*strata));
	uint32_t *values = calloc(g->connect_count + 1, sizeof(*values));
	size_t i, candidates;

	if (!all.at || !strata || !values)
		g->out_of_memory = true;
	/* without a bad connect or stall there is no period to compare */
	for (i = 0; group->first != NEVER && i < CONNECT_TRAITS && !g->out_of_memory; i++) {
		struct connect_test *t = &group->connect_tests[i];
		enum trait trait = FIRST_CONNECT_TRAIT + i;

		if (trait == TRAIT_REUSED_PORT || is_said(group->f, trait))
			continue;
		collect(g, group, &all, trait);
		t->value = worst_value(&all, values, &candidates);
		if (is_binary(trait))
			t->value = candidates = 1;
		if (candidates)
			test_connects(g, t, &all, strata, candidates);
	}
	free(values);
	free(strata);
	free(all.at);
}
