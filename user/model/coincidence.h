/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bounds on the time between two events of one host that belong together. The diagnosis and the
 * choice of packets for --write share them, so that a finding's packets are in the file.
 */
#pragma once

#include "connection.h"

/* Maximum time between the ends of two waits that the same event ends. */
#define SAME_MOMENT_NS (100 * (ns_t)MILLISECOND_NS)

/*
 * An attempt that a request waits for starts at most LEAD_NS before, or LAG_NS after, the handshake
 * of the waiting connection.
 */
#define LEAD_NS (250 * (ns_t)MILLISECOND_NS)
#define LAG_NS (50 * (ns_t)MILLISECOND_NS)

/* High confidence that clients wait for a peer takes at least so many coincidences. */
#define HIGH_COINCIDENCES 3
