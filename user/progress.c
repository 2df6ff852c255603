// SPDX-License-Identifier: GPL-2.0
#include "progress.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_shown;

void progress_show(const char *line)
{
	fprintf(stderr, "\r\033[K%s", line);
	is_shown = true;
}

void progress_hide(void)
{
	if (is_shown)
		fputs("\r\033[K", stderr);
	is_shown = false;
}
