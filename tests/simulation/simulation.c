// SPDX-License-Identifier: GPL-2.0
/*
 * simulation [--populations N | --until-high N] [--from SEED] [--impostors]
 * simulation --seed SEED [--impostors] --verbose
 *
 * Measures the rates of wrong findings and of missed culprits. Runs the diagnosis on synthetic
 * populations, whose truth is known, and prints a table by confidence and kind. The table has
 * the upper bound of the error rate with a probability of 95 % (Clopper and Pearson 1934, one-sided).
 * It lists each wrong finding with its seed. The same seeds print the same table.
 *
 * The status is 1 if a finding of high confidence was wrong, or if too few culprits were named.
 * There are two floors. The classical helpers delay one wait by one attempt: a silent server and a
 * timer, an ICMP error, a late answer. Hardly any of them may be missed (CLASSICAL_FLOOR). Of the
 * others an observation is weaker evidence: a wait before connect() has a start and an end like any
 * pause of a user, several attempts share a wait, or the peer answered before and afterwards. Three
 * observations of these often do not exclude chance, and a rule that accepted them would accuse
 * innocent peers. The floor over all kinds is therefore lower (POWER_FLOOR).
 *
 * The status is also 1 if the same records gave other findings the second time, or if a ledger
 * contradicts the way in which the connections really went. --impostors draws populations in which
 * an innocent peer looks exactly like a culprit, to show the limits of the rules. They have no
 * required result.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnose/diagnose.h"
#include "lib/format.h"
#include "error_bound.h"
#include "judge.h"
#include "population.h"

#define CLASSICAL_FLOOR 0.93 /* of the culprits before BEFORE_CONNECT */
#define POWER_FLOOR 0.85 /* of all that hold something */
#define FAULTY_ENOUGH 5 /* connects that a fault concerns, of two hosts or more */
#define LOCKED_ENOUGH 3 /* observations that high confidence needs */
#define REPEATED 10 /* one in this many populations is diagnosed twice */
#define MAX_LINES 50 /* printed lines of each list */

enum culprit {
	DEAD,
	BY_ICMP,
	SLOW,
	BEFORE_CONNECT, /* from here on: the evidence is weaker, see above */
	AGAIN,
	IN_TURN,
	ROUND_ROBIN,
	REFUSED,
	GONE_FOR_A_WHILE,
	FAILOVER_ONCE, /* from here on: programs that try another server, without a helper */
	FAILOVER_SEVERAL,
	CULPRITS
};

static const char *const culprit_words[CULPRITS] = {
	[DEAD] = "silent, fails open after a timer",
	[BY_ICMP] = "unreachable, fails open by ICMP",
	[SLOW] = "answers late",
	[BEFORE_CONNECT] = "silent, holds connect()",
	[AGAIN] = "silent, tried again in each hold",
	[IN_TURN] = "two silent ones in turn in each hold",
	[ROUND_ROBIN] = "three silent ones, one each hold",
	[REFUSED] = "refuses, tried until a timer",
	[GONE_FOR_A_WHILE] = "silent, and then back",
	[FAILOVER_ONCE] = "one attempt before the live server",
	[FAILOVER_SEVERAL] = "several, and their whole time",
};

struct list {
	uint64_t count;
	char *lines[MAX_LINES]; /* the first ones */
};

struct totals {
	uint64_t populations;
	uint64_t innocent; /* populations without any helper that delayed something */
	uint64_t connections;
	uint64_t ledger[LEDGER_ROWS];
	uint64_t findings[CONFIDENCES][KINDS][VERDICTS];
	uint64_t culprits[CULPRITS];
	uint64_t named[CULPRITS];
	uint64_t named_high[CULPRITS];
	uint64_t faults[FAULTS];
	uint64_t faults_named[FAULTS];
	uint64_t faults_high[FAULTS];
	uint64_t misfiled; /* populations whose ledger contradicts the truth */
	uint64_t different; /* populations whose records gave other findings the second time */
	uint64_t affected; /* hosts that wait for a helper according to findings */
	uint64_t affected_wrong; /* those that never did */
	struct list wrong[CONFIDENCES];
	struct list missed;
	struct list unseen_faults;
	struct list contradictions;
};

static bool names_culprit(enum finding_kind kind)
{
	return kind == KIND_WAITS_FOR_PEER || kind == KIND_SLOW_HELPER ||
	       kind == KIND_HELD_BEFORE_CONNECT;
}

