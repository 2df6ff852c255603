// SPDX-License-Identifier: GPL-2.0
/*
 * Writes the first inputs of the fuzzers: every scenario as a tape (DIRECTORY/packets) and as a
 * capture, in the formats and link types in turn (DIRECTORY/files); and tapes of DNS packets
 * (DIRECTORY/dns).
 *
 *	seeds DIRECTORY
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "input.h"
#include "packet_script.h"
#include "seeds.h"

FILE *create_seed(const char *directory, const char *kind, size_t number)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/scenario-%02zu", directory, kind, number);
	f = fopen(path, "we");
	if (!f) {
		fprintf(stderr, "seeds: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return f;
}

void finish_seed(FILE *f)
{
	if (fclose(f)) {
		perror("seeds");
		exit(1);
	}
}

static uint16_t delay_of(uint64_t ns)
{
	if (ns < 0x4000 * 1000ULL)
		return ns / 1000;
	if (ns < 0x4000 * MS)
		return 1 << 14 | ns / MS;
	return 2 << 14 | (ns / (100 * MS) & 0x3fff);
}

static void write_tape(FILE *f, const struct tape *t)
{
	uint8_t bytes[HEAD_BYTES];
	uint64_t before = 0;
	struct head h;
	size_t i;

	fputc(31, f); /* a table of 32 */
	for (i = 0; i < t->count; i++) {
		const struct tape_frame *frame = &t->frames[i];

		h.what = (frame->egress ? WHAT_EGRESS : 0) | (frame->sweep ? WHAT_SWEEP : 0);
		if (frame->wire_length > frame->length)
			h.what |= WHAT_CUT;
		h.delay = delay_of(i ? frame->at - before : 0);
		h.length = frame->sweep ? 0 : frame->length;
		before = frame->at;
		head_write(&h, bytes);
		fwrite(bytes, sizeof(bytes), 1, f);
		fwrite(frame->bytes, h.length, 1, f);
	}
}

/* ---- captures ---- */

/* Link types by their number in files, and the link header before an IP header. */
static const struct link_head {
	uint32_t type;
	uint32_t length;
	uint8_t ip4[20];
	uint8_t ip6[20];
} links[] = {
	{ 1, 0, {}, {} }, /* Ethernet, unchanged */
	{ 0, 4, { 2 }, { 30 } }, /* BSD loopback */
	{ 9, 4, { 0xff, 3, 0, 0x21 }, { 0xff, 3, 0, 0x57 } }, /* PPP */
	{ 50, 4, { 0xff, 3, 0, 0x21 }, { 0xff, 3, 0, 0x57 } },
	{ 51, 8, { 0x11, 0, 0, 1, 0, 0, 0, 0x21 }, { 0x11, 0, 0, 1, 0, 0, 0, 0x57 } }, /* PPPoE */
	{ 101, 0, {}, {} }, /* raw IP */
	{ 104, 4, { 0x0f, 0, 8, 0 }, { 0x0f, 0, 0x86, 0xdd } }, /* Cisco HDLC */
	{ 113, 16, { 0, 0, 0, 1, 0, 6, [14] = 8, 0 }, { 0, 0, 0, 1, 0, 6, [14] = 0x86, 0xdd } },
	{ 239,
	  8,
	  { 2, 0, 0, 0 },
	  { 10, 0, 0, 0 } }, /* nflog; the length of its last field follows */
	{ 276, 20, { 8, 0 }, { 0x86, 0xdd } },
};

struct out {
	uint8_t *at;
	size_t count;
	bool other_order;
};

static void put(struct out *o, uint64_t value, int bytes)
{
	int i;

	for (i = 0; i < bytes; i++)
		o->at[o->count++] = value >> 8 * (o->other_order ? bytes - 1 - i : i);
}

static void put_bytes(struct out *o, const uint8_t *bytes, size_t n)
{
	memcpy(o->at + o->count, bytes, n);
	o->count += n;
}

/* Writes the frame after this link's header. Returns its length. */
static uint32_t put_link(uint8_t *to, const struct link_head *link, const struct tape_frame *f)
{
	bool ip6 = f->length > 12 && f->bytes[12] == 0x86;
	uint32_t length = f->length > 14 ? f->length - 14 : 0;

	if (link->type == 1) {
		memcpy(to, f->bytes, f->length);
		return f->length;
	}
	memcpy(to, ip6 ? link->ip6 : link->ip4, link->length);
	if (link->type == 239) { /* a TLV of the packet and 4 bytes; 9 is the payload */
		to[4] = length + 4;
		to[5] = (length + 4) >> 8;
		to[6] = 9;
	}
	memcpy(to + link->length, f->bytes + 14, length);
	return link->length + length;
}

