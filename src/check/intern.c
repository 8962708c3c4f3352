/* SPDX-License-Identifier: Apache-2.0
 *
 * Contents in chunks that never move; numbers found through an open-addressing
 * table.
 */
#include "check/intern.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "check/hash.h"

#define INTERN_CHUNK ((size_t)1 << 20)

/* A content, in a chunk: its hashes, then its bytes. */
struct intern_item {
    uint64_t hash; /* of the bytes */
    uint64_t size;
    uint64_t words[]; /* hashes, then bytes */
};

struct intern_chunk {
    struct intern_chunk *next;
    uint64_t words[];
};

struct intern {
    uint32_t hashes;
    uint32_t count;
    uint32_t items_max;
    uint32_t slots;             /* of the table, a power of two */
    struct intern_item **items; /* by number; [0] unused */
    uint32_t *table;
    struct intern_chunk *chunks;
    size_t room; /* words left in the newest chunk */
    uint64_t *free_words;
    size_t memory;
};

struct intern *intern_new(uint32_t hashes) {
    struct intern *intern = mem_calloc(1, sizeof *intern);
    if (intern == NULL)
        return NULL;
    intern->hashes = hashes;
    intern->slots = 1024;
    intern->items_max = 512;
    intern->items = mem_calloc(intern->items_max, sizeof intern->items[0]);
    intern->table = mem_calloc(intern->slots, sizeof intern->table[0]);
    if (intern->items == NULL || intern->table == NULL) {
        intern_free(intern);
        return NULL;
    }
    return intern;
}

void intern_free(struct intern *intern) {
    if (intern == NULL)
        return;
    while (intern->chunks != NULL) {
        struct intern_chunk *next = intern->chunks->next;
        mem_free(intern->chunks);
        intern->chunks = next;
    }
    mem_free(intern->items);
    mem_free(intern->table);
    mem_free(intern);
}

/* Twice the room for items and slots. */
static bool intern_grow(struct intern *intern) {
    uint32_t slots = intern->slots * 2;
    uint32_t *table = mem_calloc(slots, sizeof table[0]);
    struct intern_item **items = mem_realloc(intern->items, (size_t)intern->items_max * 2 * sizeof items[0]);
    if (items != NULL)
        intern->items = items;
    if (table == NULL || items == NULL) {
        mem_free(table);
        return false;
    }
    intern->items_max *= 2;
    for (uint32_t number = 1; number <= intern->count; number++) {
        uint32_t slot = (uint32_t)items[number]->hash & (slots - 1);
        while (table[slot] != 0)
            slot = (slot + 1) & (slots - 1);
        table[slot] = number;
    }
    mem_free(intern->table);
    intern->table = table;
    intern->slots = slots;
    return true;
}

static struct intern_item *intern_room(struct intern *intern, size_t words) {
    if (words > intern->room) {
        size_t want = words > INTERN_CHUNK / sizeof(uint64_t) ? words : INTERN_CHUNK / sizeof(uint64_t);
        struct intern_chunk *chunk = mem_alloc(sizeof *chunk + want * sizeof(uint64_t));
        if (chunk == NULL)
            return NULL;
        chunk->next = intern->chunks;
        intern->chunks = chunk;
        intern->free_words = chunk->words;
        intern->room = want;
        intern->memory += sizeof *chunk + want * sizeof(uint64_t);
    }
    struct intern_item *item = (struct intern_item *)intern->free_words;
    intern->free_words += words;
    intern->room -= words;
    return item;
}

uint32_t intern_add(struct intern *intern, const void *bytes, size_t size, bool *fresh) {
    uint64_t hash = hash_bytes(0, bytes, size);
    uint32_t slot = (uint32_t)hash & (intern->slots - 1);
    *fresh = false;
    for (; intern->table[slot] != 0; slot = (slot + 1) & (intern->slots - 1)) {
        const struct intern_item *item = intern->items[intern->table[slot]];
        if (item->hash == hash && item->size == size && memcmp(&item->words[intern->hashes], bytes, size) == 0)
            return intern->table[slot];
    }
    if (intern->count + 1 == intern->items_max) {
        if (!intern_grow(intern))
            return 0;
        slot = (uint32_t)hash & (intern->slots - 1);
        while (intern->table[slot] != 0)
            slot = (slot + 1) & (intern->slots - 1);
    }
    size_t words = sizeof(struct intern_item) / sizeof(uint64_t) + intern->hashes +
                   (size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
    struct intern_item *item = intern_room(intern, words);
    if (item == NULL)
        return 0;
    item->hash = hash;
    item->size = size;
    memcpy(&item->words[intern->hashes], bytes, size);
    intern->items[++intern->count] = item;
    intern->table[slot] = intern->count;
    *fresh = true;
    return intern->count;
}

const void *intern_get(const struct intern *intern, uint32_t number) {
    LASH_ASSERT(number > 0 && number <= intern->count);
    return &intern->items[number]->words[intern->hashes];
}

size_t intern_size(const struct intern *intern, uint32_t number) {
    LASH_ASSERT(number > 0 && number <= intern->count);
    return (size_t)intern->items[number]->size;
}

uint64_t *intern_hashes(struct intern *intern, uint32_t number) {
    LASH_ASSERT(number > 0 && number <= intern->count);
    return intern->items[number]->words;
}

uint32_t intern_count(const struct intern *intern) {
    return intern->count;
}

size_t intern_memory(const struct intern *intern) {
    return intern->memory + intern->items_max * sizeof intern->items[0] + intern->slots * sizeof intern->table[0];
}
