// SPDX-License-Identifier: GPL-2.0
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

struct opening {
	struct {
		struct endpoint client;
		struct endpoint server;
		ns_t syn;
	} which;
	uint64_t sweep; /* the last that showed it */
	bool said_waiting;
	UT_hash_handle hh;
};

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
	TAILQ_INIT(&m->stalls);
	TAILQ_INIT(&m->pendings);
	for (i = 0; i < 2; i++) {
		TAILQ_INIT(&m->clients_by_use[i]);
		TAILQ_INIT(&m->peers_by_use[i]);
		TAILQ_INIT(&m->pairs_by_use[i]);
	}
	return m;
}

/* ---- what is kept, and what gives its place ---- */

/* What was used least recently, of the unproven first; NULL when there is nothing. */
#define LEAST_RECENTLY_USED(lists) \
	(TAILQ_EMPTY(&(lists)[false]) ? TAILQ_FIRST(&(lists)[true]) : TAILQ_FIRST(&(lists)[false]))

#define MOVE_TO_END(lists, element, from, to)                     \
	do {                                                      \
		TAILQ_REMOVE(&(lists)[from], element, by_use);    \
		TAILQ_INSERT_TAIL(&(lists)[to], element, by_use); \
	} while (0)

static void stall_forget(struct model *m, struct stall *s)
{
	TAILQ_REMOVE(&s->client->kept_stalls, s, of_client);
	TAILQ_REMOVE(&m->stalls, s, by_age);
	s->client->stall_room--;
	m->stalls_kept--;
	free(s);
}

static void pending_forget(struct model *m, struct pending *o)
{
	TAILQ_REMOVE(&o->client->pendings, o, of_client);
	TAILQ_REMOVE(&m->pendings, o, by_age);
	o->client->pending_room--;
	o->client->forgot_pending = true;
	m->pending_kept--;
	free(o);
}

static void pair_forget(struct model *m, struct pair *t)
{
	LIST_REMOVE(t, of_client);
	LIST_REMOVE(t, of_peer);
	TAILQ_REMOVE(&m->pairs_by_use[t->failures > 0], t, by_use);
	HASH_DEL(m->pairs, t);
	free(t);
}

static void client_forget(struct model *m, struct client *c)
{
	while (!TAILQ_EMPTY(&c->kept_stalls))
		stall_forget(m, TAILQ_FIRST(&c->kept_stalls));
	while (!TAILQ_EMPTY(&c->pendings))
		pending_forget(m, TAILQ_FIRST(&c->pendings));
	while (!LIST_EMPTY(&c->pairs))
		pair_forget(m, LIST_FIRST(&c->pairs));
	m->recent_kept -= c->recent != NULL;
	free(c->recent);
	TAILQ_REMOVE(&m->clients_by_use[c->proven], c, by_use);
	HASH_DEL(m->clients, c);
	free(c);
}

static void peer_forget(struct model *m, struct peer *p)
{
	while (!LIST_EMPTY(&p->pairs))
		pair_forget(m, LIST_FIRST(&p->pairs));
	m->anomalies_kept -= p->anomalies != NULL;
	m->failing_now -= p->said != 0;
	free(p->anomalies);
	TAILQ_REMOVE(&m->peers_by_use[p->proven], p, by_use);
	HASH_DEL(m->peers, p);
	free(p);
}

static void opening_forget(struct model *m, struct opening *o)
{
	HASH_DEL(m->openings, o);
	free(o);
}

void model_free(struct model *m)
{
	if (!m)
		return;
	while (m->clients)
		client_forget(m, m->clients);
	while (m->peers)
		peer_forget(m, m->peers);
	while (m->openings)
		opening_forget(m, m->openings);
	free(m->idle.at);
	free(m);
}

static struct client *client_of(struct model *m, const struct connection *c)
{
	struct client_key key = { .address = c->client.address,
				  .vlan = { c->client.vlan[0], c->client.vlan[1] } };
	bool proves = c->outcome == OUTCOME_ESTABLISHED;
	struct client *client;

