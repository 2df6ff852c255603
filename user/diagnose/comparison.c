// SPDX-License-Identifier: GPL-2.0
#include "diagnose/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"

/* Minimum numbers of hosts that wait or fail, and of others, for a comparison. */
#define MIN_BAD 2
#define MIN_GOOD 2

/* ---- the hosts that wait or fail ---- */

static bool is_verified(const struct host *h)
{
	size_t i;

	for (i = 0; i < h->client_count; i++)
		if (h->clients[i]->verified)
			return true;
	return false;
}

/*
 * Forged SYNs never complete a handshake: their sources are on neither side. Neither are hosts that
 * only asked DNS, which have no traits and come last.
 */
static void add_unit(struct context *g, struct comparison_group *group, const struct timeline *host,
		     enum unit unit)
{
	size_t i = host ? (size_t)(host - g->timelines) : g->hosts->all;
	uint8_t *is = &group->unit[i];

	if (!host || i >= g->hosts->count || *is >= unit || !is_verified(host->host))
		return;
	group->good += unit == UNIT_GOOD;
	group->good -= *is == UNIT_GOOD;
	group->bad += unit == UNIT_BAD;
	*is = unit;
}

static void add_moment(struct comparison_group *group, ns_t when)
{
	if (group->first == NEVER || when < group->first)
		group->first = when;
	if (group->last == NEVER || when > group->last)
		group->last = when;
}

static void add_bad_connect(struct context *g, struct comparison_group *group,
			    const struct noted_connect *n)
{
	add_unit(g, group, n->host, UNIT_BAD);
	group->has_failed |= is_failed(n);
	add_moment(group, n->c->syn);
	group->servers[server_of(g, n) - g->servers] = true;
	group->connects[n - g->connects] = true;
}

/* A stall is a connect that was late: find it among those of its host. */
static void add_stall(struct context *g, struct comparison_group *group, const struct timeline *t,
		      const struct stall *s)
{
	struct noted_connect *n = connect_of_stall(t, s);

	add_unit(g, group, t, UNIT_BAD);
	add_moment(group, s->syn);
	if (n)
		add_bad_connect(g, group, n);
}

/*
 * Returns true if the stall belongs to the group. Stalls without a cause belong to the finding that
 * lists them, if there is one.
 */
static bool is_stall_of(const struct context *g, const struct finding *f, const struct timeline *t,
			const struct noted_stall *noted)
{
	if (f && f->kind != KIND_STALLS_UNEXPLAINED)
		return noted->explained == f;
	return !is_stall_explained(t, noted) && (f || !has_finding(g, KIND_STALLS_UNEXPLAINED));
}

/* A connect that failed or was late for another reason than a stall of the client. */
static bool is_bad(const struct noted_connect *n)
{
	return is_failed(n) || (n->entry.row == ROW_LATE && n->entry.stage != STAGE_HOLD);
}

static bool is_connect_of(const struct context *g, const struct finding *f,
			  const struct noted_connect *n)
{
	if (f)
		return n->explained == f;
	return is_bad(n) && !n->explained && !is_named(g, &n->c->server);
}

/* Adds hosts that a finding lists without a stall or a connect: it was held before the SYN. */
static void add_affected(struct context *g, struct comparison_group *group)
{
	const struct finding_hosts *hosts = &group->f->affected;
	size_t i;

	for (i = 0; i < hosts->named; i++) {
		const struct client *c = model_client(g->m, &hosts->at[i]);

		if (c)
			add_unit(g, group, timeline_of(g, c), UNIT_BAD);
	}
}

static void find_bad(struct context *g, struct comparison_group *group)
{
	size_t i, j;

	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		for (j = 0; j < t->stall_count; j++)
			if (is_stall_of(g, group->f, t, &t->stalls[j]))
				add_stall(g, group, t, t->stalls[j].stall);
	}
	for (i = 0; i < g->connect_count; i++)
		if (is_connect_of(g, group->f, &g->connects[i]))
			add_bad_connect(g, group, &g->connects[i]);
	if (group->f)
		add_affected(g, group);
}

