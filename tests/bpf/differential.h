/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The compiled BPF object and the native build, fed with the same packets: the object runs in the
 * kernel through BPF_PROG_TEST_RUN, in the packets' own time. Their records, the packets that they
 * keep and their counters must be the same. What the kernel refuses ends the program.
 */
#pragma once

#include "source/offline.h"
#include "source/flow_table.h"

#define START (3600 * SECOND_NS)
#define BOTH_FLOWS 16384 /* places in the object's map: a small one is made quickly */

struct records {
	struct record *at;
	size_t count;
	size_t room;
};

/* Packets as they are kept for --write: heads, and a hash of the bytes. */
struct packets {
	struct {
		struct packet_head head;
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
	const struct offline_frame *frame; /* that is being fed */
	struct records from_bpf;
	struct offline *offline;
	struct records from_native;
	uint64_t now;
	unsigned int frames;
	bool keeps_packets;
};

struct both *both_new(bool keeps_packets);
void both_free(struct both *b);

/* A play: begin, then feed and sweep in turn, then finish, which answers what differs, or NULL. */
void both_begin(struct both *b);

/* frame->time counts from START. Frames that the kernel does not take are left out of both. */
void both_feed(struct both *b, const struct offline_frame *frame);

/* At b->now. */
void both_sweep_bpf(struct both *b);
const char *both_finish(struct both *b);

/* What the object has counted since it was loaded; COUNTERS of them. */
void both_counters(const struct both *b, uint64_t *sum);

/* NULL when all counters of openings of the object were given back. */
const char *not_given_back(const struct both *b);

/* Runs a program of the object. Negative errno when the kernel refuses. */
int test_run(const struct bpf_program *program, void *data, uint32_t size, uint64_t now,
	     int repeat);
