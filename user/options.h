/* SPDX-License-Identifier: GPL-2.0 */
/* The command line. */
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
	char *filter; /* for the captures, see pcap-filter(7), or NULL */
	const char *netns; /* name or process id of the network namespace to enter, or NULL */
	enum hook_kind hook;
	bool follow; /* wait for an interface that goes away to come back */
	bool follow_peers; /* watch the other interfaces for SYNs that leave */
	bool cleanup; /* only remove what killed runs left, on ifaces, or on all if there are none */
	double duration; /* seconds; 0: until a signal */
	ns_t stall; /* threshold */
	bool json;
	const char *json_file; /* NULL: standard output */
	const char *html_file; /* or NULL */
	const char *write_file; /* pcapng, or NULL */
	uint32_t snaplen; /* bytes written of each packet; 0: its headers */
	struct selector *selector; /* --client, --server, --port */
	uint32_t max_flows; /* attempts tracked at the same time */
	uint32_t ring_bytes; /* size of the ring buffer of records */
	bool force; /* overwrite files that exist */
	bool exit_code; /* exit with EXIT_FOUND if the diagnosis found a problem */
	bool quiet;
	bool verbose;
};

#define EXIT_USAGE 2
#define EXIT_FOUND 3

/* Exits on --help, --version and usage errors (EXIT_USAGE); otherwise the options can be carried out. */
void options_parse(struct options *o, int argc, char **argv);
