/* SPDX-License-Identifier: Apache-2.0
 *
 * States that are yet to be expanded, first in, first out, in few bytes each.
 */
#ifndef LASH_CHECK_FRONTIER_H
#define LASH_CHECK_FRONTIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frontier_chunk;

struct frontier {
    uint32_t fixed; /* words that come in any order; behind them rise the others, to the first 0 */
    uint32_t words; /* of a state */
    struct frontier_chunk *first;
    struct frontier_chunk *last;
    size_t read;    /* bytes of the first chunk */
    size_t written; /* bytes of the last chunk */
    size_t memory;
};

void frontier_init(struct frontier *frontier, uint32_t fixed, uint32_t words);
void frontier_free(struct frontier *frontier);

/* False when memory ran out. */
bool frontier_push(struct frontier *frontier, const uint32_t *state);

/* Take the state that was pushed first of those that are there; there is one. */
void frontier_pop(struct frontier *frontier, uint32_t *state);

#endif
