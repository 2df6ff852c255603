// SPDX-License-Identifier: GPL-2.0
/*
 * --write: the packets that the findings are based on, as pcapng with comments. The blocks follow
 * draft-ietf-opsawg-pcapng, in the byte order of this host.
 */
#include <errno.h>
#include <inttypes.h>
#include <pcap/dlt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/evidence.h"
#include "lib/format.h"
#include "report/report.h"

enum { BLOCK_INTERFACE = 1, BLOCK_PACKET = 6, BLOCK_SECTION = 0x0a0d0d0a };
enum { OPTION_END = 0, OPTION_COMMENT = 1, OPTION_NAME = 2, OPTION_RESOLUTION = 9 };
/* option codes of packet blocks and of section blocks */
enum { OPTION_FLAGS = 2, OPTION_APPLICATION = 4 };

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define NANOSECONDS 9 /* value of if_tsresol: units of 10^-9 s */
#define SNAP_LENGTH 262144 /* bytes; the maximum that libpcap accepts */

#define MAX_INTERFACES 64
#define COMMENT 512 /* maximum bytes of a comment */

/* ---- blocks ---- */

/* A block under construction. Its length precedes its contents, so it is built in memory. */
struct block {
	uint8_t *at;
	size_t length;
	size_t room;
	bool failed; /* out of memory */
};

static void put(struct block *b, const void *bytes, size_t length)
{
	size_t padded = (length + 3) & ~(size_t)3, room;
	uint8_t *grown;

	if (!length)
		return;
	if (!b->at || b->length + padded > b->room) {
		room = 2 * b->room + padded;
		grown = realloc(b->at, room);
		if (!grown) {
			b->failed = true;
			return;
		}
		b->at = grown;
		b->room = room;
	}
	memcpy(b->at + b->length, bytes, length);
	memset(b->at + b->length + length, 0, padded - length);
	b->length += padded;
}

static void put32(struct block *b, uint32_t value)
{
	put(b, &value, sizeof(value));
}

static void put16s(struct block *b, uint16_t first, uint16_t second)
{
	uint16_t both[] = { first, second };

	put(b, both, sizeof(both));
}

static void put_option(struct block *b, uint16_t code, const void *value, size_t length)
{
	put16s(b, code, length);
	put(b, value, length);
}

static void put_text(struct block *b, uint16_t code, const char *text)
{
	if (*text)
		put_option(b, code, text, strlen(text));
}

static void begin_block(struct block *b, uint32_t type)
{
	b->length = 0;
	put32(b, type);
	put32(b, 0); /* the length, set when the block is complete */
}

static void end_block(struct block *b, struct report *r)
{
	uint32_t length;

	put16s(b, OPTION_END, 0);
	length = b->length + sizeof(length);
	put32(b, length);
	if (b->failed)
		return;
	memcpy(b->at + 4, &length, sizeof(length));
	if (fwrite(b->at, b->length, 1, r->out) != 1 && !r->error)
		r->error = errno;
}

/* ---- comments ---- */

/* Returns the number of the finding that a packet belongs to, counted from 1, or 0. */
static size_t finding_of(const struct diagnosis *d, const struct model *m,
			 const struct kept_packet *p)
{
	const struct kept_attempt *a = p->attempt;
	const struct connection *c;

	if (!a)
		return p->dns.finding;
	c = &a->connection;
	if (a->reason == REASON_STALL)
		return diagnosis_of_wait(d, m, &c->client, &c->server, c->ack);
	if (a->reason == REASON_IDLE)
		return 0;
	return diagnosis_of_server(d, &c->server);
}

static void comment_on_failure(char out[COMMENT], const struct kept_packet *p)
{
	const struct connection *c = &p->attempt->connection;
	char from[FORMAT_ADDRESS];
	const char *words;

	if (p->roles & ROLE_SYN && c->outcome == OUTCOME_UNANSWERED) {
		snprintf(out, COMMENT, "no answer to this SYN");
	} else if (p->roles & ROLE_SYNACK && c->outcome == OUTCOME_HALF_OPEN) {
		snprintf(out, COMMENT, "the client does not acknowledge this SYN-ACK");
	} else if (p->roles & ROLE_CLIENT_FIRST && c->server_first == NEVER) {
		snprintf(out, COMMENT, "no answer to this request");
	} else if (p->roles & (ROLE_RST | ROLE_FIN) && c->outcome == OUTCOME_ESTABLISHED &&
		   c->server_first == NEVER) {
		snprintf(out, COMMENT, "this ends the connection without a byte of the server");
	} else if (p->roles & ROLE_RST && p->time == c->rst && c->outcome == OUTCOME_REFUSED) {
		snprintf(out, COMMENT, "refused by %s",
			 c->from_gateway ? "this gateway itself, not by the server" : "the server");
	} else if (p->roles & ROLE_ICMP && p->time == c->icmp) {
		words = icmp_words(is_ip4(&c->server.address), c->icmp_type, c->icmp_code);
		format_address(from, &c->icmp_from);
		snprintf(out, COMMENT, "%s, reported by %s", words ? words : "ICMP error",
			 c->from_gateway ? "this gateway itself" : from);
	}
}