static bool finding_names(const struct finding *f, const struct population *p,
			  const struct helper *helper)
{
	unsigned int i;
	size_t j;

	for (i = 0; i < helper->server_count; i++) {
		const struct endpoint *e = &p->servers[helper->servers[i]].ip4;

		if (f->has_peer && !memcmp(&f->peer, e, sizeof(*e)))
			return true;
		for (j = 0; j < f->also_count; j++)
			if (!memcmp(&f->also[j], e, sizeof(*e)))
				return true;
	}
	return false;
}

static enum culprit culprit_of(const struct population *p, const struct helper *helper)
{
	const struct server *s = &p->servers[helper->servers[0]];

	if (helper->slow)
		return SLOW;
	if (helper->holds == HOLDS_CONNECT)
		return BEFORE_CONNECT;
	if (s->forwarding == REFUSES)
		return REFUSED;
	if (helper->pattern == TRIES_AGAIN)
		return helper->server_count > 1 ? IN_TURN : AGAIN;
	if (helper->pattern == TRIES_NEXT)
		return ROUND_ROBIN;
	if (s->forwarding_to < p->end)
		return GONE_FOR_A_WHILE;
	return s->forwarding == UNREACHABLE ? BY_ICMP : DEAD;
}

static __attribute__((format(printf, 2, 3))) void list_add(struct list *l, const char *format, ...)
{
	va_list arguments;

	if (l->count++ >= MAX_LINES)
		return;
	va_start(arguments, format);
	if (vasprintf(&l->lines[l->count - 1], format, arguments) < 0)
		abort();
	va_end(arguments);
}

static void list_print(struct list *l, const char *title)
{
	uint64_t i;

	if (l->count)
		printf("\n%s: %llu\n", title, (unsigned long long)l->count);
	for (i = 0; i < l->count && i < MAX_LINES; i++) {
		printf("%s\n", l->lines[i]);
		free(l->lines[i]);
	}
	if (l->count > MAX_LINES)
		printf("and more\n");
}

static void note_wrong(struct totals *t, const struct population *p, const struct finding *f)
{
	char peer[FORMAT_ENDPOINT];

	list_add(&t->wrong[f->confidence], "seed %llu: %s, %s: %s/%u: %llu of %llu stalls: %s",
		 (unsigned long long)p->seed, confidence_names[f->confidence],
		 finding_kinds[f->kind].name,
		 f->has_peer ? format_endpoint(peer, &f->peer) : "nobody", f->prefix_length,
		 (unsigned long long)f->correlated, (unsigned long long)f->stalls, f->text);
}

static void note_affected(struct totals *t, const struct population *p, const struct finding *f,
			  unsigned int helper)
{
	const struct inhabitant *host;
	size_t i;

	for (i = 0; i < f->affected.named; i++) {
		host = population_host(p, &f->affected.at[i].address);
		t->affected++;
		t->affected_wrong += !host || !(host->held_by & 1U << helper);
	}
}

/* Notes whether a dead server, and the time until the live one was tried, were found. */
static void note_failover(struct totals *t, const struct population *p, const struct diagnosis *d)
{
	enum culprit culprit = p->failover_attempts > 1 ? FAILOVER_SEVERAL : FAILOVER_ONCE;
	bool named = false, high = false;
	unsigned int i;
	size_t j;

	if (p->failovers < LOCKED_ENOUGH)
		return;
	for (j = 0; j < d->count; j++) {
		const struct finding *f = &d->at[j];

		if ((f->kind != KIND_FAILOVER_CHAIN && f->kind != KIND_HELD_BEFORE_CONNECT) ||
		    llabs(f->timer - p->failover_total) > p->failover_total / 20)
			continue;
		for (i = 0; i < p->failover_dead_count; i++)
			if (!memcmp(&f->peer, &p->servers[p->failover_dead[i]].ip4,
				    sizeof(f->peer))) {
				named = true;
				high = high || f->confidence == CONFIDENCE_HIGH;
			}
	}
	t->culprits[culprit]++;
	t->named[culprit] += named;
	t->named_high[culprit] += high;
}

