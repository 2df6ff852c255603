// SPDX-License-Identifier: GPL-2.0
#include "diagnose/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/causes.h"
#include "diagnose/connects.h"
#include "diagnose/contrast_test.h"
#include "diagnose/traits.h"
#include "lib/stratified_test.h"

/* Minimum numbers of hosts that wait or fail, and of others, for a comparison. */
#define MIN_BAD 2
#define MIN_GOOD 2

/* Connects so long before the first bad one, or after the last, are of the same period. */
#define PERIOD_NS (30 * (ns_t)SECOND_NS)

/* Whether a host waits or fails in a comparison. */
enum unit { UNIT_ABSENT, UNIT_GOOD, UNIT_BAD };

/* The hosts that are compared for one finding, or for the connects that no finding explains. */
struct group {
	struct finding *f; /* NULL for the latter */
	struct comparison *result;
	uint8_t *unit; /* enum unit, by index of the host */
	size_t bad, good;
	bool *servers; /* by index of g->servers[]: bad connects are of this server */
	ns_t first, last; /* the bad connects and stalls */
	struct contrast tests[HOST_TRAITS];
};

/* ---- the hosts that wait or fail ---- */

static bool is_verified(const struct host *h)
{
	size_t i;

	for (i = 0; i < h->client_count; i++)
		if (h->clients[i]->verified)
			return true;
	return false;
}

/* Forged SYNs never complete a handshake: their sources are on neither side. */
static void add_unit(struct context *g, struct group *group, const struct timeline *host,
		     enum unit unit)
{
	uint8_t *is = host ? &group->unit[host - g->timelines] : NULL;

	if (!is || *is >= unit || !is_verified(host->host))
		return;
	group->good += unit == UNIT_GOOD;
	group->good -= *is == UNIT_GOOD;
	group->bad += unit == UNIT_BAD;
	*is = unit;
}

static void add_moment(struct group *group, ns_t when)
{
	if (group->first == NEVER || when < group->first)
		group->first = when;
	if (group->last == NEVER || when > group->last)
		group->last = when;
}

static void add_bad_connect(struct context *g, struct group *group, const struct noted_connect *n)
{
	add_unit(g, group, n->host, UNIT_BAD);
	add_moment(group, n->c->syn);
	group->servers[server_of(g, n) - g->servers] = true;
}

/* A stall is a connect that was late: find it among those of its host. */
static void add_stall(struct context *g, struct group *group, const struct timeline *t,
		      const struct stall *s)
{
	size_t i;

	add_unit(g, group, t, UNIT_BAD);
	add_moment(group, s->syn);
	for (i = 0; i < t->connect_count; i++)
		if (t->connects[i]->c->syn == s->syn &&
		    same_endpoint(&t->connects[i]->c->client, &s->from))
			group->servers[server_of(g, t->connects[i]) - g->servers] = true;
}

/*
 * Returns true if the stall belongs to the group. Stalls without a cause belong to the finding that
 * lists them, if there is one.
 */
static bool is_stall_of(const struct context *g, const struct finding *f,
			const struct noted_stall *noted)
{
	if (f && f->kind != KIND_STALLS_UNEXPLAINED)
		return noted->explained == f;
	return !noted->explained && (f || !has_finding(g, KIND_STALLS_UNEXPLAINED));
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
static void add_affected(struct context *g, struct group *group)
{
	const struct finding_hosts *hosts = &group->f->affected;
	size_t i;

	for (i = 0; i < hosts->named; i++) {
		const struct client *c = model_client(g->m, &hosts->at[i]);

		if (c)
			add_unit(g, group, timeline_of(g, c), UNIT_BAD);
	}
}

static void find_bad(struct context *g, struct group *group)
{
	size_t i, j;

	for (i = 0; i < g->hosts->count; i++) {
		const struct timeline *t = &g->timelines[i];

		for (j = 0; j < t->stall_count; j++)
			if (is_stall_of(g, group->f, &t->stalls[j]))
				add_stall(g, group, t, t->stalls[j].stall);
	}
	for (i = 0; i < g->connect_count; i++)
		if (is_connect_of(g, group->f, &g->connects[i]))
			add_bad_connect(g, group, &g->connects[i]);
	if (group->f)
		add_affected(g, group);
}

/* ---- the hosts that are well ---- */

static bool is_same_port(const struct context *g, const struct group *group, uint16_t port)
{
	size_t i;

	for (i = 0; i < g->server_count; i++)
		if (group->servers[i] && g->servers[i].endpoint.port == port)
			return true;
	return false;
}

/* Adds hosts that were served in time in the same period, at the same servers or the same ports. */
static void find_good(struct context *g, struct group *group, bool by_port)
{
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		if (by_port ? !is_same_port(g, group, s->endpoint.port) : !group->servers[i])
			continue;
		for (j = 0; j < s->count; j++) {
			const struct noted_connect *n = &s->connects[j];

			if (n->entry.row == ROW_IN_TIME && n->c->syn >= group->first - PERIOD_NS &&
			    n->c->syn <= group->last + PERIOD_NS)
				add_unit(g, group, n->host, UNIT_GOOD);
		}
	}
}