/* What came of a question, before the words "after 20 ms". */
static const char *const try_words[] = {
	[TRY_OPEN] = "not answered",
	[TRY_ANSWERED] = "answered",
	[TRY_FAILED] = "an error was the answer",
	[TRY_TRUNCATED] = "truncated answer",
	[TRY_FRAGMENT] = "first fragment of the answer",
	[TRY_ERROR] = "ICMP error",
};

static void comment_on_dns(char out[COMMENT], const struct kept_packet *p)
{
	const struct dns_role *r = &p->dns;
	char since[FORMAT_DURATION], took[FORMAT_DURATION];

	format_duration(since, p->time - r->first);
	if (r->is_error)
		snprintf(out, COMMENT, "ICMP error, %s after the first question", since);
	else if (r->is_answer)
		snprintf(out, COMMENT, "%s %u of %u, %s after the first question",
			 r->result == TRY_FRAGMENT    ? "first fragment of the answer to question"
			 : r->result == TRY_TRUNCATED ? "truncated answer to question"
						      : "answer to question",
			 r->number, r->count, since);
	else if (r->answered == NEVER)
		snprintf(out, COMMENT, "question %u of %u of this lookup: %s", r->number, r->count,
			 try_words[TRY_OPEN]);
	else
		snprintf(out, COMMENT, "question %u of %u of this lookup: %s after %s", r->number,
			 r->count, try_words[r->result],
			 format_duration(took, r->answered - p->time));
}

/* Writes into out why this packet matters; "" for all other packets of the attempt. */
static void comment_on_attempt(char out[COMMENT], const struct kept_packet *p)
{
	const struct connection *c = &p->attempt->connection;
	const struct silence *ended = &p->attempt->ended;
	char time[FORMAT_DURATION], later[FORMAT_DURATION];
	char client[FORMAT_ENDPOINT], server[FORMAT_ENDPOINT];

	*out = '\0';
	switch (p->attempt->reason) {
	case REASON_STALL:
		if (p->roles & ROLE_CLIENT_FIRST)
			snprintf(out, COMMENT, "%s of silence end here: first client byte",
				 format_duration(time, c->wait));
		else if (p->roles & ROLE_ACK)
			snprintf(out, COMMENT, "handshake done; %s of silence begin here",
				 format_duration(time, c->wait));
		break;
	case REASON_IDLE:
		if (p->roles & ROLE_ACK)
			snprintf(out, COMMENT,
				 "handshake done; not a byte from either side for %s, until the "
				 "end of the run",
				 format_duration(time, c->settled - c->ack));
		break;
	case REASON_LATE_BANNER:
		if (p->roles & ROLE_SERVER_FIRST)
			snprintf(out, COMMENT, "the server's greeting, %s after the handshake",
				 format_duration(time, c->banner));
		break;
	case REASON_WAITED_FOR:
		if (p->time == (c->server_first != NEVER ? c->server_first : c->synack))
			snprintf(out, COMMENT,
				 "answered %s after the first SYN; %s later the silence of %s "
				 "towards %s ends",
				 format_duration(time, p->time - c->syn),
				 format_duration(later, ended->end - p->time),
				 format_endpoint(client, &ended->client),
				 format_endpoint(server, &ended->server));
		break;
	case REASON_FAILED:
		comment_on_failure(out, p);
		break;
	case REASON_LATE:
		if (p->roles & ROLE_SYNACK && p->time == c->synack && c->syn_count > 1)
			snprintf(out, COMMENT, "SYN-ACK %s after the first SYN",
				 format_duration(time, c->synack - c->syn));
		else if (p->roles & ROLE_SERVER_FIRST && c->answer != NEVER)
			snprintf(out, COMMENT, "first answer, %s after the request",
				 format_duration(time, c->answer));
		break;
	default:
		break;
	}
}

static void comment_on_packet(char out[COMMENT], const struct kept_packet *p, size_t finding)
{
	if (p->attempt)
		comment_on_attempt(out, p);
	else
		comment_on_dns(out, p);
	if (*out && finding)
		snprintf(out + strlen(out), COMMENT - strlen(out), ": finding %zu", finding);
}

static bool comment_on_section(struct report *r, const struct model *m, const struct diagnosis *d,
			       char **text)
{
	char start[FORMAT_TIME], duration[FORMAT_DURATION];
	size_t size, i;
	FILE *out = open_memstream(text, &size);
	bool whole;

	if (!out)
		return false;
	format_rfc3339(start, &r->session->start);
	format_duration(duration, r->session->duration);
	fprintf(out,
		"%s on %s from %s: %" PRIu64 " connect%s, %" PRIu64 " stalled, %" PRIu64
		" not answered, %" PRIu64 " refused, %" PRIu64 " unreachable.",
		duration, format_name(r->session->from), start, m->connections,
		plural(m->connections), m->stall_count,
		m->failures[FAILURE_SILENT] + m->failures[FAILURE_ONE_SYN],
		m->failures[FAILURE_REFUSED], m->failures[FAILURE_UNREACHABLE]);
	for (i = 0; i < d->count; i++)
		fprintf(out, "\n%zu: %s (confidence %s)", i + 1, d->at[i].text,
			confidence_names[d->at[i].confidence]);
	fprintf(out, "\nThis file contains only the packets that decided the outcome of these.");
	if (evidence_lost(r->evidence))
		fprintf(out, "\nThe packets of %" PRIu64 " attempt%s did not fit.",
			evidence_lost(r->evidence), plural(evidence_lost(r->evidence)));
	whole = !ferror(out);
	return !fclose(out) && whole && *text;
}