	HASH_FIND(hh, m->clients, &key, sizeof(key), client);
	if (!client) {
		if (HASH_COUNT(m->clients) >= MAX_CLIENTS) {
			client_forget(m, LEAST_RECENTLY_USED(m->clients_by_use));
			m->dropped_details++;
		}
		ADD_NEW(m->clients, key, key, client);
		if (!client) {
			m->dropped_details++;
			return NULL;
		}
		client->worst_wait = NEVER;
		client->first_syn = c->syn;
		TAILQ_INIT(&client->kept_stalls);
		TAILQ_INIT(&client->pendings);
		LIST_INIT(&client->pairs);
		TAILQ_INSERT_TAIL(&m->clients_by_use[false], client, by_use);
	}
	MOVE_TO_END(m->clients_by_use, client, client->proven, client->proven || proves);
	client->proven |= proves;
	if (c->syn < client->first_syn)
		client->first_syn = c->syn;
	if (c->has_mac) {
		client->has_mac = true;
		memcpy(client->mac, c->mac, sizeof(c->mac));
	}
	return client;
}

static struct peer *peer_find(const struct model *m, const struct endpoint *server)
{
	struct peer *peer;

	HASH_FIND(hh, m->peers, server, sizeof(*server), peer);
	return peer;
}

static struct peer *peer_of(struct model *m, const struct endpoint *server)
{
	struct peer *peer = peer_find(m, server);

	if (!peer) {
		if (HASH_COUNT(m->peers) >= MAX_PEERS) {
			peer_forget(m, LEAST_RECENTLY_USED(m->peers_by_use));
			m->dropped_details++;
		}
		ADD_NEW(m->peers, server, *server, peer);
		if (!peer) {
			m->dropped_details++;
			return NULL;
		}
		peer->first_failure = peer->last_failure = peer->last_answer = NEVER;
		peer->retracted = NEVER;
		LIST_INIT(&peer->pairs);
		TAILQ_INSERT_TAIL(&m->peers_by_use[false], peer, by_use);
	}
	MOVE_TO_END(m->peers_by_use, peer, peer->proven, peer->proven);
	return peer;
}

static void peer_proves(struct model *m, struct peer *peer)
{
	MOVE_TO_END(m->peers_by_use, peer, peer->proven, true);
	peer->proven = true;
}

struct anomalies *peer_anomalies(struct model *m, struct peer *p)
{
	if (!p->anomalies && m->anomalies_kept < MAX_ANOMALIES) {
		p->anomalies = calloc(1, sizeof(*p->anomalies));
		if (p->anomalies) {
			p->anomalies->worst_banner = NEVER;
			m->anomalies_kept++;
		}
	}
	m->dropped_details += !p->anomalies;
	return p->anomalies;
}

static struct pair *pair_of(struct model *m, struct client *client, struct peer *peer)
{
	struct pair wanted = { .who = { client, peer } };
	struct pair *pair;

	HASH_FIND(hh, m->pairs, &wanted.who, sizeof(wanted.who), pair);
	if (!pair) {
		if (HASH_COUNT(m->pairs) >= MAX_PAIRS) {
			pair_forget(m, LEAST_RECENTLY_USED(m->pairs_by_use));
			m->dropped_details++;
		}
		ADD_NEW(m->pairs, who, wanted.who, pair);
		if (!pair) {
			m->dropped_details++;
			return NULL;
		}
		LIST_INSERT_HEAD(&client->pairs, pair, of_client);
		LIST_INSERT_HEAD(&peer->pairs, pair, of_peer);
		TAILQ_INSERT_TAIL(&m->pairs_by_use[false], pair, by_use);
	}
	MOVE_TO_END(m->pairs_by_use, pair, pair->failures > 0, pair->failures > 0);
	return pair;
}

/* ---- waits ---- */

