// SPDX-License-Identifier: GPL-2.0
/*
 * Checks that a gateway could have recorded the synthetic populations. Otherwise the simulation's
 * table would prove nothing about the diagnosis. --story SEED [--impostor] [--records] prints one
 * population.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expect.h"
#include "lib/format.h"
#include "population.h"

#define POPULATIONS 60

/* Reports whether two moments are in order; a moment that was not observed fits anywhere. */
static bool in_order(ns_t first, ns_t second)
{
	return first == NEVER || second == NEVER || first <= second;
}

static const char *wrong_with(const struct connection *c, const struct population *p)
{
	ns_t last = c->settled;

	if (c->syn < 0 || last > p->end || c->watched != last - c->syn)
		return "not within the run";
	if (!c->syn_count || c->syn_times_count > SYN_TIMES || c->syn_times[0] != c->syn ||
	    c->syn_last < c->syn)
		return "SYNs";
	if (!in_order(c->syn, c->synack) || !in_order(c->synack, c->ack) ||
	    !in_order(c->ack, c->client_first) || !in_order(c->ack, c->server_first))
		return "order of the handshake";
	if (c->ack > last || c->client_first > last || c->server_first > last || c->fin > last ||
	    c->rst > last || c->icmp > last || c->syn_last > last)
		return "seen after the record had settled";
	if (c->end_reason == END_PAYLOAD && (c->client_first == NEVER || c->server_first == NEVER))
		return "settled by payload that was not seen";
	if ((c->end_reason == END_OF_RUN) != (last == p->end) && c->end_reason == END_OF_RUN)
		return "settled by an end that did not occur";
	if (c->end_reason == END_TIMEOUT && last - c->syn_last < 130 * (ns_t)SECOND_NS)
		return "given up too early";
	if ((c->outcome == OUTCOME_ESTABLISHED) != (c->ack != NEVER))
		return "outcome";
	if (c->syn_count > 1 && c->server_round_trip != NEVER)
		return "a round trip although the answered SYN is unknown";
	if (c->wait != NEVER && c->banner != NEVER)
		return "both wait";
	return NULL;
}

/* Reports whether the truth and the records agree on the handshakes. */
static bool has_fates(const struct population *p)
{
	const uint64_t *f = p->fates;
	uint64_t sum = 0, established = 0;
	size_t i;

	for (i = 0; i < p->connection_count; i++)
		established += p->connections[i].outcome == OUTCOME_ESTABLISHED;
	for (i = 0; i < FATES; i++)
		sum += f[i];
	return sum == p->connection_count &&
	       established == f[FATE_PROMPT] + f[FATE_HELD] + f[FATE_LATE] + f[FATE_OPEN];
}

static uint64_t digest(const struct population *p)
{
	const uint8_t *bytes = (const uint8_t *)p->connections;
	size_t i, size = p->connection_count * sizeof(*p->connections);
	uint64_t sum = 14695981039346656037U; /* FNV-1a */

	for (i = 0; i < size; i++)
		sum = (sum ^ bytes[i]) * 1099511628211U;
	return sum;
}

/* Counts the waits that the end of the run cuts, and the attempts. */
static void count_open(const struct population *p, unsigned int *waits, unsigned int *attempts)
{
	size_t i;

	for (i = 0; i < p->connection_count; i++) {
		const struct connection *c = &p->connections[i];

		if (c->end_reason != END_OF_RUN)
			continue;
		*waits += c->ack != NEVER && c->client_first == NEVER;
		*attempts += c->outcome == OUTCOME_UNANSWERED;
	}
}

static void check(struct population *p, uint64_t seed, unsigned int *innocent,
		  unsigned int *correlated, unsigned int patterns[])
{
	const char *wrong = NULL;
	bool sorted = true;
	uint64_t first;
	size_t i;

	population_make(p, seed, false, NULL);
	for (i = 0; i < p->connection_count && !wrong; i++) {
		wrong = wrong_with(&p->connections[i], p);
		if (i && p->connections[i].settled < p->connections[i - 1].settled)
			sorted = false;
	}
	if (wrong)
		printf("seed %llu, record %zu: %s\n", (unsigned long long)seed, i - 1, wrong);
	EXPECT(!wrong, "a record that no gateway could have made");
	EXPECT(has_fates(p), "the ledger would be compared with another population");
	EXPECT(sorted, "the model would receive events out of order");
	for (i = 0; i < p->helper_count; i++)
		if (p->helpers[i].held && !p->helpers[i].invisible)
			break;
	*innocent += i == p->helper_count;
	for (i = 0; i < p->helper_count; i++) {
		*correlated += p->helpers[i].correlated >= 3;
		patterns[p->helpers[i].pattern] += p->helpers[i].correlated >= 3;
	}
	first = digest(p);
	population_make(p, seed, false, NULL);
	EXPECT(first == digest(p), "a wrong finding could not be repeated");
}

static void print_records(const struct population *p)
{
	char from[FORMAT_ENDPOINT], to[FORMAT_ENDPOINT], wait[64], answer[64];
	size_t i;

	for (i = 0; i < p->connection_count; i++) {
		const struct connection *c = &p->connections[i];

		printf("%10.3f %s > %s %s by %s, %u SYNs, wait %s, answer %s\n",
		       (double)c->syn / 1e9, format_endpoint(from, &c->client),
		       format_endpoint(to, &c->server), outcome_names[c->outcome],
		       end_reason_names[c->end_reason], c->syn_count,
		       format_duration(wait, c->wait), format_duration(answer, c->answer));
	}
}

int main(int argc, char **argv)
{
	unsigned int innocent = 0, correlated = 0, patterns[TRIES_REFUSED + 1] = { 0 };
	unsigned int waits = 0, attempts = 0;
	bool impostor = false, records = false;
	struct population p = { 0 };
	const char *story = NULL;
	uint64_t seed;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--story") && i + 1 < argc) {
			story = argv[++i];
		} else if (!strcmp(argv[i], "--impostor")) {
			impostor = true;
		} else if (!strcmp(argv[i], "--records")) {
			records = true;
		} else {
			fprintf(stderr, "usage: %s [--story SEED [--impostor] [--records]]\n",
				argv[0]);
			return 2;
		}
	}
	if (story) {
		population_make(&p, strtoull(story, NULL, 10), impostor, stdout);
		if (records)
			print_records(&p);
		population_free(&p);
		return 0;
	}
	for (seed = 1; seed <= POPULATIONS; seed++) {
		check(&p, seed, &innocent, &correlated, patterns);
		count_open(&p, &waits, &attempts);
	}
	population_make(&p, 1, true, NULL);
	population_free(&p);
	EXPECT(innocent * 10 >= POPULATIONS,
	       "a diagnosis that always accuses would seldom be wrong");
	EXPECT(correlated * 2 >= POPULATIONS, "there would be nothing to find");
	EXPECT(waits > POPULATIONS && attempts > POPULATIONS,
	       "runs would not end in the middle of waits");
	for (i = 0; i <= TRIES_REFUSED; i++)
		EXPECT(patterns[i], "a kind of helper would never be looked for");
	printf("population: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
