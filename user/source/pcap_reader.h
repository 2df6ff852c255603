/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads the packets of capture files in the order of time: pcap and pcapng by libpcap, gzip by
 * zlib, "-" for standard input. It buffers one packet of each file. A file whose first packet is
 * later takes only a descriptor. pcap_reader_open() opens all files and resolves the names in the
 * filter; later calls open nothing.
 *
 * Packets of one file keep their order, even if the clock went backwards.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pcap_reader;

struct pcap_packet {
	const uint8_t *bytes; /* valid until the next call */
	uint32_t length;
	uint32_t wire_length; /* at least length */
	uint64_t time; /* ns since 1970 */
	int link; /* libpcap's DLT_... */
	bool wanted; /* matches the filter */
};

/* Opens the files. filter is as in pcap-filter(7), or NULL. Returns NULL after an error message. */
struct pcap_reader *pcap_reader_open(const char *const *files, size_t count, const char *filter);
void pcap_reader_close(struct pcap_reader *r);

/*
 * Reads the first packet of each file. Returns false, after an error message, if a file cannot be
 * read.
 */
bool pcap_reader_begin(struct pcap_reader *r);

/* Stores the next packet. Returns false after the last packet. */
bool pcap_reader_next(struct pcap_reader *r, struct pcap_packet *p);

/*
 * Returns why a file was not read to its end, or NULL. Call it after the last packet. The text is
 * valid until the reader is closed.
 */
const char *pcap_reader_cut(const struct pcap_reader *r);

/* Returns the name of the first file's link type. */
const char *pcap_reader_linktype(const struct pcap_reader *r);

/*
 * Stores the bytes read so far and the bytes of all files. *total is 0 if the size of a file is
 * unknown.
 */
void pcap_reader_progress(const struct pcap_reader *r, uint64_t *done, uint64_t *total);
