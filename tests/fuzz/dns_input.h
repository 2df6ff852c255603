/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The format of the fuzzer's inputs of DNS packets; dns_seeds.c writes them, dns.c plays them. Each
 * item is a struct head (input.h), then DNS_ITEM_BYTES, then the message. head.what holds the flags
 * of struct dns_head up to DNS_FIRST_FRAGMENT, and two bits more.
 */
#pragma once

#include "dns_event.h"
#include "input.h"

enum {
	ITEM_CUT = 1 << 6, /* the message is longer on the wire */
	ITEM_ACTION = 1 << 7, /* no packet, but enum item_action */
};

/* In the first byte of an item that is no packet. */
enum item_action { ITEM_SWEEP, ITEM_GAP, ITEM_CONNECT, ITEM_ACTIONS };

/* The first byte of a packet: who asks whom. The second one: port of the client, and the VLAN. */
enum {
	ITEM_CLIENT = 7,
	ITEM_SERVER = 3 << 3,
	ITEM_SERVER_SHIFT = 3,
	ITEM_FROM_SERVER = 1 << 5,
	ITEM_OTHER_PORT = 1 << 6, /* port 5353 of the server */
	ITEM_OTHER_IFACE = 1 << 7,

	ITEM_PORT = 0x3f, /* 0: port 53 */
	ITEM_VLAN = 1 << 6,
	ITEM_TO_OWN = 1 << 7,
};

#define DNS_ITEM_BYTES 2
