/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of 64-bit fingerprints in an open-addressing table that doubles.
 */
#ifndef LASH_CHECK_FINGERPRINTS_H
#define LASH_CHECK_FINGERPRINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprints {
    uint64_t *slots; /* 0: free */
    uint64_t mask;   /* slots - 1 */
    uint64_t count;
};

enum fingerprints_added { FINGERPRINTS_NEW, FINGERPRINTS_KNOWN, FINGERPRINTS_NO_MEMORY };

/* False when memory ran out. */
bool fingerprints_init(struct fingerprints *set);
void fingerprints_free(struct fingerprints *set);

/* Add one, not 0. The table takes at most `memory` bytes (0: any number), while it is doubled too. */
enum fingerprints_added fingerprints_add(struct fingerprints *set, uint64_t fingerprint, size_t memory);

/* Fetch what fingerprints_add will look at. */
static inline void fingerprints_prefetch(const struct fingerprints *set, uint64_t fingerprint) {
    __builtin_prefetch(&set->slots[fingerprint & set->mask], 1);
}

size_t fingerprints_memory(const struct fingerprints *set);

#endif
