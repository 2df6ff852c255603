// SPDX-License-Identifier: GPL-2.0
/*
 * What would tell more about a finding: an option that was not given, or a capture elsewhere. Only
 * where it decides something that the finding leaves open.
 */
#include "diagnose/causes.h"

/* Returns true if the other side of this gateway would show whether it drops or delays packets. */
static bool is_decided_by_other_side(enum finding_kind kind)
{
	switch (kind) {
	case KIND_LOSSY_FAR_SIDE:
	case KIND_MTU_BLACK_HOLE:
	case KIND_NO_ANSWER:
	case KIND_SLOW_CONNECT:
	case KIND_LARGE_HELLO:
		return true;
	default:
		return false;
	}
}

/* Returns true if its sentences would have names of DNS in them. */
static bool lacks_names(const struct context *g, const struct finding *f)
{
	return g->session->names_mode == NAMES_NONE && f->kind != KIND_RESOLVER_UNANSWERED &&
	       finding_kinds[f->kind].family == FAMILY_NAME;
}

void add_next_steps(struct context *g)
{
	const struct session *session = g->session;
	struct finding *f;

	for (f = g->d->at; f < g->d->at + g->d->count; f++) {
		if (is_decided_by_other_side(f->kind) && session->interface_count < 2)
			finding_line(f, "more", "%s",
				     session->is_capture
					     ? "a capture of both sides of the gateway tells on "
					       "which of them the packets are missing or late"
					     : "the other side as well (a second --iface) tells "
					       "whether this gateway loses or delays them");
		if (lacks_names(g, f))
			finding_line(f, "more", "--names evidence tells which names they are");
	}
}
