/* SPDX-License-Identifier: GPL-2.0 */
/* What is this interface, what passed it so far, and is it still there? */
#pragma once

#include "run.h"

struct interface {
	const char *name;
	int index;
	bool bare; /* no Ethernet header */
	const char *link; /* "ethernet" or "ip" */
};

/* 0; or -1, said on standard error: there is none of that name, or its link layer is not understood. */
int interface_find(struct interface *i, const char *name);

/* Bytes received and sent so far, all protocols; 0 when not known. */
uint64_t interface_bytes(const struct interface *i);

/* A socket that becomes readable when an interface changes; -1 and errno. The caller closes it. */
int interface_events(void);

/* Reads such a socket empty; answers whether this interface went away. */
bool interface_is_gone(const struct interface *i, int events);

/* Fills run->own_addresses with this host's. */
void own_addresses(struct run *run);
