/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How close in time two events of one host must be to belong together. The diagnosis and the choice
 * of packets for --write share these bounds, so that a finding's packets are in the file.
 */
#pragma once

#include "connection.h"

/* Sockets that one event releases end their waits within this time of each other. */
#define SAME_MOMENT_NS (100 * (ns_t)MILLISECOND_NS)

/* An attempt that a request waits for begins at most so long after the handshake, or before it. */
#define LEAD_NS (250 * (ns_t)MILLISECOND_NS)
#define LAG_NS (50 * (ns_t)MILLISECOND_NS)
