/* SPDX-License-Identifier: GPL-2.0 */
/* What stands before the IP header in a capture? Link types are libpcap's (DLT_...). */
#pragma once

#include "source/offline.h"

#define LINKTYPES_KNOWN 15
extern const int linktypes_known[LINKTYPES_KNOWN];

bool linktype_is_known(int link);

/*
 * f holds a frame as it was captured; moves it behind a link header that is not Ethernet's and says
 * what follows. A frame too short for its link header is left with an ethertype of 0.
 */
void linktype_strip(int link, struct offline_frame *f);
