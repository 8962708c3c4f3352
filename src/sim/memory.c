/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated world's own memory.
 */
#include "sim/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void *memory_new(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    LASH_ASSERT(memory);
    return memory;
}

void *memory_room(void *array, uint64_t *capacity, uint64_t count, size_t size) {
    if (count <= *capacity)
        return array;
    uint64_t wanted = *capacity ? *capacity * 2 : 16;
    if (wanted < count)
        wanted = count;
    char *grown = realloc(array, (size_t)wanted * size);
    LASH_ASSERT(grown);
    memset(grown + *capacity * size, 0, (size_t)(wanted - *capacity) * size);
    *capacity = wanted;
    return grown;
}

void memory_free(void *memory) {
    free(memory);
}
