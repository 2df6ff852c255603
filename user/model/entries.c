// SPDX-License-Identifier: GPL-2.0
/* Enters connects into the ledger, and decides the rows that depend on other connects. */
#include "model/notes.h"
#include "model/siblings.h"

#include <stdlib.h>

/* ---- one connect ---- */

/* Returns true if the client used another connection to this server while this one was silent. */
static bool is_spare(const struct client *client, const struct connection *c, ns_t stall_ns)
{
	struct stall stall;

	if (!client || c->wait == NEVER || c->wait < stall_ns)
		return false;
	stall_of(&stall, NULL, c, c->wait);
	count_meanwhile(client, &stall);
	return stall.siblings > 0;
}

/* Returns how long the client waited for the stage that decided the row, or NEVER. */
static ns_t wait_for(const struct connection *c, struct ledger_entry e)
{
	ns_t end;

	if (e.row == ROW_LATE)
		return stage_duration(c, e.stage);
	if (e.row != ROW_FAILED)
		return NEVER;
	switch (e.stage) {
	case STAGE_CONNECT:
		return (c->outcome == OUTCOME_REFUSED	    ? c->rst
			: c->outcome == OUTCOME_UNREACHABLE ? c->icmp
							    : c->syn_last) -
		       c->syn;
	case STAGE_FINISH:
		return c->syn_last > c->synack ? c->syn_last - c->synack : NEVER;
	case STAGE_ANSWER:
		connection_end(c, &end);
		if (c->client_first == NEVER)
			return NEVER;
		return (end == NEVER ? c->settled : end) - c->client_first;
	default:
		connection_end(c, &end);
		return end == NEVER || c->ack == NEVER ? NEVER : end - c->ack;
	}
}

static void note_longest(struct model *m, const struct connection *c, enum stage stage, ns_t wait)
{
	if (wait == NEVER || (m->longest.duration != NEVER && wait <= m->longest.duration))
		return;
	m->longest.duration = wait;
	m->longest.stage = stage;
	m->longest.client = c->client;
	m->longest.server = c->server;
}

static void note_service(struct model *m, const struct connection *c, bool spare)
{
	enum stage stage;

	if (c->server_first - c->syn > m->slowest_service && !spare)
		m->slowest_service = c->server_first - c->syn;
	for (stage = STAGE_NAME; stage < STAGES; stage++)
		if (!(stage == STAGE_HOLD && spare) &&
		    !(c->client_gap && (stage == STAGE_HOLD || stage == STAGE_ANSWER)))
			note_longest(m, c, stage, stage_duration(c, stage));
}

/*
 * Returns true if other connects to the server decide the row, see model_ledger(): no side sent
 * payload, and one closed after the length of a stall, or none had closed after SILENT_NS.
 */
static bool may_change(const struct connection *c, struct ledger_entry e, ns_t stall_ns)
{
	ns_t end;

	if (e.stage != STAGE_HOLD || c->ack == NEVER)
		return false;
	if (e.row == ROW_UNDECIDED)
		return connection_end(c, &end) == SIDE_NONE && c->settled - c->ack >= SILENT_NS &&
		       !c->synack_window && !c->from_outside;
	if (e.row != ROW_CANCELLED && e.manner != MANNER_SERVER_CLOSED)
		return false;
	return connection_end(c, &end) != SIDE_NONE && end - c->ack >= stall_ns;
}

void note_ledger(struct model *m, struct client *client, struct peer *peer,
		 const struct connection *c, bool has_lost)
{
	struct ledger_context x = { .stall_ns = m->stall_ns,
				    .won_by_sibling = has_lost,
				    .is_spare = is_spare(client, c, m->stall_ns) };
	struct ledger_entry e = ledger_classify(c, &x);

	ledger_add(&m->ledger, e, 1);
	if (is_served(c)) {
		siblings_add_served(m->siblings, c);
		note_service(m, c, x.is_spare);
		if (client && c->server_first > client->last_served)
			client->last_served = c->server_first;
	} else {
		note_longest(m, c, e.stage, wait_for(c, e));
	}
	if (peer && may_change(c, e, m->stall_ns))
		peer->without_byte[connection_end(c, NULL)]++;
	if (!journal_add(&m->journal,
			 is_served(c)		      ? JOURNAL_SERVED
			 : client && client->verified ? JOURNAL_FAILED
						      : JOURNAL_UNVERIFIED,
			 c, e))
		m->dropped_details++;
}

