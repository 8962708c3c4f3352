/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of 64-bit fingerprints in an open-addressing table that doubles. Each comes with
 * what was spent to get there, and is there already if it was got to for less.
 */
#ifndef LASH_CHECK_FINGERPRINTS_H
#define LASH_CHECK_FINGERPRINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What was spent: five counts of five bits each, every one with a bit above it that is 0. */
#define FINGERPRINTS_SPENT_MAX 31
#define FINGERPRINTS_SPENT(a, b, c, d, e)                                                                              \
    ((uint32_t)(a) | (uint32_t)(b) << 6 | (uint32_t)(c) << 12 | (uint32_t)(d) << 18 | (uint32_t)(e) << 24)

struct fingerprints {
    uint64_t *slots; /* 0: free */
    uint32_t *spent; /* by slot */
    uint64_t mask;   /* slots - 1 */
    uint64_t count;
};

enum fingerprints_added { FINGERPRINTS_NEW, FINGERPRINTS_KNOWN, FINGERPRINTS_NO_MEMORY };

/* False when memory ran out. */
bool fingerprints_init(struct fingerprints *set);
void fingerprints_free(struct fingerprints *set);

/* Add one, not 0, unless it is there with no count of FINGERPRINTS_SPENT higher than in `spent`. The table takes at most
 * `memory` bytes (0: any number), while it is doubled too. */
enum fingerprints_added fingerprints_add(struct fingerprints *set, uint64_t fingerprint, uint32_t spent, size_t memory);

/* Fetch what fingerprints_add will look at. */
static inline void fingerprints_prefetch(const struct fingerprints *set, uint64_t fingerprint) {
    __builtin_prefetch(&set->slots[fingerprint & set->mask], 1);
}

size_t fingerprints_memory(const struct fingerprints *set);

#endif
