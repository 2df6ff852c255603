// SPDX-License-Identifier: GPL-2.0
/* Temporary: removed by the commit that adds these reporters. */
#include "diagnose/decide.h"

void report_handshake_unfinished(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_server_closes(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_no_greeting(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_syn_proxy(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_request_lost(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_accept_queue(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}