/* Notes which faults of servers were found. */
static void note_faults(struct totals *t, const struct population *p, const struct diagnosis *d)
{
	const struct server *s;
	size_t i;

	for (s = p->servers; s < p->servers + p->server_count; s++) {
		bool named = false, high = false;

		if (s->trouble == NO_TROUBLE || s->trouble >= FAULTS ||
		    s->troubled < FAULTY_ENOUGH || s->troubled_hosts < 2)
			continue;
		for (i = 0; i < d->count; i++)
			if (d->at[i].kind == kind_of_fault(s->trouble) &&
			    finding_is_about(&d->at[i], s)) {
				named = true;
				high = high || d->at[i].confidence == CONFIDENCE_HIGH;
			}
		t->faults[s->trouble]++;
		t->faults_named[s->trouble] += named;
		t->faults_high[s->trouble] += high;
		if (!named)
			list_add(&t->unseen_faults, "seed %llu: %s; %u connects, %u hosts",
				 (unsigned long long)p->seed,
				 finding_kinds[kind_of_fault(s->trouble)].name, s->troubled,
				 s->troubled_hosts);
	}
}

static void note(struct totals *t, const struct population *p, const struct diagnosis *d)
{
	enum verdict verdict;
	bool innocent = true;
	size_t i, j;

	for (i = 0; i < d->count; i++) {
		verdict = judge(p, &d->at[i]);
		t->findings[d->at[i].confidence][d->at[i].kind][verdict]++;
		if (verdict == WRONG)
			note_wrong(t, p, &d->at[i]);
	}
	for (i = 0; i < p->helper_count; i++) {
		const struct helper *helper = &p->helpers[i];
		bool named = false, high = false;
		enum culprit culprit;

		if (helper->invisible)
			continue;
		innocent = innocent && !helper->held;
		if (helper->correlated < LOCKED_ENOUGH)
			continue;
		culprit = culprit_of(p, helper);
		for (j = 0; j < d->count; j++) {
			const struct finding *f = &d->at[j];

			if (!names_culprit(f->kind) || !finding_names(f, p, helper))
				continue;
			named = true;
			note_affected(t, p, f, (unsigned int)i);
			high = high || f->confidence == CONFIDENCE_HIGH;
		}
		if (!named) {
			char peer[FORMAT_ENDPOINT];

			list_add(&t->missed, "seed %llu: %s, %s; %u locked, %u hosts",
				 (unsigned long long)p->seed,
				 format_endpoint(peer, &p->servers[helper->servers[0]].ip4),
				 culprit_words[culprit], helper->correlated, helper->hosts);
		}
		t->culprits[culprit]++;
		t->named[culprit] += named;
		t->named_high[culprit] += high;
	}
	note_failover(t, p, d);
	note_faults(t, p, d);
	t->populations++;
	t->innocent += innocent;
	t->connections += p->connection_count;
}

/* ---- the ledger ---- */

/* Returns the number of connects of a row whose opening ended at one of these stages. */
static uint64_t ended_at(const struct ledger *l, enum ledger_row row, enum stage first,
			 enum stage last)
{
	uint64_t sum = 0;
	int stage, manner;

	for (stage = first; stage <= (int)last; stage++)
		for (manner = 0; manner < MANNERS; manner++)
			sum += l->count[row][stage][manner];
	return sum;
}

static uint64_t not_served(const struct ledger *l, enum stage first, enum stage last)
{
	return ended_at(l, ROW_FAILED, first, last) + ended_at(l, ROW_CANCELLED, first, last) +
	       ended_at(l, ROW_UNDECIDED, first, last);
}

static uint64_t failed_connects(const struct ledger *l, enum manner first, enum manner last)
{
	uint64_t sum = 0;
	int manner;

	for (manner = first; manner <= (int)last; manner++)
		sum += l->count[ROW_FAILED][STAGE_CONNECT][manner];
	return sum;
}

/*
 * Returns how the ledger contradicts the truth, or NULL. Whether a failed connect was of use to its
 * client, and whether a client that took long was idle, is the ledger's judgement: for these the
 * truth gives bounds only.
 */
