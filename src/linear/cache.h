/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of (operations linearized, the model's state) pairs that a search has
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

/* What tells the states of a model from one another: a register's value, or a hash of so many bits that it does. */
struct cache_state {
    uint64_t words[2];
};

enum cache_result { CACHE_NEW, CACHE_KNOWN, CACHE_FULL };

/* Remember the pair of `bits`, of `words` words, and `state`; full when bytes_max or memory does not allow it. */
enum cache_result cache_insert(struct cache *cache, const uint64_t *bits, size_t words, struct cache_state state);

void cache_free(struct cache *cache);

#endif
