// SPDX-License-Identifier: GPL-2.0
#include "host/services.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES (1 << 20)
#define MAX_SERVICES (1 << 16)

/* Characters of a name: those of RFC 6335 5.1, and those that services(5) has beside them. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+"

struct service {
	uint32_t key; /* port, and whether it is UDP */
	uint32_t line; /* the first of two names counts */
	char name[SERVICE_NAME];
};

struct services {
	struct service *at; /* sorted by key, then by line */
	size_t count;
};

static uint32_t key_of(unsigned long port, bool is_udp)
{
	return port << 1 | is_udp;
}

/* Parses "ldaps 636/tcp alias ... # comment". Returns false if the line is no service. */
static bool parse_line(struct service *s, char *line)
{
	char *name, *port, *protocol, *rest;
	unsigned long number;

	line[strcspn(line, "#\r\n")] = '\0';
	name = strtok_r(line, " \t", &rest);
	port = strtok_r(NULL, " \t", &rest);
	if (!name || !port || strlen(name) >= SERVICE_NAME || name[strspn(name, NAME_CHARACTERS)])
		return false;
	number = strtoul(port, &protocol, 10);
	if (port[strspn(port, "0123456789")] != '/' || number < 1 || number > UINT16_MAX ||
	    (strcmp(protocol, "/tcp") && strcmp(protocol, "/udp")))
		return false;
	s->key = key_of(number, !strcmp(protocol, "/udp"));
	strcpy(s->name, name);
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct service *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* Returns false when out of memory. */
static bool add(struct services *s, const struct service *one)
{
	struct service *more;

	if (!(s->count & (s->count - 1))) {
		more = reallocarray(s->at, s->count ? 2 * s->count : 1, sizeof(*more));
		if (!more)
			return false;
		s->at = more;
	}
	s->at[s->count++] = *one;
	return true;
}

struct services *services_read(FILE *file)
{
	struct services *s = calloc(1, sizeof(*s));
	size_t room = 0;
	struct service one;
	char *line = NULL;

	for (one.line = 0; s && one.line < MAX_SERVICES; one.line++) {
		bool is_read = getline(&line, &room, file) >= 0;

		if (!is_read && feof(file))
			break;
		if (!is_read || (parse_line(&one, line) && !add(s, &one))) {
			services_close(s);
			s = NULL;
		}
	}
	free(line);
	if (s && s->count)
		qsort(s->at, s->count, sizeof(*s->at), by_key);
	return s;
}

/* A line may be as long as the file, so the size of the file is the bound on memory. */
static bool is_small_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= MAX_BYTES;
}

struct services *services_open(const char *path)
{
	struct services *s = NULL;
	/* a named pipe must not block the start */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file = NULL;
	int error;

	if (fd < 0)
		return NULL;
	if (is_small_file(fd))
		file = fdopen(fd, "r");
	else
		errno = EFBIG;
	if (file)
		s = services_read(file);
	error = errno;
	if (file)
		fclose(file);
	else
		close(fd);
	errno = error;
	return s;
}

void services_close(struct services *s)
{
	if (s)
		free(s->at);
	free(s);
}

const char *services_name(const struct services *s, uint16_t port, bool is_udp)
{
	uint32_t key = key_of(port, is_udp);
	size_t first = 0, last = s ? s->count : 0, middle;

	while (first < last) {
		middle = first + (last - first) / 2;
		if (s->at[middle].key < key)
			first = middle + 1;
		else
			last = middle;
	}
	return s && first < s->count && s->at[first].key == key ? s->at[first].name : NULL;
}

uint16_t services_port(const struct services *s, const char *name)
{
	size_t i;

	for (i = 0; s && i < s->count; i++)
		if (!(s->at[i].key & 1) && !strcmp(s->at[i].name, name))
			return s->at[i].key >> 1;
	return 0;
}
