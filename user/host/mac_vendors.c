// SPDX-License-Identifier: GPL-2.0
#include "host/mac_vendors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A registry assigns blocks of addresses by their first digits. The longest match decides. */
static const struct {
	const char *file;
	unsigned int digits;
} registries[] = {
	{ "oui36.csv", 9 }, /* MA-S */
	{ "mam.csv", 7 }, /* MA-M */
	{ "oui.csv", 6 }, /* MA-L */
};

#define REGISTRIES (sizeof(registries) / sizeof(registries[0]))

/* Bound on the blocks of a registry: the largest one had 35 000 in 2024. */
#define MAX_BLOCKS (1 << 18)

struct block {
	uint64_t prefix;
	char name[MAC_VENDOR_NAME];
};

struct registry {
	FILE *file; /* NULL if there is none */
	struct block *blocks; /* sorted by prefix */
	size_t count;
	size_t room;
};

struct mac_vendors {
	struct registry registries[REGISTRIES];
	bool is_read;
};

struct mac_vendors *mac_vendors_open(const char *folder)
{
	struct mac_vendors *v = calloc(1, sizeof(*v));
	bool found = false;
	char path[256];
	size_t i;

	for (i = 0; v && i < REGISTRIES; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, registries[i].file);
		v->registries[i].file = fopen(path, "re");
		found |= v->registries[i].file != NULL;
	}
	if (!found) {
		free(v);
		return NULL;
	}
	return v;
}

void mac_vendors_close(struct mac_vendors *v)
{
	size_t i;

	for (i = 0; v && i < REGISTRIES; i++) {
		if (v->registries[i].file)
			fclose(v->registries[i].file);
		free(v->registries[i].blocks);
	}
	free(v);
}

/* Copies a field of RFC 4180 up to its end. Quotes in a quoted field are doubled. */
static void copy_field(char name[MAC_VENDOR_NAME], const char *at)
{
	bool quoted = *at == '"';
	size_t n = 0;

	for (at += quoted; *at && *at != '\n' && *at != '\r'; at++) {
		if (quoted && *at == '"' && *++at != '"')
			break;
		if (!quoted && *at == ',')
			break;
		if (n < MAC_VENDOR_NAME - 1)
			name[n++] = *at;
	}
	/* do not cut a character of UTF-8 in two: drop its first byte and all but whole ones */
	if (n == MAC_VENDOR_NAME - 1) {
		while (n && ((unsigned char)name[n - 1] & 0xc0) == 0x80)
			n--;
		if (n && (unsigned char)name[n - 1] >= 0xc0)
			n--;
	}
	while (n && name[n - 1] == ' ')
		n--;
	name[n] = '\0';
}

/* Parses "MA-L,002272,Name,Address". Returns false if the line is no assignment. */
static bool parse_line(struct block *block, const char *line, unsigned int digits)
{
	const char *start = strchr(line, ',');
	char text[16], *end;

	if (!start || strcspn(start + 1, ",") != digits || digits >= sizeof(text))
		return false;
	memcpy(text, start + 1, digits);
	text[digits] = '\0';
	if (strspn(text, "0123456789abcdefABCDEF") != digits)
		return false;
	block->prefix = strtoull(text, &end, 16);
	if (start[1 + digits] != ',')
		return false;
	copy_field(block->name, start + 1 + digits + 1);
	return block->name[0];
}

static bool add_block(struct registry *r, const struct block *block)
{
	size_t room = r->room ? 2 * r->room : 1024;
	struct block *grown;

	if (r->count == MAX_BLOCKS)
		return true;
	if (r->count == r->room) {
		grown = realloc(r->blocks, room * sizeof(*grown));
		if (!grown)
			return false;
		r->blocks = grown;
		r->room = room;
	}
	r->blocks[r->count++] = *block;
	return true;
}

static int by_prefix(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return x->prefix < y->prefix ? -1 : x->prefix > y->prefix;
}

static bool read_registry(struct registry *r, unsigned int digits)
{
	struct block block;
	char line[1024];
	bool whole = true; /* the line before ended with a newline */

	while (r->file && fgets(line, sizeof(line), r->file)) {
		if (whole && parse_line(&block, line, digits) && !add_block(r, &block))
			return false;
		whole = strchr(line, '\n');
	}
	if (r->count)
		qsort(r->blocks, r->count, sizeof(*r->blocks), by_prefix);
	return true;
}

bool mac_vendors_read(struct mac_vendors *v)
{
	size_t i;

	for (i = 0; !v->is_read && i < REGISTRIES; i++) {
		if (read_registry(&v->registries[i], registries[i].digits))
			continue;
		for (i = 0; i < REGISTRIES; i++)
			v->registries[i].count = 0;
		v->is_read = true;
		return false;
	}
	v->is_read = true;
	return true;
}

const char *mac_vendor(const struct mac_vendors *v, const uint8_t mac[6])
{
	struct block key = { 0 };
	const struct block *found;
	uint64_t address = 0;
	size_t i;

	for (i = 0; i < 6; i++)
		address = address << 8 | mac[i];
	for (i = 0; v && i < REGISTRIES; i++) {
		const struct registry *r = &v->registries[i];

		key.prefix = address >> 4 * (12 - registries[i].digits);
		found = r->count ? bsearch(&key, r->blocks, r->count, sizeof(*r->blocks), by_prefix)
				 : NULL;
		/* "Private" stands for a vendor that keeps its name secret */
		if (found && strcmp(found->name, "Private"))
			return found->name;
		if (found)
			return NULL;
	}
	return NULL;
}
