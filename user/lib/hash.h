/* SPDX-License-Identifier: GPL-2.0 */
/*
 * uthash with a keyed hash and short chains, which reports an error instead of calling abort() when
 * memory runs out. Include this header instead of <uthash.h>.
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

#include "lib/keyed_hash.h"

#include <uthash.h>

/*
 * Keeps at least two buckets for each element. uthash alone adds buckets only when a chain has ten
 * elements, so that each lookup walks two or three of them, with a cache miss each.
 */
#define HASH_KEEP_SPARSE(head)                                                        \
	do {                                                                          \
		UT_hash_table *table_ = (head)->hh.tbl;                               \
		bool oomed_ = false;                                                  \
                                                                                      \
		if (table_->num_items > table_->num_buckets / 2 && !table_->noexpand) \
			HASH_EXPAND_BUCKETS(hh, table_, oomed_);                      \
		(void)oomed_; /* without memory the chains grow longer */             \
	} while (0)

#define HASH_BUCKET(head, hash) \
	(&(head)->hh.tbl->buckets[(hash) & ((head)->hh.tbl->num_buckets - 1)])

/* Loads the bucket of this hash into the cache. */
#define HASH_PREFETCH(head, hash)                                        \
	do {                                                             \
		if (head)                                                \
			__builtin_prefetch(HASH_BUCKET((head), (hash))); \
	} while (0)

/* Sets element to the first one in the bucket of this hash, most likely the one with this hash. */
#define HASH_FIRST(head, hash, element)                                                      \
	do {                                                                                 \
		const UT_hash_bucket *bucket_ = (head) ? HASH_BUCKET((head), (hash)) : NULL; \
                                                                                             \
		(element) = bucket_ && bucket_->hh_head                                      \
				    ? ELMT_FROM_HH((head)->hh.tbl, bucket_->hh_head)         \
				    : NULL;                                                  \
	} while (0)

/*
 * Allocates a zeroed element, sets its key and adds it to the hash. Sets element to NULL when out
 * of memory. The caller owns the element and frees it after HASH_DEL().
 */
#define ADD_NEW(head, field, value, element)                        \
	do {                                                        \
		unsigned int hash_;                                 \
                                                                    \
		HASH_VALUE(&(value), sizeof(value), hash_);         \
		ADD_NEW_HASHED(head, field, value, hash_, element); \
	} while (0)

/* Likewise, by a hash that the caller chooses for the key. */
#define ADD_NEW_HASHED(head, field, value, hash, element)                                    \
	do {                                                                                 \
		(element) = calloc(1, sizeof(*(element)));                                   \
		if (element) {                                                               \
			(element)->field = (value);                                          \
			HASH_ADD_BYHASHVALUE(hh, head, field, sizeof(value), hash, element); \
			if (!(element)->hh.tbl) {                                            \
				free(element);                                               \
				(element) = NULL;                                            \
			} else {                                                             \
				HASH_KEEP_SPARSE(head);                                      \
			}                                                                    \
		}                                                                            \
	} while (0)
