/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting filter in front of the flow table: one load shows whether a flow with a given hash may
 * be opening. A packet of an established connection reads nothing else.
 *
 * Buys: a hash lookup for each packet would cost 22 to 30 ns, the filter costs about 1 ns.
 * Costs: 512 KiB, which stay in the cache of a core, and an atomic add at the start and end of each
 * flow.
 */
#pragma once

#include "compat.h"

/*
 * Each opening flow adds 1024 + fingerprint(hash) to its 16-bit cell. Fingerprints are below 512.
 * So a cell is 0 without a flow, below 2048 with one flow, below 3072 with two, and holds up to 31
 * flows. Two cells share a word.
 *
 * A cell with one flow dismisses packets whose fingerprint differs. A cell with two flows holds the
 * sum of their fingerprints. It dismisses a packet unless the sum minus the packet's fingerprint is
 * itself a fingerprint. Fingerprints are scaled squares, only an eighth of the numbers below 512,
 * so a false match is rare. With 100 000 answered openings pending, 1.7 % of other packets pass the
 * filter and are checked against their bucket. Without the rule for two flows, 5.7 % would pass,
 * and the average packet would cost 15 instead of 9 ns.
 *
 * The cell is a sum because add is the only atomic operation before kernel 5.12.
 *
 * A cell must never overflow: it would then dismiss packets of opening flows. So a cell that is
 * half full takes no more flows. This does not happen by chance, but one four-tuple may be open in
 * thousands of VLANs. The other half is room for CPUs that add at the same moment.
 */
#define FILTER_SHIFT 18
#define CELL_ONE 1024U
#define CELL_FULL (32 * CELL_ONE) /* the upper bit of a cell */

struct flow_filter {
	__u32 words[1 << (FILTER_SHIFT - 1)]; /* 512 KiB */
};

/* Uses the lowest bits of the hash; the highest bits select the cell. */
static __always_inline __u32 fingerprint(__u32 hash)
{
	__u32 root = hash & 63;

	return root * root >> 3;
}

/* Bitmap of all values that fingerprint() returns. */
static const __u64 fingerprints[8] = {
	0x108421111124955f, 0x0101020408104104, 0x4010080402010101, 0x2004008010040100,
	0x0100100100100100, 0x0400100080040020, 0x0008001000400100, 0x0001000100020004,
};

static __always_inline bool is_fingerprint(__u32 number)
{
	return number < 512 && fingerprints[number >> 6] >> (number & 63) & 1;
}

/* Returns the amount that one flow adds to its cell. */
static __always_inline __u32 cell_increment(__u32 hash)
{
	return CELL_ONE | fingerprint(hash);
}

static __always_inline __u32 cell_of(__u32 hash)
{
	return hash >> (32 - FILTER_SHIFT);
}

static __always_inline __u16 cell_read(const struct flow_filter *filter, __u32 cell)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	cell ^= 1;
#endif
	return ((const volatile __u16 *)filter->words)[cell];
}

/*
 * Returns false if no flow with this hash is opening, and true if one may be. It takes one load.
 * Nearly all packets take a single branch, which covers an empty cell and a cell with one other
 * flow.
 */
static __always_inline bool filter_may_hold(const struct flow_filter *filter, __u32 hash)
{
	__u32 cell = cell_read(filter, cell_of(hash));

	if (likely((cell ^ cell_increment(hash)) - 1 <= 2 * CELL_ONE - 2))
		return false;
	if (cell - 2 * CELL_ONE >= CELL_ONE)
		return true;
	return is_fingerprint(cell - 2 * CELL_ONE - fingerprint(hash));
}

/* Returns true if another flow may be added to the cell of this hash. */
static __always_inline bool filter_has_room(const struct flow_filter *filter, __u32 hash)
{
	return !(cell_read(filter, cell_of(hash)) & CELL_FULL);
}

/* Adds (n = 1) or removes (n = -1) a flow. */
static __always_inline void filter_add(struct flow_filter *filter, __u32 hash, int n)
{
	__u32 cell = cell_of(hash);

	__sync_fetch_and_add(&filter->words[cell >> 1],
			     n * (cell_increment(hash) << ((cell & 1) << 4)));
}
