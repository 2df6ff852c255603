// SPDX-License-Identifier: GPL-2.0
#include "model/model.h"

#include <stdlib.h>

#include "model/notes.h"
#include "model/siblings.h"
#include "model/store.h"

/* A SYN that follows sooner is a copy: no TCP retransmits its first SYN so early. */
#define RETRANSMISSION_NS (100 * (ns_t)MILLISECOND_NS)

/* ---- default event handlers ---- */

static void ignore_stall(void *context, const struct stall *s, bool ended)
{
	(void)context;
	(void)s;
	(void)ended;
}

static void ignore_connection(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
}

static void ignore_failing(void *context, const struct connection *c, enum failure failure)
{
	(void)failure;
	ignore_connection(context, c);
}

static const struct model_events no_events = {
	.stall = ignore_stall,
	.late_banner = ignore_connection,
	.failing = ignore_failing,
	.late_answer = ignore_connection,
};

struct model *model_new(ns_t stall_ns, const struct model_events *events)
{
	struct model *m = calloc(1, sizeof(*m));
	int i;

	if (!m)
		return NULL;
	m->stall_ns = stall_ns;
	m->events = events ? events : &no_events;
	m->last = NEVER;
	m->longest.duration = m->slowest_service = NEVER;
	TAILQ_INIT(&m->stalls);
	TAILQ_INIT(&m->pendings);
	for (i = 0; i < 2; i++) {
		TAILQ_INIT(&m->clients_by_use[i]);
		TAILQ_INIT(&m->peers_by_use[i]);
		TAILQ_INIT(&m->pairs_by_use[i]);
	}
	m->siblings = siblings_new();
	m->names = names_new();
	if (!m->siblings || !m->names) {
		model_free(m);
		return NULL;
	}
	return m;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	store_free(m);
	siblings_free(m->siblings);
	names_free(m->names);
	journal_free(&m->journal);
	free(m);
}

/* ---- names ---- */

void model_dns(struct model *m, const struct dns_packet *p, bool to_own)
{
	if (m->last == NEVER || p->time > m->last)
		m->last = p->time;
	if (!p->message.is_answer && !p->is_error)
		store_asker(m, p);
	names_packet(m->names, p, to_own);
}

/* ---- connects that have ended ---- */

/* Records the delays of the gateway, and that traffic crosses it between two interfaces. */
static void note_crossing(struct model *m, const struct connection *c)
{
	unsigned int i;

	histogram_add(&m->syn_forwarding_delays, c->syn_forwarding_delay);
	histogram_add(&m->synack_forwarding_delays, c->synack_forwarding_delay);
	histogram_add(&m->payload_forwarding_delays, c->payload_forwarding_delay);
	if (c->syn_egress || c->synack == NEVER || !c->synack_egress)
		return;
	for (i = 0; i < m->crossed_count && m->crossed[i].ifindex != c->ifindex; i++)
		;
	if (i == MAX_CROSSED)
		return;
	if (i == m->crossed_count)
		m->crossed[m->crossed_count++].ifindex = c->ifindex;
	m->crossed[i].attempts++;
}

static void note_totals(struct model *m, const struct connection *c)
{
	if (m->last == NEVER || c->settled > m->last)
		m->last = c->settled;
	m->connections++;
	m->outcomes[c->outcome]++;
	m->failures[connection_failure(c)]++;
	m->no_synack += c->no_synack && !c->during_attach;
	histogram_add(&m->server_round_trips, c->server_round_trip);
	histogram_add(&m->client_round_trips, c->client_round_trip);
	note_crossing(m, c);
}

/* Returns true if a retransmission of the SYN came before the SYN-ACK. */
static bool is_retried(const struct connection *c)
{
	unsigned int i;

	for (i = 1; i < c->syn_times_count; i++)
		if (c->syn_times[i] - c->syn >= RETRANSMISSION_NS && c->synack != NEVER &&
		    c->syn_times[i] < c->synack)
			return true;
	return false;
}

static void note_established(struct model *m, struct client *client, struct peer *peer,
			     struct pair *pair, const struct connection *c)
{
	m->full_acked += payload_is_full(&c->client_payload) && c->client_payload.acked;
	m->full_acked += payload_is_full(&c->server_payload) && c->server_payload.acked;
	m->retried += is_retried(c);
	note_loss(m, client, peer, c);
	if (client)
		client->established++;
	note_waits(m, peer, client, pair, c);
	if (client)
		note_recent(m, client, c);
}

