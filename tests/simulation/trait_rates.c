// SPDX-License-Identifier: GPL-2.0
/*
 * trait_rates [--offices N] [--from SEED] [--verbose]
 *
 * Measures how often the report names a trait of hosts or connects that causes nothing, and how
 * often it names the trait that does. It diagnoses N synthetic offices without such a trait and N
 * with one. The same seeds print the same table. The status is 1 unless, with a probability of 95 %
 * (Clopper and Pearson), less than 5 in 100 reports without a cause name a trait, less than 1 in
 * 100 with high confidence, and more than 95 in 100 reports with a cause name it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/diagnose.h"
#include "error_bound.h"
#include "office.h"

#define LOW 0.05 /* the p-values by which the report names a trait */
#define HIGH 0.01
#define MAX_LINES 20 /* printed seeds of each list */

static const enum trait traits[OFFICE_TRAITS] = { TRAIT_VLAN,	TRAIT_SUBNET, TRAIT_VENDOR,
						  TRAIT_SYSTEM, TRAIT_MSS,    TRAIT_IPV6 };

/* Reports of one kind of office. */
struct tally {
	uint64_t offices;
	uint64_t compared; /* with hosts that wait or fail beside others */
	uint64_t wrong[2], wrong_high[2]; /* traits of hosts; of connects */
	uint64_t any_wrong, any_wrong_high;
	uint64_t right, right_high;
};

struct totals {
	struct tally without, with;
	uint64_t printed;
	bool verbose;
};

/* The traits that one report names. */
struct named {
	bool compared;
	bool wrong[2], wrong_high[2];
	bool right, right_high;
};

static bool host_has(const struct office_host *h, const struct common_trait *t)
{
	size_t i;

	for (i = 0; i < OFFICE_TRAITS; i++)
		if (traits[i] == t->trait)
			return i == OFFICE_IPV6 ? !strcmp(h->trait[i], t->value)
						: strstr(t->value, h->trait[i]) != NULL;
	return false;
}

/* A trait is right if it selects the hosts that the cause hits: four of five, and few others. */
static bool is_right_for_hosts(const struct office *o, const struct common_trait *t)
{
	unsigned int hit = 0, both = 0, named = 0, i;

	for (i = 0; i < o->host_count; i++) {
		bool has = host_has(&o->hosts[i], t);

		hit += o->hosts[i].is_hit;
		named += has;
		both += has && o->hosts[i].is_hit;
	}
	return hit && both * 5 >= hit * 4 && both * 5 >= named * 4;
}

/* The dead peer, its port, its prefix and its family really fail. */
static bool is_right_for_connects(const struct office *o, const struct common_trait *t)
{
	if (!o->dead.port)
		return false;
	switch (t->trait) {
	case TRAIT_SERVER:
		return !strcmp(t->value, "203.0.113.5:8443");
	case TRAIT_PREFIX:
		return !strcmp(t->value, "203.0.113.0/24");
	case TRAIT_PORT:
		return !strcmp(t->value, "8443");
	default:
		return false;
	}
}

static void judge(struct totals *all, struct named *n, const struct office *o, uint64_t seed,
		  const struct comparison *c, const char *of)
{
	size_t i;

	n->compared = n->compared || (c->tests && c->bad && c->good);
	for (i = 0; i < c->common_count; i++) {
		const struct common_trait *t = &c->common[i];
		bool right =
			t->of_connects ? is_right_for_connects(o, t) : is_right_for_hosts(o, t);

		if (t->p > LOW)
			continue;
		if (right && !t->of_connects) {
			n->right = true;
			n->right_high = n->right_high || t->p <= HIGH;
		} else if (!right) {
			n->wrong[t->of_connects] = true;
			n->wrong_high[t->of_connects] =
				n->wrong_high[t->of_connects] || t->p <= HIGH;
		}
		if (all->verbose || (!right && all->printed++ < MAX_LINES))
			printf("%s  seed %llu%s, %s: %s %s: %zu of %zu bad, %zu of %zu good %s, p %.2g\n",
			       right ? "right" : "WRONG", (unsigned long long)seed,
			       o->has_cause ? " with a cause" : "", of, trait_names[t->trait],
			       t->value, t->bad_with, t->bad, t->good_with, t->good,
			       t->of_connects ? "connects" : "hosts", t->p);
	}
}

static void print_finding(const struct finding *f)
{
	size_t i;

	printf("  %s: %zu of %zu hosts; %s\n", finding_kinds[f->kind].name, f->comparison.bad,
	       f->comparison.bad + f->comparison.good, f->text);
	for (i = 0; i < f->line_count; i++)
		printf("    %-12s %s\n", f->lines[i].label, f->lines[i].text);
}

