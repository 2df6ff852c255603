// SPDX-License-Identifier: GPL-2.0
#include "diagnose/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/format.h"

/*
 * Share of the run in which an interface may be blind, or down, before its silence proves nothing.
 */
#define BLIND_SHARE 0.1

const char *const state_names[STATE_COUNT] = {
	[STATE_PROBLEM] = "problem",
	[STATE_FAILURES] = "failures",
	[STATE_FINE] = "fine",
	[STATE_UNKNOWN] = "unknown",
};

static void __attribute__((format(printf, 2, 3))) add(struct diagnosis *d, const char *format, ...)
{
	size_t used = strlen(d->headline);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(d->headline + used, sizeof(d->headline) - used, format, arguments);
	va_end(arguments);
}

const struct finding *first_problem(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->at[i].is_problem)
			return &d->at[i];
	return NULL;
}

static const struct finding *find_no_verdict(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->at[i].kind == KIND_NO_VERDICT)
			return &d->at[i];
	return NULL;
}

static bool was_blind(const struct session *session)
{
	return session_blind_time(session, INGRESS) > BLIND_SHARE * session->duration ||
	       session_blind_time(session, EGRESS) > BLIND_SHARE * session->duration;
}

/* ---- the state ---- */

static enum state find_state(const struct diagnosis *d, const struct session *session)
{
	uint64_t connects = ledger_connects(&d->ledger),
		 open = ledger_row(&d->ledger, ROW_UNDECIDED) + ledger_row(&d->ledger, ROW_UNSEEN);

	if (first_problem(d))
		return STATE_PROBLEM;
	if (d->failed)
		return STATE_UNKNOWN;
	if (ledger_row(&d->ledger, ROW_FAILED) || ledger_row(&d->ledger, ROW_LATE) ||
	    (d->name_summary.unanswered_names && ledger_row(&d->ledger, ROW_IN_TIME)))
		return STATE_FAILURES;
	if (!ledger_row(&d->ledger, ROW_IN_TIME) || 2 * open >= connects || find_no_verdict(d) ||
	    was_blind(session) || session_down_time(session) > BLIND_SHARE * session->duration)
		return STATE_UNKNOWN;
	return STATE_FINE;
}

/* ---- the headline ---- */

/* Returns the first trait of hosts or connects for which no cause was found, or NULL. */
static const struct common_trait *find_common(const struct diagnosis *d)
{
	size_t i;

	for (i = 0; i < d->count; i++)
		if (d->at[i].comparison.common_count)
			return &d->at[i].comparison.common[0];
	return d->unexplained.common_count ? &d->unexplained.common[0] : NULL;
}

static void say_failures(struct diagnosis *d)
{
	const struct common_trait *shared = find_common(d);
	uint64_t connects = ledger_connects(&d->ledger),
		 failed = ledger_row(&d->ledger, ROW_FAILED),
		 late = ledger_row(&d->ledger, ROW_LATE);
	char server[FORMAT_ENDPOINT];

	if (!failed && !late)
		add(d,
		    "%" PRIu64 " of %" PRIu64
		    " connect%s %s served, but DNS answered nothing about "
		    "%" PRIu64 " name%s",
		    ledger_row(&d->ledger, ROW_IN_TIME), connects, plural(connects),
		    were(ledger_row(&d->ledger, ROW_IN_TIME)), d->name_summary.unanswered_names,
		    plural(d->name_summary.unanswered_names));
	if (failed)
		add(d, "%" PRIu64 " of %" PRIu64 " connect%s failed", failed, connects,
		    plural(connects));
	if (failed && late)
		add(d, " and %" PRIu64 " %s late", late, were(late));
	else if (late)
		add(d, "%" PRIu64 " of %" PRIu64 " connect%s %s late", late, connects,
		    plural(connects), were(late));
	add(d, "; no cause stands out");
	if (shared)
		add(d, ", but %zu of %zu %s have in common: %s%s%s", shared->bad_with, shared->bad,
		    shared->of_connects ? "of these connects" : "hosts concerned",
		    trait_names[shared->trait], shared->value[0] ? " " : "", shared->value);
	else if (d->worst_count)
		add(d, ", but %" PRIu64 " of these %" PRIu64 " are to %s", d->worst_count,
		    failed + late, format_endpoint(server, &d->worst_server));
}

