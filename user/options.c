// SPDX-License-Identifier: GPL-2.0
#include "options.h"

#include <argp.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/address.h"
#include "lib/format.h"
#include "packet_event.h"
#include "selector.h"
#include "shared.h"

static const char doc[] =
	"Reports, on the gateway itself, why it is slow for some users: which TCP connections stalled after the handshake, which peers do not answer, and which of these peers the stalled clients waited for. It watches how connections open, and lets every packet pass unchanged.\v"
	"Examples:\n"
	"  probe --iface eth0                  until Ctrl-C, then the report\n"
	"  probe --iface eth0 --client 10.1.4.0/24     only these clients\n"
	"  probe --iface ppp0 --follow --duration 28800 --json=night.json\n"
	"  probe --iface eth0 --write evidence.pcapng      packets for Wireshark\n"
	"  probe --read incident.pcap --html incident.html      pictures for a browser\n"
	"  probe --netns web --iface eth0 --duration 60 --quiet --exit-code\n"
	"  probe --read incident.pcap          no root needed\n"
	"  probe --read a.pcap --read b.pcap.gz net 10.1.4.0/24\n"
	"\n"
	"Choose the interface on the clients' side. On the outer side of this host's NAT, conntrack names the clients.\n"
	"Exit status: 0 the run ended normally, 1 an error, 2 wrong usage, 3 with --exit-code if a problem was found.";

enum {
	OPT_SNAP = 0x100,
	OPT_CLEANUP,
	OPT_MAX_FLOWS,
	OPT_RING_SIZE,
	OPT_EXIT_CODE,
	OPT_HTML,
	OPT_FOLLOW_PEERS,
	OPT_FORCE,
	OPT_DNS_PORT,
	OPT_NAMES,
	OPT_CLIENT,
	OPT_DOCTOR,
	OPT_USAGE
}; /* options without a short form */

/*
 * A test compares the manual page, the completion and the README with --help. An entry without a
 * name is a group heading.
 */
static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "What to watch", 1 },
	{ "iface", 'i', "NAME", 0,
	  "Watch this interface, best the one on the LAN side; repeat it for the WAN side, to see what the gateway itself adds and drops",
	  1 },
	{ "read", 'r', "FILE", 0,
	  "Analyse this capture instead (pcap or pcapng, also gzip; - is standard input); may be repeated; a FILTER as for tcpdump may follow",
	  1 },
	{ "netns", 'N', "NAME|PID", 0,
	  "Watch an interface of another network namespace, for example of a container", 1 },
	{ "follow", 'f', NULL, 0,
	  "If the interface disappears, wait for one of the same name (ppp0)", 1 },
	{ "follow-peers", OPT_FOLLOW_PEERS, NULL, 0,
	  "Watch the other interfaces of this host as well, to see whether the SYNs to peers that "
	  "do not answer leave there",
	  1 },
	{ "client", OPT_CLIENT, "CIDR", 0, "Watch only connections from clients in this network",
	  1 },
	{ "server", 'S', "CIDR", 0,
	  "Watch only connections to servers in this network; hides attempts at other servers that clients may wait for",
	  1 },
	{ "port", 'p', "LIST", 0,
	  "Watch only connections to these server ports: 80,443,8000-8100; hides attempts at other ports",
	  1 },
	{ "dns-port", OPT_DNS_PORT, "LIST", 0,
	  "Ports at which DNS is asked (default 53): 53,5353; --server and --port do not narrow DNS",
	  1 },
	{ "list-interfaces", 'D', NULL, 0, "List the interfaces of this host, and exit", 1 },
	{ "doctor", OPT_DOCTOR, "NAME", 0,
	  "Check what a run on this interface would need and see, and exit", 1 },
	{ NULL, 0, NULL, 0, "Duration and thresholds", 2 },
	{ "duration", 'd', "SECONDS", 0, "End the run after this time", 2 },
	{ "count", 'c', "COUNT", 0, "End the run after this many connects", 2 },
	{ "stall", 's', "SECONDS", 0, "Threshold of a stall (default 1)", 2 },
	{ "exit-code", OPT_EXIT_CODE, NULL, 0, "Exit with status 3 if a problem was found", 2 },
	{ NULL, 0, NULL, 0, "Output", 3 },
	{ "json", 'j', "FILE", OPTION_ARG_OPTIONAL,
	  "Write JSON lines to FILE, or to standard output instead of the report", 3 },
	{ "html", OPT_HTML, "FILE", 0, "Write the report as one HTML page with pictures", 3 },
	{ "write", 'w', "FILE", 0,
	  "Write the packets that decided the findings, with comments, as pcapng for Wireshark",
	  3 },
	{ "snap", OPT_SNAP, "BYTES", 0,
	  "With --write: write this much of each packet (default: its headers)", 3 },
	{ "names", OPT_NAMES, "MODE", 0,
	  "Names of DNS in the reports: none, evidence (default: only where a finding needs them) or all",
	  3 },
	{ "numeric", 'n', NULL, 0,
	  "Numbers only: no names of peers and services on screen and page", 3 },
	{ "force", OPT_FORCE, NULL, 0, "Overwrite files that exist", 3 },
	{ "quiet", 'q', NULL, 0, "Print only the report", 3 },
	{ "verbose", 'v', NULL, 0, "Print what is done and what it costs, and all tables", 3 },
	{ NULL, 0, NULL, 0, "Attachment and memory", 4 },
	{ "hook", 'H', "KIND", 0, "tcx or clsact; by default tcx where the kernel has it", 4 },
	{ "max-flows", OPT_MAX_FLOWS, "N", 0,
	  "Maximum number of attempts tracked at the same time (default 120000)", 4 },
	{ "ring-size", OPT_RING_SIZE, "MIB", 0,
	  "Size of the buffer for records from the kernel: a power of two (default 8)", 4 },
	{ "cleanup", OPT_CLEANUP, NULL, 0,
	  "Remove what killed runs left behind, on --iface or on all interfaces, and exit", 4 },
	{ "help", 'h', NULL, 0, "Print this", 5 },
	/* argp's error messages refer to it */
	{ "usage", OPT_USAGE, NULL, OPTION_HIDDEN, NULL, 5 },
	{ "version", 'V', NULL, 0, "Print the version", 5 },
	{ 0 },
};

