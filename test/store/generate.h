/* SPDX-License-Identifier: Apache-2.0
 *
 * Random requests: the same seed gives the same, whatever the store says to them.
 */
#ifndef LASH_TEST_STORE_GENERATE_H
#define LASH_TEST_STORE_GENERATE_H

#include "store/arena.h"
#include "store/store.h"

struct generator {
    uint64_t state;
};

/* A number below `bound`, which is above 0. */
uint64_t generate_below(struct generator *generator, uint64_t bound);

/* A command, for a store that is at about `revision`. It passes store_check with any limit, and lies in `arena`. */
struct store_op generate_command(struct generator *generator, struct store_arena *arena, int64_t revision);

/* A range. */
struct store_op generate_range(struct generator *generator, struct store_arena *arena, int64_t revision);

/* A transaction that may break the rules of store_check for keys put twice. */
struct store_op generate_txn(struct generator *generator, struct store_arena *arena, int64_t revision, int depth);

#endif
