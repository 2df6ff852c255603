/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Traits of hosts: properties that do not depend on what goes wrong, by which hosts that wait can
 * differ from hosts that do not. They are fixed by the first SYN of a host, and by
 * its first question of DNS.
 */
#pragma once

#include "diagnose/context.h"

/* The traits of hosts are the first ones of enum trait. */
#define HOST_TRAITS (TRAIT_RESOLVER + 1)

struct traits {
	/* value[t][i]: a number for the value of trait t at host i; TRAIT_UNKNOWN if not seen */
	uint32_t *value[HOST_TRAITS];
	size_t count; /* hosts */
};

/* Fills in the traits of all hosts. Returns false when out of memory. The caller frees. */
bool traits_of_hosts(struct traits *t, const struct context *g);
void traits_free(struct traits *t);

/* Coarse classes of systems, by the SYN. */
enum system_class {
	SYSTEM_LINUX, /* and Android */
	SYSTEM_WINDOWS,
	SYSTEM_APPLE,
	SYSTEM_BSD,
	SYSTEM_OTHER,
	SYSTEM_CLASSES,
};

enum system_class system_of(const struct syn_traits *syn);
