/* SPDX-License-Identifier: GPL-2.0 */
/* Names of ethertypes, from the IEEE registry. */
#pragma once

#include <stdint.h>

/* Stands for all IEEE 802.3 frames without an ethertype: ETH_P_802_2 of linux/if_ether.h. */
#define ETHERTYPE_LLC 0x0004

/* Returns a name such as "MACsec", or NULL if none is known. */
const char *ethertype_name(uint16_t ethertype);
