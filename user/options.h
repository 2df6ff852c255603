/* SPDX-License-Identifier: GPL-2.0 */
/* Parses the command line into struct options. */
#pragma once

#include <stdbool.h>

#include "session.h"

struct selector;

enum hook_kind { HOOK_ANY, HOOK_TCX, HOOK_CLSACT };

struct options {
	const char *ifaces[MAX_IFACES];
	unsigned int iface_count;
	const char **reads; /* capture files */
	size_t read_count;
	char *filter; /* filter for the captures, see pcap-filter(7); or NULL */
	const char *netns; /* name or process id of the network namespace to enter, or NULL */
	enum hook_kind hook;
	bool follow; /* if an interface disappears, wait until it comes back */
	bool follow_peers; /* watch the other interfaces for SYNs that leave */
	/* only remove filters of killed runs, on ifaces, or on all interfaces if there are none */
	bool cleanup;
	bool list_interfaces; /* -D: only list the interfaces */
	const char *doctor; /* only examine this interface, or NULL */
	double duration; /* seconds; 0 runs until a signal */
	uint64_t connect_count; /* end after this many settled connects; 0 for no limit */
	ns_t stall; /* ns; a longer silence of a client is a stall */
	bool json;
	const char *json_file; /* NULL for standard output */
	const char *html_file; /* NULL without --html */
	const char *write_file; /* pcapng file; NULL without --write */
	uint32_t snaplen; /* bytes written of each packet; 0 for its headers */
	struct selector *selector; /* --client, --server, --port */
	char *client_text, *server_text, *port_text; /* the same as text; NULL without the option */
	uint32_t max_flows; /* attempts tracked at the same time */
	uint32_t ring_bytes; /* size of the ring buffer of records */
	uint16_t dns_ports[MAX_DNS_PORTS];
	size_t dns_port_count;
	enum names_mode names_mode;
	bool numeric; /* -n: no names and services on the screen and the page */
	bool force; /* overwrite files that exist */
	bool exit_code; /* exit with EXIT_FOUND if the diagnosis found a problem */
	bool quiet;
	bool verbose;
};

#define EXIT_USAGE 2
#define EXIT_FOUND 3

/*
 * Parses the command line. Exits on --help, --version and usage errors (EXIT_USAGE). The options
 * that it returns are valid in combination.
 */
void options_parse(struct options *o, int argc, char **argv);
