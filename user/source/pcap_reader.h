/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packets of capture files, in the order of their time: pcap and pcapng by libpcap, gzip by
 * zlib, "-" for standard input. Of each file one packet is held, so memory does not grow with them;
 * those that begin later wait with nothing but a descriptor. pcap_reader_open() opens all, and looks up what
 * the filter names; from then on nothing is opened any more.
 *
 * Within a file its own order stays, also where its clock went backwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcap_reader;

struct pcap_packet {
	const uint8_t *bytes; /* valid until the next call */
	uint32_t length;
	uint32_t wire_length; /* length or more */
	uint64_t time; /* ns since 1970 */
	int link; /* libpcap's DLT_... */
	bool wanted; /* by the filter */
};

/*
 * filter in the language of pcap-filter(7), or NULL. Answers NULL after it said what is wrong, to
 * stderr.
 */
struct pcap_reader *pcap_reader_open(const char *const *files, size_t count, const char *filter);
void pcap_reader_close(struct pcap_reader *r);

/* Begins to read. False when one of them cannot be, which is said. */
bool pcap_reader_begin(struct pcap_reader *r);

bool pcap_reader_next(struct pcap_reader *r, struct pcap_packet *p);

/* After the last packet: why that was not the end of all files, or NULL. Valid until closed. */
const char *pcap_reader_cut(const struct pcap_reader *r);

/* The first file's link type, in words. */
const char *pcap_reader_linktype(const struct pcap_reader *r);

/* Bytes read so far, and of all files; *total is 0 where that cannot be known. */
void pcap_reader_progress(const struct pcap_reader *r, uint64_t *done, uint64_t *total);
