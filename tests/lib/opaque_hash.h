/* SPDX-License-Identifier: GPL-2.0 */
/*
 * uthash for static analysis: its hash function takes a path explorer forever, and its own tables
 * look leaked. Included before all else, in place of what uthash.h has for both.
 */
#pragma once

#include <stddef.h>

unsigned int opaque_hash(const void *key, size_t length);
void *opaque_alloc(size_t size);

#define HASH_FUNCTION(key, length, hash) ((hash) = opaque_hash(key, length))
#define uthash_malloc(size) opaque_alloc(size)
