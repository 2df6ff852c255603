/* SPDX-License-Identifier: GPL-2.0 */
/* BPF programs of others, by their id. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PROGRAM_NAME 128

struct program {
	/* name of the function by BTF, which is complete, or the kernel's 15 characters; else "" */
	char name[PROGRAM_NAME];
	const char *redirect; /* type of a map for redirects that it uses, or NULL */
	bool is_readable; /* false: looking at programs of others takes CAP_SYS_ADMIN */
};

/* Reads the properties of a program. Without the privilege for it, all are empty. */
void program_read(struct program *p, uint32_t id);
