// SPDX-License-Identifier: GPL-2.0
/* Temporary: removed by the commit that adds these reporters. */
#include "diagnose/decide.h"

void report_no_answer(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_reset_after_request(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_refused_in_answer(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_large_hello(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}

void report_first_visit_slow(struct context *g, const struct failure_group *group)
{
	(void)g;
	(void)group;
}
