// SPDX-License-Identifier: GPL-2.0
#include "model/ledger.h"

const char *const ledger_row_names[LEDGER_ROWS] = {
	[ROW_IN_TIME] = "in_time",     [ROW_LATE] = "late",	      [ROW_FAILED] = "failed",
	[ROW_CANCELLED] = "cancelled", [ROW_UNDECIDED] = "undecided", [ROW_UNSEEN] = "unseen",
};

const char *const stage_names[STAGES] = {
	[STAGE_NAME] = "name", [STAGE_CONNECT] = "connect",   [STAGE_FINISH] = "finish",
	[STAGE_HOLD] = "hold", [STAGE_GREETING] = "greeting", [STAGE_ANSWER] = "answer",
};

const char *const manner_names[MANNERS] = {
	[MANNER_NONE] = NULL,
	[MANNER_SLOW] = "slow",
	[MANNER_SILENT] = "silent",
	[MANNER_ONE_SYN] = "one_syn",
	[MANNER_REFUSED] = "refused",
	[MANNER_NO_ROUTE] = "no_route",
	[MANNER_PROHIBITED] = "prohibited",
	[MANNER_TIME_EXCEEDED] = "time_exceeded",
	[MANNER_UNREACHABLE] = "unreachable",
	[MANNER_ELSEWHERE] = "answered_elsewhere",
	[MANNER_IGNORED] = "ignored",
	[MANNER_SYN_AGAIN] = "syn_again",
	[MANNER_CLIENT_SILENT] = "client_silent",
	[MANNER_CLIENT_RESET] = "client_reset",
	[MANNER_SERVER_RESET] = "server_reset",
	[MANNER_SERVER_CLOSED] = "server_closed",
	[MANNER_NEVER] = "never",
	[MANNER_NOT_ACKED] = "not_acked",
	[MANNER_TOO_LARGE] = "too_large",
	[MANNER_ALERT] = "alert",
	[MANNER_RACE] = "race",
	[MANNER_UNUSED] = "unused",
	[MANNER_PROBED] = "probed",
	[MANNER_RUN_ENDED] = "run_ended",
	[MANNER_ONE_DIRECTION] = "one_direction",
	[MANNER_GAP] = "gap",
	[MANNER_OFFLOADED] = "offloaded",
	[MANNER_PRESSURE] = "pressure",
	[MANNER_SUPERSEDED] = "superseded",
	[MANNER_ONE_WAY] = "one_way",
	[MANNER_OUTSIDE] = "outside",
	[MANNER_AT_START] = "at_start",
};

/* ---- stages ---- */

static ns_t between(ns_t from, ns_t to)
{
	return from == NEVER || to == NEVER ? NEVER : to - from;
}

ns_t stage_duration(const struct connection *c, enum stage stage)
{
	switch (stage) {
	case STAGE_NAME:
		return c->name ? between(c->name_asked, c->syn) : NEVER;
	case STAGE_CONNECT:
		return between(c->syn, c->synack);
	case STAGE_FINISH:
		return between(c->synack, c->ack);
	case STAGE_HOLD:
		return c->wait;
	case STAGE_GREETING:
		return c->banner;
	case STAGE_ANSWER:
		return c->answer;
	default:
		return NEVER;
	}
}

static struct ledger_entry entry(enum ledger_row row, enum stage stage, enum manner manner)
{
	return (struct ledger_entry){ row, stage, manner };
}

/* ---- served ---- */

/* Returns true if a refusal is the server's first answer: a fatal TLS alert (RFC 8446 6.2). */
static bool is_alert(const struct payload *p)
{
	return p->has_first_byte && p->first_byte == TLS_ALERT && p->alert_level == 2;
}

bool is_served(const struct connection *c)
{
	return c->server_first != NEVER && (c->banner == NEVER || connection_is_greeted(c)) &&
	       !is_alert(&c->server_payload) && !payload_is_black_holed(&c->server_payload);
}

/*
 * Finds the latest stage of a connect that was served. If the SYN-ACK was not captured, the stages
 * before the first byte are not known one by one, but their sum is.
 */
