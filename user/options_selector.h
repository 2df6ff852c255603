/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Builds the selector from the lists of --client, --server and --port. Items of lists and of
 * repeated options add up; an item with ! in front is left out, whatever the order.
 */
#pragma once

#include <stdbool.h>

#include "host/services.h"
#include "selector.h"

#define SELECTOR_ERROR 256

struct selector_options {
	struct network_list clients, servers;
	uint8_t ports[65536 / 8]; /* ports to watch; empty for all */
	uint8_t no_ports[65536 / 8]; /* ports to leave out */
	bool has_ports; /* a port to watch is named */
	bool has_no_ports;
	struct services *services; /* opened when the first name of a service is looked up */
};

/* Each returns false with a message about the wrong item. */
bool selector_add_networks(struct network_list *l, const char *text, char error[SELECTOR_ERROR]);
bool selector_add_ports(struct selector_options *s, const char *text, char error[SELECTOR_ERROR]);

/*
 * Fills in the selector, and frees what the options hold. Returns NULL, or the option that selects
 * nothing.
 */
const char *selector_finish(struct selector *n, struct selector_options *s);
