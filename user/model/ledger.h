/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ledger: every connect is in exactly one row, by the stage of its opening that decided it and
 * by the manner in which that stage ended. ledger_classify() is the only place that decides this.
 *
 * An opening is a client's attempt to get the first byte from a server. Its stages are connect (SYN
 * to SYN-ACK), finish (to the ACK), hold (to the client's first byte) or greeting (to the server's,
 * if the server speaks first), and answer (from the client's first byte to the server's).
 */
#pragma once

#include "connection.h"

enum ledger_row {
	ROW_IN_TIME, /* served, and no stage took as long as a stall */
	ROW_LATE, /* served, with the stage that took longest */
	ROW_FAILED,
	ROW_CANCELLED, /* the client had no more use for it: the loser of a race, a spare socket */
	ROW_UNDECIDED, /* still going on when the run ended */
	ROW_UNSEEN, /* not seen whole */
	LEDGER_ROWS,
};

enum stage {
	STAGE_NAME, /* from the first question to the SYN, see model/names.h */
	STAGE_CONNECT,
	STAGE_FINISH,
	STAGE_HOLD,
	STAGE_GREETING,
	STAGE_ANSWER,
	STAGES,
};

/* How a stage ended, or why it was not seen to end. */
enum manner {
	MANNER_NONE, /* it ended well and in time */
	MANNER_SLOW, /* it ended well, but late */
	/* connect fails */
	MANNER_SILENT, /* no answer that counts */
	MANNER_ONE_SYN, /* no answer, and the client gave up after one SYN */
	MANNER_REFUSED,
	MANNER_NO_ROUTE, /* ICMP: network, host or address unreachable */
	MANNER_PROHIBITED, /* ICMP: administratively prohibited */
	MANNER_TIME_EXCEEDED, /* ICMP: time to live exceeded */
	MANNER_UNREACHABLE, /* ICMP: another code */
	MANNER_ELSEWHERE, /* the answer came from another address */
	MANNER_IGNORED, /* the answer is a SYN-ACK that the client must ignore */
	/* finish fails */
	MANNER_SYN_AGAIN, /* the client repeats its SYN although the SYN-ACK passed */
	MANNER_CLIENT_SILENT,
	MANNER_CLIENT_RESET, /* the client resets the SYN-ACK and tries again */
	MANNER_SERVER_RESET,
	/* hold, greeting or answer fails */
	MANNER_SERVER_CLOSED,
	MANNER_NEVER, /* the client gave up */
	MANNER_NOT_ACKED, /* the request was repeated and never acknowledged */
	MANNER_TOO_LARGE, /* a full-sized segment was repeated and never acknowledged */
	MANNER_ALERT, /* the first answer is a fatal TLS alert */
	/* cancelled */
	MANNER_RACE, /* a connect of the same client to the same port was served */
	MANNER_UNUSED, /* closed before a byte was sent */
	MANNER_PROBED, /* SYN, SYN-ACK, RST: a health check or a scan */
	/* undecided */
	MANNER_RUN_ENDED,
	/* unseen */
	MANNER_ONE_DIRECTION, /* the SYN-ACK was not captured */
	MANNER_GAP, /* bytes were acknowledged that were never seen */
	MANNER_OFFLOADED, /* a flowtable took the connection over */
	MANNER_PRESSURE, /* settled early, because the table was nearly full */
	MANNER_SUPERSEDED, /* a new attempt began on the same four-tuple */
	MANNER_ONE_WAY, /* the client sends and expects no answer: syslog, printing, an upload */
	MANNER_OUTSIDE, /* from outside, at an address of this gateway */
	MANNER_AT_START, /* it began before all interfaces were watched */
	MANNERS,
};

struct ledger_entry {
	enum ledger_row row;
	enum stage stage;
	enum manner manner;
};

struct ledger {
	uint64_t count[LEDGER_ROWS][STAGES][MANNERS];
};

/* The input of ledger_classify() beside the connection itself. */
struct ledger_context {
	ns_t stall_ns; /* a stage that takes so long is late */
	bool won_by_sibling; /* a connect of the client to the same port was served meanwhile */
	bool is_spare; /* the client used a sibling to the same server while this one was silent */
};

struct ledger_entry ledger_classify(const struct connection *c, const struct ledger_context *x);

/* Returns true if the server's first byte reached the client, and it is no refusal. */
bool is_served(const struct connection *c);

void ledger_add(struct ledger *l, struct ledger_entry e, uint64_t n);
void ledger_move(struct ledger *l, struct ledger_entry from, struct ledger_entry to, uint64_t n);
uint64_t ledger_stage(const struct ledger *l, enum ledger_row row, enum stage stage);
uint64_t ledger_row(const struct ledger *l, enum ledger_row row);
uint64_t ledger_connects(const struct ledger *l);

/* Returns the time that the stage took, or NEVER if it did not end. */
ns_t stage_duration(const struct connection *c, enum stage stage);

/* Stable words for JSON. stage_names[] and manner_names[] are also used by the other reports. */
extern const char *const ledger_row_names[LEDGER_ROWS];
extern const char *const stage_names[STAGES];
extern const char *const manner_names[MANNERS];