static struct ledger_entry classify_served(const struct connection *c,
					   const struct ledger_context *x)
{
	enum stage stage, latest = STAGES;
	ns_t longest = x->stall_ns - 1;

	if (c->synack == NEVER)
		return c->server_first - c->syn < x->stall_ns
			       ? entry(ROW_IN_TIME, STAGE_CONNECT, MANNER_NONE)
			       : entry(ROW_UNSEEN, STAGE_CONNECT, MANNER_ONE_DIRECTION);
	for (stage = STAGE_NAME; stage < STAGES; stage++) {
		ns_t duration = stage_duration(c, stage);

		if (duration == NEVER || duration <= longest ||
		    (stage == STAGE_HOLD && x->is_spare))
			continue;
		longest = duration;
		latest = stage;
	}
	/* what the client's connect() took: the SYN-ACK passes here before it reaches the client */
	if (latest == STAGES && c->ack != NEVER && c->ack - c->syn >= x->stall_ns)
		latest = STAGE_CONNECT;
	if (latest == STAGES)
		return entry(ROW_IN_TIME, STAGE_CONNECT, MANNER_NONE);
	/* if the first payload was missed, the client may have spoken earlier */
	if (c->client_gap && (latest == STAGE_HOLD || latest == STAGE_ANSWER))
		return entry(ROW_UNSEEN, latest, c->offloaded ? MANNER_OFFLOADED : MANNER_GAP);
	return entry(ROW_LATE, latest, MANNER_SLOW);
}

/* ---- not seen whole, or not ended ---- */

/*
 * Classifies a stage that did not end. A connect that only the end of the run cut off is undecided;
 * others were cut off by the tool, or by the client's next attempt on the same ports.
 */
static struct ledger_entry classify_cut(const struct connection *c, enum stage stage)
{
	switch (c->end_reason) {
	case END_PRESSURE:
		return entry(ROW_UNSEEN, stage, MANNER_PRESSURE);
	case END_SUPERSEDED:
		return entry(ROW_UNSEEN, stage, MANNER_SUPERSEDED);
	default:
		return entry(ROW_UNDECIDED, stage, MANNER_RUN_ENDED);
	}
}

/* ---- connect ---- */

static enum manner unreachable_manner(const struct connection *c)
{
	if (is_ip4(&c->server.address)) {
		switch (c->icmp_code) { /* RFC 792, RFC 1812 5.2.7.1 */
		case 0:
		case 1:
		case 5:
		case 6:
		case 7:
		case 8:
		case 11:
		case 12:
			return MANNER_NO_ROUTE;
		case 9:
		case 10:
		case 13:
			return MANNER_PROHIBITED;
		default:
			return MANNER_UNREACHABLE;
		}
	}
	switch (c->icmp_code) { /* RFC 4443 3.1 */
	case 0:
	case 3:
		return MANNER_NO_ROUTE;
	case 1:
	case 5:
	case 6:
		return MANNER_PROHIBITED;
	default:
		return MANNER_UNREACHABLE;
	}
}

static bool is_time_exceeded(const struct connection *c)
{
	return c->icmp != NEVER && !c->icmp_hard &&
	       c->icmp_type == (is_ip4(&c->server.address) ? 11 : 3);
}

static struct ledger_entry classify_unanswered(const struct connection *c,
					       const struct ledger_context *x)
{
	if (c->elsewhere)
		return entry(ROW_FAILED, STAGE_CONNECT, MANNER_ELSEWHERE);
	/* Linux gives up at this error, after one SYN */
	if (is_time_exceeded(c))
		return entry(ROW_FAILED, STAGE_CONNECT, MANNER_TIME_EXCEEDED);
	if (x->won_by_sibling)
		return entry(ROW_CANCELLED, STAGE_CONNECT, MANNER_RACE);
	switch (connection_failure(c)) {
	case FAILURE_SILENT:
		return entry(ROW_FAILED, STAGE_CONNECT,
			     c->ignored_synack ? MANNER_IGNORED : MANNER_SILENT);
	case FAILURE_ONE_SYN:
		return entry(ROW_FAILED, STAGE_CONNECT, MANNER_ONE_SYN);
	default:
		return classify_cut(c, STAGE_CONNECT);
	}
}

