/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of the cause dead peers. */
#pragma once

#include "diagnose/failing_servers.h"

/* Minimum number of peers that fail together before a common cause is reported. */
#define MIN_TOGETHER 3

bool is_near(const struct endpoint *a, const struct endpoint *b);

/* Report hosts that try very many failing peers which no other host tries; removes these peers. */
void report_scanners(struct context *g, struct failing_list *list, enum finding_kind kind);

/*
 * Report the prefix, or else the port or the host, that fails together with this server, and mark
 * its servers as grouped.
 */
void report_prefix(struct context *g, struct failing_list *list, const struct failing *first);
void report_port(struct context *g, struct failing_list *list, const struct failing *first);
void report_host(struct context *g, struct failing_list *list, const struct failing *first);

/* In refusing_peers.c and unreachable_peers.c. */
void report_refusing_peers(struct context *g);
void report_unreachable_peers(struct context *g);