/* ---- all connects ---- */

int64_t *model_greetings(const struct model *m)
{
	int64_t *greetings = calloc(UINT16_MAX + 1, sizeof(*greetings));
	const struct peer *p;

	for (p = m->peers; greetings && p; p = p->hh.next)
		greetings[p->server.port] += (int64_t)p->banners - p->requests;
	return greetings;
}

/*
 * Returns true if servers on this port greet by their protocol: FTP, SSH, SMTP, POP3, IMAP, and
 * submission (RFC 959 5.4, 4253 4.2, 5321 3.1, 1939 4, 9051 7.1.5, 6409).
 */
static bool is_greeting_port(uint16_t port)
{
	return port == 21 || port == 22 || port == 25 || port == 110 || port == 143 || port == 587;
}

bool peer_speaks_first(const struct peer *p, const int64_t *greetings)
{
	if (p->banners || p->requests)
		return p->banners > p->requests;
	if (greetings && greetings[p->server.port])
		return greetings[p->server.port] > 0;
	return is_greeting_port(p->server.port);
}

/* Returns the final row of a connect for which may_change(), by the side that closed it. */
static struct ledger_entry final_entry(const struct peer *p, const int64_t *greetings, enum side by)
{
	static const struct ledger_entry waiting = { ROW_UNDECIDED, STAGE_HOLD, MANNER_RUN_ENDED },
					 unused = { ROW_CANCELLED, STAGE_HOLD, MANNER_UNUSED },
					 no_greeting = { ROW_FAILED, STAGE_GREETING, MANNER_NEVER },
					 closed = { ROW_FAILED, STAGE_HOLD, MANNER_SERVER_CLOSED },
					 held = { ROW_FAILED, STAGE_HOLD, MANNER_NEVER };
	bool speaks_first = peer_speaks_first(p, greetings);
	/* a SYN proxy lets no client speak before the server has answered it */
	bool is_held = p->window_0 && p->window_0 == p->answered && !p->requests && !p->banners;

	/* a client may leave a spare socket idle, unless a window of 0 forbids it to send */
	if (by == SIDE_NONE)
		return is_held ? held : waiting;
	/* a client that leaves after a while had waited for the greeting */
	if (by == SIDE_CLIENT)
		return is_held ? held : speaks_first ? no_greeting : unused;
	/* a server that takes requests closes idle connections after a while */
	return !speaks_first && p->requests ? unused : closed;
}

void model_ledger(const struct model *m, struct ledger *l)
{
	static const struct ledger_entry provisional[SIDES] = {
		[SIDE_NONE] = { ROW_UNDECIDED, STAGE_HOLD, MANNER_RUN_ENDED },
		[SIDE_CLIENT] = { ROW_CANCELLED, STAGE_HOLD, MANNER_UNUSED },
		[SIDE_SERVER] = { ROW_FAILED, STAGE_HOLD, MANNER_SERVER_CLOSED },
	};
	int64_t *greetings = model_greetings(m);
	const struct peer *p;
	enum side by;

	*l = m->ledger;
	for (p = m->peers; p; p = p->hh.next)
		for (by = SIDE_NONE; by < SIDES; by++)
			ledger_move(l, provisional[by], final_entry(p, greetings, by),
				    p->without_byte[by]);
	free(greetings);
}

struct ledger_entry model_entry(const struct model *m, const int64_t *greetings,
				const struct journal_entry *e)
{
	const struct peer *p = model_peer(m, &e->c.server);

	if (!p || !may_change(&e->c, e->entry, m->stall_ns))
		return e->entry;
	return final_entry(p, greetings, connection_end(&e->c, NULL));
}
