/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena: memory that is taken piece by piece and given back all at once, with
 * store_arena_free. Not for several threads at a time.
 */
#ifndef LASH_STORE_ARENA_H
#define LASH_STORE_ARENA_H

#include <stddef.h>

#include "store/store.h"

/* An empty arena, or NULL when memory ran out. */
struct store_arena *arena_new(void);

/* Likewise one whose first `size` bytes need no further allocation. */
struct store_arena *arena_new_of(size_t size);

/* Room for `count` elements of `size` bytes, 16-aligned and uninitialised; NULL when memory ran out. */
void *arena_alloc(struct store_arena *arena, size_t count, size_t size);

/* As arena_alloc, zeroed. */
void *arena_calloc(struct store_arena *arena, size_t count, size_t size);

/* Copy `from` into the arena and set `copy` to it. Errors: LASH_NOMEM. */
int arena_copy(struct store_arena *arena, struct store_bytes from, struct store_bytes *copy);

#endif
