/* SPDX-License-Identifier: Apache-2.0
 *
 * 64-bit hashes for interning and for fingerprints. Every word goes through a
 * full finaliser, so that sums of hashes (of sets of messages) stay random.
 */
#ifndef LASH_CHECK_HASH_H
#define LASH_CHECK_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* splitmix64's finaliser (public domain). */
static inline uint64_t hash_mix(uint64_t word) {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

static inline uint64_t hash_word(uint64_t hash, uint64_t word) {
    return hash_mix(hash + 0x9e3779b97f4a7c15u + word);
}

static inline uint64_t hash_bytes(uint64_t seed, const void *data, size_t size) {
    const uint8_t *bytes = data;
    uint64_t hash = hash_word(seed, size);
    for (; size > 0;) {
        uint64_t word = 0;
        size_t step = size < sizeof word ? size : sizeof word;
        memcpy(&word, bytes, step);
        hash = hash_word(hash, word);
        bytes += step;
        size -= step;
    }
    return hash;
}

#endif
