// SPDX-License-Identifier: GPL-2.0
/* Temporary: removed by the commit that adds these reporters. */
#include "diagnose/decide.h"

void report_answered_elsewhere(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_routing_loop(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_slow_connect(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}
