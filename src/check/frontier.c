/* SPDX-License-Identifier: Apache-2.0
 *
 * A state's words are small numbers, and its messages rise: so the differences are
 * smaller still, and each takes as many bytes as it has groups of seven bits.
 */
#include "check/frontier.h"

#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "check/space.h"

#define FRONTIER_CHUNK ((size_t)1 << 20)
#define FRONTIER_STATE_MAX ((size_t)5 * (SPACE_WORDS_MAX + 1))
#define FRONTIER_MORE 0x80u

struct frontier_chunk {
    struct frontier_chunk *next;
    size_t used; /* once it is full */
    uint8_t bytes[FRONTIER_CHUNK];
};

void frontier_init(struct frontier *frontier, uint32_t fixed, uint32_t words) {
    LASH_ASSERT(fixed < words && words <= SPACE_WORDS_MAX);
    memset(frontier, 0, sizeof *frontier);
    frontier->fixed = fixed;
    frontier->words = words;
}

/* The first chunk was read. */
static void frontier_drop(struct frontier *frontier) {
    struct frontier_chunk *chunk = frontier->first;
    frontier->first = chunk->next;
    frontier->read = 0;
    frontier->memory -= sizeof *chunk;
    if (frontier->first == NULL)
        frontier->last = NULL;
    mem_free(chunk);
}

void frontier_free(struct frontier *frontier) {
    while (frontier->first != NULL)
        frontier_drop(frontier);
}

/* Room for one more state in the last chunk. */
static bool frontier_room(struct frontier *frontier) {
    if (frontier->last != NULL && frontier->written + FRONTIER_STATE_MAX <= FRONTIER_CHUNK)
        return true;
    struct frontier_chunk *chunk = mem_alloc(sizeof *chunk);
    if (chunk == NULL)
        return false;
    chunk->next = NULL;
    if (frontier->last == NULL) {
        frontier->first = chunk;
    } else {
        frontier->last->used = frontier->written;
        frontier->last->next = chunk;
    }
    frontier->last = chunk;
    frontier->written = 0;
    frontier->memory += sizeof *chunk;
    return true;
}

static uint8_t *frontier_put(uint8_t *at, uint32_t word) {
    for (; word >= FRONTIER_MORE; word >>= 7)
        *at++ = (uint8_t)(word | FRONTIER_MORE);
    *at++ = (uint8_t)word;
    return at;
}

static const uint8_t *frontier_get(const uint8_t *at, uint32_t *word) {
    *word = 0;
    for (unsigned shift = 0;; shift += 7) {
        *word |= (*at & (FRONTIER_MORE - 1)) << shift;
        if ((*at++ & FRONTIER_MORE) == 0)
            return at;
    }
}

/* Of those that rise, each comes as its difference from the one before, one added, and 0 ends them. */
bool frontier_push(struct frontier *frontier, const uint32_t *state) {
    if (!frontier_room(frontier))
        return false;
    uint8_t *at = &frontier->last->bytes[frontier->written];
    uint32_t i = 0;
    for (; i < frontier->fixed; i++)
        at = frontier_put(at, state[i]);
    for (uint32_t before = 0; i < frontier->words && state[i] != 0; before = state[i++]) {
        LASH_ASSERT(state[i] >= before);
        at = frontier_put(at, state[i] - before + 1);
    }
    at = frontier_put(at, 0);
    frontier->written = (size_t)(at - frontier->last->bytes);
    return true;
}

void frontier_pop(struct frontier *frontier, uint32_t *state) {
    LASH_ASSERT(frontier->first != NULL);
    if (frontier->first != frontier->last && frontier->read == frontier->first->used)
        frontier_drop(frontier);
    LASH_ASSERT(frontier->first != frontier->last || frontier->read < frontier->written);
    const uint8_t *at = &frontier->first->bytes[frontier->read];
    uint32_t i = 0;
    uint32_t more = 0;
    for (; i < frontier->fixed; i++)
        at = frontier_get(at, &state[i]);
    for (at = frontier_get(at, &more); more != 0; at = frontier_get(at, &more), i++) {
        LASH_ASSERT(i < frontier->words);
        state[i] = more - 1 + (i == frontier->fixed ? 0 : state[i - 1]);
    }
    memset(&state[i], 0, (frontier->words - i) * sizeof state[0]);
    frontier->read = (size_t)(at - frontier->first->bytes);
}
