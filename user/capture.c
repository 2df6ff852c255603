// SPDX-License-Identifier: GPL-2.0
#include "capture.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

/* More than any kernel map: memory is what a capture's openings need. */
#define CAPTURE_MAX_FLOWS (1U << 22)

/* Captures may begin at time 0, and clocks may go backwards: neither may look like "not seen". */
#define CAPTURE_START (1ULL << 62)

#define SWEEP_NS SECOND_NS

struct capture {
	struct run *run;
	const struct run_events *events;
	struct native *native;
	uint64_t first; /* packet's time, since 1970 */
	uint64_t now;
	uint64_t next_sweep;
};

static void settled(void *context, const struct record *r)
{
	struct capture *c = context;
	struct connection connection;

	connection_of(&connection, r, CAPTURE_START);
	c->events->settled(c->events->context, &connection);
}

static void opening(void *context, const struct record *r)
{
	struct capture *c = context;
	struct connection connection;

	connection_of(&connection, r, CAPTURE_START);
	c->events->opening(c->events->context, &connection);
}

static uint16_t ethertype_of_ip(const uint8_t *ip)
{
	return ip[0] >> 4 == 6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
}

/* Address families of BSD's loopback header, which are those of the host that captured. */
static uint16_t ethertype_of_family(uint32_t family)
{
	switch (family) {
	case 2:
		return ETHERTYPE_IP4;
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* macOS */
		return ETHERTYPE_IP6;
	default:
		return 0;
	}
}

static uint16_t ethertype_of_ppp(const uint8_t *ppp, uint32_t *skip)
{
	uint16_t protocol;

	*skip = ppp[0] == 0xff && ppp[1] == 0x03 ? 2 : 0; /* address and control field (RFC 1662) */
	if (ppp[*skip] & 1) {
		protocol = ppp[*skip];
		*skip += 1;
	} else {
		protocol = load16(ppp + *skip);
		*skip += 2;
	}
	switch (protocol) {
	case PPP_IP4:
		return ETHERTYPE_IP4;
	case PPP_IP6:
		return ETHERTYPE_IP6;
	case PPP_MPLS:
		return ETHERTYPE_MPLS;
	default:
		return 0;
	}
}

/* Takes a link header off that is not Ethernet's. False when the frame is too short to say. */
static bool strip_link(int link, struct native_frame *f)
{
	uint32_t skip = 0, family;

	if (link == DLT_EN10MB) {
		f->link = LINK_ETHERNET;
		return true;
	}
	f->link = LINK_BARE;
	if (f->length < (link == DLT_LINUX_SLL2 ? 20 : link == DLT_LINUX_SLL ? 16 : 5))
		return false;
	switch (link) {
	case DLT_NULL:
	case DLT_LOOP:
		skip = 4;
		family = load32(f->bytes);
		f->ethertype = ethertype_of_family(family < 256 ? family : swap32(family));
		break;
	case DLT_LINUX_SLL:
		skip = 16;
		f->ethertype = load16(f->bytes + 14);
		break;
	case DLT_LINUX_SLL2:
		skip = 20;
		f->ethertype = load16(f->bytes);
		break;
	case DLT_C_HDLC:
		skip = 4;
		f->ethertype = load16(f->bytes + 2);
		break;
	case DLT_PPP_SERIAL:
		if (f->bytes[0] == 0x0f || f->bytes[0] == 0x8f) { /* Cisco HDLC in its place */
			skip = 4;
			f->ethertype = load16(f->bytes + 2);
			break;
		}
		/* fall through */
	case DLT_PPP:
		f->ethertype = ethertype_of_ppp(f->bytes, &skip);
		break;
	default: /* raw IP */
		f->ethertype = ethertype_of_ip(f->bytes);
		break;
	}
	f->bytes += skip;
	f->length -= skip;
	f->wire_length -= skip;
	return true;
}

/*
 * Raw IP has had several numbers: 12 and 14 are those of files by BSDs, 228 and 229 name the
 * version.
 */
