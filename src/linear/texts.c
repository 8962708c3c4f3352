/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts by number; see texts.h. An open hash table leads from a text to its number; 0
 * marks an empty slot, so numbers are kept raised by one.
 */
#include "linear/texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "linear/room.h"

static uint64_t text_hash(const char *text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return hash;
}

static uint32_t *texts_slot(const struct texts *texts, const char *text) {
    size_t at = text_hash(text) & (texts->capacity - 1);
    while (texts->slots[at] != 0 && strcmp(texts->list[texts->slots[at] - 1], text) != 0)
        at = (at + 1) & (texts->capacity - 1);
    return &texts->slots[at];
}

/* Fill the slots. */
static void texts_index(struct texts *texts) {
    if (texts->capacity > 0)
        memset(texts->slots, 0, texts->capacity * sizeof *texts->slots);
    for (size_t at = 0; at < texts->count; at++)
        *texts_slot(texts, texts->list[at]) = (uint32_t)at + 1;
}

static bool texts_grow(struct texts *texts) {
    size_t capacity = texts->capacity ? texts->capacity * 2 : 64;
    uint32_t *slots = mem_calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    mem_free(texts->slots);
    texts->slots = slots;
    texts->capacity = capacity;
    texts_index(texts);
    return true;
}

bool texts_number(struct texts *texts, const char *text, uint32_t *number) {
    if (texts->count * 2 >= texts->capacity && !texts_grow(texts))
        return false;
    uint32_t *slot = texts_slot(texts, text);
    if (*slot == 0) {
        char **more = room_for_one_more(texts->list, texts->count, sizeof *more);
        if (!more)
            return false;
        texts->list = more;
        more[texts->count] = mem_strdup(text);
        if (!more[texts->count])
            return false;
        *slot = (uint32_t)++texts->count;
    }
    *number = *slot - 1;
    return true;
}

struct ranking {
    char *text;
    uint32_t number;
};

static int ranking_order(const void *left, const void *right) {
    return strcmp(((const struct ranking *)left)->text, ((const struct ranking *)right)->text);
}

bool texts_sort(struct texts *texts, uint32_t *ranks) {
    struct ranking *sorted = mem_calloc(texts->count + 1, sizeof *sorted);
    if (!sorted)
        return false;
    for (size_t at = 0; at < texts->count; at++)
        sorted[at] = (struct ranking){texts->list[at], (uint32_t)at};
    if (texts->count > 0)
        qsort(sorted, texts->count, sizeof *sorted, ranking_order);
    for (size_t at = 0; at < texts->count; at++) {
        ranks[sorted[at].number] = (uint32_t)at;
        texts->list[at] = sorted[at].text;
    }
    texts_index(texts);
    mem_free(sorted);
    return true;
}

void texts_free(struct texts *texts) {
    for (size_t at = 0; at < texts->count; at++)
        mem_free(texts->list[at]);
    mem_free(texts->list);
    mem_free(texts->slots);
    *texts = (struct texts){.list = NULL};
}
