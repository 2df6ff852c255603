// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what the probe makes of the DNS packets of a capture, for test_dns_oracle.py: a line for
 * each packet, then one for each try of each lookup, with tabs between the fields.
 *
 *	dns-lookups FILE
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/format.h"
#include "model/names.h"
#include "source/capture.h"

static const uint16_t ports[] = { DNS_PORT };

static const char *const status_names[] = {
	[DNS_READ] = "read",
	[DNS_NAME_CUT] = "cut",
	[DNS_MALFORMED] = "malformed",
	[DNS_IS_OTHER] = "other",
};

static void print_question(const struct dns_name *name, uint16_t type)
{
	char text[FORMAT_DNS_NAME];

	printf("\t%s\t%u", format_dns_name(text, name), type);
}

static void on_dns(void *context, const struct dns_head *head, const uint8_t *bytes, uint64_t start,
		   int link)
{
	char client[FORMAT_ADDRESS], server[FORMAT_ADDRESS], address[FORMAT_ADDRESS];
	struct dns_packet p;
	size_t i;

	(void)link;
	dns_packet_of(&p, head, bytes, start, ports, 1);
	printf("packet\t%" PRId64 "\t%s\t%u\t%s\t%u\t%s\t%s\t%d\t%u\t%u", p.time,
	       format_address(client, &p.client.address), p.client.port,
	       format_address(server, &p.server.address), p.server.port, status_names[p.status],
	       p.is_error	      ? "error"
	       : p.is_error_of_answer ? "error-of-answer"
	       : p.message.is_answer  ? "answer"
				      : "question",
	       p.message.has_id, p.message.id, p.message.rcode);
	print_question(&p.message.name, p.message.type);
	putchar('\t');
	for (i = 0; i < p.message.address_count; i++)
		printf("%s%s", i ? "," : "",
		       format_address(address, &p.message.addresses[i].address));
	printf("\t%d\n", p.message.more);
	names_packet(context, &p, false);
}

static void print_try(const struct names *n, const struct lookup *l, const struct dns_try *t)
{
	char client[FORMAT_ADDRESS], server[FORMAT_ADDRESS];

	printf("try\t%" PRId64 "\t%s\t%u\t%s\t%u\t%u\t%d\t%" PRId64 "\t%u", t->time,
	       format_address(client, &l->client.address), t->client_port,
	       format_address(server, &t->server), t->server_port, t->id, t->result,
	       t->answered == NEVER ? -1 : t->answered, l->try_count);
	print_question(names_name(n, l->name), l->type);
	printf("\t%s\n", lookup_result_names[l->result]);
}

static void print_lookup(const struct names *n, const struct lookup *l)
{
	unsigned int i;

	for (i = 0; i < l->try_count && i < MAX_TRIES; i++)
		print_try(n, l, &l->tries[i]);
	if (l->try_count > MAX_TRIES)
		print_try(n, l, &l->last);
}

static void on_started(void *context)
{
	(void)context;
}

static void on_record(void *context, const struct connection *c)
{
	(void)context;
	(void)c;
}

static bool on_swept(void *context, ns_t now)
{
	names_swept(context, now);
	return true;
}

static void on_progress(void *context, const char *text)
{
	(void)context;
	(void)text;
}

int main(int argc, char **argv)
{
	const char *files[] = { argc == 2 ? argv[1] : NULL };
	struct options options = { .stall = SECOND_NS,
				   .reads = files,
				   .read_count = 1,
				   .dns_ports = { DNS_PORT },
				   .dns_port_count = 1 };
	struct session session = { .stall = SECOND_NS };
	struct names *names = names_new();
	struct sink sink = { .started = on_started,
			     .settled = on_record,
			     .synack_alone = on_record,
			     .dns = on_dns,
			     .opening = on_record,
			     .swept = on_swept,
			     .progress = on_progress,
			     .context = names };
	size_t i;

	if (argc != 2 || !names) {
		fprintf(stderr, "usage: dns-lookups FILE\n");
		return 2;
	}
	if (capture_run(&options, &session, &sink))
		return 1;
	names_end(names, session.duration);
	for (i = 0; i < names_lookup_count(names); i++)
		print_lookup(names, names_lookup(names, i));
	names_free(names);
	return 0;
}