static void stall_of(struct stall *s, struct client *client, const struct connection *c, ns_t wait)
{
	memset(s, 0, sizeof(*s));
	s->client = client;
	s->from = c->client;
	s->to = c->server;
	s->nat_endpoint = c->nat_endpoint;
	s->has_mac = c->has_mac;
	memcpy(s->mac, c->mac, sizeof(s->mac));
	s->syn = c->syn;
	s->synack = c->synack;
	s->start = c->ack;
	s->wait = wait;
	s->round_trip = c->client_round_trip;
}

/* Which of the client's other connections began and got through while this one waited? */
static void count_meanwhile(struct stall *s)
{
	const struct client *client = s->client;
	unsigned int i, n = client->recent_count < RECENT ? client->recent_count : RECENT;

	for (i = 0; client->recent && i < n; i++) {
		const struct recent *b = &client->recent[i];
		uint8_t *count = same_endpoint(&b->to, &s->to) ? &s->siblings : &s->passed;

		if (b->prompt && b->syn > s->start && b->syn < s->start + s->wait && *count < 0xff)
			++*count;
	}
}

static void keep_stall(struct model *m, const struct stall *stall)
{
	struct client *client = stall->client;
	struct stall *kept;

	if (client && client->stall_room >= MAX_CLIENT_STALLS) {
		stall_forget(m, TAILQ_FIRST(&client->kept_stalls));
		m->dropped_details++;
	}
	if (client && m->stalls_kept >= MAX_STALLS) {
		stall_forget(m, TAILQ_FIRST(&m->stalls));
		m->dropped_details++;
	}
	kept = client ? malloc(sizeof(*kept)) : NULL;
	if (!kept) {
		m->dropped_details++;
		return;
	}
	*kept = *stall;
	TAILQ_INSERT_TAIL(&client->kept_stalls, kept, of_client);
	TAILQ_INSERT_TAIL(&m->stalls, kept, by_age);
	client->stall_room++;
	m->stalls_kept++;
}

static void keep_idle(struct model *m, const struct stall *stall)
{
	struct stalls *u = &m->idle;
	struct stall *grown;
	size_t room;

	if (u->count == u->room) {
		room = u->room ? u->room * 2 : 64;
		grown = room <= MAX_IDLE ? realloc(u->at, room * sizeof(*grown)) : NULL;
		if (!grown) {
			m->dropped_details++;
			return;
		}
		u->at = grown;
		u->room = room;
	}
	u->at[u->count++] = *stall;
}

static void keep_recent(struct model *m, struct client *client, const struct connection *c)
{
	struct recent *b;

	if (!client->recent && m->recent_kept < MAX_RECENT_CLIENTS) {
		client->recent = calloc(RECENT, sizeof(*client->recent));
		m->recent_kept += client->recent != NULL;
	}
	if (!client->recent)
		return;
	b = &client->recent[client->recent_count++ % RECENT];
	b->syn = c->syn;
	b->to = c->server;
	b->prompt = (c->client_first != NEVER || c->server_first != NEVER) &&
		    (c->wait == NEVER || c->wait < m->stall_ns / 2) &&
		    (c->banner == NEVER || c->banner < m->stall_ns / 2);
}

/*
 * The end of a connect() that fails is invisible: it may have gone on for twice the last gap between
 * two SYNs, and with one SYN alone for the time after which a second one is overdue.
 */
static ns_t end_of_connect(const struct connection *c)
{
	ns_t gap;

	if (c->syn_count < 2)
		return c->syn + 3 * (ns_t)SECOND_NS;
	if (c->syn_count <= c->syn_times_count)
		gap = c->syn_last - c->syn_times[c->syn_count - 2];
	else
		gap = (c->syn_last - c->syn_times[c->syn_times_count - 1]) /
		      (c->syn_count - c->syn_times_count);
	return c->syn_last + 2 * gap;
}

/*
 * By the server: a SYN or a request that was lost once and sent again is not its fault. What it let go
 * unanswered twice is.
 */
