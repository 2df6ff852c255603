// SPDX-License-Identifier: GPL-2.0
/* Prints what came of the connects: the ledger below the first line, and the result of the run. */
#include "report/text.h"
#include "report/peer_text.h"

#include <inttypes.h>

#include "lib/format.h"

static const char *const row_words[LEDGER_ROWS] = {
	[ROW_IN_TIME] = "in time",     [ROW_LATE] = "late",	      [ROW_FAILED] = "failed",
	[ROW_CANCELLED] = "cancelled", [ROW_UNDECIDED] = "undecided", [ROW_UNSEEN] = "unseen",
};

static const char *const stage_words[STAGES] = {
	[STAGE_NAME] = "first DNS question to SYN",
	[STAGE_CONNECT] = "SYN to SYN-ACK",
	[STAGE_FINISH] = "SYN-ACK to ACK",
	[STAGE_HOLD] = "handshake to the client's first byte",
	[STAGE_GREETING] = "handshake to the server's greeting",
	[STAGE_ANSWER] = "request to the first answer",
};

static const char *const manner_words[MANNERS] = {
	[MANNER_NONE] = "",
	[MANNER_SLOW] = "slow",
	[MANNER_SILENT] = "no answer",
	[MANNER_ONE_SYN] = "no answer to the only SYN",
	[MANNER_REFUSED] = "refused",
	[MANNER_NO_ROUTE] = "no route (ICMP)",
	[MANNER_PROHIBITED] = "prohibited (ICMP)",
	[MANNER_TIME_EXCEEDED] = "time to live exceeded (ICMP)",
	[MANNER_UNREACHABLE] = "unreachable (ICMP)",
	[MANNER_ELSEWHERE] = "answered by another address",
	[MANNER_IGNORED] = "a SYN-ACK that the client must ignore",
	[MANNER_SYN_AGAIN] = "the client repeats its SYN",
	[MANNER_CLIENT_SILENT] = "the client does not go on",
	[MANNER_CLIENT_RESET] = "reset by the client, which tries again",
	[MANNER_SERVER_RESET] = "reset by the server",
	[MANNER_SERVER_CLOSED] = "closed by the server",
	[MANNER_NEVER] = "given up by the client",
	[MANNER_NOT_ACKED] = "the request is not acknowledged",
	[MANNER_TOO_LARGE] = "a large segment is not acknowledged",
	[MANNER_ALERT] = "fatal TLS alert",
	[MANNER_RACE] = "another connect was served first",
	[MANNER_UNUSED] = "closed unused",
	[MANNER_PROBED] = "SYN, SYN-ACK, RST: a check or a scan",
	[MANNER_RUN_ENDED] = "still going on at the end",
	[MANNER_ONE_DIRECTION] = "the answer was not captured",
	[MANNER_GAP] = "bytes were not captured",
	[MANNER_OFFLOADED] = "offloaded to a flowtable",
	[MANNER_PRESSURE] = "the table was nearly full",
	[MANNER_SUPERSEDED] = "a new attempt on the same ports",
	[MANNER_ONE_WAY] = "the client expects no answer",
	[MANNER_OUTSIDE] = "from outside, to this gateway",
	[MANNER_AT_START] = "begun before all interfaces were watched",
};

static void print_rows(struct report *r, const struct ledger *l, enum ledger_row row)
{
	char text[160];
	int stage, manner;

	for (stage = 0; stage < STAGES; stage++)
		for (manner = 0; manner < MANNERS; manner++) {
			if (!l->count[row][stage][manner])
				continue;
			snprintf(text, sizeof(text), "%s: %s", stage_words[stage],
				 manner_words[manner]);
			text_wrapped(r,
				     fprintf(r->out, "  %-10s %6" PRIu64 " ", row_words[row],
					     l->count[row][stage][manner]),
				     20, text);
		}
}

/* Prints the row totals as one line, and what decided the rows that matter in this state. */
void text_ledger(struct report *r, const struct model *m, const struct diagnosis *d)
{
	char wait[FORMAT_DURATION], from[FORMAT_ADDRESS], to[FORMAT_ENDPOINT], text[256];
	FILE *out = r->out;
	int row, n = 0;

	if (!ledger_connects(&d->ledger))
		return;
	for (row = 0; row < LEDGER_ROWS; row++)
		n += snprintf(text + n, sizeof(text) - n, "%s%" PRIu64 " %s", row ? ", " : "",
			      ledger_row(&d->ledger, row), row_words[row]);
	text_wrapped(r, fprintf(out, "LEDGER "), 7, text);
	print_rows(r, &d->ledger, ROW_FAILED);
	print_rows(r, &d->ledger, ROW_LATE);
	if (r->verbose)
		print_rows(r, &d->ledger, ROW_CANCELLED);
	if (r->verbose || d->state == STATE_UNKNOWN) {
		print_rows(r, &d->ledger, ROW_UNDECIDED);
		print_rows(r, &d->ledger, ROW_UNSEEN);
	}
	if (m->longest.duration < m->stall_ns)
		return;
	snprintf(text, sizeof(text), "%s, %s, %s %s %s", format_duration(wait, m->longest.duration),
		 stage_words[m->longest.stage], format_address(from, &m->longest.client.address),
		 glyphs->arrow, format_endpoint(to, &m->longest.server));
	text_wrapped(r, fprintf(out, "  longest wait"), 20, text);
}

void text_result(struct report *r, const struct diagnosis *d)
{
	const struct colours *colours = text_colours(r);
	const struct finding *f = first_problem(d);
	char headline[NOTED_TEXT];

	/* the first problem's own sentence follows, unless it stands apart below */
	if (f && f->confidence > CONFIDENCE_LOW)
		return;
	text_heading(r, d->state == STATE_FINE ? colours->good : colours->bold, "RESULT");
	text_wrapped(r, fprintf(r->out, " ") + 6, 1,
		     f ? note_headline(headline, d, f, d->headline) : d->headline);
	if (f)
		text_wrapped(r, fprintf(r->out, " "), 1,
			     "That has low confidence: check it before you act.");
	if (d->state == STATE_UNKNOWN && r->session->no_tcp_reason[0])
		text_wrapped(r, fprintf(r->out, " "), 1, r->session->no_tcp_reason);
	if (d->state == STATE_FINE)
		text_wrapped(r, fprintf(r->out, " "), 1,
			     "Not looked at: QUIC and other UDP, and connections after their first "
			     "answer.");
	if (d->state == STATE_FAILURES && !r->verbose)
		text_wrapped(
			r, fprintf(r->out, " "), 1,
			"Run it with -v as well: it lists the peers that fail, and the hosts.");
}
