/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What passes a wire and is not understood, in words: the names of ethertypes, and what it may mean
 * when nothing is understood at all.
 */
#pragma once

#include <stddef.h>

#include "session.h"

/* All IEEE 802.3 frames without an ethertype of their own, as Linux' ETH_P_802_2. */
#define ETHERTYPE_LLC 0x0004

/* "MACsec"; NULL for what has no name here. */
const char *ethertype_name(uint16_t ethertype);

/*
 * Since the start so many packets and bytes have passed the interface, and the run's counters say
 * what they were. Where they hold next to nothing that connections could be seen in: false, when
 * there is no such doubt; else a sentence or two in text, what it is and what to watch instead.
 */
bool explain_no_tcp(const struct session *session, uint64_t packets, uint64_t bytes, char *text,
		    size_t room);
