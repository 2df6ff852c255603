/* SPDX-License-Identifier: GPL-2.0 */
/* Names of ethertypes, from IEEE's registry. */
#pragma once

#include <stdint.h>

/* All IEEE 802.3 frames without an ethertype of their own: ETH_P_802_2 of linux/if_ether.h. */
#define ETHERTYPE_LLC 0x0004

/* "MACsec"; NULL if the ethertype has no name here. */
const char *ethertype_name(uint16_t ethertype);