/* ---- the hosts that are well ---- */

/* Returns true if the finding is about servers, each in its VLAN: not about what hosts do there. */
static bool is_about_servers(const struct comparison_group *group)
{
	return group->f && finding_kinds[group->f->kind].family != FAMILY_WAIT;
}

/*
 * Marks the servers at which other hosts did the same: those of the bad connects, or their ports. A
 * server is the same in all VLANs: else hosts would be compared only with those of their VLAN.
 * But a finding about a server in VLAN 20 has hosts of VLAN 20 only, whatever the reason.
 */
static bool *comparable_servers(struct context *g, const struct comparison_group *group,
				bool by_port)
{
	bool *servers = calloc(g->server_count + 1, sizeof(*servers));
	bool *ports = calloc(UINT16_MAX + 1, sizeof(*ports));
	const uint32_t *same = group->known->server;
	size_t i;

	if (!servers || !ports)
		g->out_of_memory = true;
	for (i = 0; servers && ports && i < g->server_count; i++) {
		ports[g->servers[i].endpoint.port] |= group->servers[i];
		servers[same[i]] |= group->servers[i];
	}
	for (i = 0; servers && ports && i < g->server_count; i++)
		if (by_port)
			servers[i] = ports[g->servers[i].endpoint.port];
		else if (is_about_servers(group))
			servers[i] = group->servers[i];
		else
			servers[i] = servers[same[i]];
	free(ports);
	return servers;
}

static bool is_unexplained(const struct finding *f)
{
	return !f || f->kind == KIND_TIMER_UNEXPLAINED || f->kind == KIND_STALLS_UNEXPLAINED;
}

/*
 * Returns true if the host waits for a reason that is not known either, though with another finding.
 * It may be the same reason, so the host is on neither side.
 */
static bool may_wait_alike(const struct context *g, const struct comparison_group *group,
			   const struct timeline *host)
{
	size_t i;

	if (!group->f || !is_unexplained(group->f) || !host ||
	    group->unit[host - g->timelines] != UNIT_ABSENT)
		return false;
	for (i = 0; i < host->stall_count; i++)
		if (is_unexplained(host->stalls[i].explained))
			return true;
	return false;
}

/* Adds hosts that were served in time in the same period, at the same servers or the same ports. */
static void find_good(struct context *g, struct comparison_group *group, bool by_port)
{
	bool *servers = comparable_servers(g, group, by_port);
	size_t i, j;

	for (i = 0; servers && i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		for (j = 0; servers[i] && j < s->count; j++) {
			const struct noted_connect *n = &s->connects[j];

			if (n->entry.row == ROW_IN_TIME && n->c->syn >= group->first - PERIOD_NS &&
			    n->c->syn <= group->last + PERIOD_NS &&
			    !may_wait_alike(g, group, n->host))
				add_unit(g, group, n->host, UNIT_GOOD);
		}
	}
	free(servers);
}

/*
 * "9 of 9 are in VLAN 20" would only say that VLAN 20 uses that server. So hosts are compared that
 * used the same servers; if there are none, as when each host goes elsewhere, the same ports. A
 * finding about servers is compared at these servers only.
 */
static void find_hosts(struct context *g, struct comparison_group *group)
{
	find_bad(g, group);
	if (group->bad < MIN_BAD || group->first == NEVER)
		return;
	find_good(g, group, false);
	if (group->good < MIN_GOOD && !is_about_servers(group))
		find_good(g, group, true);
}

/* ---- tests ---- */

/* Arrays of the hosts that are compared. */
struct units {
	uint32_t *value;
	bool *bad;
	uint32_t *host; /* index */
	size_t count;
};

static struct units units_of(struct context *g, const struct comparison_group *group)
{
	size_t i, n = g->hosts->count;
	struct units u = { calloc(n + 1, sizeof(*u.value)), calloc(n + 1, sizeof(*u.bad)),
			   calloc(n + 1, sizeof(*u.host)), 0 };

