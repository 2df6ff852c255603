/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function for each cause, in files of their own. diagnose() calls them in the order of its
 * table. A cause ignores stalls and peers that an earlier cause has explained.
 */
#pragma once

#include "diagnose/finding.h"

void cause_silent_resolvers(struct context *g); /* resolver-unanswered */
void cause_blocked_dns_tcp(struct context *g); /* dns-tcp-blocked */
void cause_lost_dns_answers(struct context *g); /* dns-answers-lost */
void cause_slow_resolvers(struct context *g); /* resolver-slow */
void cause_correlation(struct context *g); /* waits-for-peer, slow-helper */
void cause_failover(struct context *g); /* held-before-connect, failover-chain, broken-ipv6 */
void cause_silent_zones(struct context *g); /* zone-unanswered, type-unanswered */
void cause_gateway_counters(struct context *g); /* gateway-drops */
void cause_loss(struct context *g); /* lossy-client, lossy-far-side */
void cause_lost_syns(struct context *g); /* syn-filtered, first-syn-lost, port-reuse, ... */
void cause_duplicate_address(struct context *g);
void cause_openings(struct context *g); /* the kinds of reporters.h */
void cause_slow_servers(struct context *g); /* ident, late-banner, accept-queue, ... */
void cause_slow_answers(struct context *g); /* slow-server */
void cause_unexplained(struct context *g); /* timer-unexplained, stalls-unexplained */
void cause_gateway_drops(struct context *g); /* dropped-in-gateway */
void cause_dead_peers(struct context *g); /* prefix-cut, peer-..., syn-flood */
void cause_path(struct context *g); /* mtu-black-hole, one-direction, slow-access */
void cause_old_resets(struct context *g); /* old-connections-reset */
void cause_comparison(struct context *g); /* compares hosts; adds no finding */
void cause_summary(struct context *g); /* no-verdict, not-the-network */

/* Adds which option, or which capture, would tell more. Call it after the causes. */
void add_next_steps(struct context *g);

/* Adds examples to the findings about names. */
void name_examples(struct context *g);
