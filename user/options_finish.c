// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor/interfaces.h"
#include "lib/format.h"
#include "options_internal.h"

void options_add_iface(struct argp_state *state, struct options *o, const char *name)
{
	unsigned int i;

	if (!*name)
		argp_error(state, "--iface: the interface has no name");
	for (i = 0; i < o->iface_count; i++)
		if (!strcmp(o->ifaces[i], name))
			argp_error(state, "--iface %s is given twice", format_name(name));
	if (o->iface_count == MAX_IFACES)
		argp_error(state, "--iface %s: no more than %d interfaces at once",
			   format_name(name), MAX_IFACES);
	o->ifaces[o->iface_count++] = name;
}

void options_add_word(struct argp_state *state, struct parser *p, const char *word)
{
	p->words = reallocarray(p->words, p->word_count + 1, sizeof(*p->words));
	if (!p->words) {
		argp_failure(state, 1, errno, "%s", word);
		return;
	}
	p->words[p->word_count++] = word;
}

void options_join_text(struct argp_state *state, char **text, const char *more, const char *by)
{
	char *before = *text;

	if (asprintf(text, "%s%s%s", before ? before : "", before ? by : "", more) < 0)
		argp_failure(state, 1, errno, "%s", more);
	free(before);
}

/* ---- words ---- */

/* Joins words by spaces, as tcpdump does. Returns NULL if there are none. */
static char *join_words(struct argp_state *state, const struct parser *p, size_t first)
{
	char *text = NULL;
	size_t i;

	for (i = first; i < p->word_count; i++)
		options_join_text(state, &text, p->words[i], " ");
	return text;
}

/* Returns true if a filter of pcap-filter(7) may begin with this word. */
static bool begins_filter(const char *word)
{
	static const char *const keywords[] = {
		"and",	"arp",	"broadcast", "dst",  "ether",	  "gateway", "greater",
		"host", "icmp", "icmp6",     "ip",   "ip6",	  "less",    "mpls",
		"net",	"not",	"or",	     "port", "portrange", "pppoes",  "proto",
		"src",	"tcp",	"udp",	     "vlan", "multicast",
	};
	size_t i;

	if (word[strcspn(word, " ()[]=<>!&|/")])
		return true;
	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (!strcmp(word, keywords[i]))
			return true;
	return false;
}

/* The file of --json follows =. An interface or a filter may also stand behind --json. */
static void check_after_json(struct argp_state *state, const struct parser *p)
{
	const char *file = p->after_json;
	bool may_be_word = p->options->read_count || p->options->netns;
	size_t i;

	for (i = 0; file && i < p->word_count; i++)
		if (p->words[i] == file && !if_nametoindex(file) &&
		    (!may_be_word || strpbrk(file, "./")))
			argp_error(state, "--json %s: the file follows =, as in --json=%s",
				   format_name(file), format_name(file));
}

static void refuse_filter(struct argp_state *state, const struct parser *p, size_t first)
{
	char *filter = join_words(state, p, first);

	argp_error(
		state,
		"%s: unexpected argument. A filter applies to --read; for --iface use --client, --server and --port",
		format_name(filter));
	free(filter);
}

/* Without --read, words are names of interfaces. */
static void words_to_ifaces(struct argp_state *state, struct parser *p)
{
	struct options *o = p->options;
	size_t i;

	if (o->iface_count && if_nametoindex(p->words[0]))
		argp_error(state, "%s: unexpected argument; to watch it as well: --iface %s",
			   format_name(p->words[0]), format_name(p->words[0]));
	if (o->iface_count)
		refuse_filter(state, p, 0);
	for (i = 0; i < p->word_count; i++) {
		const char *word = p->words[i];

		if (!if_nametoindex(word) && !access(word, F_OK))
			argp_error(state,
				   "%s: it is a file, not an interface; to analyse a capture: "
				   "probe --read %s",
				   format_name(word), format_name(word));
		if (begins_filter(word))
			refuse_filter(state, p, i);
		options_add_iface(state, o, word);
		p->seen['i'] = true;
	}
}