static ns_t time_taken(const struct connection *c)
{
	ns_t taken = 0;

	if (c->synack != NEVER && c->syn_count != 2)
		taken = c->synack - c->syn;

	if (c->banner != NEVER)
		taken += c->banner;
	else if (c->answer != NEVER && !c->client_payload.again)
		taken += c->answer;
	return taken;
}

/* Was this something that another connection of the client may have waited for? */
static bool pending_of(const struct model *m, struct pending *o, const struct connection *c)
{
	ns_t least = m->stall_ns / 10 * 8;

	memset(o, 0, sizeof(*o));
	o->to = c->server;
	o->start = c->syn;
	o->syn_last = c->syn_last;
	o->syn_count = c->syn_count;
	memcpy(o->syn_times, c->syn_times, sizeof(o->syn_times));
	o->failed = true;
	o->resolved = true;
	switch (c->outcome) {
	case OUTCOME_UNANSWERED:
		o->end = end_of_connect(c);
		o->resolved = false;
		return true;
	case OUTCOME_UNREACHABLE:
		/* the client may go on trying in spite of it */
		o->resolved = c->syn_last <= c->icmp;
		o->end = o->resolved ? c->icmp : end_of_connect(c);
		return o->end - o->start >= least;
	case OUTCOME_REFUSED:
		o->end = c->rst;
		return o->end - o->start >= least;
	case OUTCOME_HALF_OPEN:
		return false;
	default:
		break;
	}
	/* what the client itself held back says nothing of the server */
	if (c->wait != NEVER && c->wait > least / 8)
		return false;
	if (c->server_first != NEVER) {
		o->failed = false;
		o->end = c->server_first;
		return time_taken(c) >= least;
	} else if (c->client_first == NEVER) {
		return false;
	} else if (c->fin != NEVER || c->rst != NEVER) {
		o->end = c->fin != NEVER && (c->rst == NEVER || c->fin < c->rst) ? c->fin : c->rst;
	} else {
		o->end = c->settled;
		o->resolved = false;
	}
	return o->end - o->start >= least;
}

static void keep_pending(struct model *m, struct client *client, const struct connection *c)
{
	struct pending o, *kept;

	if (c->offloaded || !pending_of(m, &o, c))
		return;
	if (client->pending_room >= MAX_CLIENT_PENDING) {
		pending_forget(m, TAILQ_FIRST(&client->pendings));
		m->dropped_details++;
	}
	if (m->pending_kept >= MAX_PENDING_OPS) {
		pending_forget(m, TAILQ_FIRST(&m->pendings));
		m->dropped_details++;
	}
	kept = malloc(sizeof(*kept));
	if (!kept) {
		m->dropped_details++;
		return;
	}
	*kept = o;
	kept->client = client;
	TAILQ_INSERT_TAIL(&client->pendings, kept, of_client);
	TAILQ_INSERT_TAIL(&m->pendings, kept, by_age);
	client->pending_room++;
	m->pending_kept++;
}

static void note_waits(struct model *m, struct peer *peer, struct client *client, struct pair *pair,
		       const struct connection *c)
{
	ns_t silence = connection_silence(c);
	struct anomalies *t;
	struct stall stall;

	/* where its first bytes were not seen, nobody knows when they passed */
	if (c->offloaded && (c->client_first == NEVER || c->client_gap)) {
		m->offloaded++;
		return;
	}
	histogram_add(&m->waits, c->wait);
	histogram_add(&m->answers, c->answer);
	if (client && (c->wait != NEVER || c->banner != NEVER)) {
		client->decided++;
		samples_add(&client->waits, c->wait);
		if (c->wait != NEVER && c->wait > client->worst_wait)
			client->worst_wait = c->wait;
	}
	if (peer) {
		peer->requests += c->wait != NEVER;
		peer->banners += c->banner != NEVER;
	}
	if (pair) {
		pair->banners += c->banner != NEVER;
		pair->late_banners += c->banner != NEVER && c->banner >= m->stall_ns;
	}
	if (c->wait != NEVER && c->wait >= m->stall_ns) {
		m->stall_count++;
		stall_of(&stall, client, c, c->wait);
		if (client) {
			client->stalls++;
			count_meanwhile(&stall);
		}
		keep_stall(m, &stall);
		m->events->stall(m->events->context, &stall, true);
	}
	if (c->banner != NEVER && c->banner >= m->stall_ns) {
		m->late_banners++;
		t = peer ? peer_anomalies(m, peer) : NULL;
		if (peer)
			peer->late_banners++;
		if (t) {
			samples_add(&t->banners, c->banner);
			if (c->banner > t->worst_banner)
				t->worst_banner = c->banner;
		}
		m->events->late_banner(m->events->context, c);
	}
	if (c->client_first == NEVER && c->server_first == NEVER) {
		if (c->fin != NEVER || c->rst != NEVER) {
			m->unused++;
		} else if (silence != NEVER && silence < m->stall_ns) {
			m->unspoken++;
		} else if (silence != NEVER &&
			   (c->end_reason == END_OF_RUN || c->end_reason == END_PRESSURE)) {
			if (client)
				client->idle++;
			stall_of(&stall, NULL, c, silence);
			keep_idle(m, &stall);
		}
	}
}

