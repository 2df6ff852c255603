/* SPDX-License-Identifier: GPL-2.0 */
/* IPsec policies of this host, see ip-xfrm(8). */
#pragma once

#include <stdbool.h>

/* True if policies may encrypt packets that leave. False as well without the right to ask. */
bool ipsec_is_used(void);