	if (!u.value || !u.bad || !u.host) {
		g->out_of_memory = true;
		return u;
	}
	for (i = 0; i < n; i++) {
		if (group->unit[i] == UNIT_ABSENT)
			continue;
		u.bad[u.count] = group->unit[i] == UNIT_BAD;
		u.host[u.count++] = i;
	}
	return u;
}

static void free_units(struct units *u)
{
	free(u->value);
	free(u->bad);
	free(u->host);
}

/*
 * Busy hosts meet more of any trouble. If only the busy hosts of a VLAN are bad, it is not the VLAN:
 * so a split also has to hold among busy hosts and among the others. Returns its p-value.
 */
static double chance_among_equals(const struct contrast *c, const struct units *u,
				  const uint32_t *activity)
{
	struct stratum strata[2] = {};
	struct stratified_test test;
	size_t i;

	for (i = 0; i < u->count; i++) {
		struct stratum *s = &strata[activity[u->host[i]] != 0];
		bool with = contrast_has(c, u->value[i]);

		s->total++;
		s->with += with;
		s->bad += u->bad[i];
		s->bad_with += with && u->bad[i];
	}
	return stratified_test(strata, 2, &test) && test.more ? test.within : 1;
}

static void test_trait(struct context *g, struct comparison_group *group, struct units *u,
		       const struct traits *traits, enum trait trait)
{
	struct contrast *c = &group->tests[trait];
	double chance;
	size_t i;

	for (i = 0; i < u->count; i++)
		u->value[i] = traits->value[trait][u->host[i]];
	if (!contrast_test(u->value, u->bad, u->count, c)) {
		g->out_of_memory = true;
		return;
	}
	if (c->outcome != TRAIT_SPLITS)
		return;
	chance = chance_among_equals(c, u, traits->value[TRAIT_ACTIVITY]);
	if (chance > c->test.p)
		c->test.p = chance;
}

static void test_group(struct context *g, struct comparison_group *group,
		       const struct traits *traits)
{
	struct units u = units_of(g, group);
	enum trait trait;

	for (trait = 0; trait < HOST_TRAITS && !g->out_of_memory; trait++)
		if (trait != TRAIT_ACTIVITY && group->good >= MIN_GOOD)
			test_trait(g, group, &u, traits, trait);
	free_units(&u);
	compare_connects(g, group);
}

/* ---- adjustment ---- */

static bool is_tested(const struct contrast *c)
{
	return c->outcome == TRAIT_SPLITS || c->outcome == TRAIT_SPREAD ||
	       c->outcome == TRAIT_UNCLEAR;
}

/* Adjusts the p-values of all groups. Returns the number of tests. */
static size_t adjust(struct context *g, struct comparison_group *groups, size_t count)
{
	struct p_value **p = calloc(count * TRAITS + 1, sizeof(struct p_value *));
	enum trait trait;
	size_t i, j, n = 0;

	for (i = 0; p && i < count; i++) {
		for (trait = 0; groups[i].unit && trait < HOST_TRAITS; trait++)
			if (is_tested(&groups[i].tests[trait]))
				p[n++] = &groups[i].tests[trait].test;
		for (j = 0; groups[i].unit && j < CONNECT_TRAITS; j++)
			if (groups[i].connect_tests[j].is_tested)
				p[n++] = &groups[i].connect_tests[j].test.result;
	}
	if (!p || !adjust_p_values(p, n))
		g->out_of_memory = true;
	for (i = 0; p && i < n; i++)
		p[i]->adjusted =
			fmin(2 * p[i]->adjusted, 1); /* half of MAX_P is another family's */
	free(p);
	return n;
}

/* ---- words ---- */

/* Returns a host that has the value of the split. */
static const struct host *host_with(const struct context *g, const struct comparison_group *group,
				    const struct traits *traits, enum trait trait, uint32_t value)
{
	size_t i;

	for (i = 0; i < g->hosts->count; i++)
		if (group->unit[i] != UNIT_ABSENT && traits->value[trait][i] == value)
			return &g->hosts->at[i];
	return NULL;
}

