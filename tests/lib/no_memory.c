// SPDX-License-Identifier: GPL-2.0
/*
 * Makes allocations fail at a chosen moment. Preloaded (LD_PRELOAD), it refuses
 *
 *	NO_MEMORY_AT=N      only the Nth allocation, counted from 1
 *	NO_MEMORY_FROM=N    the Nth and all later ones
 *
 * With NO_MEMORY_COUNT it prints the number of allocations to standard error at the end.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static unsigned long count, at, from;

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("NO_MEMORY_AT");

	at = text ? strtoul(text, NULL, 10) : 0;
	text = getenv("NO_MEMORY_FROM");
	from = text ? strtoul(text, NULL, 10) : 0;
	count = 0;
}

__attribute__((destructor)) static void end(void)
{
	at = from = 0;
	if (getenv("NO_MEMORY_COUNT"))
		dprintf(STDERR_FILENO, "%lu allocations\n", count);
}

static int refuses(void)
{
	unsigned long n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);

	if (n != at && !(from && n >= from))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return refuses() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return refuses() ? NULL : __libc_calloc(n, size);
}

/* Shrinking needs no memory. */
void *realloc(void *old, size_t size)
{
	if (size > (old ? malloc_usable_size(old) : 0) && refuses())
		return NULL;
	return __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, bytes);
}