/* ---- peers that fail, and what is odd about a server or the way to it ---- */

/* Said once for each peer and kind; the counts go on in the report. */
static void report_failing(struct model *m, struct peer *peer, const struct connection *c,
			   enum failure failure)
{
	if (failure < FAILURE_SILENT || peer->said & 1U << failure)
		return;
	if (peer->retracted != NEVER && c->syn <= peer->retracted)
		return; /* the peer has answered somebody since */
	m->failing_now += !peer->said;
	peer->said |= 1U << failure;
	peer->reported_syn = c->syn_last;
	m->events->failing(m->events->context, c, failure);
}

/* By an answer to anybody, as long as it is younger than what was said. */
static void retract_failure(struct model *m, struct peer *peer, const struct connection *c)
{
	if (!peer->said || c->synack == NEVER || c->synack <= peer->reported_syn)
		return;
	peer->said = 0;
	m->failing_now--;
	peer->retracted = c->synack;
	m->events->late_answer(m->events->context, c);
}

static void note_forwarding_delay(struct peer *peer, struct pair *pair, const struct connection *c)
{
	bool answer_dropped = c->far.synack != NEVER && c->far.seen,
	     not_forwarded = c->not_forwarded && !c->forwarded_by;

	peer->forwarded += c->forwarded_by != 0;
	peer->not_forwarded += not_forwarded;
	peer->answer_dropped += answer_dropped;
	if (c->forwarded_by)
		peer->forwarded_by = c->forwarded_by;
	if (not_forwarded || answer_dropped)
		peer->in_ifindex = c->ifindex;
	if (pair && (not_forwarded || answer_dropped))
		pair->anomaly_bits |= ANOMALY_NOT_FORWARDED;
}

static void note_failure(struct model *m, struct peer *peer, struct pair *pair,
			 const struct connection *c, enum failure failure)
{
	peer->failures[failure]++;
	if (failure == FAILURE_TOO_EARLY)
		return;
	peer->failed_syns += c->syn_count;
	peer->by_gateway += c->from_gateway;
	peer->ifindex = c->ifindex;
	peer->asked_by = c->client.address;
	if (peer->first_failure == NEVER || c->syn < peer->first_failure)
		peer->first_failure = c->syn;
	if (peer->last_failure == NEVER || c->syn_last > peer->last_failure)
		peer->last_failure = c->syn_last;
	if (failure == FAILURE_UNREACHABLE) {
		peer->icmp_type = c->icmp_type;
		peer->icmp_code = c->icmp_code;
		peer->icmp_from = c->icmp_from;
	}
	report_failing(m, peer, c, failure);
	if (c->outcome == OUTCOME_UNANSWERED)
		note_forwarding_delay(peer, pair, c);
	if (!pair)
		return;
	if (!pair->failures++) {
		MOVE_TO_END(m->pairs_by_use, pair, false, true);
		if (++peer->clients_failed == 2)
			peer_proves(m, peer);
	}
}

