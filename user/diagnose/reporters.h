/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One function for each kind of opening that fails or is late, see the table of openings.c. Each
 * adds a finding about the group and calls finding_add_connects(), or leaves the group to later
 * causes.
 */
#pragma once

#include "diagnose/failure_group.h"

/* handshake_faults.c */
void report_handshake_unfinished(struct context *g, const struct failure_group *group);
void report_syn_proxy(struct context *g, const struct failure_group *group);

/* closing_servers.c */
void report_server_closes(struct context *g, const struct failure_group *group);
void report_no_greeting(struct context *g, const struct failure_group *group);

/* lost_requests.c */
void report_request_lost(struct context *g, const struct failure_group *group);
void report_accept_queue(struct context *g, const struct failure_group *group);

/* answer_faults.c */
void report_no_answer(struct context *g, const struct failure_group *group);
void report_reset_after_request(struct context *g, const struct failure_group *group);
void report_refused_in_answer(struct context *g, const struct failure_group *group);

/* large_hello.c */
void report_large_hello(struct context *g, const struct failure_group *group);

/* first_visit.c */
void report_first_visit_slow(struct context *g, const struct failure_group *group);

/* connect_faults.c */
void report_answered_elsewhere(struct context *g, const struct failure_group *group);
void report_routing_loop(struct context *g, const struct failure_group *group);
void report_slow_connect(struct context *g, const struct failure_group *group);
