/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of states that were seen. Two states with one fingerprint would be
 * taken for one: with n states that happens with a probability of about n * n / 2^65.
 */
#include "check/fingerprints.h"

#include "base/assert.h"
#include "base/buf.h"

#define FINGERPRINTS_SLOTS ((uint64_t)1 << 16)

bool fingerprints_init(struct fingerprints *set) {
    set->slots = mem_calloc(FINGERPRINTS_SLOTS, sizeof set->slots[0]);
    set->mask = FINGERPRINTS_SLOTS - 1;
    set->count = 0;
    return set->slots != NULL;
}

void fingerprints_free(struct fingerprints *set) {
    mem_free(set->slots);
    set->slots = NULL;
}

static bool fingerprints_grow(struct fingerprints *set, size_t memory) {
    uint64_t mask = set->mask * 2 + 1;
    if (memory != 0 && (set->mask + 1 + mask + 1) * sizeof set->slots[0] > memory)
        return false;
    uint64_t *slots = mem_calloc(mask + 1, sizeof slots[0]);
    if (slots == NULL)
        return false;
    for (uint64_t i = 0; i <= set->mask; i++) {
        if (set->slots[i] == 0)
            continue;
        uint64_t at = set->slots[i] & mask;
        while (slots[at] != 0)
            at = (at + 1) & mask;
        slots[at] = set->slots[i];
    }
    mem_free(set->slots);
    set->slots = slots;
    set->mask = mask;
    return true;
}

enum fingerprints_added fingerprints_add(struct fingerprints *set, uint64_t fingerprint, size_t memory) {
    LASH_ASSERT(fingerprint != 0);
    /* Three quarters full at most: then a search looks at few slots. */
    if (set->count >= set->mask / 4 * 3 && !fingerprints_grow(set, memory))
        return FINGERPRINTS_NO_MEMORY;
    uint64_t at = fingerprint & set->mask;
    for (; set->slots[at] != 0; at = (at + 1) & set->mask) {
        if (set->slots[at] == fingerprint)
            return FINGERPRINTS_KNOWN;
    }
    set->slots[at] = fingerprint;
    set->count++;
    return FINGERPRINTS_NEW;
}

size_t fingerprints_memory(const struct fingerprints *set) {
    return (size_t)(set->mask + 1) * sizeof set->slots[0];
}