/* ---- finish ---- */

/* Minimum time after the SYN-ACK at which a SYN that comes again did not cross it. */
#define CROSSED_NS (500 * (ns_t)MILLISECOND_NS)

static struct ledger_entry classify_half_open(const struct connection *c,
					      const struct ledger_context *x)
{
	bool is_certain = c->settled - c->synack >= SILENT_NS;

	if (c->rst_from == SIDE_SERVER)
		return entry(ROW_FAILED, STAGE_FINISH, MANNER_SERVER_RESET);
	if (x->won_by_sibling)
		return entry(ROW_CANCELLED, STAGE_FINISH, MANNER_RACE);
	if (c->rst_from == SIDE_CLIENT)
		/* a client that wants the connection sends its SYN again */
		return c->attempts > 1 ? entry(ROW_FAILED, STAGE_FINISH, MANNER_CLIENT_RESET)
				       : entry(ROW_CANCELLED, STAGE_FINISH, MANNER_PROBED);
	if (is_certain && c->syn_last > c->synack + CROSSED_NS)
		return entry(ROW_FAILED, STAGE_FINISH, MANNER_SYN_AGAIN);
	if (is_certain)
		return entry(ROW_FAILED, STAGE_FINISH, MANNER_CLIENT_SILENT);
	return classify_cut(c, STAGE_FINISH);
}

/* ---- hold and greeting ---- */

static struct ledger_entry classify_without_payload(const struct connection *c)
{
	if (c->synack == NEVER)
		return entry(ROW_UNSEEN, STAGE_CONNECT, MANNER_ONE_DIRECTION);
	if (c->client_acks_unseen || c->server_acks_unseen)
		return entry(ROW_UNSEEN, STAGE_HOLD, MANNER_GAP);
	switch (connection_end(c, NULL)) {
	case SIDE_SERVER:
		return entry(ROW_FAILED, STAGE_HOLD,
			     c->rst_from == SIDE_SERVER && c->fin_from != SIDE_SERVER
				     ? MANNER_SERVER_RESET
				     : MANNER_SERVER_CLOSED);
	case SIDE_CLIENT:
		return entry(ROW_CANCELLED, STAGE_HOLD, MANNER_UNUSED);
	default:
		return classify_cut(c, STAGE_HOLD);
	}
}

/* ---- answer ---- */

/*
 * Number of segments with payload, all acknowledged and none answered, from which a client is taken
 * to send only. Large requests have fewer: clients wait for an answer before they go on.
 */
#define UPLOAD_SEGMENTS 16

/*
 * Returns true if clients send to this port and expect no answer: syslog (RFC 6587), Graphite,
 * printing (JetDirect). On other ports the client's behaviour decides.
 */
static bool is_one_way_port(uint16_t port)
{
	return port == 514 || port == 601 || port == 1468 || port == 2003 || port == 5140 ||
	       (port >= 9100 && port <= 9107);
}

static struct ledger_entry classify_request(const struct connection *c,
					    const struct ledger_context *x)
{
	bool one_way = c->client_payload.acked &&
		       (is_one_way_port(c->server.port) || c->client_segments >= UPLOAD_SEGMENTS);
	bool unacked = !c->client_payload.acked && c->client_payload.again >= 2;
	enum side ended_by;
	ns_t end;

	ended_by = connection_end(c, &end);
	if (c->end_reason == END_ONE_SIDED)
		return entry(ROW_UNSEEN, STAGE_ANSWER, MANNER_ONE_WAY);
	if (unacked && (ended_by != SIDE_NONE || c->settled - c->client_first >= SILENT_NS))
		return entry(ROW_FAILED, STAGE_ANSWER,
			     payload_is_black_holed(&c->client_payload) && !c->synack_after_ack
				     ? MANNER_TOO_LARGE
				     : MANNER_NOT_ACKED);
	if (c->synack == NEVER)
		return entry(ROW_UNSEEN, STAGE_CONNECT, MANNER_ONE_DIRECTION);
	if (c->client_acks_unseen)
		return entry(ROW_UNSEEN, STAGE_ANSWER, MANNER_GAP);
	switch (ended_by) {
	case SIDE_SERVER:
		if (c->rst_from == SIDE_SERVER && c->rst == end)
			return entry(ROW_FAILED, STAGE_ANSWER, MANNER_SERVER_RESET);
		if (one_way)
			return entry(ROW_UNSEEN, STAGE_ANSWER, MANNER_ONE_WAY);
		return entry(ROW_FAILED, STAGE_ANSWER, MANNER_SERVER_CLOSED);
	case SIDE_CLIENT:
		/* a client that closes at once did not wait for an answer */
		if (one_way || (c->client_payload.acked && end - c->client_first < x->stall_ns))
			return entry(ROW_UNSEEN, STAGE_ANSWER, MANNER_ONE_WAY);
		if (end - c->client_first < x->stall_ns)
			return entry(ROW_CANCELLED, STAGE_ANSWER, MANNER_UNUSED);
		return entry(ROW_FAILED, STAGE_ANSWER, MANNER_NEVER);
	default:
		return one_way ? entry(ROW_UNSEEN, STAGE_ANSWER, MANNER_ONE_WAY)
			       : classify_cut(c, STAGE_ANSWER);
	}
}