/* Formats the values of a split, as "20 or 30". */
static void format_split(char out[COMMON_VALUE], const struct context *g,
			 const struct comparison_group *group, const struct traits *traits,
			 enum trait trait)
{
	const struct contrast *c = &group->tests[trait];
	char value[COMMON_VALUE];
	size_t i, used = 0;

	out[0] = '\0';
	for (i = 0; i < c->n_values && used < COMMON_VALUE - 1; i++) {
		const struct host *h = host_with(g, group, traits, trait, c->values[i]);

		if (h)
			used += snprintf(out + used, COMMON_VALUE - used, "%s%s",
					 used ? " or " : "", format_trait(value, g->d, trait, h));
	}
}

/* Inserts a trait by its p-value. Drops the worst one if there are too many. */
static void add_common(struct comparison *r, const struct common_trait *t)
{
	size_t i;

	for (i = r->common_count; i && r->common[i - 1].p > t->p; i--)
		if (i < MAX_COMMON_TRAITS)
			r->common[i] = r->common[i - 1];
	if (i == MAX_COMMON_TRAITS)
		return;
	if (r->common_count < MAX_COMMON_TRAITS)
		r->common_count++;
	r->common[i] = *t;
}

static void add_host_trait(const struct context *g, struct comparison_group *group,
			   const struct traits *traits, enum trait trait)
{
	const struct contrast *c = &group->tests[trait];
	struct common_trait t = {
		.trait = trait,
		.bad_with = c->bad_with,
		.bad = c->bad_with + c->bad_without,
		.good_with = c->good_with,
		.good = c->good_with + c->good_without,
		.p = c->test.adjusted,
	};

	format_split(t.value, g, group, traits, trait);
	add_common(group->result, &t);
}

static void add_connect_trait(const struct context *g, struct comparison_group *group,
			      enum trait trait)
{
	const struct connect_test *c = &group->connect_tests[trait - FIRST_CONNECT_TRAIT];
	struct common_trait t = {
		.trait = trait,
		.of_connects = true,
		.bad_with = c->bad_with,
		.bad = c->bad,
		.good_with = c->good_with,
		.good = c->good,
		.p = c->test.result.adjusted,
	};

	format_connect_trait(t.value, g, trait, c->value);
	add_common(group->result, &t);
}

/* Returns true if both traits divide the hosts in the same way. */
static bool is_same_split(const struct comparison_group *group, const struct traits *traits,
			  enum trait a, enum trait b)
{
	size_t i;

	for (i = 0; i < traits->count; i++)
		if (group->unit[i] != UNIT_ABSENT &&
		    contrast_has(&group->tests[a], traits->value[a][i]) !=
			    contrast_has(&group->tests[b], traits->value[b][i]))
			return false;
	return true;
}

/*
 * Returns true if the best trait explains why this one separates hosts: most hosts of a VLAN have
 * one vendor, and it makes no difference among the hosts of that VLAN, or among the others.
 */
static bool is_explained(struct context *g, const struct comparison_group *group,
			 const struct traits *traits, enum trait best, enum trait trait)
{
	struct stratum strata[2] = {};
	struct stratified_test test;
	size_t i;

	for (i = 0; i < traits->count; i++) {
		bool with = contrast_has(&group->tests[trait], traits->value[trait][i]);
		bool bad = group->unit[i] == UNIT_BAD;
		struct stratum *s =
			&strata[contrast_has(&group->tests[best], traits->value[best][i])];

		if (group->unit[i] == UNIT_ABSENT)
			continue;
		s->total++;
		s->with += with;
		s->bad += bad;
		s->bad_with += with && bad;
	}
	if (!stratified_test(strata, 2, &test)) {
		g->out_of_memory = true;
		return false;
	}
	return !test.more || test.within > MAX_P;
}

