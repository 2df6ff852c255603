// SPDX-License-Identifier: GPL-2.0
#include "diagnose/name_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Maximum number of different names that a run prints in its findings. */
#define MAX_PRINTED_NAMES 4096

/* Minimum number of further names of an address at which none of them tells what a client wanted. */
#define MANY_NAMES 4

/* Omits the middle of a long name: its first label and its zone tell it apart. */
static char *write_name(char out[NAME_TEXT], const struct dns_name *name)
{
	char text[FORMAT_DNS_NAME];
	size_t length, end;

	format_dns_name(text, name);
	length = strlen(text);
	end = (NAME_TEXT - 4) / 2;
	if (length < NAME_TEXT)
		memcpy(out, text, length + 1);
	else
		snprintf(out, NAME_TEXT, "%.*s...%s", (int)(NAME_TEXT - 4 - end), text,
			 text + length - end);
	return out;
}

/* Returns the place of the name, from 1, among those that were printed; 0 when out of memory. */
static size_t remember(struct diagnosis *d, const struct dns_name *name)
{
	struct dns_name *more;
	size_t i;

	for (i = 0; i < d->printed_name_count; i++)
		if (!memcmp(&d->printed_names[i], name, sizeof(*name)))
			return i + 1;
	if (i == MAX_PRINTED_NAMES)
		return 0;
	if (!(i & (i - 1))) {
		more = reallocarray(d->printed_names, i ? 2 * i : 1, sizeof(*more));
		if (!more)
			return 0;
		d->printed_names = more;
	}
	d->printed_names[d->printed_name_count++] = *name;
	return i + 1;
}

char *name_text(char out[NAME_TEXT], struct diagnosis *d, const struct dns_name *name)
{
	size_t number = remember(d, name);

	if (d->session->names_mode != NAMES_NONE)
		return write_name(out, name);
	snprintf(out, NAME_TEXT, "name#%zu", number);
	return out;
}

/* Returns the number of the name by which the client, or else any client, knows the address. */
static uint32_t number_of(const struct names *n, const struct client_key *client,
			  const struct address *a, unsigned int *others)
{
	uint32_t number = client ? names_of_address(n, client, a, others) : 0;

	return number ? number : names_of_address(n, NULL, a, others);
}

const char *peer_name(char out[PEER_NAME], const struct diagnosis *d,
		      const struct client_key *client, const struct address *a)
{
	unsigned int others = 0;
	char name[NAME_TEXT];
	uint32_t number;

	if (!d->names || d->session->names_mode == NAMES_NONE)
		return NULL;
	number = number_of(d->names, client, a, &others);
	if (!number)
		return NULL;
	write_name(name, names_name(d->names, number));
	if (others >= MANY_NAMES)
		snprintf(out, PEER_NAME, "many names");
	else if (others)
		snprintf(out, PEER_NAME, "%s +%u", name, others);
	else
		snprintf(out, PEER_NAME, "%s", name);
	return out;
}

/* Returns a client that a finding is about, or NULL. key is room for it. */
static const struct client_key *client_of(const struct finding *f, struct client_key *key)
{
	if (f->has_example) {
		*key = client_key_of(&f->example.client);
		return key;
	}
	return f->affected.named ? &f->affected.at[0] : NULL;
}

const char *finding_peer_name(char out[PEER_NAME], const struct diagnosis *d,
			      const struct finding *f, const struct address *a)
{
	struct client_key key;

	return peer_name(out, d, client_of(f, &key), a);
}

/* ---- how many names are printed ---- */

#define MAX_PEERS_OF_FINDING (3 + MAX_FINDING_ALSO + MAX_FINDING_PARTS)

static void add_name(uint32_t *numbers, size_t *count, const struct diagnosis *d,
		     const struct finding *f, const struct endpoint *e)
{
	unsigned int others = 0;
	struct client_key key;
	uint32_t number = number_of(d->names, client_of(f, &key), &e->address, &others);

	if (number && others < MANY_NAMES)
		numbers[(*count)++] = number;
}

static void add_names_of(uint32_t *numbers, size_t *count, const struct diagnosis *d,
			 const struct finding *f)
{
	size_t i;

	if (f->has_peer && !f->prefix_length)
		add_name(numbers, count, d, f, &f->peer);
	for (i = 0; i < f->also_count; i++)
		add_name(numbers, count, d, f, &f->also[i]);
	for (i = 0; i < f->part_count; i++)
		add_name(numbers, count, d, f, &f->parts[i].server);
	if (f->has_example)
		add_name(numbers, count, d, f, &f->example.server);
	if (f->has_example && f->example.waited_for.port)
		add_name(numbers, count, d, f, &f->example.waited_for);
}

static bool is_printed(const struct diagnosis *d, uint32_t number)
{
	const struct dns_name *name = names_name(d->names, number);
	size_t i;

	for (i = 0; i < d->printed_name_count; i++)
		if (!memcmp(&d->printed_names[i], name, sizeof(*name)))
			return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

size_t names_shown(const struct diagnosis *d, const uint32_t *more, size_t more_count)
{
	size_t i, count = 0, shown = d->printed_name_count;
	uint32_t *numbers;

	if (d->session->names_mode == NAMES_NONE || !d->names)
		return 0;
	numbers = calloc(d->count * MAX_PEERS_OF_FINDING + more_count + 1, sizeof(*numbers));
	if (!numbers)
		return shown;
	for (i = 0; i < d->count; i++)
		add_names_of(numbers, &count, d, &d->at[i]);
	for (i = 0; i < more_count; i++)
		numbers[count++] = more[i];
	qsort(numbers, count, sizeof(*numbers), by_number);
	for (i = 0; i < count; i++)
		shown += (!i || numbers[i] != numbers[i - 1]) && !is_printed(d, numbers[i]);
	free(numbers);
	return shown;
}
