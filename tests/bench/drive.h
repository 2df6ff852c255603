/* SPDX-License-Identifier: GPL-2.0 */
/* The segments of the connections that drive.bpf.c plays; both sides begin with the same ISN. */
#pragma once

#include "parse.h"

#define DRIVE_STEPS 16

struct drive_step {
	__u8 from_server;
	__u8 flags;
	__u16 payload;
	__u32 seq; /* relative to the ISN, like ack */
	__u32 ack;
};

/* A connection as Linux makes it, from the SYN to the end. */
static const struct drive_step whole_connection[] = {
	{ 0, TCP_SYN, 0, 0, 0 },
	{ 1, TCP_SYN | TCP_ACK, 0, 0, 1 },
	{ 0, TCP_ACK, 0, 1, 1 },
	{ 0, TCP_ACK, 400, 1, 1 },
	{ 1, TCP_ACK, 0, 1, 401 },
	{ 1, TCP_ACK, 400, 1, 401 },
	/* the rest is not part of the opening */
	{ 0, TCP_ACK, 0, 401, 401 },
	{ 1, TCP_ACK | TCP_FIN, 0, 401, 401 },
	{ 0, TCP_ACK | TCP_FIN, 0, 401, 402 },
	{ 1, TCP_ACK, 0, 402, 402 },
};

#define ANSWERED_STEPS 2
#define OPENING_STEPS 6
#define ALL_STEPS (sizeof(whole_connection) / sizeof(whole_connection[0]))