/* ---- combinations ---- */

/* Explains that there is no pseudo-interface as in tcpdump, and lists the interfaces. */
static void check_any(const struct options *o)
{
	unsigned int i;

	for (i = 0; i < o->iface_count; i++)
		if (!strcmp(o->ifaces[i], "any") && !if_nametoindex("any"))
			break;
	if (i == o->iface_count)
		return;
	fprintf(stderr,
		"probe: --iface any: not all interfaces can be watched at once. Choose the one on the "
		"clients' side; repeat --iface for others, at most %d. %s\n",
		MAX_IFACES,
		o->netns ? "--netns NAME -D lists those of the namespace." : "There are:");
	/* standard output is for reports */
	if (!o->netns && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
		interfaces_list();
	fflush(stdout);
	exit(EXIT_USAGE);
}

static const char *mode_name(enum mode mode)
{
	switch (mode) {
	case MODE_CAPTURE:
		return "--read FILE";
	case MODE_CLEANUP:
		return "--cleanup";
	case MODE_LIST:
		return "--list-interfaces";
	case MODE_DOCTOR:
		return "--doctor NAME";
	default:
		return "--iface NAME";
	}
}

static enum mode find_mode(struct argp_state *state, const struct options *o)
{
	if (o->cleanup + o->list_interfaces + !!o->doctor > 1)
		argp_error(state, "--cleanup, --list-interfaces or --doctor: one at a time");
	if (o->cleanup)
		return MODE_CLEANUP;
	if (o->list_interfaces)
		return MODE_LIST;
	if (o->doctor)
		return MODE_DOCTOR;
	return o->read_count ? MODE_CAPTURE : MODE_LIVE;
}

static const char *effect_reason(enum mode mode, unsigned int modes)
{
	if (mode == MODE_CAPTURE)
		return "it is about an interface";
	return modes & (MODE_LIVE | MODE_CAPTURE) ? "there is no run" : "leave out one of them";
}

/* An option without an effect is an error, because its user expects an effect. */
static void check_effects(struct argp_state *state, const struct parser *p, enum mode mode,
			  const struct argp_option *all)
{
	const struct argp_option *option;

	for (option = all; option->name || option->key || option->doc; option++) {
		unsigned int modes = option_modes(option->key);

		if (option->name && option->key && p->seen[option->key] && !(modes & mode))
			argp_error(state, "--%s has no effect with %s: %s", option->name,
				   mode_name(mode), effect_reason(mode, modes));
	}
}

static void check_outputs(struct argp_state *state, const struct options *o)
{
	if (o->snaplen && !o->write_file)
		argp_error(state, "--snap is for --write FILE");
	if (o->force && !o->json_file && !o->html_file && !o->write_file)
		argp_error(state, "--force is for --json=FILE, --html FILE and --write FILE");
}

void options_finish(struct argp_state *state, struct parser *p, const struct argp_option *all)
{
	struct options *o = p->options;
	const char *empty = selector_finish(o->selector, &p->selector);
	enum mode mode;

	check_after_json(state, p);
	if (o->read_count)
		o->filter = join_words(state, p, 0);
	else if (p->word_count)
		words_to_ifaces(state, p);
	free(p->words);
	p->words = NULL;
	if (o->iface_count && o->read_count)
		argp_error(state, "--iface or --read, not both");
	mode = find_mode(state, o);
	if (mode == MODE_LIVE && !o->iface_count)
		argp_error(state, "nothing to watch: give --iface NAME or --read FILE; "
				  "-D lists the interfaces");
	check_any(o);
	check_effects(state, p, mode, all);
	check_outputs(state, o);
	if (empty)
		argp_error(state, "%s leaves nothing to watch: it leaves out what it names", empty);
}