/* Removes traits of hosts that the best of them explains. */
static void remove_explained(struct context *g, const struct comparison_group *group,
			     const struct traits *traits)
{
	struct comparison *r = group->result;
	enum trait best = TRAITS;
	size_t i, kept = 0;

	for (i = 0; i < r->common_count; i++) {
		const struct common_trait *t = &r->common[i];
		bool explained = !t->of_connects && best != TRAITS &&
				 !is_same_split(group, traits, best, t->trait) &&
				 is_explained(g, group, traits, best, t->trait);

		if (!t->of_connects && best == TRAITS)
			best = t->trait;
		if (!explained)
			r->common[kept++] = *t;
	}
	r->common_count = kept;
}

static void conclude_group(struct context *g, struct comparison_group *group,
			   const struct traits *traits, size_t tests)
{
	struct comparison *r = group->result;
	enum trait trait;
	size_t i;

	r->tests = tests;
	r->bad = group->bad;
	r->good = group->good;
	r->are_late = !group->has_failed;
	for (trait = 0; trait < HOST_TRAITS; trait++) {
		const struct contrast *c = &group->tests[trait];

		if (trait == TRAIT_ACTIVITY)
			continue;
		if (c->outcome == TRAIT_SPLITS && c->test.adjusted <= MAX_P)
			add_host_trait(g, group, traits, trait);
		else if (c->outcome == TRAIT_SPREAD)
			r->spread |= 1U << trait;
		else if (c->outcome == TRAIT_SAME)
			r->same |= 1U << trait;
	}
	for (trait = FIRST_CONNECT_TRAIT; trait < FIRST_CONNECT_TRAIT + CONNECT_TRAITS; trait++) {
		const struct connect_test *c = &group->connect_tests[trait - FIRST_CONNECT_TRAIT];

		if (c->is_tested && c->splits && c->test.result.adjusted <= MAX_P)
			add_connect_trait(g, group, trait);
	}
	remove_explained(g, group, traits);
	for (i = 1; i < r->common_count; i++)
		r->common[i].is_same_split =
			!r->common[i].of_connects && !r->common[i - 1].of_connects &&
			is_same_split(group, traits, r->common[i - 1].trait, r->common[i].trait);
}

/* Lists the traits of a mask, as "VLAN, subnet, MAC vendor". */
static void format_traits(char *out, size_t size, uint32_t mask)
{
	enum trait trait;
	size_t used = 0;

	out[0] = '\0';
	for (trait = 0; trait < HOST_TRAITS; trait++)
		if (mask & 1U << trait && used < size)
			used += snprintf(out + used, size - used, "%s%s", used ? ", " : "",
					 trait_names[trait]);
}

/* Smaller p-values are rounded to 0 somewhere on the way, and no p-value is 0. */
#define SMALLEST_P 1e-16

static void format_p(char out[16], double p)
{
	if (p < SMALLEST_P)
		snprintf(out, 16, "p < %.1g", SMALLEST_P);
	else
		snprintf(out, 16, "p = %.1g", p);
}

size_t comparison_lines(const struct comparison *r, bool is_wait,
			void (*add)(void *context, const char *label, const char *text),
			void *context)
{
	const char *do_so = is_wait ? "wait" : r->are_late ? "are late" : "fail";
	const char *do_not = !is_wait && r->are_late ? "are not" : "do not";
	char text[MAX_FINDING_TEXT], traits[192], p[16];
	size_t i, used, lines = 0;

	for (i = 0; i < r->common_count; i++) {
		const struct common_trait *t = &r->common[i];

		used = snprintf(text, sizeof(text), "%s%s%s", trait_names[t->trait],
				t->value[0] ? " " : "", t->value);
		for (; i + 1 < r->common_count && r->common[i + 1].is_same_split; i++)
			used += snprintf(text + used, sizeof(text) - used, ", which is also %s %s",
					 trait_names[r->common[i + 1].trait],
					 r->common[i + 1].value);
		format_p(p, t->p);
		snprintf(text + used, sizeof(text) - used,
			 ": %zu of %zu %s that %s, %zu of %zu that %s (%s, %u comparison%s)",
			 t->bad_with, t->bad, t->of_connects ? "connects" : "hosts", do_so,
			 t->good_with, t->good, do_not, p, r->tests, plural(r->tests));
		add(context, lines++ ? "" : "in common", text);
	}
	format_traits(traits, sizeof(traits), r->spread);
	if (r->spread) {
		snprintf(text, sizeof(text), "%s: hosts that %s and hosts that %s in each", traits,
			 do_so, do_not);
		add(context, "spread", text);
		lines++;
	}
	format_traits(traits, sizeof(traits), r->same);
	if (r->same) {
		snprintf(text, sizeof(text), "%s: all %zu hosts compared are alike", traits,
			 r->bad + r->good);
		add(context, "cannot tell", text);
		lines++;
	}
	return lines;
}