static void say_fine(struct diagnosis *d, const struct model *m)
{
	uint64_t connects = ledger_connects(&d->ledger),
		 served = ledger_row(&d->ledger, ROW_IN_TIME),
		 cancelled = ledger_row(&d->ledger, ROW_CANCELLED),
		 open = ledger_row(&d->ledger, ROW_UNDECIDED) + ledger_row(&d->ledger, ROW_UNSEEN);
	char slowest[FORMAT_DURATION], unseen[NAMES_UNSEEN_TEXT];

	add(d, "%" PRIu64 " of %" PRIu64 " connect%s %s served", served, connects, plural(connects),
	    were(served));
	if (cancelled)
		add(d, ", %" PRIu64 " %s cancelled by the client", cancelled, were(cancelled));
	if (open)
		add(d, ", %" PRIu64 " %s undecided or not seen whole", open, were(open));
	if (m->slowest_service != NEVER)
		add(d, "; the slowest took %s to the first answer",
		    format_duration(slowest, m->slowest_service));
	if (*names_unseen(unseen, &d->name_summary))
		add(d, "; %s", unseen);
}

static void say_unknown(struct diagnosis *d, const struct session *session)
{
	const struct finding *reason = find_no_verdict(d);
	uint64_t connects = ledger_connects(&d->ledger),
		 undecided = ledger_row(&d->ledger, ROW_UNDECIDED),
		 unseen = ledger_row(&d->ledger, ROW_UNSEEN);
	char blind[FORMAT_DURATION];

	add(d, "nothing can be said: ");
	if (d->failed) {
		add(d, "out of memory, no diagnosis was made");
	} else if (reason) {
		add(d, "%s", reason->text);
	} else if (!connects) {
		add(d, "no new connection was seen");
	} else if (!undecided && !unseen && !ledger_row(&d->ledger, ROW_IN_TIME)) {
		add(d,
		    "%" PRIu64 " of %" PRIu64 " connect%s %s cancelled by the client, and none "
		    "was served",
		    connects, connects, plural(connects), were(connects));
	} else if (2 * (undecided + unseen) >= connects || !ledger_row(&d->ledger, ROW_IN_TIME)) {
		if (undecided)
			add(d, "%" PRIu64 " of %" PRIu64 " connect%s %s still going on", undecided,
			    connects, plural(connects), were(undecided));
		if (undecided && unseen)
			add(d, ", %" PRIu64 " %s not seen whole", unseen, were(unseen));
		else if (unseen)
			add(d, "%" PRIu64 " of %" PRIu64 " connect%s %s not seen whole", unseen,
			    connects, plural(connects), were(unseen));
	} else if (!was_blind(session)) {
		add(d, "an interface was down for %s",
		    format_duration(blind, session_down_time(session)));
	} else {
		add(d, "packets passed unseen for %s",
		    format_duration(blind, session_blind_time(session, INGRESS) >
							   session_blind_time(session, EGRESS)
						   ? session_blind_time(session, INGRESS)
						   : session_blind_time(session, EGRESS)));
	}
}

void diagnosis_conclude(struct diagnosis *d, const struct model *m, const struct session *session)
{
	d->headline[0] = '\0';
	d->state = find_state(d, session);
	switch (d->state) {
	case STATE_PROBLEM:
		add(d, "%s", first_problem(d)->text);
		break;
	case STATE_FAILURES:
		say_failures(d);
		break;
	case STATE_FINE:
		say_fine(d, m);
		break;
	default:
		say_unknown(d, session);
		break;
	}
}