/* ---- the file ---- */

static void write_section(struct report *r, const struct model *m, const struct diagnosis *d,
			  struct block *b)
{
	static const int32_t unknown_length[] = { -1, -1 };
	char *text = NULL;

	if (!comment_on_section(r, m, d, &text))
		b->failed = true;
	begin_block(b, BLOCK_SECTION);
	put32(b, BYTE_ORDER_MAGIC);
	put16s(b, 1, 0); /* pcapng version 1.0 */
	put(b, unknown_length, sizeof(unknown_length));
	if (text)
		put_text(b, OPTION_COMMENT, text);
	put_text(b, OPTION_APPLICATION, "probe " PROBE_VERSION);
	end_block(b, r);
	free(text);
}

/*
 * Returns the LINKTYPE_ value for files. DLT_RAW is 12 or 14, depending on the system, but
 * LINKTYPE_RAW is 101. For all other link types that are kept, both numbers are equal.
 */
static uint16_t file_linktype(int link)
{
	return link == DLT_RAW || link == 14 ? 101 : link;
}

static void write_interface(struct report *r, int link, uint32_t ifindex, struct block *b)
{
	const uint8_t resolution = NANOSECONDS;
	const char *name = session_iface_name(r->session, ifindex);

	begin_block(b, BLOCK_INTERFACE);
	put16s(b, file_linktype(link), 0);
	put32(b, SNAP_LENGTH);
	if (ifindex && name)
		put_text(b, OPTION_NAME, format_name(name));
	put_option(b, OPTION_RESOLUTION, &resolution, sizeof(resolution));
	end_block(b, r);
}

static void write_packet(struct report *r, const struct kept_packet *p, size_t finding,
			 uint32_t interface, struct block *b)
{
	uint64_t time = r->session->start.tv_sec * SECOND_NS + r->session->start.tv_nsec + p->time;
	uint32_t flags = p->egress ? 2 : 1;
	char comment[COMMENT];

	comment_on_packet(comment, p, finding);
	begin_block(b, BLOCK_PACKET);
	put32(b, interface);
	put32(b, time >> 32);
	put32(b, time);
	put32(b, p->length);
	put32(b, p->wire_length);
	put(b, p->bytes, p->length);
	put_text(b, OPTION_COMMENT, comment);
	if (p->has_direction)
		put_option(b, OPTION_FLAGS, &flags, sizeof(flags));
	end_block(b, r);
}

static void pcapng_ended(struct report *r, const struct model *m, const struct diagnosis *d)
{
	const struct kept_packet *interfaces[MAX_INTERFACES], **packets;
	struct block block = {};
	uint32_t count = 0, j;
	size_t n = 0, i;
	uint64_t lost;

	for (i = 0; i < d->lookup_count; i++)
		evidence_lookup(r->evidence, d->lookups[i].lookup, d->lookups[i].finding);
	packets = evidence_packets(r->evidence, &n);
	block.failed = !packets;
	write_section(r, m, d, &block);
	for (i = 0; i < n; i++) {
		const struct kept_packet *p = packets[i];

		for (j = 0; j < count; j++)
			if (interfaces[j]->ifindex == p->ifindex && interfaces[j]->link == p->link)
				break;
		if (j == MAX_INTERFACES)
			continue; /* cannot happen: there is room for all */
		if (j == count) {
			interfaces[count++] = p;
			write_interface(r, p->link, p->ifindex, &block);
		}
		write_packet(r, p, finding_of(d, m, p), j, &block);
	}
	if (!n) /* readers reject a file without an interface */
		write_interface(r, DLT_EN10MB, 0, &block);
	if (block.failed && !r->error)
		r->error = ENOMEM;
	lost = evidence_lost(r->evidence);
	if (lost)
		fprintf(stderr, "probe: %s: no room for the packets of %" PRIu64 " attempt%s\n",
			format_name(r->out_name), lost, plural(lost));
	if (fflush(r->out) && !r->error)
		r->error = errno;
	if (!lost && !r->error && !r->quiet)
		fprintf(stderr,
			"probe: %zu packet%s written to %s; in Wireshark, filter by frame.comment\n",
			n, plural(n), format_name(r->out_name));
	free(packets);
	free(block.at);
}

const struct report_format report_pcapng = {
	.ended = pcapng_ended,
};