/* Exits with a usage error unless all of the text is a number in the range. */
static double parse_seconds(struct argp_state *state, const char *option, const char *text,
			    double least, double most)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(text, &end);
	if (end == text || *end || errno || !isfinite(seconds) || seconds < least || seconds > most)
		argp_error(state, "%s %s: not a number of seconds from %.10g to %.10g", option,
			   format_name(text), least, most);
	return seconds;
}

static unsigned long parse_number(struct argp_state *state, const char *option, const char *text,
				  const char *of, unsigned long least, unsigned long most)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || number < least || number > most)
		argp_error(state, "%s %s: not a number of %s from %lu to %lu", option,
			   format_name(text), of, least, most);
	return number;
}

static bool parse_cidr(const char *text, struct address *net, struct address *mask)
{
	char address[64], *slash, *end;
	struct in6_addr ip6;
	struct in_addr ip4;
	long bits = -1;
	int i, width;

	if (strlen(text) >= sizeof(address))
		return false;
	strcpy(address, text);
	slash = strchr(address, '/');
	if (slash) {
		*slash++ = '\0';
		errno = 0;
		bits = strtol(slash, &end, 10);
		if (!isdigit((unsigned char)*slash) || *end || errno)
			return false;
	}
	if (inet_pton(AF_INET, address, &ip4) == 1) {
		*net = (struct address){ .word = { 0, 0, IP4_PREFIX, ip4.s_addr } };
		width = 32;
	} else if (inet_pton(AF_INET6, address, &ip6) == 1) {
		memcpy(net->word, &ip6, sizeof(net->word));
		width = 128;
	} else {
		return false;
	}
	if (bits > width)
		return false;
	if (bits < 0)
		bits = width;
	bits += 128 - width; /* IPv4 addresses are IPv4-mapped, behind 96 bits of prefix */
	for (i = 0; i < 4; i++, bits -= 32) {
		mask->word[i] = bits >= 32 ? ~0U : bits <= 0 ? 0 : htonl(~0U << (32 - bits));
		net->word[i] &= mask->word[i];
	}
	return true;
}

/*
 * Parses the argument of --client or --server. The mask of ::/0 is zero, like the mask of an absent
 * option.
 */
static void set_network(struct argp_state *state, const char *option, const char *text,
			struct address *net, struct address *mask)
{
	if (!is_zero_address(mask))
		argp_error(state, "%s may be given once", option);
	if (!parse_cidr(text, net, mask))
		argp_error(state, "%s %s: not an address or network like 10.1.4.0/24 or fd00::/8",
			   option, format_name(text));
}

