/* SPDX-License-Identifier: Apache-2.0
 *
 * The hash of what revisions wrote.
 */
#include "store/revision.h"

#include "base/crc32c.h"

/* FNV-1a, one word at a time. */
static uint64_t revision_hash_word(uint64_t hash, uint64_t word) {
    for (int i = 0; i < 8; i++)
        hash = (hash ^ (uint8_t)(word >> (8 * i))) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t revision_hash(int64_t revision, int64_t compacted) {
    uint64_t hash = revision_hash_word(UINT64_C(0xcbf29ce484222325), (uint64_t)revision);
    return revision_hash_word(hash, (uint64_t)compacted);
}

uint64_t revision_hash_record(uint64_t hash, const struct record *record) {
    const uint64_t words[] = {
        (uint64_t)record->revision.main,
        record->revision.sub,
        record->tombstone,
        (uint64_t)record->create_revision,
        (uint64_t)record->version,
        (uint64_t)record->lease,
        record->key.size,
        crc32c(crc32c(0, record->key.data, record->key.size), record->value.data, record->value.size),
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        hash = revision_hash_word(hash, words[i]);
    return hash;
}
