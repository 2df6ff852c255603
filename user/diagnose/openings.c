// SPDX-License-Identifier: GPL-2.0
/* Groups the connects that failed or were late by the kind that explains them, and reports these. */
#include <stdlib.h>

#include "diagnose/causes.h"
#include "diagnose/reporters.h"

/*
 * The kinds in the order in which they are reported. Servers with the same failure are one group if
 * the failure is likely to have a common cause on the way to them; else each server has its own.
 */
static const struct {
	enum finding_kind kind;
	bool is_common; /* one finding for all servers */
	void (*report)(struct context *g, const struct failure_group *group);
} reporters[] = {
	{ KIND_SYN_PROXY, false, report_syn_proxy },
	{ KIND_ANSWERED_ELSEWHERE, false, report_answered_elsewhere },
	{ KIND_ROUTING_LOOP, true, report_routing_loop },
	{ KIND_HANDSHAKE_UNFINISHED, true, report_handshake_unfinished },
	{ KIND_ACCEPT_QUEUE, false, report_accept_queue },
	{ KIND_REQUEST_LOST, true, report_request_lost },
	{ KIND_LARGE_HELLO, true, report_large_hello },
	{ KIND_RESET_AFTER_REQUEST, false, report_reset_after_request },
	{ KIND_REFUSED_IN_ANSWER, false, report_refused_in_answer },
	{ KIND_SERVER_CLOSES, false, report_server_closes },
	{ KIND_NO_GREETING, false, report_no_greeting },
	{ KIND_NO_ANSWER, false, report_no_answer },
	{ KIND_SLOW_CONNECT, false, report_slow_connect },
	{ KIND_FIRST_VISIT_SLOW, true, report_first_visit_slow },
};

/* Adds the server's connects of this kind. kinds[]: by index of g->connects[] */
static void add_server(struct context *g, struct connect_set *set, const struct server *s,
		       const enum finding_kind *kinds, enum finding_kind kind)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (kinds[&s->connects[i] - g->connects] == kind && !s->connects[i].explained)
			connect_set_add(g, set, &s->connects[i]);
}

/* Fills in the kind of each connect. */
static void decide(const struct context *g, enum finding_kind *kinds)
{
	size_t i, j;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];
		struct server_facts facts = facts_of_server(g, s);

		for (j = 0; j < s->count; j++) {
			const struct noted_connect *n = &s->connects[j];

			kinds[n - g->connects] = is_failed(n) || n->entry.row == ROW_LATE
							 ? decide_kind(g, n, &facts)
							 : KINDS;
		}
	}
}

/* Calls the reporter for servers with this kind: for all together, or for each. */
static void report_groups(struct context *g, const enum finding_kind *kinds, size_t reporter,
			  bool together)
{
	enum finding_kind kind = reporters[reporter].kind;
	size_t i = 0;

	while (i < g->server_count) {
		struct failure_group group = { .kind = kind };

		do {
			add_server(g, &group.set, &g->servers[i++], kinds, kind);
		} while (together && i < g->server_count);
		group_fill(g, &group);
		if (group.set.count)
			reporters[reporter].report(g, &group);
		connect_set_free(&group.set);
	}
}

static size_t count_servers(const struct context *g, const enum finding_kind *kinds,
			    enum finding_kind kind)
{
	size_t i, j, n = 0;

	for (i = 0; i < g->server_count; i++) {
		const struct server *s = &g->servers[i];

		for (j = 0; j < s->count; j++)
			if (kinds[&s->connects[j] - g->connects] == kind) {
				n++;
				break;
			}
	}
	return n;
}

void cause_openings(struct context *g)
{
	enum finding_kind *kinds = calloc(g->connect_count + 1, sizeof(*kinds));
	size_t i;

	if (!kinds) {
		g->out_of_memory = true;
		return;
	}
	decide(g, kinds);
	for (i = 0; i < sizeof(reporters) / sizeof(reporters[0]); i++)
		report_groups(g, kinds, i,
			      reporters[i].is_common ||
				      count_servers(g, kinds, reporters[i].kind) >= MIN_TOGETHER);
	free(kinds);
}
