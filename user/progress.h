/* SPDX-License-Identifier: GPL-2.0 */
/* One line on the terminal that comes and goes: how far a long reading is. */
#pragma once

/* Shows the line in place of the one before; standard error must be a terminal. */
void progress_show(const char *line);

/* Takes it away, before anything else is printed. */
void progress_hide(void);
