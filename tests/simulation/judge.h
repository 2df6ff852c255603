/* SPDX-License-Identifier: GPL-2.0 */
/* Compares findings with the truth about a population. */
#pragma once

#include "diagnose/diagnose.h"
#include "population.h"

enum verdict { NOT_JUDGED, CORRECT, WRONG, VERDICTS };

enum verdict judge(const struct population *p, const struct finding *f);

/* Returns the kind of finding that names a fault; trouble is below FAULTS. */
enum finding_kind kind_of_fault(enum trouble trouble);

/* Reports whether the finding is about this server, alone or among others. */
bool finding_is_about(const struct finding *f, const struct server *s);
