/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes uthash report an error instead of calling abort() when memory runs out. Include this header
 * instead of <uthash.h>.
 *
 * When out of memory, uthash undoes the insertion and sets the element's hh.tbl to NULL. Check it
 * after HASH_ADD(), or use ADD_NEW(), which does.
 */
#pragma once

#if defined(UTHASH_H) && !defined(__cppcheck__) /* cppcheck includes uthash.h before this header */
#error "include lib/hash.h before <uthash.h>"
#endif

#include <stdbool.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->hh.tbl = NULL)

#include <uthash.h>

/*
 * Allocates a zeroed element, sets its key and adds it to the hash. Sets element to NULL when out
 * of memory. The caller owns the element and frees it after HASH_DEL().
 */
#define ADD_NEW(head, field, value, element)                               \
	do {                                                               \
		(element) = calloc(1, sizeof(*(element)));                 \
		if (element) {                                             \
			(element)->field = (value);                        \
			HASH_ADD(hh, head, field, sizeof(value), element); \
			if (!(element)->hh.tbl) {                          \
				free(element);                             \
				(element) = NULL;                          \
			}                                                  \
		}                                                          \
	} while (0)