static bool parse_ports(const char *text, struct selector *selector)
{
	const char *p = text;
	long from, to;
	char *end;

	do {
		if (!isdigit((unsigned char)*p))
			return false;
		errno = 0;
		from = to = strtol(p, &end, 10);
		if (*end == '-') {
			p = end + 1;
			if (!isdigit((unsigned char)*p))
				return false;
			to = strtol(p, &end, 10);
		}
		if (errno || from < 1 || to > 65535 || from > to)
			return false;
		for (; from <= to; from++)
			selector->ports[from >> 3] |= 1 << (from & 7);
		p = end + 1;
	} while (*end == ',');
	selector->by_port = 1;
	return !*end;
}

/* -c was the short form of --client in earlier versions: scripts may still have it. */
static unsigned long parse_count(struct argp_state *state, const char *text)
{
	struct address net, mask;

	if (text[strspn(text, "0123456789")] && parse_cidr(text, &net, &mask))
		argp_error(state, "-c %s: -c is a number of connects; use --client %s",
			   format_name(text), format_name(text));
	return parse_number(state, "-c", text, "connects", 1, 1000000000);
}

static bool has_dns_port(const struct options *o, unsigned long port)
{
	size_t i;

	for (i = 0; i < o->dns_port_count; i++)
		if (o->dns_ports[i] == port)
			return true;
	return false;
}

/* Replaces the default. Returns false unless the text is a list of at most MAX_DNS_PORTS ports. */
static bool parse_dns_ports(const char *text, struct options *o)
{
	const char *p = text;
	unsigned long port;
	char *end;

	o->dns_port_count = 0;
	do {
		if (!isdigit((unsigned char)*p))
			return false;
		errno = 0;
		port = strtoul(p, &end, 10);
		if (errno || port < 1 || port > 65535)
			return false;
		if (!has_dns_port(o, port)) {
			if (o->dns_port_count == MAX_DNS_PORTS)
				return false;
			o->dns_ports[o->dns_port_count++] = port;
		}
		p = end + 1;
	} while (*end == ',');
	return !*end;
}

static void add_read(struct argp_state *state, struct options *o, const char *file)
{
	size_t i;

	for (i = 0; i < o->read_count; i++)
		if (!strcmp(file, "-") && !strcmp(o->reads[i], "-"))
			argp_error(state, "--read -: standard input can be read once");
	o->reads = reallocarray(o->reads, o->read_count + 1, sizeof(*o->reads));
	if (!o->reads) {
		argp_failure(state, 1, errno, "--read");
		return;
	}
	o->reads[o->read_count++] = file;
}

static void add_iface(struct argp_state *state, struct options *o, const char *name)
{
	unsigned int i;

	for (i = 0; i < o->iface_count; i++)
		if (!strcmp(o->ifaces[i], name))
			argp_error(state, "--iface %s is given twice", format_name(name));
	if (o->iface_count == MAX_IFACES)
		argp_error(state, "--iface %s: no more than %d interfaces at once",
			   format_name(name), MAX_IFACES);
	o->ifaces[o->iface_count++] = name;
}

/* Joins the words of the filter by spaces, as tcpdump does. */
static void add_filter(struct argp_state *state, struct options *o, const char *word)
{
	char *before = o->filter;

	if (asprintf(&o->filter, "%s%s%s", before ? before : "", before ? " " : "", word) < 0)
		argp_failure(state, 1, errno, "%s", word);
	free(before);
}

static void set_output(struct argp_state *state, const char *option, const char **file,
		       const char *argument)
{
	if (*file)
		argp_error(state, "%s may be given once", option);
	if (!*argument || !strcmp(argument, "-"))
		argp_error(state, "%s FILE: it needs the name of a file", option);
	*file = argument;
}

static void set_hook(struct argp_state *state, struct options *o, const char *kind)
{
	if (!strcmp(kind, "tcx"))
		o->hook = HOOK_TCX;
	else if (!strcmp(kind, "clsact"))
		o->hook = HOOK_CLSACT;
	else
		argp_error(state, "--hook %s: there are tcx and clsact", format_name(kind));
}

static void set_names(struct argp_state *state, struct options *o, const char *mode)
{
	size_t i;

	for (i = 0; i < NAMES_MODES; i++)
		if (!strcmp(mode, names_mode_names[i])) {
			o->names_mode = i;
			return;
		}
	argp_error(state, "--names %s: there are none, evidence and all", format_name(mode));
}