/* Returns true if a sibling was served and the client has not sent its SYN again since. */
static bool still_lost(const struct opening *o, const struct connection *c)
{
	return o && o->has_lost && o->syn_last == c->syn_last;
}

void model_soon(const struct model *m, const struct connection *c, enum soon soon)
{
	store_soon(m, c, soon);
	siblings_soon(m->siblings, c, soon);
}

void model_settled(struct model *m, const struct connection *c)
{
	bool has_lost = c->ack == NEVER && siblings_have_won(m->siblings, c);
	struct client *client = store_client(m, c);
	struct peer *peer = store_peer(m, &c->server);
	struct pair *pair = client && peer ? store_pair(m, client, peer) : NULL;
	struct opening *o = store_opening(m, c, false);
	enum failure failure = connection_failure(c);

	if (o) {
		has_lost |= still_lost(o, c);
		store_remove_opening(m, o);
	}
	note_totals(m, c);
	note_ledger(m, client, peer, c, has_lost);
	if (pair)
		pair->attempts++;
	if (client) {
		client->connections++;
		samples_add(&client->round_trips, c->client_round_trip);
		note_pending(m, client, c);
	}
	if (peer) {
		peer->connections++;
		if (failure != FAILURE_NONE)
			note_failure(m, peer, pair, c, failure);
		else
			note_answer(m, peer, c);
		note_anomalies(m, peer, pair, c);
	}
	if (c->outcome == OUTCOME_ESTABLISHED)
		note_established(m, client, peer, pair, c);
}

/* ---- attempts that are still opening ---- */

/*
 * If more peers fail than there is room for, the peer of an opening attempt may have been reported
 * and evicted. So only attempts that became silent within this time are reported, and no sweep
 * reports an attempt again.
 */
#define REPORT_WINDOW_NS (SILENT_NS + 3 * (ns_t)SECOND_NS)

static bool was_reported_and_evicted(const struct model *m, const struct connection *c)
{
	return HASH_COUNT(m->peers) >= MAX_PEERS && c->watched > REPORT_WINDOW_NS &&
	       !model_peer(m, &c->server);
}

static void note_long_wait(struct model *m, const struct connection *c, ns_t silence)
{
	struct opening *o = store_opening(m, c, true);
	struct stall stall;

	if (!o)
		return;
	o->sweep = m->sweep;
	if (!o->reported_waiting) {
		o->reported_waiting = true;
		stall_of(&stall, NULL, c, silence);
		m->events->stall(m->events->context, &stall, false);
	}
}

/* Time within which the winner of a race is served, and looked for in each sweep. */
#define RACE_NS (10 * (ns_t)SECOND_NS)

/*
 * Marks a connect without an answer as soon as a sibling is served. A later SYN takes the mark back
 * unless it was on its way: whoever lost a race does not try again.
 */
static void note_race(struct model *m, const struct connection *c)
{
	struct opening *o;

	if (c->ack != NEVER)
		return;
	o = store_opening(m, c, false);
	if (!still_lost(o, c)) {
		if (o)
			o->has_lost = false;
		if (c->watched > RACE_NS || !siblings_have_won(m->siblings, c))
			return;
		o = store_opening(m, c, true);
	}
	if (!o)
		return;
	o->sweep = m->sweep;
	o->has_lost = true;
	o->syn_last = c->syn_last;
}

void model_opening(struct model *m, const struct connection *c)
{
	enum failure failure = connection_failure(c);
	ns_t silence = connection_silence(c);
	struct peer *peer;

	note_race(m, c);
	names_opening(m->names, c);
	/* an ICMP error is final once the client has had time to retry in spite of it */
	if (failure == FAILURE_SILENT ||
	    (failure == FAILURE_UNREACHABLE && c->settled - c->icmp >= (ns_t)SECOND_NS)) {
		peer = was_reported_and_evicted(m, c) ? NULL : store_peer(m, &c->server);
		if (peer)
			report_failing(m, peer, c, failure);
		return;
	}
	if (failure == FAILURE_NONE && c->synack != NEVER) {
		HASH_FIND(hh, m->peers, &c->server, sizeof(c->server), peer);
		if (peer)
			retract_failure(m, peer, c);
	}
	if (silence != NEVER && silence >= m->stall_ns && silence >= REPORT_WAITING_NS &&
	    !c->offloaded)
		note_long_wait(m, c, silence);
}

void model_swept(struct model *m)
{
	struct opening *o, *next;

	HASH_ITER(hh, m->openings, o, next)
		if (o->sweep != m->sweep)
			store_remove_opening(m, o);
	m->sweep++;
}