static const char *wrong_with_ledger(const struct ledger *l, const struct population *p)
{
	uint64_t unseen = ledger_row(l, ROW_UNSEEN);
	uint64_t in_time = ledger_row(l, ROW_IN_TIME), late = ledger_row(l, ROW_LATE);
	const uint64_t *f = p->fates;

	if (ledger_connects(l) != p->connection_count)
		return "a connect is missing, or counts twice";
	if (unseen > p->one_way)
		return "a connect is unseen, although all packets were seen";
	if (in_time + late != f[FATE_PROMPT] + f[FATE_HELD] + f[FATE_LATE])
		return "served connects";
	if (in_time < f[FATE_PROMPT] || late < f[FATE_LATE])
		return "connects in time";
	if (not_served(l, STAGE_HOLD, STAGE_ANSWER) + unseen != f[FATE_OPEN])
		return "connects that were not served after the handshake";
	if (not_served(l, STAGE_FINISH, STAGE_FINISH) > f[FATE_HALF_OPEN])
		return "connects that were not finished";
	if (not_served(l, STAGE_CONNECT, STAGE_FINISH) !=
	    f[FATE_HALF_OPEN] + f[FATE_SILENT] + f[FATE_REFUSED] + f[FATE_UNREACHABLE])
		return "connects without a handshake";
	if (failed_connects(l, MANNER_REFUSED, MANNER_REFUSED) > f[FATE_REFUSED])
		return "refused connects";
	if (failed_connects(l, MANNER_SILENT, MANNER_ONE_SYN) > f[FATE_SILENT])
		return "silent servers";
	if (failed_connects(l, MANNER_NO_ROUTE, MANNER_UNREACHABLE) > f[FATE_UNREACHABLE])
		return "unreachable servers";
	if (failed_connects(l, 0, MANNERS - 1) !=
	    failed_connects(l, MANNER_SILENT, MANNER_UNREACHABLE))
		return "a failure that does not occur here";
	return NULL;
}

static void note_ledger(struct totals *t, const struct population *p, const struct diagnosis *d)
{
	const char *wrong = wrong_with_ledger(&d->ledger, p);
	int row;

	for (row = 0; row < LEDGER_ROWS; row++)
		t->ledger[row] += ledger_row(&d->ledger, (enum ledger_row)row);
	if (!wrong)
		return;
	t->misfiled++;
	list_add(&t->contradictions, "seed %llu: %s", (unsigned long long)p->seed, wrong);
}

static void print_ledgers(const struct totals *t)
{
	int row;

	printf("\nthe ledgers:");
	for (row = 0; row < LEDGER_ROWS; row++)
		printf(" %llu %s%s", (unsigned long long)t->ledger[row], ledger_row_names[row],
		       row + 1 < LEDGER_ROWS ? "," : "\n");
}

/*
 * Every second gateway drops packets of other traffic: enough to explain any loss, at each place.
 * So a finding must not follow from the counters alone.
 */
static void drop_others(struct host_drops *drops)
{
	drops->is_read = true;
	drops->available[DROP_CONNTRACK] = drops->available[DROP_QDISC] = true;
	drops->grown[drops->count++] =
		(struct drop_growth){ .counter = DROP_CONNTRACK, .count = 100000 };
	drops->grown[drops->count++] = (struct drop_growth){
		.counter = DROP_QDISC, .ifindex = 3, .iface = "wan0", .kind = "tbf", .count = 100000
	};
}

/* The caller frees *d. */
static void run(struct diagnosis *d, struct model **m, const struct population *p)
{
	struct session session = { 0 };
	struct host_facts facts = { 0 };
	size_t i;

	if (p->seed % 2)
		drop_others(&facts.drops);
	*m = model_new(STALL_NS, NULL);
	if (!*m)
		abort();
	for (i = 0; i < p->connection_count; i++)
		model_settled(*m, &p->connections[i]);
	if (!diagnose(d, *m, &session, &facts))
		abort();
}

static bool are_same(const struct diagnosis *a, const struct diagnosis *b)
{
	size_t i, j;

	if (a->count != b->count)
		return false;
	for (i = 0; i < a->count; i++) {
		const struct finding *x = &a->at[i], *y = &b->at[i];

		if (x->kind != y->kind || x->confidence != y->confidence ||
		    memcmp(&x->peer, &y->peer, sizeof(x->peer)) || x->stalls != y->stalls ||
		    x->correlated != y->correlated || x->timer != y->timer ||
		    strcmp(x->text, y->text) || x->affected.count != y->affected.count ||
		    x->line_count != y->line_count)
			return false;
		for (j = 0; j < x->line_count; j++)
			if (strcmp(x->lines[j].text, y->lines[j].text))
				return false;
	}
	return true;
}

