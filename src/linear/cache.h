/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of (operations linearized, register's value) pairs that a search has
 * been at. The bit sets are long runs of ones with a ragged end, and only the end is kept.
 */
#ifndef LASH_LINEAR_CACHE_H
#define LASH_LINEAR_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache {
    struct cache_entry **buckets;
    size_t capacity; /* a power of two */
    size_t count;
    size_t bytes; /* allocated, all in all */
    size_t bytes_max;
};

enum cache_result { CACHE_NEW, CACHE_KNOWN, CACHE_FULL };

/* Remember the pair of `bits`, of `words` words, and `value`; full when bytes_max or memory does not allow it. */
enum cache_result cache_insert(struct cache *cache, const uint64_t *bits, size_t words, uint32_t value);

void cache_free(struct cache *cache);

#endif
