/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What did the user ask for? options_parse() exits by itself on --help, --version and usage errors
 * (status 2), so that a struct options is always one that can be carried out.
 */
#pragma once

#include <stdbool.h>

#include "session.h"

struct selector;

enum hook_kind { HOOK_ANY, HOOK_TCX, HOOK_CLSACT };

struct options {
	const char *ifaces[MAX_IFACES];
	unsigned int iface_count;
	const char **reads; /* files */
	size_t read_count;
	char *filter; /* for reads, in the language of pcap-filter(7), or NULL */
	const char *netns; /* name or process id of the network namespace to enter, or NULL */
	enum hook_kind hook;
	bool follow; /* wait for an interface that goes away to come back */
	bool follow_peers; /* look at other interfaces whether SYNs leave there */
	bool cleanup; /* only remove what killed runs left; without ifaces: of all */
	double duration; /* seconds, 0 for "until told" */
	ns_t stall;
	bool json;
	const char *json_file; /* NULL: standard output */
	const char *html_file; /* the page, or NULL */
	const char *write_file; /* pcapng, or NULL */
	uint32_t snaplen; /* bytes of each packet that is written; 0: its headers */
	struct selector *selector; /* --client, --server, --port */
	uint32_t max_flows; /* attempts opening at once */
	uint32_t ring_bytes; /* of the ring buffer of records */
	bool force; /* write over files that exist */
	bool exit_code; /* EXIT_FOUND when the diagnosis found something */
	bool quiet;
	bool verbose;
};

#define EXIT_USAGE 2
#define EXIT_FOUND 3

void options_parse(struct options *o, int argc, char **argv);