static void add_finding_line(void *context, const char *label, const char *text)
{
	finding_line(context, label, "%s", text);
}

/* ---- all findings ---- */

/* Kinds that are about something else than the hosts of the finding. */
static bool is_compared(const struct finding *f)
{
	switch (f->kind) {
	case KIND_SYN_FLOOD: /* forged sources */
	case KIND_ONE_DIRECTION:
	case KIND_OLD_RESET:
	case KIND_DUPLICATE_ADDRESS:
		return false;
	default:
		return finding_kinds[f->kind].family != FAMILY_OVERALL;
	}
}

static bool init_group(struct context *g, struct comparison_group *group, struct finding *f,
		       struct comparison *result)
{
	group->f = f;
	group->result = result;
	group->first = group->last = NEVER;
	group->unit = calloc(g->hosts->all + 1, sizeof(*group->unit));
	group->servers = calloc(g->server_count + 1, sizeof(*group->servers));
	group->connects = calloc(g->connect_count + 1, sizeof(*group->connects));
	return group->unit && group->servers && group->connects;
}

static void free_group(struct comparison_group *group)
{
	free(group->unit);
	free(group->servers);
	free(group->connects);
	group->unit = NULL;
	group->servers = group->connects = NULL;
}

/* Finds the hosts of a finding and tests all traits. */
static void compare(struct context *g, struct comparison_group *group, struct finding *f,
		    struct comparison *result, const struct traits *traits)
{
	if (!init_group(g, group, f, result)) {
		g->out_of_memory = true;
		free_group(group);
		return;
	}
	find_hosts(g, group);
	if (group->bad >= MIN_BAD)
		test_group(g, group, traits);
	else
		free_group(group);
}

static void compare_all(struct context *g, struct comparison_group *groups,
			const struct traits *traits, const struct connect_traits *known)
{
	struct diagnosis *d = g->d;
	size_t i, tests;

	for (i = 0; i <= d->count; i++)
		groups[i].known = known;
	for (i = 0; i < d->count; i++)
		if (is_compared(&d->at[i]))
			compare(g, &groups[i], &d->at[i], &d->at[i].comparison, traits);
	compare(g, &groups[d->count], NULL, &d->unexplained, traits);
	tests = adjust(g, groups, d->count + 1);
	for (i = 0; i <= d->count; i++) {
		struct comparison_group *group = &groups[i];

		if (!group->unit)
			continue;
		conclude_group(g, group, traits, tests);
		if (group->f && g->session->names_mode != NAMES_NONE)
			comparison_lines(group->result,
					 finding_kinds[group->f->kind].family == FAMILY_WAIT,
					 add_finding_line, group->f);
	}
}

void cause_comparison(struct context *g)
{
	struct comparison_group *groups = calloc(g->d->count + 1, sizeof(*groups));
	struct connect_traits known = {};
	struct traits traits = {};
	size_t i;

	if (!groups || !traits_of_hosts(&traits, g) || !traits_of_connects(&known, g)) {
		g->out_of_memory = true;
	} else {
		compare_all(g, groups, &traits, &known);
		for (i = 0; i <= g->d->count; i++)
			free_group(&groups[i]);
	}
	connect_traits_free(&known);
	traits_free(&traits);
	free(groups);
}
