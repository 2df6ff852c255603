/* SPDX-License-Identifier: GPL-2.0 */
/* Queries the IPsec policies of this host, see ip-xfrm(8). */
#pragma once

#include <stdbool.h>

/*
 * Returns true if policies may encrypt packets that leave. Returns false also without the privilege
 * to query them.
 */
bool ipsec_is_used(void);
