/* SPDX-License-Identifier: Apache-2.0
 *
 * A Weyl sequence through a 64-bit finaliser (splitmix64, public domain): every
 * seed is a good seed, and the whole state is one word of the core's block.
 */
#include "raft/random.h"

#include "base/assert.h"

uint64_t random_mix(uint64_t word) {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return word ^ (word >> 31);
}

uint64_t random_next(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15u;
    return random_mix(*state);
}

uint64_t random_between(uint64_t *state, uint64_t low, uint64_t span) {
    LASH_ASSERT(span > 0);
    return low + random_next(state) % span;
}