static struct ledger_entry classify_established(const struct connection *c,
						const struct ledger_context *x)
{
	if (c->offloaded && (c->client_first == NEVER || c->client_gap))
		return entry(ROW_UNSEEN, STAGE_HOLD, MANNER_OFFLOADED);
	if (is_alert(&c->server_payload) && c->client_first != NEVER)
		return entry(ROW_FAILED, STAGE_ANSWER, MANNER_ALERT);
	if (payload_is_black_holed(&c->server_payload))
		return entry(ROW_FAILED, STAGE_ANSWER, MANNER_TOO_LARGE);
	if (c->client_first != NEVER)
		return classify_request(c, x);
	return classify_without_payload(c);
}

static struct ledger_entry classify_outcome(const struct connection *c,
					    const struct ledger_context *x)
{
	switch (c->outcome) {
	case OUTCOME_REFUSED:
		return entry(ROW_FAILED, STAGE_CONNECT, MANNER_REFUSED);
	case OUTCOME_UNREACHABLE:
		return entry(ROW_FAILED, STAGE_CONNECT, unreachable_manner(c));
	case OUTCOME_UNANSWERED:
		return classify_unanswered(c, x);
	case OUTCOME_HALF_OPEN:
		return classify_half_open(c, x);
	default:
		return classify_established(c, x);
	}
}

struct ledger_entry ledger_classify(const struct connection *c, const struct ledger_context *x)
{
	struct ledger_entry e;

	if (is_served(c))
		return classify_served(c, x);
	e = classify_outcome(c, x);
	if (e.row == ROW_FAILED && c->from_outside)
		return entry(ROW_UNSEEN, e.stage, MANNER_OUTSIDE);
	if (c->during_attach && (e.row == ROW_FAILED || e.row == ROW_UNDECIDED))
		return entry(ROW_UNSEEN, e.stage, MANNER_AT_START);
	return e;
}

/* ---- counts ---- */

void ledger_add(struct ledger *l, struct ledger_entry e, uint64_t n)
{
	l->count[e.row][e.stage][e.manner] += n;
}

void ledger_move(struct ledger *l, struct ledger_entry from, struct ledger_entry to, uint64_t n)
{
	l->count[from.row][from.stage][from.manner] -= n;
	ledger_add(l, to, n);
}

uint64_t ledger_stage(const struct ledger *l, enum ledger_row row, enum stage stage)
{
	uint64_t sum = 0;
	int manner;

	for (manner = 0; manner < MANNERS; manner++)
		sum += l->count[row][stage][manner];
	return sum;
}

uint64_t ledger_row(const struct ledger *l, enum ledger_row row)
{
	uint64_t sum = 0;
	int stage;

	for (stage = 0; stage < STAGES; stage++)
		sum += ledger_stage(l, row, stage);
	return sum;
}

uint64_t ledger_connects(const struct ledger *l)
{
	uint64_t sum = 0;
	int row;

	for (row = 0; row < LEDGER_ROWS; row++)
		sum += ledger_row(l, row);
	return sum;
}
