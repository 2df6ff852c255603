/* SPDX-License-Identifier: GPL-2.0 */
/* The format of the fuzzer's inputs of packets; seeds.c writes them, packets.c plays them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "record.h"

enum {
	WHAT_EGRESS = 1 << 0,
	WHAT_FROM_GATEWAY = 1 << 1,
	WHAT_BARE = 1 << 2, /* no link header: IPv4, or with WHAT_IP6 IPv6 */
	WHAT_IP6 = 1 << 3,
	WHAT_SWEEP = 1 << 4, /* no frame: the sweep examines all flows at this time */
	WHAT_CUT = 1 << 5, /* longer on the wire than here */
	WHAT_OTHER_IFACE = 1 << 6,
};

#define HEAD_BYTES 5

/* The header of each frame: what, delay and length, the latter two with the low byte first. */
struct head {
	uint8_t what;
	uint16_t delay; /* since the previous frame: 14 bits, in the unit of the upper two bits */
	uint16_t length;
};

static inline bool head_read(struct head *h, const uint8_t **p, const uint8_t *end)
{
	const uint8_t *b = *p;

	if (end - b < HEAD_BYTES)
		return false;
	h->what = b[0];
	h->delay = b[1] | b[2] << 8;
	h->length = b[3] | b[4] << 8;
	*p += HEAD_BYTES;
	if (h->length > end - *p)
		h->length = end - *p;
	return true;
}

static inline void head_write(const struct head *h, uint8_t b[HEAD_BYTES])
{
	b[0] = h->what;
	b[1] = h->delay;
	b[2] = h->delay >> 8;
	b[3] = h->length;
	b[4] = h->length >> 8;
}

/* Returns nanoseconds, possibly negative: clocks of captures may go backwards. */
static inline int64_t head_delay(const struct head *h)
{
	static const int64_t units[] = { 1000, MILLISECOND_NS, 100 * MILLISECOND_NS,
					 -(int64_t)MILLISECOND_NS };

	return (h->delay & 0x3fff) * units[h->delay >> 14];
}