static void print_finding(const struct population *p, const struct finding *f)
{
	static const char *const words[] = { "not judged", "right", "WRONG" };
	char peer[FORMAT_ENDPOINT], timer[64];
	size_t i;

	printf("%s, %s, %s: %s", words[judge(p, f)], confidence_names[f->confidence],
	       finding_kinds[f->kind].name,
	       f->has_peer ? format_endpoint(peer, &f->peer) : "nobody");
	if (f->prefix_length)
		printf("/%u", f->prefix_length);
	for (i = 0; i < f->also_count; i++)
		printf(", also %s", format_endpoint(peer, &f->also[i]));
	printf("; %llu of %llu stalls, timer %s, p %.2g\n  %s\n", (unsigned long long)f->correlated,
	       (unsigned long long)f->stalls, format_duration(timer, f->timer), f->p_value,
	       f->text);
	for (i = 0; i < f->line_count; i++)
		printf("  %-12s %s\n", f->lines[i].label, f->lines[i].text);
}

static void print_row(const char *confidence, const char *kind, const uint64_t *verdicts)
{
	uint64_t judged = verdicts[CORRECT] + verdicts[WRONG];

	if (!judged && !verdicts[NOT_JUDGED])
		return;
	printf("%-10s  %-20s  %8llu  %8llu  %6llu  ", confidence, kind,
	       (unsigned long long)(judged + verdicts[NOT_JUDGED]),
	       (unsigned long long)verdicts[CORRECT], (unsigned long long)verdicts[WRONG]);
	if (judged)
		printf("%7.3f %%\n", 100 * error_bound(verdicts[WRONG], judged));
	else
		printf("not judged\n");
}

static uint64_t named_at(const struct totals *t, enum confidence confidence, enum verdict verdict)
{
	uint64_t sum = 0;
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		if (names_culprit((enum finding_kind)kind))
			sum += t->findings[confidence][kind][verdict];
	return sum;
}

static uint64_t wrong_at(const struct totals *t, enum confidence confidence)
{
	uint64_t sum = 0;
	int kind;

	for (kind = 0; kind < KINDS; kind++)
		sum += t->findings[confidence][kind][WRONG];
	return sum;
}

static void print_table(const struct totals *t)
{
	int confidence, kind, i;

	printf("%llu populations, %llu of them without a culprit, %llu connections\n\n",
	       (unsigned long long)t->populations, (unsigned long long)t->innocent,
	       (unsigned long long)t->connections);
	printf("%-10s  %-20s  %8s  %8s  %6s  %s\n", "confidence", "kind", "findings", "right",
	       "wrong", "maximum error rate (95 %)");
	for (confidence = CONFIDENCES - 1; confidence >= 0; confidence--) {
		uint64_t sum[VERDICTS] = { 0 };

		for (i = 0; i < VERDICTS; i++)
			sum[i] = named_at(t, (enum confidence)confidence, (enum verdict)i);
		print_row(confidence_names[confidence], "peer that is waited for", sum);
		for (kind = 0; kind < KINDS; kind++)
			print_row("", finding_kinds[kind].name, t->findings[confidence][kind]);
	}
}

static double share(uint64_t part, uint64_t all)
{
	return all ? (double)part / (double)all : 1;
}

static void print_named(const char *who, uint64_t n, uint64_t high, uint64_t at_all)
{
	printf("%-36s  %8llu  %6llu %6.2f %%  %6llu %6.2f %%\n", who, (unsigned long long)n,
	       (unsigned long long)high, 100 * share(high, n), (unsigned long long)at_all,
	       100 * share(at_all, n));
}

/* Prints the shares of culprits named. Returns true if these are sufficient. */
static bool print_power(const struct totals *t)
{
	uint64_t culprits = 0, named = 0, high = 0;
	double classical = 1;
	int i;

	printf("\n%-36s  %8s  %15s  %15s\n", "culprits with 3 locked waits or more", "",
	       "named high", "named at all");
	for (i = 0; i < FAILOVER_ONCE; i++) {
		if (i == BEFORE_CONNECT) {
			print_named("these classical helpers", culprits, high, named);
			classical = share(named, culprits);
		}
		print_named(culprit_words[i], t->culprits[i], t->named_high[i], t->named[i]);
		culprits += t->culprits[i];
		named += t->named[i];
		high += t->named_high[i];
	}
	print_named("all", culprits, high, named);
	printf("fail-over, 3 times or more\n");
	for (; i < CULPRITS; i++)
		print_named(culprit_words[i], t->culprits[i], t->named_high[i], t->named[i]);
	printf("\n%llu times a finding names a host that waits for a culprit, %llu times (%.2f %%) wrongly\n",
	       (unsigned long long)t->affected, (unsigned long long)t->affected_wrong,
	       t->affected ? 100 * share(t->affected_wrong, t->affected) : 0);
	return classical >= CLASSICAL_FLOOR && share(named, culprits) >= POWER_FLOOR;
}

