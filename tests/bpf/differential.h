/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Feeds the compiled BPF object and the native build with the same packets. The object runs in the
 * kernel through BPF_PROG_TEST_RUN, at the packets' own times. Both must give the same records,
 * kept packets, DNS packets and counters. An error of the kernel ends the program.
 */
#pragma once

#include "source/offline.h"
#include "source/flow_table.h"

#define START (3600 * SECOND_NS)
#define BOTH_FLOWS 16384 /* entries in the object's map: a small map is made quickly */

struct records {
	struct record *at;
	size_t count;
	size_t room;
};

/* The packets kept for --write: their headers, and a hash of the bytes. */
struct packets {
	struct {
		struct packet_head head;
		uint64_t bytes;
	} * at;
	size_t count;
	size_t room;
};

/* DNS packets: the heads, and a hash of the bytes. */
struct dns_events {
	struct {
		struct dns_head head;
		uint64_t bytes;
	} * at;
	size_t count;
	size_t room;
};

struct both {
	struct probe_bpf *bpf;
	struct ring_buffer *ring;
	struct packets packets_from_bpf;
	struct packets packets_from_native;
	struct dns_events dns_from_bpf;
	struct dns_events dns_from_native;
	const struct offline_frame *frame; /* the current frame */
	struct records from_bpf;
	struct offline *offline;
	struct records from_native;
	uint64_t now;
	unsigned int frames;
	bool keeps_packets;
	const struct selector *selector; /* NULL for all connections */
};

/* The selector has to outlive the result. */
struct both *both_new(bool keeps_packets, const struct selector *selector);
void both_free(struct both *b);

/*
 * A play: begin, then feed and sweep in any order, then finish, which returns a difference or NULL.
 */
void both_begin(struct both *b);

/*
 * frame->time counts from START. Frames that the kernel does not accept are omitted on both sides.
 */
void both_feed(struct both *b, const struct offline_frame *frame);

/* Sweeps at b->now. */
void both_sweep_bpf(struct both *b);
const char *both_finish(struct both *b);

/* Stores the COUNTERS sums of the object since it was loaded. */
void both_counters(const struct both *b, uint64_t *sum);

/* Returns NULL if all counters of openings of the object are back to zero. */
const char *not_given_back(const struct both *b);

/* Runs a program of the object. Returns a negative errno if the kernel refuses. */
int test_run(const struct bpf_program *program, void *data, uint32_t size, uint64_t now,
	     int repeat);
