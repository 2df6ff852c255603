/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What do the bad ones have in common? Compares the hosts of each finding, and of connects without a
 * finding, with hosts that did the same at the same time and were well. The unit is the host, since
 * the connects of a host are not independent.
 *
 * Each trait is tested once for each finding; Holm's procedure over all tests of the report keeps
 * the probability that any trait is named by chance below MAX_P. The tests of SYNs within hosts
 * (syn_faults.c) are another family, so each family may use half of MAX_P: p-values are doubled.
 */
#pragma once

#include "diagnose/finding.h"

#define MAX_P 0.05 /* a trait is named, with low confidence */
#define CERTAIN_P 0.01 /* with high confidence */
