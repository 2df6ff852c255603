// SPDX-License-Identifier: GPL-2.0
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"
#include "options_internal.h"
#include "options_values.h"
#include "packet_event.h"
#include "shared.h"

static const char doc[] =
	"Reports, on the gateway itself, why it is slow for some users: which TCP connections stalled after the handshake, which peers do not answer, and which of these peers the stalled clients waited for. It watches how connections open, and lets every packet pass unchanged.\v"
	"Examples:\n"
	"  probe eth0                          until Ctrl-C, then the report\n"
	"  probe eth0 --client '10.1.4.0/24,!10.1.4.7'     only these clients\n"
	"  probe ppp0 --follow --duration 8h --json=night.json\n"
	"  probe eth0 --write evidence.pcapng      packets for Wireshark\n"
	"  probe --read incident.pcap --html incident.html      pictures for a browser\n"
	"  probe eth0 --netns web --duration 60 --quiet --exit-code\n"
	"  probe --read incident.pcap          no root needed\n"
	"  probe --read a.pcap --read b.pcap.gz net 10.1.4.0/24\n"
	"\n"
	"Choose the interface on the clients' side; -D lists them. On the outer side of this host's NAT, conntrack names the clients.\n"
	"Exit status: 0 the run ended normally, 1 an error, 2 wrong usage, 3 with --exit-code if a problem was found.";

#define TCPDUMP(letter)                                    \
	{                                                  \
		NULL, letter, NULL, OPTION_HIDDEN, NULL, 5 \
	}

/*
 * A test compares the manual page, the completion and the README with --help. An entry without a
 * name is a group heading.
 */
static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "What to watch", 1 },
	{ "iface", 'i', "NAME", 0,
	  "Watch this interface, best the one on the LAN side; repeat it for the WAN side, to see what the gateway itself adds and drops; --iface may be left out",
	  1 },
	{ "interface", 0, NULL, OPTION_ALIAS | OPTION_HIDDEN, NULL, 1 },
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
	{ "client", OPT_CLIENT, "LIST", 0,
	  "Watch only connections from clients in these networks: 10.1.4.0/24,fd00::/8; '!10.1.4.7' leaves out (! needs single quotes)",
	  1 },
	{ "server", 'S', "LIST", 0,
	  "Watch only connections to servers in these networks; hides attempts at other servers that clients may wait for",
	  1 },
	{ "port", 'p', "LIST", 0,
	  "Watch only connections to these server ports: https,80,8000-8100 or '!22'; hides attempts at other ports",
	  1 },
	{ "dns-port", OPT_DNS_PORT, "LIST", 0,
	  "Ports at which DNS is asked (default 53): 53,5353; --server and --port do not narrow DNS",
	  1 },
	{ "list-interfaces", 'D', NULL, 0, "List the interfaces of this host, and exit", 1 },
	{ "doctor", OPT_DOCTOR, "NAME", 0,
	  "Check what a run on this interface would need and see, and exit", 1 },
	{ NULL, 0, NULL, 0, "Duration and thresholds", 2 },
	{ "duration", 'd', "TIME", 0, "End the run after this time: 90, 10m, 8h", 2 },
	{ "count", 'c', "COUNT", 0, "End the run after this many connects", 2 },
	{ "stall", 's', "TIME", 0, "Threshold of a stall: 200ms, 2s (default 1s)", 2 },
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
	/* tcpdump's: -l has its effect in any case, the others are explained */
	TCPDUMP('l'),
	TCPDUMP('A'),
	TCPDUMP('B'),
	TCPDUMP('C'),
	TCPDUMP('E'),
	TCPDUMP('F'),
	TCPDUMP('G'),
	TCPDUMP('I'),
	TCPDUMP('J'),
	TCPDUMP('K'),
	TCPDUMP('L'),
	TCPDUMP('M'),
	TCPDUMP('O'),
	TCPDUMP('Q'),
	TCPDUMP('R'),
	TCPDUMP('T'),
	TCPDUMP('U'),
	TCPDUMP('W'),
	TCPDUMP('X'),
	TCPDUMP('Z'),
	TCPDUMP('a'),
	TCPDUMP('b'),
	TCPDUMP('e'),
	TCPDUMP('t'),
	TCPDUMP('u'),
	TCPDUMP('x'),
	TCPDUMP('y'),
	TCPDUMP('z'),
	{ "version", 'V', NULL, 0, "Print the version", 5 },
	{ 0 },
};