static void note_answer(struct model *m, struct peer *peer, const struct connection *c)
{
	peer->answered++;
	if (c->synack != NEVER && (peer->last_answer == NEVER || c->synack > peer->last_answer))
		peer->last_answer = c->synack;
	if (!peer->proven)
		peer_proves(m, peer);
	if (c->syn_count > 1 && c->synack != NEVER && c->synack - c->syn >= SILENT_NS)
		peer->answered_late++;
	retract_failure(m, peer, c);
}

/*
 * A segment that was under way while the other side's passed has not missed it: when a SYN or its
 * answer is lost behind us, the timers of both ends run out at the same moment, and SYN and SYN-ACK
 * cross. No timer of a handshake is as short as this (RFC 6298 2.1: 1 s), hardly a round trip longer.
 */
#define UNDER_WAY_NS (500 * (ns_t)MILLISECOND_NS)

/*
 * A SYN-ACK or SYN that is repeated although the other one had passed, or a first payload with a hole
 * before it: lost between the client and us. A SYN that was repeated before any answer passed: lost
 * behind us, unless the server answered it by a challenge.
 */
static void note_loss(struct model *m, struct client *client, struct peer *peer,
		      const struct connection *c)
{
	bool synack_again = c->synack_count > 1 + c->synack_after_ack && c->ack != NEVER &&
			    c->ack - c->synack > UNDER_WAY_NS;
	bool syn_again = c->syn_count > 1 && c->synack != NEVER;
	bool near = c->client_gap || synack_again ||
		    (syn_again && c->syn_last - c->synack > UNDER_WAY_NS);
	bool far = syn_again && c->syn_times_count > 1 && c->syn_times[1] < c->synack &&
		   !c->challenged;

	m->lost_near += near;
	m->lost_far += far;
	if (client)
		client->lost_near += near;
	if (peer)
		peer->lost += far;
}

static void note_anomalies(struct model *m, struct peer *peer, struct pair *pair,
			   const struct connection *c)
{
	bool request = payload_is_black_holed(&c->client_payload) && !c->synack_after_ack;
	bool answer = payload_is_black_holed(&c->server_payload);
	/* a SYN-ACK is not repeated sooner than after a second: a client that had spoken then is not idle */
	bool idle = c->client_first == NEVER || (c->wait != NEVER && c->wait >= m->stall_ns / 2);
	bool accept_queue = c->synack_after_ack && !(idle && !c->client_payload.again);
	bool deferred = c->synack_after_ack && !accept_queue;
	bool half_open = c->outcome == OUTCOME_HALF_OPEN;
	bool slow = c->answer != NEVER && c->answer >= m->stall_ns && !accept_queue &&
		    !c->client_payload.again;
	struct anomalies *t;

	if (!request && !answer && !accept_queue && !deferred && !half_open && !slow &&
	    !c->challenged)
		return;
	if (pair)
		pair->anomaly_bits |= (request || answer ? ANOMALY_BLACK_HOLE : 0) |
				      (c->challenged ? ANOMALY_CHALLENGED : 0) |
				      (accept_queue ? ANOMALY_ACCEPT_QUEUE : 0) |
				      (slow ? ANOMALY_SLOW : 0);
	t = peer_anomalies(m, peer);
	if (!t)
		return;
	t->black_holed_requests += request;
	t->black_holed_answers += answer;
	t->too_big += (request || answer) && c->too_big;
	t->accept_queue += accept_queue;
	t->deferred += deferred;
	t->half_open += half_open;
	t->challenged += c->challenged;
	if (slow) {
		t->slow_answers++;
		samples_add(&t->answers, c->answer);
	}
}

static struct opening *opening_find(struct model *m, const struct connection *c,
				    struct opening *wanted)
{
	struct opening *o;

	memset(wanted, 0, sizeof(*wanted));
	wanted->which.client = c->client;
	wanted->which.server = c->server;
	wanted->which.syn = c->syn;
	HASH_FIND(hh, m->openings, &wanted->which, sizeof(wanted->which), o);
	return o;
}

