/* SPDX-License-Identifier: Apache-2.0
 *
 * Arenas: a chain of blocks, the newest first. Each block is larger than the one
 * before, up to a bound, so that many small pieces need few allocations; the first is
 * part of the arena itself, so that few pieces need one.
 */
#include "store/arena.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"

enum { ARENA_ALIGN = 16, ARENA_FIRST = 512, ARENA_LARGEST = 256 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    _Alignas(ARENA_ALIGN) uint8_t data[];
};

struct store_arena {
    _Alignas(ARENA_ALIGN) struct arena_block *blocks; /* the first is the one that is being filled */
    size_t used;                                      /* of that block's data */
    size_t next_size;                                 /* of the next block */
};

/* The block that is part of the arena, the last of them. */
static struct arena_block *arena_own(struct store_arena *arena) {
    return (struct arena_block *)(arena + 1);
}

struct store_arena *arena_new_of(size_t size) {
    struct store_arena *arena = mem_alloc(sizeof *arena + sizeof(struct arena_block) + size);
    if (!arena)
        return NULL;
    *arena = (struct store_arena){.blocks = arena_own(arena), .next_size = (size_t)2 * ARENA_FIRST};
    *arena_own(arena) = (struct arena_block){.size = size};
    return arena;
}

struct store_arena *arena_new(void) {
    return arena_new_of(ARENA_FIRST);
}

/* Put a block of at least `size` bytes in front. */
static bool arena_extend(struct store_arena *arena, size_t size) {
    size_t block_size = size > arena->next_size ? size : arena->next_size;
    struct arena_block *block = mem_alloc(sizeof *block + block_size);
    if (!block)
        return false;
    block->size = block_size;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used = 0;
    if (arena->next_size < ARENA_LARGEST)
        arena->next_size *= 2;
    return true;
}

void *arena_alloc(struct store_arena *arena, size_t count, size_t size) {
    LASH_ASSERT(arena && size > 0);
    if (count > (SIZE_MAX / 2 - ARENA_ALIGN) / size)
        return NULL;
    size_t bytes = (count * size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (arena->blocks->size - arena->used < bytes && !arena_extend(arena, bytes))
        return NULL;
    void *at = arena->blocks->data + arena->used;
    arena->used += bytes;
    LASH_ASSERT(arena->used <= arena->blocks->size);
    return at;
}

void *arena_calloc(struct store_arena *arena, size_t count, size_t size) {
    void *at = arena_alloc(arena, count, size);
    if (at)
        memset(at, 0, count * size);
    return at;
}

int arena_copy(struct store_arena *arena, struct store_bytes from, struct store_bytes *copy) {
    uint8_t *at = arena_alloc(arena, from.size, 1);
    if (!at)
        return LASH_NOMEM;
    if (from.size)
        memcpy(at, from.data, from.size);
    *copy = (struct store_bytes){.data = at, .size = from.size};
    return LASH_OK;
}

void store_arena_free(struct store_arena *arena) {
    if (!arena)
        return;
    for (struct arena_block *block = arena->blocks, *next; block != arena_own(arena); block = next) {
        next = block->next;
        mem_free(block);
    }
    mem_free(arena);
}

void store_result_free(struct store_result *result) {
    store_arena_free(result->arena);
    *result = (struct store_result){0};
}