static const struct argp_option *find_option(int key)
{
	const struct argp_option *option;

	for (option = argp_options; option->name || option->key || option->doc; option++)
		if (option->key == key && option->name)
			return option;
	return NULL;
}

static bool adds_up(int key)
{
	return key == 'i' || key == 'r' || key == OPT_CLIENT || key == 'S' || key == 'p' ||
	       key == OPT_DNS_PORT;
}

/* The rule for repeated options: lists add up, flags may be repeated, other values may not. */
static void note_option(struct argp_state *state, struct parser *p, int key, const char *argument)
{
	const struct argp_option *option = find_option(key);

	if (!option)
		return;
	if (argument && *argument == '-' && tcpdump_flag(key))
		argp_error(state, "--%s %s: it needs a value (%s). %s", option->name,
			   format_name(argument), option->arg, tcpdump_flag(key));
	if (p->seen[key] && option->arg && !adds_up(key))
		argp_error(state, "--%s may be given once", option->name);
	p->seen[key] = true;
}

static double parse_seconds(struct argp_state *state, const char *option, const char *text,
			    double least, double most, bool *has_unit)
{
	double seconds = 0;

	if (!parse_duration(text, &seconds, has_unit) || seconds < least || seconds > most)
		argp_error(
			state,
			"%s %s: not a number of seconds from %.10g to %.10g, nor a time with one "
			"unit like 200ms, 10m or 8h",
			option, format_name(text), least, most);
	return seconds;
}

#define MAX_PLAIN_STALL 60 /* seconds; a larger threshold needs a unit */

/* tcpdump's -s is the snap length. */
static ns_t parse_stall(struct argp_state *state, const char *text)
{
	bool has_unit;
	double seconds;

	if (!strcmp(text, "0"))
		argp_error(state, "--stall 0: -s is the threshold of a stall, not the snap length: "
				  "leave it out, or use --write FILE --snap BYTES");
	seconds = parse_seconds(state, "--stall", text, 0.001, 1e6, &has_unit);
	if (!has_unit && seconds > MAX_PLAIN_STALL)
		argp_error(
			state,
			"--stall %s: -s is the threshold of a stall, not the snap length: -s %ss "
			"if you mean %s seconds; --snap %s for the snap length of --write",
			text, text, text, text);
	return seconds * SECOND_NS;
}

static unsigned long parse_number(struct argp_state *state, const char *option, const char *text,
				  const char *of, unsigned long least, unsigned long most)
{
	unsigned long number;

	if (!parse_whole(text, &number) || number < least || number > most)
		argp_error(state, "%s %s: not a number of %s from %lu to %lu", option,
			   format_name(text), of, least, most);
	return number;
}

/* -c was the short form of --client in earlier versions: scripts may still have it. */
static unsigned long parse_count(struct argp_state *state, const char *text)
{
	unsigned long number;
	struct network network;

	if (!parse_whole(text, &number) && parse_network(text, &network))
		argp_error(state, "-c %s: -c is a number of connects; use --client %s", text, text);
	return parse_number(state, "--count", text, "connects", 1, 1000000000);
}

static void add_networks(struct argp_state *state, const char *option, struct network_list *l,
			 const char *text, char **all)
{
	char error[SELECTOR_ERROR];

	if (!selector_add_networks(l, text, error))
		argp_error(state, "%s %s", option, error);
	options_join_text(state, all, text, ",");
}

static void add_ports(struct argp_state *state, struct parser *p, const char *text)
{
	char error[SELECTOR_ERROR];

	if (!selector_add_ports(&p->selector, text, error))
		argp_error(state, "--port %s", error);
	options_join_text(state, &p->options->port_text, text, ",");
}