static void print_faults(const struct totals *t)
{
	int i;

	printf("\n%-36s  %8s  %15s  %15s\n", "faults of 5 connects or more, 2 hosts", "",
	       "named high", "named at all");
	for (i = NO_TROUBLE + 1; i < FAULTS; i++)
		print_named(finding_kinds[kind_of_fault((enum trouble)i)].name, t->faults[i],
			    t->faults_high[i], t->faults_named[i]);
}

/* Prints the rates that two builds are compared by, with the same seeds. */
static void print_rates(const struct totals *t)
{
	int confidence;

	printf("\nwrong findings per 1000 populations:");
	for (confidence = CONFIDENCES - 1; confidence >= 0; confidence--)
		printf(" %.1f %s (%.1f name a peer that is waited for)%s",
		       1000 * share(t->wrong[confidence].count, t->populations),
		       confidence_names[confidence],
		       1000 * share(named_at(t, (enum confidence)confidence, WRONG),
				    t->populations),
		       confidence ? "," : "\n");
}

int main(int argc, char **argv)
{
	uint64_t populations = 200, until_high = 0, seed = 1, i;
	bool impostors = false, verbose = false, one = false;
	struct population p = { 0 };
	struct totals t = { 0 };
	struct diagnosis d, again;
	struct model *m, *other;
	bool powerful;
	int a, passed = 0, failed = 0;
	size_t j;

	for (a = 1; a < argc; a++) {
		uint64_t number = a + 1 < argc ? strtoull(argv[a + 1], NULL, 10) : 0;

		if (!strcmp(argv[a], "--impostors")) {
			impostors = true;
			continue;
		}
		if (!strcmp(argv[a], "--verbose")) {
			verbose = true;
			continue;
		}
		if (a + 1 < argc && !strcmp(argv[a], "--populations")) {
			populations = number;
		} else if (a + 1 < argc && !strcmp(argv[a], "--until-high")) {
			until_high = number;
		} else if (a + 1 < argc && !strcmp(argv[a], "--from")) {
			seed = number;
		} else if (a + 1 < argc && !strcmp(argv[a], "--seed")) {
			seed = number;
			one = true;
		} else {
			fprintf(stderr,
				"usage: %s [--populations N | --until-high N] [--from SEED] [--impostors]\n"
				"       %s --seed SEED [--impostors] [--verbose]\n",
				argv[0], argv[0]);
			return 2;
		}
		a++;
	}
	if (one)
		populations = 1;
	for (i = 0; until_high ? named_at(&t, CONFIDENCE_HIGH, CORRECT) +
						 named_at(&t, CONFIDENCE_HIGH, WRONG) <
					 until_high
			       : i < populations;
	     i++) {
		population_make(&p, seed + i, impostors, verbose ? stdout : NULL);
		run(&d, &m, &p);
		note(&t, &p, &d);
		note_ledger(&t, &p, &d);
		if (i % REPEATED == 0) {
			run(&again, &other, &p);
			t.different += !are_same(&d, &again);
			diagnosis_free(&again);
			model_free(other);
		}
		for (j = 0; verbose && j < d.count; j++)
			print_finding(&p, &d.at[j]);
		diagnosis_free(&d);
		model_free(m);
	}
	population_free(&p);
	print_table(&t);
	powerful = print_power(&t);
	print_faults(&t);
	print_rates(&t);
	list_print(&t.wrong[CONFIDENCE_HIGH], "wrong findings of high confidence");
	list_print(&t.wrong[CONFIDENCE_MEDIUM], "of medium confidence");
	list_print(&t.wrong[CONFIDENCE_LOW], "of low confidence");
	list_print(&t.missed, "culprits that were not found");
	list_print(&t.unseen_faults, "faults that were not found");
	print_ledgers(&t);
	list_print(&t.contradictions, "ledgers that contradict the truth");
	if (impostors || one)
		return 0;
	/* a tool that misses culprits is not useful */
	*(powerful ? &passed : &failed) += 1;
	/* one false accusation destroys the trust in all others */
	*(wrong_at(&t, CONFIDENCE_HIGH) ? &failed : &passed) += 1;
	/* two engineers with one capture would disagree */
	*(t.different ? &failed : &passed) += 1;
	/* a connect in the wrong row acquits what is broken */
	*(t.misfiled ? &failed : &passed) += 1;
	printf("\nsimulation: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