static void diagnose_office(struct totals *all, struct tally *t, const struct office *o,
			    uint64_t seed)
{
	struct session session = { .stall = STALL_NS, .duration = o->end };
	struct host_facts facts = { 0 };
	struct model *m = model_new(STALL_NS, NULL);
	struct named n = { 0 };
	struct diagnosis d;
	size_t i;

	if (!m)
		abort();
	for (i = 0; i < o->connection_count; i++)
		model_settled(m, &o->connections[i]);
	if (!diagnose(&d, m, &session, &facts))
		abort();
	for (i = 0; i < d.count; i++)
		judge(all, &n, o, seed, &d.at[i].comparison, finding_kinds[d.at[i].kind].name);
	judge(all, &n, o, seed, &d.unexplained, "unexplained");
	for (i = 0; all->verbose && i < d.count; i++)
		print_finding(&d.at[i]);
	diagnosis_free(&d);
	model_free(m);
	t->offices++;
	t->compared += n.compared;
	for (i = 0; i < 2; i++) {
		t->wrong[i] += n.wrong[i];
		t->wrong_high[i] += n.wrong_high[i];
	}
	t->any_wrong += n.wrong[0] || n.wrong[1];
	t->any_wrong_high += n.wrong_high[0] || n.wrong_high[1];
	t->right += n.right;
	t->right_high += n.right_high;
}

static void print_rate(const char *what, uint64_t count, uint64_t high, uint64_t n)
{
	printf("  %-38s  %6llu %6.2f %%  %6llu %6.2f %%\n", what, (unsigned long long)count,
	       100 * (double)count / (double)n, (unsigned long long)high,
	       100 * (double)high / (double)n);
}

static void print_tally(const char *title, const struct tally *t)
{
	printf("\n%llu reports %s, %llu of them compare hosts\n", (unsigned long long)t->offices,
	       title, (unsigned long long)t->compared);
	printf("  %-38s  %15s  %15s\n", "reports that name", "p <= 0.05", "p <= 0.01");
	if (t->right)
		print_rate("the trait that causes the waits", t->right, t->right_high, t->offices);
	print_rate("a trait of hosts that causes nothing", t->wrong[0], t->wrong_high[0],
		   t->offices);
	print_rate("a trait of connects that causes nothing", t->wrong[1], t->wrong_high[1],
		   t->offices);
	print_rate("any trait that causes nothing", t->any_wrong, t->any_wrong_high, t->offices);
}

int main(int argc, char **argv)
{
	uint64_t offices = 600, from = 1, seed;
	int a, passed = 0, failed = 0;
	struct office o = { 0 };
	struct totals all = { 0 };
	struct tally *t;

	for (a = 1; a < argc; a++) {
		if (!strcmp(argv[a], "--verbose")) {
			all.verbose = true;
		} else if (!strcmp(argv[a], "--offices") && a + 1 < argc) {
			offices = strtoull(argv[++a], NULL, 10);
		} else if (!strcmp(argv[a], "--from") && a + 1 < argc) {
			from = strtoull(argv[++a], NULL, 10);
		} else {
			fprintf(stderr, "usage: %s [--offices N] [--from SEED] [--verbose]\n",
				argv[0]);
			return 2;
		}
	}
	for (seed = from; seed < from + offices; seed++) {
		office_make(&o, seed, false);
		diagnose_office(&all, &all.without, &o, seed);
		office_make(&o, seed, true);
		diagnose_office(&all, &all.with, &o, seed);
	}
	office_free(&o);
	print_tally("without a trait as the cause", &all.without);
	print_tally("with a trait of 9 of 39 hosts as the cause", &all.with);
	t = &all.without;
	/* a trait named by chance sends the engineer to a VLAN that is well */
	*(error_bound(t->any_wrong, t->offices) <= 0.05 ? &passed : &failed) += 1;
	*(error_bound(t->any_wrong_high, t->offices) <= 0.01 ? &passed : &failed) += 1;
	/* the tables would be trivial */
	*(t->compared * 10 >= t->offices * 8 ? &passed : &failed) += 1;
	t = &all.with;
	/* the search by hand that the comparison is for would go on */
	*(error_bound(t->offices - t->right, t->offices) <= 0.05 ? &passed : &failed) += 1;
	*(error_bound(t->any_wrong, t->offices) <= 0.05 ? &passed : &failed) += 1;
	printf("\ntrait rates: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
