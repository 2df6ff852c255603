/* SPDX-License-Identifier: GPL-2.0 */
/* Files of the fuzzers' first inputs. Errors end the program. */
#pragma once

#include <stddef.h>
#include <stdio.h>

FILE *create_seed(const char *directory, const char *kind, size_t number);
void finish_seed(FILE *f);

/* Writes DIRECTORY/dns. */
void write_dns_seeds(const char *directory);