static void check_combination(struct argp_state *state, const struct options *o)
{
	if (o->snaplen && !o->write_file)
		argp_error(state, "--snap is for --write FILE");
	if (o->iface_count && o->read_count)
		argp_error(state, "--iface or --read, not both");
	if (o->read_count && (o->netns || o->hook || o->follow || o->follow_peers || o->cleanup))
		argp_error(
			state,
			"--netns, --hook, --follow, --follow-peers and --cleanup are about an interface, "
			"not about --read FILE");
	if (!o->iface_count && !o->read_count && !o->cleanup && !o->list_interfaces && !o->doctor)
		argp_error(state, "nothing to watch: give --iface NAME or --read FILE");
	if (o->iface_count && o->filter)
		argp_error(
			state,
			"%s: unexpected argument. A filter applies to --read; for --iface use --client, --server and --port",
			format_name(o->filter));
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'i':
		add_iface(state, o, argument);
		break;
	case 'r':
		add_read(state, o, argument);
		break;
	case 'f':
		o->follow = true;
		break;
	case 'n':
		o->numeric = true;
		break;
	case OPT_NAMES:
		set_names(state, o, argument);
		break;
	case 'N':
		if (!*argument)
			argp_error(state, "--netns: the namespace has no name");
		o->netns = argument;
		break;
	case 'H':
		set_hook(state, o, argument);
		break;
	case OPT_FOLLOW_PEERS:
		o->follow_peers = true;
		break;
	case OPT_CLEANUP:
		o->cleanup = true;
		break;
	case 'd':
		o->duration = parse_seconds(state, "--duration", argument, 0.1, 1e8);
		break;
	case 's':
		o->stall = parse_seconds(state, "--stall", argument, 0.001, 1e6) * SECOND_NS;
		break;
	case 'c':
		o->connect_count = parse_count(state, argument);
		break;
	case 'D':
		o->list_interfaces = true;
		break;
	case OPT_DOCTOR:
		o->doctor = argument;
		break;
	case OPT_CLIENT:
		set_network(state, "--client", argument, &o->selector->client,
			    &o->selector->client_mask);
		break;
	case 'S':
		set_network(state, "--server", argument, &o->selector->server,
			    &o->selector->server_mask);
		break;
	case 'p':
		if (!parse_ports(argument, o->selector))
			argp_error(state, "--port %s: not a list of ports like 80,443,8000-8100",
				   format_name(argument));
		break;
	case OPT_DNS_PORT:
		if (!parse_dns_ports(argument, o))
			argp_error(state,
				   "--dns-port %s: not a list of at most %d ports like 53,5353",
				   format_name(argument), MAX_DNS_PORTS);
		break;
	case 'j':
		o->json = true;
		o->json_file = argument;
		if (argument && !*argument)
			argp_error(state, "--json=FILE: the file has no name");
		break;
	case OPT_HTML:
		set_output(state, "--html", &o->html_file, argument);
		break;
	case 'w':
		set_output(state, "--write", &o->write_file, argument);
		break;
	case OPT_FORCE:
		o->force = true;
		break;
	case OPT_SNAP:
		o->snaplen = parse_number(state, "--snap", argument, "bytes", 20, MAX_SNAPLEN);
		break;
	case OPT_MAX_FLOWS:
		o->max_flows = parse_number(state, "--max-flows", argument, "attempts", 1024,
					    MAX_TRACKED_FLOWS);
		break;
	case OPT_RING_SIZE:
		o->ring_bytes = parse_number(state, "--ring-size", argument, "MiB", 1, 256) << 20;
		if (o->ring_bytes & (o->ring_bytes - 1))
			argp_error(state, "--ring-size %s: not a power of two",
				   format_name(argument));
		break;
	case OPT_EXIT_CODE:
		o->exit_code = true;
		break;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		break;
	case OPT_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
		break;
	case 'V':
		puts("probe " PROBE_VERSION);
		exit(EXIT_SUCCESS);
	case 'q':
		o->quiet = true;
		break;
	case 'v':
		o->verbose = true;
		break;
	case ARGP_KEY_ARG:
		add_filter(state, o, argument);
		break;
	case ARGP_KEY_END:
		check_combination(state, o);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void options_parse(struct options *o, int argc, char **argv)
{
	static const struct argp argp = { .options = argp_options,
					  .parser = parse_option,
					  .args_doc = "[FILTER...]",
					  .doc = doc };
	static struct selector selector;
	error_t error;

	*o = (struct options){ .stall = SECOND_NS,
			       .selector = &selector,
			       .max_flows = DEFAULT_FLOWS,
			       .ring_bytes = DEFAULT_RING_BYTES,
			       .dns_ports = { DNS_PORT },
			       .dns_port_count = 1,
			       .names_mode = NAMES_EVIDENCE };
	argp_err_exit_status = EXIT_USAGE;
	/* ARGP_NO_HELP: argp_options has --help and --usage */
	error = argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, o);
	if (error) {
		fprintf(stderr, "probe: cannot read the options: %s\n", strerror(error));
		exit(EXIT_FAILURE);
	}
}
