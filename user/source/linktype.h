/* SPDX-License-Identifier: GPL-2.0 */
/* Strips the link-layer headers of captures, by libpcap's link type (DLT_...). */
#pragma once

#include "source/offline.h"

#define LINKTYPES_KNOWN 15
extern const int linktypes_known[LINKTYPES_KNOWN];

bool linktype_is_known(int link);

/*
 * Strips a link-layer header other than Ethernet from the frame, and sets its link and ethertype. A
 * frame that is too short for its header keeps an ethertype of 0.
 */
void linktype_strip(int link, struct offline_frame *f);
