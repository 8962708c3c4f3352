/* SPDX-License-Identifier: Apache-2.0
 *
 * jemalloc gives back pages that were not used for some time, but looks for them only while it is called: after a burst of
 * requests nobody calls it. Builds with sanitizers have another allocator.
 */
#include "lashd/memory.h"

#include <jemalloc/jemalloc.h>

#define MEMORY_TEXT(number) #number
#define MEMORY_ARENA(number) "arena." MEMORY_TEXT(number) ".decay"

#pragma weak mallctl

/* Read by jemalloc when the program starts. */
const char *malloc_conf = "dirty_decay_ms:1000";

void memory_rest(void) {
    if (mallctl)
        (void)mallctl(MEMORY_ARENA(MALLCTL_ARENAS_ALL), NULL, NULL, NULL, 0);
}