static bool is_known_link(int link)
{
	static const int known[] = { DLT_EN10MB,     DLT_NULL, DLT_LOOP,
				     DLT_RAW,	     14,       101,
				     DLT_IPV4,	     DLT_IPV6, DLT_LINUX_SLL,
				     DLT_LINUX_SLL2, DLT_PPP,  DLT_PPP_SERIAL,
				     DLT_C_HDLC };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == link)
			return true;
	return false;
}

/* Nanoseconds since 1970. A file's 32 bits of them are unsigned, libpcap's are not. */
static uint64_t packet_time(const struct pcap_pkthdr *h)
{
	return h->ts.tv_sec * SECOND_NS + (uint32_t)h->ts.tv_usec;
}

static void begin(struct capture *c, const struct pcap_pkthdr *h, const char *link)
{
	struct run *run = c->run;

	c->first = packet_time(h);
	c->now = CAPTURE_START;
	c->next_sweep = CAPTURE_START + SWEEP_NS;
	run->start.tv_sec = c->first / SECOND_NS;
	run->start.tv_nsec = c->first % SECOND_NS;
	run->link = link;
	c->events->started(c->events->context);
}

static void feed(struct capture *c, int link, const struct pcap_pkthdr *h, const uint8_t *bytes)
{
	struct native_frame f = {
		.bytes = bytes,
		.length = h->caplen,
		.wire_length = h->len,
		.time = CAPTURE_START + (packet_time(h) - c->first),
	};

	if (f.time > c->now)
		c->now = f.time;
	if (c->now >= c->next_sweep) {
		native_sweep(c->native, c->now, opening, c);
		c->events->swept(c->events->context, c->now - CAPTURE_START);
		c->next_sweep = c->now + SWEEP_NS;
	}
	c->run->bytes += h->len;
	if (strip_link(link, &f))
		native_feed(c->native, &f);
}

int capture_run(const struct options *o, struct run *run, const struct run_events *events)
{
	struct capture c = { .run = run, .events = events };
	static char cut[PCAP_ERRBUF_SIZE + 64];
	char error[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *bytes;
	const char *name;
	bool begun = false;
	int status = 0, link;
	pcap_t *pcap;

	run->from = o->read;
	run->is_capture = true;
	pcap = pcap_open_offline_with_tstamp_precision(o->read, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!pcap) {
		fprintf(stderr, "probe: cannot read %s: %s\n", o->read, error);
		return -1;
	}
	link = pcap_datalink(pcap);
	name = pcap_datalink_val_to_name(link);
	if (!is_known_link(link)) {
		fprintf(stderr, "probe: %s: link type %d (%s) is not understood\n", o->read, link,
			name ? name : "?");
		pcap_close(pcap);
		return -1;
	}
	c.native = native_new(CAPTURE_MAX_FLOWS, o->narrow, settled, &c);
	if (!c.native) {
		fprintf(stderr, "probe: out of memory\n");
		pcap_close(pcap);
		return -1;
	}
	while (!run->stop && (status = pcap_next_ex(pcap, &header, &bytes)) == 1) {
		if (!begun)
			begin(&c, header, name);
		begun = true;
		feed(&c, link, header, bytes);
	}
	if (status == PCAP_ERROR) {
		snprintf(cut, sizeof(cut), "the capture could be read up to here only: %s",
			 pcap_geterr(pcap));
		run->cut = cut;
	}
	pcap_close(pcap);
	if (!begun) {
		fprintf(stderr, "probe: %s: %s\n", o->read,
			run->cut ? run->cut : "holds no packet");
		native_free(c.native);
		return -1;
	}
	native_sweep(c.native, c.now, opening, &c);
	events->swept(events->context, c.now - CAPTURE_START);
	native_end(c.native, c.now);
	run->duration = c.now - CAPTURE_START;
	memcpy(run->counters, native_counters(c.native), sizeof(run->counters));
	run_set_ethertypes(run, native_ethertypes(c.native));
	native_free(c.native);
	return 0;
}
