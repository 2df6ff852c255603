/* SPDX-License-Identifier: GPL-2.0 */
/* Which packets a capture holds: a filter by TCP flags hides what most findings are about. */
#pragma once

#include "diagnose/context.h"

enum view {
	VIEW_WHOLE,
	VIEW_SYNS, /* only SYNs: whether anybody answers was not seen */
	VIEW_HANDSHAKES, /* only SYNs and SYN-ACKs: what follows was not seen */
	VIEW_ANSWERS, /* only SYN-ACKs without a SYN: the way of the clients was not seen */
};

/* A live run sees both directions of its interfaces, so its view is always whole. */
enum view view_of(const struct model *m, const struct session *session);

/* Enters the connects that such a view decides wrongly into the row "unseen". */
void view_correct_ledger(enum view view, struct ledger *l);

/* Reports that nothing can be said; it stands for all other causes. */
void report_view(struct context *g, enum view view);
