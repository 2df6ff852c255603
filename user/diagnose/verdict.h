/* SPDX-License-Identifier: GPL-2.0 */
/* The result of a run. It follows from the findings and the ledger, and all reports share it. */
#pragma once

#include "diagnose/diagnose.h"

/* Sets d->state and d->headline. The findings are complete and sorted, and so is d->ledger. */
void diagnosis_conclude(struct diagnosis *d, const struct model *m, const struct session *session);
