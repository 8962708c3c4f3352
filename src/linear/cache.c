/* SPDX-License-Identifier: Apache-2.0
 *
 * The states that a search has been at; see cache.h.
 */
#include "linear/cache.h"

#include <string.h>

#include "base/buf.h"

struct cache_entry {
    struct cache_entry *next;
    uint64_t hash;
    struct cache_state state;
    uint32_t first; /* words before this are all ones */
    uint32_t size;  /* words kept; those behind are all zero */
    uint64_t bits[];
};

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static bool cache_grow(struct cache *cache) {
    size_t capacity = cache->capacity ? cache->capacity * 2 : 1024;
    size_t more = (capacity - cache->capacity) * sizeof *cache->buckets;
    if (cache->bytes + more > cache->bytes_max)
        return false;
    struct cache_entry **buckets = mem_calloc(capacity, sizeof *buckets);
    if (!buckets)
        return false;
    for (size_t at = 0; at < cache->capacity; at++) {
        for (struct cache_entry *entry = cache->buckets[at], *next; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (capacity - 1)];
            buckets[entry->hash & (capacity - 1)] = entry;
        }
    }
    mem_free(cache->buckets);
    cache->buckets = buckets;
    cache->capacity = capacity;
    cache->bytes += more;
    return true;
}

enum cache_result cache_insert(struct cache *cache, const uint64_t *bits, size_t words, struct cache_state state) {
    if (cache->count >= cache->capacity && !cache_grow(cache))
        return CACHE_FULL;
    size_t first = 0;
    while (first < words && bits[first] == UINT64_MAX)
        first++;
    size_t end = words;
    while (end > first && bits[end - 1] == 0)
        end--;
    uint64_t hash = mix(mix(0x243f6a8885a308d3u, first), end - first);
    hash = mix(mix(hash, state.words[0]), state.words[1]);
    for (size_t word = first; word < end; word++)
        hash = mix(hash, bits[word]);
    struct cache_entry **bucket = &cache->buckets[hash & (cache->capacity - 1)];
    size_t bytes = (end - first) * sizeof *bits;
    for (const struct cache_entry *entry = *bucket; entry; entry = entry->next)
        if (entry->hash == hash && memcmp(&entry->state, &state, sizeof state) == 0 && entry->first == first &&
            entry->size == end - first && memcmp(entry->bits, bits + first, bytes) == 0)
            return CACHE_KNOWN;

    struct cache_entry *entry = NULL;
    if (cache->bytes + sizeof *entry + bytes <= cache->bytes_max)
        entry = mem_alloc(sizeof *entry + bytes);
    if (!entry)
        return CACHE_FULL;
    *entry = (struct cache_entry){*bucket, hash, state, (uint32_t)first, (uint32_t)(end - first)};
    memcpy(entry->bits, bits + first, bytes);
    *bucket = entry;
    cache->count++;
    cache->bytes += sizeof *entry + bytes;
    return CACHE_NEW;
}

void cache_free(struct cache *cache) {
    for (size_t at = 0; at < cache->capacity; at++) {
        for (struct cache_entry *entry = cache->buckets[at], *next; entry; entry = next) {
            next = entry->next;
            mem_free(entry);
        }
    }
    mem_free(cache->buckets);
    cache->buckets = NULL;
    cache->capacity = cache->count = cache->bytes = 0;
}
