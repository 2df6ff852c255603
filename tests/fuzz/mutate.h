/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libFuzzer's mutation by whole items of a tape: mutated bytes seldom give a second packet that
 * matches the first one. The target includes this after its definitions of
 *
 *	TAPE_BEGIN	bytes before the first item
 *	turn()		makes of an item, behind its head, one of the other side
 *	set_field()	sets a decisive field of an item to a critical value
 */
#pragma once

#include <string.h>

#include "input.h"

#define MAX_FRAMES 128

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed);

/* Stores the start of each frame, and in at[count] the end of the last one. */
static inline size_t frames_of(const uint8_t *data, size_t size, const uint8_t *at[MAX_FRAMES + 1])
{
	const uint8_t *p = data + TAPE_BEGIN, *end = data + size;
	struct head h;
	size_t count = 0;

	at[0] = p;
	while (count < MAX_FRAMES && head_read(&h, &p, end)) {
		p += h.length;
		at[++count] = p;
	}
	return count;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
	const uint8_t *at[MAX_FRAMES + 1];
	size_t count, one, to, length, grown;
	uint8_t *frame, *p;
	struct head h;

	if (!size || seed % 8 == 0)
		return LLVMFuzzerMutate(data, size, most);
	count = frames_of(data, size, at);
	if (!count)
		return LLVMFuzzerMutate(data, size, most);
	seed /= 8;
	one = seed % count;
	length = at[one + 1] - at[one];
	frame = data + (at[one] - data);
	p = frame;
	head_read(&h, (const uint8_t **)&p, data + size);
	seed /= 64;
	switch (seed % 6) {
	case 0: /* repeat it at a later position */
	case 1: /* repeat it, from the other side */
		if (size + length > most)
			return size;
		to = one + 1 + seed / 6 % (count - one);
		{
			uint8_t copy[HEAD_BYTES + 65536];

			if (length > sizeof(copy))
				return size;
			memcpy(copy, frame, length);
			if (seed % 6 == 1)
				turn(copy + HEAD_BYTES, &h);
			p = data + (at[to] - data);
			memmove(p + length, p, data + size - p);
			memcpy(p, copy, length);
		}
		return size + length;
	case 2: /* remove it */
		memmove(frame, frame + length, data + size - frame - length);
		return size - length;
	case 3:
		set_field(p, &h, seed / 6);
		return size;
	case 4: /* its time and direction */
		frame[seed / 6 % 4] = seed / 24;
		return size;
	default: /* its bytes, by libFuzzer */
		if (!h.length)
			return size;
		grown = LLVMFuzzerMutate(p, h.length, h.length);
		memset(p + grown, 0, h.length - grown);
		return size;
	}
}