static bool add_dns_port(struct options *o, uint16_t port)
{
	size_t i;

	for (i = 0; i < o->dns_port_count; i++)
		if (o->dns_ports[i] == port)
			return true;
	if (o->dns_port_count == MAX_DNS_PORTS)
		return false;
	o->dns_ports[o->dns_port_count++] = port;
	return true;
}

/* Returns false unless the text is a list of ports, at most MAX_DNS_PORTS with those before. */
static bool add_dns_ports(struct parser *p, const char *text)
{
	char item[sizeof("65535")];
	uint16_t port, last;
	size_t length;

	if (!p->has_dns_port)
		p->options->dns_port_count = 0;
	p->has_dns_port = true;
	for (;; text += length + 1) {
		length = strcspn(text, ",");
		if (length >= sizeof(item))
			return false;
		snprintf(item, sizeof(item), "%.*s", (int)length, text);
		if (!parse_port_range(item, &port, &last) || strchr(item, '-') ||
		    !add_dns_port(p->options, port))
			return false;
		if (!text[length])
			return true;
	}
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

static void set_output(struct argp_state *state, const char *option, const char **file,
		       const char *argument)
{
	if (!*argument)
		argp_error(state, "%s FILE: it needs the name of a file", option);
	if (!strcmp(argument, "-"))
		argp_error(
			state,
			"%s -: it needs the name of a file, because standard output has the report",
			option);
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

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct parser *p = state->input;
	struct options *o = p->options;
	bool has_unit;

	if (key > 0 && key < OPT_KEYS)
		note_option(state, p, key, argument);
	switch (key) {
	case 'i':
		options_add_iface(state, o, argument);
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
		o->duration = parse_seconds(state, "--duration", argument, 0.1, 1e8, &has_unit);
		break;
	case 's':
		o->stall = parse_stall(state, argument);
		break;
	case 'c':
		o->connect_count = parse_count(state, argument);
		break;
	case 'D':
		o->list_interfaces = true;
		break;
	case OPT_DOCTOR:
		if (!*argument)
			argp_error(state, "--doctor: the interface has no name");
		o->doctor = argument;
		break;
	case OPT_CLIENT:
		add_networks(state, "--client", &p->selector.clients, argument, &o->client_text);
		break;
	case 'S':
		add_networks(state, "--server", &p->selector.servers, argument, &o->server_text);
		break;
	case 'p':
		add_ports(state, p, argument);
		break;
	case OPT_DNS_PORT:
		if (!add_dns_ports(p, argument))
			argp_error(state,
				   "--dns-port %s: not a list of at most %d ports like 53,5353",
				   format_name(argument), MAX_DNS_PORTS);
		break;
	case 'j':
		o->json = true;
		o->json_file = argument;
		p->after_json = argument ? NULL : state->argv[state->next];
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
		options_add_word(state, p, argument);
		break;
	case ARGP_KEY_END:
		options_finish(state, p, argp_options);
		break;
	case 'l': /* standard output is written line by line */
		break;
	default:
		if (!tcpdump_option(key))
			return ARGP_ERR_UNKNOWN;
		argp_error(state, "-%c is tcpdump's: %s", key, tcpdump_option(key));
	}
	return 0;
}

void options_parse(struct options *o, int argc, char **argv)
{
	static const struct argp argp = { .options = argp_options,
					  .parser = parse_option,
					  .args_doc = "[IFACE...]\n--read FILE [FILTER...]",
					  .doc = doc };
	static struct selector selector;
	static struct parser parser;
	error_t error;

	*o = (struct options){ .stall = SECOND_NS,
			       .selector = &selector,
			       .max_flows = DEFAULT_FLOWS,
			       .ring_bytes = DEFAULT_RING_BYTES,
			       .dns_ports = { DNS_PORT },
			       .dns_port_count = 1,
			       .names_mode = NAMES_EVIDENCE };
	parser = (struct parser){ .options = o };
	argp_err_exit_status = EXIT_USAGE;
	/* ARGP_NO_HELP: argp_options has --help and --usage */
	error = argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &parser);
	if (error) {
		fprintf(stderr, "probe: cannot read the options: %s\n", strerror(error));
		exit(EXIT_FAILURE);
	}
}
