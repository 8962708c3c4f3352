/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of states that were seen. Two states with one fingerprint would be
 * taken for one: with n states that happens with a probability of about n * n / 2^65.
 */
#include "check/fingerprints.h"

#include "base/assert.h"
#include "base/buf.h"

#define FINGERPRINTS_SLOTS ((uint64_t)1 << 16)
#define FINGERPRINTS_ABOVE FINGERPRINTS_SPENT(32, 32, 32, 32, 32)

bool fingerprints_init(struct fingerprints *set) {
    set->slots = mem_calloc(FINGERPRINTS_SLOTS, sizeof set->slots[0]);
    set->spent = mem_calloc(FINGERPRINTS_SLOTS, sizeof set->spent[0]);
    set->mask = FINGERPRINTS_SLOTS - 1;
    set->count = 0;
    return set->slots != NULL && set->spent != NULL;
}

void fingerprints_free(struct fingerprints *set) {
    mem_free(set->slots);
    mem_free(set->spent);
    set->slots = NULL;
    set->spent = NULL;
}

static size_t fingerprints_bytes(uint64_t slots) {
    return (size_t)slots * (sizeof(uint64_t) + sizeof(uint32_t));
}

static void fingerprints_put(struct fingerprints *set, uint64_t fingerprint, uint32_t spent) {
    uint64_t at = fingerprint & set->mask;
    while (set->slots[at] != 0)
        at = (at + 1) & set->mask;
    set->slots[at] = fingerprint;
    set->spent[at] = spent;
}

static bool fingerprints_grow(struct fingerprints *set, size_t memory) {
    struct fingerprints grown = {.mask = set->mask * 2 + 1, .count = set->count};
    if (memory != 0 && fingerprints_bytes(set->mask + 1 + grown.mask + 1) > memory)
        return false;
    grown.slots = mem_calloc(grown.mask + 1, sizeof grown.slots[0]);
    grown.spent = mem_calloc(grown.mask + 1, sizeof grown.spent[0]);
    if (grown.slots == NULL || grown.spent == NULL) {
        fingerprints_free(&grown);
        return false;
    }
    for (uint64_t i = 0; i <= set->mask; i++) {
        if (set->slots[i] != 0)
            fingerprints_put(&grown, set->slots[i], set->spent[i]);
    }
    fingerprints_free(set);
    *set = grown;
    return true;
}

/* Whether no count of `a` is higher than that of `b`: then none borrows from the bit above it. */
static inline bool fingerprints_no_more(uint32_t a, uint32_t b) {
    return (((b | FINGERPRINTS_ABOVE) - a) & FINGERPRINTS_ABOVE) == FINGERPRINTS_ABOVE;
}

enum fingerprints_added fingerprints_add(struct fingerprints *set, uint64_t fingerprint, uint32_t spent,
                                         size_t memory) {
    LASH_ASSERT(fingerprint != 0 && (spent & FINGERPRINTS_ABOVE) == 0);
    /* Three quarters full at most: then a search looks at few slots. */
    if (set->count >= set->mask / 4 * 3 && !fingerprints_grow(set, memory))
        return FINGERPRINTS_NO_MEMORY;
    uint64_t at = fingerprint & set->mask;
    for (; set->slots[at] != 0; at = (at + 1) & set->mask) {
        if (set->slots[at] == fingerprint && fingerprints_no_more(set->spent[at], spent))
            return FINGERPRINTS_KNOWN;
    }
    set->slots[at] = fingerprint;
    set->spent[at] = spent;
    set->count++;
    return FINGERPRINTS_NEW;
}

size_t fingerprints_memory(const struct fingerprints *set) {
    return fingerprints_bytes(set->mask + 1);
}
