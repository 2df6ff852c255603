// SPDX-License-Identifier: GPL-2.0
#include "diagnose/view.h"

#include "diagnose/finding.h"

/*
 * A capture of one dead server, by `tcpdump host`, holds only SYNs as well. From this number of
 * silent connects and servers on, a filter by flags is more likely.
 */
#define MIN_CONNECTS 10
#define MIN_SERVERS 3

/* Minimum number of SYN-ACKs that nobody answers in any way. */
#define MIN_HALF_OPEN 3

/* Returns true if a segment, or an ICMP error, came after the SYN and the SYN-ACK. */
static bool has_more(const struct connection *c)
{
	return c->ack != NEVER || c->rst != NEVER || c->fin != NEVER || c->icmp != NEVER ||
	       c->client_first != NEVER || c->server_first != NEVER;
}

static bool has_any_more(const struct journal *j)
{
	size_t i;
	int class;

	for (class = 0; class < JOURNAL_CLASSES; class ++)
		for (i = 0; i < j->rings[class].count; i++)
			if (has_more(&j->rings[class].at[i].c))
				return true;
	return false;
}

static size_t count_addresses(const struct model *m)
{
	const struct peer *p, *other;
	size_t n = 0;

	for (p = m->peers; p && n < MIN_SERVERS; p = p->hh.next) {
		for (other = m->peers; other != p; other = other->hh.next)
			if (same_address(&other->server, &p->server))
				break;
		n += other == p;
	}
	return n;
}

enum view view_of(const struct model *m, const struct session *session)
{
	uint64_t half_open = m->outcomes[OUTCOME_HALF_OPEN],
		 silent = m->outcomes[OUTCOME_UNANSWERED];

	if (!session->is_capture)
		return VIEW_WHOLE;
	if (!m->connections && session->counters[COUNT_SYNACK_ALONE])
		return VIEW_ANSWERS;
	if (session->counters[COUNT_ALREADY_OPEN] || has_any_more(&m->journal))
		return VIEW_WHOLE;
	if (half_open >= MIN_HALF_OPEN)
		return VIEW_HANDSHAKES;
	if (!half_open && !session->counters[COUNT_SYNACK_ALONE] && silent >= MIN_CONNECTS &&
	    count_addresses(m) >= MIN_SERVERS)
		return VIEW_SYNS;
	return VIEW_WHOLE;
}

void view_correct_ledger(enum view view, struct ledger *l)
{
	static const enum stage unseen[] = {
		[VIEW_SYNS] = STAGE_CONNECT,
		[VIEW_HANDSHAKES] = STAGE_FINISH,
	};
	static const enum ledger_row wrong[] = { ROW_FAILED, ROW_CANCELLED, ROW_UNDECIDED };
	size_t i;
	int manner;

	if (view != VIEW_SYNS && view != VIEW_HANDSHAKES)
		return;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		for (manner = 0; manner < MANNERS; manner++)
			ledger_move(l, (struct ledger_entry){ wrong[i], unseen[view], manner },
				    (struct ledger_entry){ ROW_UNSEEN, unseen[view],
							   MANNER_ONE_DIRECTION },
				    l->count[wrong[i]][unseen[view]][manner]);
}

void report_view(struct context *g, enum view view)
{
	static const char *const texts[] = {
		[VIEW_SYNS] = "this capture holds only SYNs: whether anybody answered was not seen",
		[VIEW_HANDSHAKES] = "this capture holds only SYNs and SYN-ACKs: what became of the "
				    "connections was not seen",
		[VIEW_ANSWERS] = "this capture holds only answers: the packets of the clients were "
				 "not seen",
	};
	struct finding *f = finding_new(g, KIND_NO_VERDICT, certain());

	if (!f)
		return;
	finding_text(f, "%s", texts[view]);
	finding_line(f, "action",
		     "capture both directions, without a filter by TCP flags (tcpdump host A and "
		     "port P)");
}