static void put_pcap(struct out *o, const struct tape *t, const struct link_head *link, bool nano)
{
	uint8_t bytes[FRAME_BYTES + 20];
	uint32_t length;
	size_t i;

	put(o, nano ? 0xa1b23c4d : 0xa1b2c3d4, 4);
	put(o, 2, 2);
	put(o, 4, 2);
	put(o, 0, 8);
	put(o, 65535, 4);
	put(o, link->type, 4);
	for (i = 0; i < t->count; i++) {
		const struct tape_frame *f = &t->frames[i];

		if (f->sweep)
			continue;
		length = put_link(bytes, link, f);
		put(o, f->at / SECOND_NS, 4);
		put(o, f->at % SECOND_NS / (nano ? 1 : 1000), 4);
		put(o, length, 4);
		put(o, length + f->wire_length - f->length, 4);
		put_bytes(o, bytes, length);
	}
}

static void put_pcapng(struct out *o, const struct tape *t, const struct link_head *link)
{
	uint8_t bytes[FRAME_BYTES + 24] = {};
	uint32_t length, padded;
	size_t i;

	put(o, 0x0a0d0d0a, 4);
	put(o, 28, 4);
	put(o, 0x1a2b3c4d, 4);
	put(o, 1, 2);
	put(o, 0, 2);
	put(o, ~0ULL, 8);
	put(o, 28, 4);

	put(o, 1, 4);
	put(o, 32, 4);
	put(o, link->type, 2);
	put(o, 0, 2);
	put(o, 65535, 4);
	put(o, 9, 2); /* if_tsresol: nanoseconds */
	put(o, 1, 2);
	put(o, o->other_order ? 9ULL << 24 : 9, 4);
	put(o, 0, 4);
	put(o, 32, 4);
	for (i = 0; i < t->count; i++) {
		const struct tape_frame *f = &t->frames[i];

		if (f->sweep)
			continue;
		length = put_link(bytes, link, f);
		padded = (length + 3) & ~3U;
		memset(bytes + length, 0, padded - length);
		put(o, 6, 4);
		put(o, 32 + padded, 4);
		put(o, 0, 4);
		put(o, f->at >> 32, 4);
		put(o, f->at, 4);
		put(o, length, 4);
		put(o, length + f->wire_length - f->length, 4);
		put_bytes(o, bytes, padded);
		put(o, 32 + padded, 4);
	}
}

static void write_capture(FILE *f, const struct tape *t, size_t number)
{
	static uint8_t room[TAPE_FRAMES * (FRAME_BYTES + 64) + 256];
	struct out o = { .at = room, .other_order = number / 3 % 2 };
	const struct link_head *link = &links[number % (sizeof(links) / sizeof(links[0]))];
	gzFile zipped;

	if (number % 3 == 2)
		put_pcapng(&o, t, link);
	else
		put_pcap(&o, t, link, number % 3);
	if (number % 7 == 6)
		o.count -= o.count / 5; /* cut in the middle */
	if (number % 11 == 10) {
		zipped = gzdopen(dup(fileno(f)), "wb");
		if (!zipped || gzwrite(zipped, room, o.count) != (int)o.count || gzclose(zipped))
			exit(1);
		return;
	}
	fwrite(room, o.count, 1, f);
}

int main(int argc, char **argv)
{
	static struct tape tape;
	char path[4096];
	size_t i;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: seeds DIRECTORY\n");
		return 2;
	}
	mkdir(argv[1], 0777);
	snprintf(path, sizeof(path), "%s/packets", argv[1]);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/files", argv[1]);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/dns", argv[1]);
	mkdir(path, 0777);
	write_dns_seeds(argv[1]);
	for (i = 0; i < scenario_count; i++) {
		tape_start(&tape);
		scenarios[i].make(&tape);
		f = create_seed(argv[1], "packets", i);
		write_tape(f, &tape);
		finish_seed(f);
		f = create_seed(argv[1], "files", i);
		write_capture(f, &tape, i);
		finish_seed(f);
	}
	return 0;
}