static void note_crossed(struct model *m, const struct connection *c)
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

void model_settled(struct model *m, const struct connection *c)
{
	struct client *client = client_of(m, c);
	struct peer *peer = peer_of(m, &c->server);
	enum failure failure = connection_failure(c);
	struct pair *pair = client && peer ? pair_of(m, client, peer) : NULL;
	struct opening wanted, *o;

	o = opening_find(m, c, &wanted);
	if (o)
		opening_forget(m, o);

	if (m->last == NEVER || c->settled > m->last)
		m->last = c->settled;
	m->connections++;
	m->outcomes[c->outcome]++;
	m->failures[failure]++;
	m->no_synack += c->no_synack;
	histogram_add(&m->server_round_trips, c->server_round_trip);
	histogram_add(&m->client_round_trips, c->client_round_trip);
	note_crossed(m, c);
	if (pair)
		pair->attempts++;
	if (client) {
		client->connections++;
		samples_add(&client->round_trips, c->client_round_trip);
		keep_pending(m, client, c);
	}
	if (peer) {
		peer->connections++;
		if (failure != FAILURE_NONE)
			note_failure(m, peer, pair, c, failure);
		else
			note_answer(m, peer, c);
		note_anomalies(m, peer, pair, c);
	}
	if (c->outcome == OUTCOME_ESTABLISHED) {
		m->full_acked += payload_is_full(&c->client_payload) && c->client_payload.acked;
		m->full_acked += payload_is_full(&c->server_payload) && c->server_payload.acked;
		m->retried += c->syn_count > 1;
		note_loss(m, client, peer, c);
		if (client)
			client->established++;
		note_waits(m, peer, client, pair, c);
		if (client)
			keep_recent(m, client, c);
	}
}

/*
 * Where more peers fail than there is room for, the one of an opening that has been silent for long was
 * said when it had just become so, and forgotten since: not again at each sweep.
 */
#define RETRACT_WINDOW_NS (SILENT_NS + 3 * (ns_t)SECOND_NS)

static bool was_forgotten(const struct model *m, const struct connection *c)
{
	return HASH_COUNT(m->peers) >= MAX_PEERS && c->watched > RETRACT_WINDOW_NS &&
	       !peer_find(m, &c->server);
}

void model_opening(struct model *m, const struct connection *c)
{
	enum failure failure = connection_failure(c);
	ns_t silence = connection_silence(c);
	struct opening wanted, *o;
	struct stall stall;
	struct peer *peer;

	/* an ICMP error is certain once the client has had the time to try again in spite of it */
	if (failure == FAILURE_SILENT ||
	    (failure == FAILURE_UNREACHABLE && c->settled - c->icmp >= (ns_t)SECOND_NS)) {
		peer = was_forgotten(m, c) ? NULL : peer_of(m, &c->server);
		if (peer)
			report_failing(m, peer, c, failure);
		return;
	}
	if (failure == FAILURE_NONE && c->synack != NEVER) {
		peer = peer_find(m, &c->server);
		if (peer)
			retract_failure(m, peer, c);
	}
	if (silence == NEVER || silence < m->stall_ns || silence < REPORT_WAITING_NS ||
	    c->offloaded)
		return;
	o = opening_find(m, c, &wanted);
	if (!o && HASH_COUNT(m->openings) < MAX_OPENINGS)
		ADD_NEW(m->openings, which, wanted.which, o);
	if (!o) {
		m->dropped_details++;
		return;
	}
	o->sweep = m->sweep;
	if (!o->said_waiting) {
		o->said_waiting = true;
		stall_of(&stall, NULL, c, silence);
		m->events->stall(m->events->context, &stall, false);
	}
}

void model_swept(struct model *m)
{
	struct opening *o, *next;

	HASH_ITER(hh, m->openings, o, next)
		if (o->sweep != m->sweep)
			opening_forget(m, o);
	m->sweep++;
}
