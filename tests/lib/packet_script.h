/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hand-made frames: a tape is the sequence of packets that pass the hook, with their time stamps.
 * The unit tests play it to the native build, the BPF tests also to the compiled object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parse.h"
#include "record.h"

#define MS MILLISECOND_NS
#define TAPE_FRAMES 512
#define FRAME_BYTES 512

enum end { CLIENT, SERVER };

struct tape_frame {
	uint64_t at; /* ns */
	uint32_t length;
	uint32_t wire_length;
	bool egress;
	bool sweep; /* no frame: the sweep examines all flows at this time */
	uint8_t bytes[FRAME_BYTES];
};

/* The state from which the next frame is made; tests change it between frames. */
struct tape {
	struct tape_frame frames[TAPE_FRAMES];
	size_t count;
	bool ip6;
	uint8_t address[2][16];
	uint16_t port[2];
	uint32_t isn[2];
	uint16_t ip_id; /* of the next frame; counts up unless repeat_id */
	bool repeat_id;
	bool more_fragments; /* IPv4 */
	uint16_t udp_excess; /* bytes of the datagram that later fragments hold */
	bool egress;
	uint16_t vlan[2]; /* tags in the frame, 0 for none */
	unsigned int options; /* bytes of IPv4 options */
	unsigned int extension; /* bytes of an IPv6 destination options header */
	unsigned int padding; /* bytes after the IP datagram */
	uint16_t mss; /* option of SYNs, 0 for none */
	/* the options of SYNs instead of the MSS; 0 bytes for none, else a multiple of four */
	uint8_t tcp_options[40];
	unsigned int tcp_options_length;
	uint8_t ttl;
	uint16_t window;
	uint8_t payload[8]; /* the first bytes of each payload */
};

void tape_start(struct tape *t);

/*
 * seq is relative to the sender's ISN, ack to the other side's. The frame has at most the first 64
 * bytes of the payload.
 */
void tcp(struct tape *t, double ms, enum end from, uint8_t flags, uint32_t seq, uint32_t ack,
	 uint32_t payload);

/* Sets tcp_options, padded to a multiple of four bytes with the end of the list. */
void set_options(struct tape *t, const void *bytes, unsigned int length);

/* The ICMP error about a segment of the client with this sequence number, relative to its ISN. */
void icmp(struct tape *t, double ms, uint8_t type, uint8_t code, uint32_t seq);

/* A datagram with this payload. Its UDP length is that of the payload plus udp_excess. */
void udp(struct tape *t, double ms, enum end from, const void *payload, uint32_t length);

/* The ICMP error to the client, or to the server, about its datagram. */
void icmp_about_udp(struct tape *t, double ms, enum end to, uint8_t type, uint8_t code,
		    const void *payload, uint32_t length);

/* Lets the sweep examine all flows at this time. */
void sweep(struct tape *t, double ms);

/* SYN, SYN-ACK, ACK at ms, ms + 10, ms + 11. */
void handshake(struct tape *t, double ms);

/* A tape and its expected records. check() returns the first failed expectation, or NULL. */
struct connection;
struct scenario {
	const char *name;
	const char *otherwise; /* what the user would lose */
	void (*make)(struct tape *t);
	const char *(*check)(const struct connection *c, size_t count, const uint64_t *counters);
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;
