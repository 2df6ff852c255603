/* SPDX-License-Identifier: GPL-2.0 */
/* What the parser of the command line has read so far. Only options_*.c include this. */
#pragma once

#include <argp.h>

#include "options.h"
#include "options_rules.h"
#include "options_selector.h"

struct parser {
	struct options *options;
	struct selector_options selector;
	bool seen[OPT_KEYS];
	const char **words; /* arguments that are no options */
	size_t word_count;
	const char *after_json; /* argument behind --json: its user may mean the file */
	bool has_dns_port; /* the first --dns-port replaces the default, the next ones add */
};

/* Exits with a usage error. */
void options_add_iface(struct argp_state *state, struct options *o, const char *name);

void options_add_word(struct argp_state *state, struct parser *p, const char *word);

/* Appends to *text, behind the separator unless *text is NULL. */
void options_join_text(struct argp_state *state, char **text, const char *more, const char *by);

/*
 * Decides what the words mean, and checks the options in combination. Exits with a usage error.
 * `all` is the table of all options.
 */
void options_finish(struct argp_state *state, struct parser *p, const struct argp_option *all);
