/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's own random numbers: one word of state, the same on every platform.
 */
#ifndef LASH_RAFT_RANDOM_H
#define LASH_RAFT_RANDOM_H

#include <stdint.h>

/* A well mixed word from any word: equal words give equal results, near words far ones. */
uint64_t random_mix(uint64_t word);

/* The next number of the sequence whose state is `*state`. */
uint64_t random_next(uint64_t *state);

/* The next number from `low` .. `low + span - 1`; `span` is not 0. */
uint64_t random_between(uint64_t *state, uint64_t low, uint64_t span);

#endif