/*
 * "9 of 9 are in VLAN 20" would only say that VLAN 20 uses that server. So hosts are compared that
 * used the same servers; if there are none, as when each host goes elsewhere, the same ports.
 */
static void find_hosts(struct context *g, struct group *group)
{
	find_bad(g, group);
	if (group->bad < MIN_BAD || group->first == NEVER)
		return;
	find_good(g, group, false);
	if (group->good < MIN_GOOD)
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

static struct units units_of(struct context *g, const struct group *group)
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

static void test_trait(struct context *g, struct group *group, struct units *u,
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

static void test_group(struct context *g, struct group *group, const struct traits *traits)
{
	struct units u = units_of(g, group);
	enum trait trait;

	for (trait = 0; trait < HOST_TRAITS && !g->out_of_memory; trait++)
		if (trait != TRAIT_ACTIVITY)
			test_trait(g, group, &u, traits, trait);
	free_units(&u);
}

/* ---- adjustment ---- */

static bool is_tested(const struct contrast *c)
{
	return c->outcome == TRAIT_SPLITS || c->outcome == TRAIT_SPREAD ||
	       c->outcome == TRAIT_UNCLEAR;
}

/* Adjusts the p-values of all groups. Returns the number of tests. */
static size_t adjust(struct context *g, struct group *groups, size_t count)
{
	struct p_value **p = calloc(count * HOST_TRAITS + 1, sizeof(struct p_value *));
	size_t i, n = 0;
	enum trait trait;

	for (i = 0; p && i < count; i++)
		for (trait = 0; groups[i].unit && trait < HOST_TRAITS; trait++)
			if (is_tested(&groups[i].tests[trait]))
				p[n++] = &groups[i].tests[trait].test;
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
static const struct host *host_with(const struct context *g, const struct group *group,
				    const struct traits *traits, enum trait trait, uint32_t value)
{
	size_t i;

	for (i = 0; i < g->hosts->count; i++)
		if (group->unit[i] != UNIT_ABSENT && traits->value[trait][i] == value)
			return &g->hosts->at[i];
	return NULL;
}

/* Formats the values of a split, as "20 or 30". */
static void format_split(char out[COMMON_VALUE], const struct context *g, const struct group *group,
			 const struct traits *traits, enum trait trait)
{
	const struct contrast *c = &group->tests[trait];
	char value[COMMON_VALUE];
	size_t i, used = 0;

	out[0] = '\0';
	for (i = 0; i < c->n_values && used < COMMON_VALUE - 1; i++) {
		const struct host *h = host_with(g, group, traits, trait, c->values[i]);

		if (h)
			used += snprintf(out + used, COMMON_VALUE - used, "%s%s",
					 used ? " or " : "", format_trait(value, g, trait, h));
	}
}

static void add_common(const struct context *g, struct group *group, const struct traits *traits,
		       enum trait trait)
{
	const struct contrast *c = &group->tests[trait];
	struct comparison *r = group->result;
	struct common_trait *t;
	size_t i;

	for (i = r->common_count; i && r->common[i - 1].p > c->test.adjusted; i--)
		if (i < MAX_COMMON_TRAITS)
			r->common[i] = r->common[i - 1];
	if (i == MAX_COMMON_TRAITS)
		return;
	if (r->common_count < MAX_COMMON_TRAITS)
		r->common_count++;
	t = &r->common[i];
	*t = (struct common_trait){
		.trait = trait,
		.bad_with = c->bad_with,
		.bad = c->bad_with + c->bad_without,
		.good_with = c->good_with,
		.good = c->good_with + c->good_without,
		.p = c->test.adjusted,
	};
	format_split(t->value, g, group, traits, trait);
}

/* Returns true if both traits divide the hosts in the same way. */
static bool is_same_split(const struct group *group, const struct traits *traits, enum trait a,
			  enum trait b)
{
	size_t i;

	for (i = 0; i < traits->count; i++)
		if (group->unit[i] != UNIT_ABSENT &&
		    contrast_has(&group->tests[a], traits->value[a][i]) !=
			    contrast_has(&group->tests[b], traits->value[b][i]))
			return false;
	return true;
}

static void conclude_group(const struct context *g, struct group *group,
			   const struct traits *traits, size_t tests)
{
	struct comparison *r = group->result;
	enum trait trait;
	size_t i;

	r->tests = tests;
	r->bad = group->bad;
	r->good = group->good;
	for (trait = 0; trait < HOST_TRAITS; trait++) {
		const struct contrast *c = &group->tests[trait];

		if (trait == TRAIT_ACTIVITY)
			continue;
		if (c->outcome == TRAIT_SPLITS && c->test.adjusted <= MAX_P)
			add_common(g, group, traits, trait);
		else if (c->outcome == TRAIT_SPREAD)
			r->spread |= 1U << trait;
		else if (c->outcome == TRAIT_SAME)
			r->same |= 1U << trait;
	}
	for (i = 1; i < r->common_count; i++)
		r->common[i].is_same_split =
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

size_t comparison_lines(const struct comparison *r, bool is_wait,
			void (*add)(void *context, const char *label, const char *text),
			void *context)
{
	const char *do_so = is_wait ? "wait" : "fail";
	char text[MAX_FINDING_TEXT], traits[192];
	size_t i, used, lines = 0;

	for (i = 0; i < r->common_count; i++) {
		const struct common_trait *t = &r->common[i];

		used = snprintf(text, sizeof(text), "%s %s", trait_names[t->trait], t->value);
		for (; i + 1 < r->common_count && r->common[i + 1].is_same_split; i++)
			used += snprintf(text + used, sizeof(text) - used, ", which is also %s %s",
					 trait_names[r->common[i + 1].trait],
					 r->common[i + 1].value);
		snprintf(text + used, sizeof(text) - used,
			 ": %zu of %zu hosts that %s, %zu of %zu that do not (p = %.1g, %u "
			 "comparison%s)",
			 t->bad_with, t->bad, do_so, t->good_with, t->good, t->p, r->tests,
			 plural(r->tests));
		add(context, lines++ ? "" : "in common", text);
	}
	format_traits(traits, sizeof(traits), r->spread);
	if (r->spread) {
		snprintf(text, sizeof(text), "%s: hosts that %s and hosts that do not in each",
			 traits, do_so);
		add(context, "spread", text);
		lines++;
	}
	format_traits(traits, sizeof(traits), r->same);
	if (r->same) {
		snprintf(text, sizeof(text), "%s: all %zu hosts are alike", traits,
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

static bool init_group(struct context *g, struct group *group, struct finding *f,
		       struct comparison *result)
{
	*group = (struct group){ .f = f, .result = result, .first = NEVER, .last = NEVER };
	group->unit = calloc(g->hosts->count + 1, sizeof(*group->unit));
	group->servers = calloc(g->server_count + 1, sizeof(*group->servers));
	return group->unit && group->servers;
}

static void free_group(struct group *group)
{
	free(group->unit);
	free(group->servers);
	group->unit = NULL;
	group->servers = NULL;
}

/* Finds the hosts of a finding and tests all traits. */
static void compare(struct context *g, struct group *group, struct finding *f,
		    struct comparison *result, const struct traits *traits)
{
	if (!init_group(g, group, f, result)) {
		g->out_of_memory = true;
		free_group(group);
		return;
	}
	find_hosts(g, group);
	if (group->bad >= MIN_BAD && group->good >= MIN_GOOD)
		test_group(g, group, traits);
	else
		free_group(group);
}

static void compare_all(struct context *g, struct group *groups, const struct traits *traits)
{
	struct diagnosis *d = g->d;
	size_t i, tests;

	for (i = 0; i < d->count; i++)
		if (is_compared(&d->at[i]))
			compare(g, &groups[i], &d->at[i], &d->at[i].comparison, traits);
	compare(g, &groups[d->count], NULL, &d->unexplained, traits);
	tests = adjust(g, groups, d->count + 1);
	for (i = 0; i <= d->count; i++) {
		struct group *group = &groups[i];

		if (!group->unit)
			continue;
		conclude_group(g, group, traits, tests);
		if (group->f)
			comparison_lines(group->result,
					 finding_kinds[group->f->kind].family == FAMILY_WAIT,
					 add_finding_line, group->f);
	}
}

void cause_comparison(struct context *g)
{
	struct group *groups = calloc(g->d->count + 1, sizeof(*groups));
	struct traits traits;
	size_t i;

	if (!groups || !traits_of_hosts(&traits, g)) {
		g->out_of_memory = true;
	} else {
		compare_all(g, groups, &traits);
		for (i = 0; i <= g->d->count; i++)
			free_group(&groups[i]);
	}
	if (groups)
		traits_free(&traits);
	free(groups);
}
